package hold

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ownPath is this program, whatever has become of its file. The name that the kernel gives to who runs
// it is "exe".
func ownPath() (string, error) { return "/proc/self/exe", nil }

// EndWithThread has the kernel end a subcommand with the thread that starts it, which has to be locked for
// as long.
func EndWithThread(c *exec.Cmd) { c.SysProcAttr.Pdeathsig = syscall.SIGKILL }

// wakeWithParent has a subcommand go on, if it has been stopped, when the thread that starts it ends: it
// may be the one that cleans up.
func wakeWithParent(c *exec.Cmd) { c.SysProcAttr.Pdeathsig = syscall.SIGCONT }

// life is, in the guard and in the first process, the end of a pipe whose other end only advise has: it
// is at its end when advise is. Its number is that of the first of exec.Cmd.ExtraFiles.
func life() *os.File {
	const fd = 3
	unix.CloseOnExec(fd)
	return os.NewFile(fd, "life")
}

// becomeReaper has all orphans below this process come to it. The name is one to be found by in ps;
// nothing depends on it.
func becomeReaper(name string) error {
	_ = os.WriteFile("/proc/self/comm", []byte("hold-"+name), 0)
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become the %s: %w", name, err)
	}
	return nil
}

// first is the first process as the guard sees it.
type first struct {
	Process
	cmd    *exec.Cmd
	orders io.WriteCloser
	events <-chan event
	gone   <-chan struct{} // closed when it has ended
	cpu    time.Duration   // of the whole tree, once that has ended; 0: it did not say
}

// spawn has the first process start the server: in a namespace where it may have one.
func (g *guard) spawn() error {
	alive := life()
	defer func() { _ = alive.Close() }()
	e, err := g.startFirst(alive, true)
	if err != nil || e.Kind == notApart {
		g.release()
		if e, err = g.startFirst(alive, false); err != nil {
			return err
		}
	}
	switch e.Kind {
	case started:
		g.root = identified(e.PID)
		return nil
	case startFailed:
		return e.Fault
	}
	g.release()
	g.clear()
	return errors.New("start the server: the first process was killed")
}

// startFirst returns what the first process said first; nothing, if it has ended.
func (g *guard) startFirst(alive *os.File, apart bool) (event, error) {
	fault := func(err error) (event, error) { return event{}, fmt.Errorf("start the first process: %w", err) }
	cmd, err := Subcommand("guard", "first")
	if err != nil {
		return fault(err)
	}
	// It stays in the guard's session, by which the tree is known.
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	wakeWithParent(cmd)
	if apart {
		cmd.SysProcAttr.Cloneflags = unix.CLONE_NEWPID | unix.CLONE_NEWNS
	}
	cmd.ExtraFiles, cmd.Stderr = []*os.File{alive}, os.Stderr
	orders, err := cmd.StdinPipe()
	if err != nil {
		return fault(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return fault(err)
	}
	if err := cmd.Start(); err != nil {
		return fault(err)
	}
	events, gone := make(chan event), make(chan struct{})
	go func() {
		decode(out, events)
		_ = cmd.Wait()
		close(gone)
	}()
	g.first = first{Process: identified(cmd.Process.Pid), cmd: cmd, orders: orders, events: events, gone: gone}
	// One that has gone already is noticed by the end of its events.
	_ = json.NewEncoder(orders).Encode(order{Do: doFirst, Spec: &g.spec, Path: g.path, Groups: g.groups, Apart: apart})
	return <-events, nil
}

// identified is a process of which the number is known. One that has ended has no start.
func identified(pid int) Process {
	s, err := readStat(strconv.Itoa(pid))
	if err != nil {
		return Process{PID: pid}
	}
	return s.Process
}

func (g *guard) rootLives() bool { return g.root.StartTicks > 0 && g.root.lives() }

// reap takes in what the first process says until it has ended, and waits for what that leaves to the
// guard then. Orphans become children of either before their parent can be waited for, so that the
// answer ECHILD is the proof that the tree is empty.
func (g *guard) reap(exit chan<- Exit) {
	told := false
	for e := range g.first.events {
		switch e.Kind {
		case rootExited:
			exit <- *e.Exit
		case treeEmpty:
			g.first.cpu, told = e.Usage.CPU, true
			close(g.empty)
		}
	}
	if told {
		return
	}
	<-g.first.gone
	for {
		_, err := syscall.Wait4(-1, nil, 0, nil)
		if errors.Is(err, syscall.ECHILD) {
			close(g.empty)
			return
		}
	}
}

// clear kills what a first process that was killed has left, before reap has begun.
func (g *guard) clear() {
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		g.kill(pause)
		pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
		if errors.Is(err, syscall.ECHILD) {
			return
		}
		if pid <= 0 {
			time.Sleep(pause)
		}
	}
}

// release lets the first process go when there is nothing more for it to do.
func (g *guard) release() {
	if g.first.cmd == nil {
		return
	}
	_ = g.first.orders.Close()
	g.first.wake()
	for range g.first.events { // so that its end is noticed
	}
	select {
	case <-g.first.gone:
	case <-time.After(firstPatience):
		g.first.kill()
		<-g.first.gone
	}
}

// wake has one go on that somebody has stopped.
func (f *first) wake() { f.signal(syscall.SIGCONT) }

// kill ends the namespace with it, if it has one.
func (f *first) kill() { f.signal(syscall.SIGKILL) }

func (g *guard) cpuInAll() time.Duration {
	if g.first.cpu > 0 {
		return g.first.cpu
	}
	cpu, _ := cpuTime(g.ids())
	return cpu
}
