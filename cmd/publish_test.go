package cmd

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"advise/sweep"
	"advise/targets/disk"
)

// The answer of a sweep whose record can't be kept is printed, nothing is written where the record was, and the way
// out is told.
func TestPublishWhatIsNotSaved(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		hint string
	}{
		"moved": {fmt.Errorf("save trial 2: %w", disk.ErrMoved), "if the folder is elsewhere now: advise report FOLDER"},
		"full":  {errors.New("save trial 2: no space left on device"), "when they can be written: advise report "},
	} {
		for _, asJSON := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, json %t", name, asJSON), func(t *testing.T) {
				r := &sweep.Record{
					Dir: filepath.Join(t.TempDir(), "gone"),
					Plan: sweep.Plan{
						SchemaVersion: sweep.SchemaVersion, Target: sweep.Target{Adapter: "demo", Command: []string{"advise", "demo"}},
						Settings: sweep.Settings{Lowest: 1, Highest: 8, TimeSeconds: 60, Confidence: 0.95, Tolerance: 0.05, RuleOfThumb: 3},
					},
					Trials: []sweep.Trial{{ID: 1, Shape: sweep.Shape{Workers: 1}, Outcome: sweep.Died}, {ID: 2, Shape: sweep.Shape{Workers: 3}, Outcome: sweep.Died}},
				}
				var out, said bytes.Buffer
				err := publish(Streams{Out: &out, Err: &said}, r, outputOptions{json: asJSON}, &sweep.UnsavedError{Dir: r.Dir, Err: c.err})
				if code := exitCode(err); code != exitFailed {
					t.Errorf("exit code %d, want %d", code, exitFailed)
				}
				printError(&said, err)
				for _, want := range []string{"advise: save the record " + r.Dir + ": save trial 2: ", c.hint} {
					if !strings.Contains(said.String(), want) {
						t.Errorf("it says %q, want %q", said.String(), want)
					}
				}
				if asJSON && !json.Valid(out.Bytes()) || !strings.Contains(out.String(), "died") {
					t.Errorf("it prints %q", out.String())
				}
				if _, err := os.Lstat(r.Dir); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("something is where the record was: %v", err)
				}
			})
		}
	}
}
