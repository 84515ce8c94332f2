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
	space, pid, started, ok := parseIdentity(name)
	if !ok {
		return false
	}
	here, _ := os.Readlink("/proc/self/ns/pid")
	if here == "" || strings.Trim(here, "pid:[]") != space {
		return false
	}
	owner, err := readStat(strconv.Itoa(pid))
	if err != nil {
		return errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH)
	}
	return owner.zombie() || owner.StartTicks != started
}

func parseIdentity(name string) (space string, pid int, started uint64, ok bool) {
	parts := strings.Split(name, "-")
	if len(parts) != 3 {
		return "", 0, 0, false
	}
	pid, noPID := strconv.Atoi(parts[1])
	started, noStart := strconv.ParseUint(parts[2], 10, 64)
	return parts[0], pid, started, noPID == nil && noStart == nil && pid > 0
}

// removeStale ends what is left of guards that were killed together with all who would have done so.
func removeStale() {
	killMarked(provenStale)
	for _, place := range places() {
		left, _ := filepath.Glob(filepath.Join(place, prefix+"*"))
		for _, dir := range left {
			if dead(strings.TrimPrefix(filepath.Base(dir), prefix)) && !around(dir) {
				killIn(dir)
				_ = removeFolder(dir, time.Second)
			}
		}
	}
	removeStaleFolders()
}

// around is whether a cgroup holds this process or one that it descends from.
func around(dir string) bool {
	above := lineage()
	return slices.ContainsFunc(pidsIn(dir), func(pid int) bool { return above[pid] })
}

// lineage are this process and those it descends from.
func lineage() map[int]bool {
	above := make(map[int]bool)
	for pid := os.Getpid(); pid > 0 && !above[pid]; {
		above[pid] = true
		s, err := readStat(strconv.Itoa(pid))
		if err != nil {
			break
		}
		pid = s.Parent
	}
	return above
}

// provenStale is whether a process that names a guard is of its tree, and the guard dead. The name alone
// proves nothing: it may have been saved and set again. But the guard's number is that of the session too
// which its tree began in, and such a number is not given to anybody else as long as the session has a
// process. A process that has begun a session of its own is left alone.
func provenStale(guard string, p stat) bool {
	_, number, started, ok := parseIdentity(guard)
	return ok && p.session == number && p.StartTicks >= started && dead(guard)
}

// killMarked kills the processes whose environment names a guard of which ours is true, and says
// how many there were. It never kills what this process descends from.
func killMarked(ours func(guard string, p stat) bool) int {
	all, err := stats()
	if err != nil {
		return 0
	}
	above := lineage()
	found := 0
	for _, p := range all {
		if above[p.PID] || p.zombie() {
			continue
		}
		if slices.ContainsFunc(markers(p.PID), func(guard string) bool { return ours(guard, p) }) {
			p.signal(syscall.SIGKILL)
			found++
		}
	}
	return found
}

// markers are the guards that a process's environment names: of several the innermost is the last.
func markers(pid int) []string {
	environ, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return nil
	}
	var names []string
	for entry := range strings.SplitSeq(string(environ), "\x00") {
		if name, ok := strings.CutPrefix(entry, marker); ok {
			names = append(names, name)
		}
	}
	return names
}

// handedOn is an environment without the names of guards that do not hold this process: they were saved
// somewhere and set again.
func handedOn(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(entry string) bool {
		name, ok := strings.CutPrefix(entry, marker)
		if !ok {
			return false
		}
		_, number, _, ok := parseIdentity(name)
		return !ok || number == os.Getpid() || !lineage()[number] || name != identity(number)
	})
}

// NewFolder makes a folder for the files of a server, below the one for temporary files. Its name is
// short, as the path of a socket has room for 107 bytes, and says who made it: the next Start on the
// machine removes it when advise could not. Other users may pass through it but not look into it: a
// server that root started changes its user.
func NewFolder() (string, error) {
	dir, err := os.MkdirTemp("", prefix+identity(os.Getpid())+"+*")
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, folderMode)
}

const folderMode = 0o711

// removeStaleFolders removes those that NewFolder has made for somebody who is dead, and no others.
func removeStaleFolders() {
	found, _ := filepath.Glob(filepath.Join(os.TempDir(), prefix+"*+*"))
	for _, dir := range found {
		name, random, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), prefix), "+")
		if _, err := strconv.ParseUint(random, 10, 32); err != nil || !dead(name) {
			continue
		}
		info, err := os.Lstat(dir)
		if err != nil || info.Mode() != os.ModeDir|folderMode {
			continue
		}
		if owner, ok := info.Sys().(*syscall.Stat_t); ok && int(owner.Uid) == os.Geteuid() {
			_ = os.RemoveAll(dir)
		}
	}
}
