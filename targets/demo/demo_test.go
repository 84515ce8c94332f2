package demo

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "demo":
			os.Exit(subcommand(func(c Config) error { return Main(context.Background(), c, os.Stderr) }))
		case "demo-worker":
			os.Exit(subcommand(func(c Config) error { return Worker(context.Background(), c) }))
		}
	}
	goleak.VerifyTestMain(m)
}

func subcommand(run func(Config) error) int {
	c, err := ParseArgs(os.Args[2:])
	if err == nil {
		err = run(c)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "advise: error:", err)
		return 1
	}
	return 0
}

// quick is a server that costs next to nothing, at a free port.
func quick(workers int) Config {
	c := Default()
	c.Workers, c.Port = workers, 0
	c.CPU, c.Wait, c.Memory = 0, 0, 0
	return c
}

// A server is a demo server in processes of its own.
type server struct {
	t       testing.TB
	cmd     *exec.Cmd
	lines   chan string
	seen    []string
	network string
	address string
	workers map[int]bool
	ended   bool
}

// start runs the server and waits until all its workers are started.
func start(t testing.TB, c Config) *server {
	t.Helper()
	s := launch(t, c)
	for s.address == "" || len(s.workers) < c.Workers {
		s.next()
	}
	return s
}

func launch(t testing.TB, c Config) *server {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd, err := command("demo", c, w)
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	s := &server{t: t, cmd: cmd, lines: make(chan string, 1000), workers: map[int]bool{}}
	go func() {
		defer close(s.lines)
		defer r.Close()
		for in := bufio.NewScanner(r); in.Scan(); {
			s.lines <- in.Text()
		}
	}()
	t.Cleanup(func() {
		if !s.ended {
			_ = cmd.Process.Kill()
			s.end()
		}
	})
	return s
}

var event = regexp.MustCompile(`^demo: (?:listening at (http://|unix:)(.*)|worker (\d+) (started|ended).*)$`)

// next reads one line of the log and notes what it says. At the end of the log it fails the test.
func (s *server) next() string {
	s.t.Helper()
	line, ok := <-s.lines
	if !ok {
		s.t.Fatalf("server ended:\n%s", strings.Join(s.seen, "\n"))
	}
	s.note(line)
	return line
}

func (s *server) note(line string) {
	s.seen = append(s.seen, line)
	m := event.FindStringSubmatch(line)
	if m == nil {
		return
	}
	pid, _ := strconv.Atoi(m[3])
	switch {
	case m[1] != "":
		s.network, s.address = map[string]string{"http://": "tcp", "unix:": "unix"}[m[1]], m[2]
	case m[4] == "started":
		s.workers[pid] = true
	default:
		delete(s.workers, pid)
	}
}

// end waits for the end of the master, and of everything that has its standard error: the workers.
func (s *server) end() (log string, exit *os.ProcessState) {
	s.t.Helper()
	_ = s.cmd.Wait()
	s.ended = true
	for line := range s.lines {
		s.note(line)
	}
	return strings.Join(s.seen, "\n"), s.cmd.ProcessState
}

func (s *server) signal(sig unix.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) dial() net.Conn {
	s.t.Helper()
	conn, err := net.Dial(s.network, s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	return conn
}

type answer struct {
	status, worker int
	body           string
}

func (s *server) get(path string) answer {
	s.t.Helper()
	a, err := s.try(path)
	if err != nil {
		s.t.Fatal(err)
	}
	return a
}

func (s *server) try(path string) (answer, error) {
	conn, err := net.Dial(s.network, s.address)
	if err != nil {
		return answer{}, err
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: demo\r\n\r\n", path); err != nil {
		return answer{}, err
	}
	return read(conn)
}

func read(conn net.Conn) (answer, error) {
	r, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return answer{}, err
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return answer{}, err
	}
	if !r.Close {
		return answer{}, fmt.Errorf("answer without Connection: close")
	}
	worker, err := strconv.Atoi(r.Header.Get("X-Worker"))
	return answer{r.StatusCode, worker, string(body)}, err
}

