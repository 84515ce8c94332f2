package targets

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A varier is the adapter of a server of which more can be varied than the count.
type varier interface {
	// vary is the shape that the server runs when it is told s: what s leaves open is as the command
	// says, and what the server turns into something else is that. It is a RefusedError where the
	// server, or this command, can't be told a value.
	vary(c Command, s Shape) (Shape, error)
}

// Variants are the shapes, each with its number of workers left open, that a sweep over these
// classes, threads and ways to load the application compares. They are complete, as the server will
// really run them, and in the order of the lists, the class first. An empty list, or a zero in it,
// leaves a dimension to the command.
//
// Where the server makes the same of two combinations there is one: gunicorn's class sync with
// threads is gthread, its class gevent has none. What this server or command can't be told is a
// RefusedError, and so is a number of threads that no shape comes to have.
func (t *Target) Variants(classes []string, threads []int, preload []Preload) ([]Shape, error) {
	var shapes []Shape
	for _, class := range orOpen(classes) {
		for _, n := range orOpen(threads) {
			for _, p := range orOpen(preload) {
				s, err := t.vary(Shape{Threads: n, Class: class, Preload: p})
				if err != nil {
					return nil, err
				}
				if !slices.Contains(shapes, s) {
					shapes = append(shapes, s)
				}
			}
		}
	}
	for _, n := range threads {
		if n == 0 || slices.ContainsFunc(shapes, func(s Shape) bool { return s.Threads == n }) {
			continue
		}
		var of []string
		for _, s := range shapes {
			if !slices.Contains(of, s.Class) {
				of = append(of, s.Class)
			}
		}
		return nil, refuse(t.Command.Argv, fmt.Sprintf("no worker of class %s can have %s", strings.Join(of, ", "), count(n, "thread")),
			"leave --threads away, or give a --class that has them")
	}
	return shapes, nil
}

// orOpen is a list, or one value that is left open.
func orOpen[T any](list []T) []T {
	if len(list) == 0 {
		return make([]T, 1)
	}
	return list
}

func (t *Target) vary(s Shape) (Shape, error) {
	if s.Threads < 0 {
		return Shape{}, refuse(t.Command.Argv, fmt.Sprintf("a worker can't have %d threads", s.Threads), "--threads 1,2,4")
	}
	if s.Preload != "" && s.Preload != PreloadOn && s.Preload != PreloadOff {
		return Shape{}, refuse(t.Command.Argv, fmt.Sprintf("preloading is on or off, not %q", s.Preload), "--preload on,off")
	}
	if v, ok := t.Adapter.(varier); ok {
		return v.vary(t.Command, s)
	}
	return vary(t.label(), t.Command, s, t.Shape())
}

// A dimension is what shapes can differ in beside their count, as its flag calls it.
type dimension string

const (
	byThreads dimension = "threads"
	byClass   dimension = "class"
	byPreload dimension = "preload"
)

// vary completes a shape with what the command asks for. In a dimension that is not among those the
// server has, no other value is taken.
func vary(server string, c Command, s, asked Shape, has ...dimension) (Shape, error) {
	s = s.or(asked)
	for _, d := range []struct {
		dimension
		differs bool
		lacks   string
	}{
		{byThreads, s.Threads != asked.Threads, "has no threads to vary"},
		{byClass, s.Class != asked.Class, "has no worker classes"},
		{byPreload, s.Preload != asked.Preload, "can't be told to load the application before it forks, or not to"},
	} {
		if d.differs && !slices.Contains(has, d.dimension) {
			return Shape{}, refuse(c.Argv, server+" "+d.lacks, fmt.Sprintf("leave --%s away", d.dimension))
		}
	}
	return s, nil
}

// or is a shape with what it leaves open taken from another, but for the count.
func (s Shape) or(asked Shape) Shape {
	s.Threads = cmp.Or(s.Threads, asked.Threads)
	s.Class = cmp.Or(s.Class, asked.Class)
	s.Preload = cmp.Or(s.Preload, asked.Preload)
	return s
}
