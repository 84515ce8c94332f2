package targets

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"advise/targets/mask"
)

func pasteOf(t testing.TB, dir string, env []string, argv ...string) Pasted {
	t.Helper()
	// As a report has it: out of a record, in which secrets are masked.
	argv, _ = mask.Command(argv)
	target, err := Recognise(Command{Argv: argv, Env: env, Dir: dir})
	if err != nil {
		t.Skip(err)
	}
	return target.Paste(Shape{Workers: 3}, Budget{Cores: 1, Memory: 512_000_000})
}

func textOf(files []File, path string) string {
	for _, f := range files {
		if f.Path == path {
			return f.Text
		}
	}
	return ""
}

// A secret is taken from the environment, and the server does not start without.
func TestPastedSecrets(t *testing.T) {
	p := pasteOf(t, t.TempDir(), nil, "env", "SECRET_KEY=hunter2x", "gunicorn", "-e", "TOKEN=hunter3x", "app:app")
	const shell = `env SECRET_KEY="${SECRET_KEY:?}" gunicorn -w 3 -e TOKEN="${TOKEN:?}" app:app`
	const notes = "# SECRET_KEY holds a secret: set it in the environment\n# TOKEN holds a secret: set it in the environment\n"
	if got, want := textOf(p.Config, commandFile), notes+shell+"\n"; got != want {
		t.Errorf("to paste:\n%s\nwant\n%s", got, want)
	}
	line := strings.TrimPrefix(shell, "env ")
	if got, want := textOf(p.Deploy, "Procfile"), notes+"web: "+line+"\n"; got != want {
		t.Errorf("Procfile:\n%s\nwant\n%s", got, want)
	}
	if got := textOf(p.Deploy, "Dockerfile"); !strings.Contains(got, "\nCMD SECRET_KEY=\"${SECRET_KEY:?}\" exec gunicorn ") {
		t.Errorf("Dockerfile:\n%s", got)
	}
	unit := textOf(p.Deploy, "gunicorn.service")
	for _, want := range []string{
		"\n# SECRET_KEY holds a secret: set it in this file\n# TOKEN holds a secret: set it in this file\nEnvironmentFile=/etc/gunicorn.env\n",
		" -e TOKEN=${TOKEN} app:app\n",
	} {
		if !strings.Contains(unit, want) {
			t.Errorf("the unit has no %q:\n%s", want, unit)
		}
	}
	for _, f := range slices.Concat(p.Config, p.Deploy) {
		if strings.Contains(f.Text, mask.Mark) || strings.Contains(f.Text, "Environment=SECRET_KEY") {
			t.Errorf("%s:\n%s", f.Path, f.Text)
		}
	}
}

// The shell refuses to run the line until the secrets are set, and then passes them on whole.
func TestPastedSecretsInAShell(t *testing.T) {
	words, names, err := openSecrets([]string{"A=***", "printf", `%s\n`, "--db=postgres://***@h/x", "-p", "***", "a'b", "B=-w 1 -e K=***"})
	if err != nil || !slices.Equal(names, []string{"A", "DB", "SECRET", "K"}) {
		t.Fatalf("names %q, %v", names, err)
	}
	line := quoteOpen(words)
	sh := exec.Command("sh", "-c", line)
	if out, err := sh.CombinedOutput(); err == nil {
		t.Errorf("%s ran without its secrets: %s", line, out)
	}
	sh = exec.Command("sh", "-c", line)
	sh.Env = append(os.Environ(), "A=1", "DB=postgres://u:p q@h/x", "SECRET=s 't", "K=k")
	out, err := sh.CombinedOutput()
	if want := "--db=postgres://u:p q@h/x\n-p\ns 't\na'b\nB=-w 1 -e K=k\n"; err != nil || string(out) != want {
		t.Errorf("%s printed %q, %v; want %q", line, out, err, want)
	}
	if _, _, err := openSecrets([]string{"sh", "-c", "serve --password ***"}); err == nil {
		t.Error("a secret in a script can't be opened")
	}
}

