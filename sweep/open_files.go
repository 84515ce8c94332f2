package sweep

import (
	"fmt"
	"math"

	"golang.org/x/sys/unix"
)

// filesBeside its connections, a generator or the server it is calibrated against has some open for
// itself: its standard ones, those of the Go runtime, one for each of its cores.
const filesBeside = 32

// checkOpenFiles refuses more connections than the generator can open. What it can is what this process
// can: Go raises its own limit to the hardest that is allowed when it starts, in a child as here.
func checkOpenFiles(connections, cores int) error {
	return enoughFiles(connections, cores, allowedFiles())
}

// allowedFiles is how many may be open; where that is not known it is seldom too few.
func allowedFiles() uint64 {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return math.MaxInt
	}
	return min(uint64(limit.Cur), math.MaxInt)
}

func enoughFiles(connections, cores int, allowed uint64) error {
	if needed := uint64(connections + filesBeside + cores); allowed < needed {
		return fmt.Errorf("plan the sweep: %d connections at once take %d open files, and this process may have %d: allow more with ulimit -n %d (the hard limit, docker run --ulimit nofile=%d, LimitNOFILE= of a service), or search fewer counts with --workers",
			connections, needed, allowed, needed, needed)
	}
	return nil
}
