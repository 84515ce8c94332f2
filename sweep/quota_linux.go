package sweep

import (
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ownQuota is the CPU quota, in cores, of the cgroups that advise itself is in, such as a container's;
// what it starts is below them. It is 0 without one.
func ownQuota() float64 { return quotaUnder("/proc/self/cgroup", "/sys/fs/cgroup") }

// quotaUnder is the smallest quota on the way from a process's cgroups up to the root, of either version.
func quotaUnder(membership, root string) float64 {
	text, err := os.ReadFile(membership)
	if err != nil {
		return 0
	}
	smallest := math.Inf(1)
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) < 3 {
			continue
		}
		read, tops := quota1, []string{"cpu", "cpu,cpuacct"}
		switch {
		case parts[1] == "":
			read, tops = quota2, []string{"", "unified"}
		case !strings.Contains(","+parts[1]+",", ",cpu,"):
			continue
		}
		for _, top := range tops {
			for path := filepath.Clean("/" + parts[2]); ; path = filepath.Dir(path) {
				if quota := read(filepath.Join(root, top, path)); quota > 0 {
					smallest = min(smallest, quota)
				}
				if path == "/" {
					break
				}
			}
		}
	}
	if math.IsInf(smallest, 1) {
		return 0
	}
	return smallest
}

func quota2(dir string) float64 {
	text, _ := os.ReadFile(filepath.Join(dir, "cpu.max")) // the root has none
	limit, period, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	return quotaOf(limit, period)
}

func quota1(dir string) float64 {
	limit, _ := os.ReadFile(filepath.Join(dir, "cpu.cfs_quota_us"))
	period, _ := os.ReadFile(filepath.Join(dir, "cpu.cfs_period_us"))
	return quotaOf(strings.TrimSpace(string(limit)), strings.TrimSpace(string(period)))
}

// quotaOf is 0 for "max" and for -1, which are no limit.
func quotaOf(limit, period string) float64 {
	l, err := strconv.ParseInt(limit, 10, 64)
	p, err2 := strconv.ParseInt(period, 10, 64)
	if err != nil || err2 != nil || l <= 0 || p <= 0 {
		return 0
	}
	return float64(l) / float64(p)
}
