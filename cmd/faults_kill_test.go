package cmd_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"advise/sweep"
	"advise/targets/targetstest"
)

// A blow is what is done to advise and to what it has started.
type blow string

const (
	killAdvise   blow = "SIGKILL to advise"
	killBoth     blow = "SIGKILL to advise and its guards at once"
	killAll      blow = "SIGKILL to all of the chain at once"
	killStopped  blow = "SIGKILL to advise while its guards are stopped"
	killGuard    blow = "SIGKILL to a guard"
	killFirst    blow = "SIGKILL to the first process below a guard"
	interrupt    blow = "SIGINT"
	interruptTwo blow = "SIGINT twice"
	terminate    blow = "SIGTERM"
	hangUp       blow = "SIGHUP"
)

// ends is whether advise is gone after it, and can't tidy up.
func (b blow) ends() bool {
	return slices.Contains([]blow{killAdvise, killBoth, killAll, killStopped}, b)
}

// What is killed, and how often: 205 times SIGKILL with the 30 of TestFaultsResume. Whoever of the chain lives
// tidies up, a stopped guard too. Where nobody does, processes must be gone all the same; folders of cgroups and of
// the server's files must be gone once advise has started a server again.
var kills = []struct {
	command string
	blow    blow
	count
}{
	{"sweep", killAdvise, count{2, 30}},
	{"live", killAdvise, count{0, 10}},
	{"shapes", killAdvise, count{0, 10}},
	{"report", killAdvise, count{1, 10}},
	{"fit", killAdvise, count{0, 4}},
	{"dry run", killAdvise, count{1, 4}},
	{"man pages", killAdvise, count{0, 4}},
	{"targets", killAdvise, count{0, 3}},
	{"sweep", killBoth, count{3, 30}},
	{"live", killBoth, count{0, 10}},
	{"shapes", killBoth, count{0, 10}},
	{"sweep", killAll, count{1, 15}},
	{"sweep", killStopped, count{1, 10}},
	{"sweep", killGuard, count{1, 15}},
	{"sweep", killFirst, count{1, 10}},
	{"sweep", interrupt, count{1, 8}},
	{"sweep", interruptTwo, count{0, 4}},
	{"sweep", terminate, count{0, 8}},
	{"sweep", hangUp, count{0, 6}},
}

// A victim is one command that runs to be killed.
type victim struct {
	t       *testing.T
	command string
	blow    blow
	after   time.Duration // the random moment

	root    string // which holds all folders that the command is given
	record  string
	mark    string
	cmd     *exec.Cmd
	ended   chan error
	out     bytes.Buffer
	chain   []process
	stopped []process
	before  map[string]string
}

// At whatever moment advise, or what holds its servers, is killed, nothing is left of it: no process, cgroup,
// mount or file outside of the record.
func TestFaultsKills(t *testing.T) {
	targetstest.Need(t, "gunicorn")
	good := goodRecord(t)
	n := 0
	for _, row := range kills {
		// Those that end together are killed in the same instant, so that none of them, starting a server,
		// tidies up what another one has left.
		together := 1
		if row.blow.ends() {
			together = 4
		}
		for begin := 0; begin < row.full; begin += together {
			var group []*victim
			for i := begin; i < min(begin+together, row.now()); i++ {
				r := rand.New(rand.NewPCG(faultsSeed, uint64(n+i)))
				group = append(group, &victim{command: row.command, blow: row.blow, after: moment(r, row.command)})
			}
			if len(group) > 0 {
				triedTogether(t, n+begin, len(group), string(row.blow), row.command, func(t *testing.T, _ *rand.Rand) { killTogether(t, group, good) })
			}
		}
		n += row.full
	}
}

// moment is how long a command runs before it is killed: as long as it would take by itself, at the most.
func moment(r *rand.Rand, command string) time.Duration {
	longest := map[string]time.Duration{
		"report": 150 * time.Millisecond, "fit": 60 * time.Millisecond, "dry run": 500 * time.Millisecond,
		"man pages": 80 * time.Millisecond, "targets": 20 * time.Millisecond,
	}[command]
	if longest == 0 {
		longest = 5 * time.Second
	}
	return time.Duration(r.Int64N(int64(longest)))
}

