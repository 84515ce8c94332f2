package hold_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"advise/targets/hold"
)

// The test binary stands for advise, and for the servers that advise holds.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "guard":
			os.Exit(hold.Main(os.Stdin, os.Stdout))
		case "server":
			serve(os.Args[2:])
			os.Exit(0)
		case "advise":
			beAdvise(os.Args[2:])
			os.Exit(0)
		}
	}
	os.Exit(run(m))
}

// serve is a server of one bad habit.
func serve(args []string) {
	switch args[0] {
	case "idle":
		forever()
	case "exit":
		code, _ := strconv.Atoi(args[1])
		os.Exit(code)
	case "deaf":
		signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT)
		fmt.Println("ready")
		forever()
	case "polite":
		asked := make(chan os.Signal, 1)
		signal.Notify(asked, syscall.SIGTERM, syscall.SIGQUIT)
		fmt.Println("ready")
		fmt.Println("asked by", <-asked)
	case "cpus":
		fmt.Println("cpus", runtime.NumCPU(), "of", allowed())
	case "burn":
		fmt.Println("ready")
		for n := 0; ; n++ {
			_ = n
		}
	case "eat":
		size, _ := strconv.Atoi(args[1])
		block := make([]byte, size)
		for i := 0; i < len(block); i += os.Getpagesize() {
			block[i] = 1
		}
		fmt.Println("ready")
		forever()
		runtime.KeepAlive(block)
	case "listen":
		l, err := net.Listen("tcp", args[1])
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("ready", l.Addr())
		forever()
	case "env":
		fmt.Println(strings.Join(os.Environ(), "\n"))
	case "daemon": // a fork that leaves its parent, its group and its session, and forks once more
		child(&syscall.SysProcAttr{Setsid: true}, "middle")
	case "middle":
		child(&syscall.SysProcAttr{Setsid: true}, "deaf")
		child(&syscall.SysProcAttr{Setpgid: true}, "idle")
	case "workers":
		for range 3 {
			child(nil, "deaf")
		}
		fmt.Println("ready")
		forever()
	default:
		fmt.Println("no such server", args)
		os.Exit(1)
	}
}

// forever waits without the deadlock that the runtime sees in an empty select.
func forever() {
	for {
		time.Sleep(time.Hour)
	}
}

func child(attr *syscall.SysProcAttr, args ...string) {
	c := exec.Command(self(), append([]string{"server"}, args...)...)
	c.Stdout, c.Stderr, c.SysProcAttr = os.Stdout, os.Stderr, attr
	if err := c.Start(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func self() string {
	path, err := os.Executable()
	if err != nil {
		panic(err)
	}
	return path
}

// beAdvise starts trees until it is killed.
func beAdvise(args []string) {
	var s hold.Spec
	if err := json.Unmarshal([]byte(args[0]), &s); err != nil {
		panic(err)
	}
	for {
		t, err := hold.Start(context.Background(), s)
		if err != nil {
			panic(err)
		}
		fmt.Println("started", t.PID())
		if args[1] == "stay" {
			<-t.Done()
		}
		if err := t.Stop(context.Background(), syscall.SIGTERM, 0); err != nil {
			panic(err)
		}
	}
}

func server(t *testing.T, l hold.Limits, args ...string) (hold.Spec, func() string) {
	t.Helper()
	log := filepath.Join(t.TempDir(), "log")
	s := hold.Spec{
		Argv:   append([]string{self(), "server"}, args...),
		Env:    []string{"PATH=" + os.Getenv("PATH"), "MARK=" + mark(t)},
		Log:    log,
		Limits: l,
	}
	return s, func() string {
		text, err := os.ReadFile(log)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		return string(text)
	}
}

// mark is in the environment of the processes of this test and of no others.
func mark(t *testing.T) string { return fmt.Sprintf("%s-%d", t.Name(), os.Getpid()) }

func begin(t *testing.T, s hold.Spec) *hold.Tree {
	t.Helper()
	goleak.VerifyNone(t)
	tree, err := hold.Start(context.Background(), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := tree.Stop(cancelled(), syscall.SIGTERM, 0); err != nil {
			t.Error(err)
		}
		<-tree.Done()
		goleak.VerifyNone(t)
		nothingLeft(t)
	})
	return tree
}

func cancelled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// eventually polls for what no channel tells.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("not within 20 s: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// each runs the test with every method that this machine has.
func each(t *testing.T, l hold.Limits, test func(t *testing.T, l hold.Limits)) {
	t.Helper()
	for _, m := range methods(t) {
		t.Run(string(m), func(t *testing.T) {
			held, lacks, err := hold.Choose(m, l)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%+v, lacking: %q", held, lacks)
			test(t, held)
		})
	}
}

func isCgroup(m hold.Method) bool { return m == hold.Cgroup1 || m == hold.Cgroup2 }

func TestExit(t *testing.T) {
	each(t, hold.Limits{}, func(t *testing.T, l hold.Limits) {
		s, _ := server(t, l, "exit", "7")
		s.Remove = []string{filepath.Join(t.TempDir(), "gone")}
		if err := os.WriteFile(s.Remove[0], nil, 0o600); err != nil {
			t.Fatal(err)
		}
		tree := begin(t, s)
		<-tree.Done()
		if e, ok := tree.Exit(); !ok || e != (hold.Exit{Code: 7}) {
			t.Errorf("exit: got %v %v, want code 7", e, ok)
		}
		if err := tree.Err(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(s.Remove[0]); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("the file to remove: got %v, want that it is gone", err)
		}
		if _, err := tree.Usage(); err != nil {
			t.Errorf("usage after the end: %v", err)
		}
	})
}

func TestPolite(t *testing.T) {
	each(t, hold.Limits{}, func(t *testing.T, l hold.Limits) {
		s, log := server(t, l, "polite")
		tree := begin(t, s)
		eventually(t, "the server is ready", func() bool { return strings.Contains(log(), "ready") })
		if err := tree.Stop(context.Background(), syscall.SIGQUIT, time.Minute); err != nil {
			t.Fatal(err)
		}
		if e, ok := tree.Exit(); !ok || e != (hold.Exit{}) {
			t.Errorf("exit: got %v %v, want code 0", e, ok)
		}
		if !strings.Contains(log(), "asked by quit") {
			t.Errorf("log: %q", log())
		}
		info, err := os.Stat(s.Log)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("log: mode %v %v, want 0600", info.Mode(), err)
		}
	})
}

