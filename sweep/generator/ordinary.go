package generator

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Ordinary is the index of the most frequent request, -1 where there is none: of a single request, and of
// several that are as frequent.
func Ordinary(requests []Request) int {
	most, alike := -1, false
	for i, r := range requests {
		switch {
		case most < 0 || r.Weight > requests[most].Weight:
			most, alike = i, false
		case r.Weight == requests[most].Weight:
			alike = true
		}
	}
	if len(requests) < 2 || alike {
		return -1
	}
	return most
}

// An ordinary counts the latencies of the most frequent request apart: a few slow ones hide in the
// percentiles of all what they do to the others.
type ordinary struct {
	request   int
	at        func(seq uint64) int // which request comes when
	latencies *hdrhistogram.Histogram
}

// newOrdinary is nil where no request is the most frequent one.
func newOrdinary(a Attack, d deck) *ordinary {
	request := Ordinary(a.Requests)
	if request < 0 {
		return nil
	}
	return &ordinary{request, d.at, newHistogram()}
}

// add counts a success.
func (o *ordinary) add(seq uint64, latency time.Duration) {
	if o != nil && o.at(seq) == o.request {
		record(o.latencies, latency)
	}
}

// latency is nil without any.
func (o *ordinary) latency() *Latency {
	if o == nil || o.latencies.TotalCount() == 0 {
		return nil
	}
	l := quantiles(o.latencies)
	return &l
}