// killTogether starts commands so that the random moment of each is the same instant, and kills them.
func killTogether(t *testing.T, group []*victim, good map[string]string) {
	t.Helper()
	cgroups, mounts, shared := targetstest.Cgroups(), listOf(t, "/proc/self/mountinfo"), names(t, "/dev/shm")
	var longest time.Duration
	for i, v := range group {
		v.prepare(t, i, good)
		longest = max(longest, v.after)
	}
	instant := time.Now().Add(longest)
	var wait sync.WaitGroup
	for _, v := range group {
		wait.Go(func() {
			time.Sleep(time.Until(instant.Add(-v.after)))
			if v.start(); v.cmd.Process != nil {
				time.Sleep(time.Until(instant))
				v.strike()
			}
		})
	}
	wait.Wait()
	for _, v := range group {
		v.awaitEnd()
		v.checkProcesses()
		t.Logf("%s of %s after %s: %d processes", v.blow, v.command, v.after, len(v.chain))
	}
	for _, v := range group {
		if v.blow == killAll {
			v.startAgain()
		}
		v.checkFolders()
	}
	eventually(t, "cgroups", func() []string { return added(cgroups, targetstest.Cgroups()) })
	eventually(t, "mounts", func() []string { return added(mounts, listOf(t, "/proc/self/mountinfo")) })
	eventually(t, "files in /dev/shm", func() []string { return added(shared, names(t, "/dev/shm")) })
}

// prepare makes the folders of a command: HOME, TMPDIR, the current one and that of the record.
func (v *victim) prepare(t *testing.T, i int, good map[string]string) {
	t.Helper()
	v.t, v.root = t, t.TempDir()
	v.record = filepath.Join(v.root, "record")
	v.cmd = advise(t, v.args(good)...)
	v.mark = fmt.Sprintf("%s%d.", mark(t), i)
	v.cmd.Dir = v.folder("work")
	v.cmd.Env = append(v.cmd.Env, v.mark, "HOME="+v.folder("home"), "TMPDIR="+v.folder("tmp"))
	v.cmd.Stdout, v.cmd.Stderr = &v.out, &v.out
	v.before = v.others()
}

func (v *victim) folder(name string) string {
	dir := filepath.Join(v.root, name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		v.t.Fatal(err)
	}
	return dir
}

// args is the command line, with the files that it is about.
func (v *victim) args(good map[string]string) []string {
	work := v.folder("work")
	app := func() {
		write(v.t, filepath.Join(work, "app.py"), "def app(environ, start):\n    start('200 OK', [])\n    return [b'x']\n")
	}
	switch v.command {
	case "live":
		return demoSweep(v.record, "--live")
	case "shapes":
		app()
		return []string{"--cores", "1", "--mem", "512M", "--class", "sync,gthread", "--threads", "1,2", "--time", "40s", "--out", v.record, "--", "gunicorn", "app:app"}
	case "dry run":
		app()
		// It asks for a version that takes its time, and that has a child.
		write(v.t, filepath.Join(work, "gunicorn"), "#!/bin/sh\nsleep 47 &\nsleep 47\n")
		if err := os.Chmod(filepath.Join(work, "gunicorn"), 0o755); err != nil {
			v.t.Fatal(err)
		}
		return []string{"--dry-run", "--threads", "1,2", "--", "./gunicorn", "app:app"}
	case "report":
		for name, text := range good {
			write(v.t, filepath.Join(v.record, name), text)
		}
		return []string{"report", v.record}
	case "fit":
		write(v.t, filepath.Join(work, "table.csv"), "workers,throughput\n1,100\n2,190\n4,350\n8,500\n16,480\n")
		return []string{"fit", "table.csv", "--cores", "4"}
	case "man pages":
		return []string{"generate", "man", v.folder("record")}
	case "targets":
		return []string{"targets"}
	}
	return demoSweep(v.record, "--workers", "1,2,3")
}

func (v *victim) start() {
	if err := v.cmd.Start(); err != nil {
		v.t.Error(err)
		return
	}
	v.ended = make(chan error, 1)
	go func() { v.ended <- v.cmd.Wait() }()
}

// strike looks at what advise has started, as anybody can, and strikes.
func (v *victim) strike() {
	pid := v.cmd.Process.Pid
	guards := func() (found []process) {
		all := table()
		v.chain = below(all, pid)
		for _, p := range v.chain {
			if p.parent == pid && len(below(all, p.pid)) > 0 {
				found = append(found, p)
			}
		}
		return found
	}
	held := guards()
	for deadline := time.Now().Add(10 * time.Second); len(held) == 0 && !v.blow.ends() && time.Now().Before(deadline); held = guards() {
		time.Sleep(time.Millisecond)
	}
	switch v.blow {
	case killAdvise:
		_ = syscall.Kill(pid, syscall.SIGKILL)
	case killBoth:
		for _, g := range held {
			g.signal(syscall.SIGKILL)
		}
		_ = syscall.Kill(pid, syscall.SIGKILL)
	case killAll:
		_ = syscall.Kill(pid, syscall.SIGKILL)
		for _, p := range v.chain {
			p.signal(syscall.SIGKILL)
		}
	case killStopped:
		for _, g := range held {
			g.signal(syscall.SIGSTOP)
		}
		v.stopped = held
		v.t.Cleanup(v.goOn) // whatever happens
		_ = syscall.Kill(pid, syscall.SIGKILL)
	case killGuard, killFirst:
		for _, g := range held[:min(len(held), 1)] {
			if first := below(table(), g.pid); v.blow == killFirst && len(first) > 0 {
				g = first[0]
			}
			g.signal(syscall.SIGKILL)
		}
	default:
		s := map[blow]syscall.Signal{interrupt: syscall.SIGINT, interruptTwo: syscall.SIGINT, terminate: syscall.SIGTERM, hangUp: syscall.SIGHUP}[v.blow]
		_ = syscall.Kill(pid, s)
		if v.blow == interruptTwo {
			_ = syscall.Kill(pid, s)
		}
	}
}

