package cmd_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"advise/reports"
	"advise/targets/targetstest"
)

// A sweptServer is an installed server with a page that computes for 2 ms and waits for 8 ms.
type sweptServer struct {
	need    string // the program; pypi/NAME is that of the tests' environment
	command string
	app     string
	adapter string
	path    string // where the page is told by its address; empty: by the environment
	// blocks is a server whose worker waits with its request, so that more workers answer more.
	blocks bool
}

const costly = "/?cpu_ms=2&wait_ms=8"

var sweptServers = map[string]sweptServer{
	"gunicorn sync":    {need: "gunicorn", command: "gunicorn cost:app", app: "wsgi", adapter: "gunicorn", blocks: true},
	"gunicorn gthread": {need: "gunicorn", command: "gunicorn -k gthread --threads 2 cost:app", app: "wsgi", adapter: "gunicorn", blocks: true},
	"gunicorn gevent":  {need: "gunicorn", command: "gunicorn -k gevent cost:app", app: "wsgi", adapter: "gunicorn"},
	"gunicorn pypi":    {need: "pypi/gunicorn", command: "gunicorn cost:app", app: "wsgi", adapter: "gunicorn", blocks: true},
	"uvicorn":          {need: "uvicorn", command: "uvicorn app:app", app: "asgi", adapter: "uvicorn"},
	"uvicorn pypi":     {need: "pypi/uvicorn", command: "uvicorn --no-access-log app:app", app: "asgi", adapter: "uvicorn"},
	"hypercorn":        {need: "hypercorn", command: "hypercorn app:app", app: "asgi", adapter: "hypercorn"},
	"granian pypi":     {need: "pypi/granian", command: "granian --interface asgi app:app", app: "asgi", adapter: "granian"},
	"waitress":         {need: "waitress-serve", command: "waitress-serve cost:app", app: "wsgi", adapter: "waitress", blocks: true},
	"uwsgi":            {need: "uwsgi", command: "uwsgi --plugin python3 --http-socket :80 --module cost:app", app: "wsgi", adapter: "uwsgi", blocks: true},
	"php-fpm":          {need: "php-fpm8.2", command: "php-fpm8.2 -y php-fpm.conf", app: "php", adapter: "php-fpm", path: costly, blocks: true},
	"apache prefork":   {need: "apache2", command: "apache2 -f apache.conf", app: "php", adapter: "apache", path: costly, blocks: true},
	"apache event":     {need: "apache2", command: "apache2 -f apache.conf", app: "static", adapter: "apache"},
	"nginx":            {need: "nginx", command: "nginx -p . -c nginx.conf", app: "static", adapter: "nginx"},
	"lighttpd":         {need: "lighttpd", command: "lighttpd -f lighttpd.conf", app: "static", adapter: "lighttpd"},
	"puma":             {need: "puma", command: "puma -t 1:1", app: "rack", adapter: "puma", blocks: true},
	"unicorn":          {need: "unicorn", command: "unicorn -c unicorn.rb", app: "rack", adapter: "unicorn", blocks: true},
	"node":             {need: "node", command: "node server.js", app: "node", adapter: "node"},
}

// Each server is swept at three counts on one core and ends with a recommendation among them. A page
// that waits four times as long as it computes gains much from workers that wait with it, on one
// core too: ideally 4 answer twice what 2 do, and 4 times what 1 does.
func TestSweptServers(t *testing.T) {
	if testing.Short() {
		t.Skip("sweeps take minutes: make test-servers")
	}
	for name, s := range sweptServers {
		t.Run(name, func(t *testing.T) {
			words := strings.Fields(s.command)
			words[0] = s.program(t)
			args := []string{"--cores", "1", "--mem", "1G", "--time", "15s", "--workers", "1,2,4", "--json"}
			if s.path != "" {
				args = append(args, "--path", s.path)
			}
			run := advise(t, append(append(args, "--"), words...)...)
			run.Dir = targetstest.Copied(t, s.app)
			run.Env = append(run.Env, "CPU_MS=2", "WAIT_MS=8")
			out, err := run.Output()
			if err != nil {
				var exit *exec.ExitError
				if errors.As(err, &exit) {
					t.Fatalf("%v\n%s", err, exit.Stderr)
				}
				t.Fatal(err)
			}
			valid(t, "result.schema.json", out)
			var r reports.Result
			if err := json.Unmarshal(out, &r); err != nil {
				t.Fatal(err)
			}
			if r.Target.Adapter != s.adapter || r.Target.Version == "" {
				t.Errorf("the target is %q of version %q, want %s and its version", r.Target.Adapter, r.Target.Version, s.adapter)
			}
			rates := map[int]float64{}
			for _, p := range r.Points {
				if p.ThroughputRPS != nil {
					rates[p.Workers] = *p.ThroughputRPS
				}
			}
			if len(rates) < 3 || rates[4] <= 0 {
				t.Fatalf("not enough counts answered: %v", rates)
			}
			if _, measured := rates[r.Recommendation.Workers]; !measured || len(r.Recommendation.Config) == 0 {
				t.Errorf("recommended %d with %d texts to paste; measured were %v", r.Recommendation.Workers, len(r.Recommendation.Config), rates)
			}
			if few := cmp.Or(rates[1], rates[2]); s.blocks && max(rates[3], rates[4]) < 1.2*few {
				t.Errorf("more workers do not answer more: %v", rates)
			}
			t.Logf("%s %s: %d of %v", r.Target.Adapter, r.Target.Version, r.Recommendation.Workers, rates)
			targetstest.NothingLeft(t, mark(t))
		})
	}
}

func (s sweptServer) program(t *testing.T) string {
	t.Helper()
	name, ok := strings.CutPrefix(s.need, "pypi/")
	if !ok {
		targetstest.Need(t, s.need)
		return s.need
	}
	return targetstest.PyPI(t, name)
}
