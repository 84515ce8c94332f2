//go:build !linux

package generator

import "syscall"

// detached puts the child into a process group of its own, out of reach of the terminal's
// signals.
func detached() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// pinThread does nothing: there is no affinity here.
func pinThread([]int) error { return nil }
