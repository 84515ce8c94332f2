package sweep

import (
	"math"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"advise/model"
	"advise/sweep/generator"
)

// changing starts a server with one worker whose n-th request, from 0 on, takes service(n). It changes
// with the requests it has answered, as a compiler and a leak do, and not with the clock.
func changing(t *testing.T, service func(n int) time.Duration) (url string) {
	t.Helper()
	var worker sync.Mutex
	n := 0
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		worker.Lock()
		defer worker.Unlock()
		time.Sleep(service(n))
		n++
	}))
	t.Cleanup(s.Close)
	return s.URL
}

func drive(t *testing.T, url string, warmup, limit, window time.Duration) (s *generator.Summary, before uint64) {
	t.Helper()
	a := generator.Attack{
		URL: url, Requests: []generator.Request{{Method: http.MethodGet, Path: "/", Weight: 1}},
		Connections: 4, Warmup: warmup, WarmupLimit: limit, Window: window, Timeout: 20 * time.Second,
	}
	s, err := generator.Run(t.Context(), a, func(p generator.Progress) {
		if p.Event == generator.WindowStarted {
			before = p.OK
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return s, before
}

// tries is how many servers of a kind are driven until one shows what it is. A machine that stands still for
// 0.2 s once in three seconds hides it in four attacks of ten, and in eight of eight once in a thousand times.
const tries = 8

// inOneOf drives servers of the kind: what else the machine does meanwhile hides a change, and does not
// make one up every time. It returns the first summary that is as wanted, or the last.
func inOneOf(t *testing.T, service func(n int) time.Duration, window time.Duration, wanted func(*generator.Summary) bool) *generator.Summary {
	t.Helper()
	for try := 1; ; try++ {
		s, _ := drive(t, changing(t, service), 200*time.Millisecond, 200*time.Millisecond, window)
		if wanted(s) || try == tries {
			return s
		}
	}
}

// A leak: each request makes the next ones 20 us longer. 300 of them take 1.2 s and make 1 ms 7 ms, so
// throughput more than halves within the window.
func TestLeakIsNotSteady(t *testing.T) {
	leak := func(n int) time.Duration { return time.Millisecond + time.Duration(n)*20*time.Microsecond }
	seen := func(s *generator.Summary) bool { return !s.Steady && s.TrendShare <= -0.1 && s.TrendHigh < 0 }
	if s := inOneOf(t, leak, time.Second, seen); !seen(s) {
		t.Errorf("steady %v, trend %.3f (%.3f to %.3f)", s.Steady, s.TrendShare, s.TrendLow, s.TrendHigh)
	}
}

// quickening is compiled while it runs: from 10 ms for the first request to 1 ms, of which the 240th
// is a sixth short. That one comes after n + 540 (1 - exp(-n/60)) = 770 ms at the earliest.
func quickening(n int) time.Duration {
	return time.Millisecond + time.Duration(9*math.Exp(-float64(n)/60)*float64(time.Millisecond))
}

const quickened = 240

// A warm-up of fixed length ends in the middle of it, and the window says so.
func TestQuickeningIsNotSteady(t *testing.T) {
	seen := func(s *generator.Summary) bool { return !s.Steady && s.TrendShare >= 0.1 && s.TrendLow > 0 }
	if s := inOneOf(t, quickening, 600*time.Millisecond, seen); !seen(s) {
		t.Errorf("steady %v, trend %.3f (%.3f to %.3f)", s.Steady, s.TrendShare, s.TrendLow, s.TrendHigh)
	}
}

// With time to settle the window begins behind it, unless other load makes all requests alike meanwhile.
func TestWarmupWaitsForTheQuickening(t *testing.T) {
	for try := 1; ; try++ {
		s, before := drive(t, changing(t, quickening), 400*time.Millisecond, 30*time.Second, 500*time.Millisecond)
		if s.WarmupSettled && before >= quickened {
			return
		}
		if try == tries {
			t.Fatalf("settled %v after %.1f s and %d requests, of %d that quicken", s.WarmupSettled, s.WarmupSeconds, before, quickened)
		}
	}
}

// A steady server is let through and left alone, but for what else the machine does meanwhile: of
// several windows one at least is steady. The slices add up to what the interval is made from.
func TestSteadyServer(t *testing.T) {
	url := changing(t, func(int) time.Duration { return 2 * time.Millisecond })
	for try := 1; ; try++ {
		s, _ := drive(t, url, 600*time.Millisecond, 5*time.Second, time.Second)
		var series []float64
		for _, n := range s.WindowOK() {
			series = append(series, float64(n)/generator.Slice.Seconds())
		}
		b, err := model.BatchMeans(series, 0.95)
		if err != nil {
			t.Fatal(err)
		}
		if d := b.Mean - s.ThroughputRPS; d > 1e-6 || d < -1e-6 {
			t.Errorf("the slices' mean is %v/s, throughput %v", b.Mean, s.ThroughputRPS)
		}
		if s.WarmupSettled && s.Steady {
			return
		}
		if try == tries {
			t.Fatalf("settled %v after %.2f s, steady %v, trend %.3f (%.3f to %.3f)", s.WarmupSettled, s.WarmupSeconds, s.Steady, s.TrendShare, s.TrendLow, s.TrendHigh)
		}
	}
}
