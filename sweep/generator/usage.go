package generator

import (
	"time"

	"golang.org/x/sys/unix"
)

// cpuTime is what this process has used, of user and system time; 0 if it can't be read.
func cpuTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