// goOn continues the guards that were stopped.
func (v *victim) goOn() {
	for _, g := range v.stopped {
		g.signal(syscall.SIGCONT)
	}
	v.stopped = nil
}

// awaitEnd waits for advise; where it lives on it ends by itself, with a result or an error, or because it is
// interrupted.
func (v *victim) awaitEnd() {
	if v.ended == nil {
		return
	}
	if v.blow == killGuard || v.blow == killFirst {
		_ = syscall.Kill(v.cmd.Process.Pid, syscall.SIGINT)
	}
	err := within(v.t, v.cmd, v.ended)
	if v.blow.ends() {
		return
	}
	status := v.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if _, absent := os.Stat(v.record); status.Signaled() && absent != nil {
		return // it had not begun
	}
	if code := exitCode(err); !slices.Contains([]int{0, 1, 3, 4, 130}, code) || code == 1 && v.blow != killGuard && v.blow != killFirst {
		v.t.Errorf("%s: exit code %d (%v):\n%s", v.blow, code, err, v.out.String())
	}
}

// checkProcesses wants all of the chain to be gone, and all that has the mark in its environment.
func (v *victim) checkProcesses() {
	v.t.Helper()
	v.t.Cleanup(func() { // what is left would be in the way of the next case
		for _, p := range v.chain {
			p.signal(syscall.SIGKILL)
		}
	})
	eventually(v.t, fmt.Sprintf("of %s after %s at %s", v.command, v.blow, v.after), func() (left []string) {
		for _, p := range v.chain {
			if p.lives() {
				left = append(left, p.String())
			}
		}
		return left
	})
	eventually(v.t, "processes", func() []string { return targetstest.Processes(v.mark) })
}

// startAgain starts a server in the same folders, and interrupts it.
func (v *victim) startAgain() {
	v.t.Helper()
	again := exec.Command(v.cmd.Path, demoSweep(filepath.Join(v.root, "again"))...)
	again.Dir, again.Env, again.SysProcAttr = v.cmd.Dir, v.cmd.Env, v.cmd.SysProcAttr
	send(v.t, again, syscall.SIGINT, "restart 1:", 1)
}

// checkFolders wants nothing new outside of the record.
func (v *victim) checkFolders() {
	v.t.Helper()
	eventually(v.t, "files outside of the record", func() []string {
		return added(slices.Sorted(maps.Keys(v.before)), slices.Sorted(maps.Keys(v.others())))
	})
}

// others are the files of the command's folders without its record.
func (v *victim) others() map[string]string {
	found := map[string]string{}
	for _, name := range []string{"home", "tmp", "work"} {
		_ = filepath.WalkDir(filepath.Join(v.root, name), func(path string, _ fs.DirEntry, err error) error {
			found[path] = ""
			return nil
		})
	}
	return found
}

// eventually waits until nothing of a kind is left, for a few seconds.
func eventually(t *testing.T, what string, left func() []string) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		found := left()
		if len(found) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("left behind, %s:\n%s", what, strings.Join(found, "\n"))
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func added(before, after []string) (more []string) {
	for _, a := range after {
		if !slices.Contains(before, a) {
			more = append(more, a)
		}
	}
	return more
}

func listOf(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

func names(t *testing.T, dir string) (found []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		found = append(found, e.Name())
	}
	return found
}

// A process is one of the machine's, told from a later one of the same number by its start.
type process struct {
	pid, parent   int
	name, started string
}

func (p process) String() string { return fmt.Sprintf("%d %s, child of %d", p.pid, p.name, p.parent) }

func (p process) lives() bool {
	now, ok := processOf(p.pid)
	return ok && now.started == p.started
}

func (p process) signal(s syscall.Signal) {
	if p.lives() {
		_ = syscall.Kill(p.pid, s)
	}
}

