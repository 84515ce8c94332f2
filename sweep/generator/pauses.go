package generator

import (
	"slices"
	"sync"
	"time"
)

// mostPauses are kept of an attack.
const mostPauses = 1000

// pauses are the times from the first byte of an answer to its last. Those of small answers are of a server that
// sends them in parts, and of what lies between the parts.
type pauses struct {
	mu   sync.Mutex
	list []time.Duration
}

// add takes one into account, unless there are many.
func (p *pauses) add(pause time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.list) < mostPauses {
		p.list = append(p.list, pause)
	}
}

// median is 0 where there are none.
func (p *pauses) median() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.list) == 0 {
		return 0
	}
	slices.Sort(p.list)
	return p.list[len(p.list)/2]
}
