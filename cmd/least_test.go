package cmd_test

import (
	"strings"
	"testing"
)

// What can't be meant is said with the way out, and nothing is started.
func TestLeastIsRefused(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, test := range []struct{ args, want string }{
		{"--least 0", "want 1 or more"},
		{"--least -2", "want 1 or more"},
		{"--least two", "want a number of workers, such as 2"},
		{"--least 1.5", "want a number of workers, such as 2"},
		{"--least 99999", "want at most 4096 workers"},
		{"--least 5 --workers 1..4", "at least 5 workers, and --workers allows 4 at the most: lower --least or raise --workers"},
		{"--least 5 --workers 1,4", "at least 5 workers, and --workers allows 4 at the most: lower --least or raise --workers"},
	} {
		code, _, stderr := command(append(strings.Fields(test.args), "--dry-run", "--", "gunicorn", "app:app")...)
		if code != 1 || !strings.Contains(stderr, test.want) {
			t.Errorf("%s: exit code %d and %q, want 1 and %q", test.args, code, stderr, test.want)
		}
	}
}

// The plan says how many at the least, where that is more than one.
func TestThePlanSaysTheLeast(t *testing.T) {
	t.Chdir(t.TempDir())
	for args, want := range map[string]string{
		"-- gunicorn app:app":                     "2 of them at the least, where that costs no more than the tolerance (--least 1: as few as do)",
		"--least 3 -- gunicorn -k gevent app:app": "3 of them at the least",
		"--least 1 -- gunicorn app:app":           "",
		"--workers 1 -- gunicorn app:app":         "",
		"-- uvicorn app:app":                      "",
	} {
		code, stdout, stderr := command(append([]string{"--dry-run"}, strings.Fields(args)...)...)
		if code != 0 || !strings.Contains(stdout, want) || (want == "") != !strings.Contains(stdout, "at the least") {
			t.Errorf("%s: exit code %d, %s\n%s, want it to say %q", args, code, stderr, stdout, want)
		}
	}
}
