package sweep

import (
	"strings"
	"testing"
)

// 256 connections need a file each; what a process has besides, some for each core, is asked for with them.
func TestOpenFilesAreEnough(t *testing.T) {
	for allowed, enough := range map[uint64]bool{200: false, 256: false, 289: false, 290: true, 1024: true} {
		err := enoughFiles(256, 2, allowed)
		if (err == nil) != enough {
			t.Errorf("%d files: %v", allowed, err)
		}
		if err != nil && !strings.Contains(err.Error(), "ulimit -n 290") {
			t.Errorf("%d files: %v, want the way out", allowed, err)
		}
	}
}
