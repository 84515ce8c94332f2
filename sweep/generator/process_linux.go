package generator

import (
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// detached puts the child into a process group of its own, out of reach of the terminal's
// signals, and has the kernel end it with the thread that started it.
func detached() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

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
