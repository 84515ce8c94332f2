package hold_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"advise/targets/hold"
)

func run(m *testing.M) int { return m.Run() }

// methods are those of this machine. ADVISE_TEST_METHODS says which must be there.
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

func allowed() string {
	text, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(text)) {
		if list, ok := strings.CutPrefix(line, "Cpus_allowed_list:"); ok {
			return strings.TrimSpace(list)
		}
	}
	return ""
}

// nothingLeft fails the test if a process of it lives, or a cgroup with the name of one of its
// guards is there.
func nothingLeft(t *testing.T) {
	t.Helper()
	eventually(t, "nothing is left", func() bool {
		dirs, _ := filepath.Glob("/proc/[0-9]*/environ")
		return !slices.ContainsFunc(dirs, func(path string) bool {
			text, err := os.ReadFile(path)
			return err == nil && strings.Contains(string(text), "MARK="+mark(t))
		})
	})
}
