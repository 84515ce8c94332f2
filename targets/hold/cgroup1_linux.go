package hold

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cgroup1 is one folder per controller, each below advise's own of that controller, so that what
// limits advise from outside limits the server too.
type cgroup1 struct {
	Folders map[string]string `json:"folders"` // by controller; some may share a folder
	Quota   bool              `json:"quota"`
}

const quotaPeriod = 100 * time.Millisecond

// makeCgroup1 makes the folders and sets the limits. Memory and Quota hold or it fails; the
// sentences say what else is missing.
func makeCgroup1(name string, l Limits) (*cgroup1, []string, error) {
	own, _, err := hierarchies()
	if err != nil {
		return nil, nil, err
	}
	g := &cgroup1{Folders: make(map[string]string)}
	var lacks []string
	for _, c := range []struct {
		controller string
		wanted     bool
		set        func(dir string) error
		needed     bool
		lack       string // said when it is not needed and can't be had
	}{
		{"memory", true, func(dir string) error { return setMemory1(dir, l.Memory, &lacks) }, l.Memory > 0, lackMemory},
		{"cpu", l.Quota > 0, func(dir string) error { return setQuota1(dir, l.Quota) }, true, ""},
		{"cpuset", len(l.CPUs) > 0, func(dir string) error { return setCPUs1(dir, l.CPUs) }, false, lackCPUSet},
		{"cpuacct", true, func(string) error { return nil }, false, lackCPUTime},
		{"freezer", true, func(string) error { return nil }, false, ""},
	} {
		if !c.wanted {
			continue
		}
		err := g.add(name, own, c.controller, c.set)
		if err == nil {
			continue
		}
		if c.needed {
			return nil, nil, errors.Join(err, g.remove())
		}
		if c.lack != "" {
			lacks = append(lacks, fmt.Sprintf("%s (%v)", c.lack, err))
		}
	}
	if len(g.Folders) == 0 {
		return nil, nil, errors.New("no cgroup v1 controller is usable here")
	}
	_, g.Quota = g.Folders["cpu"]
	return g, lacks, nil
}

const (
	lackMemory  = "memory is only seen process by process"
	lackCPUSet  = "cores are pinned by affinity, which the server could undo"
	lackCPUTime = "CPU time is summed over processes, without those that nobody waited for"
	lackSwap    = "swap cannot be turned off for the server"
)

func (g *cgroup1) add(name string, own map[string]string, controller string, set func(dir string) error) error {
	parent, ok := own[controller]
	if !ok {
		return fmt.Errorf("there is no cgroup v1 %s controller", controller)
	}
	dir := filepath.Join(parent, prefix+name)
	if err := os.Mkdir(dir, 0o755); err != nil && !(errors.Is(err, os.ErrExist) && g.has(dir)) {
		return fmt.Errorf("make a cgroup: %w", err)
	}
	g.Folders[controller] = dir
	if err := set(dir); err != nil {
		delete(g.Folders, controller)
		if !g.has(dir) {
			err = errors.Join(err, removeFolder(dir, time.Second))
		}
		return err
	}
	return nil
}

// has is whether another controller has made this folder: cpu and cpuacct are often mounted as one.
func (g *cgroup1) has(dir string) bool {
	for _, d := range g.Folders {
		if d == dir {
			return true
		}
	}
	return false
}

func setMemory1(dir string, bytes int64, lacks *[]string) error {
	if bytes == 0 {
		return nil
	}
	limit := strconv.FormatInt(bytes, 10)
	if err := setting(dir, "memory.limit_in_bytes", limit); err != nil {
		return err
	}
	// Memory and swap together as large as memory alone: no swap. Kernels started without
	// swapaccount have only swappiness, which still swaps under pressure from outside.
	if setting(dir, "memory.memsw.limit_in_bytes", limit) != nil && setting(dir, "memory.swappiness", "0") != nil {
		*lacks = append(*lacks, lackSwap)
	}
	return nil
}

