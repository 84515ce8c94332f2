package model

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// repeated makes five equal values of each, so that these are the batch means of MSER-5.
func repeated(means ...float64) (series []float64) {
	for _, m := range means {
		series = append(series, m, m, m, m, m)
	}
	return series
}

func TestMSER5ByHand(t *testing.T) {
	flat := func(n int) []float64 { return slices.Repeat([]float64{10}, n) }
	// Behind the first mean come six times 9 and five times 11: without it the sum of squares is
	// 11 - 1/11, so the quantity is (11 - 1/11) / 11^2 = 0.090158. A first mean of 10 + b adds
	// 11/12 (b + 1/11)^2 and divides by 12^2, which is more if b > 1.4133.
	swing := []float64{9, 11, 9, 11, 9, 11, 9, 11, 9, 11, 9}
	for name, c := range map[string]struct {
		means []float64
		cut   int
		ok    bool
	}{
		"constant":               {flat(12), 0, true},
		"two ramp up":            {append([]float64{0, 5}, flat(10)...), 10, true},
		"a first mean just kept": {append([]float64{11.41}, swing...), 0, true},
		"and just cut":           {append([]float64{11.42}, swing...), 5, true},
		"half is cut":            {append(slices.Repeat([]float64{2}, 6), flat(6)...), 30, true},
		"more than half":         {append(slices.Repeat([]float64{2}, 7), flat(6)...), 35, false},
		"the last five are kept": {append(flat(11), 100), 0, true},
		"too few to tell":        {flat(10), 0, false},
		"none":                   {nil, 0, false},
		"no number":              {append(flat(12), math.NaN()), 0, false},
		"infinite":               {append(flat(12), math.Inf(-1)), 0, false},
	} {
		if cut, ok := MSER5(repeated(c.means...)); cut != c.cut || ok != c.ok {
			t.Errorf("%s: got %d, %t, want %d, %t", name, cut, ok, c.cut, c.ok)
		}
	}
}

// The formula as it stands in the literature, with its sums made anew for every cut.
func TestMSER5IsTheMinimum(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var y []float64
		for range mserLeast + random.IntN(60) {
			y = append(y, random.NormFloat64()+20*math.Exp(-float64(len(y))/5))
		}
		n := len(y)
		quantity := func(d int) float64 {
			mean, sum := 0.0, 0.0
			for _, v := range y[d:] {
				mean += v / float64(n-d)
			}
			for _, v := range y[d:] {
				sum += (v - mean) * (v - mean)
			}
			return sum / float64((n-d)*(n-d))
		}
		cut, ok := MSER5(repeated(y...))
		d := cut / mserBatch
		for other := 0; other <= n-mserKept; other++ {
			if quantity(other) < quantity(d)*(1-1e-12) {
				t.Errorf("cut of %d of %d: %g, but at %d it is %g", d, n, quantity(d), other, quantity(other))
			}
		}
		if ok != (2*d <= n) {
			t.Errorf("cut of %d of %d: ok is %t", d, n, ok)
		}
	}
}

// Student's t at 0.975 with nine degrees of freedom is 2.262157. Twenty values are ten batches of two.
func TestBatchMeansByHand(t *testing.T) {
	pairs := func(means ...float64) (series []float64) {
		for _, m := range means {
			series = append(series, m-0.5, m+0.5)
		}
		return series
	}
	for name, c := range map[string]struct {
		series                   []float64
		mean, width, correlation float64
	}{
		// Standard deviation sqrt(10/9): 2.262157 sqrt(10/9) / sqrt(10).
		"alternating": {pairs(9, 11, 9, 11, 9, 11, 9, 11, 9, 11), 10, 0.754052, 0},
		// Standard deviation sqrt(82.5/9); products of neighbours 57.75 of 82.5 make 0.7, and 1/10 for
		// its bias 0.8, which widens threefold: 3 x 2.262157 sqrt(82.5/9) / sqrt(10).
		"rising":   {pairs(1, 2, 3, 4, 5, 6, 7, 8, 9, 10), 5.5, 6.497549, 0.8},
		"constant": {slices.Repeat([]float64{7}, 20), 7, 0, 0.1},
	} {
		b, err := BatchMeans(c.series, 0.95)
		if err != nil {
			t.Fatal(err)
		}
		near(t, name+": mean", b.Mean, c.mean, 1e-9)
		near(t, name+": low", b.Mean-b.Low, c.width, 1e-5)
		near(t, name+": high", b.High-b.Mean, c.width, 1e-5)
		near(t, name+": correlation", b.Correlation, c.correlation, 1e-9)
		if b.Batches != 10 {
			t.Errorf("%s: %d batches, want 10", name, b.Batches)
		}
	}
}

