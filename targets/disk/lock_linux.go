package disk

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// lockedBy is the process that has the lock on a file; 0: not known, as for one that this process can't
// see from its container.
func lockedBy(f *os.File) int {
	info, err := f.Stat()
	if err != nil {
		return 0
	}
	list, err := os.ReadFile("/proc/locks")
	if err != nil {
		return 0
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0
	}
	return lockHolder(string(list), fmt.Sprintf("%02x:%02x:%d", unix.Major(uint64(stat.Dev)), unix.Minor(uint64(stat.Dev)), stat.Ino))
}

// lockHolder finds a file, as major:minor:inode, in the kernel's list of locks. One that is only waited
// for has an arrow in its second field.
//
//	1: FLOCK  ADVISORY  WRITE 1234 08:01:131090 0 EOF
func lockHolder(list, file string) int {
	for line := range strings.Lines(list) {
		field := strings.Fields(line)
		if len(field) < 6 || field[1] != "FLOCK" || field[5] != file {
			continue
		}
		if pid, err := strconv.Atoi(field[4]); err == nil {
			return max(pid, 0)
		}
	}
	return 0
}
