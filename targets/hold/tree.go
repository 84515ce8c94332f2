package hold

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// termGrace is how long a tree has between SIGTERM to all of it and SIGKILL.
	termGrace = time.Second
	// killBound is how long Stop waits for processes that have been sent SIGKILL. Only a process in
	// an uninterruptible wait takes longer; the guard goes on trying.
	killBound = 10 * time.Second
)

// Tree is a started process with everything that descends from it.
type Tree struct {
	pid    int
	limits Limits
	guard  int
	holder *os.Process // the guard
	name   string      // the guard's identity
	life   *os.File    // its end is ours, for those who do not watch the guard's orders
	first  Process
	groups groups

	ended chan struct{}
	done  chan struct{}

	mu      sync.Mutex
	orders  *json.Encoder
	exit    *Exit
	final   *Usage
	removed bool // the guard said that nothing is left
	peak    int64
	err     error
}

// Start runs the program of s inside its limits and returns when it has been executed. A program
// that is not there is exec.ErrNotFound, one that may not be run fs.ErrPermission.
//
// The context bounds the start alone. A started tree ends by itself, by Stop, or together with the
// calling process, however that ends.
func Start(ctx context.Context, s Spec) (*Tree, error) {
	t, err := start(ctx, s)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", strings.Join(s.Argv[:min(1, len(s.Argv))], ""), err)
	}
	return t, nil
}

func start(ctx context.Context, s Spec) (*Tree, error) {
	if err := s.Limits.validate(); err != nil {
		return nil, err
	}
	if s.Limits.Method == Auto || s.Limits.Method == "" {
		return nil, errors.New("the limits have no method: Choose finds one")
	}
	if len(s.Argv) == 0 {
		return nil, errors.New("no command given")
	}
	path, err := lookPath(s.Argv[0], s.Env, s.Dir)
	if err != nil {
		return nil, err
	}
	complaints := &tail{}
	guard, err := Subcommand("guard")
	if err != nil {
		return nil, fmt.Errorf("find the program to run as the guard: %w", err)
	}
	wakeWithParent(guard)
	guard.Stderr, guard.WaitDelay = complaints, time.Second
	in, err := guard.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start the guard: %w", err)
	}
	out, err := guard.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start the guard: %w", err)
	}
	watched, life, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start the guard: %w", err)
	}
	guard.ExtraFiles = []*os.File{watched}
	err = guard.Start()
	_ = watched.Close()
	if err != nil {
		_ = life.Close()
		return nil, fmt.Errorf("start the guard: %w", err)
	}

	t := &Tree{
		limits: s.Limits,
		guard:  guard.Process.Pid,
		holder: guard.Process,
		name:   identity(guard.Process.Pid),
		life:   life,
		ended:  make(chan struct{}),
		done:   make(chan struct{}),
		orders: json.NewEncoder(in),
	}
	events := make(chan event)
	go decode(out, events)
	// A guard that is gone already is noticed by the end of its events. One that is stopped does not read.
	go func() { _ = t.send(order{Do: doStart, Spec: &s, Path: path}) }()

	begun := make(chan error, 1)
	go func() {
		t.follow(events, begun)
		_ = in.Close()
		waited := guard.Wait()
		t.conclude(waited, complaints, s.Remove)
	}()

	select {
	case err := <-begun:
		if err != nil {
			<-t.done
			return nil, errors.Join(err, t.Err())
		}
		return t, nil
	case <-ctx.Done():
		_ = in.Close()
		t.wake()
		<-t.done
		return nil, ctx.Err()
	}
}

// follow takes in the guard's events until there are no more. It tells begun once: nil when the
// program runs, or why it does not.
func (t *Tree) follow(events <-chan event, begun chan<- error) {
	told := false
	tell := func(err error) {
		if !told {
			told = true
			begun <- err
		}
	}
	for e := range events {
		t.mu.Lock()
		switch e.Kind {
		case guardReady:
			t.groups = e.Groups
		case started:
			t.pid = e.PID
			if e.First != nil {
				t.first = *e.First
			}
			tell(nil)
		case startFailed:
			t.end(Usage{})
			tell(e.Fault)
		case rootExited:
			t.exit = e.Exit
		case treeEmpty:
			t.end(*e.Usage)
		case allRemoved:
			t.removed = true
			for _, f := range e.Faults {
				t.err = errors.Join(t.err, errors.New(f))
			}
		}
		t.mu.Unlock()
	}
	tell(ErrGuardKilled)
}

