package targets

import (
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"advise/targets/targetstest"
)

var uwsgiFolder = map[string]string{
	"etc/my.shop.ini": "[uwsgi]\nini = common.ini\nm-o = %o\nm-s=%s\nm-d = %d\nm-p = %p\nm-n = %n\nm-e = %e\nm-c = %c\nm-x = %x.\nm-0 = %0\nm-9 = %9.\n" +
		"m-v = %v\nm-h = %h\nm-percent = %%n\nm-both = %(m-n)/%n\nini = etc/my.shop.ini:more\nini = :last\n" +
		"if-exists = common.ini\nini = %(_):if\nendif =\n" +
		"[more]\nthreads = 2\nmore = %x-%s-%o\n[last]\nlast = %x-%n\n",
	"common.ini": "[uwsgi]\nplugin = python3\ncommon = %n %d\n[if]\nif-seen = 1\n",
}

// The derived file says what the user's says to uWSGI itself, less what a measurement owns.
func TestUwsgiFilesSayTheSame(t *testing.T) {
	targetstest.Need(t, "uwsgi")
	dir := folder(t, uwsgiFolder)
	c := Command{Argv: []string{"uwsgi", "--ini", "etc/my.shop.ini"}, Env: os.Environ(), Dir: dir}
	l, err := uwsgi{}.Launch(c, Shape{Workers: 3}, Place{Host: "127.0.0.1", Port: 8123, Scratch: "/s"})
	if err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(dir, "derived.ini"), l.Files[0].Text)
	said := regexp.MustCompile(`(?m)^(m-\S+|more|last|common|if-seen|plugin|threads) = .*$`)
	shown := func(name string) string {
		show := exec.Command("uwsgi", "--ini", name, "--show-config", "--no-server")
		show.Dir, show.Env = dir, append(c.Env, "LC_ALL=C")
		out, _ := show.CombinedOutput() // without an application it may end with any code
		return strings.Join(said.FindAllString(string(out), -1), "\n")
	}
	want, got := shown("etc/my.shop.ini"), shown("derived.ini")
	if got != want || !strings.Contains(want, "m-both = my.shop/my.shop") || !strings.Contains(want, "threads = 2") || !strings.Contains(want, "if-seen") {
		t.Errorf("it says\n%s\n\nand the user's\n%s\n\n%s", got, want, l.Files[0].Text)
	}
	if s := (uwsgi{}).Shape(c); s.Threads != 2 {
		t.Errorf("%d threads, want the 2 of the section that is included", s.Threads)
	}
}

// A server whose file has its plugin in another one, and its module by its own name, starts.
func TestUwsgiIncludes(t *testing.T) {
	targetstest.Need(t, "uwsgi")
	dir := targetstest.Copied(t, "wsgi")
	put(t, filepath.Join(dir, "common.ini"), "[uwsgi]\nplugin = python3\nprocesses = 9\n")
	put(t, filepath.Join(dir, "cost.ini"), "[uwsgi]\nini = common.ini\nmodule = %n:app\nchdir = %d\nhttp-socket = :1\ntouch-reload = %p\n")
	target, err := Recognise(Command{Argv: []string{"uwsgi", "--touch-reload", "none.ini", "cost.ini"}, Env: marked(t), Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if s := target.Shape(); s.Workers != 9 {
		t.Errorf("%d workers, want the 9 of the file that is included", s.Workers)
	}
	i, err := unlimited(t, target, 2, nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, logOf(err))
	}
	if a := (Probe{}).ask(t.Context(), i.URL, 5*time.Second); a.status != http.StatusOK {
		t.Errorf("the page %v", a)
	}
}

func TestUwsgiRefused(t *testing.T) {
	dir := folder(t, map[string]string{
		"loop.ini": "[uwsgi]\nini = loop.ini\n", "none.ini": "[uwsgi]\nini = nothing.ini\n", "other.ini": "[uwsgi]\ninclude = x.yaml\n",
		"app.xml": "<uwsgi/>", "app.yaml": "uwsgi:\n", "far.ini": "[uwsgi]\nini = http://x/y.ini\n",
	})
	for line, want := range map[string]string{
		"uwsgi --ini loop.ini":        "include each other",
		"uwsgi none.ini":              "no such file",
		"uwsgi other.ini":             "not of the form ini",
		"uwsgi far.ini":               "it is no file",
		"uwsgi --plugin xml app.xml":  "app.xml can't be varied",
		"uwsgi app.yaml:prod -p 2":    "app.yaml:prod can't be varied",
		"uwsgi --stop /run/u.pid":     "for a server that runs already",
		"uwsgi --config app.json":     "app.json can't be varied",
		"uwsgi --ini exec://cat -p 1": "it is no file",
	} {
		_, err := Recognise(Command{Argv: strings.Fields(line), Dir: dir})
		var refused *RefusedError
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q in a refusal", line, err, want)
		}
	}
}
