package generator

import (
	"math"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

// A timedStation is a station of one worker that knows how long it really took, and when it was done: a
// sleep is longer than asked for, most of all on a busy machine, and theory wants the true times.
type timedStation struct {
	service time.Duration

	mu   sync.Mutex // the worker
	took []time.Duration
	done []time.Time
}

func (s *timedStation) ServeHTTP(http.ResponseWriter, *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	began := time.Now()
	time.Sleep(s.service)
	s.took, s.done = append(s.took, time.Since(began)), append(s.done, time.Now())
}

// times are the mean service time and the longest, in seconds. All requests have been answered.
func (s *timedStation) times() (mean, longest float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, took := range s.took {
		mean += took.Seconds() / float64(len(s.took))
	}
	return mean, slices.Max(s.took).Seconds()
}

// waited is how long the requests due in the window took, in seconds from when they were due, in order:
// the n-th that is due is the n-th that is served, whatever the machine did meanwhile.
func (s *timedStation) waited(epoch time.Time, next schedule, window *Summary) (times []float64, mean float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, done := range s.done {
		due := next().Seconds()
		if due >= window.WarmupSeconds && due < window.WarmupSeconds+window.WindowSeconds {
			times = append(times, done.Sub(epoch).Seconds()-due)
		}
	}
	for _, w := range times {
		mean += w / float64(len(times))
	}
	slices.Sort(times)
	return times, mean
}

// mustDriveFrom returns the moment as well from which on requests were due.
func mustDriveFrom(t *testing.T, a Attack) (s *Summary, epoch time.Time) {
	t.Helper()
	s = mustDriveWith(t, a, func(p Progress) {
		if p.Event == WarmupStarted {
			epoch = time.Now().Add(-time.Duration(p.ElapsedSeconds * float64(time.Second)))
		}
	})
	return s, epoch
}

// Above capacity the queue grows as long as requests come: 1000 are due in a second and 500 at most are
// served. Latency is that wait, which the station's own times tell; with Vegeta's own timestamps it would
// be the wait for one of the connections.
func TestOverloadShowsTheSchedule(t *testing.T) {
	for _, arrivals := range []Arrivals{Constant, Poisson} {
		t.Run(string(arrivals), func(t *testing.T) {
			server := &timedStation{service: 2 * time.Millisecond} // at most 500 per second
			url, _ := serve(t, server.ServeHTTP)
			a := testAttack(url)
			a.Rate, a.Arrivals, a.Seed, a.Window = 1000, arrivals, 3, 600*time.Millisecond
			s, epoch := mustDriveFrom(t, a)

			times, mean := server.waited(epoch, scheduleFor(a), s)
			if len(times) == 0 {
				t.Fatal("nothing was served")
			}
			want := times[len(times)/2]
			if s.Latency.P50 < 0.9*want || s.Latency.P50 > 1.15*want+0.01 {
				t.Errorf("median %.3f s, the schedule says %.3f", s.Latency.P50, want)
			}
			if s.Planned != s.Sent || s.Planned != s.OK || math.Abs(float64(s.Planned)-600) > 100 {
				t.Errorf("planned %d, sent %d, ok %d, want about 600 each", s.Planned, s.Sent, s.OK)
			}
			if s.Sustained || float64(s.Backlog) < 0.2*float64(s.Planned) {
				t.Errorf("sustained %v with a backlog of %d", s.Sustained, s.Backlog)
			}
			if s.Latency.Mean < 0.9*mean || s.Latency.Mean > 1.15*mean+0.01 {
				t.Errorf("mean %.3f s, the schedule says %.3f", s.Latency.Mean, mean)
			}
		})
	}
}

// waits returns the mean time in a station of one worker of what a schedule brings between two
// moments, by Lindley's recursion. All are in seconds.
func waits(next schedule, service, from, to float64) (mean float64) {
	free, sum, n := 0.0, 0.0, 0
	for due := next().Seconds(); due < to; due = next().Seconds() {
		free = math.Max(free, due) + service
		if due >= from {
			sum += free - due
			n++
		}
	}
	return sum / float64(n)
}

// Poisson arrivals at a worker of fixed service time are an M/D/1 queue: Pollaczek and Khinchine's
// mean time in it is service (1 + load / (2 (1 - load))). Equal intervals never queue.
func TestPoissonArrivalsQueueAsTheoryHasIt(t *testing.T) {
	for _, load := range []float64{0.3, 0.6, 0.8} {
		want := 0.01 * (1 + load/(2*(1-load)))
		if got := waits(poisson(load*100, 1), 0.01, 0, 20000); math.Abs(got-want) > 0.03*want {
			t.Errorf("load %g: mean time is %g s, want %g", load, got, want)
		}
		if got := waits(constant(load*100), 0.01, 0, 100); math.Abs(got-0.01) > 1e-6 {
			t.Errorf("load %g, constant: mean time is %g s, want 0.01", load, got)
		}
	}
	a, b, other := poisson(50, 7), poisson(50, 7), poisson(50, 8)
	differ, before := false, time.Duration(0)
	for range 1000 {
		due := a()
		if due != b() || due < before {
			t.Fatalf("due at %v, after %v: one seed, two orders", due, before)
		}
		differ, before = differ || due != other(), due
	}
	if !differ {
		t.Error("two seeds give one order")
	}
}

// The same queue in reality, below capacity: mean latency is what the station's own times make it, plus
// what HTTP takes; and where all services were alike, M/D/1's, give or take what 200 arrivals scatter.
func TestPoissonBelowCapacityIsMD1(t *testing.T) {
	server := &timedStation{service: 8 * time.Millisecond}
	url, _ := serve(t, server.ServeHTTP)
	a := testAttack(url)
	a.Rate, a.Arrivals, a.Seed, a.Connections, a.Window = 75, Poisson, 1, 64, 2500*time.Millisecond
	s, epoch := mustDriveFrom(t, a)
	service, longest := server.times()
	load := a.Rate * service
	theory := service * (1 + load/(2*(1-load)))
	if load < 0.85 && longest < 2*service && (s.Latency.Mean < 0.6*theory || s.Latency.Mean > 1.7*theory+0.002) {
		t.Errorf("mean latency %.2f ms, M/D/1 says %.2f", 1000*s.Latency.Mean, 1000*theory)
	}
	_, exact := server.waited(epoch, scheduleFor(a), s)
	if s.Latency.Mean < 0.9*exact || s.Latency.Mean > 1.2*exact+0.005 {
		t.Errorf("mean latency %.2f ms, these very arrivals and services make it %.2f", 1000*s.Latency.Mean, 1000*exact)
	}
	if !s.Sustained || s.Failed != 0 || s.OK != s.Planned {
		t.Errorf("sustained %v, planned %d, ok %d, failed %v", s.Sustained, s.Planned, s.OK, s.Errors)
	}
	t.Logf("mean latency %.2f ms, M/D/1 %.2f, exact %.2f, at a load of %.2f; the longest service took %.1f ms", 1000*s.Latency.Mean, 1000*theory, 1000*exact, load, 1000*longest)
}
