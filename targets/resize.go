package targets

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"

	"advise/targets/hold"
)

// A liveChange is how a running server's count is changed: by a signal to the master for every
// worker more or fewer, or by a signal that makes it read its changed files again.
type liveChange struct {
	more, fewer syscall.Signal
	reload      syscall.Signal
}

// A resizer is the adapter of a server whose count can be changed while it runs.
type resizer interface {
	// live is not ok when this version, or a server at this shape, can't.
	live(c Command, s Shape) (change liveChange, ok bool)
}

// ErrNotLive is a server whose count is changed by a fresh start alone.
var ErrNotLive = errors.New("its count can't be changed while it runs")

// Live says whether an instance at a shape can be resized.
func (t *Target) Live(s Shape) bool {
	r, ok := t.Adapter.(resizer)
	if ok {
		_, ok = r.live(t.Command, s)
	}
	return ok
}

// OneByOne says whether an instance at a shape can be told to start one worker more, and then the next.
func (t *Target) OneByOne(s Shape) bool {
	r, ok := t.Adapter.(resizer)
	if !ok {
		return false
	}
	how, ok := r.live(t.Command, s)
	return ok && how.more != 0
}

// Resize changes the number of workers of a running server and returns when they are there and none
// of those that had to go is left. It is ErrNotLive where that needs a fresh start. Workers that
// stay are warm, new ones are not.
//
// Signals are sent one at a time, each when the last one has shown its effect: gunicorn up to 23
// keeps at most five, and the kernel merges those that are not yet taken.
func (i *Instance) Resize(ctx context.Context, workers int) error {
	r, ok := i.target.Adapter.(resizer)
	var how liveChange
	if ok {
		how, ok = r.live(i.target.Command, i.shape)
	}
	if !ok || workers < 1 {
		return fmt.Errorf("change %s to %s: %w", i.target.label(), count(workers, "worker"), ErrNotLive)
	}
	ctx, cancel := context.WithTimeout(ctx, DefaultReadyWithin)
	defer cancel()
	var err error
	if how.reload != 0 {
		err = i.reload(ctx, how.reload, workers)
	} else {
		err = i.step(ctx, how, workers)
	}
	if err != nil {
		return fmt.Errorf("change %s to %s: %w", i.target.label(), count(workers, "worker"), err)
	}
	untilQuiet(ctx, i.Tree, i.Startup)
	i.shape.Workers, i.changed = workers, true
	return nil
}

func (i *Instance) step(ctx context.Context, how liveChange, workers int) error {
	for {
		now, err := i.workers()
		if err != nil {
			return err
		}
		n := len(now)
		if n == workers {
			return i.said(ctx, workers)
		}
		signal, next := how.more, n+1
		if n > workers {
			signal, next = how.fewer, n-1
		}
		if err := signalMaster(now, signal); err != nil {
			return err
		}
		if err := i.until(ctx, func(w []hold.Process) bool { return len(w) == next }); err != nil {
			return err
		}
	}
}

// reload writes the files anew and waits until only workers that are younger than that are left.
func (i *Instance) reload(ctx context.Context, signal syscall.Signal, workers int) error {
	shape := i.shape
	shape.Workers = workers
	launch, err := i.target.Launch(shape, i.place)
	if err != nil {
		return err
	}
	old, err := i.workers()
	if err != nil {
		return err
	}
	if _, err := writeFiles(launch.Files, i.place.Scratch, nil); err != nil {
		return err
	}
	if err := signalMaster(old, signal); err != nil {
		return err
	}
	err = i.until(ctx, func(now []hold.Process) bool {
		stayed := slices.ContainsFunc(now, func(p hold.Process) bool {
			return slices.ContainsFunc(old, func(o hold.Process) bool { return o.PID == p.PID && o.StartTicks == p.StartTicks })
		})
		return len(now) == workers && !stayed
	})
	if err != nil {
		return err
	}
	return i.said(ctx, workers)
}

// said waits until the server, where it can be asked, says that all workers are there.
func (i *Instance) said(ctx context.Context, workers int) error {
	r, ok := i.target.Adapter.(reporter)
	if !ok {
		return nil
	}
	return i.until(ctx, func([]hold.Process) bool {
		status, err := r.status(ctx, i.place)
		return errors.Is(err, ErrNoStatus) || err == nil && status.Workers == workers
	})
}

func (i *Instance) workers() ([]hold.Process, error) {
	tree, err := i.Processes()
	if err != nil {
		return nil, err
	}
	workers, _ := i.target.Adapter.Workers(tree, i.PID())
	return workers, nil
}

func signalMaster(workers []hold.Process, signal syscall.Signal) error {
	if len(workers) == 0 {
		return errors.New("it has no workers")
	}
	if err := syscall.Kill(workers[0].Parent, signal); err != nil {
		return fmt.Errorf("signal its master: %w", err)
	}
	return nil
}

func (i *Instance) until(ctx context.Context, enough func([]hold.Process) bool) error {
	watch := time.NewTicker(20 * time.Millisecond)
	defer watch.Stop()
	for {
		now, err := i.workers()
		if err != nil {
			return err
		}
		if enough(now) {
			return nil
		}
		select {
		case <-watch.C:
		case <-i.Ended():
			return errors.New("it ended")
		case <-ctx.Done():
			return fmt.Errorf("still %s: %w", count(len(now), "worker"), ctx.Err())
		}
	}
}
