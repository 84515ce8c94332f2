package targets

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"advise/targets/hold"
)

const (
	// outputPatience is how long a program may take to say its version.
	outputPatience = 20 * time.Second
	// largestOutput is how much it may say.
	largestOutput = 1 << 20
)

// output runs a program that is to say something and end, and returns what it said. It is held as a server
// is: whatever it has started ends with it, and with advise.
func output(ctx context.Context, c Command, argv []string) (text []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, outputPatience)
	defer cancel()
	scratch, err := newScratch()
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(scratch) }() // which the guard has done, if there was one
	// Opened now, it can be read when the guard has removed it.
	said, err := os.OpenFile(filepath.Join(scratch, "output"), os.O_RDONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = said.Close() }()
	tree, err := hold.Start(ctx, hold.Spec{
		Argv: argv, Env: c.Env, Dir: c.Dir, Log: said.Name(), Limits: hold.Limits{Method: hold.None}, Remove: []string{scratch},
	})
	if err != nil {
		return nil, err
	}
	failed := untilExit(ctx, tree, said)
	cancel() // what it has left behind is killed at once
	if err := tree.Stop(ctx, syscall.SIGKILL, 0); err != nil {
		return nil, err
	}
	if failed != nil {
		return nil, failed
	}
	return io.ReadAll(io.LimitReader(said, largestOutput))
}

// untilExit returns when the started process has ended well.
func untilExit(ctx context.Context, tree *hold.Tree, said *os.File) error {
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for {
		exit, exited := tree.Exit()
		switch {
		case exited && exit != (hold.Exit{}):
			return fmt.Errorf("it ended: %s", exit)
		case exited:
			return nil
		}
		if info, err := said.Stat(); err == nil && info.Size() > largestOutput {
			return fmt.Errorf("it said more than %d bytes", largestOutput)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tree.Ended():
			if _, exited := tree.Exit(); !exited {
				return errors.New("it was killed")
			}
		case <-look.C:
		}
	}
}
