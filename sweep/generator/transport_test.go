package generator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

// An attacker makes an attack that must not go wrong.
type attacker func(*testing.T, Attack) *Summary

// overEach runs a test over both transports: they must see the same in the same servers.
func overEach(t *testing.T, test func(t *testing.T, run attacker)) {
	t.Helper()
	for name, over := range transports {
		t.Run(name, func(t *testing.T) {
			test(t, func(t *testing.T, a Attack) *Summary {
				t.Helper()
				return mustDriveOver(t, a, func(Progress) {}, over)
			})
		})
	}
}

var transports = map[string]connector{"lean": newLean, "standard": newStandard}

// Vegeta at rate 0 without MaxWorkers starts a worker whenever the others are busy.
func TestClosedLoopHasAConstantNumberOfConnections(t *testing.T) {
	overEach(t, func(t *testing.T, run attacker) {
		h, most := station(7, 10*time.Millisecond) // long enough for all seven to meet there
		url, opened := serve(t, h)
		a := testLoop(url)
		a.Connections = 7
		s := run(t, a)
		if got := most(); got != 7 {
			t.Errorf("at most %d requests at once, want 7", got)
		}
		if got := opened.Load(); got != 7 {
			t.Errorf("%d connections were opened, want 7: each is kept and used again", got)
		}
		if s.OKTotal < 100 || s.Late != 0 || !s.Sustained {
			t.Errorf("ok %d, late %d, sustained %v", s.OKTotal, s.Late, s.Sustained)
		}
	})
}

// A phase that is given up while it warms up still says what the generator used: it may be the reason.
func TestGivenUpInTheWarmupHasItsCPUTime(t *testing.T) {
	overEach(t, func(t *testing.T, run attacker) {
		url, _ := serve(t, hang(t))
		a := testAttack(url)
		a.Rate, a.MaxBacklog, a.Warmup, a.Window, a.Timeout = 5000, 2000, time.Minute, time.Minute, time.Minute
		s := run(t, a)
		if s.Sustained || s.WindowSeconds != 0 {
			t.Fatalf("sustained %v in a window of %v s, want to be given up before it", s.Sustained, s.WindowSeconds)
		}
		if !(s.CPUSeconds > 0 && s.CPUShare > 0) {
			t.Errorf("used %v s, a share of %v", s.CPUSeconds, s.CPUShare)
		}
	})
}

// With Vegeta's timestamps the median would be about the service time of 10 ms, as only the
// requests that find a connection would be sent. Here 300 per second are due of a server
// that does 100. In half a second the queue grows to 100, and a request in it waits up to a
// second: the median wait is 0.5 s.
func TestLatencyIsCountedFromWhenARequestWasDue(t *testing.T) {
	overEach(t, func(t *testing.T, run attacker) {
		h, most := station(1, 10*time.Millisecond)
		url, _ := serve(t, h)
		a := testAttack(url)
		a.Rate, a.Window = 300, 500*time.Millisecond
		s := run(t, a)
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
	})
}

func TestFuseEndsARunawayBacklog(t *testing.T) {
	overEach(t, func(t *testing.T, run attacker) {
		url, _ := serve(t, hang(t))
		a := testAttack(url)
		a.Rate, a.MaxBacklog, a.Window, a.Timeout = 500, 300, time.Minute, time.Minute
		s := run(t, a)
		if s.Sustained || s.WindowSeconds >= 60 {
			t.Errorf("sustained %v in a window of %v s", s.Sustained, s.WindowSeconds)
		}
		if s.Errors[unanswered] == 0 || s.Failed != s.Planned || s.Latency.Max == 0 {
			t.Errorf("planned %d, failed %d, %v, max %v s", s.Planned, s.Failed, s.Errors, s.Latency.Max)
		}
	})
}

