package sweep

import "context"

// Connections that are kept stay with the worker that took them, so that a restart's luck decides what full load
// gets. Where it was bad they are opened anew: what counts is what the workers can do.

const (
	// mostReopened is how often they are opened anew in a restart.
	mostReopened = 3
	// vainReopened restarts in which that did not help are enough: it is how the server spreads them.
	vainReopened = 2
)

// Reopened is a phase of full load that was repeated with new connections, as one worker had far too many.
type Reopened struct {
	Times int `json:"times"`
	// Share is the busiest worker's of the first try, and ThroughputRPS what was answered there.
	Share         float64 `json:"share"`
	ThroughputRPS float64 `json:"throughput_rps"`
	// CoresUsedShare is how much of the server's cores that used.
	CoresUsedShare float64 `json:"cores_used_share"`
	// Even is true when the kept try was.
	Even bool `json:"even"`
}

// evenOut repeats a phase of full load over new connections until they are spread evenly. The most even one is
// kept. Before is the trial as it was without the phase.
func (s *Sweep) evenOut(ctx context.Context, before Trial, t *Trial, drive func(*Trial) error) error {
	if !s.uneven(t) || s.reopenedInVain >= vainReopened {
		return nil
	}
	reopened := Reopened{Share: *t.Server.PerWorker[0].Share(), ThroughputRPS: t.saturation().ThroughputRPS, CoresUsedShare: coresUsed(s.plan, *t)}
	for s.uneven(t) && reopened.Times < mostReopened && ctx.Err() == nil {
		again := before
		again.Outcome, again.Server.RequestsServed = OK, t.Server.RequestsServed
		reopened.Times++
		if err := drive(&again); err != nil {
			return err
		}
		if again.Outcome != OK {
			*t = again
			return nil
		}
		t.Server.RequestsServed = again.Server.RequestsServed
		if again.excess() < t.excess() {
			*t = again
		}
	}
	if reopened.Even = !s.uneven(t); !reopened.Even {
		s.reopenedInVain++
	}
	t.Reopened = &reopened
	return nil
}

// uneven is true for a trial in which one worker did far too much, by no fault of a full core.
func (s *Sweep) uneven(t *Trial) bool {
	if t.Outcome != OK || t.saturation() == nil {
		return false
	}
	used := coresUsed(s.plan, *t)
	return used > 0 && used < usedUp && t.uneven(unevenChance)
}
