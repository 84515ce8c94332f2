package cmd_test

import (
	"encoding/json"
	"testing"

	"advise/reports"
	"advise/targets/targetstest"
)

// Restarts and live changes recommend the same, or a neighbour: of a page that waits four times as long
// as it computes, four workers answer two thirds of what eight do, so that noise does not decide.
func TestLiveAgainstRestarts(t *testing.T) {
	targetstest.Need(t, "gunicorn")
	recommended := map[bool]int{}
	for _, live := range []bool{false, true} {
		args := []string{"--cores", "1", "--time", "25s", "--workers", "1,4,8", "--json"}
		if live {
			args = append(args, "--live")
		}
		run := advise(t, append(args, "--", "gunicorn", "app:app")...)
		run.Dir = targetstest.Flask()
		run.Env = append(run.Env, "CPU_MS=2", "WAIT_MS=8")
		out, err := run.Output()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		valid(t, "result.schema.json", out)
		var r reports.Result
		if err := json.Unmarshal(out, &r); err != nil {
			t.Fatal(err)
		}
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
		targetstest.NothingLeft(t, mark(t))
	}
	if apart := recommended[true] - recommended[false]; apart < -1 || apart > 1 {
		t.Errorf("live %d, by restarts %d", recommended[true], recommended[false])
	}
}
