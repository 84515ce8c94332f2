package targets

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
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
	if err != nil || !slices.Equal(names, []string{"A", "SECRET_DB", "SECRET", "K"}) {
		t.Fatalf("names %q, %v", names, err)
	}
	line := quoteOpen(words)
	sh := exec.Command("sh", "-c", line)
	if out, err := sh.CombinedOutput(); err == nil {
		t.Errorf("%s ran without its secrets: %s", line, out)
	}
	sh = exec.Command("sh", "-c", line)
	sh.Env = append(os.Environ(), "A=1", "SECRET_DB=postgres://u:p q@h/x", "SECRET=s 't", "K=k")
	out, err := sh.CombinedOutput()
	if want := "--db=postgres://u:p q@h/x\n-p\ns 't\na'b\nB=-w 1 -e K=k\n"; err != nil || string(out) != want {
		t.Errorf("%s printed %q, %v; want %q", line, out, err, want)
	}
	if _, _, err := openSecrets([]string{"sh", "-c", "serve --password ***"}); err == nil {
		t.Error("a secret in a script can't be opened")
	}
}

// No variable that has a value anyway is taken for a secret, nor one that the command sets itself.
func TestPastedSecretsAreNotTakenForAnother(t *testing.T) {
	for _, test := range []struct{ given, names []string }{
		{[]string{"serve", "--pwd", "***"}, []string{"SECRET_PWD"}},
		{[]string{"serve", "--path=***", "--home", "***", "-u", "***"}, []string{"SECRET_PATH", "SECRET_HOME", "SECRET"}},
		{[]string{"PWD=***", "LC_ALL=***", "PORT=***", "serve"}, []string{"SECRET_PWD", "SECRET_LC_ALL", "SECRET_PORT"}},
		{[]string{"TOKEN=1", "SECRET_TOKEN=2", "serve", "-e", "TOKEN=***", "--token", "***"}, []string{"SECRET_TOKEN_2", "SECRET_TOKEN_3"}},
		{[]string{"TOKEN=***", "serve", "-e", "TOKEN=***"}, []string{"TOKEN", "SECRET_TOKEN"}},
		{[]string{"serve", "app:app", "***", "--set=a.b=***", "--2fa=***"}, []string{"SECRET", "SECRET_A_B", "SECRET_2FA"}},
	} {
		if _, names, err := openSecrets(test.given); err != nil || !slices.Equal(names, test.names) {
			t.Errorf("%q: %q, %v; want %q", test.given, names, err, test.names)
		}
	}
	unit := textOf(pasteOf(t, "/srv/x", nil, "env", "PWD=hunter2x", "gunicorn", "app:app").Deploy, "gunicorn.service")
	if !strings.Contains(unit, "\n# PWD holds a secret: set it in this file\nEnvironmentFile=") || strings.Contains(unit, "SECRET_PWD") {
		t.Errorf("the unit's file has to set the variable itself:\n%s", unit)
	}
}

