package sweep

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// errLocked is returned for a file on which somebody else has a lock.
var errLocked = errors.New("it is locked")

// lock takes the whole file for this process, without waiting. The lock is the open file's (flock), not
// the process's (fcntl): to read the same file beside it does not end it. Where a file system has none,
// as NFS without its lock daemon, the file is used without: it is no reason not to measure.
func lock(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		return errLocked
	case err == nil, errors.Is(err, unix.ENOLCK), errors.Is(err, unix.ENOTSUP), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS):
		return nil
	}
	return fmt.Errorf("lock it: %w", err)
}