// What a unit, a Procfile or a Dockerfile can't hold is left out, with the reason.
func TestPastedWhatCanNotBeWritten(t *testing.T) {
	for _, word := range []string{"a\nUser=root", "a\rb", "a\x1b[31m", "a\u009b31m", "a\u202eb", "a\u2028b"} {
		// Not masked, as one that a mask does not know would be.
		target, err := Recognise(Command{Argv: []string{"gunicorn", "app:app"}, Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		if text := (File{Path: "x", Text: target.unit(deployment{words: []string{"gunicorn", word}}, nil, Budget{})}); inert(text.Text) == nil && strings.Contains(text.Text, "\nUser=root") {
			t.Errorf("%q: %s", word, text.Text)
		}
		p := pasteOf(t, t.TempDir(), nil, "gunicorn", "--name", word, "app:app")
		for _, f := range slices.Concat(p.Config, p.Deploy) {
			if inert(f.Text) != nil || strings.Contains(f.Text, "User=root") {
				t.Errorf("%q: %s is\n%q", word, f.Path, f.Text)
			}
		}
	}
	for _, dir := range []string{"/srv/x\nExecStartPre=/bin/touch /pwned", `/srv/x\`, "/srv/x ", " x", "/srv/\u202ex", "/srv/\x1b]0;own\x07"} {
		p := pasteOf(t, dir, nil, "gunicorn", "app:app")
		if textOf(p.Deploy, "gunicorn.service") != "" || !slices.ContainsFunc(p.LeftOut, func(l string) bool { return strings.HasPrefix(l, "no gunicorn.service: the folder") }) {
			t.Errorf("%q: %q, left out %q", dir, textOf(p.Deploy, "gunicorn.service"), p.LeftOut)
		}
		if textOf(p.Deploy, "Procfile") != "web: gunicorn -w 3 app:app\n" {
			t.Errorf("%q: the Procfile does not need the folder", dir)
		}
	}
}

// Whatever is in a command, a folder or a variable, no line is in the unit that is not advise's own, the
// Procfile has one process, and the shell's line is the command.
func FuzzPaste(f *testing.F) {
	for _, seed := range []string{"a b", "a\nUser=root", `a\`, "a'b\"c", "%n $HOME `id` $(id)", "a;b", "#", "\u202e", "***", "a=***", "-", ""} {
		f.Add(seed, seed, seed)
	}
	f.Fuzz(func(t *testing.T, word, dir, value string) {
		if strings.ContainsRune(word+dir+value, 0) || strings.Contains(dir, mask.Mark) {
			return
		}
		p := pasteOf(t, filepath.Join("/", dir), []string{"WEB_CONCURRENCY=" + value}, "env", "A="+value, "gunicorn", "--name", word, "app:app")
		for _, file := range slices.Concat(p.Config, p.Deploy) {
			if strings.ContainsFunc(file.Text, func(r rune) bool { return r != '\n' && !unicode.IsPrint(r) }) || strings.Contains(file.Text, mask.Mark) {
				t.Errorf("%s: %q", file.Path, file.Text)
			}
		}
		for line := range strings.Lines(textOf(p.Deploy, "gunicorn.service")) {
			key, _, _ := strings.Cut(strings.TrimSpace(line), "=")
			if strings.HasPrefix(line, "#") || strings.HasPrefix(line, "[") || line == "\n" {
				continue
			}
			if !slices.Contains([]string{
				"Description", "After", "WorkingDirectory", "EnvironmentFile", "Environment", "ExecStart", "Restart", "KillSignal", "KillMode",
				"CPUQuota", "MemoryMax", "WantedBy",
			}, key) {
				t.Errorf("a line of the unit: %q", line)
			}
		}
		processes := 0
		for line := range strings.Lines(textOf(p.Deploy, "Procfile")) {
			if !strings.HasPrefix(line, "#") {
				processes++
			}
		}
		if processes > 1 {
			t.Errorf("the Procfile has %d processes", processes)
		}
	})
}
