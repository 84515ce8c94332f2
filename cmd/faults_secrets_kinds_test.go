package cmd_test

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A planting is where a secret was put: a command line of advise, its environment, and files beside it.
type planting struct {
	t     *testing.T
	r     *rand.Rand
	dir   string
	flags []string // in front of --
	argv  []string // behind it; none: what the folder shows is started
	env   []string
}

func (p *planting) file(name, format string, args ...any) {
	write(p.t, filepath.Join(p.dir, name), fmt.Sprintf(format, args...))
}

// A secretKind is one way in which a secret gets to a server.
type secretKind struct {
	name  string
	value func(r *rand.Rand) string
	plant func(p *planting, secret string)
}

// The forms of secrets. None of them occurs anywhere by chance.
func letters(r *rand.Rand, from string, n int) string {
	var b strings.Builder
	for range n {
		b.WriteByte(from[r.IntN(len(from))])
	}
	return b.String()
}

const (
	hexDigits = "0123456789abcdef"
	alnum     = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
)

func password(r *rand.Rand) string { return letters(r, alnum, 14+r.IntN(6)) }
func hexKey(r *rand.Rand) string   { return letters(r, hexDigits, 32) }
func strange(r *rand.Rand) string {
	return letters(r, alnum, 9) + pick(r, []string{"!", "+", "/", "=", ".", "~", "^", "%"}) + letters(r, alnum, 9)
}
func github(r *rand.Rand) string { return "ghp_" + letters(r, alnum, 36) }

func stripe(r *rand.Rand) string { return "sk_live_" + letters(r, alnum, 24) }
func slack(r *rand.Rand) string {
	return "xoxb-" + letters(r, "0123456789", 11) + "-" + letters(r, alnum, 24)
}

func aws(r *rand.Rand) string    { return "AKIA" + letters(r, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16) }
func google(r *rand.Rand) string { return "AIza" + letters(r, alnum, 35) }
func jwt(r *rand.Rand) string {
	part := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	return part(`{"alg":"HS256","typ":"JWT"}`) + "." + part(`{"sub":"`+letters(r, hexDigits, 10)+`"}`) + "." + letters(r, alnum, 43)
}

func encoded(r *rand.Rand) string {
	return base64.StdEncoding.EncodeToString([]byte("deploy:" + password(r)))
}

// started is a command of a server that is known, with words of a kind's own behind it or in front of it.
func behind(words ...string) func(p *planting, s string) {
	return func(p *planting, s string) { p.argv = append([]string{"gunicorn", "app:app"}, filled(words, s)...) }
}

func inFront(words ...string) func(p *planting, s string) {
	return func(p *planting, s string) { p.argv = append(filled(words, s), "gunicorn", "app:app") }
}

// other is a command of a server that is not known.
func other(words ...string) func(p *planting, s string) {
	return func(p *planting, s string) {
		p.argv = append([]string{"./server", "--port", "{port}", "--procs", "{workers}"}, filled(words, s)...)
	}
}

func variable(name string) func(p *planting, s string) {
	return func(p *planting, s string) {
		p.env = []string{name + "=" + s}
		p.argv = []string{"gunicorn", "app:app"}
	}
}

func inFile(name, format string) func(p *planting, s string) {
	return func(p *planting, s string) { p.file(name, "%s", strings.ReplaceAll(format, "SECRET", s)) }
}

func settings(name, format string, argv ...string) func(p *planting, s string) {
	return func(p *planting, s string) {
		p.file(name, "%s", strings.ReplaceAll(format, "SECRET", s))
		p.argv = argv
	}
}

func asked(flag, format string) func(p *planting, s string) {
	return func(p *planting, s string) {
		p.flags = []string{flag, strings.ReplaceAll(format, "SECRET", s)}
		p.argv = []string{"gunicorn", "app:app"}
	}
}

func scenario(format string) func(p *planting, s string) {
	return func(p *planting, s string) {
		p.file("scenario.yaml", "%s", strings.ReplaceAll(format, "SECRET", s))
		p.flags = []string{"--scenario", "scenario.yaml"}
		p.argv = []string{"gunicorn", "app:app"}
	}
}

func filled(words []string, secret string) []string {
	var out []string
	for _, w := range words {
		out = append(out, strings.ReplaceAll(w, "SECRET", secret))
	}
	return out
}

const nginxConf = "events {}\nhttp { server { listen 80; location / { %s; proxy_pass http://127.0.0.1:9; } } }\n"