// Vegeta's Stop leaves its pacer asleep and its requests under way.
func TestCancelIsPrompt(t *testing.T) {
	for _, over := range []string{"lean", "standard"} {
		for name, rate := range map[string]float64{"closed loop": 0, "requests under way": 100, "pacer asleep": 0.01} {
			t.Run(over+"/"+name, func(t *testing.T) {
				url, _ := serve(t, hang(t))
				defer noneLeft(t, goleak.IgnoreCurrent())
				a := testAttack(url)
				a.Rate, a.Window, a.Timeout = rate, time.Hour, time.Hour
				a.MaxBacklog = 4000
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				var cancelled time.Time
				s, err := drive(ctx, a.withDefaults(), nil, func(p Progress) {
					if p.Event == WindowStarted {
						cancelled = time.Now()
						cancel()
					}
				}, transports[over])
				if !errors.Is(err, context.Canceled) || s == nil || !s.Interrupted {
					t.Fatalf("got %+v, %v", s, err)
				}
				if took := time.Since(cancelled); took > 10*time.Second {
					t.Errorf("took %v, the requests' timeout is an hour", took)
				}
				if s.Failed != 0 || s.Retried != 0 {
					t.Errorf("failed %d %v, retried %d: being cut off is no failure", s.Failed, s.Errors, s.Retried)
				}
			})
		}
	}
}

// noneLeft is goleak.VerifyNone with the patience that a busy machine takes: the server's goroutines end
// when they have been told that their connection is closed.
func noneLeft(t *testing.T, before goleak.Option) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; {
		err := goleak.Find(before)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Error(err)
			return
		}
	}
}

// Vegeta's throughput divides by the attack and the wait for the last answer, so one that
// hangs would halve it.
func TestOneHangingRequestDoesNotChangeThroughput(t *testing.T) {
	overEach(t, func(t *testing.T, run attacker) {
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
		s := run(t, a)
		if s.WindowSeconds != 0.5 {
			t.Errorf("window is %v s, want 0.5", s.WindowSeconds)
		}
		if want := float64(s.OK) / 0.5; s.OK == 0 || s.ThroughputRPS != want {
			t.Errorf("throughput %v, want %d / 0.5 s = %v", s.ThroughputRPS, s.OK, want)
		}
		if s.Failed != 0 {
			t.Errorf("failed %d %v: the request under way at the end has not failed", s.Failed, s.Errors)
		}
	})
}

func TestRedirectIsAFailureUnlessExpected(t *testing.T) {
	overEach(t, func(t *testing.T, run attacker) {
		var logins atomic.Int64
		url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/login" {
				logins.Add(1)
				return
			}
			http.Redirect(w, r, "/login", http.StatusFound)
		})
		a := testAttack(url)
		if s := run(t, a); s.OK != 0 || s.Errors["unexpected_status_302"] != testPlanned {
			t.Errorf("ok %d, failed %d %v", s.OK, s.Failed, s.Errors)
		}
		a.Requests[0].Expect = []int{200, 302}
		if s := run(t, a); s.OK != testPlanned || s.Failed != 0 {
			t.Errorf("expected: ok %d, failed %d %v", s.OK, s.Failed, s.Errors)
		}
		if n := logins.Load(); n != 0 {
			t.Errorf("%d redirects were followed", n)
		}
	})
}

func TestRequestsArriveAsGiven(t *testing.T) {
	overEach(t, func(t *testing.T, run attacker) {
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
		run(t, a)
		r := <-got
		if r.method != "PUT" || r.uri != "/a%2Fb?c=d&c=e" || r.host != "shop.example" || r.body != `{"n": 1}` {
			t.Errorf("got %+v", r)
		}
		// Neither Vegeta's headers nor an Accept-Encoding, whose answer would be undone here.
		want := http.Header{"X-One": {"1", "2"}, "User-Agent": {"advise"}, "Content-Length": {"8"}}
		if fmt.Sprint(r.header) != fmt.Sprint(want) {
			t.Errorf("header is %v, want %v", r.header, want)
		}
	})
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
	overEach(t, func(t *testing.T, run attacker) {
		url, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = io.WriteString(w, "not gzip at all")
		})
		a := testAttack(url)
		a.Requests[0].Header = http.Header{"Accept-Encoding": {"gzip"}}
		if s := run(t, a); s.OK != testPlanned || s.Failed != 0 {
			t.Errorf("ok %d, failed %d %v", s.OK, s.Failed, s.Errors)
		}
	})
}

