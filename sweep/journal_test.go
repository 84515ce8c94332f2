package sweep

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
)

// holdRecord is a process that writes a record until its standard input ends, and has a child that lives
// on when it is killed.
func holdRecord(dir string) error {
	j, err := reopen(dir)
	if err != nil {
		return err
	}
	defer func() { _ = j.close() }()
	self, err := os.Executable()
	if err != nil {
		return err
	}
	child := exec.Command(self, "wait")
	child.Stdin, child.Stdout = os.Stdin, os.Stdout
	if err := child.Start(); err != nil {
		return err
	}
	return child.Wait()
}

// waitForEnd says that it runs, and ends with its standard input.
func waitForEnd() error {
	fmt.Println("waiting")
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// Two that write one record destroy it: there is one, and the other is told who. It need not have ended
// well to leave the record to the next, nor need its children have ended.
func TestRecordIsWrittenByOneProcess(t *testing.T) {
	r := run(t, newTest(t, &closedServer{cpu: 0.002, wait: 0.008}, nil))
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	holder := exec.Command(self, "hold-record", r.Dir)
	holder.Stderr = os.Stderr
	in, err := holder.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := holder.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := holder.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = holder.Process.Kill()
		_ = in.Close() // the child's end too
		_, _ = io.Copy(io.Discard, out)
		_ = holder.Wait()
	})
	said := bufio.NewReader(out)
	if line, err := said.ReadString('\n'); err != nil {
		t.Fatalf("it said %q, %v", line, err)
	}

	var inUse *InUseError
	s, err := resumed(t, r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Run(t.Context(), t.Context()); !errors.As(err, &inUse) || inUse.Dir != r.Dir {
		t.Fatalf("err is %v, want the record to be in use", err)
	}
	if inUse.PID != holder.Process.Pid && (inUse.PID != 0 || runtime.GOOS == "linux") {
		t.Errorf("used by process %d, want %d", inUse.PID, holder.Process.Pid)
	}
	if read, err := Open(r.Dir); err != nil || len(read.Trials) != len(r.Trials) {
		t.Errorf("read beside the writer: %v", err)
	}

	if err := holder.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_, _ = holder.Process.Wait()
	j, err := reopen(r.Dir)
	if err != nil {
		t.Fatalf("the process was killed, its child lives: %v", err)
	}
	if err := j.close(); err != nil {
		t.Error(err)
	}
}

// A new sweep holds its record from before there is a plan in it, so that of two begun at once one is refused.
func TestNewRecordIsWrittenByOne(t *testing.T) {
	dir := t.TempDir()
	j, err := lockJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	var inUse *InUseError
	if _, err := create(dir, Plan{}); !errors.As(err, &inUse) {
		t.Errorf("err is %v, want the record to be in use", err)
	}
	if err := j.append(Trial{ID: 1, Shape: Shape{Workers: 1}, Outcome: OK}); err != nil {
		t.Fatal(err)
	}
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	if _, err := create(dir, Plan{}); !errors.Is(err, ErrRecordExists) { // its trials would be taken for this one's
		t.Errorf("err is %v, want trials without a plan refused", err)
	}
	if _, err := os.Stat(filepath.Join(dir, planFile)); err == nil {
		t.Error("a plan was written over them")
	}
}
