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

	"github.com/prometheus/procfs"
)

// groups are the cgroups made for one tree: of one version, or none.
type groups struct {
	One *cgroup1 `json:"cgroup1,omitempty"`
	Two *cgroup2 `json:"cgroup2,omitempty"`
}

func makeGroups(name string, l Limits) (groups, error) {
	var g groups
	var err error
	switch l.Method {
	case Cgroup1:
		g.One, _, err = makeCgroup1(name, l)
	case Cgroup2:
		g.Two, _, err = makeCgroup2(name, l)
	}
	return g, err
}

func (g groups) usage() (Usage, error) {
	switch {
	case g.One != nil:
		return g.One.usage()
	case g.Two != nil:
		return g.Two.usage()
	}
	return Usage{}, nil
}

// freezeFrom is the pause between two kills from which on a server that outruns them is frozen first.
const freezeFrom = 16 * time.Millisecond

// kill sends SIGKILL to all; what it could not kill is there to be seen afterwards. Pause is that since the
// last attempt.
func (g groups) kill(pause time.Duration) {
	switch {
	case g.One != nil:
		g.One.kill(pause >= freezeFrom)
	case g.Two != nil:
		g.Two.kill()
	}
}

func (g groups) remove() error {
	switch {
	case g.One != nil:
		return g.One.remove()
	case g.Two != nil:
		return g.Two.remove()
	}
	return nil
}

// settled returns when what others remove after the guard is gone too.
func (g groups) settled(bound time.Duration) error {
	if g.Two != nil {
		return g.Two.settled(bound)
	}
	return nil
}

// inside are the numbers of the processes in the cgroups.
func (g groups) inside() []int {
	switch {
	case g.One != nil:
		return g.One.inside()
	case g.Two != nil:
		return pidsIn(g.Two.Server)
	}
	return nil
}

// rescue kills what a guard that was killed itself has left, the first process before all others, and
// removes its cgroups. What has neither a cgroup nor a namespace is known by its environment: only
// what has come from this guard can have its name, which has been in use as long as this tree.
func (g groups) rescue(name string, first Process, bound time.Duration) error {
	ours := func(guard string, _ stat) bool { return guard == name }
	deadline := time.Now().Add(bound)
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		left := 0
		if first.PID > 0 && first.lives() {
			first.signal(syscall.SIGKILL)
			left++
		}
		g.kill(pause)
		left += killMarked(ours) + len(g.inside())
		if left == 0 {
			return g.remove()
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("kill what the guard left: %d processes are still there", left)
		}
		time.Sleep(pause)
	}
}

// places are the folders in which this process makes cgroups.
func places() []string {
	one, two, err := hierarchies()
	if err != nil {
		return nil
	}
	var found []string
	for _, dir := range one {
		found = append(found, dir)
	}
	found = append(found, two.upwards()...)
	slices.Sort(found)
	return slices.Compact(found)
}

// hierarchy2 is the cgroup v2 hierarchy as seen from here; mount is empty if there is none.
type hierarchy2 struct {
	mount string
	own   string // the folder of this process
}

// upwards are the folder of this process and those above it.
func (h hierarchy2) upwards() []string {
	var dirs []string
	if h.own == "" {
		return nil
	}
	for dir := h.own; ; dir = filepath.Dir(dir) {
		dirs = append(dirs, dir)
		if dir == h.mount || dir == "/" {
			return dirs
		}
	}
}

// hierarchies are the folders that this process is in: by controller for cgroup v1, and for v2.
func hierarchies() (map[string]string, hierarchy2, error) {
	self, err := procfs.Self()
	if err != nil {
		return nil, hierarchy2{}, fmt.Errorf("find the cgroups: %w", err)
	}
	memberships, err := self.Cgroups()
	if err != nil {
		return nil, hierarchy2{}, fmt.Errorf("find the cgroups: %w", err)
	}
	mounts, err := procfs.GetMounts()
	if err != nil {
		return nil, hierarchy2{}, fmt.Errorf("find the cgroups: %w", err)
	}
	one := make(map[string]string)
	var two hierarchy2
	for _, m := range mounts {
		for _, in := range memberships {
			unified := in.HierarchyID == 0
			switch {
			case m.FSType == "cgroup2" && unified && two.mount == "":
				if own, ok := within(m, in.Path); ok {
					two = hierarchy2{mount: m.MountPoint, own: own}
				}
			case m.FSType == "cgroup" && !unified:
				for _, controller := range in.Controllers {
					_, carried := m.SuperOptions[controller]
					if own, ok := within(m, in.Path); carried && ok && one[controller] == "" {
						one[controller] = own
					}
				}
			}
		}
	}
	return one, two, nil
}

