package generator

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// pinThread holds the calling thread to cpus; no cpus is no hold.
func pinThread(cpus []int) error {
	if len(cpus) == 0 {
		return nil
	}
	var set unix.CPUSet
	for _, cpu := range cpus {
		set.Set(cpu)
	}
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("hold to CPUs %v: %w", cpus, err)
	}
	return nil
}
