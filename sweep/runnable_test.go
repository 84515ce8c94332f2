package sweep

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"advise/targets/hold"
)

func FuzzParseSchedstat(f *testing.F) {
	for _, text := range []string{"87081 78578 2\n", "0 0 0", "", "1", "-1 2 3", "9223372036854775807 9223372036854775807 1", "a b c"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if spent, ok := parseSchedstat(text); spent < 0 || !ok && spent > 4611686018427387903 {
			t.Errorf("%q: %d", text, spent)
		}
	})
}

// Two threads of one process and one of another: 3 ms on a core and 7 ms in a queue for one.
func TestRunOrWaited(t *testing.T) {
	proc := t.TempDir()
	for path, text := range map[string]string{
		"7/task/7/schedstat": "1000000 2000000 5", "7/task/8/schedstat": "1000000 4000000 1", "9/task/9/schedstat": "1000000 1000000 1\n",
	} {
		file := filepath.Join(proc, path)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if spent, ok := runOrWaited(proc, []hold.Process{{PID: 7}, {PID: 9}}); !ok || spent != 10*time.Millisecond {
		t.Errorf("got %s, %t, want 10 ms", spent, ok)
	}
	if _, ok := runOrWaited(proc, []hold.Process{{PID: 8}}); ok {
		t.Error("a process that is gone was known")
	}
	if _, ok := runOrWaited(proc, nil); ok {
		t.Error("no processes were known")
	}
}

// In two seconds 5 s were spent: 2.5 could run at a time.
func TestRunnable(t *testing.T) {
	m := meter{before: reading{at: time.Unix(10, 0)}, after: reading{at: time.Unix(12, 0)}}
	m.couldRun = [2]couldRun{{spent: time.Second, ok: true}, {spent: 6 * time.Second, ok: true}}
	if n := m.runnable(); n == nil || *n != 2.5 {
		t.Errorf("got %v, want 2.5", n)
	}
	m.couldRun[1].ok = false
	if n := m.runnable(); n != nil {
		t.Errorf("unread, and %g", *n)
	}
}
