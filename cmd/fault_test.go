package cmd_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"advise/sweep"
	"advise/targets/targetstest"
)

// advise is the program, run in an empty folder, with a mark in its environment that everything it
// starts inherits.
func advise(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// Under its real name: what runs itself again has to find advise there, not the tests.
	bin, dir := t.TempDir(), t.TempDir()
	program := filepath.Join(bin, "advise")
	if err := os.Link(self, program); err != nil {
		t.Fatal(err)
	}
	return &exec.Cmd{
		Path: program, Args: append([]string{"advise"}, args...), Dir: dir,
		Env:         append(os.Environ(), mark(t), "HOME="+dir, "NO_COLOR=1", "PATH="+bin+":"+os.Getenv("PATH")),
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true},
	}
}

// mark is in the environment of all that a test starts, and of nothing that another run of it does.
func mark(t *testing.T) string {
	root, _, _ := strings.Cut(t.Name(), "/")
	return fmt.Sprintf("ADVISE_TEST=%s-%d.", root, os.Getpid())
}

// demoSweep has flags for a sweep of the demo server that takes at most twenty seconds: enough for three
// restarts of six, which they take where four sweeps share a slow core.
func demoSweep(dir string, flags ...string) []string {
	args := append([]string{"--cores", "1", "--mem", "512M", "--time", "20s", "--out", dir}, flags...)
	return append(args, "--", "advise", "demo", "--memory", "1M")
}

// Wherever advise is killed, in a start, a warm-up, a stop or between, nothing of it is left, and the
// record can be gone on with.
func TestNothingIsLeftAfterSIGKILL(t *testing.T) {
	t.Parallel()
	const moments = 20
	records := make([]string, moments)
	t.Run("moments", func(t *testing.T) {
		for k := range moments {
			records[k] = filepath.Join(t.TempDir(), "record")
			// The seed is the test's own: a failure can be repeated.
			after := time.Duration(rand.New(rand.NewPCG(uint64(k), 42)).Int64N(int64(3 * time.Second)))
			t.Run(fmt.Sprintf("after %s", after.Round(time.Millisecond)), func(t *testing.T) {
				t.Parallel()
				c := advise(t, demoSweep(records[k])...)
				if err := c.Start(); err != nil {
					t.Fatal(err)
				}
				time.AfterFunc(after, func() { _ = c.Process.Kill() })
				var exit *exec.ExitError
				if err := c.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
					t.Errorf("it was not killed: %v", err)
				}
			})
		}
	})
	targetstest.NothingLeft(t, mark(t))

	for _, dir := range records {
		if _, err := sweep.Open(dir); err != nil && !errors.Is(err, sweep.ErrNoRecord) {
			t.Errorf("a record can't be read after the kill: %v", err)
		}
	}
}

func TestResumeAfterSIGKILL(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "record")
	first := advise(t, demoSweep(dir)...)
	send(t, first, syscall.SIGKILL, "restart 2:", 1)
	targetstest.NothingLeft(t, mark(t))
	r, err := sweep.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	resume(t, r, first)
	targetstest.NothingLeft(t, mark(t))
}

// resume goes on with the record of the first sweep and wants its trials kept and a result.
func resume(t *testing.T, r *sweep.Record, first *exec.Cmd) {
	t.Helper()
	c := advise(t, "--resume", r.Dir)
	c.Dir, c.Env = r.Plan.Target.Workdir, first.Env
	if err := os.MkdirAll(c.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if out, err := c.CombinedOutput(); exitCode(err) != 0 && exitCode(err) != 3 {
		t.Fatalf("resume: %v\n%s", err, out)
	}
	after, err := sweep.Open(r.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(after.Trials) <= len(r.Trials) {
		t.Errorf("%d trials before the kill, %d after going on", len(r.Trials), len(after.Trials))
	}
	if _, err := os.Stat(filepath.Join(r.Dir, "result.json")); err != nil {
		t.Error(err)
	}
}

func exitCode(err error) int {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return 0
}

// send waits for a line of standard error that has the text, and then signals the whole process
// group, as a terminal does, as often as asked.
func send(t *testing.T, c *exec.Cmd, signal syscall.Signal, text string, times int) (code int, stderr string) {
	t.Helper()
	r, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	var all bytes.Buffer
	sent := 0
	for lines := bufio.NewScanner(r); lines.Scan(); {
		all.WriteString(lines.Text() + "\n")
		if sent == 0 && strings.Contains(lines.Text(), text) || sent > 0 && sent < times && strings.Contains(lines.Text(), "once more kills") {
			sent++
			if err := syscall.Kill(-c.Process.Pid, signal); err != nil {
				t.Error(err)
			}
		}
	}
	return exitCode(c.Wait()), all.String()
}

func TestInterruptStopsSavesAndSaysHowToGoOn(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "record")
	first := advise(t, demoSweep(dir)...)
	code, stderr := send(t, first, syscall.SIGINT, "restart 1:", 1)
	if code != 130 || !strings.Contains(stderr, "go on with: advise --resume "+dir) {
		t.Errorf("exit code %d, want 130:\n%s", code, stderr)
	}
	targetstest.NothingLeft(t, mark(t))
	r, err := sweep.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Trials) == 0 {
		t.Fatal("the trial that ended before the interrupt was not saved")
	}
	resume(t, r, first)
	targetstest.NothingLeft(t, mark(t))
}

