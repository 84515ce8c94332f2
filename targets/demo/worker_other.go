//go:build !linux

package demo

import (
	"time"

	"golang.org/x/sys/unix"
)

var workerEnvironment = []string{"GOMAXPROCS=1"}

// accept waits for a connection for idle at most. accept itself knows no time limit here, so all
// workers are woken for each connection and one of them gets it.
func accept(fd int) (int, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		return 0, err
	}
	if n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(idle/time.Millisecond)); err != nil {
		return 0, err
	} else if n == 0 {
		return 0, unix.EAGAIN
	}
	conn, _, err := unix.Accept(fd)
	if err != nil {
		return 0, err
	}
	unix.CloseOnExec(conn)
	return conn, unix.SetNonblock(conn, false)
}

func currentThread() int { return 0 }

// rouse has nothing to do: accept looks up often enough.
func rouse(int, <-chan struct{}) {}

// threadCPU is the CPU time that the calling thread has used.
func threadCPU() time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		panic(err) // the clock is always there
	}
	return time.Duration(t.Nano())
}

func precise() {}

func pause(d time.Duration) { time.Sleep(d) }
