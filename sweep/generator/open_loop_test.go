package generator

import (
	"math"
	"net/http"
	"sync"
	"testing"
	"time"
)

// A timedStation is a station of one worker that knows how long it really took: a sleep is longer
// than asked for, most of all on a busy machine, and theory wants the true service time.
type timedStation struct {
	service time.Duration

	mu     sync.Mutex // the worker
	busy   time.Duration
	served int
}

func (s *timedStation) ServeHTTP(http.ResponseWriter, *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	began := time.Now()
	time.Sleep(s.service)
	s.busy += time.Since(began)
	s.served++
}

// mean is the mean service time in seconds.
func (s *timedStation) mean() float64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.busy.Seconds() / float64(s.served)
}

// Above capacity the queue grows like a fluid: a request due at t is the (rate x t)-th, and is answered
// when so many have been served, so it waits t (rate x service - 1). The median is that of the
// window's middle. With Vegeta's own timestamps it would be the wait for one of the connections.
func TestOverloadShowsTheSchedule(t *testing.T) {
	for _, arrivals := range []Arrivals{Constant, Poisson} {
		t.Run(string(arrivals), func(t *testing.T) {
			server := &timedStation{service: 2 * time.Millisecond} // at most 500 per second
			url, _ := serve(t, server.ServeHTTP)
			a := testAttack(url)
			a.Rate, a.Arrivals, a.Seed, a.Window = 1000, arrivals, 3, 600*time.Millisecond
			s := mustDrive(t, a)

			middle := s.WarmupSeconds + s.WindowSeconds/2
			service := server.mean()
			want := middle*(a.Rate*service-1) + service
			// 300 Poisson arrivals before the middle scatter by 6 %, and their wait by twice that.
			if s.Latency.P50 < 0.75*want || s.Latency.P50 > 1.25*want {
				t.Errorf("median %.3f s, the schedule says %.3f", s.Latency.P50, want)
			}
			if s.Planned != s.Sent || s.Planned != s.OK || math.Abs(float64(s.Planned)-600) > 100 {
				t.Errorf("planned %d, sent %d, ok %d, want about 600 each", s.Planned, s.Sent, s.OK)
			}
			if s.Sustained || float64(s.Backlog) < 0.2*float64(s.Planned) {
				t.Errorf("sustained %v with a backlog of %d", s.Sustained, s.Backlog)
			}
			if s.Latency.Mean < 0.7*s.Latency.P50 || s.Latency.Mean > 1.3*s.Latency.P50 { // the waits are spread evenly
				t.Errorf("mean %v s, median %v", s.Latency.Mean, s.Latency.P50)
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

// The same queue in reality, below capacity: mean latency is M/D/1's for the true service time, give
// or take what 200 arrivals scatter, plus what HTTP takes.
func TestPoissonBelowCapacityIsMD1(t *testing.T) {
	server := &timedStation{service: 8 * time.Millisecond}
	url, _ := serve(t, server.ServeHTTP)
	a := testAttack(url)
	a.Rate, a.Arrivals, a.Seed, a.Connections, a.Window = 75, Poisson, 1, 64, 2500*time.Millisecond
	s := mustDrive(t, a)
	service := server.mean()
	load := a.Rate * service
	if load > 0.85 {
		t.Skipf("the machine is too busy: a sleep of 8 ms took %.1f ms", 1000*service)
	}
	theory := service * (1 + load/(2*(1-load)))
	exact := waits(poisson(a.Rate, a.Seed), service, s.WarmupSeconds, s.WarmupSeconds+s.WindowSeconds)
	if s.Latency.Mean < 0.6*theory || s.Latency.Mean > 1.7*theory+0.002 {
		t.Errorf("mean latency %.2f ms, M/D/1 says %.2f", 1000*s.Latency.Mean, 1000*theory)
	}
	if s.Latency.Mean < 0.85*exact || s.Latency.Mean > 1.4*exact+0.002 {
		t.Errorf("mean latency %.2f ms, these very arrivals make it %.2f", 1000*s.Latency.Mean, 1000*exact)
	}
	if !s.Sustained || s.Failed != 0 || s.OK != s.Planned {
		t.Errorf("sustained %v, planned %d, ok %d, failed %v", s.Sustained, s.Planned, s.OK, s.Errors)
	}
	t.Logf("mean latency %.2f ms, M/D/1 %.2f, Lindley %.2f, at a load of %.2f", 1000*s.Latency.Mean, 1000*theory, 1000*exact, load)
}
