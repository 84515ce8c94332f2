package hold

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// cgroup2 is a folder of the v2 hierarchy with the server in it, and what had to be done to be
// allowed to make it.
type cgroup2 struct {
	Server string `json:"server"`
	Quota  bool   `json:"quota,omitempty"`
	Scope  string `json:"scope,omitempty"` // systemd's folder around Server; gone when the guard is
	Home   string `json:"home,omitempty"`  // the folder that was emptied of advise's own processes
	Self   string `json:"self,omitempty"`  // the folder in Home that they were moved to
}

// makeCgroup2 makes the folder, in a scope of systemd's or in the nearest place that allows it, and
// sets the limits. Memory and Quota hold or it fails; the sentences say what else is missing.
func makeCgroup2(name string, l Limits) (*cgroup2, []string, error) {
	_, here, err := hierarchies()
	if err != nil {
		return nil, nil, err
	}
	if here.mount == "" {
		return nil, nil, errors.New("no cgroup v2 is mounted")
	}
	dir, noScope := enterScope(name)
	if noScope != nil {
		g, lacks, err := makeFolder(name, l, here, os.Getppid())
		if err != nil {
			err = fmt.Errorf("%w; %w", noScope, err)
		}
		return g, lacks, err
	}
	g := &cgroup2{Scope: dir, Server: filepath.Join(dir, "server")}
	lacks, err := g.makeInScope(l)
	if err != nil {
		return nil, nil, errors.Join(err, g.remove())
	}
	return g, append(lacks, escaped(here.upwards(), dir)...), nil
}

// probeCgroup2 asks systemd without starting a scope, which takes a process to put into it; a
// folder it makes and removes.
func probeCgroup2(name string, l Limits) ([]string, error) {
	_, here, err := hierarchies()
	if err != nil {
		return nil, err
	}
	if here.mount == "" {
		return nil, errors.New("no cgroup v2 is mounted")
	}
	dir, noScope := scopeParent(here.mount)
	if noScope == nil {
		var lacks []string
		if lacks, noScope = offered(dir, l); noScope == nil {
			return append(lacks, escaped(here.upwards(), filepath.Join(dir, "scope"))...), nil
		}
	}
	g, lacks, err := makeFolder(name, l, here, os.Getpid())
	if err != nil {
		return nil, fmt.Errorf("%w; %w", noScope, err)
	}
	return lacks, g.remove()
}

// makeInScope moves the guard, the only process in the scope, aside: a cgroup that hands
// controllers on to those below may not have processes of its own.
func (g *cgroup2) makeInScope(l Limits) ([]string, error) {
	aside := filepath.Join(g.Scope, "guard")
	if err := os.Mkdir(aside, 0o755); err != nil {
		return nil, fmt.Errorf("make a cgroup: %w", err)
	}
	if err := setting(aside, "cgroup.procs", strconv.Itoa(os.Getpid())); err != nil {
		return nil, fmt.Errorf("move the guard aside: %w", err)
	}
	lacks, err := enable(g.Scope, l)
	if err != nil {
		return nil, err
	}
	return lacks, g.makeServer(l)
}

// makeFolder takes, of the cgroup that advise is in and those above it, the nearest of those with the
// fewest shortfalls. The boss is the process whose descendants, with itself, may be moved aside.
func makeFolder(name string, l Limits, here hierarchy2, boss int) (*cgroup2, []string, error) {
	candidates := here.upwards()
	if strings.HasSuffix(candidates[0], selfSuffix) && len(candidates) > 1 {
		candidates = candidates[1:]
	}
	attempt := func(dir string) (*cgroup2, []string, error) {
		g, lacks, err := makeFolderIn(dir, name, l, boss)
		if err != nil {
			return nil, nil, err
		}
		return g, append(lacks, escaped(candidates, g.Server)...), nil
	}
	best, fewest := "", 0
	var faults []error
	for _, dir := range candidates {
		g, lacks, err := attempt(dir)
		switch {
		case err != nil:
			// That of the nearest folder is the one that the user can do something about.
			if len(faults) == 0 || !errors.Is(err, os.ErrPermission) {
				faults = append(faults, err)
			}
			continue
		case len(lacks) == 0:
			return g, nil, nil
		case best == "" || len(lacks) < fewest:
			best, fewest = dir, len(lacks)
		}
		if err := g.remove(); err != nil {
			return nil, nil, err
		}
	}
	if best == "" {
		return nil, nil, join(faults)
	}
	g, lacks, err := attempt(best)
	for _, f := range faults {
		lacks = append(lacks, fmt.Sprintf("a nearer cgroup could not be used: %v", f))
	}
	return g, lacks, err
}

const selfSuffix = "+self"

