package cmd_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"io/fs"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"advise/targets/targetstest"
)

// A secret that reaches a server, by any of the ways there are, is in no word that a dry run prints.
func TestFaultsSecrets(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	for n := range plantedSecrets.now() {
		kind := secretKinds[n%len(secretKinds)]
		tried(t, n, "secrets", kind.name, func(t *testing.T, r *rand.Rand) {
			p, secret := plant(t, r, kind)
			t.Chdir(p.dir)
			for _, v := range p.env {
				name, value, _ := strings.Cut(v, "=")
				t.Setenv(name, value)
			}
			for _, flags := range [][]string{{"--dry-run"}, {"--dry-run", "--json"}} {
				o := runs(t, p.dir, p.line(flags)...)
				for stream, text := range map[string]string{"standard output": o.out, "standard error": o.stderr} {
					if form := foundIn(text, secret); form != "" {
						t.Errorf("%s holds %s, %s: %s", stream, secret, form, o)
					}
				}
			}
		})
	}
}

// line is the command line of advise.
func (p *planting) line(flags []string) []string {
	line := slices.Concat(flags, p.flags)
	if len(p.argv) > 0 {
		line = append(append(line, "--"), p.argv...)
	}
	return line
}

// foundIn is the form in which a text holds a secret, or a part of it that is long enough to be of use; empty:
// it does not.
func foundIn(text, secret string) string {
	parts := strings.FieldsFunc(secret, func(r rune) bool { return !strings.ContainsRune(alnum+"_-", r) })
	for _, part := range append(parts, secret) {
		if len(part) < 8 || part == base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","typ":"JWT"}`)) {
			continue
		}
		for form, s := range encodings(part) {
			if strings.Contains(text, s) {
				return form
			}
		}
		if strings.Contains(strings.ToLower(text), hex.EncodeToString([]byte(part))) {
			return "in hexadecimal"
		}
	}
	// Broken over lines.
	if strings.Contains(strings.Join(strings.Fields(text), ""), strings.Join(strings.Fields(secret), "")) {
		return "over lines"
	}
	return ""
}

// encodings are the forms in which a text can be told again.
func encodings(s string) map[string]string {
	quoted, _ := json.Marshal(s)
	forms := map[string]string{
		"plain":                      s,
		"percent-encoded":            url.QueryEscape(s),
		"percent-encoded in a path":  url.PathEscape(s),
		"percent-encoded throughout": "%" + strings.ToUpper(strings.Join(slices.Collect(pairs(hex.EncodeToString([]byte(s)))), "%")),
		"in JSON":                    string(quoted[1 : len(quoted)-1]),
		"in HTML":                    html.EscapeString(s),
		"quoted for a shell":         strings.ReplaceAll(s, "'", `'\''`),
	}
	for shift := range 3 {
		// What is the same whatever stands before and behind it.
		for name, e := range map[string]*base64.Encoding{"base64": base64.RawStdEncoding, "base64 for URLs": base64.RawURLEncoding} {
			text := e.EncodeToString([]byte(strings.Repeat("x", shift) + s))
			from, to := (8*shift+5)/6, (8*(shift+len(s)))/6
			forms[fmt.Sprintf("%s, shifted by %d", name, shift)] = text[from:to]
		}
	}
	return forms
}

func pairs(s string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for i := 0; i < len(s); i += 2 {
			if !yield(s[i : i+2]) {
				return
			}
		}
	}
}

// leaky is a server that writes down all that it knows and dies under load, or at once with more than one worker.
const leaky = `import os, sys, socket, threading
port, workers = int(sys.argv[1]), int(sys.argv[2])
for name, value in os.environ.items():
    if name.startswith("LEAK_"): print(name[5:] + "=" + value, flush=True)
print("started as", sys.argv[3:], flush=True)
print(" ".join(sys.argv[3:]), flush=True)
if workers > 1: sys.exit(3)
s = socket.socket()
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind(("127.0.0.1", port))
s.listen(200)
count = 0
def handle(c):
    global count
    text = b""
    while True:
        more = c.recv(65536)
        if not more: return
        text += more
        while b"\r\n\r\n" in text:
            head, text = text.split(b"\r\n\r\n", 1)
            count += 1
            if count > 60:
                print(head.decode(), flush=True)
                os._exit(7)
            c.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
while True:
    c, _ = s.accept()
    threading.Thread(target=handle, args=(c,), daemon=True).start()
`

// Neither is it in a file or a stream of a sweep whose server writes down all that it knows, and dies.
func TestFaultsSweptSecrets(t *testing.T) {
	targetstest.Need(t, "python3")
	var kinds []secretKind
	for _, kind := range secretKinds {
		p, _ := plant(t, rand.New(rand.NewPCG(faultsSeed, 0)), kind)
		if len(p.argv) > 0 && (p.argv[0] == "./server" || p.argv[0] == "env" || len(p.flags) > 0) {
			kinds = append(kinds, kind)
		}
	}
	for n := range sweptSecrets.now() {
		kind := kinds[n*7%len(kinds)]
		tried(t, n, "secrets in sweeps", kind.name, func(t *testing.T, r *rand.Rand) {
			p, secret := plant(t, r, kind)
			p.file("leaky.py", "%s", leaky)
			home := t.TempDir()
			c := advise(t, p.swept(filepath.Join(home, "record"), 1+n%2)...)
			c.Dir = p.dir
			c.Env = append(append(c.Env, p.env...), "HOME="+home)
			out, err := c.CombinedOutput()
			if code := exitCode(err); code != 0 && code != 1 && code != 3 && code != 4 {
				t.Errorf("exit code %d: %s", code, out)
			}
			if form := foundIn(string(out), secret); form != "" {
				t.Errorf("what it prints holds %s, %s: %s", secret, form, out)
			}
			checkFiles(t, home, secret)
			targetstest.NothingLeft(t, mark(t))
		})
	}
}

// swept is a line for a short sweep of the leaky server, told the same secret as the kind's own command is.
func (p *planting) swept(record string, workers int) []string {
	line := append([]string{"--cores", "1", "--mem", "256M", "--time", "10s", "--workers", fmt.Sprint(workers), "--out", record}, p.flags...)
	line = append(line, "--")
	server := []string{"python3", "leaky.py", "{port}", "{workers}"}
	switch p.argv[0] {
	case "env": // the variable, and one that is told
		p.env = append(p.env, "LEAK_"+p.argv[1])
		return append(append(line, p.argv[:2]...), server...)
	case "./server":
		return append(append(line, server...), p.argv[5:]...)
	}
	return append(line, server...)
}

func checkFiles(t *testing.T, dir, secret string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if form := foundIn(string(text), secret); form != "" {
			t.Errorf("%s holds %s, %s", strings.TrimPrefix(path, dir), secret, form)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
