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
	} {
		target, err := Recognise(Command{Argv: strings.Fields(test.line), Dir: t.TempDir(), Version: "27.0.1"})
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

func TestVariantsRefused(t *testing.T) {
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
		{"advise demo", nil, []int{2}, nil, "the demo server has no threads", "leave --threads away"},
	} {
		target, err := Recognise(Command{Argv: strings.Fields(test.line), Dir: t.TempDir(), Version: "27.0.1"})
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
			if again, err := target.Variants([]string{s.Class}, []int{s.Threads}, []Preload{s.Preload}); err != nil || !slices.Equal(again, []Shape{s}) {
				t.Errorf("%s: %+v became %+v (%v)", line, s, again, err)
			}
		}
	})
}
