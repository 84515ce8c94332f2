package sweep

import (
	"slices"
	"testing"
)

func TestSplitCores(t *testing.T) {
	plain := func(n int) []core {
		var cores []core
		for id := range n {
			cores = append(cores, core{id: id})
		}
		return cores
	}
	// Four physical cores with two hardware threads each, numbered as Linux does: 0 and 4 are one.
	threads := plain(8)
	for id := range threads {
		threads[id].siblings = []int{id % 4, id%4 + 4}
	}
	for _, c := range []struct {
		name              string
		cores             []core
		asked             float64
		share             bool
		server, generator []int
		quota, measured   float64
		shared            bool
	}{
		{"one of two", plain(2), 1, false, []int{0}, []int{1}, 0, 1, false},
		{"more than there are", plain(2), 4, false, []int{0}, []int{1}, 0, 1, false},
		{"all there are", plain(2), 2, false, []int{0}, []int{1}, 0, 1, false},
		{"half a core", plain(2), 0.5, false, []int{0}, []int{1}, 0.5, 0.5, false},
		{"one and a half need two", plain(4), 1.5, false, []int{0, 1}, []int{2, 3}, 1.5, 1.5, false},
		{"one and a half on two", plain(2), 1.5, false, []int{0}, []int{1}, 0, 1, false},
		{"a single core is shared", plain(1), 1, false, []int{0}, []int{0}, 0, 1, true},
		{"half of a single core", plain(1), 0.5, false, []int{0}, []int{0}, 0.5, 0.5, true},
		{"all there are, with the generator on them", plain(2), 2, true, []int{0, 1}, []int{0, 1}, 0, 2, true},
		{"more than there are, with the generator on all", plain(2), 4, true, []int{0, 1}, []int{0, 1}, 0, 2, true},
		{"one and a half, with the generator on two", plain(2), 1.5, true, []int{0, 1}, []int{0, 1}, 1.5, 1.5, true},
		{"one is there without sharing", plain(2), 1, true, []int{0}, []int{1}, 0, 1, false},
		{"three of four are too", plain(4), 3, true, []int{0, 1, 2}, []int{3}, 0, 3, false},
		{"whole physical cores", threads, 4, false, []int{0, 1, 4, 5}, []int{2, 3, 6, 7}, 0, 4, false},
	} {
		s, err := splitCores(c.cores, c.asked, c.share)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(s.server, c.server) || !slices.Equal(s.generator, c.generator) || s.quota != c.quota || s.measured != c.measured || s.shared != c.shared {
			t.Errorf("%s: %+v", c.name, s)
		}
	}
	if _, err := splitCores(nil, 1, false); err == nil {
		t.Error("no cores: no error")
	}
}

func TestRuleOfThumb(t *testing.T) {
	for cores, want := range map[float64]int{0.5: 2, 1: 3, 1.5: 4, 2: 5, 4: 9} {
		if got := RuleOfThumb(cores); got != want {
			t.Errorf("%g cores: %d, want %d", cores, got, want)
		}
	}
}