func setQuota1(dir string, cores float64) error {
	period := quotaPeriod.Microseconds()
	if err := setting(dir, "cpu.cfs_period_us", strconv.FormatInt(period, 10)); err != nil {
		return err
	}
	return setting(dir, "cpu.cfs_quota_us", strconv.FormatInt(int64(cores*float64(period)), 10))
}

func setCPUs1(dir string, cpus []int) error {
	if err := setting(dir, "cpuset.cpus", cpuList(cpus)); err != nil {
		return err
	}
	// A cpuset without memory nodes takes no process.
	mems, err := os.ReadFile(filepath.Join(filepath.Dir(dir), "cpuset.mems"))
	if err != nil {
		return err
	}
	return setting(dir, "cpuset.mems", strings.TrimSpace(string(mems)))
}

// folders are the distinct ones.
func (g *cgroup1) folders() []string {
	var dirs []string
	for _, dir := range g.Folders {
		dirs = append(dirs, dir)
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

// enter moves the calling thread, which must be locked, into the cgroups: what it forks then is
// inside from its first instruction. The function returned moves it back.
func (g *cgroup1) enter() (leave func() error, err error) {
	thread := strconv.Itoa(unix.Gettid())
	var entered []string
	leave = func() error {
		var faults []error
		for _, dir := range entered {
			faults = append(faults, setting(filepath.Dir(dir), "tasks", thread))
		}
		return errors.Join(faults...)
	}
	for _, dir := range g.folders() {
		if err := setting(dir, "tasks", thread); err != nil {
			return nil, errors.Join(fmt.Errorf("enter the cgroup: %w", err), leave())
		}
		entered = append(entered, dir)
	}
	return leave, nil
}

func (g *cgroup1) usage() (Usage, error) {
	var u Usage
	var r reader
	if dir, ok := g.Folders["cpuacct"]; ok {
		u.CPU, u.Counted = time.Duration(r.number(dir, "cpuacct.usage", "")), true
	}
	if dir, ok := g.Folders["cpu"]; ok {
		u.HasQuota = true
		u.Periods = r.number(dir, "cpu.stat", "nr_periods")
		u.ThrottledPeriods = r.number(dir, "cpu.stat", "nr_throttled")
		u.Throttled = time.Duration(r.number(dir, "cpu.stat", "throttled_time"))
	}
	if dir, ok := g.Folders["memory"]; ok {
		u.HasMemory = true
		u.MemoryCharged = int64(r.number(dir, "memory.usage_in_bytes", ""))
		u.MemoryCache = int64(r.number(dir, "memory.stat", "total_active_file") + r.number(dir, "memory.stat", "total_inactive_file"))
		u.MemoryPeak = int64(r.number(dir, "memory.max_usage_in_bytes", ""))
		u.OOMKills = r.number(dir, "memory.oom_control", "oom_kill")
	}
	return u, r.err
}

func (g *cgroup1) inside() []int {
	var pids []int
	for _, dir := range g.folders() {
		pids = append(pids, pidsIn(dir)...)
	}
	slices.Sort(pids)
	return slices.Compact(pids)
}

// kill freezes first where it is told to and can, so that nothing forks away from under the list. killIn
// thaws; a caller that is killed in between leaves a server that no SIGKILL ends until then.
func (g *cgroup1) kill(freeze bool) {
	freezer := g.Folders["freezer"]
	if freeze && freezer != "" && setting(freezer, "freezer.state", "FROZEN") == nil {
		for range 50 {
			state, err := os.ReadFile(filepath.Join(freezer, "freezer.state"))
			if err != nil || strings.TrimSpace(string(state)) == "FROZEN" {
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
	for _, dir := range g.folders() {
		killIn(dir)
	}
}

func (g *cgroup1) remove() error {
	if g == nil {
		return nil
	}
	var faults []error
	for _, dir := range g.folders() {
		faults = append(faults, removeFolder(dir, 2*time.Second))
	}
	return errors.Join(faults...)
}
