// Package targetstest has what tests with real servers share: finding the programs they need, and
// proving that nothing of a sweep is left on the machine.
package targetstest

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"
)

// packages names the Debian package of a program where the two differ.
var packages = map[string]string{
	"qemu-system-x86_64": "qemu-system-x86",
	"nginx":              "nginx-light",
	"hypercorn":          "python3-hypercorn",
	"waitress-serve":     "python3-waitress",
	"php-fpm8.2":         "php8.2-fpm",
	"apachectl":          "apache2",
	"uwsgi":              "uwsgi-core uwsgi-plugin-python3",
	"ps":                 "procps",
	"node":               "nodejs",
	"/usr/bin/node":      "nodejs", // another one may come before it in PATH
}

// Need skips the test when a program is missing, and prints the line that installs it. With
// CI=true a missing program is a failure: there, nothing may be skipped.
func Need(t testing.TB, programs ...string) {
	t.Helper()
	var missing []string
	for _, p := range programs {
		if _, err := exec.LookPath(p); err == nil {
			continue
		}
		if name, ok := packages[p]; ok {
			p = name
		}
		missing = append(missing, p)
	}
	if len(missing) > 0 {
		Lacking(t, "apt-get install "+strings.Join(missing, " "))
	}
}

// PyPI is the path of a program in the tests' virtual environment, which has the newest releases.
// Without it the test is skipped as by Need.
func PyPI(t testing.TB, program string) string {
	t.Helper()
	env := os.Getenv("ADVISE_TEST_VENV")
	if env == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		env = filepath.Join(cache, "advise-test", "venv")
	}
	path := filepath.Join(env, "bin", program)
	if _, err := exec.LookPath(path); err != nil {
		Lacking(t, "make test-venv, which installs "+program+" from PyPI")
	}
	return path
}

// Lacking skips the test and says what would make it run; with CI=true it fails it.
func Lacking(t testing.TB, remedy string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("with CI=true nothing may be skipped; this test needs: %s", remedy)
	}
	t.Skipf("this test needs: %s", remedy)
}

// Flask is the folder of the sample Flask application, app:app.
func Flask() string { return App("flask") }

// App is the folder of a sample application.
func App(name string) string {
	_, here, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(here), "..", "testdata", "apps", name)
}

// Copied is the folder of a sample application in a copy of all of them that every user can read: a
// server that root starts changes its user, and a checkout may be root's alone.
func Copied(t testing.TB, name string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(filepath.Dir(dir), 0o755); err != nil {
		t.Fatal(err)
	}
	apps := filepath.Join(dir, "apps")
	if err := os.CopyFS(apps, os.DirFS(App(""))); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(apps, name)
}

// NothingLeft fails the test unless, within half a minute, no living process has mark among its
// arguments or in its environment and no cgroup of advise is without a living owner. The mark is a
// word that only this test's processes carry.
func NothingLeft(t testing.TB, mark string) {
	t.Helper()
	if runtime.GOOS != "linux" {
		return
	}
	deadline := time.Now().Add(30 * time.Second)
	for {
		left := append(Processes(mark), Cgroups()...)
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("left behind:\n%s", strings.Join(left, "\n"))
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// Processes are the living ones, other than this, that have mark among their arguments or in their environment.
func Processes(mark string) []string {
	var found []string
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		pid, _ := strconv.Atoi(filepath.Base(dir))
		if pid == os.Getpid() {
			continue
		}
		args, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
		env, _ := os.ReadFile(filepath.Join(dir, "environ"))
		if strings.Contains(string(args), mark) || strings.Contains(string(env), mark) {
			found = append(found, strconv.Itoa(pid)+" "+strings.ReplaceAll(string(args), "\x00", " "))
		}
	}
	return found
}

// Cgroups are those of advise whose guard, which is in their name (advise-namespace-pid-start), no
// longer lives. One whose guard does belongs to a test that runs beside this one, or shows among the
// processes.
func Cgroups() []string {
	var found []string
	_ = filepath.WalkDir("/sys/fs/cgroup", func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() || !strings.HasPrefix(d.Name(), "advise-") {
			return nil //nolint:nilerr // a cgroup that vanished meanwhile is not left
		}
		if parts := strings.Split(d.Name(), "-"); len(parts) == 4 {
			if _, err := os.Stat("/proc/" + parts[2]); err == nil {
				return nil
			}
		}
		found = append(found, path)
		return nil
	})
	return found
}
