package demo

import (
	"errors"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// workerEnvironment keeps the Go runtime quiet beside the one thread that works. That thread keeps its
// P for good, a second one is for signals.
//
// Subtleness ahead! In a system call that announces itself to the runtime, as those of package unix do,
// the P is taken away, the runtime falls asleep, and on the way back it wakes its monitor, which then
// looks every 20 µs for a while: 6 % on top of a request of 2 ms. So the calls that block, and the clock,
// are raw here. Then the monitor looks every 10 ms, and it must not interrupt them with a signal when it
// finds the thread on duty for too long.
var workerEnvironment = []string{"GOMAXPROCS=2", "GODEBUG=asyncpreemptoff=1"}

// accept waits for a connection for idle at most. All workers sleep in this call on one blocking
// socket, of which the kernel wakes one per connection; waiting in epoll would wake them all.
func accept(fd int) (int, error) {
	conn, _, errno := unix.RawSyscall6(unix.SYS_ACCEPT4, uintptr(fd), 0, 0, unix.SOCK_CLOEXEC, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(conn), nil
}

func currentThread() int { return unix.Gettid() }

// rouse gets the thread out of accept, again and again until it has noticed. SIGURG means nothing to a
// Go program, and since the socket has a time limit the kernel does not go back into accept after it.
func rouse(thread int, noticed <-chan struct{}) {
	for {
		_ = unix.Tgkill(os.Getpid(), thread, unix.SIGURG)
		select {
		case <-noticed:
			return
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// threadCPU is the CPU time that the calling thread has used.
func threadCPU() time.Duration {
	var t unix.Timespec
	_, _, errno := unix.RawSyscall(unix.SYS_CLOCK_GETTIME, unix.CLOCK_THREAD_CPUTIME_ID, uintptr(unsafe.Pointer(&t)), 0)
	if errno != 0 {
		panic(errno) // the clock is always there
	}
	return time.Duration(t.Nano())
}

// precise makes the timers of the calling thread exact: by default they are late by up to 50 µs.
func precise() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) }

// pause sleeps in the thread, past the scheduler of Go.
func pause(d time.Duration) {
	left := unix.NsecToTimespec(max(d, 0).Nanoseconds())
	for left.Nano() > 0 {
		now := left
		_, _, errno := unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&now)), uintptr(unsafe.Pointer(&left)), 0)
		if !errors.Is(errno, unix.EINTR) {
			return
		}
	}
}
