package hold

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"syscall"
	"time"
)

// The parent writes orders to the guard's standard input, one JSON document a line, the first with
// a Spec. The guard answers with events on its standard output. The end of the orders, for whatever
// reason, means: kill everything. The guard and the first process speak in the same way.

type order struct {
	Do     string         `json:"do"`
	Spec   *Spec          `json:"spec,omitempty"`
	Path   string         `json:"path,omitempty"` // the program that Spec.Argv[0] names
	Groups groups         `json:"groups,omitzero"`
	Apart  bool           `json:"apart,omitempty"` // in a PID namespace, of which it is the first process
	Signal syscall.Signal `json:"signal,omitempty"`
	Grace  time.Duration  `json:"grace,omitempty"`
}

const (
	doStart = "start" // with Spec and Path
	doFirst = "first" // to the first process, with Spec, Path, Groups and Apart
	doStop  = "stop"  // Signal, wait for Grace, then SIGTERM to all, then kill
	doKill  = "kill"  // at once
)

type event struct {
	Kind   string   `json:"kind"`
	PID    int      `json:"pid,omitempty"`
	First  *Process `json:"first,omitempty"`
	Groups groups   `json:"groups,omitzero"`
	Exit   *Exit    `json:"exit,omitempty"`
	Usage  *Usage   `json:"usage,omitempty"`
	Fault  *fault   `json:"fault,omitempty"`
	Faults []string `json:"faults,omitempty"`
}

const (
	guardReady  = "ready"    // Groups have been made; PID is still to come
	notApart    = "together" // from the first process: it can't have a namespace; nothing was started
	started     = "started"  // PID, and of the guard First
	startFailed = "failed"   // Fault
	rootExited  = "exited"   // Exit of the started process
	treeEmpty   = "empty"    // the last process has ended; Usage
	allRemoved  = "removed"  // cgroups and files are gone, save what Faults name
)

// decode passes on what is written to it, one document after the other, and closes the channel at the end.
func decode[T any](in io.Reader, to chan<- T) {
	defer close(to)
	for decoder := json.NewDecoder(in); ; {
		var one T
		if decoder.Decode(&one) != nil {
			return
		}
		to <- one
	}
}

// fault carries an error across the pipe with what callers test it for.
type fault struct {
	Message string        `json:"message"`
	Errno   syscall.Errno `json:"errno,omitempty"`
	Exec    bool          `json:"exec,omitempty"` // it is the kernel's answer to running the program
}

func newFault(err error) *fault {
	var told *fault // by the first process
	if errors.As(err, &told) {
		return told
	}
	f := &fault{Message: err.Error()}
	errors.As(err, &f.Errno)
	var run *execError
	f.Exec = errors.As(err, &run)
	return f
}

func (f *fault) Error() string { return f.Message }

func (f *fault) Is(target error) bool {
	if f.Exec && target == exec.ErrNotFound {
		return f.Errno == syscall.ENOENT || f.Errno == syscall.ENOTDIR
	}
	return f.Errno != 0 && (target == f.Errno || f.Errno.Is(target))
}

// execError is the kernel's refusal to run a program.
type execError struct {
	path string
	err  error
}

func (e *execError) Error() string { return "run " + e.path + ": " + e.err.Error() }
func (e *execError) Unwrap() error { return e.err }
