package targets

import (
	"strings"
	"testing"

	"advise/targets/mask"
)

// What is made of a command and of a user's files, for people to read, has none of their secrets in it,
// whatever the server.
func TestNoSecretLeavesAnAdapter(t *testing.T) {
	const secret = "PL4NTEDh3re"
	for name, test := range map[string]struct {
		argv  []string
		files map[string]string
	}{
		"gunicorn": {
			argv:  []string{"gunicorn", "-e", "DB_PASS=" + secret, "--statsd-host", "http://u:" + secret + "@h", "app:app"},
			files: map[string]string{"gunicorn.conf.py": "accesslog = 'x'\nraw_env = ['KEY=" + secret + "']\n"},
		},
		"uvicorn":   {argv: []string{"uvicorn", "--header", "X-Key:" + secret, "app:app"}},
		"hypercorn": {argv: []string{"hypercorn", "--statsd-host", "u:" + secret + "@h:1", "app:app"}},
		"granian":   {argv: []string{"granian", "--interface", "asgi", "--ssl-keyfile-password", secret, "app:app"}},
		"waitress":  {argv: []string{"waitress-serve", "--url-prefix", "/" + secret + "-eyJhbGciOiJIUzI1NiJ9" + secret, "app:app"}},
		"puma": {
			argv:  []string{"puma", "-C", "puma.rb", "--control-token", secret},
			files: map[string]string{"puma.rb": "ENV['DB_PASS'] = '" + secret + "'\nactivate_control_app 'tcp://127.0.0.1:9293', { auth_token: '" + secret + "' }\n"},
		},
		"unicorn": {argv: []string{"unicorn", "-c", "unicorn.rb"}, files: map[string]string{"unicorn.rb": "ENV['K'] = '" + secret + "'\nworker_processes 2\n", "config.ru": ""}},
		"node":    {argv: []string{"node", "server.js", "--token", secret}, files: map[string]string{"server.js": ""}},
		"php-fpm": {argv: []string{"php-fpm", "-y", "fpm.conf"}, files: map[string]string{"fpm.conf": "[global]\nerror_log = x\n[www]\nuser = nobody\nlisten = 127.0.0.1:9000\npm = static\npm.max_children = 5\nenv[DB_PASS] = " + secret +
			"\nenv[FOO] = '" + secret + "'\nphp_admin_value[mysqli.default_pw] = " + secret + "\n"}},
		"nginx": {argv: []string{"nginx", "-c", "nginx.conf"}, files: map[string]string{"nginx.conf": "events {}\nhttp { server { listen 8000; location / {\nproxy_set_header Authorization \"Bearer " + secret +
			"\";\nfastcgi_param DB_PASS " + secret + ";\nsecure_link_md5 \"$uri " + secret + "\";\nif ($arg_key = \"" + secret + "\") { return 200; }\nproxy_set_header X-Y " + secret + ";\nreturn 200; } } }\n"}},
		"uwsgi":    {argv: []string{"uwsgi", "--ini", "u.ini"}, files: map[string]string{"u.ini": "[uwsgi]\nhttp = :8000\nmodule = app\nprocesses = 2\nenv = DB_PASS=" + secret + "\nMASTERKEY=" + secret + "\nhttp-auth = u:" + secret + "\n"}},
		"lighttpd": {argv: []string{"lighttpd", "-f", "l.conf"}, files: map[string]string{"l.conf": "server.document-root = \"/srv\"\nserver.port = 8000\nserver.max-worker = 2\nsetenv.add-environment = (\n  \"DB_PASS\" => \"" + secret + "\",\n  \"X\" => \"" + secret + "\" )\n"}},
		"command":  {argv: []string{"serve", "--db", "redis://" + secret + "@h", "-p", "{port}", "-w", "{workers}"}},
		"env":      {argv: []string{"env", "STRIPE_KEY=" + secret, "FOO=" + secret, "gunicorn", "app:app"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := folder(t, test.files)
			target, err := Recognise(Command{Argv: test.argv, Dir: dir, Env: append(withPath(t), "GUNICORN_CMD_ARGS=-e X="+secret)})
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			scratch := t.TempDir()
			shape := Shape{Workers: 2}
			launch, err := target.Launch(shape, Place{Host: loopback, Port: 8000, Scratch: scratch})
			if err != nil {
				t.Fatal(err)
			}
			derived := func(f File) string { out.WriteString(f.Text); return f.Path }
			if _, err := writeFiles(launch.Files, scratch, derived); err != nil {
				t.Fatal(err)
			}
			out.WriteString(show(launch.Argv))
			for _, variable := range launch.Env {
				out.WriteString(mask.Variable(variable) + "\n")
			}
			for _, f := range target.Adapter.Config(target.Command, shape) {
				out.WriteString(f.Text)
			}
			_, kept := target.Kept()
			out.WriteString(strings.Join(kept, "\n") + target.Found)
			if strings.Contains(out.String(), secret) {
				t.Errorf("it is in\n%s", out.String())
			}
		})
	}
}
