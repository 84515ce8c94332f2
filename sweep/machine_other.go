//go:build !linux

package sweep

import (
	"runtime"

	"golang.org/x/sys/unix"
)

// allowedCores are the machine's: a process can't be pinned here.
func allowedCores() ([]core, error) {
	cores := make([]core, runtime.NumCPU())
	for id := range cores {
		cores[id].id = id
	}
	return cores, nil
}

func stayOn([]int) (restore func()) { return func() {} }

// ownQuota is 0: there are no cgroups here.
func ownQuota() float64 { return 0 }

func kernel() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}

func cpuModel() (model string, online int) {
	model, _ = unix.Sysctl("machdep.cpu.brand_string")
	return model, runtime.NumCPU()
}

func machineMemory() int64 {
	bytes, _ := unix.SysctlUint64("hw.memsize")
	return int64(bytes)
}
