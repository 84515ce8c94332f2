package targets

import (
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"advise/targets/targetstest"
)

// A logged is a server that its user has told to write logs and other files of its own into the folder {own}.
type logged struct {
	need    string
	command string
	app     string            // folder of targets/testdata/apps
	files   map[string]string // of the user's, beside it
	page    string
	// lines is a file in the scratch folder that has the lines of the requests; empty: they go to the log, to
	// nowhere, or there are none.
	lines string
}

const (
	logToFiles = `{"version": 1, "disable_existing_loggers": false, "handlers": {"f": {"class": "logging.FileHandler", "filename": "{own}/app.log"}},
"root": {"handlers": ["f"], "level": "DEBUG"}, "loggers": {"gunicorn.access": {"handlers": ["f"], "level": "INFO", "propagate": false}}}`
	fpmOwn = "[global]\nerror_log = {own}/error.log\npid = {own}/pid\n[www]\nuser = www-data\nlisten = {own}/socket\npm = static\npm.max_children = 4\n" +
		"access.log = {own}/access.log\nslowlog = {own}/slow.log\nrequest_slowlog_timeout = 5s\nphp_admin_value[error_log] = {own}/php.log\n"
	apacheOwn = "LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so\nLoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so\n" +
		"ServerRoot {dir}\nListen 1\nPidFile {own}/pid\nErrorLog {own}/error.log\nDocumentRoot {dir}\n" +
		"LogFormat \"%h %r\" short\nCustomLog {own}/access.log short\nCustomLog \"|/bin/cat >>{own}/piped.log\" short\n" +
		"<VirtualHost *:1>\nTransferLog {own}/host.log\nErrorLog {own}/host.err\n</VirtualHost>\n<Directory {dir}>\nRequire all granted\n</Directory>\n"
	nginxOwn = "pid {own}/pid;\nerror_log {own}/error.log;\nevents {}\nhttp {\naccess_log {own}/access.log;\nserver { listen 1; root {dir}; error_log {own}/server.log debug;\n" +
		"location / { access_log {own}/location.log; access_log {own}/second.log; } } }\n"
	lighttpdOwn = "server.modules = ( \"mod_accesslog\" )\nserver.port = 1\nserver.document-root = \"{dir}\"\nserver.pid-file = \"{own}/pid\"\n" +
		"server.errorlog = \"{own}/error.log\"\naccesslog.filename = \"{own}\" + \"/access.log\"\n$HTTP[\"host\"] =~ \".\" { accesslog.filename = \"{own}/host.log\" }\n"
	uwsgiOwn = "[uwsgi]\nplugin = python3\nmodule = cost:app\nhttp-socket = {own}/socket\npidfile = {own}/pid\ndaemonize = {own}/log\nlogto2 = {own}/log2\n" +
		"req-logger = file:{own}/requests\nstats = {own}/stats\nmaster-fifo = {own}/fifo\nflock = {own}/lock\n"
	pumaOwn = "stdout_redirect '{own}/out', '{own}/err', true\npidfile '{own}/pid'\nstate_path '{own}/state'\n" +
		"activate_control_app 'unix://{own}/control'\nbind 'unix://{own}/socket'\nlog_requests\n"
)

