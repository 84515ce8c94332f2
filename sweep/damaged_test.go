package sweep

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"advise/targets"
	"advise/targets/disk"
)

// Each kind of damage is told with its line, is left out when asked, and stays in the file.
func TestDamagedLines(t *testing.T) {
	whole := run(t, newTest(t, &closedServer{cpu: 0.002, wait: 0.008}, nil))
	file := filepath.Join(whole.Dir, trialsFile)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(string(text), "\n")[:6] // so that there is something left to measure
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
		"unknown phase":   {strings.Replace(third, `"kind":"saturation"`, `"kind":"x"`, 1), `line 3: trial 3: unknown phase "x"`, -1},
		"unknown verdict": {strings.Replace(third, `"verdict":"ok"`, `"verdict":"x"`, 1), `line 3: trial 3: unknown verdict "x"`, -1},
		"long":            {strings.Repeat(" ", longestLine) + third, "line 3: it has ", -1},
	} {
		t.Run(name, func(t *testing.T) {
			if c.third == third {
				t.Fatal("the line is as it was")
			}
			damaged := slices.Concat([]byte(lines[0]+lines[1]+c.third), []byte(strings.Join(lines[3:], "")))
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
			if went := run(t, s); len(went.Trials) == len(r.Trials) {
				t.Error("nothing more was measured")
			}
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
			if !errors.As(err, &unsaved) || !errors.Is(err, disk.ErrMoved) || !strings.Contains(err.Error(), "save trial 3") {
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

// What the user has put into a record stays over a sweep that goes on in it, whatever it is called; what an earlier
// one left when it was killed goes.
func TestUsersFilesInARecordStay(t *testing.T) {
	r := run(t, newTest(t, &closedServer{cpu: 0.002, wait: 0.008}, nil))
	outside := filepath.Join(t.TempDir(), "outside")
	write(t, outside, []byte("mine"))
	for _, name := range []string{"server.log", "report.html", "config/puma.rb", "derived/nginx.conf"} {
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(r.Dir, name)), 0o755))
		write(t, filepath.Join(r.Dir, name), []byte("mine"))
	}
	must(t, os.Symlink(outside, filepath.Join(r.Dir, "derived", "linked.conf")))
	j, err := reopen(r.Dir)
	must(t, err)
	killed, err := j.folder.Temporary(logName)
	must(t, err)
	must(t, j.close())

	s, err := resumed(t, r, nil)
	must(t, err)
	start := s.launcher.(launcherFunc)
	s.launcher = launcherFunc(func(ctx context.Context, shape Shape, log string) (instance, error) {
		if filepath.Base(log) == logName {
			t.Errorf("the server would write to %s", log)
		}
		if info, err := os.Lstat(log); err != nil || !info.Mode().IsRegular() || info.Size() > 0 {
			t.Errorf("the server's log is not a new file: %v", err)
		}
		return start(ctx, shape, log)
	})
	trials, err := os.ReadFile(filepath.Join(r.Dir, trialsFile)) // all but one go, so that there is something to measure
	must(t, err)
	write(t, filepath.Join(r.Dir, trialsFile), trials[:bytes.IndexByte(trials, '\n')+1])
	after := run(t, s)
	if len(after.Trials) < 2 {
		t.Fatalf("%d trials: nothing was measured", len(after.Trials))
	}
	list, err := os.ReadDir(r.Dir)
	must(t, err)
	for _, e := range list {
		if e.Name() == killed || strings.HasPrefix(e.Name(), ".server.log") {
			t.Errorf("%s is left", e.Name())
		}
	}
	for _, file := range []string{"server.log", "report.html", "config/puma.rb", "derived/nginx.conf", "derived/linked.conf"} {
		if text, err := os.ReadFile(filepath.Join(r.Dir, file)); err != nil || string(text) != "mine" {
			t.Errorf("%s is %q, %v", file, text, err)
		}
	}
}

// A copy of a derived file replaces the record's own, and never one of the user's.
func TestDerivedFilesAreTheRecordsOwn(t *testing.T) {
	s := newTest(t, &closedServer{}, nil)
	must(t, s.open(t.Context()))
	defer func() { _ = s.journal.close() }()
	for _, text := range []string{"one", "two"} {
		at := s.keepDerived(targets.File{Path: "nginx.conf", Text: text})
		if got, err := os.ReadFile(at); err != nil || string(got) != text {
			t.Errorf("%s is %q, %v, want %q", at, got, err, text)
		}
	}
	at := filepath.Join(s.options.Dir, DerivedFolder, "nginx.conf")
	write(t, at, []byte("mine"))
	if kept := s.keepDerived(targets.File{Path: "nginx.conf", Text: "three"}); kept != "" || s.unkept == nil {
		t.Errorf("kept at %q, told %v", kept, s.unkept)
	}
	if got, err := os.ReadFile(at); err != nil || string(got) != "mine" {
		t.Errorf("%s is %q, %v", at, got, err)
	}
}

// Trials behind a link are read, and not written: what the link leads to is not the record's.
func TestLinkedTrialsAreNotWritten(t *testing.T) {
	r := run(t, newTest(t, &closedServer{cpu: 0.002, wait: 0.008}, nil))
	file, outside := filepath.Join(r.Dir, trialsFile), filepath.Join(t.TempDir(), "outside")
	must(t, os.Rename(file, outside))
	must(t, os.Symlink(outside, file))
	before, err := os.ReadFile(outside)
	must(t, err)
	cut := append(before, `{"id":`...)
	write(t, outside, cut)
	if read, err := Open(r.Dir); err != nil || len(read.Trials) != len(r.Trials) {
		t.Errorf("read: %v", err)
	}
	var foreign *disk.ForeignError
	if _, err := reopen(r.Dir); !errors.As(err, &foreign) {
		t.Errorf("err is %v, want a ForeignError", err)
	}
	if after, err := os.ReadFile(outside); err != nil || !bytes.Equal(after, cut) {
		t.Errorf("it was changed, %v", err)
	}
}