// What a unit, a Procfile or a Dockerfile can't hold is left out, with the reason. The commands are not masked:
// a mask may let any of it through.
func TestPastedWhatCanNotBeWritten(t *testing.T) {
	for _, word := range []string{
		"a\nUser=root", "a\nevil: rm -rf /", "a\nRUN touch /pwned", "\n", "a\rb", "a\tb", "a\vb", "a\x1b[31m", "a\x7f", "a\u009b31m", "a\u0085b",
		"a\u202eb", "a\u2066b", "a\u200eb", "a\u061cb", "a\u200bb", "a\u2028b", "a\u2029b", "a\u00a0b", "a\ue000b", "a\U000e0041b", "a\ufeffb", "a\xff", "a\ufffd",
	} {
		for _, argv := range [][]string{
			{"gunicorn", word},
			{"gunicorn", "--name", word, "app:app"},
			{"env", "A=" + word, "gunicorn", "app:app"},
			{word},
			{"serve", word},
			{"puma", word},
			{"nginx", "-c", word},
			{"uwsgi", "--ini", word},
			{"php-fpm", "-y", word},
		} {
			target, err := Recognise(Command{Argv: argv, Dir: "/srv/x"})
			if err != nil {
				continue // refused before
			}
			p := target.Paste(Shape{Workers: 3}, Budget{})
			if len(p.Deploy) > 0 || len(p.LeftOut) == 0 {
				t.Errorf("%q: %q, left out %q", argv, p.Deploy, p.LeftOut)
			}
			for _, f := range p.Config {
				if f.Path == commandFile || inert(f.Text) != nil || strings.ContainsFunc(f.Path, foreign) {
					t.Errorf("%q: %q is %q", argv, f.Path, f.Text)
				}
			}
		}
	}
	for _, env := range []string{"GUNICORN_CMD_ARGS=--name 'a\nUser=root'", "GUNICORN_CMD_ARGS=-c 'a\nUser=root'"} {
		target, err := Recognise(Command{Argv: []string{"gunicorn", "app:app"}, Env: []string{env}, Dir: "/srv/x"})
		if err != nil {
			continue
		}
		for _, f := range target.Paste(Shape{Workers: 3}, Budget{}).Deploy {
			t.Errorf("%q: %s is\n%s", env, f.Path, f.Text)
		}
	}
	for _, path := range []string{"own\nUser=root.conf", "\x1b]0;own\x07.ini", "\u202efnoc"} {
		if _, err := toPaste(File{Path: path, Text: "workers = 3\n"}, nil); err == nil {
			t.Errorf("a file called %q is made", path)
		}
	}
	for _, program := range []string{"@serve", "-serve", "+serve", ":serve"} {
		target, err := Recognise(Command{Argv: []string{program}, Dir: "/srv/x"})
		if err != nil {
			t.Fatal(err)
		}
		p := target.Paste(Shape{Workers: 3}, Budget{})
		if textOf(p.Deploy, "command.service") != "" || textOf(p.Deploy, "Procfile") == "" {
			t.Errorf("%q: %q, left out %q", program, p.Deploy, p.LeftOut)
		}
	}
	for _, argv := range [][]string{{"A=***"}, {"***", "x"}} {
		target, err := Recognise(Command{Argv: argv, Dir: "/srv/x"})
		if err != nil {
			t.Fatal(err)
		}
		if p := target.Paste(Shape{Workers: 3}, Budget{}); len(p.Deploy) > 0 {
			t.Errorf("%q starts nothing that is known: %q", argv, p.Deploy)
		}
	}
	for _, dir := range []string{"/srv/x\nExecStartPre=/bin/touch /pwned", `/srv/x\`, "/srv/x ", " x", "/srv/\u202ex", "/srv/\x1b]0;own\x07", "/srv/\xff"} {
		p := pasteOf(t, dir, nil, "gunicorn", "app:app")
		if textOf(p.Deploy, "gunicorn.service") != "" || !slices.ContainsFunc(p.LeftOut, func(l string) bool { return strings.HasPrefix(l, "no gunicorn.service: the folder") }) {
			t.Errorf("%q: %q, left out %q", dir, textOf(p.Deploy, "gunicorn.service"), p.LeftOut)
		}
		if textOf(p.Deploy, "Procfile") != "web: gunicorn -w 3 app:app\n" {
			t.Errorf("%q: the Procfile does not need the folder", dir)
		}
	}
}

// hard is a word that no grammar takes without quotes.
const hard = "a'b\"c\\d$e%f`g"

// odd are words that print, and that a grammar of some kind has a use for.
var odd = []string{
	"a b", " a", "a ", "", "'", `"`, `a\`, `\n`, `\`, "%n", "%%", "$X", "${X}", "$$", "$(id)", "`id`", ";", "a;b", "&", "|", "#", "#a", "*", "~", "!x",
	"@a", "-", "--", "a=b c", "A=b", "[x]", "{}", "<", "é", "界 界", hard, "\\;", "x\\", "=", ":", "web: x",
}

// The line for a shell is the command, word for word.
func TestPastedLineInAShell(t *testing.T) {
	out, err := exec.Command("sh", "-c", quoteOpen(append([]string{"printf", `%s\n`}, odd...))).Output()
	if got := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n"); err != nil || !slices.Equal(got, odd) {
		t.Errorf("%v: got %q, want %q", err, got, odd)
	}
	set, err := exec.Command("sh", "-c", quoteOpen([]string{"A=" + hard, "B=a\\ $X", "sh", "-c", `printf '%s\n' "$A" "$B"`})).Output()
	if want := hard + "\na\\ $X\n"; err != nil || string(set) != want {
		t.Errorf("%v: got %q, want %q", err, set, want)
	}
}

// A unit is one that systemd takes, and its command and variables are the words as they were.
func TestPastedUnitOfOddWords(t *testing.T) {
	target, err := Recognise(Command{Argv: []string{"sh", "x"}, Dir: `/srv/100 % "a" 'b' $x \n`, Env: []string{"PATH=/bin"}})
	if err != nil {
		t.Fatal(err)
	}
	unit := target.unit(deployment{words: slices.Concat([]string{"A=" + hard, "B=%n $x"}, []string{"/bin/sh"}, odd)}, Budget{})
	words, env := unitWords(t, unit)
	if want := append([]string{"/bin/sh"}, odd...); !slices.Equal(words, want) {
		t.Errorf("starts\n%q, want\n%q", words, want)
	}
	if want := []string{"A=" + hard, "B=%n $x"}; !slices.Equal(env, want) {
		t.Errorf("sets %q, want %q", env, want)
	}
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is not here")
	}
	verified(t, map[string]string{"it.service": unit})
}

// unitWords reads the command and the variables of a unit as systemd.syntax(7) and systemd.service(5) have it.
func unitWords(t *testing.T, unit string) (words, env []string) {
	t.Helper()
	for line := range strings.Lines(unit) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		if key != "ExecStart" && key != "Environment" {
			continue
		}
		for value != "" {
			word, rest, _ := strings.Cut(value, " ")
			if quoted, err := strconv.QuotedPrefix(value); err == nil {
				word, rest = quoted, strings.TrimPrefix(value[len(quoted):], " ")
				if word, err = strconv.Unquote(word); err != nil {
					t.Fatal(err)
				}
			} else if strings.ContainsAny(word, `"'\;`) {
				t.Errorf("%q is not quoted", word)
			}
			word, value = strings.ReplaceAll(word, "%%", "%"), rest
			if key == "ExecStart" {
				words = append(words, strings.ReplaceAll(word, "$$", "$"))
			} else {
				env = append(env, word)
			}
		}
	}
	return words, env
}

func TestUnitProgram(t *testing.T) {
	for path, want := range map[string]bool{
		"/usr/bin/x": true, "x": true, "/@x": true, "": false, "@x": false, "-x": false, ":x": false, "+x": false, "!x": false, "!!x": false, "|x": false, "/a$b": false,
	} {
		if err := unitProgram(path); (err == nil) != want {
			t.Errorf("%q: %v", path, err)
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
		target, err := Recognise(Command{
			Argv: []string{"env", "A=" + value, "gunicorn", "--name", word, "app:app"}, Env: []string{"WEB_CONCURRENCY=" + value}, Dir: filepath.Join("/", dir),
		})
		if err != nil {
			return
		}
		p := target.Paste(Shape{Workers: 3}, Budget{Cores: 1, Memory: 512_000_000})
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
		for _, file := range []string{"Procfile", "Dockerfile"} {
			lines := 0
			for line := range strings.Lines(textOf(p.Deploy, file)) {
				if !strings.HasPrefix(line, "#") {
					lines++
				}
			}
			if lines > 1 {
				t.Errorf("%s: %q", file, textOf(p.Deploy, file))
			}
		}
	})
}
