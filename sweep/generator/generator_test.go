package generator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
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
		case "parent":
			os.Exit(parentMain(os.Args[2]))
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
	if err := a.Validate(); err != nil {
		t.Fatal(err)
	}
	s, err := drive(context.Background(), a.withDefaults(), emit)
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

// Vegeta at rate 0 without MaxWorkers starts a worker whenever the others are busy.
func TestClosedLoopHasAConstantNumberOfConnections(t *testing.T) {
	h, most := station(7, 2*time.Millisecond)
	url, opened := serve(t, h)
	a := testLoop(url)
	a.Connections = 7
	s := mustDrive(t, a)
	if got := most(); got != 7 {
		t.Errorf("at most %d requests at once, want 7", got)
	}
	if got := opened.Load(); got != 7 {
		t.Errorf("%d connections were opened, want 7: each is kept and used again", got)
	}
	if s.OKTotal < 100 || s.Late != 0 || !s.Sustained {
		t.Errorf("ok %d, late %d, sustained %v", s.OKTotal, s.Late, s.Sustained)
	}
}

// With Vegeta's timestamps the median would be about the service time of 10 ms, as only the
// requests that find a connection would be sent. Here 300 per second are due of a server
// that does 100. In half a second the queue grows to 100, and a request in it waits up to a
// second: the median wait is 0.5 s.
func TestLatencyIsCountedFromWhenARequestWasDue(t *testing.T) {
	h, most := station(1, 10*time.Millisecond)
	url, _ := serve(t, h)
	a := testAttack(url)
	a.Rate, a.Window = 300, 500*time.Millisecond
	s := mustDrive(t, a)
	if s.Latency.P50 < 0.4 {
		t.Errorf("median %v s is not that of the schedule", s.Latency.P50)
	}
	if s.Planned != 150 || s.Sent != 150 || s.OK != 150 {
		t.Errorf("planned %d, sent %d, ok %d, want 150 each: none is left out", s.Planned, s.Sent, s.OK)
	}
	if s.ThroughputRPS > 200 { // a busy machine may see some answers only in the window
		t.Errorf("throughput %v/s of a server that can do 100", s.ThroughputRPS)
	}
	if s.Sustained || s.Backlog < 80 {
		t.Errorf("sustained %v with a backlog of %d", s.Sustained, s.Backlog)
	}
	if got := most(); got > int64(a.Connections) {
		t.Errorf("%d requests at once on %d connections", got, a.Connections)
	}
}

func TestFuseEndsARunawayBacklog(t *testing.T) {
	url, _ := serve(t, hang(t))
	a := testAttack(url)
	a.Rate, a.MaxBacklog, a.Window, a.Timeout = 500, 100, time.Minute, time.Minute
	s := mustDrive(t, a)
	if s.Sustained || s.WindowSeconds >= 60 {
		t.Errorf("sustained %v in a window of %v s", s.Sustained, s.WindowSeconds)
	}
	if s.Errors[unanswered] == 0 || s.Failed != s.Planned || s.Latency.Max == 0 {
		t.Errorf("planned %d, failed %d, %v, max %v s", s.Planned, s.Failed, s.Errors, s.Latency.Max)
	}
}

// Vegeta's Stop leaves its pacer asleep and its requests under way.
func TestCancelIsPrompt(t *testing.T) {
	for name, rate := range map[string]float64{"closed loop": 0, "requests under way": 100, "pacer asleep": 0.01} {
		t.Run(name, func(t *testing.T) {
			url, _ := serve(t, hang(t))
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			a := testAttack(url)
			a.Rate, a.Window, a.Timeout = rate, time.Hour, time.Hour
			a.MaxBacklog = 4000
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			var cancelled time.Time
			s, err := drive(ctx, a.withDefaults(), func(p Progress) {
				if p.Event == WindowStarted {
					cancelled = time.Now()
					cancel()
				}
			})
			if !errors.Is(err, context.Canceled) || s == nil || !s.Interrupted {
				t.Fatalf("got %+v, %v", s, err)
			}
			if took := time.Since(cancelled); took > 10*time.Second {
				t.Errorf("took %v, the requests' timeout is an hour", took)
			}
			if s.Failed != 0 {
				t.Errorf("failed %d %v: being cut off is no failure", s.Failed, s.Errors)
			}
		})
	}
}

