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

// seldom is how seldom the busiest worker has more than what is told of.
const seldom = 0.05

// BusiestByChance is how many times its even share the busiest of some workers has of connections that fall to any
// of them at random: on average, and what it has at the least in one of twenty times. The numbers of the workers
// are taken for independent. They are negatively associated, so that P(all <= m) is at most the product of each, and
// the largest is a little larger than is said here.
//
// # References
//
// Joag-Dev and Proschan, Negative association of random variables, Annals of Statistics 11, 1983.
func BusiestByChance(connections, workers int) (usual, inTwenty float64) {
	if workers < 2 || connections < 1 {
		return 1, 1
	}
	one := distuv.Binomial{N: float64(connections), P: 1 / float64(workers)}
	mean, most := 0.0, 0
	for m := 0; m < connections; m++ {
		more := 1 - math.Pow(one.CDF(float64(m)), float64(workers)) // P(largest > m)
		mean += more
		if more >= seldom {
			most = m + 1
		}
		if more < 1e-9 && m > connections/workers {
			break
		}
	}
	even := float64(connections) / float64(workers)
	return max(mean/even, 1), max(float64(most)/even, 1)
}
