package targets

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"advise/targets/demo"
	"advise/targets/hold"
	"advise/targets/mask"
	"advise/targets/targetstest"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "guard":
			os.Exit(hold.Main(os.Stdin, os.Stdout))
		case "demo", "demo-worker":
			os.Exit(demoMain(os.Args[1], os.Args[2:]))
		case "misheard":
			os.Exit(misheard(os.Args[2], os.Args[3]))
		}
	}
	goleak.VerifyTestMain(m)
}

func demoMain(sub string, args []string) int {
	config, err := demo.ParseArgs(args)
	if err == nil && sub == "demo" {
		err = demo.Main(context.Background(), config, os.Stderr)
	} else if err == nil {
		err = demo.Worker(context.Background(), config)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "advise: error:", err)
		return 1
	}
	return 0
}

// marked is an environment by which everything a test starts can be found again.
func marked(t testing.TB) []string {
	t.Helper()
	mark := fmt.Sprintf("ADVISE_TEST_MARK=%s-%d-%d", strings.ReplaceAll(t.Name(), "/", "-"), os.Getpid(), time.Now().UnixNano())
	t.Cleanup(func() { targetstest.NothingLeft(t, mark) })
	return setenv(os.Environ(), "ADVISE_TEST_MARK", strings.TrimPrefix(mark, "ADVISE_TEST_MARK="))
}

// unlimited starts a target without limits.
func unlimited(t testing.TB, target *Target, workers int, change func(*Start)) (*Instance, error) {
	t.Helper()
	s := Start{
		Shape: Shape{Workers: workers}, Limits: hold.Limits{Method: hold.None},
		ReadyWithin: 20 * time.Second, Log: filepath.Join(t.TempDir(), "server.log"),
	}
	if change != nil {
		change(&s)
	}
	i, err := target.Start(t.Context(), s)
	if i != nil {
		t.Cleanup(func() {
			if err := i.Stop(context.Background()); err != nil {
				t.Errorf("stop: %v", err)
			}
		})
	}
	return i, err
}

// folder is a new folder with files in it.
func folder(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// failed asserts a StartError of a kind, and that its sentence and hint say certain things. It
// returns the lines of the log that came with it.
func failed(t testing.TB, err error, kind Kind, sentence, hint string) (log []string) {
	t.Helper()
	var start *StartError
	if !errors.As(err, &start) {
		t.Fatalf("got %v, want a StartError", err)
	}
	if start.Kind != kind || !strings.Contains(err.Error(), sentence) || !strings.Contains(start.Hint, hint) {
		t.Errorf("got kind %q, %q, hint %q;\nwant kind %q, %q, hint %q", start.Kind, err, start.Hint, kind, sentence, hint)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("the sentence has more than one line: %q", err)
	}
	return start.Log
}

func TestDemoStarts(t *testing.T) {
	target := Demo([]string{"--cpu", "0s", "--wait", "0s", "--memory", "0"}, marked(t), t.TempDir())
	i, err := unlimited(t, target, 3, nil)
	if err != nil {
		t.Fatal(err)
	}
	if i.WorkersSeen != 3 || i.Startup <= 0 {
		t.Errorf("%d workers seen after %v, want 3 after some time", i.WorkersSeen, i.Startup)
	}
	if n, err := i.Workers(); n != 3 || err != nil {
		t.Errorf("%d workers (%v), want 3", n, err)
	}
	if a := (Probe{}).ask(t.Context(), i.URL, 5*time.Second); a.status != http.StatusOK {
		t.Errorf("GET / %v", a)
	}
	if err := i.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p, err := i.Processes(); len(p) > 0 || err != nil {
		t.Errorf("left: %v (%v)", p, err)
	}
	if a := (Probe{}).ask(t.Context(), i.URL, 5*time.Second); a.String() != "refused" {
		t.Errorf("after the stop GET / %v", a)
	}
}

func TestFaults(t *testing.T) {
	// Time enough for both workers to start, on a slow machine too: that they did is in the sentences.
	quick := func(s *Start) { s.ReadyWithin = 3 * time.Second }
	for name, test := range map[string]struct {
		args     []string
		change   func(*Start)
		kind     Kind
		sentence string
		hint     string
	}{
		"exits at once": {
			[]string{"--fault-exit", "no database"},
			nil,
			KindExited, "start the demo server with 2 workers: ended before it was ready: exit code 1", "see what it does by itself: ",
		},
		"never listens": {
			[]string{"--fault-never-listen"},
			quick,
			KindNotReady, "start the demo server with 2 workers: not ready after 3s: 2 of 2 workers, GET / refused", "",
		},
		"answers 500": {[]string{"--fault-status", "500"}, nil, KindStatus, "GET / answered 500 Internal Server Error", "its log says why"},
		"answers 404": {[]string{"--fault-status", "404"}, nil, KindStatus, "GET / answered 404 Not Found", "--path /url"},
		"answers 401": {[]string{"--fault-status", "401"}, nil, KindStatus, "GET / answered 401 Unauthorized", "wants a login"},
		"answers 503": {[]string{"--fault-status", "503"}, quick, KindNotReady, "not ready after 3s: 2 of 2 workers, GET / answered 503", "503 all the time"},
		"too many workers": {
			[]string{"--fault-exit-above", "1"}, nil, KindExited, "start the demo server with 2 workers: ended", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := Demo(append([]string{"--cpu", "0s", "--wait", "0s", "--memory", "0"}, test.args...), marked(t), t.TempDir())
			_, err := unlimited(t, target, 2, test.change)
			log := failed(t, err, test.kind, test.sentence, test.hint)
			if test.kind == KindExited && len(log) == 0 {
				t.Error("no lines of the server's log")
			}
		})
	}
}

