// Package cmd is the command line: flags, streams, progress and exit codes.
package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/agnivade/levenshtein"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Streams are the program's.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Main runs the command line and returns the exit code.
func Main(args []string, s Streams) int {
	root := newRoot(s)
	root.SetArgs(args)
	err := root.Execute()
	var hidden exitStatus
	if errors.As(err, &hidden) {
		return int(hidden)
	}
	if err != nil {
		printError(s.Err, err)
	}
	return exitCode(err)
}

func newRoot(s Streams) *cobra.Command {
	root := newSweep(s)
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(newReport(s), newFit(s), newTargets(s), newVersion(), newGenerate())
	root.AddCommand(newGuard(s), newAttack(s), newNull(s), newDemo(s), newDemoWorker())
	return root
}

// flagError names the flag that may have been meant.
func flagError(c *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return err
	}
	name := strings.TrimLeft(unknown.GetSpecifiedName(), "-")
	nearest, distance := "", 3
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if d := levenshtein.ComputeDistance(name, f.Name); d < distance {
			nearest, distance = f.Name, d
		}
	})
	if nearest == "" {
		return withHint(err, "the server's own flags go behind --: advise --cores 2 -- gunicorn -k gthread app:app")
	}
	return withHint(err, "did you mean --%s?", nearest)
}

// interruptible returns a context that the first of INT, TERM and HUP ends, and one that the second
// ends. The signals stay caught afterwards: one that comes while the result is printed is too late. That
// nobody reads what is printed any more is no end, but an error for who prints.
func interruptible(told io.Writer) (ctx, abort context.Context, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	abort, kill := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	done := make(chan struct{})
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	go func() {
		for _, end := range []func(){cancel, kill} {
			select {
			case <-signals:
				end()
			case <-done:
				return
			}
			if abort.Err() == nil {
				fmt.Fprintln(told, "advise: stopping; once more kills the server")
			}
		}
	}()
	return ctx, abort, func() {
		close(done)
		cancel()
		kill()
	}
}
