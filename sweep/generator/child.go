package generator

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
)

// A line is one line of the child's standard output: one of the two.
type line struct {
	Progress *Progress `json:"progress,omitempty"`
	Summary  *Summary  `json:"summary,omitempty"`
}

// The child's heap is a few megabytes of short-lived objects, so it can afford to collect
// seldom; the limit keeps a long queue of an open loop from growing that by the same factor.
const (
	gcPercent   = 400
	memoryLimit = 96 << 20
)

// Main is the body of `advise attack`. It reads one Attack as JSON from in, then writes lines
// of JSON to out, each as soon as it is known: {"progress": Progress} and, last,
// {"summary": Summary}. The end of in ends the attack early: so it never outlives the process
// that asked for it, and the summary is then of what was measured so far.
//
// judge says when throughput is steady; nil finds it so always.
func Main(in io.Reader, out io.Writer, judge Judge) error { return mainOver(in, out, judge, connect) }

// mainOver is Main over another transport than the attack's own.
func mainOver(in io.Reader, out io.Writer, judge Judge, over connector) error {
	debug.SetGCPercent(gcPercent)
	debug.SetMemoryLimit(memoryLimit)

	buffered := bufio.NewReader(in)
	text, err := buffered.ReadBytes('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read attack: %w", err)
	}
	a, err := parseAttack(text)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, buffered) // whatever ends it, nobody is there any more
		cancel()
	}()

	encoder := json.NewEncoder(out)
	var broken error
	write := func(l line) {
		if err := encoder.Encode(l); err != nil && broken == nil {
			broken = fmt.Errorf("write to whoever asked for the attack: %w", err)
			cancel()
		}
	}
	s, err := drive(ctx, a, judge, func(p Progress) { write(line{Progress: &p}) }, over)
	if s != nil {
		write(line{Summary: s})
	}
	if broken != nil {
		return broken
	}
	if s != nil && s.Interrupted {
		return nil // the summary says so
	}
	return err
}
