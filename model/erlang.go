package model

import (
	"errors"
	"fmt"
)

// ErrSaturated is returned for a rate that a server can't keep up with: its queue has no end.
var ErrSaturated = errors.New("the rate is at or above the capacity")

// ErlangC returns the probability that a request finds all servers busy and has to wait, where
// requests come by chance (Poisson) and hold one server for an exponential time. load is the rate
// times that time, in servers kept busy. A load of as many servers or more is [ErrSaturated]; fewer
// than one server, or a load that is no number from 0, is an error.
//
// It follows from the loss formula, B(n) = load B(n-1) / (n + load B(n-1)), which neither overflows
// nor cancels, where the sums of powers over factorials do both.
//
// # References
//
// Kleinrock, Queueing Systems volume 1, 1975, section 3.5; Cooper, Introduction to Queueing Theory,
// 2nd edition, 1981, section 3.3 (the recursion).
func ErlangC(servers int, load float64) (float64, error) {
	switch {
	case servers < 1 || servers > mostSlots:
		return 0, fmt.Errorf("find who has to wait: %d servers: want 1 to %d", servers, mostSlots)
	case !(load >= 0):
		return 0, fmt.Errorf("find who has to wait: a load of %g: want 0 or more", load)
	case load >= float64(servers):
		return 0, fmt.Errorf("find who has to wait: a load of %g on %s: %w", load, quantity(servers, "server"), ErrSaturated)
	}
	blocked := 1.0
	for n := 1; n <= servers; n++ {
		blocked = load * blocked / (float64(n) + load*blocked)
	}
	return blocked / (1 - load/float64(servers)*(1-blocked)), nil
}
