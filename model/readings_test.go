package model

import "testing"

// The words of the issue. One worker that takes 10.1 ms, of which 2.1 are CPU time: Little's law
// leaves 8 ms of waiting.
func TestReadings(t *testing.T) {
	known := []group{{workers: 1, slots: 1, mean: 1 / 0.0101, n: 1, demand: 0.0021}, {workers: 2, slots: 2, mean: 190, logMean: 1, n: 1, demand: 0.0021}}
	unknown := []group{{workers: 1, slots: 1, mean: 99, n: 1}, {workers: 2, slots: 2, mean: 190, logMean: 1, n: 1}}
	for _, c := range []struct{ got, want string }{
		{
			uslReading(USLFit{USL: USL{0.03, 0, 99}}, known),
			"each request holds a core for 2.1 ms and waits about 8.0 ms; 3 % of the work is serialised",
		},
		{
			uslReading(USLFit{USL: USL{0.03, 0.00077, 99}}, unknown),
			"one worker answers 99.0 requests per second; 3 % of the work is serialised and each pair of workers costs 0.08 % more",
		},
		{
			uslReading(USLFit{
				USL: USL{0.03, 0.00077, 99}, ContentionError: 0.01, ContentionLow: 0.011, ContentionHigh: 0.049,
				CoherencyError: 0.0005, CoherencyHigh: 0.00173, RateError: 2, RateLow: 95.1, RateHigh: 102.9,
			}, unknown),
			"one worker answers 99.0 requests per second (95.1 to 103); 3 % (1.1 % to 4.9 %) of the work is serialised and each pair of workers costs 0.08 % more (0 % to 0.17 %)",
		},
		{
			uslReading(USLFit{USL: USL{0, 0, 99}, ContentionError: 0.01, ContentionHigh: 0.02}, known),
			"each request holds a core for 2.1 ms and waits about 8.0 ms; none of the work is serialised (2 % at the most)",
		},
		// No more than all of the work can be serialised, and an interval ends there.
		{uslReading(USLFit{USL: USL{1.01, 0, 99}}, unknown), "one worker answers 99.0 requests per second; throughput does not grow with the workers"},
		{
			uslReading(USLFit{USL: USL{0.98, 0, 99}, ContentionError: 0.02, ContentionLow: 0.94, ContentionHigh: 1.02}, unknown),
			"one worker answers 99.0 requests per second; 98 % (94 % to 100 %) of the work is serialised",
		},
		{uslReading(USLFit{USL: USL{0, 1e-6, 99}}, unknown), "one worker answers 99.0 requests per second; none of the work is serialised and each pair of workers costs less than 0.01 % more"},
		{
			unimodalReading(known, true),
			"each request holds a core for 2.1 ms and waits about 8.0 ms; no formula fits; throughput is highest at 2 workers",
		},
		{unimodalReading(unknown, false), "no formula could be tested; throughput is highest at 2 workers"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

// 5 ms in a lock and 5 ms outside of it: the closed network through 1, 2 and 8 workers would have each request
// wait for more than twice the 10 ms that one worker shows.
func TestReadingOfALockIsNoWait(t *testing.T) {
	var groups []group
	for _, n := range []int{1, 2, 8} {
		groups = append(groups, group{workers: n, slots: n, n: 2, mean: min(float64(n)*100, 200), demand: 0.0002})
	}
	c := closedNetworkCurve(groups, 1)
	if wait := c.candidate.Parameters["wait_seconds"]; wait < 0.02 {
		t.Fatalf("the network has it wait for %g s: there is nothing to tell apart", wait)
	}
	if want := "each request holds a core for 200.0 us and waits about 9.8 ms"; c.candidate.Reading != want {
		t.Errorf("got %q, want %q", c.candidate.Reading, want)
	}
}
