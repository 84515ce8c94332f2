package targets

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// shapesOf is a shorter way to write them: class, threads and preloading of each.
func shapesOf(t *testing.T, texts ...string) []Shape {
	t.Helper()
	var shapes []Shape
	for _, text := range texts {
		f := strings.Split(text, "/")
		if len(f) != 3 {
			t.Fatalf("%q is no shape", text)
		}
		shapes = append(shapes, Shape{Class: f[0], Threads: positive(f[1]), Preload: Preload(f[2])})
	}
	return shapes
}

// Combinations that the server makes the same of are one, and what is left open is the command's.
func TestVariants(t *testing.T) {
	dir := folder(t, map[string]string{"apache.conf": variantsApache})
	for _, test := range []struct {
		line    string
		classes []string
		threads []int
		preload []Preload
		want    []string
	}{
		{"gunicorn app:app", nil, nil, nil, []string{"sync/1/off"}},
		{"gunicorn --preload app:app", nil, nil, nil, []string{"sync/1/on"}},
		// gunicorn's own rule: sync with threads is gthread.
		{"gunicorn app:app", []string{"sync", "gthread"}, []int{1, 2, 4}, nil, []string{"sync/1/off", "gthread/2/off", "gthread/4/off", "gthread/1/off"}},
		{"gunicorn app:app", []string{"gthread", "sync"}, []int{4, 1}, nil, []string{"gthread/4/off", "gthread/1/off", "sync/1/off"}},
		{"gunicorn app:app", nil, []int{4}, nil, []string{"gthread/4/off"}},
		// A loop has no threads, whatever it is told.
		{"gunicorn app:app", []string{"gthread", "gevent", "uvicorn.workers.UvicornWorker"}, []int{2, 4}, nil, []string{
			"gthread/2/off", "gthread/4/off", "gevent/1/off", "uvicorn.workers.UvicornWorker/1/off",
		}},
		{"gunicorn --threads 4 -k gevent app:app", nil, nil, nil, []string{"gevent/1/off"}},
		{"gunicorn --threads 4 -k gevent app:app", []string{"gevent", "gthread", "sync"}, nil, nil, []string{"gevent/1/off", "gthread/4/off"}},
		// Of a class of the user's own nothing is known.
		{"gunicorn app:app", []string{"my.Worker"}, []int{1, 2}, nil, []string{"my.Worker/1/off", "my.Worker/2/off"}},
		{"gunicorn app:app", nil, nil, []Preload{PreloadOn, PreloadOff, "", PreloadOn}, []string{"sync/1/on", "sync/1/off"}},
		{"gunicorn app:app", []string{"sync"}, []int{1, 2}, []Preload{PreloadOff, PreloadOn}, []string{"sync/1/off", "sync/1/on", "gthread/2/off", "gthread/2/on"}},
		{"uvicorn app:app", nil, []int{1}, nil, []string{"/1/"}},
		{"hypercorn app:app", []string{"trio", "asyncio"}, nil, nil, []string{"trio/1/", "asyncio/1/"}},
		{"granian --interface wsgi app:app", nil, []int{1, 8}, nil, []string{"/1/", "/8/"}},
		{"granian --interface wsgi app:app", nil, nil, nil, []string{"/0/"}}, // as many as there are requests
		{"uwsgi -w app", nil, []int{1, 2}, []Preload{PreloadOff}, []string{"/1/off", "/2/off"}},
		{"uwsgi -w app --lazy-apps", nil, nil, nil, []string{"/1/off"}},
		{"puma -t 1:3", nil, nil, []Preload{PreloadOn, PreloadOff}, []string{"/3/on", "/3/off"}},
		{"puma", nil, []int{2}, nil, []string{"/2/"}}, // version 27 preloads from two workers on
		{"unicorn", nil, []int{1}, []Preload{PreloadOff, PreloadOn}, []string{"/1/off", "/1/on"}},
		// What a block for another MPM says holds once that is loaded: 16 for worker, 25 by default.
		{"apache2 -f {dir}/apache.conf", []string{"event", "worker", "prefork"}, nil, nil, []string{"event/4/", "worker/16/", "prefork/1/"}},
		{"apache2 -f {dir}/apache.conf", []string{"prefork", "event"}, []int{2, 1}, nil, []string{"prefork/1/", "event/2/", "event/1/"}},
		{"serve {threads} {class}", []string{"a", "b"}, []int{3}, nil, []string{"a/3/", "b/3/"}},
		{"serve", nil, nil, nil, []string{"/1/"}},
	} {
		line := strings.ReplaceAll(test.line, "{dir}", dir)
		target, err := Recognise(Command{Argv: strings.Fields(line), Dir: t.TempDir(), Version: "27.0.1"})
		if err != nil {
			t.Fatal(err)
		}
		got, err := target.Variants(test.classes, test.threads, test.preload)
		if err != nil {
			t.Errorf("%s of %q x %d x %q: %v", test.line, test.classes, test.threads, test.preload, err)
			continue
		}
		if diff := cmp.Diff(shapesOf(t, test.want...), got); diff != "" {
			t.Errorf("%s of %q x %d x %q (-want +got):\n%s", test.line, test.classes, test.threads, test.preload, diff)
		}
	}
}

