package targets

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"advise/targets/targetstest"
)

// script is a command that is gunicorn by its name alone.
func script(t *testing.T, text string) Command {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "gunicorn")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return Command{Argv: []string{path, "app:app"}, Dir: dir, Env: marked(t)}
}

// Whatever a program does that is asked for its version, nothing of it is left, nor a folder: marked checks
// the processes.
func TestVersionLeavesNothing(t *testing.T) {
	targetstest.Need(t, "setsid")
	for name, c := range map[string]struct {
		text, want, fault string
	}{
		"a daemon":       {"setsid sleep 1000 &\necho 'gunicorn (version 20.1.0)'", "20.1.0", ""},
		"it fails":       {"sleep 1000 &\nexit 3", "", "it ended: exit code 3"},
		"it never stops": {"exec yes", "", "it said more than"},
	} {
		t.Run(name, func(t *testing.T) {
			temporary := t.TempDir()
			t.Setenv("TMPDIR", temporary)
			got, err := gunicorn{}.Version(t.Context(), script(t, c.text))
			if got != c.want || (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
				t.Errorf("got %q, %v, want %q, %q", got, err, c.want, c.fault)
			}
			if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
				t.Errorf("left: %v, %v", left, err)
			}
		})
	}
}

func TestVersionEndsWithItsContext(t *testing.T) {
	c := script(t, "touch asked; sleep 1000 & sleep 1000")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer cancel()
		for {
			if _, err := os.Stat(filepath.Join(c.Dir, "asked")); err == nil || t.Context().Err() != nil {
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	if _, err := (gunicorn{}).Version(ctx, c); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
