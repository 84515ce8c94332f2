package cmd_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"strings"
	"testing"
)

// starters are the places that start a process, with the reason why what they start ends with advise. What
// is not among them goes through Start or Subcommand.
var starters = map[string]string{
	"targets/hold/subcommand.go":  "this program itself, which ends with its input",
	"targets/hold/first_linux.go": "the server, by the first process",
	"targets/hold/hold_other.go":  "the server, by the guard; ps, which ends by itself and is waited for",
	"targets/demo/master.go":      "the demo server's workers: it is a server itself, and its tree is held",
}

// starting are the functions and types by which a process is started, by package.
var starting = map[string][]string{
	"os/exec":               {"Command", "CommandContext", "Cmd"},
	"os":                    {"StartProcess"},
	"syscall":               {"ForkExec", "StartProcess", "Exec", "RawSyscall", "RawSyscall6", "SYS_FORK", "SYS_CLONE", "SYS_EXECVE"},
	"golang.org/x/sys/unix": {"Exec", "SYS_FORK", "SYS_CLONE", "SYS_CLONE3", "SYS_EXECVE"},
}

func TestPlacesThatStartProcesses(t *testing.T) {
	const root = ".."
	found := map[string]bool{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && path != root) {
			return filepath.SkipDir
		}
		if filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			return err
		}
		if starts(file) {
			name, err := filepath.Rel(root, path)
			found[filepath.ToSlash(name)] = true
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range maps.Keys(found) {
		if starters[name] == "" {
			t.Errorf("%s starts a process: what it starts may outlive advise; use hold.Start or hold.Subcommand", name)
		}
	}
	for name := range starters {
		if !found[name] {
			t.Errorf("%s starts no process any more: take it from the list", name)
		}
	}
}

// starts is whether a file calls what starts a process, or makes a value of exec.Cmd.
func starts(file *ast.File) bool {
	names := map[string][]string{}
	for _, i := range file.Imports {
		path := strings.Trim(i.Path.Value, `"`)
		name := path[strings.LastIndex(path, "/")+1:]
		if i.Name != nil {
			name = i.Name.Name
		}
		names[name] = starting[path]
	}
	found := false
	is := func(e ast.Expr) bool {
		selector, ok := e.(*ast.SelectorExpr)
		if !ok {
			return false
		}
		of, ok := selector.X.(*ast.Ident)
		if !ok {
			return false
		}
		for _, name := range names[of.Name] {
			if name == selector.Sel.Name {
				return true
			}
		}
		return false
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			found = found || is(n.Fun)
			for _, a := range n.Args {
				found = found || is(a)
			}
		case *ast.CompositeLit:
			found = found || is(n.Type)
		}
		return true
	})
	return found
}
