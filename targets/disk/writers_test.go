package disk

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// writes are the functions by which a program changes a disk, by package.
var writes = map[string][]string{
	"os": {
		"Chmod", "Chown", "Chtimes", "CopyFS", "Create", "CreateTemp", "Lchown", "Link", "Mkdir", "MkdirAll", "MkdirTemp",
		"OpenFile", "OpenInRoot", "OpenRoot", "Remove", "RemoveAll", "Rename", "Symlink", "Truncate", "WriteFile",
	},
	"ioutil": {"TempDir", "TempFile", "WriteFile"},
	"doc":    {"GenManTree", "GenManTreeFromOpts", "GenMarkdownTree", "GenReSTTree", "GenYamlTree"},
	"unix":   system, "syscall": system,
}

var system = []string{
	"Chmod", "Chown", "Creat", "Fchmod", "Fchmodat", "Fchownat", "Ftruncate", "Lchown", "Link", "Linkat", "Mkdir", "Mkdirat", "Mkfifo",
	"Mknod", "Mknodat", "Mount", "Open", "Openat", "Openat2", "Rename", "Renameat", "Renameat2", "Rmdir", "Symlink", "Symlinkat", "Truncate",
	"Unlink", "Unlinkat",
}

// allowed are the calls outside of this package, each with its reason.
var allowed = map[string]string{
	"targets/demo/master.go: os.CreateTemp":         "the workers' lock file: new, and removed at once",
	"targets/demo/master.go: os.Remove":             "that file, and a socket that nobody listens at or that it made itself",
	"targets/hold/stale_linux.go: os.MkdirTemp":     "a new folder for one server",
	"targets/hold/stale_linux.go: os.Chmod":         "that folder",
	"targets/hold/stale_linux.go: os.RemoveAll":     "such a folder of a guard that is dead, of the same user",
	"targets/hold/hold_other.go: os.MkdirTemp":      "a new folder for one server",
	"targets/hold/hold_other.go: os.Chmod":          "that folder",
	"targets/start.go: os.RemoveAll":                "that folder",
	"targets/hold/tree.go: os.RemoveAll":            "that folder",
	"targets/output.go: os.OpenFile":                "what a program says for its version: a new file in such a folder",
	"targets/output.go: os.RemoveAll":               "that folder",
	"targets/hold/first_linux.go: unix.Mount":       "/proc, in a mount namespace of its own",
	"targets/hold/first_linux.go: unix.Openat":      "a file of /proc, to read",
	"targets/hold/guard.go: os.OpenFile":            "the null device; the log, a temporary file of the record",
	"targets/hold/guard_linux.go: os.WriteFile":     "the process's name, in /proc",
	"targets/hold/groups_linux.go: os.OpenFile":     "a file of a cgroup",
	"targets/hold/groups_linux.go: os.WriteFile":    "a file of a cgroup",
	"targets/hold/groups_linux.go: syscall.Rmdir":   "a cgroup",
	"targets/hold/cgroup1_linux.go: os.Mkdir":       "a cgroup",
	"targets/hold/cgroup2_linux.go: os.Mkdir":       "a cgroup",
	"targets/targetstest/targetstest.go: os.Chmod":  "for tests: a folder of the test's",
	"targets/targetstest/targetstest.go: os.CopyFS": "for tests: a folder of the test's",
}

func TestWritersOfTheDisk(t *testing.T) {
	root := filepath.Join("..", "..")
	found := map[string]bool{}
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		name, _ := filepath.Rel(root, file)
		switch {
		case err != nil:
			return err
		case d.IsDir() && (name == "targets/disk" || d.Name() == "testdata" || d.Name() == ".git"):
			return filepath.SkipDir
		case !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go"):
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok {
				if pkg, ok := s.X.(*ast.Ident); ok && slices.Contains(writes[pkg.Name], s.Sel.Name) {
					found[filepath.ToSlash(name)+": "+pkg.Name+"."+s.Sel.Name] = true
				}
			}
			return true
		})
		return nil
	})
	check(t, err)
	for call := range found {
		if allowed[call] == "" {
			t.Errorf("%s: only targets/disk writes to the user's disk", call)
		}
	}
	for call := range allowed {
		if !found[call] {
			t.Errorf("%s is allowed, and not there", call)
		}
	}
}