func makeFolderIn(dir, name string, l Limits, boss int) (*cgroup2, []string, error) {
	unlock, err := lock(dir)
	if err != nil {
		return nil, nil, err
	}
	defer unlock()
	g := &cgroup2{Server: filepath.Join(dir, prefix+name)}
	lacks, err := enable(dir, l)
	// Processes in the way: when they are all advise's own, they can be moved.
	if errors.Is(err, syscall.EBUSY) || (err == nil && len(lacks) > 0) {
		if moved := g.moveAside(dir, boss); moved == nil {
			lacks, err = enable(dir, l)
		} else if err != nil {
			err = fmt.Errorf("%w: %w", err, moved)
		}
	} else if self, _ := filepath.Glob(filepath.Join(dir, prefix+"*"+selfSuffix)); len(self) == 1 {
		g.Home, g.Self = dir, self[0]
	}
	if err == nil {
		err = g.makeServer(l)
	}
	if err != nil {
		return nil, nil, errors.Join(err, g.removeLocked())
	}
	return g, lacks, nil
}

// lock keeps the guards of one folder from moving processes about at the same time.
func lock(dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX); err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	return func() { _ = f.Close() }, nil
}

type controller struct {
	name   string
	needed bool
	lack   string
}

// controllers are those with which the limits hold, and memory also to be read.
func controllers(l Limits) []controller {
	list := []controller{{"memory", l.Memory > 0, lackMemory}}
	if l.Quota > 0 {
		list = append(list, controller{"cpu", true, ""})
	}
	if len(l.CPUs) > 0 {
		list = append(list, controller{"cpuset", false, lackCPUSet})
	}
	return list
}

// offered is whether the needed controllers are there, and which of the others are not.
func offered(dir string, l Limits) (lacks []string, err error) {
	text, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return nil, err
	}
	for _, c := range controllers(l) {
		if slices.Contains(strings.Fields(string(text)), c.name) {
			continue
		}
		if c.needed {
			return nil, fmt.Errorf("no %s controller in %s", c.name, dir)
		}
		lacks = append(lacks, fmt.Sprintf("%s (no %s controller in %s)", c.lack, c.name, dir))
	}
	return lacks, nil
}

// enable hands the controllers on to the folders below.
func enable(dir string, l Limits) (lacks []string, err error) {
	lacks, err = offered(dir, l)
	if err != nil {
		return nil, err
	}
	there, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return nil, err
	}
	on, err := os.ReadFile(filepath.Join(dir, "cgroup.subtree_control"))
	if err != nil {
		return nil, err
	}
	for _, c := range controllers(l) {
		if !slices.Contains(strings.Fields(string(there)), c.name) || slices.Contains(strings.Fields(string(on)), c.name) {
			continue
		}
		err := occupied(dir)
		if err == nil {
			err = setting(dir, "cgroup.subtree_control", "+"+c.name)
		}
		if err != nil && c.needed {
			return nil, err
		}
		if err != nil {
			lacks = append(lacks, fmt.Sprintf("%s (%v)", c.lack, err))
		}
	}
	return lacks, nil
}

// occupied is EBUSY for a cgroup with processes. To hand memory on from there the kernel refuses;
// cpu and cpuset it would hand on, but then take no process into the cgroups below. The root may
// have processes.
func occupied(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, "cgroup.type")); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if err == nil && len(text) > 0 {
		err = fmt.Errorf("there are processes in %s itself: %w", dir, syscall.EBUSY)
	}
	return err
}

// moveAside moves the processes of dir to a folder in it, if all of them are advise's.
func (g *cgroup2) moveAside(dir string, boss int) error {
	inDir := func() []int {
		text, _ := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		var pids []int
		for field := range strings.FieldsSeq(string(text)) {
			pid, _ := strconv.Atoi(field)
			pids = append(pids, pid)
		}
		return pids
	}
	all, err := processes()
	if err != nil {
		return err
	}
	ours := map[int]bool{boss: true}
	for _, p := range members(all, ids{guard: boss}) {
		ours[p.PID] = true
	}
	there := inDir()
	if len(there) == 0 {
		return errors.New("no processes are in the way")
	}
	for _, pid := range there {
		if !ours[pid] {
			return fmt.Errorf("process %d is in %s and not advise's to move", pid, dir)
		}
	}
	self := filepath.Join(dir, prefix+identity(boss)+selfSuffix)
	if err := os.Mkdir(self, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("make a cgroup: %w", err)
	}
	g.Home, g.Self = dir, self
	// Until none is left: they may fork meanwhile.
	for range 100 {
		pids := inDir()
		if len(pids) == 0 {
			return nil
		}
		for _, pid := range pids {
			if err := setting(self, "cgroup.procs", strconv.Itoa(pid)); err != nil && !errors.Is(err, syscall.ESRCH) {
				return errors.Join(err, g.moveBack())
			}
		}
	}
	return errors.Join(fmt.Errorf("%s does not become empty", dir), g.moveBack())
}

// moveBack undoes moveAside, unless another guard still needs it; then that one will.
func (g *cgroup2) moveBack() error {
	if g.Self == "" {
		return nil
	}
	others, _ := filepath.Glob(filepath.Join(g.Home, prefix+"*"))
	if len(others) > 1 || (len(others) == 1 && others[0] != g.Self) {
		return nil
	}
	on, err := os.ReadFile(filepath.Join(g.Home, "cgroup.subtree_control"))
	if err != nil {
		return err
	}
	for c := range strings.FieldsSeq(string(on)) {
		if err := setting(g.Home, "cgroup.subtree_control", "-"+c); err != nil {
			return err
		}
	}
	for _, pid := range pidsIn(g.Self) {
		if err := setting(g.Home, "cgroup.procs", strconv.Itoa(pid)); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("move advise back: %w", err)
		}
	}
	return removeFolder(g.Self, time.Second)
}

