package targets

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"advise/targets/hold"
	"advise/targets/targetstest"
)

func TestRecognisesServers(t *testing.T) {
	for line, want := range map[string]string{ // the adapter's name
		"uvicorn app:app":                           "uvicorn",
		"python -m uvicorn app:app":                 "uvicorn",
		"uv run uvicorn app:app --reload":           "uvicorn",
		"gunicorn -k uvicorn.workers.UvicornWorker": "gunicorn",
		"hypercorn app:app":                         "hypercorn",
		"granian --interface asgi app:app":          "granian",
		"waitress-serve --port=80 app:app":          "waitress",
		"python3 -m waitress app:app":               "waitress",
		"uwsgi --module app:app":                    "uwsgi",
		"uwsgi_python3 -w app":                      "uwsgi",
		"nginx-debug -c x":                          "command",
		"lighttpdx":                                 "command",
		"puma":                                      "puma",
		"bundle exec puma":                          "puma",
		"bundle exec puma -C config/puma.rb":        "puma",
		"bin/puma -p 3000":                          "puma",
		"unicorn_rails -c config/unicorn.rb":        "unicorn",
		"unicorn":                                   "unicorn",
		"node server.js":                            "node",
		"env A=1 node --max-old-space-size=9 a.js":  "node",
		"node -r dotenv/config server.js":           "node",
		"node -e 1":                                 "command",
		"node":                                      "command",
		"npm start":                                 "command",
		"systemctl reload-or-restart nginx":         "",
		"php artisan serve":                         "command",
		"rails server":                              "command",
		"./uvicorn.sh":                              "command",
	} {
		target, err := Recognise(Command{Argv: strings.Fields(line), Dir: t.TempDir()})
		got := ""
		if err == nil {
			got = target.Adapter.Name()
		}
		if got != want {
			t.Errorf("%s: got %q (%v), want %q", line, got, err, want)
		}
	}
}

// The rewritten command lines: count and address are advise's, what belongs to another server or
// would leave a trace is gone, and the rest is the user's.
func TestLaunches(t *testing.T) {
	p := Place{Host: "127.0.0.1", Port: 8123, Scratch: "/s"}
	for line, want := range map[string]string{
		"uvicorn --port 80 --host=0.0.0.0 --workers 9 --reload --reload-dir x app:app": "uvicorn --workers 3 --host 127.0.0.1 --port 8123 app:app",
		"uvicorn --uds /run/x --loop uvloop --no-access-log --app-dir src app:app":     "uvicorn --workers 3 --host 127.0.0.1 --port 8123 --loop uvloop --no-access-log --app-dir src app:app",
		"hypercorn -b :80 -w9 -D -p pid -k uvloop app:app":                             "hypercorn --workers 3 --bind 127.0.0.1:8123 -k uvloop app:app",
		"granian --port 80 --workers=9 --backpressure 8 --metrics app:app":             "granian --workers 3 --host 127.0.0.1 --port 8123 --backpressure 8 app:app",
		"waitress-serve --listen=*:80 --threads=9 --call app:make":                     "waitress-serve --threads=3 --listen=127.0.0.1:8123 --call app:make",
		"puma -w 9 -p 80 -t 2:2 -S state --control-url x -e production":                "puma -w 3 -b tcp://127.0.0.1:8123 --control-url unix:///s/control --control-token none -S /s/state --pidfile /s/pid -t 2:2 -e production",
		"unicorn -D -l :80 -E production x.ru":                                         "unicorn -c /s/unicorn.rb -E production x.ru",
		"uwsgi --http :80 -p 9 --cheaper 2 --threads 2 -w app --enable-threads":        "uwsgi --ini /s/uwsgi.ini --threads 2 -w app --enable-threads",
		"uwsgi shop.ini:prod --master":                                                 "uwsgi --ini /s/uwsgi.ini",
		"node --enable-source-maps server.js -p {port}":                                "node --enable-source-maps /s/cluster.js",
		"node server.js --count {workers} --port {port}":                               "node server.js --count 3 --port 8123",
	} {
		target, err := Recognise(Command{Argv: strings.Fields(line), Dir: folder(t, map[string]string{"shop.ini": "[prod]\nmodule = x\n"})})
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		l, err := target.Adapter.Launch(target.Command, Shape{Workers: 3}, p)
		if got := strings.Join(l.Argv, " "); err != nil || got != want {
			t.Errorf("%s (%v):\n got %s\nwant %s", line, err, got, want)
		}
	}
}

