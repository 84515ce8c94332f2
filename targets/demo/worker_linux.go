package demo

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// workerEnvironment keeps the Go runtime small beside the one thread that works.
var workerEnvironment = []string{"GOMAXPROCS=1"}

// accept waits for a connection for idle at most. All workers sleep in this call on one blocking
// socket, of which the kernel wakes one per connection; waiting in epoll would wake them all.
func accept(fd int) (int, error) {
	conn, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC)
	return conn, err
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

// precise makes the timers of the calling thread exact: by default they are late by up to 50 µs.
func precise() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) }

// pause sleeps in the thread, past the scheduler of Go.
func pause(d time.Duration) {
	left := unix.NsecToTimespec(max(d, 0).Nanoseconds())
	for left.Nano() > 0 {
		now := left
		if err := unix.Nanosleep(&now, &left); !errors.Is(err, unix.EINTR) {
			return
		}
	}
}
