package targets

import (
	"context"
	"errors"
	"testing"
	"time"

	"advise/targets/hold"
)

// busyTree has used an hour more of CPU time each time it is asked, so often: that is busy however late
// the next look is.
type busyTree struct {
	times, asked int
	err          error
	ended        chan struct{}
}

func (b *busyTree) Usage() (hold.Usage, error) {
	b.asked++
	return hold.Usage{CPU: time.Duration(min(b.asked, b.times)) * time.Hour}, b.err
}

func (b *busyTree) Ended() <-chan struct{} { return b.ended }

// Three looks find more CPU time than at the first, and the one after them no more.
func TestUntilQuiet(t *testing.T) {
	b := &busyTree{times: 4}
	began := time.Now()
	if since := untilQuiet(t.Context(), b, time.Hour); b.asked != 5 || !since.After(began) {
		t.Errorf("looked %d times, quiet since %s after the begin; want 5 looks and later than that", b.asked, since.Sub(began))
	}
}

// What computes for ever is not waited for, nor what has ended or can't be asked. Where a look is due as
// well, which of them is noticed first is chance: without notice there would be eight looks in half a second.
func TestUntilQuietEnds(t *testing.T) {
	const forever = 1 << 30
	ended := make(chan struct{})
	close(ended)
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx  context.Context
		tree *busyTree
		most int // looks
	}{
		"always busy": {t.Context(), &busyTree{times: forever}, forever},
		"ended":       {t.Context(), &busyTree{times: forever, ended: ended}, 4},
		"interrupted": {over, &busyTree{times: forever}, 4},
		"not read":    {t.Context(), &busyTree{times: forever, err: errors.New("no such cgroup")}, 1},
	} {
		if untilQuiet(c.ctx, c.tree, 0); c.tree.asked > c.most {
			t.Errorf("%s: looked %d times, want %d at the most", name, c.tree.asked, c.most)
		}
	}
}