func TestForksAwayAndIgnoresTerm(t *testing.T) {
	for _, fault := range []string{"--fault-daemonise", "--fault-ignore-term"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			target := Demo([]string{"--cpu", "0s", "--wait", "0s", "--memory", "0", fault}, marked(t), t.TempDir())
			i, err := unlimited(t, target, 2, nil)
			if err != nil {
				t.Fatal(err)
			}
			impatient, cancel := context.WithCancel(t.Context())
			cancel()
			if err := i.Stop(impatient); err != nil {
				t.Fatal(err)
			}
			if p, err := i.Processes(); len(p) > 0 || err != nil {
				t.Errorf("left: %v (%v)", p, err)
			}
		})
	}
}

// needsTree skips where the listeners of a tree can't be known.
func needsTree(t testing.TB) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("which process listens is known on Linux alone")
	}
}

// portsOf gives out certain ports, and then free ones.
func portsOf(ports ...int) func() (int, error) {
	return func() (int, error) {
		if len(ports) == 0 {
			return freePort()
		}
		p := ports[0]
		ports = ports[1:]
		return p, nil
	}
}

func portOf(t testing.TB, l net.Listener) int {
	t.Helper()
	return l.Addr().(*net.TCPAddr).Port
}

func TestPortTakenBySomebodyElse(t *testing.T) {
	needsTree(t)
	// One that answers as a server would, so that the answer alone deceives.
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	defer other.Close()
	taken := portOf(t, other.Listener)

	target := Demo([]string{"--cpu", "0s", "--wait", "0s", "--memory", "0"}, marked(t), t.TempDir())
	target.port = portsOf(taken)
	i, err := unlimited(t, target, 2, nil)
	if err != nil {
		t.Fatalf("a second port was not tried: %v", err)
	}
	if strings.HasSuffix(i.URL, fmt.Sprint(":", taken)) {
		t.Errorf("it is at %s, which is another server's", i.URL)
	}

	target.port = func() (int, error) { return taken, nil }
	_, err = unlimited(t, target, 2, nil)
	failed(t, err, KindForeign, fmt.Sprint("port ", taken), "try again")
}