// drive sends n requests over so many connections at a time. It fails the test unless all are answered 200.
func (s *server) drive(n, connections int) {
	s.t.Helper()
	var wait sync.WaitGroup
	tickets := make(chan struct{}, n)
	for range n {
		tickets <- struct{}{}
	}
	close(tickets)
	for range connections {
		wait.Go(func() {
			for range tickets {
				if a, err := s.try("/"); err != nil || a.status != http.StatusOK {
					s.t.Errorf("request: %v %v", a, err)
					return
				}
			}
		})
	}
	wait.Wait()
}

func TestAnswers(t *testing.T) {
	s := start(t, quick(1))
	for path, status := range map[string]int{"/": 200, "/any/path?q=1": 200, "/fail": 500, "/missing": 404} {
		a := s.get(path)
		if a.status != status || !s.workers[a.worker] || a.body != fmt.Sprintf("demo worker %d\n", a.worker) {
			t.Errorf("%s: got %+v, want status %d from one of %v", path, a, status, s.workers)
		}
	}
	for _, c := range []struct{ request, status string }{
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 200000\r\n\r\n" + strings.Repeat("x", 200000), "HTTP/1.1 200 OK"},
		{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "HTTP/1.1 200 OK"},
		{"HEAD / HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK"},
		{"no HTTP at all\r\n\r\n", "HTTP/1.1 400 Bad Request"},
	} {
		conn := s.dial()
		if _, err := io.WriteString(conn, c.request); err != nil {
			t.Fatal(err)
		}
		all, err := io.ReadAll(conn)
		conn.Close()
		if got, _, _ := strings.Cut(string(all), "\r\n"); err != nil || got != c.status {
			t.Errorf("%.40q: got %q, %v, want %q", c.request, got, err, c.status)
		}
		if strings.HasPrefix(c.request, "HEAD") && !strings.HasSuffix(string(all), "\r\n\r\n") {
			t.Errorf("HEAD: answer with a body: %q", all)
		}
	}
}

// A worker that has a connection takes no other: whatever arrives meanwhile is for the second one.
func TestOneRequestAtATime(t *testing.T) {
	s := start(t, quick(2))
	held := s.dial()
	defer held.Close()
	if _, err := io.WriteString(held, "GET / HTTP/1.1\r\n"); err != nil {
		t.Fatal(err)
	}
	other := s.get("/").worker
	for range 50 {
		if w := s.get("/").worker; w != other {
			t.Fatalf("worker %d answered, but it must be busy: only %d is free", w, other)
		}
	}
	if _, err := io.WriteString(held, "Host: a\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if a, err := read(held); err != nil || a.worker == other {
		t.Errorf("held connection: got %+v, %v; want an answer by another worker than %d", a, err, other)
	}
}

func TestUnixSocketReplacesStaleOne(t *testing.T) {
	c := quick(1)
	dir, err := os.MkdirTemp("", "demo") // t.TempDir can be too long for a socket's name
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	c.Socket = filepath.Join(dir, "s")
	killed := start(t, c)
	killed.signal(unix.SIGKILL)
	killed.end()

	s := start(t, c)
	if a := s.get("/"); a.status != 200 {
		t.Errorf("got %+v", a)
	}
	if log, exit := launch(t, c).end(); exit.ExitCode() != 1 || !strings.Contains(log, "address already in use") {
		t.Errorf("second server at one socket: %v: %s", exit, log)
	}
	s.signal(unix.SIGTERM)
	s.end()
	if _, err := os.Lstat(c.Socket); !os.IsNotExist(err) {
		t.Errorf("socket after the end: %v, want none", err)
	}
}