// Vegeta's throughput divides by the attack and the wait for the last answer, so one that
// hangs would halve it.
func TestOneHangingRequestDoesNotChangeThroughput(t *testing.T) {
	var first atomic.Bool
	never := hang(t)
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if first.CompareAndSwap(false, true) {
			never(w, r)
			return
		}
		time.Sleep(2 * time.Millisecond)
	})
	a := testLoop(url)
	a.Window, a.Timeout = 500*time.Millisecond, time.Minute
	s := mustDrive(t, a)
	if s.WindowSeconds != 0.5 {
		t.Errorf("window is %v s, want 0.5", s.WindowSeconds)
	}
	if want := float64(s.OK) / 0.5; s.OK == 0 || s.ThroughputRPS != want {
		t.Errorf("throughput %v, want %d / 0.5 s = %v", s.ThroughputRPS, s.OK, want)
	}
	if s.Failed != 0 {
		t.Errorf("failed %d %v: the request under way at the end has not failed", s.Failed, s.Errors)
	}
}

func TestRedirectIsAFailureUnlessExpected(t *testing.T) {
	var logins atomic.Int64
	url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/login" {
			logins.Add(1)
			return
		}
		http.Redirect(w, r, "/login", http.StatusFound)
	})
	a := testAttack(url)
	if s := mustDrive(t, a); s.OK != 0 || s.Errors["unexpected_status_302"] != testPlanned {
		t.Errorf("ok %d, failed %d %v", s.OK, s.Failed, s.Errors)
	}
	a.Requests[0].Expect = []int{200, 302}
	if s := mustDrive(t, a); s.OK != testPlanned || s.Failed != 0 {
		t.Errorf("expected: ok %d, failed %d %v", s.OK, s.Failed, s.Errors)
	}
	if n := logins.Load(); n != 0 {
		t.Errorf("%d redirects were followed", n)
	}
}

func TestRequestsArriveAsGiven(t *testing.T) {
	type seen struct {
		method, uri, host, body string
		header                  http.Header
	}
	var once sync.Once
	got := make(chan seen, 1)
	url, _ := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		once.Do(func() {
			body, _ := io.ReadAll(r.Body)
			got <- seen{r.Method, r.RequestURI, r.Host, string(body), r.Header}
		})
	})
	a := testAttack(url)
	a.Requests = []Request{{
		Method: "PUT", Path: "/a%2Fb?c=d&c=e", Body: []byte(`{"n": 1}`), Weight: 2,
		Header: http.Header{"host": {"shop.example"}, "x-one": {"1", "2"}},
	}}
	mustDrive(t, a)
	r := <-got
	if r.method != "PUT" || r.uri != "/a%2Fb?c=d&c=e" || r.host != "shop.example" || r.body != `{"n": 1}` {
		t.Errorf("got %+v", r)
	}
	// Neither Vegeta's headers nor an Accept-Encoding, whose answer would be undone here.
	want := http.Header{"X-One": {"1", "2"}, "User-Agent": {"advise"}, "Content-Length": {"8"}}
	if fmt.Sprint(r.header) != fmt.Sprint(want) {
		t.Errorf("header is %v, want %v", r.header, want)
	}
}

// net/http's ProxyFromEnvironment would spare loopback addresses, so this can't be seen from
// the outside today.
func TestNoProxyAndNoCompression(t *testing.T) {
	tr := newStandard(t.Context(), testAttack("http://127.0.0.1:1")).(*standard).http
	if tr.Proxy != nil || !tr.DisableCompression {
		t.Errorf("proxy is set: %v, compression is off: %v", tr.Proxy != nil, tr.DisableCompression)
	}
}

func TestCompressedBodyIsNotUndone(t *testing.T) {
	url, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = io.WriteString(w, "not gzip at all")
	})
	a := testAttack(url)
	a.Requests[0].Header = http.Header{"Accept-Encoding": {"gzip"}}
	if s := mustDrive(t, a); s.OK != testPlanned || s.Failed != 0 {
		t.Errorf("ok %d, failed %d %v", s.OK, s.Failed, s.Errors)
	}
}