func (g *cgroup2) makeServer(l Limits) error {
	if err := os.Mkdir(g.Server, 0o755); err != nil {
		return fmt.Errorf("make a cgroup: %w", err)
	}
	if kind, err := os.ReadFile(filepath.Join(g.Server, "cgroup.type")); err != nil || strings.TrimSpace(string(kind)) != "domain" {
		return fmt.Errorf("make a cgroup: %s would be %q, which takes no processes", g.Server, strings.TrimSpace(string(kind)))
	}
	if l.Memory > 0 {
		if err := setting(g.Server, "memory.max", strconv.FormatInt(l.Memory, 10)); err != nil {
			return err
		}
		// A kernel without swap has no such file.
		if err := setting(g.Server, "memory.swap.max", "0"); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		// Kubernetes sets 1 and loses all workers when one runs over; here that would hide how many.
		if err := setting(g.Server, "memory.oom.group", "0"); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if l.Quota > 0 {
		period := quotaPeriod.Microseconds()
		if err := setting(g.Server, "cpu.max", fmt.Sprintf("%d %d", int64(l.Quota*float64(period)), period)); err != nil {
			return err
		}
		g.Quota = true
	}
	if len(l.CPUs) > 0 {
		if err := setting(g.Server, "cpuset.cpus", cpuList(l.CPUs)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// escaped names the cgroups around advise whose limits do not hold for a server in dir.
func escaped(around []string, dir string) []string {
	var lacks []string
	for _, outer := range around {
		if strings.HasPrefix(dir, outer+"/") || !limited(outer) {
			continue
		}
		lacks = append(lacks, fmt.Sprintf("the limits that hold for advise itself in %s do not hold for the server", outer))
	}
	return lacks
}

func limited(dir string) bool {
	for file, unlimited := range map[string]string{"memory.max": "max", "cpu.max": "max", "cpuset.cpus": ""} {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			continue
		}
		first, _, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
		if first != unlimited {
			return true
		}
	}
	return false
}

func (g *cgroup2) usage() (Usage, error) {
	var r reader
	u := Usage{Counted: true, HasQuota: g.Quota}
	u.CPU = time.Duration(r.number(g.Server, "cpu.stat", "usage_usec")) * time.Microsecond
	if g.Quota {
		u.Periods = r.number(g.Server, "cpu.stat", "nr_periods")
		u.ThrottledPeriods = r.number(g.Server, "cpu.stat", "nr_throttled")
		u.Throttled = time.Duration(r.number(g.Server, "cpu.stat", "throttled_usec")) * time.Microsecond
	}
	memory, noMemory := stalled(g.Server, "memory.pressure")
	io, noIO := stalled(g.Server, "io.pressure")
	if noMemory == nil && noIO == nil {
		u.HasPressure, u.MemoryStalled, u.IOStalled = true, memory, io
	}
	current, err := number(g.Server, "memory.current", "")
	if errors.Is(err, os.ErrNotExist) {
		return u, r.err
	}
	if err != nil {
		return u, err
	}
	u.HasMemory, u.MemoryCharged = true, int64(current)
	u.MemoryCache = int64(r.number(g.Server, "memory.stat", "active_file") + r.number(g.Server, "memory.stat", "inactive_file"))
	u.OOMKills = r.number(g.Server, "memory.events", "oom_kill")
	peak, err := number(g.Server, "memory.peak", "") // since Linux 5.19
	if err == nil {
		u.MemoryPeak = int64(peak)
	}
	return u, r.err
}

// kill is one write since Linux 5.14; before, freezing keeps the list from going stale.
func (g *cgroup2) kill() {
	if setting(g.Server, "cgroup.kill", "1") == nil {
		return
	}
	// What stays frozen dies all the same in v2, and what is not frozen is listed once more.
	_ = setting(g.Server, "cgroup.freeze", "1")
	killIn(g.Server)
	_ = setting(g.Server, "cgroup.freeze", "0")
}

func (g *cgroup2) remove() error {
	if g == nil {
		return nil
	}
	if g.Scope == "" {
		unlock, err := lock(filepath.Dir(g.Server))
		if err != nil {
			return err
		}
		defer unlock()
	}
	return g.removeLocked()
}

func (g *cgroup2) removeLocked() error {
	return errors.Join(removeFolder(g.Server, 2*time.Second), g.moveBack())
}

// settled waits for systemd to notice that the scope is empty.
func (g *cgroup2) settled(bound time.Duration) error {
	if g.Scope == "" {
		return nil
	}
	deadline := time.Now().Add(bound)
	for {
		if _, err := os.Stat(g.Scope); errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("systemd has not removed the empty scope %s", g.Scope)
		}
		time.Sleep(2 * time.Millisecond)
	}
}