func TestDeaf(t *testing.T) {
	each(t, hold.Limits{}, func(t *testing.T, l hold.Limits) {
		s, log := server(t, l, "workers")
		tree := begin(t, s)
		eventually(t, "the server and its workers are ready", func() bool { return strings.Count(log(), "ready") == 4 })
		procs, err := tree.Processes()
		if err != nil || len(procs) != 4 {
			t.Fatalf("processes: %v %v, want 4", procs, err)
		}
		if err := tree.Stop(context.Background(), syscall.SIGTERM, 0); err != nil {
			t.Fatal(err)
		}
	})
}

func TestDaemon(t *testing.T) {
	each(t, hold.Limits{}, func(t *testing.T, l hold.Limits) {
		s, log := server(t, l, "daemon")
		tree := begin(t, s)
		eventually(t, "the started process has ended, two daemons live", func() bool {
			_, exited := tree.Exit()
			procs, err := tree.Processes()
			return err == nil && exited && strings.Contains(log(), "ready") && len(procs) == 2
		})
		if err := tree.Stop(context.Background(), syscall.SIGTERM, 0); err != nil {
			t.Fatal(err)
		}
	})
}

func TestFirstInstructionIsPinned(t *testing.T) {
	last := slices.Max(usableCPUs(t))
	each(t, hold.Limits{CPUs: []int{last}}, func(t *testing.T, l hold.Limits) {
		s, log := server(t, l, "cpus")
		tree := begin(t, s)
		<-tree.Done()
		want := fmt.Sprintf("cpus 1 of %d\n", last)
		if l.Method == hold.None {
			want = fmt.Sprintf("cpus %d of %s\n", runtime.NumCPU(), allowed())
		}
		if log() != want {
			t.Errorf("got %q, want %q", log(), want)
		}
	})
}

func TestMemoryLimitKills(t *testing.T) {
	const limit = 64 << 20
	each(t, hold.Limits{Memory: limit}, func(t *testing.T, l hold.Limits) {
		if !isCgroup(l.Method) {
			if l.Memory != 0 {
				t.Errorf("chosen: %+v, want that memory is not claimed", l)
			}
			return
		}
		s, log := server(t, l, "eat", strconv.Itoa(2*limit))
		tree := begin(t, s)
		<-tree.Done()
		if e, ok := tree.Exit(); !ok || e.Signal != syscall.SIGKILL {
			t.Errorf("exit: got %v %v (%s), want SIGKILL", e, ok, log())
		}
		u, err := tree.Usage()
		if err != nil || u.OOMKills == 0 || u.MemoryPeak > limit || u.MemoryPeak < limit/2 {
			t.Errorf("usage: %+v %v", u, err)
		}
	})
}

func TestQuotaThrottles(t *testing.T) {
	each(t, hold.Limits{Quota: 0.25}, func(t *testing.T, l hold.Limits) {
		if !isCgroup(l.Method) {
			if l.Quota != 0 {
				t.Errorf("chosen: %+v, want that the quota is not claimed", l)
			}
			return
		}
		s, _ := server(t, l, "burn")
		tree := begin(t, s)
		// The kernel itself counts the periods: five of 100 ms hold at most five quotas, plus what
		// two CPUs may run on for before they notice, and one period more that has just begun.
		var u hold.Usage
		eventually(t, "it is throttled in five periods", func() bool {
			var err error
			u, err = tree.Usage()
			return err == nil && u.ThrottledPeriods >= 5
		})
		budget := time.Duration(float64(u.Periods+1) * 0.25 * float64(100*time.Millisecond))
		if !u.HasQuota || !u.Counted || u.CPU > budget*5/4 || u.Throttled == 0 {
			t.Errorf("usage: %+v, want at most %v", u, budget)
		}
	})
}