var secretKinds = []secretKind{
	// Variables that a command sets.
	{"DB_PASS", password, inFront("env", "DB_PASS=SECRET")},
	{"MYSQL_PWD", password, inFront("env", "MYSQL_PWD=SECRET")},
	{"RAILS_MASTER_KEY", hexKey, inFront("env", "RAILS_MASTER_KEY=SECRET")},
	{"STRIPE_KEY", stripe, inFront("env", "STRIPE_KEY=SECRET")},
	{"ENCRYPTION_KEY", encoded, inFront("env", "ENCRYPTION_KEY=SECRET")},
	{"a name that says nothing", password, inFront("env", "SHOP_EXTRA=SECRET")},
	{"DATABASE_URL", strange, inFront("env", "DATABASE_URL=postgres://shop:SECRET@db/shop")},
	{"SENTRY_DSN", hexKey, inFront("env", "SENTRY_DSN=https://SECRET@o1.ingest.sentry.io/2")},
	{"a connection string", encoded, inFront("env", "STORE=DefaultEndpointsProtocol=https;AccountName=x;AccountKey=SECRET;EndpointSuffix=core.windows.net")},
	{"Pwd in a connection string", password, inFront("env", "DB=Server=db;Uid=u;Pwd=SECRET;")},
	{"JSON in a variable", password, inFront("env", `CONFIG={"password":"SECRET","n":1}`)},
	{"a variable of gunicorn's", password, behind("-e", "TOKEN=SECRET")},
	{"a variable glued to its flag", password, behind("--env=DB_PASS=SECRET")},
	{"GUNICORN_CMD_ARGS", password, func(p *planting, s string) {
		p.env = []string{"GUNICORN_CMD_ARGS=--bind 127.0.0.1:1 -e PASSWORD=" + s}
		p.argv = []string{"gunicorn", "app:app"}
	}},
	// Flags.
	{"--pass", password, other("--pass", "SECRET")},
	{"--pwd=", strange, other("--pwd=SECRET")},
	{"--key", hexKey, other("--key", "SECRET")},
	{"--auth", encoded, other("--auth", "SECRET")},
	{"--bearer", jwt, other("--bearer", "SECRET")},
	{"--jwt", jwt, other("--jwt", "SECRET")},
	{"--cookie", password, other("--cookie", "sid=SECRET")},
	{"-u user:", password, other("-u", "deploy:SECRET")},
	{"-p glued", password, other("-pSECRET")},
	{"--password with a value like a flag", func(r *rand.Rand) string { return "-" + password(r) }, other("--password", "SECRET")},
	{"a word behind the flags", password, other("connect", "SECRET")},
	// Headers.
	{"X-Api-Key without a blank", password, other("-H", "X-Api-Key:SECRET")},
	{"Authorization in a shell's script", jwt, func(p *planting, s string) {
		p.argv = []string{"sh", "-c", `./server --port $PORT -H "Authorization: Bearer ` + s + `"`}
	}},
	{"Basic", encoded, other("--header", "Authorization: Basic SECRET")},
	// Addresses.
	{"redis without a user", password, other("--cache", "redis://SECRET@cache:6379/0")},
	{"redis with a password alone", strange, other("--cache=redis://:SECRET@cache:6379")},
	{"a token of git's", github, other("--from", "https://SECRET@github.com/x/y")},
	{"a slash in a password", func(r *rand.Rand) string { return password(r) + "/" + password(r) }, other("--db", "postgres://u:SECRET@db/x")},
	{"sig in a query", encoded, other("--upload", "https://s.blob.core.windows.net/c?sv=2020&sig=SECRET")},
	{"a webhook", func(r *rand.Rand) string { return letters(r, alnum, 24) }, other("--notify", "https://hooks.slack.com/services/T1/B1/SECRET")},
	// Tokens by their form.
	{"ghp_", github, other("SECRET")},
	{"sk_live_", stripe, other("--mode", "SECRET")},
	{"xoxb-", slack, other("--to", "SECRET")},
	{"AKIA", aws, other("--id", "SECRET")},
	{"AIza", google, other("--maps", "SECRET")},
	{"-----BEGIN", encoded, other("--tls", "-----BEGIN PRIVATE KEY-----\nSECRET\n-----END PRIVATE KEY-----")},
	// Forms.
	{"password: in a script", password, func(p *planting, s string) {
		p.argv = []string{"sh", "-c", "./server --port $PORT --conf 'password: " + s + "'"}
	}},
	{"JSON on the command line", password, other(`{"password":"SECRET"}`)},
	{"an assignment in a script", strange, func(p *planting, s string) {
		p.argv = []string{"sh", "-c", "DB_PASS='" + s + "' exec gunicorn app:app"}
	}},
	// Files of a project.
	{"Procfile", password, inFile("Procfile", "web: DB_PASS=SECRET gunicorn app:app --name shop\n")},
	{"Procfile's flag", password, inFile("Procfile", "web: ./server --port $PORT --pass SECRET\n")},
	{"Dockerfile", password, inFile("Dockerfile", "FROM x\nENV PGPASSWORD=SECRET\nCMD [\"gunicorn\", \"app:app\"]\n")},
	{"Dockerfile's command", password, inFile("Dockerfile", "FROM x\nCMD DB_PASS=SECRET gunicorn app:app\n")},
	{"Compose", password, inFile("compose.yml", "services:\n  web:\n    environment:\n      SIGNING_KEY: SECRET\n    command: gunicorn app:app\n")},
	{"Compose's .env", password, func(p *planting, s string) {
		p.file(".env", "KEY=%s\n", s)
		p.file("compose.yml", "services:\n  web:\n    environment:\n      - KEY=${KEY}\n    command: gunicorn -e KEY=${KEY} app:app\n")
	}},
	{"package.json", password, inFile("package.json", `{"scripts": {"start": "DB_PASS=SECRET node server.js --auth SECRET"}}`)},
	// What is asked of the server.
	{"--path", password, asked("--path", "/s?token=SECRET")},
	{"--path without a name", password, asked("--path", "/reset/?SECRET")},
	{"--probe", password, asked("--probe", "/health?key=SECRET")},
	{"a scenario's header", jwt, scenario("requests:\n  - path: /\n    headers: {Authorization: Bearer SECRET}\n")},
	{"a scenario's cookie", password, scenario("requests:\n  - path: /\n    headers: {Cookie: sid=SECRET}\n")},
	{"a scenario's body", password, scenario("requests:\n  - path: /\n    method: POST\n    json: {password: SECRET}\n")},
	{"a scenario's query", password, scenario("requests:\n  - path: /a?sig=SECRET&n=1\n  - path: /b?plain=SECRET\n")},
	{"a scenario's header that is refused", password, scenario("requests:\n  - path: /\n    headers:\n      Authorization: |\n        Bearer SECRET\n")},
	// Settings of servers, which are read for the copy that is derived of them.
	{"nginx", password, settings("n.conf", fmt.Sprintf(nginxConf, `proxy_set_header Authorization "Bearer SECRET"`), "nginx", "-c", "n.conf")},
	{"nginx's basic", encoded, settings("n.conf", fmt.Sprintf(nginxConf, `proxy_set_header Authorization "Basic SECRET"`), "nginx", "-c", "n.conf")},
	{"nginx's variable", password, settings("n.conf", fmt.Sprintf(nginxConf, `if ($arg_key = SECRET) { return 403; }; fastcgi_param DB_PASS SECRET`), "nginx", "-c", "n.conf")},
	{"php-fpm", password, settings("p.conf", "[www]\nlisten = 9000\npm = static\npm.max_children = 2\nenv[DB_PASS] = SECRET\n", "php-fpm8.2", "-F", "-y", "p.conf")},
	{"uWSGI", password, settings("u.ini", "[uwsgi]\nmodule = app:app\nenv = MASTERKEY=SECRET\nhttp-auth = u:SECRET\n", "uwsgi", "--ini", "u.ini")},
	{"Apache", password, settings("a.conf", "Listen 80\nSetEnv DB_PASS SECRET\nRequestHeader set Authorization \"Bearer SECRET\"\n", "apache2", "-f", "a.conf")},
	// The environment of advise, which the server inherits.
	{"the environment", password, variable("DB_PASS")},
	{"the environment's address", strange, func(p *planting, s string) { variable("DATABASE_URL")(p, "postgres://u:"+s+"@h/d") }},
}

// plant puts a secret of a kind into a new folder, in which the applications are that commands name.
func plant(t *testing.T, r *rand.Rand, kind secretKind) (p *planting, secret string) {
	t.Helper()
	p = &planting{t: t, r: r, dir: t.TempDir()}
	p.file("app.py", "def app(environ, start):\n    start('200 OK', [])\n    return [b'x']\n")
	p.file("server.js", "\n")
	p.file("server", "#!/bin/sh\n")
	if err := os.Chmod(filepath.Join(p.dir, "server"), 0o755); err != nil {
		t.Fatal(err)
	}
	secret = kind.value(r)
	kind.plant(p, secret)
	return p, secret
}
