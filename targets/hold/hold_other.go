//go:build !linux

package hold

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Outside Linux nothing is limited, and a tree is what descends from the guard or shares the
// process group of the started process. A daemon that leaves both is lost from sight.

func choose(want Method, l Limits) (Limits, []string, error) {
	if want != Auto && want != None {
		return Limits{}, nil, fmt.Errorf("hold the server by %s: only Linux can; the way out: --limits none", want)
	}
	var lacks []string
	for _, asked := range []struct {
		limit bool
		lack  string
	}{
		{len(l.CPUs) > 0, "the server is not pinned to cores: only Linux can"},
		{l.Quota > 0, "the share of cores is not held: only Linux can"},
		{l.Memory > 0, "memory is only observed, not limited: only Linux can"},
	} {
		if asked.limit {
			lacks = append(lacks, asked.lack)
		}
	}
	return Limits{Method: None}, lacks, nil
}

type groups struct{}

func makeGroups(string, Limits) (groups, error) { return groups{}, nil }

func (groups) usage() (Usage, error)                       { return Usage{}, nil }
func (groups) kill(time.Duration)                          {}
func (groups) remove() error                               { return nil }
func (groups) settled(time.Duration) error                 { return nil }
func (groups) rescue(string, Process, time.Duration) error { return rescue() }

// identity is the guard's own number: it is used while the guard's parent lives and no longer.
func identity(pid int) string { return strconv.Itoa(pid) }

func removeStale() {}

func becomeReaper(string) error { return nil }

func ownPath() (string, error) { return os.Executable() }

// EndWithThread does nothing: the end of a subcommand's input is all that ends it here.
func EndWithThread(*exec.Cmd) {}

func wakeWithParent(*exec.Cmd) {}

// handedOn is an environment without the names of guards: here none is known by its name.
func handedOn(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(entry string) bool { return strings.HasPrefix(entry, marker) })
}

// NewFolder makes a folder for the files of a server. Other users may pass through it but not look into it.
func NewFolder() (string, error) {
	dir, err := os.MkdirTemp("", "advise-")
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o711)
}

// first stands for the process that is between the guard and the server on Linux only.
type first struct {
	Process
	gone chan struct{} // never closed

	mu     sync.Mutex
	reaped bool // the started process has been waited for: its number may belong to somebody else
}

func (*first) wake() {}
func (*first) kill() {}

func beFirst(task, bool, <-chan order) {}

func (g *guard) release() {}

func (g *guard) rootLives() bool {
	g.first.mu.Lock()
	defer g.first.mu.Unlock()
	return !g.first.reaped
}

func (g *guard) cpuInAll() time.Duration {
	cpu, _ := cpuTime(g.ids())
	return cpu
}

// rescue cannot find what the guard left.
func rescue() error {
	return errors.New("some of the server's processes may be left: outside Linux they cannot be found without the guard")
}

func (g *guard) spawn() error {
	null, log, err := g.files()
	if err != nil {
		return err
	}
	defer func() { _ = null.Close() }()
	defer func() { _ = log.Close() }()
	pid, err := syscall.ForkExec(g.path, g.spec.Argv, &syscall.ProcAttr{
		Dir:   g.spec.Dir,
		Env:   g.spec.Env,
		Files: []uintptr{null.Fd(), log.Fd(), log.Fd()},
		Sys:   &syscall.SysProcAttr{Setpgid: true},
	})
	if err != nil {
		return &execError{g.path, err}
	}
	g.root.PID = pid
	return nil
}

