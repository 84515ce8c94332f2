package targets

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// largestRead bounds what is read of a file of the user's: what is looked for is in small files.
const largestRead = 1 << 20

var errNotText = errors.New("not a text file of at most 1 MiB")

// readSmall reads a regular text file and never waits, as opening a pipe would.
func readSmall(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > largestRead || ofTheKernel(path) {
		return nil, fmt.Errorf("read %s: %w", path, errNotText)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, largestRead))
	if err != nil {
		return nil, err
	}
	if strings.ContainsRune(string(text), 0) {
		return nil, fmt.Errorf("read %s: %w", path, errNotText)
	}
	return text, nil
}

// ofTheKernel is true for what leads to a file that only looks like one: reading it may wait, or do something.
func ofTheKernel(path string) bool {
	to, err := filepath.EvalSymlinks(path)
	if err == nil {
		to, err = filepath.Abs(to)
	}
	return err != nil || strings.HasPrefix(to, "/proc/") || strings.HasPrefix(to, "/sys/") || strings.HasPrefix(to, "/dev/")
}

func inDir(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}

// lookPath finds a program as a shell in the command's folder with its environment would.
func lookPath(name string, c Command) (string, error) {
	if strings.Contains(name, "/") {
		path := inDir(c.Dir, name)
		if !executable(path) {
			return "", fmt.Errorf("find %s: %w", name, exec.ErrNotFound)
		}
		return path, nil
	}
	path, _ := getenv(c.Env, "PATH")
	for _, dir := range filepath.SplitList(path) {
		if p := filepath.Join(inDir(c.Dir, dir), name); executable(p) {
			return p, nil
		}
	}
	return "", fmt.Errorf("find %s in PATH: %w", name, exec.ErrNotFound)
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir() && info.Mode()&0o111 != 0
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
