package sweep

import (
	"path/filepath"
	"testing"

	"advise/model"
	"advise/targets/hold"
	"advise/targets/targetstest"
)

// Real workers: of eight that compute all can run at a time, and of eight that compute under one lock the one
// that has it and those that come to it, whatever else the machine does.
func TestALockIsSeen(t *testing.T) {
	if _, ok := runOrWaited("/proc", []hold.Process{{PID: 1}}); !ok {
		targetstest.Lacking(t, "a kernel with statistics of its scheduler")
	}
	runnable := func(work ...string) float64 {
		s := newTest(t, &closedServer{}, func(o *Options) {
			o.Target.Command.Argv = append(o.Target.Command.Argv, append(work, "--wait", "0", "--memory", "1M")...)
			o.Limits, o.Highest = hold.Auto, 8
			o.Dir = filepath.Join(t.TempDir(), "record")
		})
		held, err := New(s.options)
		if err != nil {
			t.Fatal(err)
		}
		if err := held.open(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer held.journal.close()
		trial, err := held.try(t.Context(), t.Context(), model.Step{Workers: 8}, Event{Trial: 1, Workers: 8}, func(Event) {})
		if err != nil || trial.Outcome != OK || trial.Server.RunnableThreads == nil {
			t.Fatalf("%s, %v: nobody is known to run", trial.Detail, err)
		}
		return *trial.Server.RunnableThreads
	}
	free, locked := runnable("--cpu", "5ms"), runnable("--cpu", "1ms", "--serial", "4ms")
	if free < 6 || locked > 4 {
		t.Errorf("of 8 workers %.1f could run, and %.1f where they share a lock", free, locked)
	}
}