func TestUsageAndMemory(t *testing.T) {
	each(t, hold.Limits{}, func(t *testing.T, l hold.Limits) {
		s, log := server(t, l, "eat", strconv.Itoa(32<<20))
		tree := begin(t, s)
		eventually(t, "it has eaten", func() bool { return strings.Contains(log(), "ready") })
		m, err := tree.Memory()
		if err != nil || m.PSS < 32<<20 || m.PSS > 128<<20 || !m.Exact {
			t.Errorf("memory: %+v %v, want 32 MiB and a little", m, err)
		}
		u, err := tree.Usage()
		if err != nil || (isCgroup(l.Method) && (u.MemoryCharged < 32<<20 || u.MemoryPeak < u.MemoryCharged)) {
			t.Errorf("usage: %+v %v", u, err)
		}
		if u.Counted != isCgroup(l.Method) {
			t.Errorf("usage: %+v, counted by the kernel only in a cgroup", u)
		}
	})
}

func TestCPUTimeOfWorkersThatEnded(t *testing.T) {
	each(t, hold.Limits{}, func(t *testing.T, l hold.Limits) {
		s, _ := server(t, l, "burn")
		tree := begin(t, s)
		eventually(t, "it has burned 50 ms", func() bool {
			u, err := tree.Usage()
			return err == nil && u.CPU >= 50*time.Millisecond
		})
		if err := tree.Stop(cancelled(), syscall.SIGTERM, 0); err != nil {
			t.Fatal(err)
		}
		if u, err := tree.Usage(); err != nil || u.CPU < 50*time.Millisecond {
			t.Errorf("usage after the end: %+v %v", u, err)
		}
	})
}

func TestListening(t *testing.T) {
	each(t, hold.Limits{}, func(t *testing.T, l hold.Limits) {
		s, log := server(t, l, "listen", "127.0.0.1:0")
		tree := begin(t, s)
		eventually(t, "it listens", func() bool { return strings.Contains(log(), "ready") })
		got, err := tree.Listening()
		want := strings.TrimSpace(strings.TrimPrefix(log(), "ready "))
		if err != nil || len(got) != 1 || got[0].String() != want {
			t.Errorf("listening: %v %v, want %s", got, err, want)
		}
	})
}

func TestNotStarted(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode fs.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct {
		name string
		argv []string
		want error
	}{
		{"no such name", []string{"advise-no-such-program"}, exec.ErrNotFound},
		{"no such path", []string{dir + "/none"}, exec.ErrNotFound},
		{"relative to the folder", []string{"./none"}, exec.ErrNotFound},
		{"not executable", []string{write("text", "x", 0o644)}, fs.ErrPermission},
		{"a folder", []string{dir}, fs.ErrPermission},
		{"a script of no interpreter", []string{write("script", "#!/no/such/shell\n", 0o755)}, exec.ErrNotFound},
		{"no program", []string{write("junk", "\x01\x02\x03", 0o755)}, syscall.ENOEXEC},
		{"nothing", nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			goleak.VerifyNone(t)
			tree, err := hold.Start(context.Background(), hold.Spec{Argv: c.argv, Dir: dir, Env: os.Environ(), Limits: hold.Limits{Method: hold.None}})
			if err == nil {
				_ = tree.Stop(cancelled(), syscall.SIGTERM, 0)
				t.Fatal("started")
			}
			t.Log(err)
			if c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			goleak.VerifyNone(t)
		})
	}
}

func TestStartIsGivenUp(t *testing.T) {
	s, _ := server(t, hold.Limits{Method: hold.None}, "idle")
	if _, err := hold.Start(cancelled(), s); !errors.Is(err, context.Canceled) && err != nil {
		t.Errorf("got %v", err)
	}
	goleak.VerifyNone(t)
	nothingLeft(t)
}

func TestSignalsAreNotInheritedIgnored(t *testing.T) {
	s, log := server(t, hold.Limits{Method: hold.None}, "idle")
	tree := begin(t, s)
	_ = log
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", tree.PID()))
	if err != nil {
		t.Skip(err)
	}
	for line := range strings.Lines(string(text)) {
		if mask, ok := strings.CutPrefix(line, "SigIgn:"); ok && strings.Trim(mask, "\t0\n") != "" {
			t.Errorf("the server was started with signals ignored: %s", mask)
		}
	}
}