// A file of the user's that is given as the socket by mistake refuses a connection, as a stale socket does.
func TestUnixSocketLeavesAFile(t *testing.T) {
	c := quick(1)
	c.Socket = filepath.Join(t.TempDir(), "s")
	if err := os.WriteFile(c.Socket, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if log, exit := launch(t, c).end(); exit.ExitCode() != 1 || !strings.Contains(log, "address already in use") {
		t.Errorf("%v: %s", exit, log)
	}
	if text, err := os.ReadFile(c.Socket); err != nil || string(text) != "mine" {
		t.Errorf("the file is %q, %v", text, err)
	}
}

func TestCountChangesBySignal(t *testing.T) {
	s := start(t, quick(1))
	first := s.get("/").worker
	s.signal(unix.SIGTTIN)
	for len(s.workers) != 2 {
		s.next()
	}
	s.signal(unix.SIGTTOU)
	for len(s.workers) != 1 {
		s.next()
	}
	if s.workers[first] {
		t.Errorf("TTOU took the newer worker, want the oldest, %d, gone", first)
	}
	s.signal(unix.SIGTTOU) // one worker stays
	s.signal(unix.SIGTTIN)
	for len(s.workers) != 2 {
		s.next()
	}
	if a := s.get("/"); !s.workers[a.worker] {
		t.Errorf("answered by %d, want one of %v", a.worker, s.workers)
	}
}

func TestKilledWorkerIsReplaced(t *testing.T) {
	c := quick(1)
	c.Serial = time.Microsecond
	s := start(t, c)
	first := s.get("/").worker
	if err := unix.Kill(first, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for s.workers[first] || len(s.workers) == 0 {
		s.next()
	}
	if a := s.get("/"); a.worker == first || a.status != 200 {
		t.Errorf("got %+v, want an answer by a new worker", a)
	}
}

// The log ends when all who write to it have ended, the workers among them: were one left, end would not
// return.
func TestKilledMasterLeavesNothing(t *testing.T) {
	s := start(t, quick(3))
	s.get("/")
	s.signal(unix.SIGKILL)
	s.end()
	if len(s.workers) != 3 {
		t.Errorf("%d workers at the end, want 3 that nobody has told to stop", len(s.workers))
	}
}

func TestStopFinishesRequestInHand(t *testing.T) {
	for _, sig := range []unix.Signal{unix.SIGTERM, unix.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			s := start(t, quick(1))
			held := s.occupy()
			defer held.Close()
			s.signal(sig)
			for line := s.next(); line != "demo: stopping"; {
				line = s.next()
			}
			if _, err := io.WriteString(held, "x"); err != nil {
				t.Fatal(err)
			}
			if a, err := read(held); err != nil || a.status != 200 {
				t.Errorf("got %+v, %v", a, err)
			}
			if log, exit := s.end(); !exit.Success() {
				t.Errorf("%v: %s", exit, log)
			}
		})
	}
}

func TestQuitEndsAtOnce(t *testing.T) {
	s := start(t, quick(1))
	held := s.occupy()
	defer held.Close()
	s.signal(unix.SIGQUIT)
	if log, exit := s.end(); !exit.Success() || len(s.workers) != 0 {
		t.Errorf("%v: %s", exit, log)
	}
	if a, err := read(held); err == nil {
		t.Errorf("got %+v, want the connection cut", a)
	}
}

// occupy makes a worker read a request of which the last byte is still to come. The body is larger than
// what the kernel buffers, so when it has been written a worker is reading it.
func (s *server) occupy() net.Conn {
	s.t.Helper()
	const size = 48 << 20
	conn := s.dial()
	fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", size)
	if _, err := conn.Write(make([]byte, size-1)); err != nil {
		s.t.Fatal(err)
	}
	return conn
}

func TestStuckClientIsLeft(t *testing.T) {
	t.Parallel()
	s := start(t, quick(1))
	held := s.dial()
	defer held.Close()
	fmt.Fprint(held, "GET / HTTP/1.1\r\n")
	// The only worker answers this one after it has given up on the first.
	if a := s.get("/"); a.status != 200 {
		t.Errorf("got %+v", a)
	}
}