// processOf reads /proc; one that has ended and was not waited for is none.
func processOf(pid int) (process, bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return process{}, false
	}
	head, rest, _ := strings.Cut(string(text), " (")
	end := strings.LastIndexByte(rest, ')')
	fields := strings.Fields(rest[end+1:])
	parent, _ := strconv.Atoi(fields[1])
	number, _ := strconv.Atoi(head)
	return process{pid: number, parent: parent, name: rest[:end], started: fields[19]}, fields[0] != "Z" && fields[0] != "X"
}

func table() map[int]process {
	all := map[int]process{}
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(dir))
		if p, ok := processOf(pid); ok {
			all[pid] = p
		}
	}
	return all
}

// below are all descendants of a process, children first.
func below(all map[int]process, pid int) (found []process) {
	parents := []int{pid}
	for len(parents) > 0 {
		var next []int
		for _, pid := range slices.Sorted(maps.Keys(all)) {
			if p := all[pid]; slices.Contains(parents, p.parent) {
				found = append(found, p)
				next = append(next, pid)
			}
		}
		parents = next
	}
	return found
}

// A sweep that is killed three times and gone on with each time has every trial that was saved, once, numbered
// without a gap. What it says follows from these trials alone: a record that holds the same trials, and was
// never killed, says the same, and a report of it too.
func TestFaultsResume(t *testing.T) {
	for n := range resumedSweeps.now() {
		tried(t, n, "SIGKILL in a sweep, three times, resumed", "sweep", func(t *testing.T, r *rand.Rand) {
			v := &victim{command: "sweep", blow: killAdvise}
			v.prepare(t, 0, nil)
			first := v.cmd
			var kept []byte
			for range 3 {
				v.after = 2*time.Second + time.Duration(r.Int64N(int64(3*time.Second)))
				v.start()
				time.Sleep(v.after)
				v.strike()
				v.awaitEnd()
				v.checkProcesses()
				kept = checkKept(t, v.record, kept)
				args := []string{"--resume", v.record, "--json"}
				if kept == nil { // it was killed before there was a record
					args = first.Args[1:]
				}
				v.again(first, args)
			}
			var result bytes.Buffer
			v.cmd.Stdout = &result
			v.start()
			if err := <-v.ended; exitCode(err) != 0 && exitCode(err) != 3 {
				t.Fatalf("resume: %v\n%s", err, v.out.String())
			}
			checkKept(t, v.record, kept)
			checkSameAdvice(t, v.record, result.Bytes())
			v.checkProcesses()
			v.checkFolders()
		})
	}
}

// again is a new command in the same folders.
func (v *victim) again(first *exec.Cmd, args []string) {
	v.cmd = exec.Command(first.Path, args...)
	v.cmd.Dir, v.cmd.Env, v.cmd.SysProcAttr = first.Dir, first.Env, first.SysProcAttr
	v.out.Reset()
	v.cmd.Stdout, v.cmd.Stderr = &v.out, &v.out
}

// checkKept wants what was saved to be there still, and returns all that is: whole lines. Nil: there is no record.
func checkKept(t *testing.T, record string, before []byte) []byte {
	t.Helper()
	r, err := sweep.Open(record)
	if err != nil {
		if before != nil {
			t.Error(err)
		}
		return nil
	}
	text, err := os.ReadFile(filepath.Join(record, "trials.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	text = text[:bytes.LastIndexByte(text, '\n')+1]
	if !bytes.HasPrefix(text, before) {
		t.Errorf("trials that were saved are gone or others:\n%s\nbefore:\n%s", text, before)
	}
	for i, trial := range r.Trials {
		if trial.ID != i+1 {
			t.Errorf("trial %d has the number %d", i+1, trial.ID)
		}
	}
	return text
}

// checkSameAdvice compares a result with that of a record made in one piece, and with the record's own report.
func checkSameAdvice(t *testing.T, record string, result []byte) {
	t.Helper()
	whole := filepath.Join(t.TempDir(), "record")
	for _, name := range []string{"plan.json", "calibration.json", "trials.jsonl"} {
		text, err := os.ReadFile(filepath.Join(record, name))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(whole, name), string(text))
	}
	want := adviceIn(t, result)
	for _, dir := range []string{whole, record} {
		o := runs(t, dir, "report", dir, "--json")
		if got := adviceIn(t, []byte(o.out)); got != want {
			t.Errorf("after going on:\n%s\n%s says\n%s", want, dir, got)
		}
	}
}

// adviceIn is a result without the names of its folder.
func adviceIn(t *testing.T, result []byte) string {
	t.Helper()
	var document map[string]any
	if err := json.Unmarshal(result, &document); err != nil {
		t.Fatalf("%v:\n%s", err, result)
	}
	if r, ok := document["recommendation"].(map[string]any); ok {
		delete(r, "config_folder")
	}
	text, err := json.MarshalIndent(document, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