var loggedServers = map[string]logged{
	"gunicorn file": {
		need: "gunicorn", command: "gunicorn cost:app", app: "wsgi", lines: accessLog,
		files: map[string]string{"gunicorn.conf.py": "own = '{own}'\naccesslog = own + '/access'\nerrorlog = own + '/error'\npidfile = own + '/pid'\ndaemon = True\n"},
	},
	"gunicorn pypi file": {
		need: "pypi/gunicorn", command: "gunicorn cost:app", app: "wsgi", lines: accessLog,
		files: map[string]string{"gunicorn.conf.py": "accesslog = '{own}/access'\nerrorlog = '{own}/error'\nlogconfig_json = 'log.json'\n", "log.json": logToFiles},
	},
	"gunicorn options": {
		need: "gunicorn", app: "wsgi", lines: accessLog,
		command: "gunicorn --access-logfile {own}/access --error-logfile {own}/error --capture-output -p {own}/pid cost:app",
	},
	"gunicorn variable": {
		need: "gunicorn", app: "wsgi", lines: accessLog,
		command: "env GUNICORN_CMD_ARGS=--access-logfile={own}/access gunicorn --log-file {own}/error cost:app",
	},
	"uvicorn": {
		need: "uvicorn", command: "uvicorn --log-config log.json app:app", app: "asgi",
		files: map[string]string{"log.json": logToFiles},
	},
	"hypercorn options": {
		need: "hypercorn", command: "hypercorn --access-logfile {own}/access --log-file {own}/error -p {own}/pid app:app", app: "asgi", lines: accessLog,
	},
	"hypercorn pypi file": {
		need: "pypi/hypercorn", command: "hypercorn -c h.toml app:app", app: "asgi", lines: accessLog,
		files: map[string]string{"h.toml": "accesslog = '{own}/access'\nerrorlog = '{own}/error'\npid_path = '{own}/pid'\n"},
	},
	"hypercorn python": {
		need: "pypi/hypercorn", command: "hypercorn -c file:h.py app:app", app: "asgi", lines: accessLog,
		files: map[string]string{"h.py": "accesslog = '{own}' + '/access'\nerrorlog = '{own}/error'\n"},
	},
	"granian": {
		need: "pypi/granian", command: "granian --interface wsgi --log-config log.json --pid-file {own}/pid cost:app", app: "wsgi",
		files: map[string]string{"log.json": logToFiles},
	},
	"uwsgi":         {need: "uwsgi", command: "uwsgi --ini own.ini", app: "wsgi", files: map[string]string{"own.ini": uwsgiOwn}},
	"uwsgi options": {need: "uwsgi", command: "uwsgi --plugin python3 -w cost:app --logto {own}/log --http-socket :1 --pidfile2 {own}/pid", app: "wsgi"},
	"nginx":         {need: "nginx", command: "nginx -c {dir}/own.conf", app: "static", files: map[string]string{"own.conf": nginxOwn}, lines: accessLog},
	"lighttpd":      {need: "lighttpd", command: "lighttpd -f own.conf", app: "static", page: "/index.html", files: map[string]string{"own.conf": lighttpdOwn}},
	"apache": {
		need: "apache2", command: "apache2 -f {dir}/own.conf", app: "static", page: "/index.html", lines: accessLog,
		files: map[string]string{"own.conf": apacheOwn},
	},
	"php-fpm": {need: "php-fpm8.2", command: "php-fpm8.2 -y own.conf", app: "php", lines: "access.log", files: map[string]string{"own.conf": fpmOwn}},
	"puma file": {
		need: "puma", command: "puma -C own.rb", app: "rack", lines: accessLog, files: map[string]string{"own.rb": pumaOwn},
	},
	"puma default file": {
		need: "puma", command: "env RACK_ENV=production puma", app: "rack", lines: accessLog,
		files: map[string]string{"config/puma/production.rb": pumaOwn},
	},
	"puma options": {
		need: "puma", command: "puma -v --redirect-stdout {own}/out --redirect-stderr {own}/err --redirect-append", app: "rack", lines: accessLog,
	},
	"unicorn": {
		need: "unicorn", command: "unicorn -c own.rb", app: "rack",
		files: map[string]string{"own.rb": "logger Logger.new('{own}/log')\nstderr_path '{own}/err'\nstdout_path '{own}/out'\npid '{own}/pid'\nlisten '{own}/socket'\n"},
	},
}

// A server told to write into files of its user's leaves them as they are, makes none there, and still
// writes a line for each request where it did.
func TestServersLogElsewhere(t *testing.T) {
	for name, l := range loggedServers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, own := targetstest.Copied(t, l.app), t.TempDir()
			fill := strings.NewReplacer("{dir}", dir, "{own}", own)
			for file, text := range l.files {
				put(t, filepath.Join(dir, file), fill.Replace(text))
			}
			// A server that changes its user could write there too.
			if err := os.Chmod(own, 0o777); err != nil {
				t.Fatal(err)
			}
			before := map[string]string{}
			for _, file := range []string{"access", "error", "log", "out", "err", "access.log", "error.log"} {
				put(t, filepath.Join(own, file), "the user's\n")
				before[file] = "the user's\n"
			}
			r := realServer{need: l.need}
			target, err := Recognise(Command{Argv: replaceProgram(fill.Replace(l.command), r.program(t)), Env: marked(t), Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			i, err := unlimited(t, target, 2, func(s *Start) { s.Probe.Path = l.page })
			if err != nil {
				t.Fatalf("%v\n%s", err, logOf(err))
			}
			for range 3 {
				if a := (Probe{Path: l.page}).ask(t.Context(), i.URL, 5*time.Second); a.status != http.StatusOK {
					t.Errorf("the page %v", a)
				}
			}
			if l.lines != "" {
				lines := eventually(t, filepath.Join(i.place.Scratch, l.lines))
				if !strings.Contains(lines, "GET /") {
					t.Errorf("the requests are logged as %q, want lines of them", lines)
				}
			}
			if err := i.Stop(t.Context()); err != nil {
				t.Fatal(err)
			}
			after := map[string]string{}
			entries, err := os.ReadDir(own)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				text, _ := os.ReadFile(filepath.Join(own, e.Name()))
				after[e.Name()] = string(text)
			}
			if !maps.Equal(before, after) {
				t.Errorf("the user's folder has %q, had %q", after, before)
			}
		})
	}
}

// eventually is the text of a file once there is any: some servers write with a delay.
func eventually(t *testing.T, path string) string {
	t.Helper()
	var text []byte
	for deadline := time.Now().Add(5 * time.Second); len(text) == 0 && time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		text, _ = os.ReadFile(path)
	}
	return string(text)
}
