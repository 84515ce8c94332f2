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

	"advise/targets/disk"
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

	var inUse *disk.InUseError
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
	f, err := disk.Create(dir)
	if err != nil {
		t.Fatal(err)
	}
	var inUse *disk.InUseError
	if _, err := create(dir, Plan{}); !errors.As(err, &inUse) || runtime.GOOS == "linux" && inUse.PID != os.Getpid() {
		t.Errorf("err is %v, want the record to be in use by this process", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	j, err := create(dir, Plan{}) // as after a kill at that moment
	if err != nil {
		t.Fatal(err)
	}
	if err := j.close(); err != nil {
		t.Error(err)
	}
}

// Nothing in a folder of the user's is touched, nor anything made there, whatever its files are called.
func TestOnlyAnEmptyFolderIsTaken(t *testing.T) {
	for _, name := range []string{
		"plan.json", "trials.jsonl", "calibration.json", "files.jsonl", "result.json", "report.html", "server.log",
		"config/puma.rb", "derived/nginx.conf", ".plan.json.advise-abc", "index.php",
	} {
		dir := t.TempDir()
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("{}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		var taken *disk.NotEmptyError
		if _, err := create(dir, Plan{}); !errors.As(err, &taken) {
			t.Errorf("%s: err is %v, want the folder refused", name, err)
		}
		if _, err := reopen(dir); err == nil {
			t.Errorf("%s: taken for a record", name)
		}
		text, err := os.ReadFile(file)
		if list, _ := os.ReadDir(dir); err != nil || string(text) != "{}\n" || len(list) != 1 {
			t.Errorf("%s: %q, %v, beside %v", name, text, err, list)
		}
	}
}

// The record's own folder is refused as one that can be gone on with.
func TestARecordIsNotReplaced(t *testing.T) {
	r := run(t, newTest(t, &closedServer{cpu: 0.002, wait: 0.008}, nil))
	if _, err := create(r.Dir, r.Plan); !errors.Is(err, ErrRecordExists) {
		t.Errorf("err is %v, want ErrRecordExists", err)
	}
}

// The plan of a record is replaced, also of one from before files.jsonl was kept; one that the user changed is not.
func TestPlanIsReplaced(t *testing.T) {
	r := run(t, newTest(t, &closedServer{cpu: 0.002, wait: 0.008}, nil))
	if err := os.Remove(filepath.Join(r.Dir, "files.jsonl")); err != nil {
		t.Fatal(err)
	}
	j, err := reopen(r.Dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = j.close() }()
	r.Plan.Tool.Version = "v9"
	if err := j.savePlan(r.Plan); err != nil {
		t.Error(err)
	}
	if p, err := readPlan(r.Dir); err != nil || p.Tool.Version != "v9" {
		t.Errorf("the plan is of %q, %v", p.Tool.Version, err)
	}
	write(t, filepath.Join(r.Dir, planFile), []byte("mine"))
	var foreign *disk.ForeignError
	if err := j.savePlan(r.Plan); !errors.As(err, &foreign) {
		t.Errorf("err is %v, want a ForeignError", err)
	}
}
