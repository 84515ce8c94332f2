package hold

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// prefix begins the name of every cgroup that advise makes.
const prefix = "advise-"

// identity names a process for as long as the machine runs: its PID namespace, its number, its
// start. Cgroups and environment markers carry it.
func identity(pid int) string {
	space, _ := os.Readlink("/proc/self/ns/pid")
	s, _ := readStat(strconv.Itoa(pid))
	return fmt.Sprintf("%s-%d-%d", strings.Trim(space, "pid:[]"), pid, s.StartTicks)
}

// dead is whether the owner of a name has ended. An owner in another PID namespace cannot be seen
// from here and counts as living.
func dead(name string) bool {
	name, _, _ = strings.Cut(strings.TrimSuffix(name, ".scope"), "+")
	parts := strings.Split(name, "-")
	if len(parts) != 3 {
		return false
	}
	space, _ := os.Readlink("/proc/self/ns/pid")
	if space == "" || strings.Trim(space, "pid:[]") != parts[0] {
		return false
	}
	owner, err := readStat(parts[1])
	if err != nil {
		return errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH)
	}
	return owner.zombie() || strconv.FormatUint(owner.StartTicks, 10) != parts[2]
}

// removeStale ends what is left of guards that were killed together with their parents.
func removeStale() {
	killMarked(dead)
	for _, place := range places() {
		left, _ := filepath.Glob(filepath.Join(place, prefix+"*"))
		for _, dir := range left {
			if dead(strings.TrimPrefix(filepath.Base(dir), prefix)) {
				killIn(dir)
				_ = removeFolder(dir, time.Second)
			}
		}
	}
}

// killMarked kills the processes whose environment names a guard of which ours is true, and says
// how many there were.
func killMarked(ours func(guard string) bool) int {
	all, err := processes()
	if err != nil {
		return 0
	}
	found := 0
	for _, p := range all {
		if p.PID == os.Getpid() || p.zombie() {
			continue
		}
		environ, err := os.ReadFile("/proc/" + strconv.Itoa(p.PID) + "/environ")
		if err != nil {
			continue
		}
		for entry := range strings.SplitSeq(string(environ), "\x00") {
			if name, ok := strings.CutPrefix(entry, marker); ok && ours(name) {
				p.signal(syscall.SIGKILL)
				found++
				break
			}
		}
	}
	return found
}
