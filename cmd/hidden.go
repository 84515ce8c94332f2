package cmd

import (
	"context"

	"github.com/spf13/cobra"

	"advise/model"
	"advise/sweep/generator"
	"advise/targets/demo"
	"advise/targets/hold"
)

// The subcommands that advise runs itself as: the holder of a server's process tree, the load
// generator and the server it is calibrated against, the demo server and its workers. They are no
// part of the command line people use.

// exitStatus is the code of a subcommand that has said all there is to say.
type exitStatus int

func (exitStatus) Error() string { return "" }

func status(code int) error {
	if code == 0 {
		return nil
	}
	return exitStatus(code)
}

func hidden(name, short string, run func(args []string) error) *cobra.Command {
	return &cobra.Command{
		Use: name, Short: short, Hidden: true, DisableFlagParsing: true,
		RunE: func(_ *cobra.Command, args []string) error { return run(args) },
	}
}

func newGuard(s Streams) *cobra.Command {
	return hidden("guard", "Hold a process tree inside limits", func([]string) error {
		return status(hold.Main(s.In, s.Out))
	})
}

func newAttack(s Streams) *cobra.Command {
	return hidden("attack", "Run one attack read from standard input", func([]string) error {
		return generator.Main(s.In, s.Out, model.Steadiness{})
	})
}

func newNull(s Streams) *cobra.Command {
	return hidden("null-server", "Answer every request with nothing", func([]string) error {
		return generator.NullMain(s.In, s.Out)
	})
}

func newDemo(s Streams) *cobra.Command {
	return hidden("demo", "Serve requests of known cost", func(args []string) error {
		c, err := demo.ParseArgs(args)
		if err != nil {
			return err
		}
		return demo.Main(context.Background(), c, s.Err)
	})
}

func newDemoWorker() *cobra.Command {
	return hidden("demo-worker", "Serve as one worker of the demo server", func(args []string) error {
		c, err := demo.ParseArgs(args)
		if err != nil {
			return err
		}
		return demo.Worker(context.Background(), c)
	})
}
