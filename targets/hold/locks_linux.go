package hold

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

func locks(processes []Process) LockWaits {
	var w LockWaits
	for _, p := range processes {
		folder := filepath.Join("/proc", strconv.Itoa(p.PID), "task")
		threads, err := os.ReadDir(folder)
		if err != nil {
			continue // it has ended
		}
		for _, t := range threads {
			if w.Threads == mostLockThreads {
				return LockWaits{}
			}
			w.see(filepath.Join(folder, t.Name()))
		}
	}
	return w
}

// see adds a thread by its folder in /proc.
func (w *LockWaits) see(thread string) {
	channel, err := os.ReadFile(filepath.Join(thread, "wchan"))
	if err != nil {
		return
	}
	w.Threads++
	switch kind := lockKind(string(channel)); kind {
	case fileLock:
		w.FileLocks++
	case semaphore:
		w.Semaphores++
	case futex:
		call, err := os.ReadFile(filepath.Join(thread, "syscall"))
		if err == nil && sharedFutex(string(call)) {
			w.SharedFutexes++
		} else {
			w.PrivateFutexes++
		}
	case noLock:
	}
}

type lockType int

const (
	noLock lockType = iota
	fileLock
	semaphore
	futex
)

// lockKind knows a lock by the kernel's function that a thread sleeps in: "0" is none, or a secret. Names are
// those of fs/locks.c, ipc/sem.c and kernel/futex since Linux 4.
func lockKind(channel string) lockType {
	switch channel {
	case "locks_lock_inode_wait", "flock_lock_inode_wait", "posix_lock_inode_wait", "do_lock_file_wait", "fcntl_setlk":
		return fileLock
	case "do_semtimedop", "__do_semtimedop":
		return semaphore
	}
	if strings.HasPrefix(channel, "futex_") {
		return futex
	}
	return noLock
}

// futexPrivate is FUTEX_PRIVATE_FLAG of linux/futex.h.
const futexPrivate = 0x80

// sharedFutex reads the operation, the second argument of a system call as proc(5) shows it: 202 0x7f.. 0x189 ...
func sharedFutex(call string) bool {
	fields := strings.Fields(call)
	if len(fields) < 3 {
		return false
	}
	operation, err := strconv.ParseUint(strings.TrimPrefix(fields[2], "0x"), 16, 64)
	return err == nil && operation&futexPrivate == 0
}
