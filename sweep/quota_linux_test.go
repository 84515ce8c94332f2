package sweep

import (
	"os"
	"path/filepath"
	"testing"
)

// The quota that holds is the smallest of those above the process, in the files of either version.
func TestQuotaUnder(t *testing.T) {
	for name, c := range map[string]struct {
		membership string
		files      map[string]string
		want       float64
	}{
		"none":              {"0::/\n", map[string]string{"cpu.max": "max 100000\n"}, 0},
		"its own":           {"0::/pod/app\n", map[string]string{"pod/app/cpu.max": "150000 100000\n"}, 1.5},
		"a parent's":        {"0::/pod/app\n", map[string]string{"pod/app/cpu.max": "max 100000\n", "pod/cpu.max": "50000 100000\n"}, 0.5},
		"the smaller":       {"0::/pod/app\n", map[string]string{"pod/app/cpu.max": "400000 100000\n", "pod/cpu.max": "200000 100000\n"}, 2},
		"a container's":     {"0::/\n", map[string]string{"cpu.max": "200000 100000\n"}, 2},
		"version 1":         {"3:cpu,cpuacct:/app\n2:cpuset:/\n", map[string]string{"cpu/app/cpu.cfs_quota_us": "25000\n", "cpu/app/cpu.cfs_period_us": "100000\n"}, 0.25},
		"version 1, none":   {"3:cpu:/app\n", map[string]string{"cpu/app/cpu.cfs_quota_us": "-1\n", "cpu/app/cpu.cfs_period_us": "100000\n"}, 0},
		"another's":         {"3:cpuset:/app\n", map[string]string{"cpu/app/cpu.cfs_quota_us": "25000\n", "cpu/app/cpu.cfs_period_us": "100000\n"}, 0},
		"nothing to divide": {"0::/\n", map[string]string{"cpu.max": "200000 0\n"}, 0},
		"not a membership":  {"nonsense\n", map[string]string{}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			c.files["../membership"] = c.membership
			root := filepath.Join(dir, "root")
			for path, text := range c.files {
				path = filepath.Join(root, path)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got := quotaUnder(filepath.Join(dir, "membership"), root); got != c.want {
				t.Errorf("%g cores, want %g", got, c.want)
			}
		})
	}
	if got := quotaUnder(filepath.Join(t.TempDir(), "gone"), t.TempDir()); got != 0 {
		t.Errorf("%g cores where nothing can be read", got)
	}
}
