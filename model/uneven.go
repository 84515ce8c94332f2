package model

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// FarTooMuch is the share of the work from which on one of some workers does far more than the others:
// twice its own, and three quarters where there are two.
func FarTooMuch(workers int) float64 {
	n := float64(workers)
	return min(2/n, (1+1/n)/2)
}

// UnevenByChance is how probable it is that the busiest of some workers gets a share of the pieces of
// work at least as large as this one, if each piece falls to any of them at random. It is an upper
// bound, by Boole's inequality: the largest of n draws is at most n times as probable as one.
func UnevenByChance(workers int, pieces, share float64) float64 {
	n := float64(workers)
	pieces = math.Floor(pieces)
	if workers < 2 || !(pieces >= 1) {
		return 1
	}
	took := math.Round(share * pieces)
	return min(n*distuv.Binomial{N: pieces, P: 1 / n}.Survival(took-1), 1)
}
