package model

// unimodal returns the values that rise to some point and fall from there on, and are nearest to y
// by weighted least squares.
//
// For every place of the top, the fit is a rising one before it and a falling one after; prefix
// and suffix sums of squares find the best place in one pass each.
//
// # References
//
// Stout, Unimodal regression via prefix isotonic regression, Computational Statistics and Data
// Analysis 53, 2008; Robertson, Wright, Dykstra, Order Restricted Statistical Inference, 1988,
// section 1.2 (pool adjacent violators).
func unimodal(y, weight []float64) []float64 {
	n := len(y)
	rising := prefixErrors(y, weight)
	falling := prefixErrors(reversed(y), reversed(weight))
	top := 0
	least := rising[0] + falling[n]
	for k := 1; k <= n; k++ {
		if sse := rising[k] + falling[n-k]; sse < least-1e-12*least {
			top, least = k, sse
		}
	}
	fit := isotonic(y[:top], weight[:top])
	return append(fit, reversed(isotonic(reversed(y[top:]), reversed(weight[top:])))...)
}

// A block is neighbours that share one value.
type block struct {
	mean, weight, sse float64
	n                 int
}

func (b block) join(c block) block {
	w := b.weight + c.weight
	d := b.mean - c.mean
	return block{
		mean:   (b.weight*b.mean + c.weight*c.mean) / w,
		weight: w,
		sse:    b.sse + c.sse + d*d*b.weight*c.weight/w,
		n:      b.n + c.n,
	}
}

// push adds one value on the right and pools while the order is violated.
func push(blocks []block, y, weight float64) []block {
	next := block{mean: y, weight: weight, n: 1}
	for len(blocks) > 0 && blocks[len(blocks)-1].mean >= next.mean {
		next = blocks[len(blocks)-1].join(next)
		blocks = blocks[:len(blocks)-1]
	}
	return append(blocks, next)
}

// isotonic returns the nearest values that never fall.
func isotonic(y, weight []float64) []float64 {
	var blocks []block
	for i := range y {
		blocks = push(blocks, y[i], weight[i])
	}
	fit := make([]float64, 0, len(y))
	for _, b := range blocks {
		for range b.n {
			fit = append(fit, b.mean)
		}
	}
	return fit
}

// prefixErrors returns the sum of squares of the isotonic fit of the first k values, for all k.
func prefixErrors(y, weight []float64) []float64 {
	errs := make([]float64, len(y)+1)
	var blocks []block
	below := make([]float64, 0, len(y)+1) // below[i] is the sum over the first i blocks
	below = append(below, 0)
	for i := range y {
		blocks = push(blocks, y[i], weight[i])
		k := len(blocks)
		below = append(below[:k], below[k-1]+blocks[k-1].sse)
		errs[i+1] = below[k]
	}
	return errs
}

func reversed(v []float64) []float64 {
	r := make([]float64, len(v))
	for i := range v {
		r[len(v)-1-i] = v[i]
	}
	return r
}