func TestBodyIsBounded(t *testing.T) {
	url, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		block := make([]byte, 64<<10)
		for {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	})
	a := testAttack(url)
	a.MaxBody = 1 << 20
	if s := mustDrive(t, a); s.OK != 0 || s.Errors[bodyTooLarge] != testPlanned {
		t.Errorf("ok %d, failed %d %v", s.OK, s.Failed, s.Errors)
	}
}

func TestAnswersOfAllShapes(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"chunked": func(w http.ResponseWriter, _ *http.Request) {
			for range 3 {
				_, _ = io.WriteString(w, "part")
				w.(http.Flusher).Flush()
			}
		},
		"no content":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
		"early hints":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusEarlyHints) },
		"closing":      func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") },
		"large":        func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 1<<20)) },
		"unread body":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) },
		"plain string": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") },
	} {
		t.Run(name, func(t *testing.T) {
			var served atomic.Uint64
			url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) { served.Add(1); h(w, r) })
			a := testAttack(url)
			a.Requests = append(a.Requests,
				Request{Method: http.MethodHead, Path: "/", Weight: 1},
				Request{Method: http.MethodPost, Path: "/", Body: make([]byte, 1000), Weight: 1})
			s := mustDrive(t, a)
			if s.OK != testPlanned || s.FailedTotal != 0 {
				t.Errorf("ok %d, failed %d %v", s.OK, s.FailedTotal, s.Errors)
			}
			if s.OKTotal != served.Load() {
				t.Errorf("%d successes in all, the server has served %d", s.OKTotal, served.Load())
			}
		})
	}
}

// raw starts a server for what net/http's would never do. It calls f on each connection and
// then closes it.
func raw(t *testing.T, f func(net.Conn)) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				f(c)
			})
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
	return "http://" + l.Addr().String()
}

// readHead reads up to the empty line behind a request's header; false if there is none.
func readHead(c net.Conn) bool {
	var head []byte
	one := make([]byte, 1)
	for !strings.HasSuffix(string(head), "\r\n\r\n") {
		if _, err := c.Read(one); err != nil {
			return false
		}
		head = append(head, one[0])
	}
	return true
}