// A record that is being written can be read, and is written by nobody else.
func TestOneSweepWritesARecord(t *testing.T) {
	t.Parallel()
	t.Cleanup(func() { targetstest.NothingLeft(t, mark(t)) })
	dir := filepath.Join(t.TempDir(), "record")
	first := advise(t, demoSweep(dir)...)
	stderr, err := first.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := first.Start(); err != nil {
		t.Fatal(err)
	}
	beside := func(args ...string) (code int, output string) {
		c := advise(t, args...)
		c.Dir, c.Env = first.Dir, first.Env
		out, err := c.CombinedOutput()
		return exitCode(err), string(out)
	}
	asked := false
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		if asked || !strings.Contains(lines.Text(), "restart 1:") {
			continue
		}
		asked = true
		says := fmt.Sprintf("process %d is writing it", first.Process.Pid)
		if code, out := beside("--resume", dir); code != 1 || !strings.Contains(out, says) || !strings.Contains(out, "hint: wait until it has ended") {
			t.Errorf("exit code %d, want 1 and %q:\n%s", code, says, out)
		}
		if code, out := beside("report", dir); code != 0 && code != 3 {
			t.Errorf("report: exit code %d:\n%s", code, out)
		}
	}
	if code := exitCode(first.Wait()); !asked || code != 0 && code != 3 {
		t.Errorf("asked: %t; the sweep ended with %d", asked, code)
	}
	r, err := sweep.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i, trial := range r.Trials {
		if trial.ID != i+1 {
			t.Fatalf("trial %d has the number %d", i+1, trial.ID)
		}
	}
}

// What was measured is printed, though the folder of the record is moved meanwhile; nothing comes in its place.
func TestFolderMovedMeanwhile(t *testing.T) {
	t.Parallel()
	t.Cleanup(func() { targetstest.NothingLeft(t, mark(t)) })
	dir := filepath.Join(t.TempDir(), "record")
	c := advise(t, demoSweep(dir, "--json")...)
	var out, said bytes.Buffer
	c.Stdout = &out
	stderr, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(stderr); lines.Scan(); {
		said.WriteString(lines.Text() + "\n")
		if strings.Contains(lines.Text(), "restart 1:") {
			if err := os.Rename(dir, dir+".moved"); err != nil {
				t.Error(err)
			}
		}
	}
	code := exitCode(c.Wait())
	for _, want := range []string{dir + ": it was moved, replaced or removed", "hint: what is printed above is all that was measured"} {
		if code != 1 || !strings.Contains(said.String(), want) {
			t.Errorf("exit code %d, want 1 and %q:\n%s", code, want, said.String())
		}
	}
	var result struct {
		Trials []json.RawMessage `json:"trials"`
	}
	if err := json.Unmarshal(out.Bytes(), &result); err != nil || len(result.Trials) == 0 {
		t.Errorf("no trial is printed: %v", err)
	}
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something is where the folder was: %v", err)
	}
	if r, err := sweep.Open(dir + ".moved"); err != nil || len(r.Trials) != len(result.Trials) {
		t.Errorf("the moved record: %v", err)
	}
}

// A server that is deaf to SIGTERM is not waited for a second time.
func TestSecondInterruptKills(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "record")
	c := advise(t, append(demoSweep(dir, "--time", "30s"), "--fault-ignore-term")...)
	code, stderr := send(t, c, syscall.SIGINT, "restart 1:", 2)
	if code != 130 {
		t.Errorf("exit code %d, want 130:\n%s", code, stderr)
	}
	targetstest.NothingLeft(t, mark(t))
}

// Servers that misbehave under load or at the end are results, and gone afterwards.
func TestMisbehavingServers(t *testing.T) {
	t.Parallel()
	t.Cleanup(func() { targetstest.NothingLeft(t, mark(t)) })
	for name, c := range map[string]struct {
		faults []string
		time   string
		code   int
		says   string
	}{
		"dies under load":     {[]string{"--fault-die-after", "50"}, "12s", 3, "died"},
		"ignores SIGTERM":     {[]string{"--fault-ignore-term"}, "30s", 0, ""},
		"forks away":          {[]string{"--fault-daemonise"}, "20s", 0, ""},
		"fails some requests": {[]string{"--fault-status", "500", "--fault-status-share", "0.3"}, "12s", 3, "errors: "},
		"fails with three":    {[]string{"--fault-status", "500", "--fault-status-above", "2"}, "20s", 0, "not ready: "},
		"too many workers":    {[]string{"--fault-exit-above", "2"}, "20s", 0, "not started"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "record")
			run := advise(t, append(demoSweep(dir, "--workers", "1,2", "--time", c.time), c.faults...)...)
			out, err := run.CombinedOutput()
			if exitCode(err) != c.code || !strings.Contains(string(out), c.says) {
				t.Errorf("exit code %d, want %d and %q:\n%s", exitCode(err), c.code, c.says, out)
			}
		})
	}
}