// within is the folder of a cgroup below a mount that may show a part of the hierarchy only.
func within(m *procfs.MountInfo, path string) (string, bool) {
	rel, err := filepath.Rel(m.Root, path)
	if err != nil || rel == ".." || strings.HasPrefix(rel, "../") {
		return "", false
	}
	return filepath.Join(m.MountPoint, rel), true
}

// setting writes without creating: a file that is not there is os.ErrNotExist then, and not the
// refusal to make one.
func setting(dir, file, value string) error {
	f, err := os.OpenFile(filepath.Join(dir, file), os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("set %s: %w", value, err)
	}
	_, err = f.WriteString(value)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("set %s: %w", value, err)
	}
	return nil
}

// number reads a file with one number, or the one after key in a file of "key number" lines.
func number(dir, file, key string) (uint64, error) {
	text, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return 0, err
	}
	if key == "" {
		return strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	}
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, key+" "); ok {
			return strconv.ParseUint(strings.TrimSpace(value), 10, 64)
		}
	}
	return 0, fmt.Errorf("read %s: no %s in it", filepath.Join(dir, file), key)
}

// stalled reads how long some process of a cgroup has waited, from a file in which /proc/pressure's
// lines stand: some avg10=0.00 avg60=0.00 avg300=0.00 total=0. The kernel may keep none.
func stalled(dir, file string) (time.Duration, error) {
	text, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "some ") {
			continue
		}
		_, total, _ := strings.Cut(line, " total=")
		us, err := strconv.ParseUint(strings.TrimSpace(total), 10, 52)
		return time.Duration(us) * time.Microsecond, err
	}
	return 0, fmt.Errorf("read %s: no line of some in it", filepath.Join(dir, file))
}

// reader reads many numbers and keeps the first error.
type reader struct{ err error }

func (r *reader) number(dir, file, key string) uint64 {
	n, err := number(dir, file, key)
	if r.err == nil {
		r.err = err
	}
	return n
}

// pidsIn are the numbers of the processes in a cgroup and those below it.
func pidsIn(dir string) []int {
	var pids []int
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return nil //nolint:nilerr // a cgroup removed meanwhile holds nobody
		}
		text, err := os.ReadFile(filepath.Join(path, "cgroup.procs"))
		if err != nil {
			return nil //nolint:nilerr // as above
		}
		for field := range strings.FieldsSeq(string(text)) {
			// 0 stands for a process in a PID namespace that cannot be seen from here.
			if pid, err := strconv.Atoi(field); err == nil && pid > 0 {
				pids = append(pids, pid)
			}
		}
		return nil
	})
	slices.Sort(pids)
	return slices.Compact(pids)
}

// killIn kills every process in a cgroup and those below it. In a cgroup v1 that is frozen, as a
// guard killed at its work may leave one, they can only die when it is thawed.
func killIn(dir string) {
	for _, pid := range pidsIn(dir) {
		if s, err := readStat(strconv.Itoa(pid)); err == nil {
			s.signal(syscall.SIGKILL)
		}
	}
	thaw(dir)
}

func thaw(dir string) {
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Name() == "freezer.state" {
			return os.WriteFile(path, []byte("THAWED"), 0)
		}
		return nil // a cgroup removed meanwhile holds nobody
	})
}

// removeFolder removes a cgroup and those below it. The kernel lets go of the processes a moment
// after they have been waited for, and answers EBUSY until then.
func removeFolder(dir string, bound time.Duration) error {
	deadline := time.Now().Add(bound)
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		err := removeOnce(dir)
		if err == nil || errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if time.Now().After(deadline) || !errors.Is(err, syscall.EBUSY) {
			return fmt.Errorf("remove the cgroup: %w", err)
		}
		time.Sleep(pause)
	}
}

func removeOnce(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			if err := removeOnce(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return syscall.Rmdir(dir)
}

func cpuList(cpus []int) string {
	sorted := slices.Sorted(slices.Values(cpus))
	text := make([]string, len(sorted))
	for i, c := range sorted {
		text[i] = strconv.Itoa(c)
	}
	return strings.Join(text, ",")
}
