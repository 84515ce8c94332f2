package hold

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The lines are of Linux 6.18, 5.10 and 4.19: threads of Python that wait for a lock, three processes that
// wait for flock, and one in a semaphore of multiprocessing.
func TestLockKinds(t *testing.T) {
	for _, c := range []struct {
		channel, call string
		want          LockWaits
	}{
		{"locks_lock_inode_wait", "73 0x4 0x2 0x0 0x7fb9d6521658 0x0 0x0 0x7ffc52611788 0x7fb9d6b16897", LockWaits{Threads: 1, FileLocks: 1}},
		{"flock_lock_inode_wait", "", LockWaits{Threads: 1, FileLocks: 1}},
		{"do_semtimedop", "", LockWaits{Threads: 1, Semaphores: 1}},
		{"futex_do_wait", "202 0x5614af396cf0 0x189 0x0 0x0 0x0 0xffffffff 0x7fb9d64a5940 0x7fb9d6aa3f16", LockWaits{Threads: 1, PrivateFutexes: 1}},
		{"futex_wait_queue_me", "202 0x5614af396cf0 0x109 0x0 0x0 0x0 0xffffffff 0x7fb9d64a5940 0x7fb9d6aa3f16", LockWaits{Threads: 1, SharedFutexes: 1}},
		{"futex_wait_queue", "", LockWaits{Threads: 1, PrivateFutexes: 1}}, // another user's
		{"hrtimer_nanosleep", "230 0x1 0x1", LockWaits{Threads: 1}},
		{"do_epoll_wait", "", LockWaits{Threads: 1}},
		{"inet_csk_accept", "", LockWaits{Threads: 1}},
		{"0", "running", LockWaits{Threads: 1}},
	} {
		thread := t.TempDir()
		for name, text := range map[string]string{"wchan": c.channel, "syscall": c.call} {
			if err := os.WriteFile(filepath.Join(thread, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if c.call == "" {
			if err := os.Remove(filepath.Join(thread, "syscall")); err != nil {
				t.Fatal(err)
			}
		}
		var got LockWaits
		if got.see(thread); got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.channel, got, c.want)
		}
	}
	var gone LockWaits
	if gone.see(filepath.Join(t.TempDir(), "gone")); gone != (LockWaits{}) {
		t.Errorf("a thread that has ended: got %+v", gone)
	}
}

// A thread of this process waits for a file that another description of it holds.
func TestLocksOfARealThread(t *testing.T) {
	if text, err := os.ReadFile("/proc/self/wchan"); err != nil || len(text) == 0 {
		t.Skipf("this kernel shows no wait channels: %v", err)
	}
	path := filepath.Join(t.TempDir(), "lock")
	open := func() int {
		fd, err := unix.Open(path, unix.O_CREAT|unix.O_RDWR|unix.O_CLOEXEC, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Close(fd) })
		return fd
	}
	holder, waiter := open(), open()
	if err := unix.Flock(holder, unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- unix.Flock(waiter, unix.LOCK_EX) }()
	self := []Process{{PID: os.Getpid()}}
	end := time.Now().Add(20 * time.Second)
	for Locks(self).FileLocks == 0 && time.Now().Before(end) {
		runtime.Gosched()
	}
	if got := Locks(self); got.FileLocks != 1 || got.Threads < 2 {
		t.Errorf("got %+v, want one thread in a file lock", got)
	}
	if err := unix.Flock(holder, unix.LOCK_UN); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := Locks(self); got.FileLocks != 0 {
		t.Errorf("got %+v, want none once it is free", got)
	}
	if got := Locks([]Process{{PID: 1 << 30}}); got != (LockWaits{}) {
		t.Errorf("a process that does not exist: got %+v", got)
	}
}

func FuzzSharedFutex(f *testing.F) {
	f.Add("202 0x5614af396cf0 0x189 0x0 0x0 0x0 0xffffffff 0x7fb9d64a5940 0x7fb9d6aa3f16")
	f.Add("running")
	f.Add("-1 0x7ffc 0x7f")
	f.Fuzz(func(_ *testing.T, call string) { _ = sharedFutex(call) })
}
