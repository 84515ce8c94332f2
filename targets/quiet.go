package targets

import (
	"context"
	"time"

	"advise/targets/hold"
)

const (
	// quietLook is how often it is looked at, and quietShare of one core what a server that waits for
	// requests may use meanwhile: more than a tick of 10 ms, in which some kernels count.
	quietLook  = 60 * time.Millisecond
	quietShare = 0.2
	// leastQuiet is waited for at the least. What always computes, as a job in the background does, costs
	// no more than that, or than the start took.
	leastQuiet = 500 * time.Millisecond
)

// A computing is a tree of processes that may still have something to do.
type computing interface {
	Usage() (hold.Usage, error)
	Ended() <-chan struct{}
}

// untilQuiet returns when the tree computes no more, and from when on that was, but after within at the
// latest. A worker is counted as soon as it is forked; requests it takes only when it has loaded the
// application. Connections that are made before go to the other workers, and those that are kept stay
// there.
func untilQuiet(ctx context.Context, tree computing, within time.Duration) (since time.Time) {
	since = time.Now()
	before, err := tree.Usage()
	if err != nil {
		return since
	}
	look := time.NewTicker(quietLook)
	defer look.Stop()
	for last := since.Add(max(within, leastQuiet)); time.Now().Before(last); {
		select {
		case <-look.C:
		case <-tree.Ended():
			return since
		case <-ctx.Done():
			return since
		}
		now, err := tree.Usage()
		if err != nil || (now.CPU-before.CPU).Seconds() < quietShare*time.Since(since).Seconds() {
			return since
		}
		before, since = now, time.Now()
	}
	return since
}
