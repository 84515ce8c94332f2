package hold_test

import (
	"context"
	"os"
	"syscall"
	"testing"
	"time"

	"advise/targets/hold"
)

// idle is a tree of one process, which waits.
func idle(t *testing.T) *hold.Tree {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	tree, err := hold.Start(t.Context(), hold.Spec{Argv: []string{self, "server", "idle"}, Limits: hold.Limits{Method: hold.None}})
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// stateOf waits until the tree's process is stopped, or no longer is.
func stateOf(t *testing.T, tree *hold.Tree, stopped bool) (found hold.Process) {
	t.Helper()
	eventually(t, "the state of the process", func() bool {
		list, err := tree.Processes()
		if err != nil || len(list) != 1 {
			t.Fatalf("got %+v (%v), want one process", list, err)
		}
		found = list[0]
		return (found.State == "T") == stopped
	})
	return found
}

func TestPauseAndResume(t *testing.T) {
	tree := idle(t)
	resume := stateOf(t, tree, false).Pause()
	stateOf(t, tree, true)
	resume()
	resume()
	stateOf(t, tree, false)
	if err := tree.Stop(t.Context(), syscall.SIGKILL, 10*time.Second); err != nil {
		t.Error(err)
	}
}

// A stopped process does not read SIGTERM: nothing is left of its tree nevertheless.
func TestAPausedTreeIsEnded(t *testing.T) {
	tree := idle(t)
	stateOf(t, tree, false).Pause()
	paused := stateOf(t, tree, true)
	now, cancel := context.WithCancel(t.Context())
	cancel()
	if err := tree.Stop(now, syscall.SIGTERM, 10*time.Second); err != nil {
		t.Error(err)
	}
	if err := syscall.Kill(paused.PID, 0); err == nil {
		t.Errorf("process %d is left", paused.PID)
	}
}