// reap waits for the started process and then until its group is empty.
func (g *guard) reap(exit chan<- Exit) {
	var status syscall.WaitStatus
	for {
		_, err := syscall.Wait4(g.root.PID, &status, 0, nil)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	g.first.mu.Lock()
	g.first.reaped = true
	g.first.mu.Unlock()
	if status.Signaled() {
		exit <- Exit{Signal: status.Signal()}
	} else {
		exit <- Exit{Code: status.ExitStatus()}
	}
	for len(g.members()) > 0 {
		time.Sleep(50 * time.Millisecond)
	}
	close(g.empty)
}

// listed is one line of ps.
type listed struct {
	Process
	group int
	rss   int64
}

func list() ([]listed, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	text, err := exec.CommandContext(ctx, "ps", "-axo", "pid=,ppid=,pgid=,rss=,time=,state=,comm=").Output()
	if err != nil {
		return nil, fmt.Errorf("run ps: %w", err)
	}
	var all []listed
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 7 {
			continue
		}
		pid, _ := strconv.Atoi(f[0])
		parent, _ := strconv.Atoi(f[1])
		group, _ := strconv.Atoi(f[2])
		kilobytes, _ := strconv.ParseInt(f[3], 10, 64)
		all = append(all, listed{
			Process: Process{PID: pid, Parent: parent, Command: strings.Join(f[6:], " "), State: f[5][:1], CPU: clock(f[4])},
			group:   group,
			rss:     kilobytes << 10,
		})
	}
	return all, nil
}

// clock reads the CPU time that ps prints: minutes:seconds with a fraction, hours before them.
func clock(text string) time.Duration {
	seconds := 0.0
	for part := range strings.SplitSeq(text, ":") {
		n, _ := strconv.ParseFloat(part, 64)
		seconds = seconds*60 + n
	}
	return time.Duration(seconds * float64(time.Second))
}

func processes() ([]Process, error) {
	all, err := list()
	if err != nil {
		return nil, err
	}
	var found []Process
	for _, l := range all {
		if group, err := syscall.Getpgid(l.PID); err == nil && group == l.group {
			found = append(found, l.Process)
		}
	}
	return found, nil
}

func members(all []Process, of ids) []Process {
	children := make(map[int][]Process)
	for _, p := range all {
		children[p.Parent] = append(children[p.Parent], p)
	}
	in := make(map[int]Process)
	for next := []int{of.guard}; len(next) > 0; next = next[1:] {
		for _, p := range children[next[0]] {
			in[p.PID] = p
			next = append(next, p.PID)
		}
		delete(children, next[0])
	}
	for _, p := range all {
		if group, err := syscall.Getpgid(p.PID); err == nil && group == of.root && of.root != 0 {
			in[p.PID] = p
		}
	}
	var tree []Process
	for _, p := range in {
		// The ps that made the list is a child of the guard as well.
		if p.Command != "ps" && !strings.HasSuffix(p.Command, "/ps") {
			tree = append(tree, p)
		}
	}
	slices.SortFunc(tree, func(a, b Process) int { return cmp.Compare(a.PID, b.PID) })
	return tree
}

func (p Process) title() string { return "" }

func (p Process) signal(sig syscall.Signal) { _ = syscall.Kill(p.PID, sig) }

func cpuTime(of ids) (cpu time.Duration, err error) {
	all, err := list()
	if err != nil {
		return 0, err
	}
	procs := make([]Process, len(all))
	byPID := make(map[int]listed)
	for i, l := range all {
		procs[i] = l.Process
		byPID[l.PID] = l
	}
	for _, p := range members(procs, of) {
		cpu += byPID[p.PID].CPU
	}
	return cpu, nil
}

// numbers are the processes by what each calls itself.
func numbers(tree []Process) map[int]int {
	found := make(map[int]int, len(tree))
	for _, p := range tree {
		found[p.PID] = p.PID
	}
	return found
}

func memoryOf(tree []Process) (Memory, error) {
	all, err := list()
	if err != nil {
		return Memory{}, err
	}
	m := Memory{ByProcess: make(map[int]int64, len(tree))}
	for _, l := range all {
		if slices.ContainsFunc(tree, func(p Process) bool { return p.PID == l.PID }) {
			m.PSS += l.rss
			m.ByProcess[l.PID] = l.rss
		}
	}
	return m, nil
}

func connected([]Process) (map[netip.AddrPort]int, error) {
	return nil, fmt.Errorf("find the connections: %w", errors.ErrUnsupported)
}

func listening([]Process) ([]netip.AddrPort, error) {
	return nil, fmt.Errorf("find the listening sockets: %w", errors.ErrUnsupported)
}

func locks([]Process) LockWaits { return LockWaits{} }