// A server that goes on trying for its port must not be taken for the one that answers there.
func TestAnswerOfAnotherProcess(t *testing.T) {
	needsTree(t)
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	defer other.Close()
	target, err := Recognise(Command{Argv: []string{"sleep", "60{port}"}, Env: marked(t), Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	target.port = func() (int, error) { return portOf(t, other.Listener), nil }
	_, err = unlimited(t, target, 1, nil)
	failed(t, err, KindForeign, "another process answers on port", "")
}

func TestInterruptedStart(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	target := Demo([]string{"--fault-never-listen"}, marked(t), t.TempDir())
	target.port = func() (int, error) {
		time.AfterFunc(100*time.Millisecond, cancel)
		return freePort()
	}
	_, err := target.Start(ctx, Start{Shape: Shape{Workers: 1}, Limits: hold.Limits{Method: hold.None}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
}

func TestNotFound(t *testing.T) {
	dir := folder(t, map[string]string{"serve": "#!/bin/sh\n", "bin/gunicorns": "", "bin/unicorn": ""})
	if err := os.WriteFile(filepath.Join(dir, "text"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	env := []string{"PATH=" + filepath.Join(dir, "bin")}
	for name, test := range map[string]struct {
		argv     []string
		sentence string
		hint     string
		is       error
	}{
		"misspelled":        {[]string{"unicron"}, "unicron was not found", "did you mean unicorn?", exec.ErrNotFound},
		"in the folder":     {[]string{"serve"}, "serve was not found", "advise -- ./serve", exec.ErrNotFound},
		"no such file":      {[]string{"./nothing"}, "./nothing was not found", "no such file in", exec.ErrNotFound},
		"gunicorn":          {[]string{"gunicorn", "app:app"}, "start gunicorn with 4 workers: gunicorn was not found", "pip install gunicorn", exec.ErrNotFound},
		"may not be run":    {[]string{"./text"}, "./text can't be run", "chmod +x ./text", os.ErrPermission},
		"nothing like this": {[]string{"zzzzzzzzzzz"}, "was not found", "is it installed", exec.ErrNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			target, err := Recognise(Command{Argv: test.argv, Env: env, Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			_, err = unlimited(t, target, 4, nil)
			failed(t, err, KindNotFound, test.sentence, test.hint)
			if !errors.Is(err, test.is) {
				t.Errorf("%v is not %v", err, test.is)
			}
		})
	}
}

func TestKilledForMemory(t *testing.T) {
	limits, _, err := hold.Choose(hold.Auto, hold.Limits{Memory: 48 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if limits.Memory == 0 {
		targetstest.Lacking(t, "a machine on which memory can be limited (cgroup)")
	}
	target := Demo([]string{"--cpu", "0s", "--wait", "0s", "--memory", "80M"}, marked(t), t.TempDir())
	_, err = unlimited(t, target, 3, func(s *Start) { s.Limits = limits })
	failed(t, err, KindKilledForMemory, "start the demo server with 3 workers: killed for memory", "--mem")
}

func TestLog(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	text := strings.Repeat("x", 400) + "\n\x1b[31mred\x1b[0m\x07\npostgres://me:hidden@db/x\n\n" + strings.Repeat("line\n", 7)
	if err := os.WriteFile(log, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	lines := tail(log, mask.Known{})
	if len(lines) != 10 || len(lines[0]) != longestLine+3 || lines[1] != "red" || lines[2] != "postgres://***@db/x" {
		t.Errorf("got %q", lines)
	}
	target := &Target{Adapter: gunicorn{}}
	ends := []string{"RuntimeError: no database"}
	for range 20 {
		ends = append(ends, "[2026-11-21 09:49:40 +0000] [1034] [INFO] Worker exiting (pid: 1)",
			"[2026-11-21 09:49:40 +0000] [1034] [ERROR] Worker (pid:1062) was sent SIGTERM!")
	}
	if got := target.telling(ends); len(got) != 1 || got[0] != ends[0] {
		t.Errorf("the cause is lost among %q", got)
	}
	if got := target.telling(ends[1:]); len(got) != logLines {
		t.Errorf("%d lines where there is nothing but chatter, want %d", len(got), logLines)
	}
}
