package hold_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
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
	if os.Getpid() == 1 {
		os.Exit(beInit())
	}
	os.Exit(m.Run())
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
	case "pid":
		fmt.Println(os.Getpid())
		forever()
	case "connect":
		c, err := net.Dial("tcp", args[1])
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		defer func() { _ = c.Close() }() // it stays open as long as this waits
		fmt.Println("ready")
		forever()
	case "env":
		fmt.Println(strings.Join(os.Environ(), "\n"))
	case "daemon": // a fork that leaves its parent, its group and its session, and forks once more
		child(&syscall.SysProcAttr{Setsid: true}, "middle")
	case "middle":
		child(&syscall.SysProcAttr{Setsid: true}, "deaf")
		child(&syscall.SysProcAttr{Setpgid: true}, "idle")
	case "habits": // all of them: deaf, with workers, a daemon, and a file
		child(nil, "daemon")
		serve([]string{"workers"})
	case "workers":
		if path := os.Getenv("TOUCH"); path != "" {
			_ = os.WriteFile(path, nil, 0o600)
		}
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

// beAdvise starts trees until it is killed; or one, in a namespace (to stay) or together with it, and beside
// a folder.
func beAdvise(args []string) {
	var s hold.Spec
	if err := json.Unmarshal([]byte(args[0]), &s); err != nil {
		panic(err)
	}
	how, _ := strings.CutSuffix(args[1], "-folder")
	if how != args[1] {
		if _, err := hold.NewFolder(); err != nil {
			panic(err)
		}
	}
	for {
		t, err := hold.Start(context.Background(), s)
		if err != nil {
			panic(err)
		}
		guard, _ := t.Guard()
		fmt.Println("started", guard, t.PID(), t.First())
		if how != "restart" {
			<-t.Done()
			return
		}
		if err := t.Stop(cancelled(), syscall.SIGTERM, 0); err != nil {
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
		// The kernel lets a charge through, of pages and not more, to make progress while it kills.
		u, err := tree.Usage()
		if err != nil || u.OOMKills == 0 || u.MemoryPeak > limit+limit/16 || u.MemoryPeak < limit/2 {
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
		// The kernel itself counts the periods, so no clock of ours matters. What a CPU runs on for
		// before it notices, on emulated ones or while the host takes them away, is a debt that later
		// periods pay: the usage comes to be within half of what the periods allow. Without the quota, or
		// with twice as much, it never would.
		var u hold.Usage
		defer func() { t.Logf("usage: %+v", u) }()
		eventually(t, "it is throttled in eight periods and has used what they allow", func() bool {
			var err error
			u, err = tree.Usage()
			budget := time.Duration(float64(u.Periods+1) * 0.25 * float64(100*time.Millisecond))
			return err == nil && u.ThrottledPeriods >= 8 && u.CPU <= budget*3/2
		})
		if !u.HasQuota || !u.Counted || u.Throttled == 0 {
			t.Error("it is not counted")
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
		var each int64
		for _, bytes := range m.ByProcess {
			each += bytes
		}
		if each != m.PSS+m.SwapPSS || len(m.ByProcess) == 0 {
			t.Errorf("by process: %v, want %d in all", m.ByProcess, m.PSS+m.SwapPSS)
		}
		u, err := tree.Usage()
		if err != nil || (isCgroup(l.Method) && (u.MemoryCharged < 32<<20 || u.MemoryPeak < u.MemoryCharged)) {
			t.Errorf("usage: %+v %v", u, err)
		}
		if u.Counted != isCgroup(l.Method) {
			t.Errorf("usage: %+v, counted by the kernel only in a cgroup", u)
		}
		if _, err := os.ReadFile("/proc/pressure/io"); u.HasPressure != (l.Method == hold.Cgroup2 && err == nil) {
			t.Errorf("usage: %+v, pressure is told by a cgroup v2 where the kernel keeps it (%v)", u, err)
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
		eventually(t, "a process has burned them", func() bool {
			processes, err := tree.Processes()
			return err == nil && slices.ContainsFunc(processes, func(p hold.Process) bool { return p.CPU >= 50*time.Millisecond })
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

func TestSignalsAreNotIgnoredByInheritance(t *testing.T) {
	s, _ := server(t, hold.Limits{Method: hold.None}, "idle")
	tree := begin(t, s)
	// make starts its children with signals 32 and 33 ignored: what the test inherited is not advise's.
	before, after := ignored(t, "self"), ignored(t, strconv.Itoa(tree.PID()))
	if more := after &^ before; more != 0 {
		t.Errorf("the server was started with more signals ignored: %x", more)
	}
}

// ignored is the mask of the signals that a process ignores.
func ignored(t *testing.T, pid string) uint64 {
	t.Helper()
	mask, err := strconv.ParseUint(statusLine(pid, "SigIgn"), 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	return mask
}

func TestGuardIsNotInside(t *testing.T) {
	each(t, hold.Limits{CPUs: usableCPUs(t)[:1], Memory: 1 << 30}, func(t *testing.T, l hold.Limits) {
		s, _ := server(t, l, "idle")
		tree := begin(t, s)
		guard, _ := tree.Guard()
		if isCgroup(l.Method) && len(tree.Folders()) == 0 {
			t.Error("no cgroup")
		}
		t.Log(tree.Folders())
		for _, dir := range tree.Folders() {
			text, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
			if err != nil || !slices.Equal(strings.Fields(string(text)), []string{strconv.Itoa(tree.PID())}) {
				t.Errorf("in %s: %q %v, want the server %d alone", dir, text, err, tree.PID())
			}
		}
		tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", guard))
		if err != nil || len(tasks) == 0 {
			t.Fatal(tasks, err)
		}
		for _, task := range tasks {
			cgroups, err := os.ReadFile(task + "/cgroup")
			if err != nil || strings.Contains(string(cgroups), "/server") || strings.Count(string(cgroups), hold.Prefix) > 1 {
				t.Errorf("the guard's thread %s is in %s %v", task, cgroups, err)
			}
		}
		if got, want := statusLine(strconv.Itoa(guard), "Cpus_allowed_list"), allowed(); got != want {
			t.Errorf("the guard may run on %s, want %s as before", got, want)
		}
	})
}

// A guard that is killed takes its server along, and the caller kills the rest.
func TestGuardIsKilled(t *testing.T) {
	each(t, hold.Limits{}, func(t *testing.T, l hold.Limits) {
		goleak.VerifyNone(t)
		s, log := server(t, l, "workers")
		s.Remove = []string{filepath.Join(t.TempDir(), "socket")}
		s.Env = append(s.Env, "TOUCH="+s.Remove[0])
		tree, err := hold.Start(context.Background(), s)
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "the server and its workers are ready", func() bool { return strings.Count(log(), "ready") == 4 })
		guard, _ := tree.Guard()
		if err := syscall.Kill(guard, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		<-tree.Done()
		if err := tree.Err(); !errors.Is(err, hold.ErrGuardKilled) {
			t.Errorf("got %v", err)
		}
		if err := tree.Stop(context.Background(), syscall.SIGTERM, 0); !errors.Is(err, hold.ErrGuardKilled) {
			t.Errorf("stop: got %v", err)
		}
		gone(t, s.Remove[0])
		goleak.VerifyNone(t)
		nothingLeft(t)
	})
}

func gone(t *testing.T, path string) {
	t.Helper()
	eventually(t, path+" is gone", func() bool {
		_, err := os.Stat(path)
		return errors.Is(err, fs.ErrNotExist)
	})
}

// advise runs beAdvise, which starts the server of s, and kills and waits for it at the end.
func advise(t *testing.T, s hold.Spec, how string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	return adviseWith(t, nil, s, how)
}

// adviseWith is advise with more in its environment.
func adviseWith(t *testing.T, env []string, s hold.Spec, how string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	spec, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(self(), "advise", string(spec), how)
	c.Env = append(append(os.Environ(), "MARK="+mark(t)), env...)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	start := c.Start
	if strings.HasPrefix(how, "together") {
		start = func() error { return withoutNamespaces(c) }
	}
	if err := start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	return c, bufio.NewScanner(out)
}

func TestAdviseIsKilled(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	each(t, hold.Limits{Memory: 1 << 30}, func(t *testing.T, l hold.Limits) {
		for range 20 {
			s, _ := server(t, l, "habits")
			s.Remove = []string{filepath.Join(t.TempDir(), "socket")}
			s.Env = append(s.Env, "TOUCH="+s.Remove[0])
			c, _ := advise(t, s, "restart")
			// Somewhere in the second of two starts and stops, which take some 50 ms each.
			<-time.After(time.Duration(random.Int64N(int64(150 * time.Millisecond))))
			if err := c.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = c.Wait()
			nothingLeft(t)
			gone(t, s.Remove[0])
		}
	})
}

func TestChooseRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		want hold.Method
		l    hold.Limits
	}{
		{"no such method", "jail", hold.Limits{}},
		{"negative quota", hold.Auto, hold.Limits{Quota: -1}},
		{"a quota that no kernel takes", hold.Auto, hold.Limits{Quota: 0.001}},
		{"no number", hold.Auto, hold.Limits{Quota: math.NaN()}},
		{"negative memory", hold.Auto, hold.Limits{Memory: -1}},
		{"a core twice", hold.Auto, hold.Limits{CPUs: []int{0, 0}}},
		{"a negative core", hold.Auto, hold.Limits{CPUs: []int{-1}}},
		{"a core that is not there", hold.Auto, hold.Limits{CPUs: []int{1000}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, _, err := hold.Choose(c.want, c.l)
			if err == nil {
				t.Fatalf("chosen: %+v", l)
			}
			t.Log(err)
		})
	}
}

func TestAutoHoldsWhatCanBeHeld(t *testing.T) {
	asked := hold.Limits{CPUs: usableCPUs(t)[:1], Quota: 0.5, Memory: 1 << 30}
	l, lacks, err := hold.Choose(hold.Auto, asked)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v lacking %q", l, lacks)
	var can []hold.Method
	for _, m := range methods(t) {
		if isCgroup(m) {
			can = append(can, m)
		}
	}
	if len(can) > 0 {
		if !slices.Contains(can, l.Method) || l.Quota != asked.Quota || l.Memory != asked.Memory || !slices.Equal(l.CPUs, asked.CPUs) {
			t.Errorf("chosen: %+v, want all of it by one of %v", l, can)
		}
		return
	}
	if l.Method != hold.Affinity || l.Quota != 0 || l.Memory != 0 || len(lacks) < 2 {
		t.Errorf("chosen: %+v, want affinity, and what it lacks in sentences", l)
	}
}

func BenchmarkChoose(b *testing.B) {
	for b.Loop() {
		if _, _, err := hold.Choose(hold.Auto, hold.Limits{CPUs: []int{0}, Quota: 0.5, Memory: 1 << 30}); err != nil {
			b.Fatal(err)
		}
	}
}

// What advise itself adds to every start of a server, its end included.
func BenchmarkStart(b *testing.B) {
	for _, m := range []hold.Method{hold.None, hold.Cgroup1} {
		b.Run(string(m), func(b *testing.B) {
			l, _, err := hold.Choose(m, hold.Limits{})
			if err != nil {
				b.Skip(err)
			}
			for b.Loop() {
				tree, err := hold.Start(b.Context(), hold.Spec{Argv: []string{"/bin/true"}, Limits: l})
				if err != nil {
					b.Fatal(err)
				}
				<-tree.Done()
			}
		})
	}
}

// The kernel's own example, Documentation/accounting/psi.rst.
func TestStalled(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"some avg10=0.00 avg60=0.00 avg300=0.00 total=8537362\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=1\n": 8537362 * time.Microsecond,
		"full avg10=0.00 avg60=0.00 avg300=0.00 total=1\n":                                                       -1,
		"some avg10=0.00\n":                 -1,
		"some total=99999999999999999999\n": -1,
		"":                                  -1,
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "io.pressure"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := hold.Stalled(dir, "io.pressure")
		if (err != nil) != (want < 0) || err == nil && got != want {
			t.Errorf("%q: %s, %v", text, got, err)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	f.Add([]byte("12 (a) R 1) S 1 12 12 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 99 1000 50 18446744073709551615 1 1"))
	f.Add([]byte("1 () R"))
	f.Add([]byte(")("))
	if own, err := os.ReadFile("/proc/self/stat"); err == nil {
		f.Add(own)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := hold.ParseStat(text)
		if err == nil && s.State == "" {
			t.Errorf("%q: no state", text)
		}
	})
}

func TestParseStatOfAHostileName(t *testing.T) {
	s, err := hold.ParseStat([]byte("12 (a) R 1) S 7 12 12 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 99 1000 50 0 1 1"))
	if err != nil || s.PID != 12 || s.Command != "a) R 1" || s.State != "S" || s.Parent != 7 || s.StartTicks != 99 {
		t.Errorf("got %+v %v", s, err)
	}
}

// A server may be an advise itself, killed while it had frozen what it was about to kill.
func TestFrozenInside(t *testing.T) {
	each(t, hold.Limits{}, func(t *testing.T, l hold.Limits) {
		if !isCgroup(l.Method) {
			return
		}
		s, log := server(t, l, "deaf")
		tree := begin(t, s)
		eventually(t, "it is ready", func() bool { return strings.Contains(log(), "ready") })
		frozen := false
		for _, dir := range tree.Folders() {
			inner := filepath.Join(dir, "inner")
			if err := os.Mkdir(inner, 0o755); err != nil {
				t.Fatal(err)
			}
			for file, value := range map[string]string{"freezer.state": "FROZEN", "cgroup.freeze": "1"} {
				if _, err := os.Stat(filepath.Join(inner, file)); err != nil {
					continue
				}
				set(t, inner, "cgroup.procs", strconv.Itoa(tree.PID()))
				set(t, inner, file, value)
				frozen = true
			}
		}
		if !frozen {
			t.Fatal("nothing could be frozen")
		}
		if err := tree.Stop(cancelled(), syscall.SIGTERM, 0); err != nil {
			t.Fatal(err)
		}
	})
}

func set(t *testing.T, dir, file, value string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, file), []byte(value), 0); err != nil {
		t.Fatal(err)
	}
}
