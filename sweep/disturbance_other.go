//go:build !linux

package sweep

import "time"

// thisMachine tells nothing of its cores here.
func thisMachine(_, _ []int) func() reading {
	return func() reading { return reading{at: time.Now()} }
}
