package targets

import (
	"os"
	"slices"
	"strings"
	"testing"

	"advise/targets/targetstest"
)

// A variable that the command itself sets for the server would win over the one it is started with.
func TestUnassign(t *testing.T) {
	for line, want := range map[string]string{
		"env WEB_CONCURRENCY=4 node server.js":         "node server.js",
		"env A=1 WEB_CONCURRENCY=4 B=2 node server.js": "env A=1 B=2 node server.js",
		"env -u X WEB_CONCURRENCY=4 node server.js":    "env -u X WEB_CONCURRENCY=4 node server.js",
		"node server.js WEB_CONCURRENCY=4":             "node server.js WEB_CONCURRENCY=4",
		"env A=1 node server.js":                       "env A=1 node server.js",
		"env WEB_CONCURRENCY=4":                        "env WEB_CONCURRENCY=4",
	} {
		if got := unassign(strings.Fields(line), "WEB_CONCURRENCY"); strings.Join(got, " ") != want {
			t.Errorf("%s: got %q, want %q", line, got, want)
		}
	}
}

// A start script that sets the count, as npm's may, is measured at other counts all the same.
func TestAssignedCount(t *testing.T) {
	targetstest.Need(t, "node")
	for _, argv := range [][]string{
		{"env", "WEB_CONCURRENCY=4", "PORT=1", "node", "server.js"},
		{"env", "WEB_CONCURRENCY=4", "PORT=1", "A=1", "./serve"},
	} {
		dir := targetstest.Copied(t, "cluster")
		put(t, dir+"/serve", "#!/bin/sh\nexec node server.js\n")
		if err := os.Chmod(dir+"/serve", 0o755); err != nil {
			t.Fatal(err)
		}
		target, err := Recognise(Command{Argv: slices.Clone(argv), Env: marked(t), Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		if s := target.Adapter.Shape(target.Command); s.Workers != 4 {
			t.Errorf("%q asks for %d workers, want 4", argv, s.Workers)
		}
		i, err := unlimited(t, target, 2, nil)
		if err != nil {
			t.Fatal(err)
		}
		tree, err := i.Processes()
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, p := range tree {
			if strings.HasPrefix(p.Title, "node ") || strings.Contains(p.Title, "/node ") {
				n++
			}
		}
		if n != 3 {
			t.Errorf("%q: %d processes, want a master and 2 workers: %+v", argv, n, tree)
		}
		if err := i.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}