const variantsApache = `LoadModule mpm_event_module modules/mod_mpm_event.so
ThreadsPerChild 4
<IfModule mpm_worker_module>
  ThreadsPerChild 16
</IfModule>
`

func TestVariantsRefused(t *testing.T) {
	dir := folder(t, map[string]string{
		"apache.conf": variantsApache, "built-in.conf": "Listen 80\n", "prefork.conf": strings.ReplaceAll(variantsApache, "event", "prefork"),
	})
	for _, test := range []struct {
		line           string
		classes        []string
		threads        []int
		preload        []Preload
		sentence, hint string
	}{
		{"gunicorn app:app", []string{"gthreads"}, nil, nil, `gunicorn has no class "gthreads"`, "my.module.Worker"},
		{"gunicorn app:app", []string{"eventlet"}, nil, nil, "it was removed in 26.0", "--class gevent"},
		{"gunicorn app:app", []string{"gevent"}, []int{1, 4}, nil, "no worker of class gevent can have 4 threads", "leave --threads away"},
		{"gunicorn app:app", nil, []int{-1}, nil, "-1 threads", "--threads 1,2,4"},
		{"gunicorn app:app", nil, nil, []Preload{"yes"}, `not "yes"`, "--preload on,off"},
		{"gunicorn -c python:lost app:app", nil, nil, []Preload{PreloadOff}, "can't be read", "-c gunicorn.conf.py"},
		{"uvicorn app:app", nil, []int{1, 2}, nil, "uvicorn has no threads to vary", "leave --threads away"},
		{"uvicorn app:app", []string{"sync"}, nil, nil, "uvicorn has no worker classes", "leave --class away"},
		{"uvicorn app:app", nil, nil, []Preload{PreloadOn}, "uvicorn can't be told to load the application before", "leave --preload away"},
		{"hypercorn app:app", []string{"gevent"}, nil, nil, `hypercorn has no class "gevent"`, "--class asyncio,uvloop,trio"},
		{"granian app:app", nil, []int{2}, nil, "granian serves asynchronous applications without threads", "--interface wsgi"},
		{"waitress-serve app:app", nil, []int{2}, nil, "the workers of waitress are its threads", "--workers varies them"},
		{"uwsgi -w app", []string{"sync"}, nil, nil, "uwsgi has no worker classes", "leave --class away"},
		{"puma", []string{"sync"}, nil, nil, "puma has no worker classes", "leave --class away"},
		{"unicorn", nil, []int{1, 2}, nil, "unicorn has no threads to vary", "leave --threads away"},
		{"apache2 -f {dir}/apache.conf", []string{"sync"}, nil, nil, `Apache has no MPM "sync"`, "--class event,worker,prefork"},
		{"apache2 -f {dir}/built-in.conf", []string{"worker"}, nil, nil, "its MPM is built in", "leave --class away"},
		{"apache2 -f {dir}/prefork.conf", nil, []int{1, 2}, nil, "no worker of class prefork can have 2 threads", "give a --class that has them"},
		{"apache2 -f {dir}/apache.conf", nil, nil, []Preload{PreloadOn}, "apache can't be told", "leave --preload away"},
		{"serve --port {port}", nil, []int{2}, nil, "nothing in it takes a number of threads", "advise -- serve --port {port} --threads {threads}"},
		{"serve --port {port}", []string{"a"}, nil, nil, "nothing in it takes a worker class", "advise -- serve --port {port} --class {class}"},
		{"serve {class}", nil, nil, nil, "{class} in it is left open", "--class A,B"},
		{"serve", nil, nil, []Preload{PreloadOff}, "how it is told to preload is not known", "with and without it"},
		{"advise demo", nil, []int{2}, nil, "the demo server has no threads", "leave --threads away"},
	} {
		line := strings.ReplaceAll(test.line, "{dir}", dir)
		target, err := Recognise(Command{Argv: strings.Fields(line), Dir: t.TempDir(), Version: "27.0.1"})
		if err != nil {
			t.Fatal(err)
		}
		shapes, err := target.Variants(test.classes, test.threads, test.preload)
		var refused *RefusedError
		if !errors.As(err, &refused) {
			t.Errorf("%s of %q x %d x %q: got %v (%v), want a refusal", test.line, test.classes, test.threads, test.preload, shapes, err)
			continue
		}
		if !strings.Contains(err.Error(), test.sentence) || !strings.Contains(refused.Hint, test.hint) {
			t.Errorf("%s of %q x %d x %q: got %q, hint %q;\nwant %q, hint %q", test.line, test.classes, test.threads, test.preload,
				err, refused.Hint, test.sentence, test.hint)
		}
	}
}

