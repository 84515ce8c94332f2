package disk

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// An InUseError is a record that another process is writing.
type InUseError struct {
	Dir string
	PID int // 0: not known
}

func (e *InUseError) Error() string {
	if e.PID > 0 {
		return fmt.Sprintf("open record %s: process %d is writing it", e.Dir, e.PID)
	}
	return fmt.Sprintf("open record %s: another process is writing it", e.Dir)
}

// errLocked is returned for a file on which somebody else has a lock.
var errLocked = errors.New("it is locked")

// lock takes a file or a folder for this process, without waiting. The lock is the open file's (flock), not
// the process's (fcntl): to read the same file beside it does not end it. It ends with the last descriptor,
// however the process ends: none of its children has one, as they are closed when a child executes its program.
// Where a file system has none, as NFS without its lock daemon, or for a folder, the file is used without: it
// is no reason not to measure.
func lock(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		return errLocked
	case err == nil, errors.Is(err, unix.ENOLCK), errors.Is(err, unix.EBADF), errors.Is(err, unix.ENOTSUP), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS):
		return nil
	}
	return fmt.Errorf("lock it: %w", err)
}
