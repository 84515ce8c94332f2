package sweep

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"advise/targets/targetstest"
)

// A disk that is full ends the sweep at the trial that does not fit. What was measured is there, and the record can
// be gone on with when there is room.
func TestFullDisk(t *testing.T) {
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=256k"); err != nil {
		targetstest.Lacking(t, "root, to mount a small file system")
	}
	t.Cleanup(func() { _ = unix.Unmount(disk, unix.MNT_DETACH) })
	s := newTest(t, &closedServer{cpu: 0.002, wait: 0.008}, func(o *Options) { o.Dir = filepath.Join(disk, "record") })
	filler := filepath.Join(disk, "filler")
	s.options.Progress = func(e Event) {
		if e.Stage == StageStart && e.Trial == 3 {
			if err := os.WriteFile(filler, make([]byte, 256<<10), 0o600); !errors.Is(err, unix.ENOSPC) {
				t.Errorf("the disk is not full: %v", err)
			}
		}
	}
	r, err := s.Run(t.Context(), t.Context())
	var unsaved *UnsavedError
	if !errors.As(err, &unsaved) || !errors.Is(err, unix.ENOSPC) || !strings.Contains(err.Error(), "save trial ") {
		t.Fatalf("err is %v, want a trial that found no space", err)
	}
	saved, err := Open(r.Dir)
	if err != nil || len(saved.Trials) != len(r.Trials)-1 {
		t.Fatalf("%d trials saved of %d, %v", len(saved.Trials), len(r.Trials), err)
	}
	must(t, os.Remove(filler))
	again, err := resumed(t, saved, nil)
	must(t, err)
	if r = run(t, again); r.Advice().Workers != 5 {
		t.Errorf("recommended %d, want 5", r.Advice().Workers)
	}
}

// A record for which there is no room is refused before anything is measured, and its folder can be taken again.
func TestFullDiskFromTheBeginning(t *testing.T) {
	disk := t.TempDir()
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=64k"); err != nil {
		targetstest.Lacking(t, "root, to mount a small file system")
	}
	t.Cleanup(func() { _ = unix.Unmount(disk, unix.MNT_DETACH) })
	filler := filepath.Join(disk, "filler")
	for room := range 5 { // pages of 4 kB
		must(t, os.WriteFile(filler, make([]byte, 64<<10-room<<12), 0o600))
		dir := filepath.Join(disk, "record")
		j, err := create(dir, Plan{Variables: map[string]string{"A": strings.Repeat("a", 5000)}})
		if err == nil {
			must(t, j.close())
			return
		}
		if !errors.Is(err, unix.ENOSPC) {
			t.Fatalf("err is %v, want no space", err)
		}
	}
	t.Error("there was never room enough")
}
