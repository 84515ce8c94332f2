package reports

import (
	"slices"
	"testing"

	"advise/sweep"
)

// One worker answers less to the connections that three need: that it had fewer is said, once.
func TestOwnConnections(t *testing.T) {
	trial := func(workers, connections int) sweep.Trial {
		return sweep.Trial{Shape: sweep.Shape{Workers: workers}, Phases: []sweep.Phase{{Kind: sweep.PhaseSaturation, Connections: connections}}}
	}
	aside := trial(2, 128)
	aside.FewerConnections = true
	r := &Result{Settings: sweep.Settings{Connections: 512}, Trials: []sweep.Trial{trial(1, 64), trial(1, 64), trial(3, 512), aside}}
	want := []string{"1 worker: driven by 64 connections, since it answers less to more of them"}
	if got := ownConnections(r); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
