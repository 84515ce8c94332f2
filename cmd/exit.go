package cmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"advise/sweep"
	"advise/targets"
	"advise/targets/disk"
	"advise/targets/mask"
)

// The exit codes, the same for every command; 2 is left to the Go runtime.
const (
	exitDone        = 0
	exitFailed      = 1   // failed, wrong usage included
	exitNoAdvice    = 3   // swept, but no trustworthy recommendation
	exitNotStarted  = 4   // the server did not start or did not become ready
	exitInterrupted = 130 // what was measured is saved
)

// errNoAdvice ends a sweep whose measurement can't carry a recommendation; the reason was printed.
var errNoAdvice = errors.New("no trustworthy recommendation")

// A hinted error says what to do about it.
type hinted struct {
	error
	hint string
}

func (e *hinted) Unwrap() error { return e.error }

func withHint(err error, hint string, args ...any) error {
	return &hinted{error: err, hint: fmt.Sprintf(hint, args...)}
}

// exitCode is the code of what a command returned.
func exitCode(err error) int {
	var start *targets.StartError
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errNoAdvice):
		return exitNoAdvice
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	case errors.As(err, &start):
		return exitNotStarted
	default:
		return exitFailed
	}
}

// printError writes an error as a tired person wants to read it: what failed, the server's own last
// words, the way out.
func printError(w io.Writer, err error) {
	var (
		start   *targets.StartError
		refused *targets.RefusedError
		differs *sweep.DiffersError
		inUse   *disk.InUseError
		hint    *hinted
	)
	if !errors.Is(err, errNoAdvice) {
		sayError(w, mask.Line(err.Error()))
	}
	if errors.As(err, &start) {
		for _, line := range start.Log {
			say(w, "advise: log: %s\n", strings.TrimRight(line, "\r\n"))
		}
		if start.Hint != "" {
			say(w, "advise: hint: %s\n", start.Hint)
		}
	}
	if errors.As(err, &refused) && refused.Hint != "" {
		say(w, "advise: hint: %s\n", refused.Hint)
	}
	if errors.Is(err, sweep.ErrRecordExists) {
		say(w, "advise: hint: go on with that one by --resume, or name another folder\n")
	}
	if text := ofRecord(err); text != "" {
		say(w, "advise: hint: %s\n", text)
	}
	if errors.As(err, &inUse) {
		say(w, "advise: hint: %s\n", waitFor(inUse))
	}
	if errors.As(err, &differs) {
		say(w, "advise: hint: resume it with what it was made with (%s), or start a new sweep\n", resumeCommand(differs.Record.Dir, differs.Record.Plan, nil))
		if len(differs.Variables) > 0 {
			say(w, "advise: hint: variables that change nothing for the server can be left out: --ignore-env %s\n", strings.Join(differs.Variables, ","))
		}
	}
	if errors.As(err, &hint) {
		say(w, "advise: hint: %s\n", hint.hint)
	}
}

// ofRecord is the way out where a record can't be written or read; "" for other errors.
func ofRecord(err error) string {
	var (
		taken   *disk.NotEmptyError
		unsaved *sweep.UnsavedError
		foreign *disk.ForeignError
		damaged *sweep.DamagedError
	)
	switch {
	case errors.As(err, &taken):
		return "a record wants a folder that is empty or does not exist: --out " + quote(filepath.Join(taken.Dir, "advise-record"))
	case errors.As(err, &damaged):
		return fmt.Sprintf("leave them out, the file stays as it is: advise report %s --skip-damaged; to go on with it: advise --resume %[1]s --skip-damaged", quote(damaged.Dir))
	case !errors.As(err, &unsaved):
		return ""
	case errors.Is(err, disk.ErrMoved):
		return "what is printed above is all that was measured; if the folder is elsewhere now: advise report FOLDER"
	case errors.As(err, &foreign):
		return "what is printed above is the answer; to have the files as well, move away what is in their place: advise report " + quote(unsaved.Dir)
	}
	return "what is printed above is the answer; to have the files as well, when they can be written: advise report " + quote(unsaved.Dir)
}

// waitFor is the way out for who wants a record that is being written.
func waitFor(e *disk.InUseError) string {
	stop := "stop it"
	if e.PID > 0 {
		stop = fmt.Sprintf("stop it by kill -INT %d", e.PID)
	}
	return fmt.Sprintf("wait until it has ended, or %s; what it has measured so far: advise report %s", stop, quote(e.Dir))
}
