package sweep

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// allowedCores are the logical CPUs this process may run on.
func allowedCores() ([]core, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("read cpu affinity: %w", err)
	}
	var cores []core
	for id := range len(set) * 64 {
		if set.IsSet(id) {
			cores = append(cores, core{id: id, siblings: siblings(id)})
		}
	}
	return cores, nil
}

// siblings reads the hardware threads of a core; none where the kernel does not say.
func siblings(id int) []int {
	text, err := os.ReadFile(fmt.Sprintf("/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", id))
	if err != nil {
		return nil
	}
	list, err := parseCPUList(strings.TrimSpace(string(text)))
	if err != nil {
		return nil
	}
	return list
}

// parseCPUList reads the kernel's list format: 0-3,8,10-11.
func parseCPUList(text string) ([]int, error) {
	var list []int
	for part := range strings.SplitSeq(text, ",") {
		first, last, ranged := strings.Cut(part, "-")
		if !ranged {
			last = first
		}
		a, err := strconv.Atoi(first)
		if err != nil {
			return nil, fmt.Errorf("parse cpu list %q: %w", text, err)
		}
		b, err := strconv.Atoi(last)
		if err != nil {
			return nil, fmt.Errorf("parse cpu list %q: %w", text, err)
		}
		if a < 0 || b < a || b > 1<<16 {
			return nil, fmt.Errorf("parse cpu list %q: %s is not a range", text, part)
		}
		for id := a; id <= b; id++ {
			list = append(list, id)
		}
	}
	return list, nil
}

// stayOn holds every thread of this process to the cores, and returns what undoes it. Threads made
// later inherit it from the thread that makes them.
func stayOn(cores []int) (restore func()) {
	var before, now unix.CPUSet
	if unix.SchedGetaffinity(0, &before) != nil {
		return func() {}
	}
	for _, id := range cores {
		now.Set(id)
	}
	set := func(s *unix.CPUSet) {
		threads, _ := filepath.Glob("/proc/self/task/[0-9]*")
		for _, dir := range threads {
			if tid, err := strconv.Atoi(filepath.Base(dir)); err == nil {
				_ = unix.SchedSetaffinity(tid, s) // a thread may have ended since
			}
		}
	}
	set(&now)
	return func() { set(&before) }
}

func kernel() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return unix.ByteSliceToString(u.Release[:])
}

func cpuModel() (model string, online int) {
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return "", 0
	}
	cpus, err := fs.CPUInfo()
	if err != nil || len(cpus) == 0 {
		return "", 0
	}
	i := max(0, slices.IndexFunc(cpus, func(c procfs.CPUInfo) bool { return c.ModelName != "" }))
	return cpus[i].ModelName, len(cpus)
}

func machineMemory() int64 {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return 0
	}
	return int64(info.Totalram) * int64(info.Unit)
}
