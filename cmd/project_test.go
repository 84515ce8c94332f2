package cmd_test

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// usersFiles are a project's own, with the names that a record and what advise makes beside it have.
var usersFiles = []string{
	"plan.json", "trials.jsonl", "calibration.json", "files.jsonl", "result.json", "report.html", "server.log",
	"config/puma.rb", "config/routes.rb", "config/database.yml", "config/gunicorn.conf.py", "config/command.txt", "config/Procfile",
	"derived/nginx.conf", "derived/php-fpm.conf", "man/notes.txt", "advise-fit.1", "advise.1",
	".plan.json.1234", ".plan.json.advise-abc", ".result.json-1234", ".server.log.advise-abc", "trials.jsonl.lock", ".lock", "app.py", "table.csv",
}

// Whatever is pointed at a folder of the user's, every file in it stays as it is, byte for byte, and none comes.
func TestUsersProjectStaysAsItIs(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", t.TempDir())
	for _, files := range append([][]string{usersFiles}, each(usersFiles)...) {
		t.Run(fmt.Sprintf("%s of %d", files[0], len(files)), func(t *testing.T) {
			work := t.TempDir()
			t.Chdir(work)
			for _, name := range files {
				file := filepath.Join("project", name)
				if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, []byte("{}\n"), 0o640); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Symlink("project", "link"); err != nil {
				t.Fatal(err)
			}
			before := snapshot(t, work)
			for _, at := range []string{"project", "link", filepath.Join(work, "project"), "project/", "project/."} {
				for _, line := range []string{
					"--time 10s --out %s -- advise demo", "--time 10s --out %s --json -- gunicorn app:app", "--dry-run --out %s -- advise demo", "--resume %s", "--resume %s --skip-damaged",
					"--resume %s --dry-run", "report %s", "report %s --json", "report %s --skip-damaged", "fit %s/table.csv", "fit %s",
				} {
					args := strings.Fields(fmt.Sprintf(line, at))
					code, _, stderr := command(args...)
					if dry := strings.Contains(line, "--dry-run --out"); (code == 0) != dry {
						t.Errorf("advise %s: exit code %d: %s", strings.Join(args, " "), code, stderr)
					}
					same(t, strings.Join(args, " "), before, snapshot(t, work))
				}
			}
			for _, line := range []string{"version", "targets", "completion bash", "--dry-run"} {
				t.Chdir(filepath.Join(work, "project"))
				command(strings.Fields(line)...)
				same(t, line, before, snapshot(t, work))
			}
		})
	}
}

func each(names []string) (alone [][]string) {
	for _, name := range names {
		alone = append(alone, []string{name})
	}
	return alone
}

func same(t *testing.T, after string, was, is map[string]string) {
	t.Helper()
	if !maps.Equal(was, is) {
		t.Fatalf("advise %s: %q, was %q", after, is, was)
	}
}

// snapshot is what is below a folder: modes, texts and where links lead.
func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		text := ""
		switch {
		case d.Type().IsRegular():
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text = string(data)
		case d.Type()&fs.ModeSymlink != 0:
			if text, err = os.Readlink(path); err != nil {
				return err
			}
		}
		all[path] = info.Mode().String() + " " + text
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
