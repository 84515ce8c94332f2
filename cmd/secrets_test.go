package cmd_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"advise/targets/targetstest"
)

// planted is a secret that reads otherwise when it is percent-encoded or in JSON.
const planted = `PL4NTED/h3re+"x"`

// leaks are the forms in which the secret is found.
func leaks(text string) (found []string) {
	for _, form := range []string{
		"PL4NTED", "h3re+", "h3re%2B", url.QueryEscape(planted), base64.StdEncoding.EncodeToString([]byte(planted)),
		base64.StdEncoding.EncodeToString([]byte("u:" + planted)),
	} {
		if strings.Contains(text, form) {
			found = append(found, form)
		}
	}
	return found
}

func TestNoSecretLeavesADryRun(t *testing.T) {
	t.Parallel()
	const secret = "PL4NTEDh3re"
	for name, test := range map[string]struct {
		files map[string]string
		args  []string
	}{
		"typed":                  {args: []string{"--", "env", "DB_PASS=" + secret, "gunicorn", "-e", "X=" + secret, "app:app"}},
		"shell":                  {args: []string{"--", "sh", "-c", "TOKEN=" + secret + " exec gunicorn --statsd-host redis://" + secret + "@h app:app"}},
		"path":                   {args: []string{"--path", "/s?q=tea&token=" + secret, "--probe", "/h?key=" + secret, "--", "gunicorn", "app:app"}},
		"bad path":               {args: []string{"--path", "s?foo=" + secret, "--", "gunicorn", "app:app"}},
		"bad probe":              {args: []string{"--probe", "h?foo=" + secret, "--", "gunicorn", "app:app"}},
		"Procfile":               {files: map[string]string{"Procfile": "web: DB_PASS=" + secret + " gunicorn -e X=" + secret + " app:app\n"}},
		"Procfile with a script": {files: map[string]string{"Procfile": "web: login --password " + secret + " && gunicorn app:app\n"}},
		"Dockerfile":             {files: map[string]string{"Dockerfile": "FROM x\nENV API_KEY=" + secret + "\nCMD [\"gunicorn\", \"-e\", \"X=" + secret + "\", \"app:app\"]\n"}},
		"Compose": {files: map[string]string{"compose.yaml": "services:\n  web:\n    build: .\n    environment:\n      DB_PASS: " + secret +
			"\n    command: env K=" + secret + " gunicorn app:app\n"}},
		"package.json": {files: map[string]string{"server.js": "", "package.json": `{"scripts": {"start": "STRIPE_KEY=` + secret + ` node server.js --token ` + secret + `"}}`}},
		"manage.py": {files: map[string]string{
			"manage.py":    "import os\nKEY = '" + secret + "'\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\n",
			"shop/wsgi.py": "application = get(password='" + secret + "')\n",
		}},
		"scenario": {
			files: map[string]string{"s.yaml": "requests:\n- {path: '/a?token=" + secret + "', headers: {X: " + secret + "}, json: {a: " + secret + "}}\n"},
			args:  []string{"--scenario", "s.yaml", "--", "gunicorn", "app:app"},
		},
		"bad header": {
			files: map[string]string{"s.yaml": "requests:\n- {path: /, headers: {X: \"" + secret + "\\n\"}}\n"},
			args:  []string{"--scenario", "s.yaml", "--", "gunicorn", "app:app"},
		},
	} {
		for _, form := range []string{"text", "json"} {
			t.Run(name+" "+form, func(t *testing.T) {
				args := []string{"--dry-run", "--cores", "1"}
				if form == "json" {
					args = append(args, "--json")
				}
				c := advise(t, append(args, test.args...)...)
				for file, text := range test.files {
					path := filepath.Join(c.Dir, file)
					if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o600)); err != nil {
						t.Fatal(err)
					}
				}
				var out bytes.Buffer
				c.Stdout, c.Stderr = &out, &out
				_ = c.Run() // which may refuse it: not in these words
				if found := leaks(out.String()); len(found) > 0 || out.Len() == 0 {
					t.Errorf("%s in\n%s", found, out.String())
				}
			})
		}
	}
}

// loggingServer logs all that it is told, in all forms, and ends under load.
const loggingServer = `
import base64, json, os, socket, sys, threading, urllib.parse
s = sys.argv[3]
say = lambda *a: print(*a, flush=True)
say(s); say('told', urllib.parse.quote_plus(s), base64.b64encode(s.encode()).decode(), base64.b64encode(('u:'+s).encode()).decode(), json.dumps(s))
say('begins with', s[:9]); say(s[9:], 'is how it ends'); say('password: hunter-PL4NTED'); say('postgres://u:PL4NTED@h/db')
if sys.argv[2] == 'exit': sys.exit(3)
l = socket.socket(); l.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); l.bind(('127.0.0.1', int(sys.argv[1]))); l.listen(99)
seen = [0]
def serve(c):
    b = b''
    while True:
        d = c.recv(65536)
        if not d: return
        b += d
        while b'\r\n\r\n' in b:
            _, b = b.split(b'\r\n\r\n', 1)
            seen[0] += 1
            if seen[0] > 200: say('died of', s, json.dumps({'token': s})); os._exit(7)
            c.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: s=PL4NTED\r\n\r\nok')
while True:
    threading.Thread(target=serve, args=(l.accept()[0],), daemon=True).start()
`

// Whatever a server logs of what it was told, when it can't start and when it dies under load, none of it
// is in the record or on a stream.
func TestNoSecretLeavesASweep(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		targetstest.Lacking(t, "python3")
	}
	for _, how := range []string{"exit", "die"} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			c := advise(t, "--cores", "1", "--time", "10s", "--workers", "1", "--path", "/s?q=tea&key="+url.QueryEscape(planted), "--out", "rec",
				"--", "env", "DB_PASS="+planted, python, "server.py", "{port}", how, planted, "{workers}")
			if err := os.WriteFile(filepath.Join(c.Dir, "server.py"), []byte(loggingServer), 0o600); err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			c.Stdout, c.Stderr = &out, &out
			var exit *exec.ExitError
			if err := c.Run(); !errors.As(err, &exit) {
				t.Fatalf("want it to fail, got %v\n%s", err, out.String())
			}
			err := filepath.WalkDir(filepath.Join(c.Dir, "rec"), func(path string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				text, err := os.ReadFile(path)
				out.WriteString(path + ":\n" + string(text) + "\n")
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(out.String(), "***") {
				t.Errorf("nothing is masked in\n%s", out.String())
			}
			for line := range strings.Lines(out.String()) {
				if found := leaks(line); len(found) > 0 {
					t.Errorf("%s in %s", found, line)
				}
			}
		})
	}
}