func TestBatchMeansRefuses(t *testing.T) {
	fine := slices.Repeat([]float64{1}, 100)
	if _, err := BatchMeans(fine[:19], 0.95); !errors.Is(err, ErrShortSeries) {
		t.Errorf("19 values: got %v", err)
	}
	for _, confidence := range []float64{0, 0.4, 1, math.NaN(), math.Inf(1)} {
		if _, err := BatchMeans(fine, confidence); err == nil {
			t.Errorf("a confidence of %g: no error", confidence)
		}
	}
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1e13} {
		if _, err := BatchMeans(append(slices.Clone(fine), v), 0.95); err == nil {
			t.Errorf("with a value of %g: no error", v)
		}
	}
}

// A noise makes series whose mean is rate.
type noise struct {
	name string
	// phi is the correlation of neighbouring slices, spread their standard deviation as a share;
	// counted series are of whole requests, Poisson around that.
	phi, spread float64
	counted     bool
}

// series has one value per 10 ms; the rate, in requests per second, changes by drift over its length.
func (n noise) series(random *rand.Rand, values int, rate, drift float64) []float64 {
	s := make([]float64, values)
	state := random.NormFloat64()
	for i := range s {
		along := float64(i)/float64(values) - 0.5
		s[i] = rate / 100 * (1 + drift*along) * math.Max(0, 1+n.spread*state)
		if n.counted {
			s[i] = poisson(random, s[i])
		}
		state = n.phi*state + math.Sqrt(1-n.phi*n.phi)*random.NormFloat64()
	}
	return s
}

func poisson(random *rand.Rand, mean float64) float64 {
	if mean > 100 {
		return math.Max(0, math.Round(mean+math.Sqrt(mean)*random.NormFloat64()))
	}
	n := 0.0
	for at := random.ExpFloat64(); at < mean; at += random.ExpFloat64() {
		n++
	}
	return n
}

// An interval of 95 % covers the mean of an autoregressive process in 95 % of series. A first-order
// process with phi = 0.9 needs nineteen values for what one independent one says, so a hundred
// values are about five: there an interval may be too narrow, as the literature finds too. The
// naive interval of single values is held against it.
func TestBatchMeansCoverage(t *testing.T) {
	const trials = 2000
	for _, c := range []struct {
		phi          float64
		values       int
		least, naive float64 // naive: what that interval covers at most
	}{
		{0, 100, 0.945, 1},
		{0, 500, 0.94, 1},
		{0.5, 100, 0.93, 0.80},
		{0.5, 500, 0.94, 0.80},
		{0.8, 100, 0.89, 0.55},
		{0.8, 500, 0.93, 0.55},
		{0.9, 100, 0.86, 0.45},
		{0.9, 500, 0.92, 0.40},
	} {
		random := rand.New(rand.NewPCG(3, uint64(c.values)))
		covered, single := 0, 0
		for range trials {
			s := noise{phi: c.phi, spread: 0.1}.series(random, c.values, 100*100, 0)
			b, err := BatchMeans(s, 0.95)
			if err != nil {
				t.Fatal(err)
			}
			if b.Low <= 100 && 100 <= b.High {
				covered++
			}
			squares := 0.0
			for _, v := range s {
				squares += (v - b.Mean) * (v - b.Mean)
			}
			if math.Abs(b.Mean-100) < 1.96*math.Sqrt(squares)/float64(c.values) {
				single++
			}
		}
		if got := float64(covered) / trials; got < c.least || got > 0.985 {
			t.Errorf("phi %g, %d values: covered %.1f %%, want at least %.1f", c.phi, c.values, 100*got, 100*c.least)
		}
		if got := float64(single) / trials; got > c.naive {
			t.Errorf("phi %g, %d values: single values cover %.1f %%: this test shows nothing", c.phi, c.values, 100*got)
		}
	}
}

