package cmd_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"advise/targets/targetstest"
)

// terminated runs advise until something holds, and then asks it to end.
func terminated(t *testing.T, holds func(dir string) bool, prepare func(dir string), args ...string) (code int) {
	t.Helper()
	c := advise(t, args...)
	prepare(c.Dir)
	c.Stderr = os.Stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); !holds(c.Dir); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Error("it did not get there")
			break
		}
	}
	if err := c.Process.Signal(syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	code = exitCode(c.Wait())
	targetstest.NothingLeft(t, mark(t))
	return code
}

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
}

// A signal ends advise, and the program that it asks for its version with all that this has started.
func TestSignalWhileTheVersionIsAsked(t *testing.T) {
	t.Parallel()
	code := terminated(t, func(dir string) bool { _, err := os.Stat(filepath.Join(dir, "asked")); return err == nil },
		func(dir string) {
			put(t, filepath.Join(dir, "gunicorn"), "#!/bin/sh\nsleep 1000 &\ntouch asked\nsleep 1000\n")
		},
		"--cores", "1", "--limits", "affinity", "--threads", "1,2", "--class", "gthread", "--", "./gunicorn", "app:app")
	if code != 130 {
		t.Errorf("exit code %d, want %d", code, 130)
	}
}

// A scenario may come from a pipe that nobody writes to.
func TestSignalWhileAPipeIsRead(t *testing.T) {
	t.Parallel()
	var writer *os.File
	defer func() { _ = writer.Close() }()
	code := terminated(t, func(dir string) bool {
		var err error
		writer, err = os.OpenFile(filepath.Join(dir, "pipe"), os.O_WRONLY|syscall.O_NONBLOCK, 0)
		return err == nil // there is a reader
	}, func(dir string) {
		if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
			t.Fatal(err)
		}
	}, "--dry-run", "--cores", "1", "--limits", "affinity", "--scenario", "pipe")
	if code != 130 {
		t.Errorf("exit code %d, want %d", code, 130)
	}
}

// Nobody reads what is printed any more: the sweep goes on, and only that its result could not be printed
// is an error.
func TestNobodyReadsWhatIsPrinted(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Close()
	dir := filepath.Join(t.TempDir(), "record")
	c := advise(t, demoSweep(dir)...)
	c.Stdout, c.Stderr = w, w
	err = c.Run()
	_ = w.Close()
	if code := exitCode(err); code != 1 {
		t.Errorf("%v, want exit code %d", err, 1)
	}
	for _, name := range []string{"result.json", "report.html"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	targetstest.NothingLeft(t, mark(t))
}
