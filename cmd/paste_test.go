package cmd_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"advise/targets/targetstest"
)

// The environment of a sweep decides what its user has to change, and a service manager has another one:
// the unit names the program that was measured, and the variable that sets the count with a new value.
// Variables that are not known to hold no secret come into no file.
func TestPasteKnowsTheEnvironment(t *testing.T) {
	program := targetstest.PyPI(t, "gunicorn")
	var dir string
	var out []byte
	for tries := 3; ; tries-- {
		dir = filepath.Join(t.TempDir(), "record")
		run := advise(t, "--cores", "1", "--workers", "1,2", "--time", "15s", "--out", dir, "--", "gunicorn", "app:app")
		run.Dir = targetstest.Flask()
		run.Env = append(run.Env, "PATH="+filepath.Dir(program)+":"+os.Getenv("PATH"), "GUNICORN_CMD_ARGS=-w 7 --threads 2", "SHOP_PASSWORD=hushhush")
		var err error
		if out, err = run.CombinedOutput(); err == nil {
			break
		}
		if tries == 1 || exitCode(err) != 3 { // a busy machine has no time for the second count
			t.Fatalf("%v\n%s", err, out)
		}
	}
	unit, err := os.ReadFile(filepath.Join(dir, "config", "gunicorn.service"))
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if !strings.Contains(string(unit), "\nExecStart="+program+" ") {
		t.Errorf("the unit has not %s:\n%s", program, unit)
	}
	variable := regexp.MustCompile(`GUNICORN_CMD_ARGS=-w [12] --threads 2"\n`)
	if !variable.Match(unit) {
		t.Errorf("the unit has not the variable with another count:\n%s", unit)
	}
	if !regexp.MustCompile(`(?m)^set in its environment\n\n +GUNICORN_CMD_ARGS='-w [12] --threads 2'$`).Match(out) {
		t.Errorf("what is printed does not say first which variable to change:\n%s", out)
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		if bytes.Contains(text, []byte("hushhush")) {
			t.Errorf("a secret is in %s", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// What a failed start says to look at can be looked at: the server's own folder has gone with it.
func TestFailedStartNamesWhatIsThere(t *testing.T) {
	targetstest.Need(t, "uwsgi")
	dir := filepath.Join(t.TempDir(), "record")
	run := advise(t, "--cores", "1", "--out", dir, "--", "uwsgi", "--ini", "shop.ini")
	text := "[uwsgi]\nplugin = python3\nmodule = nowhere:app\nneed-app = true\nhttp-socket = :8080\n"
	if err := os.WriteFile(filepath.Join(run.Dir, "shop.ini"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := run.CombinedOutput()
	if exitCode(err) != 4 {
		t.Fatalf("%v\n%s", err, out)
	}
	m := regexp.MustCompile(`see what it does by itself: uwsgi --ini shop\.ini; it was started with what was made of its files: (\S+)`).FindSubmatch(out)
	if m == nil {
		t.Fatalf("no command that can be run again in\n%s", out)
	}
	if _, err := os.Stat(string(m[1])); err != nil {
		t.Errorf("it names a file that is not there: %v", err)
	}
}

// Servers go by the names of their programs too.
func TestTargetsByOtherNames(t *testing.T) {
	for name, want := range map[string]string{
		"httpd": "apache", "apache": "apache", "apache2": "apache", "Apachectl": "apache", "php": "php-fpm", "php8.2-fpm": "php-fpm",
		"php-fpm8.5": "php-fpm", "node": "node", "nodejs": "node", "pm2": "node", "waitress-serve": "waitress", "unicorn_rails": "unicorn",
	} {
		out, err := advise(t, "targets", name, "--json").CombinedOutput()
		if err != nil || !strings.Contains(string(out), `"name": "`+want+`"`) {
			t.Errorf("%s: %v, want %s\n%s", name, err, want, out)
		}
	}
	if out, err := advise(t, "targets", "tomcat").CombinedOutput(); err == nil {
		t.Errorf("tomcat is\n%s", out)
	}
}