// end is called with the lock held.
func (t *Tree) end(u Usage) {
	if t.final == nil {
		if u.HasMemory && u.MemoryPeak == 0 {
			u.MemoryPeak = t.peak
		}
		t.final = &u
		close(t.ended)
	}
}

// conclude is called when the guard has been waited for. A guard exits when nothing of its tree is
// left; if this one did not get that far, what it left is killed here.
func (t *Tree) conclude(waited error, complaints *tail, remove []string) {
	defer close(t.done)
	defer func() { _ = t.life.Close() }()
	t.mu.Lock()
	proved := t.removed
	groups := t.groups
	t.mu.Unlock()
	if proved {
		if err := groups.settled(killBound); err != nil {
			t.mu.Lock()
			defer t.mu.Unlock()
			t.err = errors.Join(t.err, err)
		}
		return
	}
	err := fmt.Errorf("%w (%w)", ErrGuardKilled, errorOr(waited, "it exited"))
	if text := complaints.String(); text != "" {
		err = fmt.Errorf("%w: %s", err, text)
	}
	usage, _ := groups.usage()
	err = errors.Join(err, groups.rescue(t.name, t.first, killBound), removeFiles(remove))
	t.mu.Lock()
	defer t.mu.Unlock()
	t.err = errors.Join(t.err, err)
	t.end(usage)
}

func errorOr(err error, text string) error {
	if err != nil {
		return err
	}
	return errors.New(text)
}

// wake has a guard go on that somebody has stopped.
func (t *Tree) wake() { _ = t.holder.Signal(syscall.SIGCONT) }

func (t *Tree) send(o order) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.orders.Encode(o)
}

// PID is the process that was started. It may have ended while others of its tree live on.
func (t *Tree) PID() int { return t.pid }

// Limits are those the tree is held to.
func (t *Tree) Limits() Limits { return t.limits }

// Ended is closed when the last process of the tree has ended.
func (t *Tree) Ended() <-chan struct{} { return t.ended }

// Done is closed when, after Ended, the limits and the files named in Spec.Remove are gone too, and
// with them the guard.
func (t *Tree) Done() <-chan struct{} { return t.done }

// Err says, once Done is closed, what went wrong in ending the tree. The exit code of the started
// process is no such thing.
func (t *Tree) Err() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.err
}

// Exit is how the started process ended, and whether it has. Its children may live on: a server
// that daemonises exits with code 0 at once.
func (t *Tree) Exit() (Exit, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.exit == nil {
		return Exit{}, false
	}
	return *t.exit, true
}

// Processes are the living processes of the tree, wherever they forked to, ordered by PID.
func (t *Tree) Processes() ([]Process, error) {
	if t.isDone() {
		return nil, nil
	}
	all, err := processes()
	if err != nil {
		return nil, fmt.Errorf("list the processes of %d: %w", t.pid, err)
	}
	tree := slices.DeleteFunc(members(all, t.ids()), Process.zombie)
	for i := range tree {
		tree[i].Title = tree[i].title()
	}
	return tree, nil
}

func (t *Tree) ids() ids { return ids{guard: t.guard, first: t.first.PID, root: t.pid} }

// Numbers are the processes of the tree by what each calls itself: where it has a PID namespace that is
// another number than PID.
func (t *Tree) Numbers() (map[int]int, error) {
	tree, err := t.Processes()
	if err != nil {
		return nil, err
	}
	return numbers(tree), nil
}

func (t *Tree) isDone() bool {
	select {
	case <-t.ended:
		return true
	default:
		return false
	}
}

func (p Process) zombie() bool { return p.State == "Z" || p.State == "X" }

// Listening are the TCP addresses that processes of the tree listen on. Outside Linux it is
// errors.ErrUnsupported.
func (t *Tree) Listening() ([]netip.AddrPort, error) {
	tree, err := t.Processes()
	if err != nil {
		return nil, err
	}
	return listening(tree)
}

// Connected are the TCP addresses on other hosts that the tree has made connections to, with the number of
// them. Outside Linux it is errors.ErrUnsupported.
func (t *Tree) Connected() (map[netip.AddrPort]int, error) {
	tree, err := t.Processes()
	if err != nil {
		return nil, err
	}
	return connected(tree)
}