func TestLaunchShapes(t *testing.T) {
	p := Place{Host: "127.0.0.1", Port: 8123, Scratch: "/s"}
	for line, want := range map[string]string{ // with four threads
		"granian --interface wsgi": "--blocking-threads 4",
		"puma -t 1:9":              "-t 4:4",
		"uwsgi --threads 2":        "",
		"gunicorn -k gthread":      "--threads 4",
	} {
		target, err := Recognise(Command{Argv: strings.Fields(line), Dir: t.TempDir(), Version: "1"})
		if err != nil {
			t.Fatal(err)
		}
		l, err := target.Adapter.Launch(target.Command, Shape{Workers: 3, Threads: 4}, p)
		if err != nil || !strings.Contains(strings.Join(l.Argv, " "), want) {
			t.Errorf("%s: %q (%v), want %q in it", line, l.Argv, err, want)
		}
		if target.Adapter.Name() == "uwsgi" && (!strings.Contains(l.Files[0].Text, "\nthreads = 4\n") || strings.Contains(strings.Join(l.Argv, " "), "--threads")) {
			t.Errorf("%s: %q, %s", line, l.Argv, l.Files[0].Text)
		}
	}
}

// What the samples ask for by themselves.
func TestShapes(t *testing.T) {
	for line, want := range map[string]Shape{
		"uvicorn app:app":                         {Workers: 7, Threads: 1}, // WEB_CONCURRENCY
		"uvicorn --workers 2 app:app":             {Workers: 2, Threads: 1},
		"hypercorn -k trio app:app":               {Workers: 1, Threads: 1, Class: "trio"},
		"granian --blocking-threads 3 app:app":    {Workers: 1, Threads: 3},
		"waitress-serve app:app":                  {Workers: 4, Threads: 1},
		"puma -C {apps}/rack/puma.rb":             {Workers: 7, Threads: 2},
		"puma -w 2 -t 1:3":                        {Workers: 2, Threads: 3},
		"puma -t 4":                               {Workers: 7, Threads: 4},
		"unicorn -c {apps}/rack/unicorn.rb":       {Workers: 7, Threads: 1, Preload: PreloadOn},
		"unicorn":                                 {Workers: 1, Threads: 1, Preload: PreloadOff},
		"uwsgi --ini {apps}/wsgi/cost.ini":        {Workers: 12, Threads: 1, Preload: PreloadOn},
		"uwsgi --ini {apps}/seen/lazy.ini":        {Workers: 1, Threads: 4, Preload: PreloadOff},
		"uwsgi -w app --lazy":                     {Workers: 1, Threads: 1, Preload: PreloadOff},
		"puma -C {apps}/seen/on.rb":               {Workers: 7, Threads: 2, Preload: PreloadOn},
		"puma --preload":                          {Workers: 7, Threads: 5, Preload: PreloadOn},
		"granian --interface wsgi app:app":        {Workers: 1}, // as many threads as there are requests
		"serve --threads {threads}":               {Workers: 7, Threads: 1},
		"uwsgi --ini {apps}/wsgi/cost.ini -p 2":   {Workers: 2, Threads: 1, Preload: PreloadOn},
		"nginx -c {apps}/static/nginx.conf":       {Threads: 1}, // auto
		"lighttpd -f {apps}/static/lighttpd.conf": {Workers: 1, Threads: 1},
		"apache2 -f {apps}/php/apache.conf":       {Workers: 7, Threads: 1, Class: "prefork"},
		"apache2 -f {apps}/static/apache.conf":    {Workers: 6, Threads: 25, Class: "event"},
		"node server.js":                          {Workers: 1, Threads: 1},
		"node {apps}/cluster/server.js":           {Workers: 7, Threads: 1},
	} {
		line = strings.ReplaceAll(line, "{apps}", strings.TrimSuffix(targetstest.App(""), "/"))
		c := Command{Argv: strings.Fields(line), Env: []string{"WEB_CONCURRENCY=7"}, Dir: t.TempDir()}
		for _, a := range adapters {
			if a.Recognise(c.Argv) {
				if diff := cmp.Diff(want, a.Shape(c)); diff != "" {
					t.Errorf("%s: %s (-want +got):\n%s", line, a.Name(), diff)
				}
				break
			}
		}
	}
}

