package hold

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A keeper is the first process: the parent of the server, between it and the guard. Its end is the end of
// all where it has a PID namespace. It ends everything itself when the guard or advise has gone, whichever
// goes first, so that any one of the three does.
type keeper struct {
	task
	apart bool
	host  *os.File // /proc as the guard sees it, where this process has another
	root  int      // the started process, by its number here

	exit  chan Exit
	empty chan struct{}
}

// beFirst returns when nothing is left and the guard, or whoever outlives it, has been told.
func beFirst(t task, apart bool, orders <-chan order) {
	k := &keeper{task: t, apart: apart, exit: make(chan Exit, 1), empty: make(chan struct{})}
	alive := life()
	if err := k.prepare(); err != nil {
		k.emit(event{Kind: notApart, Fault: newFault(err)})
		return
	}
	if pid, err := k.spawn(); err != nil {
		k.emit(event{Kind: startFailed, Fault: newFault(err)})
	} else {
		k.emit(event{Kind: started, PID: pid})
	}
	orphaned := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, alive)
		close(orphaned)
	}()
	k.keep(orders, orphaned)
	k.remove()
}

func (k *keeper) prepare() error {
	if err := becomeReaper("first"); err != nil || !k.apart {
		return err
	}
	var err error
	if k.host, err = os.Open("/proc"); err != nil {
		return err
	}
	// What is mounted in the namespace stays in it; what the machine mounts is seen in it.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
		return fmt.Errorf("keep mounts apart: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	own, err := unix.PidfdOpen(os.Getpid(), 0)
	if err != nil {
		return fmt.Errorf("find out the own number: %w", err)
	}
	defer func() { _ = unix.Close(own) }()
	_, err = k.outside(own)
	return err
}

// outside is the number that the guard knows a process by.
func (k *keeper) outside(pidfd int) (int, error) {
	fd, err := unix.Openat(int(k.host.Fd()), "self/fdinfo/"+strconv.Itoa(pidfd), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, fmt.Errorf("find a process's number: %w", err)
	}
	info := os.NewFile(uintptr(fd), "fdinfo")
	defer func() { _ = info.Close() }()
	text, err := io.ReadAll(info)
	if err != nil {
		return 0, fmt.Errorf("find a process's number: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, "Pid:"); ok {
			if pid, err := strconv.Atoi(strings.TrimSpace(value)); err == nil && pid > 0 {
				return pid, nil
			}
		}
	}
	return 0, fmt.Errorf("find a process's number: none in %q", text)
}

// keep returns when nothing of the tree is left and nobody is there who has a use for that.
func (k *keeper) keep(orders <-chan order, orphaned <-chan struct{}) {
	go k.reap()
	now := make(chan time.Time)
	close(now)
	var next <-chan time.Time
	pause := time.Millisecond
	empty, alone := k.empty, false
	for empty != nil || !alone {
		select {
		case e := <-k.exit:
			k.emit(event{Kind: rootExited, Exit: &e})
		case _, ok := <-orders:
			if !ok {
				orders, alone = nil, true
			}
			next = now
		case <-orphaned:
			orphaned, alone = nil, true
			next = now
		case <-next:
			k.kill(pause)
			next = time.After(pause)
			pause = min(2*pause, 100*time.Millisecond)
		case <-empty:
			empty = nil
			select {
			case e := <-k.exit:
				k.emit(event{Kind: rootExited, Exit: &e})
			default:
			}
			k.emit(event{Kind: treeEmpty, Usage: &Usage{CPU: waitedFor()}})
		}
		if empty == nil {
			next = nil
		}
	}
}

// waitedFor is the CPU time of all that this process has waited for, and of what they have.
func waitedFor() time.Duration {
	var r unix.Rusage
	if unix.Getrusage(unix.RUSAGE_CHILDREN, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

func (k *keeper) kill(pause time.Duration) {
	if k.apart {
		// All of the namespace at once, however fast it forks: nothing has to be frozen for that.
		_ = syscall.Kill(-1, syscall.SIGKILL)
		k.groups.kill(0) // which thaws
		return
	}
	k.groups.kill(pause)
	all, err := processes()
	if err != nil {
		return
	}
	for _, p := range members(all, ids{guard: os.Getpid()}) {
		p.signal(syscall.SIGKILL)
	}
}

// reap waits for everything that ends, until nothing is left that could.
func (k *keeper) reap() {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		if errors.Is(err, syscall.ECHILD) {
			close(k.empty)
			return
		}
		if err != nil || pid != k.root {
			continue
		}
		if status.Signaled() {
			k.exit <- Exit{Signal: status.Signal()}
		} else {
			k.exit <- Exit{Code: status.ExitStatus()}
		}
	}
}

// spawn starts the server from a thread that has the server's cgroups and affinity, so that both
// hold from its first instruction, and returns the number that the guard knows it by. The thread lives as
// long as the process: the server's parent-death signal is bound to the thread.
func (k *keeper) spawn() (int, error) {
	type result struct {
		pid int
		err error
	}
	forked := make(chan result, 1)
	go func() {
		runtime.LockOSThread()
		pid, err := k.fork()
		forked <- result{pid, err}
		select {}
	}()
	r := <-forked
	return r.pid, r.err
}

// fork runs on the locked thread.
func (k *keeper) fork() (pid int, err error) {
	null, log, err := k.files()
	if err != nil {
		return 0, err
	}
	defer func() { _ = null.Close() }()
	defer func() { _ = log.Close() }()
	attr := &syscall.ProcAttr{
		Dir:   k.spec.Dir,
		Env:   k.spec.Env,
		Files: []uintptr{null.Fd(), log.Fd(), log.Fd()},
		Sys:   &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
	}

	l := k.spec.Limits
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return 0, fmt.Errorf("read the affinity: %w", err)
	}
	defer func() { _ = unix.SchedSetaffinity(0, &before) }()
	if k.groups.One != nil {
		leave, err := k.groups.One.enter()
		if err != nil {
			return 0, err
		}
		defer func() {
			if fault := leave(); fault != nil && err == nil {
				err = fmt.Errorf("leave the cgroup: %w", fault)
			}
		}()
	}
	if two := k.groups.Two; two != nil {
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
	pidfd := -1
	if k.apart {
		attr.Sys.PidFD = &pidfd
	}
	k.root, err = syscall.ForkExec(k.path, k.spec.Argv, attr)
	if err != nil {
		return 0, &execError{k.path, err}
	}
	if !k.apart {
		return k.root, nil
	}
	defer func() { _ = unix.Close(pidfd) }()
	return k.outside(pidfd)
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
