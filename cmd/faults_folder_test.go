package cmd_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"advise/targets/targetstest"
)

// ownProject is a project of the user's with files of all the names that a record has.
var ownProject = map[string]string{
	"app.py":               "def app(environ, start):\n    start('200 OK', [])\n    return [b'x']\n",
	"plan.json":            `{"plan": "of the house"}` + "\n",
	"calibration.json":     `{"of": "the oven"}` + "\n",
	"trials.jsonl":         `{"trial": "of Kafka"}` + "\n",
	"result.json":          `{"result": "1:0"}` + "\n",
	"report.html":          "<p>mine</p>\n",
	"server.log":           "mine\n",
	"access.log":           "mine\n",
	"config/puma.rb":       "workers 2\n",
	"config/database.yml":  "db: x\n",
	"config/Procfile":      "web: mine\n",
	"config/app.service":   "[Service]\n",
	"config/routes/x.rb":   "mine\n",
	"derived/n.conf":       "mine\n",
	"derived/nginx.conf":   "mine\n",
	"derived/php-fpm.conf": "mine\n",
	"gunicorn.conf.py":     "workers = 2\n",
	"gunicorn.service":     "mine\n",
	"Procfile":             "web: gunicorn app:app\n",
	"Dockerfile":           "FROM x\nCMD [\"gunicorn\", \"app:app\"]\n",
	"advise/record.txt":    "mine\n",
	".plan.json.1":         "mine\n",
	".result.json-1":       "mine\n",
}

// No command, whatever its options point at, changes a file of a user's project, or adds one to it.
func TestFaultsFolders(t *testing.T) {
	targetstest.Need(t, "gunicorn")
	good := goodRecord(t)
	for n, c := range []struct {
		without string // files that the project doesn't have
		args    []string
		sweeps  bool // it would measure where it is not refused
	}{
		{"", []string{"--out", "."}, true},
		{"", []string{"--out", "PROJECT"}, true},
		{"", []string{"--out", "../link"}, true},
		{"", []string{"--out", "config"}, true},
		{"", []string{"--out", "derived"}, true},
		{"", []string{"--out", "advise"}, true},
		{"", []string{"--out", "plan.json"}, true},
		{"plan.json", []string{"--out", "."}, true},
		{"plan.json trials.jsonl", []string{"--out", "."}, true},
		{"plan.json trials.jsonl", []string{"--out", "../link"}, true},
		{"plan.json trials.jsonl", []string{"--out", ".", "--", "gunicorn", "app:app"}, true},
		{"", []string{"--resume", "."}, true},
		{"", []string{"--resume", "../link"}, true},
		{"trials.jsonl", []string{"--resume", "."}, true},
		{"", []string{"report", "."}, false},
		{"", []string{"report", "../link"}, false},
		{"", []string{"report", "config"}, false},
		{"plan.json", []string{"report", "."}, false},
		{"", []string{"--dry-run", "--out", "."}, false},
		{"", []string{"--dry-run", "--resume", "."}, false},
		{"", []string{"fit", "trials.jsonl"}, false},
		{"", []string{"report", "../linked"}, false},
		{"", []string{"report", "../linked", "--json"}, false},
		{"", []string{"--resume", "../linked", "--dry-run"}, false},
	} {
		tried(t, n, "folders of the user's", strings.Join(c.args, " "), func(t *testing.T, _ *rand.Rand) {
			root := t.TempDir()
			project := filepath.Join(root, "project")
			for name, text := range ownProject {
				if !slices.Contains(strings.Fields(c.without), name) {
					write(t, filepath.Join(project, name), text)
				}
			}
			link(t, project, filepath.Join(root, "link"))
			linkedRecord(t, filepath.Join(root, "linked"), project, good)
			args := slices.Clone(c.args)
			for i := range args {
				args[i] = strings.ReplaceAll(args[i], "PROJECT", project)
			}
			if c.sweeps {
				args = append([]string{"--cores", "1", "--time", "10s", "--workers", "1"}, args...)
			}
			before := tree(t, project)
			run := advise(t, args...)
			run.Dir = project
			out, err := run.CombinedOutput()
			if code := exitCode(err); code != 0 && code != 1 && code != 3 && code != 4 {
				t.Errorf("exit code %d: %s", code, out)
			}
			checkUntouched(t, before, tree(t, project), false)
			if t.Failed() {
				t.Logf("advise %q:\n%s", args, shortened(string(out)))
			}
			targetstest.NothingLeft(t, mark(t))
		})
	}
}

// linkedRecord is a good record, but that its folders and reports are links to the user's.
func linkedRecord(t *testing.T, dir, project string, good map[string]string) {
	t.Helper()
	for _, name := range []string{"plan.json", "calibration.json", "trials.jsonl"} {
		write(t, filepath.Join(dir, name), good[name])
	}
	for _, name := range []string{"config", "derived", "result.json", "report.html", "server.log"} {
		link(t, filepath.Join(project, name), filepath.Join(dir, name))
	}
}

func link(t *testing.T, to, path string) {
	t.Helper()
	if err := os.Symlink(to, path); err != nil {
		t.Fatal(fmt.Errorf("link %s: %w", path, err))
	}
}
