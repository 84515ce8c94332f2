package hold_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"advise/targets/hold"
)

// methods are those of this machine. ADVISE_TEST_METHODS says which must be there; with CI=true
// root must have a cgroup.
func methods(t *testing.T) []hold.Method {
	t.Helper()
	if list := os.Getenv("ADVISE_TEST_METHODS"); list != "" {
		var found []hold.Method
		for m := range strings.SplitSeq(list, ",") {
			found = append(found, hold.Method(m))
		}
		return found
	}
	found := []hold.Method{hold.Affinity, hold.None}
	for _, m := range []hold.Method{hold.Cgroup1, hold.Cgroup2} {
		if _, _, err := hold.Choose(m, hold.Limits{Memory: 1 << 30, Quota: 0.5}); err == nil {
			found = append(found, m)
		} else {
			t.Log(err)
		}
	}
	if len(found) == 2 && os.Getuid() == 0 && os.Getenv("CI") == "true" {
		t.Fatal("root can make no cgroup here, and with CI=true nothing may be skipped")
	}
	return found
}

func usableCPUs(t *testing.T) []int {
	t.Helper()
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		t.Fatal(err)
	}
	var cpus []int
	for c := range len(set) * 64 {
		if set.IsSet(c) {
			cpus = append(cpus, c)
		}
	}
	return cpus
}

func allowed() string { return statusLine("self", "Cpus_allowed_list") }

// statusLine is a value of /proc/PID/status.
func statusLine(pid, key string) string {
	text, _ := os.ReadFile("/proc/" + pid + "/status")
	for line := range strings.Lines(string(text)) {
		if value, ok := strings.CutPrefix(line, key+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// patience is more than Stop itself has, on a machine that is emulated or busy.
const patience = time.Minute

// eventually polls for what no channel tells.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// nothingLeft fails the test if a process of it lives on or a cgroup of a dead guard is there.
func nothingLeft(t *testing.T) {
	t.Helper()
	var left []string
	deadline := time.Now().Add(patience)
	for {
		left = append(marked(mark(t)), orphaned()...)
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("left behind: %q", left)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// marked are the processes with the word in their environment, but for this one.
func marked(word string) []string {
	var found []string
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err == nil && strings.Contains(string(text), "MARK="+word) {
			found = append(found, path)
		}
	}
	return found
}

// orphaned are the cgroups whose guard has ended: the living ones may be other tests'.
func orphaned() []string {
	var found []string
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // others remove theirs meanwhile
		}
		if name, ok := strings.CutPrefix(d.Name(), hold.Prefix); ok && d.IsDir() && hold.Dead(name) {
			found = append(found, path)
		}
		return nil
	})
	return found
}