func TestWorkers(t *testing.T) {
	p := func(pid, parent int, command, title string) hold.Process {
		return hold.Process{PID: pid, Parent: parent, Command: command, Title: title}
	}
	const (
		tracker = "python3 -c from multiprocessing.resource_tracker import main;main(4)"
		spawn   = "python3 -c from multiprocessing.spawn import spawn_main; spawn_main()"
	)
	for name, test := range map[string]struct {
		adapter Adapter
		tree    []hold.Process
		want    int
	}{
		"uvicorn alone":          {uvicorn{}, []hold.Process{p(10, 1, "uvicorn", "uvicorn app:app")}, 1},
		"uvicorn behind uv":      {uvicorn{}, []hold.Process{p(9, 1, "uv", "uv run"), p(10, 9, "uvicorn", "uvicorn app:app")}, 1},
		"uvicorn and its helper": {uvicorn{}, []hold.Process{p(10, 1, "uvicorn", "u"), p(11, 10, "python3", tracker), p(12, 10, "python3", spawn), p(13, 10, "python3", spawn)}, 2},
		"without titles":         {uvicorn{}, []hold.Process{p(10, 1, "u", ""), p(11, 10, "p", ""), p(12, 10, "p", ""), p(13, 10, "p", "")}, 2},
		"nothing":                {uvicorn{}, nil, 0},
		"hypercorn forked":       {hypercorn{}, []hold.Process{p(10, 1, "hypercorn", "h -w 2"), p(11, 10, "hypercorn", "h -w 2"), p(12, 10, "hypercorn", "h -w 2")}, 2},
		"nginx with a cache": {nginx{}, []hold.Process{
			p(10, 1, "nginx", "nginx: master process nginx"), p(11, 10, "nginx", "nginx: worker process"),
			p(12, 10, "nginx", "nginx: cache manager process"), p(13, 10, "nginx", "nginx: worker process is shutting down"),
		}, 2},
		"php-fpm behind nginx": {phpfpm{}, []hold.Process{
			p(8, 1, "sh", "sh -c"), p(9, 8, "nginx", "nginx: master process"), p(10, 8, "php-fpm", "php-fpm: master process (x)"),
			p(11, 9, "nginx", "nginx: worker process"), p(12, 10, "php-fpm", "php-fpm: pool www"),
		}, 1},
		"uWSGI with a router": {uwsgi{}, []hold.Process{
			p(10, 1, "uwsgi", "uWSGI master"), p(11, 10, "uwsgi", "uWSGI worker 1"), p(12, 10, "uwsgi", "uWSGI http 1"),
		}, 1},
		"unicorn":        {unicorn{}, []hold.Process{p(10, 1, "ruby", "unicorn master -c x"), p(11, 10, "ruby", "unicorn worker[0] -c x")}, 1},
		"lighttpd alone": {lighttpd{}, []hold.Process{p(10, 1, "lighttpd", "lighttpd -D")}, 1},
		"Apache with mod_cgid": {apache{}, []hold.Process{
			{PID: 10, Parent: 1, Command: "apache2", Threads: 1},
			{PID: 11, Parent: 10, Command: "apache2", Threads: 1},
			{PID: 12, Parent: 10, Command: "apache2", Threads: 27},
			{PID: 13, Parent: 10, Command: "apache2", Threads: 27},
		}, 2},
	} {
		got, ok := test.adapter.Workers(test.tree, 10)
		if len(got) != test.want || !ok {
			t.Errorf("%s: %d workers (%v), want %d", name, len(got), ok, test.want)
		}
	}
}

