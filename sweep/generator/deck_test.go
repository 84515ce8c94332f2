package generator

import (
	"math"
	"slices"
	"testing"
)

func TestDeckKeepsToTheWeights(t *testing.T) {
	for name, weights := range map[string][]float64{
		"one":    {3},
		"equal":  {1, 1},
		"skewed": {70, 20, 9, 1},
		"rare":   {1, 1e-3},
		"huge":   {1e100, 3e100},
	} {
		t.Run(name, func(t *testing.T) {
			total := 0.0
			for _, w := range weights {
				total += w
			}
			d := newDeck(weights, 42)
			counts := make([]float64, len(weights))
			for n := range 10 * len(d) {
				counts[d.at(uint64(n))]++
				if (n+1)%deckBlock != 0 {
					continue // within a block the order is random
				}
				for i, w := range weights {
					// The golden-ratio sequence's discrepancy is about log(n)/n, that of a
					// random order would be 1/sqrt(n). 10 rounds of the deck add up.
					if off := math.Abs(counts[i] - w/total*float64(n+1)); off > 30 {
						t.Fatalf("request %d came %v times in %d, share %v", i, counts[i], n+1, w/total)
					}
				}
			}
			for i, n := range counts {
				if n == 0 {
					t.Errorf("request %d never came", i)
				}
			}
		})
	}
}

func TestDeckIsFixedByTheSeed(t *testing.T) {
	weights := []float64{1, 2, 3}
	if !slices.Equal(newDeck(weights, 1), newDeck(weights, 1)) {
		t.Error("two decks of one seed differ")
	}
	if slices.Equal(newDeck(weights, 1), newDeck(weights, 2)) {
		t.Error("two seeds give one deck")
	}
}

// Two equal requests in strict alternation would never meet the same worker of two.
func TestDeckDoesNotAlternate(t *testing.T) {
	d := newDeck([]float64{1, 1}, 1)
	repeats := 0
	for i := 1; i < len(d); i++ {
		if d[i] == d[i-1] {
			repeats++
		}
	}
	if share := float64(repeats) / float64(len(d)-1); share < 0.3 || share > 0.7 {
		t.Errorf("%.2f of the requests are like the one before, want about half", share)
	}
}
