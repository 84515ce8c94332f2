package targets

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"advise/targets/mask"
	"advise/targets/plain"

	"github.com/agnivade/levenshtein"
)

// Kind is why a server did not start.
type Kind int

const (
	// KindNotFound: there is no such program, or it can't be run.
	KindNotFound Kind = iota + 1
	// KindExited: it ended before it was ready.
	KindExited
	// KindNotReady: it did not answer, or not with all workers, in time.
	KindNotReady
	// KindStatus: it answers steadily, and not as the probe expects.
	KindStatus
	// KindForeign: somebody else had its port, several times over.
	KindForeign
	// KindKilledForMemory: the kernel killed of its processes at the limit.
	KindKilledForMemory
	// KindIgnored: it does not listen where, or run as many workers as, it was told.
	KindIgnored
)

func (k Kind) String() string {
	names := []string{"unknown", "not found", "exited", "not ready", "status", "foreign", "killed for memory", "ignored"}
	if k < 0 || int(k) >= len(names) {
		k = 0
	}
	return names[k]
}

// A StartError is a server that did not start or did not become ready. Nothing of it is left.
type StartError struct {
	Kind    Kind
	Command string   // what was to start, in a word or two
	Workers int      // how many were asked for; 0: it did not get that far
	Seen    int      // how many workers there were in the end; -1: they can't be counted
	Log     []string // the last lines of the server's own log
	Hint    string   // the way out; may be empty
	// MemoryPeak is what its processes took at the most, in bytes, of one that was killed for memory; 0: not known.
	MemoryPeak int64
	Err        error
}

func (e *StartError) Error() string {
	if e.Workers == 0 {
		return fmt.Sprintf("start %s: %v", e.Command, e.Err)
	}
	return fmt.Sprintf("start %s with %s: %v", e.Command, count(e.Workers, "worker"), e.Err)
}

func (e *StartError) Unwrap() error { return e.Err }

func count(n int, what string) string {
	switch {
	case n == 1:
		return "1 " + what
	case strings.HasSuffix(what, "s"):
		return fmt.Sprintf("%d %ses", n, what)
	default:
		return fmt.Sprintf("%d %ss", n, what)
	}
}

// seconds writes a duration as people say it.
func seconds(d time.Duration) string {
	if d < 10*time.Second {
		return d.Round(100 * time.Millisecond).String()
	}
	return d.Round(time.Second).String()
}

const (
	logLines     = 10
	longestLine  = 300
	logTailBytes = 16 << 10
)

// controls are the sequences by which a server colours its log, and what else a terminal would obey.
var controls = regexp.MustCompile(`\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|[\x00-\x08\x0b-\x1f\x7f]`)

// tail is the end of a log without its empty lines, made fit for a terminal.
// What is known to be secret, is called so or looks like it is masked.
func tail(path string, known mask.Known) []string {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err == nil && info.Size() > logTailBytes {
		if _, err := f.Seek(-logTailBytes, io.SeekEnd); err != nil {
			return nil
		}
	}
	text, err := io.ReadAll(io.LimitReader(f, logTailBytes))
	if err != nil {
		return nil
	}
	if len(text) == logTailBytes { // the first line is cut, perhaps in a secret
		_, text, _ = bytes.Cut(text, []byte("\n"))
	}
	var lines []string
	for line := range strings.SplitSeq(strings.ToValidUTF8(string(text), "?"), "\n") {
		line = strings.TrimRight(plain.Line(controls.ReplaceAllString(line, "")), " ")
		if strings.TrimSpace(line) == "" {
			continue
		}
		lines = append(lines, line)
	}
	lines = known.Lines(lines)
	for i, line := range lines {
		if r := []rune(line); len(r) > longestLine {
			lines[i] = string(r[:longestLine]) + "..."
		}
	}
	return lines
}

// telling are the last lines of a log that say what went wrong: an adapter knows which of them its
// server writes whatever happens.
func (t *Target) telling(log []string) []string {
	if a, ok := t.Adapter.(interface{ chatter(line string) bool }); ok {
		if rest := slices.DeleteFunc(slices.Clone(log), a.chatter); len(rest) > 0 {
			log = rest
		}
	}
	return log[max(0, len(log)-logLines):]
}

// notFound explains a program that could not be run.
func notFound(c Command, err error) (hint string, reason error) {
	name := c.Argv[0]
	if errors.Is(err, fs.ErrPermission) {
		return "chmod +x " + quote(name), fmt.Errorf("%s can't be run: %w", name, fs.ErrPermission)
	}
	return notFoundHint(c), missing(name)
}

// missing is a program that is not there. It is exec.ErrNotFound.
type missing string

func (m missing) Error() string { return string(m) + " was not found" }

func (m missing) Is(target error) bool { return target == exec.ErrNotFound }

func notFoundHint(c Command) string {
	name := c.Argv[0]
	switch {
	case strings.Contains(name, "/") && exists(inDir(c.Dir, name)):
		return "the file is there: is the interpreter in its first line?"
	case strings.Contains(name, "/"):
		return "there is no such file in " + c.Dir
	case executable(filepath.Join(c.Dir, name)):
		return "it is in the current folder: advise -- ./" + show(c.Argv)
	default:
		if s, ok := pythonServerOf(name); ok {
			return pythonMissing(c, s)
		}
		if near := nearest(name, c); near != "" {
			return fmt.Sprintf("did you mean %s?", near)
		}
		return "is it installed, and in PATH?"
	}
}

// nearest is the program in PATH whose name is most like the one given.
func nearest(name string, c Command) string {
	best, distance := "", min(3, (len(name)+2)/3+1)
	path, _ := getenv(c.Env, "PATH")
	for _, dir := range filepath.SplitList(path) {
		entries, _ := os.ReadDir(inDir(c.Dir, dir))
		for _, e := range entries {
			if d := levenshtein.ComputeDistance(name, e.Name()); d < distance {
				best, distance = e.Name(), d
			}
		}
	}
	return best
}

// addressTaken says whether the log tells that somebody else has the port.
func addressTaken(log []string) bool {
	return slices.ContainsFunc(log, func(line string) bool {
		line = strings.ToLower(line)
		return strings.Contains(line, "address already in use") || strings.Contains(line, "address in use") ||
			strings.Contains(line, "connection in use") || strings.Contains(line, "eaddrinuse") ||
			strings.Contains(line, "port") && strings.Contains(line, "already in use")
	})
}
