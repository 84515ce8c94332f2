package hold

// LockWaits are threads that sleep in a lock of the kernel's, by its kind. A thread of a pool that has nothing
// to do sleeps in a futex too, and a process that may accept next in a lock of any kind: only what is not
// idle waits for another.
type LockWaits struct {
	// Threads are all that could be seen.
	Threads int
	// FileLocks are of flock and fcntl, Semaphores those of System V, SharedFutexes of memory that several
	// processes share, such as a semaphore or a mutex between them, and PrivateFutexes of one process: its
	// own mutexes and conditions. A futex whose kind can't be seen, as by another user, is private.
	FileLocks, Semaphores, SharedFutexes, PrivateFutexes int
}

// mostLockThreads are looked at in one go, in a few milliseconds: more would take time from who measures.
const mostLockThreads = 256

// Locks counts what threads of these processes sleep in. What has ended, or can't be seen, is left out. It
// is empty where there are more threads than are looked at, and outside Linux, where nothing can be seen.
func Locks(processes []Process) LockWaits { return locks(processes) }

// Add counts another look.
func (w *LockWaits) Add(other LockWaits) {
	w.Threads += other.Threads
	w.FileLocks += other.FileLocks
	w.Semaphores += other.Semaphores
	w.SharedFutexes += other.SharedFutexes
	w.PrivateFutexes += other.PrivateFutexes
}
