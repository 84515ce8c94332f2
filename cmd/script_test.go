package cmd_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"advise/cmd"
	"advise/targets/targetstest"
)

func TestMain(m *testing.M) {
	name := filepath.Base(os.Args[0]) // "hold" is what advise calls itself where it must not be killed by name
	if len(os.Args) > 1 && !strings.HasPrefix(os.Args[1], "-") && name != "advise" && name != "hold" {
		// A child of advise that was started under the tests' name would run the tests again.
		fmt.Fprintln(os.Stderr, "not advise:", os.Args)
		os.Exit(1)
	}
	advise := func() {
		os.Exit(cmd.Main(os.Args[1:], cmd.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
	}
	testscript.Main(summed{m}, map[string]func(){"advise": advise, "hold": advise})
}

// summed prints what was tried at the end of the tests.
type summed struct{ m *testing.M }

func (s summed) Run() int {
	code := s.m.Run()
	fmt.Fprint(os.Stdout, tallied.String())
	return code
}

// TestScripts runs the command lines of testdata/script, each in an empty folder. After each,
// nothing it started may be left.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:       "testdata/script",
		Cmds:      map[string]func(ts *testscript.TestScript, neg bool, args []string){"exits": exits},
		Condition: have,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("FLASK", targetstest.Flask())
			// What a script starts carries its folder in its environment.
			env.Setenv("ADVISE_TEST", env.WorkDir)
			env.Defer(func() { targetstest.NothingLeft(t, "ADVISE_TEST="+env.WorkDir) })
			return nil
		},
	})
}

// exits runs a program and wants an exact exit code: exits 4 advise ...
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits code program [args...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// have is the condition [have:program]. With CI=true a missing program is an error, not a reason to
// skip.
func have(condition string) (bool, error) {
	program, ok := strings.CutPrefix(condition, "have:")
	if !ok {
		return false, fmt.Errorf("unknown condition %q", condition)
	}
	if _, err := exec.LookPath(program); err == nil {
		return true, nil
	}
	if os.Getenv("CI") == "true" {
		return false, fmt.Errorf("with CI=true nothing may be skipped: install %s", program)
	}
	return false, nil
}
