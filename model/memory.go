package model

import (
	"math"

	"gonum.org/v1/gonum/stat"
)

// highestOfLine is as far as a memory line is followed: nobody runs more workers.
const highestOfLine = mostWorkers

// fitMemory fits memory = Base + Workers x Marginal by least squares over whole process trees, in
// bytes. Memory that workers share is then in Base by itself, where adding up each worker's
// resident set would count it once per worker. Fewer than two distinct counts give no line: nil.
// With no degree of freedom left the interval is the line.
//
// limit is the memory the tree may use, in bytes; 0 is no limit.
//
// # References
//
// Draper, Smith, Applied Regression Analysis, 3rd edition, 1998, sections 1.4 and 3.1.
func fitMemory(observations []Observation, limit, confidence float64) *MemoryLine {
	return fitBytes(observations, limit, confidence, func(o Observation) float64 { return o.Memory })
}

// fitBytes is fitMemory for any of an observation's figures in bytes.
func fitBytes(observations []Observation, limit, confidence float64, figure func(Observation) float64) *MemoryLine {
	var n, bytes []float64
	for _, o := range observations {
		if b := figure(o); usable(o) && !o.Failed && b > 0 && b <= mostMemory {
			n, bytes = append(n, float64(o.Workers)), append(bytes, b)
		}
	}
	if len(n) < 2 {
		return nil
	}
	l := MemoryLine{n: len(n), meanN: stat.Mean(n, nil)}
	for _, v := range n {
		l.sumSquaresN += (v - l.meanN) * (v - l.meanN)
	}
	if l.sumSquaresN == 0 {
		return nil
	}
	l.Base, l.Marginal = stat.LinearRegression(n, bytes, nil, false)
	if freedom := len(n) - 2; freedom > 0 {
		sse := 0.0
		for i := range n {
			d := bytes[i] - l.At(n[i])
			sse += d * d
		}
		l.residual = math.Sqrt(sse / float64(freedom))
		l.t = studentT(confidence, freedom)
	}
	width := l.t * l.residual / math.Sqrt(l.sumSquaresN)
	l.MarginalLow, l.MarginalHigh = l.Marginal-width, l.Marginal+width
	l.HighestWithinCap = -1
	if limit > 0 {
		l.HighestWithinCap = l.highestUnder(limit)
	}
	return &l
}

// At returns the line's memory at a count, in bytes.
func (l *MemoryLine) At(workers float64) float64 { return l.Base + l.Marginal*workers }

// UpperAt returns the upper end of the line's confidence interval at a count, in bytes.
func (l *MemoryLine) UpperAt(workers float64) float64 {
	d := workers - l.meanN
	return l.At(workers) + l.t*l.residual*math.Sqrt(1/float64(l.n)+d*d/l.sumSquaresN)
}

// highestUnder returns the largest count whose upper bound stays within limit; the bound is convex,
// so past its lowest point it only grows.
func (l *MemoryLine) highestUnder(limit float64) int {
	highest := 0
	for n := 1; n <= highestOfLine; n++ {
		if l.UpperAt(float64(n)) <= limit {
			highest = n
		} else if highest > 0 {
			break
		}
	}
	return highest
}
