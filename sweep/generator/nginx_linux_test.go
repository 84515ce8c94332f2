package generator

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"

	"advise/targets/targetstest"
)

// twoCores returns two of the cores this process may run on.
func twoCores(t testing.TB) (server, generator int) {
	t.Helper()
	var allowed unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		t.Fatal(err)
	}
	var cores []int
	for cpu := 0; cpu < maxCPUs && len(cores) < 2; cpu++ {
		if allowed.IsSet(cpu) {
			cores = append(cores, cpu)
		}
	}
	if len(cores) < 2 {
		targetstest.Lacking(t, "a second core")
	}
	return cores[0], cores[1]
}

// nginxOn starts nginx with one worker on a core and returns its URL and the worker's process id.
func nginxOn(t *testing.T, cpu int) (url string, worker int) {
	t.Helper()
	targetstest.Need(t, "nginx")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	config, err := os.ReadFile(filepath.Join("testdata", "nginx.conf"))
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "advise-nginx") // its worker, another user, can't enter t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	for name, text := range map[string]string{
		"nginx.conf":     strings.ReplaceAll(string(config), "{port}", strconv.Itoa(port)),
		"www/index.html": "hello, world\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}

	c := exec.Command("nginx", "-p", dir, "-c", filepath.Join(dir, "nginx.conf"))
	c.Stderr = os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread, held to that core, ends here
		if err := pinThread([]int{cpu}); err != nil {
			started <- err
			return
		}
		started <- c.Start()
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM) // ends its worker too
		_ = c.Wait()
	})

	url = "http://127.0.0.1:" + strconv.Itoa(port)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for answered := false; !answered; {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(request)
		if err == nil {
			response.Body.Close()
			answered = response.StatusCode == http.StatusOK
		}
		if ctx.Err() != nil {
			t.Fatalf("nginx does not answer: %v", err)
		}
	}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", c.Process.Pid, c.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	if worker, err = strconv.Atoi(strings.TrimSpace(string(children))); err != nil {
		t.Fatalf("one worker, please: %v", err)
	}
	return url, worker
}

// A moment is what had been used by then, in seconds.
type moment struct {
	at             time.Time
	worker         float64 // CPU time of nginx's worker
	core, coreIdle float64 // all time of the server's core, and the idle part of it
}

func momentOf(t *testing.T, worker, cpu int) moment {
	t.Helper()
	proc, err := procfs.NewProc(worker)
	if err != nil {
		t.Fatal(err)
	}
	used, err := proc.Stat()
	if err != nil {
		t.Fatal(err)
	}
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		t.Fatal(err)
	}
	all, err := fs.Stat()
	if err != nil {
		t.Fatal(err)
	}
	c := all.CPU[int64(cpu)]
	return moment{
		at: time.Now(), worker: used.CPUTime(),
		core:     c.User + c.Nice + c.System + c.Idle + c.Iowait + c.IRQ + c.SoftIRQ + c.Steal,
		coreIdle: c.Idle + c.Iowait,
	}
}

// nginx with one worker serves a tiny file about as fast as the generator can ask for it. Whatever is
// the bottleneck here, the verdict has to name it rightly: if the generator says it was not the one,
// the server's core had no time left. Everything else would be a knee that is the generator's. What others
// take from the generator's core between the calibration and the window is in no figure of its own, and is
// not there three times in a row.
func TestVerdictAgainstNginx(t *testing.T) {
	server, generator := twoCores(t)
	url, worker := nginxOn(t, server)
	for try := 1; ; try++ {
		wrong := verdictOn(t, url, worker, server, generator)
		if wrong == "" {
			return
		}
		if try == 3 {
			t.Fatal(wrong)
		}
		t.Log(wrong)
	}
}

// verdictOn drives nginx and says what is wrong with the verdict; "" is nothing.
func verdictOn(t *testing.T, url string, worker, server, generator int) (wrong string) {
	t.Helper()
	a := testLoop(url)
	a.Connections, a.CPUs = 32, []int{generator}
	a.Warmup, a.WarmupRequests, a.WarmupLimit, a.Window = 300*ms, 0, 300*ms, time.Second
	c, err := Calibrate(t.Context(), CalibrationOptions{
		ServerCPUs: []int{server}, GeneratorCPUs: a.CPUs, Connections: a.Connections, Requests: a.Requests,
	})
	if err != nil {
		t.Fatal(err)
	}
	a.CeilingRPS = c.CeilingRPS
	var began, ended moment
	s, err := Run(t.Context(), a, func(p Progress) {
		switch p.Event {
		case WindowStarted:
			began = momentOf(t, worker, server)
		case WindowEnded:
			ended = momentOf(t, worker, server)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	share := (ended.worker - began.worker) / ended.at.Sub(began.at).Seconds()
	busy := 1 - (ended.coreIdle-began.coreIdle)/(ended.core-began.core)
	t.Logf("calibration %+v", *c)
	t.Logf("nginx: %.0f/s, verdict %s %q, generator's CPU share %.2f, nginx's %.2f, its core busy %.2f",
		s.ThroughputRPS, s.Verdict, s.VerdictReason, s.CPUShare, share, busy)
	if s.OK == 0 || s.Failed != 0 {
		t.Fatalf("ok %d, failed %v", s.OK, s.Errors)
	}
	switch s.Verdict {
	case VerdictBound:
		if s.VerdictReason == "" {
			t.Error("bound, and nothing that says by what")
		}
	case VerdictOK:
		if s.CPUShare > boundShare || busy < 0.8 {
			return fmt.Sprintf("said to be nginx's throughput, but its core was busy for %.2f and the generator's for %.2f", busy, s.CPUShare)
		}
	}
	return ""
}

// The same generator is not blamed for a server that is slow by itself.
func TestVerdictAgainstASlowServer(t *testing.T) {
	server, generator := twoCores(t)
	h, _ := station(4, 5*time.Millisecond)
	url, _ := serve(t, h)
	a := testLoop(url)
	a.Connections, a.CPUs = 32, []int{generator}
	c, err := Calibrate(t.Context(), CalibrationOptions{
		ServerCPUs: []int{server}, GeneratorCPUs: a.CPUs, Connections: a.Connections, Requests: a.Requests,
	})
	if err != nil {
		t.Fatal(err)
	}
	a.CeilingRPS = c.CeilingRPS
	a.Warmup, a.WarmupRequests, a.WarmupLimit, a.Window = 100*ms, 0, 100*ms, 500*ms
	s, err := Run(t.Context(), a, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s.Verdict != VerdictOK || s.VerdictReason != "" { // 800 per second of tens of thousands
		t.Errorf("%s by %s at %.0f/s of %.0f, with a CPU share of %.2f", s.Verdict, s.VerdictReason, s.ThroughputRPS, c.CeilingRPS, s.CPUShare)
	}
}
