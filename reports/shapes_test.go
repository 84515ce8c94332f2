package reports

import (
	"testing"

	"advise/sweep"
)

// Each variant says in a word or two why it is not the one: the words stand in the terminal and on the page.
func TestShapeRows(t *testing.T) {
	workers, rate, memory := 2, 400.0, 80*mb
	shape := func(class string, recommended, enough bool) ShapeResult {
		return ShapeResult{
			Variant: sweep.Variant{Class: class, Threads: 1}, Name: class, Recommended: recommended, Enough: enough,
			Workers: &workers, ThroughputRPS: &rate, MemoryBytes: &memory,
		}
	}
	broken := ShapeResult{Variant: sweep.Variant{Class: "gevent", Threads: 1}, Name: "gevent", Why: "nothing was measured"}
	r := &Result{Shapes: []ShapeResult{shape("sync", true, true), shape("gthread", false, true), shape("tornado", false, false), broken}}
	rising := shape("gevent", false, false)
	rising.StillRising = true
	r.Shapes = append(r.Shapes, rising)
	want := []string{"recommended", "more memory", "too slow", "nothing was measured", "still rising"}
	for i, row := range shapeRows(r) {
		if row.By != want[i] {
			t.Errorf("%s: %q, want %q", row.Name, row.By, want[i])
		}
	}
	if rows := shapeRows(&Result{Shapes: r.Shapes[:1]}); rows != nil {
		t.Errorf("one shape is compared with itself: %v", rows)
	}
}