func TestBodyIsBounded(t *testing.T) {
	overEach(t, func(t *testing.T, run attacker) {
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
		if s := run(t, a); s.OK != 0 || s.Errors[bodyTooLarge] != testPlanned {
			t.Errorf("ok %d, failed %d %v", s.OK, s.Failed, s.Errors)
		}
	})
}

func TestAnswersOfAllShapes(t *testing.T) {
	overEach(t, func(t *testing.T, run attacker) {
		for name, h := range map[string]http.HandlerFunc{
			"chunked": func(w http.ResponseWriter, _ *http.Request) {
				for range 3 {
					_, _ = io.WriteString(w, "part")
					w.(http.Flusher).Flush()
				}
			},
			"no content":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
			"early hints": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusEarlyHints) },
			"read body":   func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) },
			"closing":     func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") },
			// The body is read: else the server may reset the connection that it closes over it.
			"large": func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				_, _ = w.Write(make([]byte, 1<<20))
			},
			"unread body":  func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) },
			"plain string": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") },
		} {
			t.Run(name, func(t *testing.T) {
				var served atomic.Uint64
				url, _ := serve(t, func(w http.ResponseWriter, r *http.Request) { served.Add(1); h(w, r) })
				a := quickAttack(url)
				a.Requests = append(a.Requests,
					Request{Method: http.MethodHead, Path: "/", Weight: 1},
					Request{Method: http.MethodPost, Path: "/", Body: make([]byte, 1000), Weight: 1},
					Request{
						Method: http.MethodPut, Path: "/", Body: make([]byte, 1000), Weight: 1,
						Header: http.Header{"Expect": {"100-continue"}, "Connection": {"close"}},
					})
				s := run(t, a)
				if s.OK != testPlanned || s.FailedTotal != 0 {
					t.Errorf("ok %d, failed %d %v", s.OK, s.FailedTotal, s.Errors)
				}
				if s.OKTotal != served.Load() {
					t.Errorf("%d successes in all, the server has served %d", s.OKTotal, served.Load())
				}
			})
		}
	})
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

// refusing is where nobody listens, nor will as long as the test runs: the client's end of a connection. The
// port of a server that was closed may be the next one's.
func refusing(t *testing.T) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return "http://" + c.LocalAddr().String()
}

func TestFailuresAreGroupedIntoKinds(t *testing.T) {
	overEach(t, func(t *testing.T, run attacker) {
		answer := func(text string) func(net.Conn) {
			return func(c net.Conn) {
				if readHead(c) {
					_, _ = io.WriteString(c, text)
				}
			}
		}
		hanging, _ := serve(t, hang(t))
		unavailable, _ := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })

		for name, c := range map[string]struct{ url, want string }{
			"nobody listens":     {refusing(t), refused},
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
				a := quickAttack(c.url)
				if c.want == timedOut {
					// So that none waits for a connection, nor for a machine that stands still for a while.
					a.Timeout, a.Connections = time.Second, 100
				}
				s := run(t, a)
				if s.OK != 0 || s.Errors[c.want] != testPlanned {
					t.Errorf("ok %d, want %d %s: %v", s.OK, testPlanned, c.want, s.Errors)
				}
				if (s.SentTotal == 0) != (c.want == refused) {
					t.Errorf("sent %d", s.SentTotal)
				}
			})
		}
	})
}

