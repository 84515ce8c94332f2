package sweep

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Each kind of damage is told with its line, is left out when asked, and stays in the file.
func TestDamagedLines(t *testing.T) {
	whole := run(t, newTest(t, &closedServer{cpu: 0.002, wait: 0.008}, nil))
	file := filepath.Join(whole.Dir, trialsFile)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(strings.TrimSuffix(string(text), "\n"), "\n")
	third := lines[2]
	for name, c := range map[string]struct {
		third string
		says  string
		kept  int // of the lines
	}{
		"empty":           {"\n", "line 3: it is empty", -1},
		"NUL":             {strings.Repeat("\x00", 512) + "\n", "line 3: it has NUL bytes", -1},
		"cut":             {third[:len(third)/2] + "\n", "line 3: it is no trial: ", -1},
		"doubled":         {third + third, "line 4: trial 3 is in line 3 already", 0},
		"infinite":        {strings.Replace(third, `"p99":`, `"p99":1e999,"x":`, 1), "line 3: it is no trial: ", -1},
		"out of range":    {strings.Replace(third, `"p99":`, `"p99":1e308,"x":`, 1), "line 3: trial 3: phases[0].latency_seconds.p99 is 1e+308", -1},
		"negative time":   {strings.Replace(third, `"startup_seconds":`, `"startup_seconds":-1,"x":`, 1), "line 3: trial 3: startup_seconds is -1", -1},
		"another type":    {strings.Replace(third, `"repeat":`, `"repeat":"one","x":`, 1), "line 3: it is no trial: ", -1},
		"huge number":     {strings.Replace(third, `"id":3`, `"id":9007199254740993`, 1), "line 3: trial 9007199254740993: want a number", -1},
		"number twice":    {strings.Replace(third, `"id":3`, `"id":2`, 1), "line 3: trial 2 is in line 2 already", -1},
		"unknown outcome": {strings.Replace(third, `"outcome":"ok"`, `"outcome":"fine"`, 1), `line 3: trial 3: unknown outcome "fine"`, -1},
		"long":            {strings.Repeat(" ", longestLine) + third, "line 3: it has ", -1},
	} {
		t.Run(name, func(t *testing.T) {
			if c.third == third {
				t.Fatal("the line is as it was")
			}
			damaged := slices.Concat([]byte(lines[0]+lines[1]+c.third), []byte(strings.Join(lines[3:], "")+"\n"))
			write(t, file, damaged)
			var refused *DamagedError
			if _, err := Open(whole.Dir); !errors.As(err, &refused) || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("err is %v, want %q", err, c.says)
			}
			r, err := OpenDamaged(whole.Dir)
			if err != nil || len(r.Trials) != len(lines)+c.kept || len(r.LeftOut) != 1 {
				t.Fatalf("%d trials of %d lines, left out %v, %v", len(r.Trials), len(lines), r.LeftOut, err)
			}
			s, err := resumed(t, r, func(o *Options) { o.SkipDamaged = true })
			if err != nil {
				t.Fatal(err)
			}
			run(t, s)
			after, err := os.ReadFile(file)
			if err != nil || !bytes.HasPrefix(after, damaged) {
				t.Errorf("the lines were changed, %v", err)
			}
			if r, err = OpenDamaged(whole.Dir); err != nil || len(r.LeftOut) != 1 {
				t.Errorf("after going on: left out %v, %v", r.LeftOut, err)
			}
		})
	}
}

// A plan.json of another program is no record.
func TestAnotherProgramsPlan(t *testing.T) {
	for _, text := range []string{`{}`, `[]`, `{"schema_version":"1"}`, `{"schema_version":"1","tool":{"version":"1.0"},"settings":{"lowest":1,"highest":2}}`} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, planFile), []byte(text))
		if r, err := Open(dir); err == nil {
			t.Errorf("%s was read as %+v", text, r.Plan)
		}
	}
}

// A folder that is moved, removed or replaced, and a file of trials that is, end the sweep at the next trial. What
// was measured is there, and nothing is written where the folder was.
func TestFolderGoesWhileMeasuring(t *testing.T) {
	for name, goes := range map[string]func(t *testing.T, dir string){
		"moved":   func(t *testing.T, dir string) { must(t, os.Rename(dir, dir+".moved")) },
		"removed": func(t *testing.T, dir string) { must(t, os.RemoveAll(dir)) },
		"replaced": func(t *testing.T, dir string) {
			must(t, os.Rename(dir, dir+".moved"))
			must(t, os.Mkdir(dir, 0o755))
			write(t, filepath.Join(dir, trialsFile), []byte("the user's\n"))
		},
		"trials removed": func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, trialsFile))) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newTest(t, &closedServer{cpu: 0.002, wait: 0.008}, nil)
			dir := s.options.Dir
			s.options.Progress = func(e Event) {
				if e.Stage == StageStart && e.Trial == 3 {
					goes(t, dir)
				}
			}
			r, err := s.Run(t.Context(), t.Context())
			var unsaved *UnsavedError
			if !errors.As(err, &unsaved) || !strings.Contains(err.Error(), "save trial 3") {
				t.Fatalf("err is %v, want trial 3 unsaved", err)
			}
			if len(r.Trials) != 3 {
				t.Errorf("%d trials, want 3", len(r.Trials))
			}
			if name == "replaced" {
				text, err := os.ReadFile(filepath.Join(dir, trialsFile))
				if list, _ := os.ReadDir(dir); err != nil || string(text) != "the user's\n" || len(list) != 1 {
					t.Errorf("%q, %v, beside %v", text, err, list)
				}
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
