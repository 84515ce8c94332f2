package hold

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// Main is the body of `advise guard`, the process that holds one tree. It returns the exit code.
func Main(in io.Reader, out io.Writer) int {
	// Taken and dropped rather than ignored: what is ignored stays so in the server after exec.
	dropped := make(chan os.Signal, 1)
	signal.Notify(dropped, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGPIPE)

	orders := make(chan order)
	go decode(in, orders)
	order, ok := <-orders
	if !ok || order.Spec == nil {
		fmt.Fprintln(os.Stderr, "advise guard: run by advise itself, to hold a server")
		return 1
	}
	task := task{spec: *order.Spec, path: order.Path, groups: order.Groups, events: json.NewEncoder(out)}
	if order.Do == doFirst {
		beFirst(task, order.Apart, orders)
		return 0
	}
	g := &guard{task: task, empty: make(chan struct{})}
	g.run(orders)
	return 0
}

// A task is what the guard and the first process have to do.
type task struct {
	spec   Spec
	path   string
	events *json.Encoder
	groups groups
}

// emit drops what cannot be written: a parent that has gone is noticed by the end of its orders.
func (t *task) emit(e event) { _ = t.events.Encode(e) }

// remove may come after somebody else has removed it all.
func (t *task) remove() []string {
	var faults []string
	if err := t.groups.remove(); err != nil {
		faults = append(faults, err.Error())
	}
	if err := removeFiles(t.spec.Remove); err != nil {
		faults = append(faults, err.Error())
	}
	return faults
}

type guard struct {
	task
	root  Process // the started one
	first first   // the one that starts it

	empty chan struct{} // closed when nothing is left to wait for
}

func (g *guard) run(orders <-chan order) {
	if err := g.start(); err != nil {
		faults := g.remove()
		g.release()
		g.emit(event{Kind: startFailed, Fault: newFault(err)})
		g.emit(event{Kind: allRemoved, Faults: faults})
		return
	}
	g.hold(orders)
	usage := g.usage()
	g.emit(event{Kind: treeEmpty, Usage: &usage})
	faults := g.remove()
	g.release()
	g.emit(event{Kind: allRemoved, Faults: faults})
}

func (g *guard) start() error {
	name := identity(os.Getpid())
	if err := becomeReaper("guard"); err != nil {
		return err
	}
	removeStale()
	var err error
	if g.groups, err = makeGroups(name, g.spec.Limits); err != nil {
		return err
	}
	g.emit(event{Kind: guardReady, Groups: g.groups})
	g.spec.Env = append(handedOn(g.spec.Env), marker+name)
	if err := g.spawn(); err != nil {
		return err
	}
	g.emit(event{Kind: started, PID: g.root.PID, First: &g.first.Process})
	return nil
}

// marker begins the entry in the environment by which processes are known as belonging to a guard
// when neither the guard nor a cgroup is left to tell.
const marker = "ADVISE_GUARD="

// firstPatience is how long the first process may take to say that all that was killed has ended. One that
// somebody keeps from it never does; its own end is as good.
const firstPatience = 3 * time.Second

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
	gone := g.first.gone
	patience := time.NewTimer(firstPatience)
	patience.Stop()
	kill := func() {
		if stage != killing {
			patience.Reset(firstPatience)
		}
		stage = killing
		g.kill(pause)
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
		case <-gone:
			// Where it had no namespace, what it was to wait for has come to the guard.
			gone = nil
			kill()
		case <-patience.C:
			g.first.kill()
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
	if g.rootLives() {
		g.root.signal(sig)
		return
	}
	for _, p := range g.members() {
		if p.Parent == os.Getpid() || p.Parent == g.first.PID || p.Parent == 1 {
			p.signal(sig)
		}
	}
}

func (g *guard) signalAll(sig syscall.Signal) {
	for _, p := range g.members() {
		p.signal(sig)
	}
}

func (g *guard) kill(pause time.Duration) {
	g.first.wake()
	// What the cgroup could not kill the list below does.
	g.groups.kill(pause)
	g.signalAll(syscall.SIGKILL)
}

func (g *guard) members() []Process {
	all, err := processes()
	if err != nil {
		return nil
	}
	return members(all, g.ids())
}

func (g *guard) ids() ids { return ids{guard: os.Getpid(), first: g.first.PID, root: g.root.PID} }

// ids are the processes by which a tree is known.
type ids struct {
	guard int
	first int // between the guard and the tree; 0: none
	root  int // that was started
}

func (g *guard) usage() Usage {
	u, _ := g.groups.usage()
	if !u.Counted {
		u.CPU = g.cpuInAll()
	}
	return u
}

// files opens what the server has as standard input, output and error.
func (t *task) files() (null, log *os.File, err error) {
	if null, err = os.OpenFile(os.DevNull, os.O_RDWR, 0); err != nil {
		return nil, nil, fmt.Errorf("open the server's input: %w", err)
	}
	if t.spec.Log == "" {
		return null, null, nil
	}
	log, err = os.OpenFile(t.spec.Log, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		_ = null.Close()
		return nil, nil, fmt.Errorf("open the server's log: %w", err)
	}
	return null, log, nil
}