// Left out, they would make the latency better the more there are.
func TestTimeoutsAreInTheLatency(t *testing.T) {
	overEach(t, func(t *testing.T, run attacker) {
		url, _ := serve(t, hang(t))
		a := testAttack(url)
		a.Timeout = 300 * time.Millisecond
		s := run(t, a)
		if s.Planned != testPlanned || s.Errors[timedOut]+s.Errors[timedOutConnecting] != testPlanned || s.Sent != s.Errors[timedOut] {
			t.Errorf("planned %d, sent %d, failed %v", s.Planned, s.Sent, s.Errors)
		}
		if s.Latency.P50 < 0.299 {
			t.Errorf("median %v s, but none was answered before 0.3 s", s.Latency.P50)
		}
	})
}

// A server may close a kept connection just when the next request is on its way. This one
// always does, when the second request has come.
func TestClosedKeptConnectionIsNoFailure(t *testing.T) {
	overEach(t, func(t *testing.T, run attacker) {
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
		a := testAttack(url)
		a.Connections = 1
		a.Requests[0].Method, a.Requests[0].Body = http.MethodPost, []byte("text")
		s := run(t, a)
		if s.OK != testPlanned || s.FailedTotal != 0 || s.OKTotal != served.Load() {
			t.Errorf("ok %d, %d in all, failed %d %v, served %d", s.OK, s.OKTotal, s.FailedTotal, s.Errors, served.Load())
		}
		if s.Retried != s.OKTotal-1 { // all but the first find a kept connection
			t.Errorf("retried %d, want %d", s.Retried, s.OKTotal-1)
		}
	})
}

func TestUnixSocket(t *testing.T) {
	overEach(t, func(t *testing.T, run attacker) {
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
		if s := run(t, a); s.OK != testPlanned || s.Failed != 0 {
			t.Errorf("ok %d, failed %d %v", s.OK, s.Failed, s.Errors)
		}
		a.Socket += "x"
		if s := run(t, a); s.OK != 0 || s.Errors[refused] != testPlanned {
			t.Errorf("no socket: ok %d, failed %v", s.OK, s.Errors)
		}
	})
}

func TestConnectionsAreClosedAfterwards(t *testing.T) {
	overEach(t, func(t *testing.T, run attacker) {
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
		run(t, testAttack(s.URL))
		<-empty // before the server is closed: it is the client that has left
	})
}

