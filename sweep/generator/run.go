package generator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	"advise/targets/hold"
)

// killAfter is what an attack that was cancelled is given to end by itself.
const killAfter = 2 * time.Second

// Run makes the attack in a child process and waits for its end. The child runs on a.CPUs
// only, from its first instruction; a terminal's Ctrl-C does not reach it, and it does not
// outlive this process.
//
// progress, which may be nil, is called in order, from one goroutine, before Run returns. It
// should not take long: the child waits for nobody, but the next call does.
//
// When ctx ends, the attack is ended too, and Run returns ctx's error and, if the child still
// gave one, the Summary of what was measured so far.
func Run(ctx context.Context, a Attack, progress func(Progress)) (*Summary, error) {
	if err := a.Validate(); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	text, err := json.Marshal(a)
	if err != nil {
		return nil, fmt.Errorf("start attack: %w", err)
	}
	c, err := startChild("attack", a.CPUs)
	if err != nil {
		return nil, fmt.Errorf("start attack: %w", err)
	}
	stopWatching := context.AfterFunc(ctx, c.cancel)
	defer stopWatching()

	// A child that ended before it read all is told of by its exit and standard error.
	_, _ = c.in.Write(append(text, '\n'))
	s, readErr := readLines(c.out, progress)
	if readErr != nil {
		c.kill()
	}
	exitErr := c.wait()
	if err := ctx.Err(); err != nil {
		return s, err
	}
	if readErr != nil && !errors.Is(readErr, io.ErrUnexpectedEOF) {
		err = readErr // the exit is then that of the kill
	} else if err = exitErr; err == nil && s == nil {
		err = errNoSummary
	}
	if err != nil {
		return nil, fmt.Errorf("attack %s: %w%s", a.where(), err, c.said())
	}
	return s, nil
}

var errNoSummary = errors.New("the load generator ended without a summary")

func (a Attack) where() string {
	if a.Socket != "" {
		return a.Socket
	}
	return a.URL
}

// readLines reads to the end and returns the summary, nil if there was none.
func readLines(out io.Reader, progress func(Progress)) (*Summary, error) {
	var s *Summary
	for d := json.NewDecoder(out); ; {
		var l line
		if err := d.Decode(&l); errors.Is(err, io.EOF) {
			return s, nil
		} else if err != nil {
			return s, fmt.Errorf("read from the load generator: %w", err)
		}
		if l.Progress != nil && progress != nil {
			progress(*l.Progress)
		}
		if l.Summary != nil {
			s = l.Summary
		}
	}
}

// A child is this program running as one of its hidden subcommands.
type child struct {
	in     io.WriteCloser
	out    io.ReadCloser
	err    tail
	cmd    *exec.Cmd
	exited chan error    // gets the exit once
	read   chan struct{} // closed when out has been read to its end
	ended  chan struct{} // closed when the process has ended
}

// startChild starts a subcommand on cpus.
//
// The affinity is set on the thread that starts it, before it does: the child and all its
// threads inherit it. That thread then stays where it is until the child has ended, for Linux
// takes the death of the thread that started a child for the death of its parent.
func startChild(subcommand string, cpus []int) (*child, error) {
	cmd, err := hold.Subcommand(subcommand)
	if err != nil {
		return nil, err
	}
	hold.EndWithThread(cmd)
	if len(cpus) > 0 { // as many threads for the Go runtime to run on
		cmd.Env = append(cmd.Env, "GOMAXPROCS="+strconv.Itoa(len(cpus)))
	}
	c := &child{exited: make(chan error, 1), read: make(chan struct{}), ended: make(chan struct{}), cmd: cmd}
	c.cmd.Stderr = &c.err
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if c.out, err = c.cmd.StdoutPipe(); err != nil {
		c.in.Close()
		return nil, err
	}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		err := pinThread(cpus)
		if err == nil {
			err = c.cmd.Start()
		}
		started <- err
		if err != nil {
			return
		}
		<-c.read // exec.Cmd.Wait closes the pipe
		c.exited <- c.cmd.Wait()
		close(c.ended)
	}()
	if err := <-started; err != nil {
		c.in.Close()
		c.out.Close()
		return nil, err
	}
	return c, nil
}

// cancel closes the child's standard input, which ends what it does, and sees to it that the
// child ends.
func (c *child) cancel() {
	c.in.Close()
	select {
	case <-c.ended:
	case <-time.After(killAfter):
		c.kill()
	}
}

// kill needs no check whether the process is still there: os.Process does that.
func (c *child) kill() { _ = c.cmd.Process.Kill() }

// wait returns when the child has ended. Its output has been read, or is of no use any more.
func (c *child) wait() error {
	close(c.read)
	err := <-c.exited
	c.in.Close()
	return err
}

// said is the child's standard error as an appendix to an error's text.
func (c *child) said() string {
	if text := strings.TrimSpace(string(c.err.text)); text != "" {
		return ": " + text
	}
	return ""
}

// A tail keeps the last bytes written to it.
type tail struct{ text []byte }

const tailBytes = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.text = append(t.text, p...)
	t.text = bytes.Clone(t.text[max(0, len(t.text)-tailBytes):])
	return len(p), nil
}
