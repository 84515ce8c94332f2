package sweep

import (
	"fmt"
	"math"
	"slices"
)

// A split says which cores go to the server and which to the generator and advise itself.
type split struct {
	server, generator []int
	// quota in cores, over the server's; 0 is none.
	quota float64
	// measured is the number of cores the server can use: less than asked when the machine is small.
	measured float64
	shared   bool // the generator runs on the server's cores: there is one only, or they are all the server's
}

// A core is a logical CPU and the group of hardware threads it shares a physical core with.
type core struct {
	id       int
	siblings []int
}

// splitCores gives the server the cores asked for and leaves at least one to the generator, unless that is
// in the way of them and share says that the server may have it too. Whole cores are pinned, a fraction is a
// quota over the next whole number. On a machine that is too small the server gets what is there, whole cores
// only.
func splitCores(cores []core, asked float64, share bool) (split, error) {
	if len(cores) == 0 {
		return split{}, fmt.Errorf("split cores: none are allowed to this process")
	}
	order := apart(cores)
	if len(order) == 1 || share && asked > float64(len(order)-1) {
		slices.Sort(order)
		s := split{server: order, generator: slices.Clone(order), shared: true, measured: math.Min(asked, float64(len(order)))}
		s.quota = fraction(s.measured)
		return s, nil
	}
	whole := int(math.Ceil(asked - 1e-9))
	s := split{measured: asked}
	if whole > len(order)-1 {
		whole = len(order) - 1
		s.measured = float64(whole)
	}
	s.quota = fraction(s.measured)
	s.server = slices.Clone(order[:whole])
	s.generator = slices.Clone(order[whole:])
	slices.Sort(s.server)
	slices.Sort(s.generator)
	return s, nil
}

// fraction is the quota that holds a server to a count of cores: 0 for whole ones, which pinning holds.
func fraction(cores float64) float64 {
	if math.Abs(cores-math.Round(cores)) < 1e-9 {
		return 0
	}
	return cores
}

// apart orders the cores so that the first n fill whole physical cores: hardware threads of one
// core stand side by side, and the generator, which takes the rest, shares a physical core with the
// server at most once.
func apart(cores []core) []int {
	allowed := map[int]bool{}
	for _, c := range cores {
		allowed[c.id] = true
	}
	var order []int
	seen := map[int]bool{}
	for _, c := range cores {
		for _, id := range append([]int{c.id}, c.siblings...) {
			if allowed[id] && !seen[id] {
				seen[id] = true
				order = append(order, id)
			}
		}
	}
	return order
}

// AllowedCores is the number of logical CPUs this process may run on.
func AllowedCores() int {
	cores, err := allowedCores()
	if err != nil {
		return 1
	}
	return len(cores)
}
