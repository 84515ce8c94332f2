package generator

import (
	"math"
	"math/rand/v2"
	"sort"
)

const (
	deckSize    = 1 << 12
	deckSizeMax = 1 << 16
	deckBlock   = 32
)

// A deck says which request comes when: an endless order, fixed by the seed, that keeps to
// the weights over short stretches too.
//
// The additive golden-ratio sequence spreads the requests as evenly as any sequence can. As
// it is, two equal weights would alternate strictly, and a server that hands its connections
// round would see only one of them per worker; so each block is shuffled.
//
// # References
//
// Kuipers and Niederreiter, Uniform Distribution of Sequences, 1974, chapter 2.3.
type deck []uint16

// newDeck deals for weights that Validate has accepted.
func newDeck(weights []float64, seed int64) deck {
	largest := 0.0
	for _, w := range weights {
		largest = max(largest, w)
	}
	upTo := make([]float64, len(weights)) // running sums, scaled against overflow
	total, least := 0.0, math.Inf(1)
	for i, w := range weights {
		total += w / largest
		least = min(least, w/largest)
		upTo[i] = total
	}

	size := deckSize
	for float64(size)*least/total < 4 && size < deckSizeMax {
		size *= 2 // the rarest request must come up too
	}
	random := rand.New(rand.NewPCG(uint64(seed), 0x61647669_7365))
	offset := random.Float64()
	d := make(deck, size)
	for i := range d {
		_, x := math.Modf(offset + float64(i)/math.Phi)
		k := sort.SearchFloat64s(upTo, x*total)
		d[i] = uint16(min(k, len(weights)-1))
	}
	for at := 0; at < size; at += deckBlock {
		block := d[at : at+deckBlock]
		random.Shuffle(deckBlock, func(i, j int) { block[i], block[j] = block[j], block[i] })
	}
	return d
}

func (d deck) at(n uint64) int { return int(d[n%uint64(len(d))]) }