func TestFailuresAreGroupedIntoKinds(t *testing.T) {
	answer := func(text string) func(net.Conn) {
		return func(c net.Conn) {
			if readHead(c) {
				_, _ = io.WriteString(c, text)
			}
		}
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	hanging, _ := serve(t, hang(t))
	unavailable, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })

	for name, c := range map[string]struct{ url, want string }{
		"nobody listens":     {gone.URL, refused},
		"no answer in time":  {hanging, timedOut},
		"503":                {unavailable, "unexpected_status_503"},
		"closed, no answer":  {raw(t, func(c net.Conn) { readHead(c) }), closedEarly},
		"closed in header":   {raw(t, answer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n")), closedEarly},
		"closed in body":     {raw(t, answer("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")), bodyCutShort},
		"closed in a chunk":  {raw(t, answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel")), bodyCutShort},
		"not a chunk":        {raw(t, answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhello\r\n")), malformed},
		"not HTTP":           {raw(t, answer("220 mail.example ESMTP\r\n\r\n")), malformed},
		"not a status":       {raw(t, answer("HTTP/1.1 OK\r\n\r\n")), malformed},
		"absurd length":      {raw(t, answer("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n")), malformed},
		"no colon in header": {raw(t, answer("HTTP/1.1 200 OK\r\nhello\r\n\r\n")), malformed},
		"reset": {raw(t, func(c net.Conn) {
			readHead(c)
			_ = c.(*net.TCPConn).SetLinger(0)
		}), reset},
		"reset in body": {raw(t, func(c net.Conn) {
			answer("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nhello")(c)
			_ = c.(*net.TCPConn).SetLinger(0)
		}), reset},
	} {
		t.Run(name, func(t *testing.T) {
			a := testAttack(c.url)
			if c.want == timedOut {
				a.Timeout, a.Connections = 200*time.Millisecond, 100 // so that none waits for one
			}
			s := mustDrive(t, a)
			if s.OK != 0 || s.Errors[c.want] != testPlanned {
				t.Errorf("ok %d, want %d %s: %v", s.OK, testPlanned, c.want, s.Errors)
			}
			if (s.SentTotal == 0) != (c.want == refused) {
				t.Errorf("sent %d", s.SentTotal)
			}
		})
	}
}

// Left out, they would make the latency better the more there are.
func TestTimeoutsAreInTheLatency(t *testing.T) {
	url, _ := serve(t, hang(t))
	a := testAttack(url)
	a.Timeout = 300 * time.Millisecond
	s := mustDrive(t, a)
	if s.Planned != testPlanned || s.Errors[timedOut]+s.Errors[timedOutConnecting] != testPlanned || s.Sent != s.Errors[timedOut] {
		t.Errorf("planned %d, sent %d, failed %v", s.Planned, s.Sent, s.Errors)
	}
	if s.Latency.P50 < 0.299 {
		t.Errorf("median %v s, but none was answered before 0.3 s", s.Latency.P50)
	}
}

// A server may close a kept connection just when the next request is on its way. This one
// always does, when the second request has come.
func TestClosedKeptConnectionIsNoFailure(t *testing.T) {
	var served atomic.Uint64
	url := raw(t, func(c net.Conn) {
		if !readHead(c) {
			return
		}
		if _, err := io.ReadFull(c, make([]byte, 4)); err != nil {
			return
		}
		served.Add(1)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		_, _ = c.Read(make([]byte, 1))
	})
	a := testLoop(url)
	a.Connections = 2
	a.Requests[0].Method, a.Requests[0].Body = http.MethodPost, []byte("text")
	s := mustDrive(t, a)
	if s.FailedTotal != 0 || s.OKTotal < 100 {
		t.Errorf("ok %d, failed %d %v", s.OKTotal, s.FailedTotal, s.Errors)
	}
	if s.OKTotal != served.Load() || s.Retried == 0 {
		t.Errorf("ok %d, served %d, retried %d", s.OKTotal, served.Load(), s.Retried)
	}
}

func TestUnixSocket(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(quick)}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})

	a := testAttack("")
	a.Socket = socket
	if s := mustDrive(t, a); s.OK != testPlanned || s.Failed != 0 {
		t.Errorf("ok %d, failed %d %v", s.OK, s.Failed, s.Errors)
	}
	a.Socket += "x"
	if s := mustDrive(t, a); s.OK != 0 || s.Errors[refused] != testPlanned {
		t.Errorf("no socket: ok %d, failed %v", s.OK, s.Errors)
	}
}

func TestConnectionsAreClosedAfterwards(t *testing.T) {
	var mu sync.Mutex
	open := make(map[net.Conn]bool)
	empty := make(chan struct{}, 100)
	s := httptest.NewUnstartedServer(http.HandlerFunc(quick))
	s.Config.ConnState = func(c net.Conn, state http.ConnState) {
		mu.Lock()
		defer mu.Unlock()
		switch state {
		case http.StateNew:
			open[c] = true
		case http.StateClosed:
			delete(open, c)
			if len(open) == 0 {
				empty <- struct{}{}
			}
		}
	}
	s.Start()
	defer s.Close()
	mustDrive(t, testAttack(s.URL))
	<-empty // before the server is closed: it is the client that has left
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
		var warm atomic.Bool
		url, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			if !warm.Load() {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		})
		a := testLoop(url)
		a.Window, a.Connections = 500*time.Millisecond, 1
		s := mustDriveWith(t, a, func(p Progress) {
			if p.Failed > 0 || p.Event == WindowStarted {
				warm.Store(true)
			}
		})
		// The one under way when the window began may still have met a cold server.
		if s.FailedTotal == 0 || s.Failed > 1 || s.OK == 0 {
			t.Errorf("failed %d in the window, %d in all; ok %d", s.Failed, s.FailedTotal, s.OK)
		}
		var slices uint64
		for _, n := range s.SliceOK[s.WindowSlice:] {
			slices += n
		}
		if slices < s.OK {
			t.Errorf("slices of the window add up to %d, ok is %d", slices, s.OK)
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
	s := mustDrive(t, a)
	if s.ThroughputRPS > 240 || s.ThroughputRPS < 20 {
		t.Errorf("throughput %v/s of a server that can do 200", s.ThroughputRPS)
	}
	// 4 connections at 2 workers: each request waits for one other.
	if s.Latency.P50 < 0.018 || s.Latency.Max < s.Latency.P99 || s.Latency.P99 < s.Latency.P50 {
		t.Errorf("latency %+v, want a median of at least 20 ms, less a little", s.Latency)
	}
}