func TestTrendByHand(t *testing.T) {
	// 85, 86 .. 114: parts of two have means 2 apart, so 30 from end to end, of a mean of 99.5.
	var line []float64
	for i := range 30 {
		line = append(line, 85+float64(i))
	}
	d, ok := TrendOf(line, 0.95)
	if !ok {
		t.Fatal("no drift")
	}
	for name, got := range map[string]float64{"share": d.Share, "low": d.Low, "high": d.High} {
		near(t, name, got, 30/99.5, 1e-9) // nothing is left beside the line
	}
	for name, series := range map[string][]float64{
		"short": line[:29], "none": nil, "zero": make([]float64, 100), "no number": append(line, math.NaN()),
	} {
		if d, ok := TrendOf(series, 0.95); ok {
			t.Errorf("%s: got %+v", name, d)
		}
	}
}

var steadyNoises = []noise{
	{name: "poisson", counted: true},
	{name: "autocorrelated", phi: 0.8, spread: 0.05, counted: true},
	{name: "strongly autocorrelated", phi: 0.9, spread: 0.03, counted: true},
	{name: "smooth", phi: 0.8, spread: 0.02},
}

// A steady server is let through the warm-up in the least time or little more, and its window is
// held against it in less than 1 % (a second of noise that lasts for a fifth of it can't be told from a
// drift, so the correlated ones are of a few percent); 1.6 % is three standard deviations of 800 trials above.
func TestSteadyServersAreLeftAlone(t *testing.T) {
	const trials, floor, patience, most = 800, 70, 50, 300 // slices of 10 ms
	for _, n := range steadyNoises {
		for _, rate := range []float64{20, 100, 500, 2000, 5000} {
			random := rand.New(rand.NewPCG(5, uint64(rate)))
			slow, never, accused := 0, 0, map[int]int{}
			for range trials {
				s := n.series(random, most, rate, 0)
				through := floor
				for through < most && !(Steadiness{}).Settled(s[:through]) {
					through += mserBatch
				}
				if through > floor+patience {
					slow++
				}
				if through >= most {
					never++
				}
				for _, window := range []int{100, 300, 500} {
					if steady, _, _, _ := (Steadiness{}).Steady(n.series(random, window, rate, 0), true); !steady {
						accused[window]++
					}
				}
			}
			if slow > trials/100 || never > 0 {
				t.Errorf("%s, %g/s: %d of %d warm-ups took over half a second more, %d never ended", n.name, rate, slow, trials, never)
			}
			for window, times := range accused {
				if float64(times) > 0.016*trials {
					t.Errorf("%s, %g/s: a window of %d ms is held against it %d times of %d", n.name, rate, 10*window, times, trials)
				}
			}
		}
	}
}

// A compiler at work: from a tenth of full speed upwards, ever faster, and full speed from 1 s on. It
// takes MSER-5 twice as long to have most of it in the first half; without a look at the trend the
// warm-up would end at its least.
func TestWarmupWaitsForAQuickeningServer(t *testing.T) {
	random := rand.New(rand.NewPCG(8, 8))
	for _, rate := range []float64{500, 2000} {
		for range 100 {
			s := noise{spread: 0.1}.series(random, 400, rate, 0)
			for i := range 100 {
				s[i] *= 0.1 * math.Pow(10, float64(i)/100)
			}
			through := 55
			for through < len(s) && !(Steadiness{}).Settled(s[:through]) {
				through += mserBatch
			}
			if through < 120 || through > 300 {
				t.Errorf("%g/s: settled after %d ms, want 1200 to 3000", rate, 10*through)
			}
		}
	}
}

