package targets

import (
	"fmt"

	"advise/targets/disk"
	"advise/targets/hold"
	"advise/targets/mask"
	"advise/targets/plain"
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

// writeFiles writes the files of a launch. Masked copies of them, for people to read, are kept where derived does.
func writeFiles(files []File, scratch string, derived func(File) string) (copies []string, err error) {
	for _, f := range files {
		if err := disk.WriteScratch(scratch, f.Path, []byte(f.Text)); err != nil {
			return nil, fmt.Errorf("write the server's files: %w", err)
		}
		if derived == nil {
			continue
		}
		if at := derived(File{Path: f.Path, Text: plain.Text(mask.Text(f.Text))}); at != "" {
			copies = append(copies, at)
		}
	}
	return copies, nil
}
