package generator

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "attack":
			os.Exit(attackMain())
		case "null-server":
			os.Exit(nullMain())
		case "parent":
			os.Exit(parentMain(os.Args[2]))
		case "parent-of-null":
			os.Exit(parentOfNull())
		}
	}
	goleak.VerifyTestMain(m)
}

// testAttack is a quick open loop, which has exactly testPlanned requests in its window however
// busy the machine is.
func testAttack(url string) Attack {
	return Attack{
		URL:         url,
		Requests:    []Request{{Method: http.MethodGet, Path: "/", Weight: 1}},
		Rate:        100,
		Connections: 4,
		Window:      200 * time.Millisecond,
		Timeout:     20 * time.Second,
	}
}

const testPlanned = 20

// testLoop is a closed loop of at least 100 requests.
func testLoop(url string) Attack {
	a := testAttack(url)
	a.Rate, a.WarmupRequests, a.WarmupLimit = 0, 100, time.Minute
	return a
}

func mustDrive(t *testing.T, a Attack) *Summary {
	t.Helper()
	return mustDriveWith(t, a, func(Progress) {})
}

func mustDriveWith(t *testing.T, a Attack, emit func(Progress)) *Summary {
	t.Helper()
	return mustDriveOver(t, a, emit, connect)
}

func mustDriveOver(t *testing.T, a Attack, emit func(Progress), over connector) *Summary {
	t.Helper()
	if err := a.Validate(); err != nil {
		t.Fatal(err)
	}
	s, err := drive(context.Background(), a.withDefaults(), nil, emit, over)
	if err != nil {
		t.Fatal(err)
	}
	var failed uint64
	for _, n := range s.Errors {
		failed += n
	}
	if failed != s.Failed {
		t.Errorf("errors by kind add up to %d, failed is %d", failed, s.Failed)
	}
	return s
}

// serve starts a server and counts the connections made to it.
func serve(t *testing.T, h http.HandlerFunc) (url string, connections *atomic.Int64) {
	t.Helper()
	connections = new(atomic.Int64)
	s := httptest.NewUnstartedServer(h)
	s.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return s.URL, connections
}

// A station serves one request at a time per worker, each in the given time. So its capacity
// is workers / service requests per second, at most.
func station(workers int, service time.Duration) (h http.HandlerFunc, most func() int64) {
	free := make(chan struct{}, workers)
	var inside, peak atomic.Int64
	return func(http.ResponseWriter, *http.Request) {
		n := inside.Add(1)
		defer inside.Add(-1)
		for {
			p := peak.Load()
			if n <= p || peak.CompareAndSwap(p, n) {
				break
			}
		}
		free <- struct{}{}
		time.Sleep(service)
		<-free
	}, peak.Load
}

func quick(http.ResponseWriter, *http.Request) {}

// hang answers when the test ends or the client leaves.
func hang(t *testing.T) (h http.HandlerFunc) {
	over := make(chan struct{})
	t.Cleanup(func() { close(over) })
	return func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // only then does the server see the client leave
		select {
		case <-over:
		case <-r.Context().Done():
		}
	}
}

// A second attack on a Vegeta attacker has no results and no error.
func TestEachAttackHasItsOwnAttacker(t *testing.T) {
	url, _ := serve(t, quick)
	for i := range 2 {
		if s := mustDrive(t, testAttack(url)); s.OK != testPlanned || s.Failed != 0 {
			t.Errorf("attack %d: ok %d, failed %d %v", i+1, s.OK, s.Failed, s.Errors)
		}
	}
}

func TestWarmup(t *testing.T) {
	h, _ := station(4, time.Millisecond)
	url, _ := serve(t, h)

	t.Run("count", func(t *testing.T) {
		a := testLoop(url)
		var before uint64
		s := mustDriveWith(t, a, func(p Progress) {
			if p.Event == WindowStarted {
				before = p.OK
			}
		})
		if before < 100 || s.WarmupLimited {
			t.Errorf("the window began after %d requests, limited: %v", before, s.WarmupLimited)
		}
		if s.OKTotal < before+s.OK {
			t.Errorf("ok: %d in all, %d before the window, %d in it", s.OKTotal, before, s.OK)
		}
	})
	t.Run("limit", func(t *testing.T) {
		a := testLoop(url)
		a.Warmup, a.WarmupRequests, a.WarmupLimit = 100*time.Millisecond, 1e9, 200*time.Millisecond
		s := mustDrive(t, a)
		if !s.WarmupLimited || s.WarmupSeconds < 0.2 {
			t.Errorf("limited: %v after %v s", s.WarmupLimited, s.WarmupSeconds)
		}
	})
	t.Run("cut away", func(t *testing.T) {
		var served atomic.Int64
		url, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			if served.Add(1) <= 100 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		})
		a := testLoop(url)
		a.Window, a.Connections = 500*time.Millisecond, 1
		s := mustDrive(t, a)
		if s.FailedTotal != 100 || s.Failed != 0 || s.OK == 0 {
			t.Errorf("failed %d in the window, %d in all; ok %d", s.Failed, s.FailedTotal, s.OK)
		}
		var slices uint64
		for _, n := range s.WindowOK() {
			slices += n
		}
		if slices != s.OK || len(s.WindowOK()) != 50 {
			t.Errorf("%d slices of the window add up to %d, ok is %d", len(s.WindowOK()), slices, s.OK)
		}
	})
}

func TestProgressComesInOrder(t *testing.T) {
	url, _ := serve(t, quick)
	a := testAttack(url)
	a.Warmup, a.Window = 300*time.Millisecond, 400*time.Millisecond
	var events []Event
	var last Progress
	mustDriveWith(t, a, func(p Progress) {
		if p.OK < last.OK || p.ElapsedSeconds < last.ElapsedSeconds {
			t.Errorf("%+v after %+v", p, last)
		}
		last = p
		events = append(events, p.Event)
	})
	phases := slices.DeleteFunc(slices.Clone(events), func(e Event) bool { return e == Tick })
	if want := []Event{WarmupStarted, WindowStarted, WindowEnded}; !slices.Equal(phases, want) {
		t.Errorf("events are %v, want %v", phases, want)
	}
	if !slices.Contains(events, Tick) {
		t.Errorf("no tick in %v", events)
	}
}

// A server of known capacity, measured in a closed loop: the throughput is not above its
// physical bound, give or take what a busy machine sees late, and not absurdly far below.
func TestThroughputOfAKnownServer(t *testing.T) {
	h, _ := station(2, 10*time.Millisecond) // 200 per second at most
	url, _ := serve(t, h)
	a := testLoop(url)
	a.Window = time.Second
	for try := 1; ; try++ {
		s := mustDrive(t, a)
		if s.ThroughputRPS > 240 || s.ThroughputRPS < 20 {
			t.Errorf("throughput %v/s of a server that can do 200", s.ThroughputRPS)
		}
		if s.Latency.P50 < 0.01 || s.Latency.Max < s.Latency.P99 || s.Latency.P99 < s.Latency.P50 {
			t.Errorf("latency %+v, want a median of at least the 10 ms of service", s.Latency)
		}
		// 4 connections at 2 workers: each request waits for one other, 20 ms less a little. A generator
		// that has no core when an answer comes asks again later, and finds a worker free.
		if s.Latency.P50 >= 0.018 {
			return
		}
		if try == 3 {
			t.Fatalf("latency %+v, want a median of about 20 ms in one of three windows", s.Latency)
		}
	}
}
