package targets

import (
	"fmt"
	"os"
	"path/filepath"

	"advise/targets/hold"
	"advise/targets/mask"
)

// newScratch makes a folder for what a server writes while it runs.
func newScratch() (string, error) {
	dir, err := hold.NewFolder()
	if err != nil {
		return "", fmt.Errorf("make a folder for the server's files: %w", err)
	}
	return dir, nil
}

// accessLog is the file in the scratch folder for what a server logs of requests, where it would log it to
// a file of the user's: what it costs to write that line stays in what is measured, the user's log stays as it is.
const accessLog = "access.log"

// writeFiles writes the files of a launch, and masked copies of them for people to read.
func writeFiles(files []File, scratch, derived string) error {
	if len(files) == 0 {
		return nil
	}
	if err := writeAll(scratch, files); err != nil {
		return err
	}
	if derived == "" {
		return nil
	}
	copies := make([]File, len(files))
	for i, f := range files {
		copies[i] = File{Path: f.Path, Text: mask.Text(f.Text)}
	}
	return writeAll(derived, copies)
}

func writeAll(dir string, files []File) error {
	for _, f := range files {
		path := filepath.Join(dir, f.Path)
		if err := os.MkdirAll(filepath.Dir(path), 0o711); err != nil {
			return fmt.Errorf("write the server's files: %w", err)
		}
		if err := os.WriteFile(path, []byte(f.Text), 0o600); err != nil {
			return fmt.Errorf("write the server's files: %w", err)
		}
	}
	return nil
}
