package sweep

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// A machine reads the kernel's counters, from /proc and /sys or a copy of them.
type machine struct {
	proc, sys         string
	server, generator []int
}

// thisMachine is read as seen by a server and a generator on these cores.
func thisMachine(server, generator []int) func() reading {
	return machine{proc: procfs.DefaultMountPoint, sys: "/sys", server: server, generator: generator}.read
}

// read takes a millisecond or less, on the cores of advise itself.
func (m machine) read() reading {
	r := reading{stalled: map[pressure]time.Duration{}}
	fs, err := procfs.NewFS(m.proc)
	if err != nil {
		r.at = time.Now()
		return r
	}
	r.megahertz = m.frequency(fs)
	for _, resource := range []string{"cpu", "memory", "io"} {
		stats, err := fs.PSIStatsForResource(resource)
		if err != nil {
			continue // the kernel counts none, or not for this user
		}
		for full, line := range map[bool]*procfs.PSILine{false: stats.Some, true: stats.Full} {
			if line != nil {
				r.stalled[pressure{resource, full}] = time.Duration(line.Total) * time.Microsecond
			}
		}
	}
	// Last, next to the clock and to the tree's own usage.
	stat, err := fs.Stat()
	r.at = time.Now()
	if err == nil && !m.faked("stat") {
		r.server, r.generator = addUp(stat.CPU, m.server), addUp(stat.CPU, m.generator)
	}
	return r
}

// addUp is nil when one of the cores is not listed: it was taken off, or the list is another's.
func addUp(cpus map[int64]procfs.CPUStat, cores []int) *coreTimes {
	sum := &coreTimes{cores: len(cores)}
	for _, id := range cores {
		c, ok := cpus[int64(id)]
		if !ok {
			return nil
		}
		// User time has that of guests in it.
		sum.total += seconds(c.User + c.Nice + c.System + c.Idle + c.Iowait + c.IRQ + c.SoftIRQ + c.Steal)
		sum.idle += seconds(c.Idle + c.Iowait)
		sum.interrupts += seconds(c.IRQ + c.SoftIRQ)
		sum.stolen += seconds(c.Steal)
	}
	return sum
}

// faked is true for a file that lxcfs puts in the place of the kernel's: it numbers the container's
// cores anew and counts the container's processes alone.
func (m machine) faked(file string) bool {
	const fuse = 0x65735546 // FUSE_SUPER_MAGIC
	var s unix.Statfs_t
	return unix.Statfs(filepath.Join(m.proc, file), &s) == nil && s.Type == fuse
}

// frequency is the mean of the server's cores in MHz; nil where it is not told. In a virtual machine it
// is usually a constant.
func (m machine) frequency(fs procfs.FS) *float64 {
	sum, err := m.scaled()
	if err != nil {
		sum, err = m.listed(fs)
	}
	if err != nil || !(sum > 0) || math.IsInf(sum, 0) {
		return nil
	}
	mean := sum / float64(len(m.server))
	return &mean
}

// scaled adds up what the cores' frequency governors set, or measured.
func (m machine) scaled() (megahertz float64, err error) {
	for _, id := range m.server {
		text, err := os.ReadFile(filepath.Join(m.sys, fmt.Sprintf("devices/system/cpu/cpu%d/cpufreq/scaling_cur_freq", id)))
		if err != nil {
			return 0, err
		}
		kilohertz, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 32)
		if err != nil {
			return 0, err
		}
		megahertz += float64(kilohertz) / 1000
	}
	return megahertz, nil
}

// listed adds up what /proc/cpuinfo says.
func (m machine) listed(fs procfs.FS) (megahertz float64, err error) {
	if m.faked("cpuinfo") {
		return 0, os.ErrNotExist
	}
	cpus, err := fs.CPUInfo()
	if err != nil {
		return 0, err
	}
	for _, id := range m.server {
		i := slices.IndexFunc(cpus, func(c procfs.CPUInfo) bool { return c.Processor == uint(id) })
		if i < 0 {
			return 0, os.ErrNotExist
		}
		megahertz += cpus[i].CPUMHz
	}
	return megahertz, nil
}
