package hold

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

func becomeGuard() error {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("become the guard: %w", err)
	}
	// A name to be found by in ps; nothing depends on it.
	_ = os.WriteFile("/proc/self/comm", []byte("advise-guard"), 0)
	return nil
}

// spawn starts the server from a thread that has the server's cgroups and affinity, so that both
// hold from its first instruction. The thread lives as long as the guard: the server's parent-death
// signal, second line after the pipe, is bound to the thread and not to the process.
func (g *guard) spawn() (int, error) {
	type result struct {
		pid int
		err error
	}
	forked := make(chan result, 1)
	go func() {
		runtime.LockOSThread()
		pid, err := g.fork()
		forked <- result{pid, err}
		select {}
	}()
	r := <-forked
	return r.pid, r.err
}

// fork runs on the locked thread.
func (g *guard) fork() (pid int, err error) {
	null, log, err := g.files()
	if err != nil {
		return 0, err
	}
	defer func() { _ = null.Close() }()
	defer func() { _ = log.Close() }()
	attr := &syscall.ProcAttr{
		Dir:   g.spec.Dir,
		Env:   g.spec.Env,
		Files: []uintptr{null.Fd(), log.Fd(), log.Fd()},
		Sys:   &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
	}

	l := g.spec.Limits
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return 0, fmt.Errorf("read the affinity: %w", err)
	}
	defer func() { _ = unix.SchedSetaffinity(0, &before) }()
	if g.groups.One != nil {
		leave, err := g.groups.One.enter()
		if err != nil {
			return 0, err
		}
		defer func() {
			if fault := leave(); fault != nil && err == nil {
				err = fmt.Errorf("leave the cgroup: %w", fault)
			}
		}()
	}
	if two := g.groups.Two; two != nil {
		dir, err := os.Open(two.Server)
		if err != nil {
			return 0, fmt.Errorf("open the cgroup: %w", err)
		}
		defer func() { _ = dir.Close() }()
		attr.Sys.UseCgroupFD, attr.Sys.CgroupFD = true, int(dir.Fd())
	}
	// After entering, as a cpuset sets the affinity of who enters.
	if l.Method != None && len(l.CPUs) > 0 {
		if err := pin(l.CPUs); err != nil {
			return 0, err
		}
	}
	pid, err = syscall.ForkExec(g.path, g.spec.Argv, attr)
	if err != nil {
		return 0, &execError{g.path, err}
	}
	return pid, nil
}

// pin binds the calling thread, which must be locked, to these cores and no others.
func pin(cpus []int) error {
	var want, got unix.CPUSet
	for _, c := range cpus {
		want.Set(c)
	}
	err := unix.SchedSetaffinity(0, &want)
	if err == nil {
		err = unix.SchedGetaffinity(0, &got)
	}
	// The kernel leaves out, without a word, what the cpuset around advise does not have.
	if err == nil && (got != want || want.Count() != len(cpus)) {
		err = errors.New("some of them are not available to advise")
	}
	if err != nil {
		return fmt.Errorf("pin to the cores %s: %w", cpuList(cpus), err)
	}
	return nil
}

// reap waits for everything that ends, until nothing is left that could. Orphans become children of
// the guard before their parent can be waited for, so ECHILD is the proof that the tree is empty.
func (g *guard) reap(exit chan<- Exit) {
	for {
		err := unix.Waitid(unix.P_ALL, 0, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if errors.Is(err, unix.ECHILD) {
			close(g.empty)
			return
		}
		if err != nil {
			continue
		}
		g.mu.Lock()
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
		if err == nil && pid == g.root {
			g.reaped = true
			if status.Signaled() {
				exit <- Exit{Signal: status.Signal()}
			} else {
				exit <- Exit{Code: status.ExitStatus()}
			}
		}
		g.mu.Unlock()
	}
}
