package sweep

import (
	"fmt"
	"slices"
)

// leastWhereOneBlocks is how many workers are recommended at the least where each serves one request at a
// time: with one alone a slow request stops everybody, and nobody answers while it is restarted.
const leastWhereOneBlocks = 2

// planLeast sets the fewest workers to recommend of each variant: as many as were asked for, or as many as
// its kind of worker calls for.
func (s *Sweep) planLeast() error {
	p := &s.plan
	if asked := s.options.Least; asked < 0 || asked > p.Settings.Highest {
		return fmt.Errorf("plan the sweep: at least %d workers, and --workers allows %d at the most: lower --least or raise --workers", asked, p.Settings.Highest)
	}
	p.Settings.Least, p.Settings.LeastGiven = nil, s.options.Least > 0
	for _, v := range p.Variants() {
		least := 1
		switch {
		case s.options.Least > 0:
			least = s.options.Least
		case s.concurrency(v.At(1)).Slots == 1:
			least = leastWhereOneBlocks
		}
		p.Settings.Least = append(p.Settings.Least, least)
	}
	return nil
}

// least is the fewest workers to recommend of a variant; 0 in a record of before it was kept.
func (p *Plan) least(v Variant) int {
	i := slices.Index(p.Variants(), v)
	if i < 0 || i >= len(p.Settings.Least) {
		return 0
	}
	return p.Settings.Least[i]
}