func TestNginxDerived(t *testing.T) {
	dir := folder(t, map[string]string{
		"nginx.conf": `
user www-data; worker_processes auto; # as many as there are
pid /run/nginx.pid;
error_log /var/log/x warn;
include modules/*.conf;
stream { server { listen 9; } }
events { worker_connections 9; }
http {
  proxy_cache_path /var/cache/x levels=1:2 keys_zone=a:10m;
  access_log "/var/log/a b" combined;
  map $a ${b} { default "x;y"; }
  include sites/*;
  server { listen 443 ssl default_server; ssl_certificate c.pem; auth_basic_user_file users; location / { access_log off; return 200 'a{b}'; } }
}
`,
		"sites/shop": "server { listen [::]:80 reuseport; listen 80 default_server backlog=5 reuseport; server_name a; error_log /var/log/y;\n" +
			"content_by_lua_block { if a then b = { 1 } end } }\nserver { server_name b; }\n",
	})
	conf, err := loadNginx(dir + "/nginx.conf")
	if err != nil {
		t.Fatal(err)
	}
	want := `worker_processes 2;
daemon off;
pid /s/nginx.pid;
error_log stderr;
user www-data;
events {
    worker_connections 9;
}
http {
    client_body_temp_path /s/client_body;
    proxy_temp_path /s/proxy;
    fastcgi_temp_path /s/fastcgi;
    uwsgi_temp_path /s/uwsgi;
    scgi_temp_path /s/scgi;
    proxy_cache_path /s/cache0 levels=1:2 keys_zone=a:10m;
    access_log /s/access.log combined;
    map $a ${b} {
        default "x;y";
    }
    server {
        listen 127.0.0.1:80 reuseport default_server backlog=5;
        server_name a;
        content_by_lua_block { if a then b = { 1 } end }
    }
    server {
        listen 127.0.0.1:80;
        server_name b;
    }
    server {
        listen 127.0.0.1:80;
        auth_basic_user_file "` + dir + `/users";
        location / {
            access_log off;
            return 200 'a{b}';
        }
    }
}
`
	if diff := cmp.Diff(want, conf.derived(Shape{Workers: 2}, Place{Host: "127.0.0.1", Port: 80, Scratch: "/s"})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestApacheDerived(t *testing.T) {
	dir := folder(t, map[string]string{
		"apache.conf": `LoadModule mpm_event_module modules/mod_mpm_event.so
LoadModule cgid_module modules/mod_cgid.so
ScriptSock ${APACHE_RUN_DIR}/cgisock
# Listen 1
Listen 80
Listen 443
IncludeOptional sites/*.conf
IncludeOptional none/*.conf
User ${APACHE_RUN_USER}
CustomLog "|/usr/bin/rotate -l" common
<IfModule mpm_event_module>
  MaxRequestWorkers 75
</IfModule>
`,
		"sites/a.conf": "<VirtualHost *:80 [::]:80>\nServerName a\nErrorLog x\n</VirtualHost>\n<VirtualHost _default_:443>\nSSLEngine on\n</VirtualHost>\n",
	})
	conf, err := loadApache(dir+"/apache.conf", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	want := `ServerName 127.0.0.1
DefaultRuntimeDir "/s"
PidFile "/s/pid"
ErrorLog /dev/stderr
Listen 127.0.0.1:8123
LoadModule mpm_prefork_module modules/mod_mpm_prefork.so
LoadModule cgi_module modules/mod_cgi.so
<VirtualHost *:8123>
ServerName a
</VirtualHost>
User ${APACHE_RUN_USER}
CustomLog "/s/access.log" common
<IfModule mpm_event_module>
</IfModule>
<VirtualHost *:8123>
ServerName advise-status.invalid
<Location "/advise-status">
SetHandler server-status
<IfModule authz_core_module>
Require all granted
</IfModule>
<IfModule rewrite_module>
RewriteEngine off
</IfModule>
<IfModule proxy_module>
ProxyPass !
</IfModule>
</Location>
</VirtualHost>
<IfModule mpm_prefork_module>
    ServerLimit            2
    StartServers           2
    MinSpareServers        2
    MaxSpareServers        2
    MaxRequestWorkers      2
</IfModule>
`
	got := conf.derived(Shape{Workers: 2, Threads: 1, Class: "prefork"}, Place{Host: "127.0.0.1", Port: 8123, Scratch: "/s"})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFPMDerived(t *testing.T) {
	conf, err := loadFPM(targetstest.App("php")+"/php-fpm.conf", "")
	if err != nil {
		t.Fatal(err)
	}
	want := `[global]
error_log = /dev/stderr
daemonize = no
pid = /s/php-fpm.pid

[www]
user = www-data
group = www-data
access.log = /s/access.log
listen = /s/fpm.sock
listen.mode = 0666
pm = static
pm.max_children = 2
pm.status_path = /advise-status
`
	if diff := cmp.Diff(want, conf.derived(Shape{Workers: 2}, Place{Scratch: "/s"})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestLighttpdDerived(t *testing.T) {
	dir := folder(t, map[string]string{
		"l.conf": "include \"mods/*.conf\"\ninclude \"none/*.conf\"\ninclude_shell \"/usr/share/lighttpd/use-ipv6.pl \" + server.port\n" +
			"$SERVER[\"socket\"] == \":443\" { ssl.engine = \"enable\" }\nserver.errorlog = \"/var/log/x\"\n",
		"mods/a.conf": "accesslog.filename = \"/var/log/y\"\n",
	})
	text, err := readLighttpd(Command{Argv: []string{"lighttpd", "-f", "l.conf"}, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	want := `accesslog.filename := "/dev/null"

$HTTP["host"] == "nowhere.invalid" { ssl.engine = "enable" }

server.bind := "127.0.0.1"
server.port := 8123
server.max-worker := 2
server.pid-file := "/s/lighttpd.pid"
server.upload-dirs := ( "/" )
`
	if diff := cmp.Diff(want, deriveLighttpd(text, Shape{Workers: 2}, Place{Host: "127.0.0.1", Port: 8123, Scratch: "/s"})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Files that name each other, or files that are not there, are refused with the way out.
func TestConfigurationsRefused(t *testing.T) {
	dir := folder(t, map[string]string{
		"loop.conf": "include loop.conf;\n", "open.conf": "http {\n", "lost.conf": "include nothing.conf;\n",
		"loop.apache": "Include loop.apache\n", "lost.apache": "Include nothing.conf\n",
		"loop.light": "include \"loop.light\"\n",
		"loop.fpm":   "include = loop.fpm\n", "none.fpm": "[global]\npid = x\n",
	})
	for line, want := range map[string]string{
		"nginx -c loop.conf":       "include each other",
		"nginx -c open.conf":       "line 2: it is not as nginx writes it",
		"nginx -c lost.conf":       "there is no such file",
		"nginx -c none.conf":       "no such file",
		"apache2 -f loop.apache":   "include each other",
		"apache2 -f lost.apache":   "there is no such file",
		"php-fpm8.2 -y loop.fpm":   "include each other",
		"php-fpm8.2 -y none.fpm":   "no pool",
		"lighttpd -f none.conf":    "no such file",
		"lighttpd -f loop.light":   "include each other",
		"uwsgi --emperor /vassals": "--emperor can't be varied",
		"uwsgi --ini none.ini":     "no such file",
	} {
		_, err := Recognise(Command{Argv: strings.Fields(line), Dir: dir})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", line, err, want)
		}
	}
}

func FuzzNginx(f *testing.F) {
	for _, text := range []string{"a b;", "http { server { listen 80; } }", "x_by_lua_block { { } }", "'a\\' b' \"c\";", "${a} $b;", "#", "a{", "}", "\\", "x_by_lua_block {}"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := parseNginx(text)
		if err != nil {
			return
		}
		// What was written from what was read says the same when it is read again.
		var written strings.Builder
		for _, d := range parsed {
			d.write(&written, 0)
		}
		again, err := parseNginx(written.String())
		if err != nil || !cmp.Equal(parsed, again, cmp.AllowUnexported(nginxDirective{})) {
			t.Errorf("%q became %q (%v)", text, written.String(), err)
		}
		nginxConf{directives: parsed, dir: "/d"}.derived(Shape{Workers: 2}, Place{Host: "h", Port: 1, Scratch: "/s"})
	})
}

func FuzzApache(f *testing.F) {
	for _, text := range []string{"Listen 80\n", "<VirtualHost *:80>\nSSLEngine on\n", "<VirtualHost *:1>\nRedirect / https://a\n", "Define a ${a}\n", "CustomLog \"a b\" c\n", "<IfModule mpm_x_module>\n<IfModule y>\n</IfModule>\n", "a \\\n b\n", "CustomLog"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		conf := apacheConf{root: "/d"}
		lines, err := (&apacheReader{root: "/d"}).include(text, deepestInclude)
		if err != nil {
			return
		}
		conf.lines = lines
		conf.setting("maxrequestworkers")
		derived := conf.derived(Shape{Workers: 2, Threads: 1, Class: "prefork"}, Place{Host: "h", Port: 1, Scratch: "/s"})
		listens := 0
		for line := range strings.Lines(derived) {
			if apacheName(strings.TrimSpace(line)) == "listen" {
				listens++
			}
		}
		if listens != 1 {
			t.Errorf("%q listens %d times:\n%s", text, listens, derived)
		}
	})
}

// Of several pools the usual one is measured, which is said with the way to another; without it nothing is.
func TestFPMPools(t *testing.T) {
	targetstest.Need(t, "nginx") // which it is refused without
	dir := folder(t, map[string]string{
		"fpm.conf":         "include = pools/*.conf\n",
		"pools/admin.conf": "[admin]\npm.max_children = 3\n", "pools/www.conf": "[www]\npm.max_children = 5\n",
		"two.conf": "[a]\npm.max_children = 3\n[b]\n", "far.conf": "include = far/*.conf\n",
		"far/a.conf": "[a]\n", "far/b.conf": "[b]\n[c]\n",
	})
	for line, want := range map[string]struct {
		workers int
		said    string // in what is found, or in the hint
	}{
		"php-fpm8.2 -y fpm.conf -R":        {5, "of the pools admin, www, www is measured and the others are left out; another one by its own file: advise -- php-fpm8.2 -y " + dir + "/pools/admin.conf -R"},
		"php-fpm8.2 -y pools/admin.conf":   {3, ""},
		"php-fpm8.2 -y two.conf":           {0, "name a file with one of them: advise -- php-fpm8.2 -y /path/to/pool.conf"},
		"php-fpm8.2 --fpm-config far.conf": {0, "advise -- php-fpm8.2 --fpm-config " + dir + "/far/a.conf"},
	} {
		target, err := Recognise(Command{Argv: strings.Fields(line), Env: os.Environ(), Dir: dir})
		var refused *RefusedError
		switch {
		case want.workers == 0:
			if !errors.As(err, &refused) || !strings.Contains(err.Error(), "several pools") || !strings.Contains(refused.Hint, want.said) {
				t.Errorf("%s: got %v", line, err)
			}
		case err != nil:
			t.Errorf("%s: %v", line, err)
		case target.Found != want.said || target.Shape().Workers != want.workers:
			t.Errorf("%s: %d workers and %q, want %d and %q", line, target.Shape().Workers, target.Found, want.workers, want.said)
		}
	}
}