func TestFaults(t *testing.T) {
	t.Run("exit", func(t *testing.T) {
		c := quick(1)
		c.Faults.Exit = "no database"
		if log, exit := launch(t, c).end(); exit.ExitCode() != 1 || log != "advise: error: no database" {
			t.Errorf("%v: %s", exit, log)
		}
	})
	t.Run("exit above", func(t *testing.T) {
		c := quick(3)
		c.Faults.ExitAbove = 2
		if log, exit := launch(t, c).end(); exit.ExitCode() != 1 || !strings.Contains(log, "start 3 workers") {
			t.Errorf("%v: %s", exit, log)
		}
		c.Workers = 2
		if a := start(t, c).get("/"); a.status != 200 {
			t.Errorf("at 2 workers: got %+v", a)
		}
	})
	t.Run("never listen", func(t *testing.T) {
		c := quick(2)
		c.Faults.NeverListen = true
		s := launch(t, c)
		for len(s.workers) < 2 {
			s.next()
		}
		if s.address != "" {
			t.Errorf("listens at %s", s.address)
		}
		s.signal(unix.SIGTERM)
		if log, exit := s.end(); !exit.Success() {
			t.Errorf("%v: %s", exit, log)
		}
	})
	t.Run("die after", func(t *testing.T) {
		c := quick(3)
		c.Faults.DieAfter = 20
		s := start(t, c)
		for range 19 {
			s.get("/")
		}
		_, _ = s.try("/") // its answer may or may not come through
		if log, exit := s.end(); exit.ExitCode() != 1 || !strings.Contains(log, "died after 20 requests") || len(s.workers) != 0 {
			t.Errorf("%v: %s", exit, log)
		}
	})
	t.Run("ignore SIGTERM", func(t *testing.T) {
		c := quick(1)
		c.Faults.IgnoreTerm = true
		s := start(t, c)
		first := s.get("/").worker
		s.signal(unix.SIGTERM)
		if err := unix.Kill(first, unix.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if a := s.get("/"); a.worker != first {
			t.Errorf("after SIGTERM: got %+v, want %d to answer", a, first)
		}
		s.signal(unix.SIGQUIT)
		s.end()
	})
	t.Run("daemonise", func(t *testing.T) {
		c := quick(1)
		c.Faults.Daemonise = true
		s := launch(t, c)
		for s.address == "" || len(s.workers) < 1 {
			s.next()
		}
		if err := s.cmd.Wait(); err != nil {
			t.Errorf("starter: %v", err)
		}
		session, err := unix.Getsid(s.get("/").worker)
		if err != nil || session == s.cmd.Process.Pid {
			t.Errorf("session %d, %v: want one of its own", session, err)
		}
		if own, _ := unix.Getsid(0); own == session {
			t.Errorf("worker is in our session %d", own)
		}
		// The leader of the session is the master.
		if err := unix.Kill(session, unix.SIGTERM); err != nil {
			t.Error(err)
		}
		s.end()
	})
	t.Run("outlive", func(t *testing.T) {
		c := quick(1)
		c.Faults.Outlive = true
		s := start(t, c)
		worker := s.get("/").worker
		s.signal(unix.SIGKILL)
		_ = s.cmd.Wait()
		if a := s.get("/"); a.worker != worker {
			t.Errorf("got %+v, want an answer by %d", a, worker)
		}
		if err := unix.Kill(worker, unix.SIGTERM); err != nil {
			t.Error(err)
		}
		s.end()
	})
	t.Run("status", func(t *testing.T) {
		c := quick(1)
		c.Faults.Status, c.Faults.StatusShare = 503, 0.25
		s := start(t, c)
		failed := 0
		for range 400 {
			if s.get("/").status == 503 {
				failed++
			}
		}
		// Binomial(400, 0.25) has mean 100 and standard deviation 8.7; the seed makes it the same each time.
		if failed < 65 || failed > 135 {
			t.Errorf("%d of 400 answered 503, want about 100", failed)
		}
	})
	t.Run("status above", func(t *testing.T) {
		c := quick(2)
		c.Faults.Status, c.Faults.StatusAbove = 500, 2
		if a := start(t, c).get("/"); a.status != 200 {
			t.Errorf("at 2 workers: got %+v", a)
		}
		c.Workers = 3
		if a := start(t, c).get("/"); a.status != 500 {
			t.Errorf("at 3 workers: got %+v", a)
		}
	})
}

func TestWorkerThatCannotServeEndsTheServer(t *testing.T) {
	c := quick(2)
	c.Memory = 1 << 60
	if log, exit := launch(t, c).end(); exit.ExitCode() != 1 || !strings.Contains(log, "take 1152921504606846976 bytes of memory") {
		t.Errorf("%v: %s", exit, log)
	}
}
