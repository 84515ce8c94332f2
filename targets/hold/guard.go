package hold

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// Main is the body of `advise guard`, the process that holds one tree. It returns the exit code.
func Main(in io.Reader, out io.Writer) int {
	// Taken and dropped rather than ignored: what is ignored stays so in the server after exec.
	dropped := make(chan os.Signal, 1)
	signal.Notify(dropped, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE)

	orders := make(chan order)
	go func() {
		defer close(orders)
		decoder := json.NewDecoder(in)
		for {
			var o order
			if decoder.Decode(&o) != nil {
				return
			}
			orders <- o
		}
	}()
	first, ok := <-orders
	if !ok || first.Do != doStart || first.Spec == nil {
		fmt.Fprintln(os.Stderr, "advise guard: run by advise itself, to hold a server")
		return 1
	}
	g := &guard{spec: *first.Spec, path: first.Path, events: json.NewEncoder(out), empty: make(chan struct{})}
	if err := g.start(); err != nil {
		faults := g.remove()
		g.emit(event{Kind: startFailed, Fault: newFault(err)})
		g.emit(event{Kind: allRemoved, Faults: faults})
		return 0
	}
	g.hold(orders)
	usage := g.usage()
	g.emit(event{Kind: treeEmpty, Usage: &usage})
	g.emit(event{Kind: allRemoved, Faults: g.remove()})
	return 0
}

type guard struct {
	spec   Spec
	path   string
	events *json.Encoder
	groups groups
	root   int // the started process

	mu     sync.Mutex
	reaped bool          // root has been waited for: its number may belong to somebody else
	empty  chan struct{} // closed when nothing is left to wait for
}

// emit drops what cannot be written: a parent that has gone is noticed by the end of its orders.
func (g *guard) emit(e event) { _ = g.events.Encode(e) }

func (g *guard) start() error {
	name := identity(os.Getpid())
	if err := becomeGuard(); err != nil {
		return err
	}
	removeStale()
	var err error
	if g.groups, err = makeGroups(name, g.spec.Limits); err != nil {
		return err
	}
	g.emit(event{Kind: guardReady, Groups: g.groups})
	g.spec.Env = append(g.spec.Env, marker+name)
	if g.root, err = g.spawn(); err != nil {
		return err
	}
	g.emit(event{Kind: started, PID: g.root})
	return nil
}

// marker begins the entry in the environment by which processes are known as belonging to a guard
// when neither the guard nor a cgroup is left to tell.
const marker = "ADVISE_GUARD="

// hold returns when nothing of the tree is left.
func (g *guard) hold(orders <-chan order) {
	exit := make(chan Exit, 1)
	go g.reap(exit)

	const (
		running = iota
		asked   // by the signal of the caller's choice
		told    // by SIGTERM, all of them
		killing
	)
	stage := running
	var next <-chan time.Time
	pause := time.Millisecond
	kill := func() {
		stage = killing
		g.kill()
		next = time.After(pause)
		pause = min(2*pause, 100*time.Millisecond)
	}
	for {
		select {
		case e := <-exit:
			g.emit(event{Kind: rootExited, Exit: &e})
		case o, ok := <-orders:
			switch {
			case !ok:
				orders = nil
				kill()
			case o.Do == doKill && stage < killing:
				kill()
			case o.Do == doStop && stage == running:
				stage = asked
				g.ask(o.Signal)
				next = time.After(o.Grace)
			}
		case <-next:
			if stage == asked {
				stage = told
				g.signalAll(syscall.SIGTERM)
				next = time.After(termGrace)
				continue
			}
			kill()
		case <-g.empty:
			select {
			case e := <-exit:
				g.emit(event{Kind: rootExited, Exit: &e})
			default:
			}
			return
		}
	}
}

// ask signals the started process; when that has gone, those who took its place.
func (g *guard) ask(sig syscall.Signal) {
	g.mu.Lock()
	if !g.reaped {
		_ = syscall.Kill(g.root, sig)
		g.mu.Unlock()
		return
	}
	g.mu.Unlock()
	for _, p := range g.members() {
		if p.Parent == os.Getpid() || p.Parent == 1 {
			p.signal(sig)
		}
	}
}

func (g *guard) signalAll(sig syscall.Signal) {
	for _, p := range g.members() {
		p.signal(sig)
	}
}

func (g *guard) kill() {
	// What the cgroup could not kill the list below does.
	g.groups.kill()
	g.signalAll(syscall.SIGKILL)
}

func (g *guard) members() []Process {
	all, err := processes()
	if err != nil {
		return nil
	}
	return members(all, os.Getpid(), g.root)
}

func (g *guard) usage() Usage {
	u, _ := g.groups.usage()
	if !u.Counted {
		u.CPU, _ = cpuTime(os.Getpid(), g.root)
	}
	return u
}

func (g *guard) remove() []string {
	var faults []string
	if err := g.groups.remove(); err != nil {
		faults = append(faults, err.Error())
	}
	if err := removeFiles(g.spec.Remove); err != nil {
		faults = append(faults, err.Error())
	}
	return faults
}

// files opens what the server has as standard input, output and error.
func (g *guard) files() (null, log *os.File, err error) {
	if null, err = os.OpenFile(os.DevNull, os.O_RDWR, 0); err != nil {
		return nil, nil, fmt.Errorf("open the server's input: %w", err)
	}
	if g.spec.Log == "" {
		return null, null, nil
	}
	log, err = os.OpenFile(g.spec.Log, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		_ = null.Close()
		return nil, nil, fmt.Errorf("open the server's log: %w", err)
	}
	return null, log, nil
}