// What servers may answer that net/http's would not. The expected kind is what net/http's
// transport makes of it; "" is a success.
func TestOddAnswers(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	long := strings.Repeat("x", 8<<10)
	for name, c := range map[string]struct{ answer, want string }{
		"continue":                    {"HTTP/1.1 100 Continue\r\n\r\n" + ok, ""},
		"early hints":                 {"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n" + ok, ""},
		"interim answers alone":       {"HTTP/1.1 100 Continue\r\n\r\n", closedEarly},
		"interim answers for ever":    {strings.Repeat("HTTP/1.1 102 Processing\r\nX: "+long+"\r\n\r\n", 200), malformed},
		"another protocol":            {"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\nhello", "unexpected_status_101"},
		"until close":                 {"HTTP/1.1 200 OK\r\n\r\nsome text", ""},
		"until close, 1.0":            {"HTTP/1.0 200 OK\r\n\r\nsome text", ""},
		"until close, said so":        {"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nsome text", ""},
		"1.0 with a length":           {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", ""},
		"1.0 with a short body":       {"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nok", bodyCutShort},
		"1.0 ignores chunks":          {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nno chunk", ""},
		"2.0, in so many words":       {"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok", ""},
		"chunks":                      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", ""},
		"chunks with extensions":      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2;a=\"b\"\r\nok\r\n0;c\r\n\r\n", ""},
		"chunks with trailers":        {"HTTP/1.1 200 OK\r\nTrailer: Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nSum: 1\r\nMore: 2\r\n\r\n", ""},
		"chunks and a length":         {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", ""},
		"chunks and a wrong length":   {"HTTP/1.1 200 OK\r\nContent-Length: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", malformed},
		"chunked twice":               {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", malformed},
		"another coding":              {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", malformed},
		"a huge chunk":                {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n11111111111111111\r\n", malformed},
		"a chunk too long":            {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok!\r\n0\r\n\r\n", malformed},
		"a chunk's line ends with LF": {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\nok\r\n0\r\n\r\n", malformed},
		"no colon in a trailer":       {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nno colon\r\n\r\n", malformed},
		"length as a trailer":         {"HTTP/1.1 200 OK\r\nTrailer: Content-Length\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", malformed},
		"last chunk is missing":       {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", bodyCutShort},
		"a folded field":              {"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 2\r\n\r\nok", ""},
		"a folded length":             {"HTTP/1.1 200 OK\r\nContent-Length:\r\n 2\r\n\r\nok", ""},
		"a fold to begin with":        {"HTTP/1.1 200 OK\r\n X: a\r\nContent-Length: 2\r\n\r\nok", malformed},
		"lines end with LF":           {"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", ""},
		"two lengths":                 {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!", malformed},
		"two equal lengths":           {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok", ""},
		"two lengths in one":          {"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok", malformed},
		"a length with a sign":        {"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok", malformed},
		"a huge length":               {"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nok", malformed},
		"an empty length":             {"HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\nok", malformed},
		"a space before the colon":    {"HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\nuntil close", ""},
		"no name":                     {"HTTP/1.1 200 OK\r\n: 1\r\nContent-Length: 2\r\n\r\nok", malformed},
		"a space in a name":           {"HTTP/1.1 200 OK\r\na b: 1\r\nContent-Length: 2\r\n\r\nok", ""},
		"a NUL in a value":            {"HTTP/1.1 200 OK\r\nX: \x00\r\nContent-Length: 2\r\n\r\nok", malformed},
		"a CR in a value":             {"HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 2\r\n\r\nok", malformed},
		"no reason":                   {"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", ""},
		"two spaces":                  {"HTTP/1.1  200 OK\r\nContent-Length: 2\r\n\r\nok", ""},
		"a status of four digits":     {"HTTP/1.1 2000 OK\r\n\r\n", malformed},
		"status 099":                  {"HTTP/1.1 099 Low\r\nContent-Length: 2\r\n\r\nok", "unexpected_status_99"},
		"status 999":                  {"HTTP/1.1 999 High\r\nContent-Length: 2\r\n\r\nok", "unexpected_status_999"},
		"not modified, with a length": {"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "unexpected_status_304"},
		"no content, with a length":   {"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", ""},
		"no content, chunked":         {"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n", ""},
		"a long header":               {"HTTP/1.1 200 OK\r\nX: " + long + "\r\nContent-Length: 2\r\n\r\nok", ""},
		"many fields":                 {"HTTP/1.1 200 OK\r\n" + strings.Repeat("X: a\r\n", 3000) + "Content-Length: 2\r\n\r\nok", ""},
		"too long a header":           {"HTTP/1.1 200 OK\r\n" + strings.Repeat("X: "+long+"\r\n", maxHead/len(long)+1) + "\r\n", malformed},
		"a header of one line":        {"HTTP/1.1 200 " + strings.Repeat(long, maxHead/len(long)+1), malformed},
		"a status line, cut short":    {"HTTP/1.1 2", malformed},
		"a field, cut short":          {"HTTP/1.1 200 OK\r\nContent-Le", malformed},
		"an empty line first":         {"\r\n" + ok, malformed},
		"nothing but a line's end":    {"\n", malformed},
		"TLS's alert":                 {"\x15\x03\x01\x00\x02\x02\x16", malformed},
	} {
		t.Run(name, func(t *testing.T) {
			var seen []counts
			overEach(t, func(t *testing.T, run attacker) {
				// Each connection is for one request, and closed as a server closes that has
				// said all it wanted to: not before the client has read it, by a reset.
				url := raw(t, func(conn net.Conn) {
					if readHead(conn) {
						_, _ = io.WriteString(conn, c.answer)
						_ = conn.(*net.TCPConn).CloseWrite()
						_, _ = io.Copy(io.Discard, conn)
					}
				})
				s := run(t, quickAttack(url))
				if c.want == "" && s.OK != testPlanned || c.want != "" && s.Errors[c.want] != testPlanned {
					t.Errorf("ok %d, want %q: %v", s.OK, c.want, s.Errors)
				}
				seen = append(seen, counts{s.Planned, s.Sent, s.OK, s.Failed, s.Errors})
			})
			if diff := cmp.Diff(seen[0], seen[1]); diff != "" {
				t.Errorf("the transports differ:\n%s", diff)
			}
		})
	}
}

// quickAttack is testAttack ten times as fast, for servers that answer at once.
func quickAttack(url string) Attack {
	a := testAttack(url)
	a.Rate, a.Window = 1000, 20*time.Millisecond
	return a
}

// counts is what both transports must agree on. The totals hang on when the window begins, and
// Retried on whether the end of a kept connection is met or seen before.
type counts struct {
	Planned, Sent, OK, Failed uint64
	Errors                    map[string]uint64
}

// A server that keeps its connection gets all requests on it.
func TestConnectionsAreKept(t *testing.T) {
	for name, c := range map[string]struct {
		answer string
		kept   bool
	}{
		"a length":           {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true},
		"a long body":        {"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 100000), true},
		"no content":         {"HTTP/1.1 204 No Content\r\n\r\n", true},
		"chunks":             {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nA: b\r\n\r\n", true},
		"continue":           {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", true},
		"keep-alive":         {"HTTP/1.1 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok", true},
		"1.0 and keep-alive": {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok", true},
		"close":              {"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 2\r\n\r\nok", false},
		"close, in a list":   {"HTTP/1.1 200 OK\r\nConnection: foo, close\r\nContent-Length: 2\r\n\r\nok", false},
		"chunks and close":   {"HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", false},
		"1.0":                {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", false},
		"a status below 200": {"HTTP/1.1 099 Low\r\nContent-Length: 0\r\n\r\n", false},
	} {
		t.Run(name, func(t *testing.T) {
			overEach(t, func(t *testing.T, run attacker) {
				var opened atomic.Uint64
				url := raw(t, func(conn net.Conn) {
					opened.Add(1)
					for readHead(conn) {
						_, _ = io.WriteString(conn, c.answer)
					}
				})
				a := quickAttack(url)
				a.Connections, a.Requests[0].Expect = 1, []int{200, 204}
				s := run(t, a)
				want := uint64(1)
				if !c.kept {
					want = s.SentTotal
				}
				if opened.Load() != want || s.Retried != 0 {
					t.Errorf("%d connections for %d requests, want %d; retried %d, failed %v", opened.Load(), s.SentTotal, want, s.Retried, s.Errors)
				}
			})
		})
	}
}

// net/http may take such bytes for the next answer, if that is asked for at once.
func TestBytesNobodyAskedForEndTheConnection(t *testing.T) {
	var opened atomic.Uint64
	url := raw(t, func(c net.Conn) {
		opened.Add(1)
		for readHead(c) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n")
		}
	})
	a := quickAttack(url)
	a.Connections = 1
	s := mustDriveOver(t, a, func(Progress) {}, newLean)
	if s.OK != testPlanned || opened.Load() != s.OKTotal {
		t.Errorf("ok %d, failed %v; %d in all, on %d connections", s.OK, s.Errors, s.OKTotal, opened.Load())
	}
}

// An answer in two parts, the second of which comes 5 ms later, has a pause of as much at the least.
func TestPauses(t *testing.T) {
	const pause = 5 * time.Millisecond
	url := raw(t, func(c net.Conn) {
		for readHead(c) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
			<-time.After(pause)
			_, _ = io.WriteString(c, "ok")
		}
	})
	a := quickAttack(url)
	a.Connections = 1
	if s := mustDriveOver(t, a, func(Progress) {}, newLean); s.PauseSeconds != 0 {
		t.Errorf("%g s, which nobody asked for", s.PauseSeconds)
	}
	a.Pauses = true
	if s := mustDriveOver(t, a, func(Progress) {}, newLean); s.PauseSeconds < pause.Seconds()-0.001 { // of the time it took from its peer to it
		t.Errorf("pauses for %g s, want %s", s.PauseSeconds, pause)
	}
}

// A server may refuse a body without reading it, and one whose buffers are full may answer
// only when it is read from.
func TestLargeBodies(t *testing.T) {
	body := make([]byte, 8<<20)
	t.Run("read", func(t *testing.T) {
		overEach(t, func(t *testing.T, run attacker) {
			url, opened := serve(t, func(w http.ResponseWriter, r *http.Request) {
				if n, err := io.Copy(io.Discard, r.Body); n != int64(len(body)) || err != nil {
					t.Errorf("%d bytes, %v", n, err)
				}
			})
			a := testAttack(url)
			a.Requests[0].Method, a.Requests[0].Body, a.Connections = http.MethodPost, body, 1
			if s := run(t, a); s.OK != testPlanned || opened.Load() != 1 {
				t.Errorf("ok %d, failed %v, connections %d", s.OK, s.Errors, opened.Load())
			}
		})
	})
	t.Run("refused", func(t *testing.T) {
		overEach(t, func(t *testing.T, run attacker) {
			over := make(chan struct{})
			url := raw(t, func(c net.Conn) {
				if readHead(c) {
					_, _ = io.WriteString(c, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n")
					<-over // having read nothing
				}
			})
			t.Cleanup(func() { close(over) })
			a := testAttack(url)
			a.Requests[0].Method, a.Requests[0].Body, a.Connections = http.MethodPost, body, 1
			if s := run(t, a); s.Errors["unexpected_status_413"] != testPlanned {
				t.Errorf("ok %d, failed %v", s.OK, s.Errors)
			}
		})
	})
	t.Run("echoed", func(t *testing.T) {
		overEach(t, func(t *testing.T, run attacker) {
			url := raw(t, func(c net.Conn) {
				for readHead(c) {
					_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", len(body))
					_, _ = io.CopyN(c, c, int64(len(body)))
				}
			})
			a := testAttack(url)
			a.Requests[0].Method, a.Requests[0].Body, a.Connections = http.MethodPost, body, 1
			if s := run(t, a); s.OK != testPlanned {
				t.Errorf("ok %d, failed %v", s.OK, s.Errors)
			}
		})
	})
}

func TestTLS(t *testing.T) {
	for _, proto := range []string{"HTTP/1.1", "HTTP/2.0"} {
		t.Run(proto, func(t *testing.T) {
			s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.Proto != proto:
					w.WriteHeader(http.StatusHTTPVersionNotSupported)
				case r.URL.Path == "/broken":
					_, _ = io.WriteString(w, "some of it")
					w.(http.Flusher).Flush()
					panic(http.ErrAbortHandler)
				}
			}))
			s.EnableHTTP2 = proto == "HTTP/2.0"
			s.StartTLS()
			defer s.Close()
			a := testAttack(s.URL)
			if s := mustDrive(t, a); s.OK != testPlanned {
				t.Errorf("ok %d, failed %v", s.OK, s.Errors)
			}
			a.Requests[0].Path = "/broken"
			want := bodyCutShort
			if s.EnableHTTP2 {
				want = reset // of the stream
			}
			if s := mustDrive(t, a); s.Errors[want] != testPlanned {
				t.Errorf("ok %d, failed %v, want %s", s.OK, s.Errors, want)
			}
		})
	}
	t.Run("not spoken", func(t *testing.T) {
		url, _ := serve(t, quick)
		if s := mustDrive(t, testAttack("https"+strings.TrimPrefix(url, "http"))); s.Errors[malformed] != testPlanned {
			t.Errorf("ok %d, failed %v", s.OK, s.Errors)
		}
	})
}