// A drift of 10 % is named where it can be seen: not under the scatter of few requests (a Poisson
// stream scatters by sqrt(12/N) over a window of N), but in what saturated servers really do, whose
// answers come far more evenly.
func TestTrendIsNamed(t *testing.T) {
	const trials = 300
	for _, c := range []struct {
		n      noise
		rate   float64
		window int
		least  float64
	}{
		{noise{name: "even"}, 100, 100, 1},
		{noise{name: "smooth", spread: 0.05}, 500, 100, 0.7},
		{noise{name: "smooth", spread: 0.05}, 500, 300, 0.98},
		{noise{name: "smooth", phi: 0.8, spread: 0.02}, 500, 300, 0.9},
		{noise{name: "poisson", counted: true}, 5000, 500, 0.6},
		{noise{name: "poisson", counted: true}, 20000, 500, 0.98},
	} {
		random := rand.New(rand.NewPCG(6, 6))
		for _, drift := range []float64{-0.1, 0.1} {
			named := 0
			for range trials {
				if steady, share, _, _ := (Steadiness{}).Steady(c.n.series(random, c.window, c.rate, drift), true); !steady && share*drift > 0 {
					named++
				}
			}
			if float64(named) < c.least*trials {
				t.Errorf("%+v at %g/s, drift %+g over %d ms: named %d times of %d", c.n, c.rate, drift, 10*c.window, named, trials)
			}
		}
	}
}

// Behind a warm-up without an end the burden of proof is turned round.
func TestSteadyAfterAWarmupWithoutAnEnd(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	even, few := noise{spread: 0.02}.series(random, 300, 1000, 0), noise{counted: true}.series(random, 300, 20, 0)
	for name, c := range map[string]struct {
		window  []float64
		settled bool
		want    bool
	}{
		"even":                   {even, true, true},
		"even, unsettled":        {even, false, true},
		"too few":                {few, true, true},
		"too few, unsettled":     {few, false, false},
		"too short":              {even[:10], true, true},
		"too short, unsettled":   {even[:10], false, false},
		"no answers":             {make([]float64, 100), true, true},
		"no answers, unsettled ": {make([]float64, 100), false, false},
	} {
		if got, share, low, high := (Steadiness{}).Steady(c.window, c.settled); got != c.want {
			t.Errorf("%s: steady is %t: %g (%g to %g)", name, got, share, low, high)
		}
	}
}

func FuzzSeries(f *testing.F) {
	f.Add([]byte{})
	f.Add(slices.Repeat([]byte{7}, 60))
	f.Add(slices.Repeat([]byte{202}, 60))
	f.Add([]byte("a series of any figures at all, which has to be as long as fifty-five of them to be told anything about, and then some"))
	f.Add(slices.Concat(slices.Repeat([]byte{206}, 30), slices.Repeat([]byte{207}, 30)))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := reader(data)
		confidence := r.figure() / 1e3
		var series []float64
		for len(r) > 0 && len(series) < 1000 {
			series = append(series, r.figure())
		}
		cut, ok := MSER5(series)
		if cut < 0 || cut > len(series) || cut%mserBatch != 0 || ok && 2*cut > len(series) {
			t.Errorf("cut %d of %d, %t", cut, len(series), ok)
		}
		finite := func(what string, low, v, high float64) {
			// Of equal values the mean may differ by rounding.
			if slack := 1e-9 * math.Abs(v); math.IsInf(low, 0) || math.IsInf(high, 0) || !(low <= v+slack && v <= high+slack) {
				t.Errorf("%s: %g is not within %g and %g", what, v, low, high)
			}
		}
		if b, err := BatchMeans(series, confidence); err == nil {
			finite("mean", b.Low, b.Mean, b.High)
			if b.Batches < fewestBatches || b.Batches > mostBatches || !(b.Correlation >= 0 && b.Correlation < 1) {
				t.Errorf("%+v", b)
			}
		}
		if d, ok := TrendOf(series, confidence); ok {
			finite("drift", d.Low, d.Share, d.High)
		}
		_, share, low, high := Steadiness{}.Steady(series, ok)
		finite("steady", low, share, high)
	})
}
