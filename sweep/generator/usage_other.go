//go:build !linux

package generator

import "golang.org/x/sys/unix"

// peakMemory is this process's peak resident memory in bytes, 0 if it can't be read.
func peakMemory() int64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return u.Maxrss // bytes on Darwin
}
