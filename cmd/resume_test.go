package cmd_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"advise/cmd"
)

// planned is a record in which nothing has been measured yet, of a sweep with these flags.
func planned(t *testing.T, args ...string) string {
	t.Helper()
	code, out, stderr := command(append([]string{"--dry-run", "--json"}, args...)...)
	if code != 0 {
		t.Fatalf("%v: exit code %d: %s", args, code, stderr)
	}
	var outline struct {
		Plan json.RawMessage `json:"plan"`
	}
	if err := json.Unmarshal([]byte(out), &outline); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "plan.json"), outline.Plan, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func command(args ...string) (code int, out, stderr string) {
	var o, e bytes.Buffer
	code = cmd.Main(args, cmd.Streams{In: strings.NewReader(""), Out: &o, Err: &e})
	return code, o.String(), e.String()
}

// Whatever a sweep was told, --resume alone tells again; what is told otherwise is refused.
func TestResumeAloneIsTheSameSweep(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, flags := range []string{
		"--cores 1",
		"--cores 1 --mem 512M --mem-headroom 20% --tolerance 3% --confidence 90% --seed 7 --arrivals constant --time 45s --probe /health",
		"--cores 0.5 --path /items --rate 100 --headroom 20% --slo p95=200ms,errors=0.1% --predict-cores 2,4 --predict-mem 1G",
		"--cores 1 --workers 1,2,4",
		"--cores 1 --connections 50",
		"--cores 1 -- gunicorn -k eventlet app:app",
		"--cores 1 --workers 2..9 --live -- gunicorn app:app",
		"--cores 1 --class sync,gthread --threads 1,4 --preload on,off -- gunicorn app:app",
		"--cores 1 --class sync,gthread --threads 1,4 --workers 1..8 -- gunicorn app:app",
	} {
		dir := planned(t, strings.Fields(flags)...)
		if code, _, stderr := command("--resume", dir, "--dry-run"); code != 0 {
			t.Errorf("%s: %s", flags, stderr)
		}
	}
	dir := planned(t, "--cores", "1")
	for flags, says := range map[string]string{
		"--mem-headroom 60%": "memory headroom was 0.1, now 0.6",
		"--workers 1..8":     "counts was 1..32, now 1..8",
		"--connections 50":   "connections asked for was 0, now 50",
		"--tolerance 10%":    "tolerance was 0.05, now 0.1",
	} {
		code, _, stderr := command(append([]string{"--resume", dir, "--dry-run"}, strings.Fields(flags)...)...)
		if code != 1 || !strings.Contains(stderr, says) || strings.Contains(stderr, ";") || !strings.Contains(stderr, "hint: resume it with what it was made with") {
			t.Errorf("%s: exit code %d, want 1 and %q alone: %s", flags, code, says, stderr)
		}
	}
}

// Variables that differ are named, with the way out for those that change nothing.
func TestResumeWithOtherVariables(t *testing.T) {
	t.Chdir(t.TempDir())
	dir := planned(t, "--cores", "1")
	text, err := os.ReadFile(filepath.Join(dir, "plan.json"))
	if err != nil {
		t.Fatal(err)
	}
	// As of a server that had no variables.
	text = append(bytes.TrimSuffix(text, []byte("}")), []byte(`, "variables": {}}`)...)
	if err := os.WriteFile(filepath.Join(dir, "plan.json"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, entry := range os.Environ() {
		name, _, _ := strings.Cut(entry, "=")
		t.Setenv(name, "") // so that it is put back
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
	if code, _, stderr := command("--resume", dir, "--dry-run"); code != 0 {
		t.Fatal(stderr)
	}
	t.Setenv("CPU_MS", "20")
	t.Setenv("WAIT_MS", "8")
	t.Setenv("SSH_TTY", "/dev/pts/3")
	code, _, stderr := command("--resume", dir, "--dry-run")
	if code != 1 || !strings.Contains(stderr, "other values in the environment: CPU_MS, WAIT_MS\n") || !strings.Contains(stderr, "hint: variables that change nothing for the server can be left out: --ignore-env CPU_MS,WAIT_MS\n") {
		t.Errorf("exit code %d: %s", code, stderr)
	}
	if code, _, stderr := command("--resume", dir, "--dry-run", "--ignore-env", "CPU_MS,WAIT_MS"); code != 0 {
		t.Error(stderr)
	}
}
