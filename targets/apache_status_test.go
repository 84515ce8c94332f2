package targets

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"advise/targets/targetstest"
)

// Apache says how many workers it has whatever hosts and rules its user has, and the requests of each where
// its user has that counted; without the module it says nothing, and starts all the same.
func TestApacheStatus(t *testing.T) {
	targetstest.Need(t, "apache2")
	const (
		module = "LoadModule status_module /usr/lib/apache2/modules/mod_status.so\n"
		rule   = "RewriteEngine on\nRewriteRule !^/?index.html$ /index.html [L]\n"
		front  = rule + "<Directory {dir}>\n" + rule + "</Directory>\n"
		host   = "<VirtualHost *:80>\n" + front + "</VirtualHost>\n"
		every  = "<VirtualHost *>\nDocumentRoot {dir}\n</VirtualHost>\n"
	)
	for name, test := range map[string]struct {
		text     string
		requests bool
		none     bool
	}{
		"loaded":              {text: module, requests: true},
		"not extended":        {text: module + "ExtendedStatus Off\n"},
		"not loaded":          {},
		"behind rules":        {text: module + host, requests: true},
		"behind a redirect":   {text: module + "<VirtualHost *:80>\nRedirectMatch ^/advise /index.html\n</VirtualHost>\n", requests: true},
		"beside any address":  {text: module + every, requests: true},
		"rules of the server": {text: module + front, requests: true},
		"not there":           {none: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := targetstest.Copied(t, "static")
			text := "DocumentRoot {dir}\n" + test.text
			if name == "not there" { // in a condition that does not hold
				text = "DocumentRoot {dir}\n<IfDefine none>\n" + module + "</IfDefine>\n"
			}
			put(t, filepath.Join(dir, "own.conf"), strings.ReplaceAll(apacheModules+text, "{dir}", dir))
			target, err := Recognise(Command{Argv: []string{"apache2", "-f", filepath.Join(dir, "own.conf")}, Env: marked(t), Dir: dir})
			if err != nil {
				t.Fatal(err)
			}
			i, err := unlimited(t, target, 3, func(s *Start) { s.Shape.Threads = 4 })
			if err != nil {
				t.Fatalf("%v\n%s", err, logOf(err))
			}
			before, err := i.Status(t.Context())
			if test.none {
				if !errors.Is(err, ErrNoStatus) {
					t.Errorf("it says %+v (%v), want nothing", before, err)
				}
				return
			}
			if err != nil || before.Workers != 3 || (before.Requests != nil) != test.requests {
				t.Fatalf("it says %+v (%v), want 3 workers, and requests %t", before, err, test.requests)
			}
			checkStatus(t, i, 3)
			if !test.requests {
				return
			}
			const asked = 20
			first, err := i.Status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for range asked {
				if a := (Probe{}).ask(t.Context(), i.URL, 5*time.Second); a.err != nil {
					t.Fatal(a)
				}
			}
			second, err := i.Status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var more uint64
			for pid, n := range second.Requests {
				more += n - first.Requests[pid]
			}
			if more < asked || more > asked+4 { // the two pages of each status are requests too
				t.Errorf("%d requests more, want the %d and up to 4 for the status", more, asked)
			}
		})
	}
}
