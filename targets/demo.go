package targets

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"

	"advise/targets/demo"
	"advise/targets/hold"
)

// DemoName is the name of the built-in demo server's adapter.
const DemoName = "demo"

// demoServer is the demo server of package demo: a master and its children, all of them this program.
type demoServer struct{}

// Demo is the built-in demo server with arguments as of `advise demo`.
func Demo(args, env []string, dir string) *Target {
	return &Target{
		Adapter: demoServer{},
		Command: Command{Argv: append([]string{"advise", "demo"}, args...), Env: env, Dir: dir},
	}
}

func (demoServer) Name() string { return DemoName }

func (demoServer) Recognise(argv []string) bool {
	return len(argv) >= 2 && filepath.Base(argv[0]) == "advise" && argv[1] == "demo"
}

func (demoServer) About() About {
	return About{
		Server:     "the built-in demo server",
		Recognised: "`advise demo`, or no command where no application is found",
		Knob:       "`--workers`",
		Reports:    "children of its master",
		Traps:      []string{"What it costs is set by its own options: it shows what advise does, and says nothing about your application."},
	}
}

func (demoServer) StopSignal() syscall.Signal { return syscall.SIGTERM }

func (demoServer) Shape(c Command) Shape {
	config, err := demo.ParseArgs(c.Argv[2:])
	if err != nil {
		return Shape{Threads: 1}
	}
	return Shape{Workers: config.Workers, Threads: 1}
}

func (demoServer) Launch(c Command, s Shape, p Place) (Launch, error) {
	config, err := demo.ParseArgs(c.Argv[2:])
	if err != nil {
		return Launch{}, fmt.Errorf("launch %s: %w", show(c.Argv), err)
	}
	self, err := os.Executable()
	if err != nil {
		return Launch{}, fmt.Errorf("launch the demo server: find this program: %w", err)
	}
	config.Workers, config.Host, config.Port, config.Socket = s.Workers, p.Host, p.Port, ""
	return Launch{Argv: append([]string{self, "demo"}, config.Args()...), Env: c.Env}, nil
}

// Workers are the children of the first process that has any.
func (demoServer) Workers(tree []hold.Process, _ int) ([]hold.Process, bool) {
	return firstChildren(tree, func(hold.Process, hold.Process) bool { return true }), true
}

func (demoServer) Config(c Command, s Shape) []File {
	config, err := demo.ParseArgs(c.Argv[2:])
	if err != nil {
		return nil
	}
	config.Workers = s.Workers
	return []File{{Path: commandFile, Text: show(append([]string{"advise", "demo"}, config.Args()...)) + "\n"}}
}

func (demoServer) Version(context.Context, Command) (string, error) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "", nil
	}
	return cmp.Or(strings.Trim(info.Main.Version, "()"), "devel"), nil
}

// check finds wrong arguments before the first start.
func (demoServer) check(c Command) error {
	if _, err := demo.ParseArgs(c.Argv[2:]); err != nil {
		cause := err
		for inner := errors.Unwrap(cause); inner != nil; inner = errors.Unwrap(cause) {
			cause = inner
		}
		return refuse(c.Argv, cause.Error(), "advise demo --help lists what it takes")
	}
	return nil
}