// Memory adds up what the tree has resident. A process that ends meanwhile counts as nothing.
func (t *Tree) Memory() (Memory, error) {
	tree, err := t.Processes()
	if err != nil {
		return Memory{}, err
	}
	return memoryOf(tree)
}

// Usage is what the tree has used so far; after its end, what it used in all.
func (t *Tree) Usage() (Usage, error) {
	t.mu.Lock()
	final, groups := t.final, t.groups
	t.mu.Unlock()
	if final != nil {
		return *final, nil
	}
	u, err := groups.usage()
	if err == nil && !u.Counted {
		u.CPU, err = cpuTime(t.ids())
	}
	if err != nil {
		// The tree may have ended between the two looks, its cgroups with it.
		select {
		case <-t.ended:
			return t.Usage()
		case <-time.After(killBound):
		}
		return Usage{}, fmt.Errorf("read what the tree of %d uses: %w", t.pid, err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.peak = max(t.peak, u.MemoryCharged)
	if u.HasMemory && u.MemoryPeak == 0 {
		u.MemoryPeak = t.peak
	}
	return u, nil
}

// Stop ends the tree: sig to the started process (or, if that has ended, to the oldest living
// ones), up to grace for all of the tree to end, SIGTERM to all of it, a second, SIGKILL. It returns
// when nothing is left, limits included. Cancelling the context goes to SIGKILL at once. Stopping
// what has ended is no error.
func (t *Tree) Stop(ctx context.Context, sig syscall.Signal, grace time.Duration) error {
	t.wake()
	// A guard that cannot be written to has ended, or is about to be noticed.
	_ = t.send(order{Do: doStop, Signal: sig, Grace: grace})
	patience := time.NewTimer(grace + termGrace + killBound)
	defer patience.Stop()
	cancelled := ctx.Done()
	for {
		select {
		case <-t.done:
			return t.Err()
		case <-cancelled:
			cancelled = nil
			_ = t.send(order{Do: doKill})
			patience.Reset(killBound)
		case <-patience.C:
			return fmt.Errorf("stop the tree of %d: %s", t.pid, t.remaining())
		}
	}
}

func (t *Tree) remaining() string {
	tree, err := t.Processes()
	if err != nil {
		return err.Error()
	}
	if len(tree) == 0 {
		return "its processes have ended, its guard has not"
	}
	var still []string
	for _, p := range tree {
		still = append(still, fmt.Sprintf("%d %s (%s)", p.PID, p.Command, p.State))
	}
	return "still there after SIGKILL: " + strings.Join(still, ", ")
}

// lookPath finds the program as a shell in dir with this environment would, except that the working
// folder is never searched for a bare name.
func lookPath(name string, env []string, dir string) (string, error) {
	if strings.ContainsRune(name, filepath.Separator) {
		path := name
		if !filepath.IsAbs(path) {
			path = filepath.Join(dir, path)
		}
		if err := executable(path); err != nil {
			return "", err
		}
		return filepath.Abs(path)
	}
	var path string
	for _, e := range env {
		if value, ok := strings.CutPrefix(e, "PATH="); ok {
			path = value
		}
	}
	found := error(exec.ErrNotFound)
	for _, folder := range filepath.SplitList(path) {
		if !filepath.IsAbs(folder) {
			continue
		}
		candidate := filepath.Join(folder, name)
		err := executable(candidate)
		if err == nil {
			return candidate, nil
		}
		if errors.Is(err, fs.ErrPermission) {
			found = err
		}
	}
	return "", found
}

func executable(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return &fault{Message: "no such file", Errno: syscall.ENOENT, Exec: true}
	}
	if err != nil {
		return err
	}
	if info.IsDir() || info.Mode()&0o111 == 0 {
		return fmt.Errorf("%s is not an executable file: %w", path, fs.ErrPermission)
	}
	return nil
}

func removeFiles(paths []string) error {
	var faults []error
	for _, p := range paths {
		if err := os.RemoveAll(p); err != nil {
			faults = append(faults, fmt.Errorf("remove what the server left: %w", err))
		}
	}
	return errors.Join(faults...)
}

// tail keeps the last of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailBytes = 2000

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	t.text = t.text[max(0, len(t.text)-tailBytes):]
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.text))
}

var _ io.Writer = (*tail)(nil)
