package sweep

import (
	"context"
	"slices"
	"time"

	"advise/model"
)

// Where clients are a pool of so many connections, the count is recommended for these. What the server could do
// with more is another question. It is answered beside, by a search at the recommended count.

// A Pool is what the recommended count answers to the connections that were asked for, and over how many it
// answers most.
type Pool struct {
	Workers       int     `json:"workers"`
	Connections   int     `json:"connections"`
	ThroughputRPS float64 `json:"throughput_rps"`
	// FullConnections do as well as any, and get FullThroughputRPS; 0: there was no time to look for them.
	FullConnections   int     `json:"full_connections"`
	FullThroughputRPS float64 `json:"full_throughput_rps"`
	// Shown is how they were shown to fill the server; empty: they were not, and more may get more.
	Shown model.Saturation `json:"shown"`
}

// mostForPool is the share of the time that is kept to look for the connections that fill the recommended count.
const mostForPool = 0.1

// Pool is nil where the number of connections was not given, and where no count is recommended.
func (r *Record) Pool(a model.Advice) *Pool {
	p := &Pool{Workers: a.Workers, Connections: r.Plan.Scenario.Connections, ThroughputRPS: a.Throughput}
	if p.Connections == 0 || !a.Made {
		return nil
	}
	search := r.Plan.Saturation.at(r.Plan.Variants()[0].At(a.Workers))
	switch {
	case search == nil || len(search.Tried) == 0:
		if p.Shown = r.filledAt(a.Workers); p.Shown != "" {
			p.FullConnections, p.FullThroughputRPS = p.Connections, p.ThroughputRPS
		}
	case search.Connections > 0 && search.losesWith(p.Connections):
		p.Shown, p.FullConnections = search.Shown, search.Connections
		p.FullThroughputRPS = search.level(search.Connections).ThroughputRPS
	case search.Connections > 0: // restarts tell more than a search
		p.Shown, p.FullConnections, p.FullThroughputRPS = search.Shown, p.Connections, p.ThroughputRPS
	}
	return p
}

// filledAt says how the restarts of a count showed by themselves that it was full.
func (r *Record) filledAt(workers int) model.Saturation {
	for _, t := range r.Used() {
		if full := t.saturation(); full != nil && t.Shape.Workers == workers && full.SaturatedBy != "" {
			return full.SaturatedBy
		}
	}
	return ""
}

// at is the last search at a shape; nil without one.
func (s *Saturation) at(shape Shape) *ConnectionSearch {
	if s == nil {
		return nil
	}
	for i := range slices.Backward(s.Searches) {
		if s.Searches[i].Shape == shape {
			return &s.Searches[i]
		}
	}
	return nil
}

// level is what was answered over so many connections; the zero Level where that was not tried.
func (c *ConnectionSearch) level(connections int) Level {
	for _, l := range slices.Backward(c.Tried) { // the later one of two
		if l.Connections == connections {
			return l
		}
	}
	return Level{}
}

// unfilledPool is the recommended shape where the connections were given and may not be all that it can do.
func (s *Sweep) unfilledPool(r *Record) (shape Shape, ok bool) {
	if s.plan.Scenario.Connections == 0 || !anyWorked(r.Trials) {
		return Shape{}, false
	}
	own, a := r.Recommended(), r.Standings().Choice().Advice
	shape = own.Plan.Variants()[0].At(a.Workers)
	search := s.plan.Saturation.at(shape)
	return shape, a.Made && (search == nil || len(search.Tried) == 0) && own.filledAt(a.Workers) == ""
}

// reservedForPool is kept of the time for fillPool.
func (s *Sweep) reservedForPool(r *Record) time.Duration {
	if _, ok := s.unfilledPool(r); !ok {
		return 0
	}
	return time.Duration(mostForPool * float64(s.options.Time))
}

// fillPool looks for the connections that fill the recommended count, in the time that is left.
func (s *Sweep) fillPool(ctx, abort context.Context, r *Record, left time.Duration) error {
	shape, ok := s.unfilledPool(r)
	if !ok || left <= 0 {
		return nil
	}
	if s.plan.Saturation == nil {
		s.plan.Saturation = &Saturation{Searches: []ConnectionSearch{}}
	}
	if err := s.searchConnections(ctx, abort, shape, left); err != nil {
		return err
	}
	return s.takeConnections(r)
}