// The command to paste for a shape, read again as a user's own, asks for that shape; so does the one
// that is launched where no file says it.
func TestVariantsRead(t *testing.T) {
	for _, line := range []string{
		"gunicorn app:app", "gunicorn --threads 4 app:app", "gunicorn --threads=4 -k gevent --preload app:app", "gunicorn -kgthread app:app",
		"hypercorn -k trio app:app", "granian --interface wsgi --blocking-threads 2 app:app", "uwsgi -w app --threads 4",
		"uwsgi -w app --lazy", "puma -t 1:9", "puma --preload",
	} {
		target, err := Recognise(Command{Argv: strings.Fields(line), Dir: t.TempDir(), Version: "5.6"})
		if err != nil {
			t.Fatal(err)
		}
		classes := map[string][]string{"gunicorn": {"sync", "gthread", "gevent", "my.Worker"}, "hypercorn": {"asyncio", "trio"}}[target.Adapter.Name()]
		threads := []int{1, 2, 4}
		preload := []Preload{PreloadOn, PreloadOff}
		if name := target.Adapter.Name(); name == "hypercorn" || name == "granian" {
			preload = nil
		}
		if target.Adapter.Name() == "hypercorn" {
			threads = nil
		}
		shapes, err := target.Variants(classes, threads, preload)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range shapes {
			s.Workers = 3
			for _, f := range target.Adapter.Config(target.Command, s) {
				if f.Path != commandFile {
					continue
				}
				c := target.Command
				c.Argv = strings.Fields(f.Text)
				if got := target.Adapter.Shape(c); got != s {
					t.Errorf("%s at %+v: %q asks for %+v", line, s, f.Text, got)
				}
			}
			l, err := target.Adapter.Launch(target.Command, s, Place{Host: "127.0.0.1", Port: 1, Scratch: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			c := target.Command
			c.Argv = l.Argv
			if len(l.Files) > 0 {
				continue
			}
			if got := target.Adapter.Shape(c); got != s {
				t.Errorf("%s at %+v: launched as %q, which asks for %+v", line, s, l.Argv, got)
			}
		}
	}
}

// Whatever is asked for: no shape comes twice, each is what the server runs when it is asked for that
// alone, and the same lists give the same shapes in the same order.
func FuzzVariants(f *testing.F) {
	for _, line := range []string{
		"gunicorn --threads 4 app:app", "gunicorn -k gevent --threads 2 --preload", "uvicorn app:app", "hypercorn app:app",
		"granian --interface wsgi app:app", "waitress-serve app:app", "uwsgi -w app --threads 2 --lazy-apps", "puma -t 1:3",
		"unicorn", "node server.js", "serve {threads} {class}", "advise demo",
	} {
		f.Add(line, "sync,gthread,gevent", "1,2,4", "on,off")
		f.Add(line, "", "1", "")
	}
	f.Fuzz(func(t *testing.T, line, class, thread, preloading string) {
		target, err := Recognise(Command{Argv: strings.Fields(line), Dir: "/nonexistent"})
		if err != nil {
			return
		}
		classes := strings.Split(class, ",")
		var threads []int
		for text := range strings.SplitSeq(thread, ",") {
			threads = append(threads, positive(text))
		}
		var preload []Preload
		for text := range strings.SplitSeq(preloading, ",") {
			preload = append(preload, Preload(text))
		}
		shapes, err := target.Variants(classes, threads, preload)
		if err != nil {
			var refused *RefusedError
			if !errors.As(err, &refused) || refused.Hint == "" {
				t.Errorf("%s: %v is no refusal with a way out", line, err)
			}
			return
		}
		if again, err := target.Variants(classes, threads, preload); err != nil || !slices.Equal(again, shapes) {
			t.Errorf("%s: %v, and then %v (%v)", line, shapes, again, err)
		}
		for i, s := range shapes {
			if slices.Contains(shapes[:i], s) || s.Workers != 0 {
				t.Errorf("%s: %v", line, shapes)
			}
			if _, err := target.Adapter.Launch(target.Command, s, Place{Host: "127.0.0.1", Port: 1, Scratch: "/nonexistent"}); err != nil {
				t.Errorf("%s: %+v can't be launched: %v", line, s, err)
			}
			target.Paste(s, Budget{})
			if again, err := target.Variants([]string{s.Class}, []int{s.Threads}, []Preload{s.Preload}); err != nil || !slices.Equal(again, []Shape{s}) {
				t.Errorf("%s: %+v became %+v (%v)", line, s, again, err)
			}
		}
	})
}
