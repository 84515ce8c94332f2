package cmd_test

import (
	"testing"

	"advise/targets/targetstest"
)

// Restarts and live changes recommend the same, or a neighbour: of a page that waits fifteen times as long
// as it computes, four workers answer half of what eight do, so that noise does not decide, nor a machine on
// which it computes for twice as long.
func TestLiveAgainstRestarts(t *testing.T) {
	targetstest.Need(t, "gunicorn")
	recommended := map[bool]int{}
	for _, live := range []bool{false, true} {
		flags := []string{"--time", "25s", "--workers", "1,4,8"}
		if live {
			flags = append(flags, "--live")
		}
		r := flaskSweep(t, flags, "CPU_MS=2", "WAIT_MS=30")
		recommended[live] = r.Recommendation.Workers
		changes := 0
		for _, trial := range r.Trials {
			if trial.Live {
				changes++
			}
		}
		if live != (changes > 0) || live != (r.Live != nil) {
			t.Errorf("live: %t, with %d changes, compared %+v", live, changes, r.Live)
		}
	}
	if apart := recommended[true] - recommended[false]; apart < -1 || apart > 1 {
		t.Errorf("live %d, by restarts %d", recommended[true], recommended[false])
	}
}
