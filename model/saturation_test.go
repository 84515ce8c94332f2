package model

import (
	"math"
	"testing"
)

// fillWith looks for connections on a server of a known throughput, and cores share, at each number.
func fillWith(f Filling, at func(connections int) Level) (Filling, Saturation) {
	for range 64 {
		next, found := f.Next()
		if next == 0 {
			return f, found
		}
		l := at(next)
		l.Connections = next
		f.Levels = append(f.Levels, l)
	}
	return f, "never"
}

// A server of c seconds of CPU and w of waiting answers min(K/(c+w), 1/c) to K connections.
func waiting(cpu, wait, most float64) func(int) Level {
	return func(connections int) Level {
		x := math.Min(math.Min(float64(connections)/(cpu+wait), 1/cpu), most)
		return Level{Throughput: x, CPUShare: x * cpu}
	}
}

func TestFilling(t *testing.T) {
	none := math.Inf(1)
	refusing := func(over int, at func(int) Level) func(int) Level {
		return func(n int) Level {
			l := at(n)
			l.Refused = n > over
			return l
		}
	}
	for name, test := range map[string]struct {
		filling     Filling
		at          func(int) Level
		least, most int
		found       Saturation
		levels      int
	}{
		// 64 connections queue six times over: the first number is enough. Twice as many and a quarter are tried.
		"cores full at once": {Filling{Unloaded: 0.010}, waiting(0.010, 0, none), 16, 16, SaturatedCores, 3},
		// 101 fill the core. Whether more than the 128 that do are answered more is tried.
		"20 ms of waiting": {Filling{Unloaded: 0.0202}, waiting(0.0002, 0.020, none), 128, 128, SaturatedCores, 3},
		// 64 use 6.4 % of the core, so that eight times as many are the next: 512, 1024, 2048.
		"200 ms of waiting":     {Filling{Unloaded: 0.2002}, waiting(0.0002, 0.200, none), 1024, 1024, SaturatedCores, 4},
		"a lock, the core idle": {Filling{Unloaded: 0.050}, waiting(0.0002, 0.050, 300), 64, 64, SaturatedConnections, 2},
		"the slots are known":   {Filling{Unloaded: 0.050, Slots: 8}, waiting(0.001, 0.050, 160), 64, 64, SaturatedSlots, 1},
		"a limit of its own":    {Filling{Unloaded: 0.021, Limit: 10}, waiting(0.0002, 0.0208, 476), 16, 16, SaturatedLimit, 2},
		"refuses all but 10":    {Filling{Unloaded: 0.021}, refusing(10, waiting(0.0002, 0.0208, none)), 8, 8, SaturatedLimit, 4},
		"refuses even one":      {Filling{}, refusing(0, waiting(0.0002, 0.0208, none)), 0, 0, "", 7},
		"refuses more than 100": {Filling{Unloaded: 0.0202}, refusing(100, waiting(0.0001, 0.0201, none)), 64, 64, SaturatedLimit, 2},
		"not within 512":        {Filling{Unloaded: 0.2002, Most: 512}, waiting(0.0002, 0.200, none), 512, 512, "", 2},
		// Without a measured share of the cores there is doubling alone.
		"cores not known": {Filling{}, func(n int) Level { return Level{Throughput: math.Min(float64(n)*50, 10000)} }, 256, 512, SaturatedConnections, 4},
	} {
		test.filling.First = 64
		if test.filling.Most == 0 {
			test.filling.Most = 8192
		}
		f, found := fillWith(test.filling, test.at)
		if best := f.Best(); found != test.found || best < test.least || best > test.most || len(f.Levels) != test.levels {
			t.Errorf("%s: %q with %d connections, want %q with %d to %d in %d steps: %+v", name, found, best, test.found, test.least, test.most, test.levels, f.Levels)
		}
	}
}

// Noise hides what rises: two numbers that differ by less than it show nothing, a third one does.
func TestFillingIsTestedAgainstNoise(t *testing.T) {
	at := func(throughput ...float64) Filling {
		f := Filling{First: 64, Most: 8192}
		for i, x := range throughput {
			f.Levels = append(f.Levels, Level{Connections: 64 << i, Throughput: x, Error: 0.1})
		}
		return f
	}
	if next, found := at(1000, 1020).Next(); next != 256 || found != "" {
		t.Errorf("2 %% more at 10 %% of noise: %q, then %d", found, next)
	}
	if next, found := at(1000, 1020, 990).Next(); next != 0 || found != SaturatedConnections {
		t.Errorf("level over three: %q, then %d", found, next)
	}
	if next, found := at(1000, 1900, 1950).Next(); next != 512 || found != "" {
		t.Errorf("level for one step: %q, then %d", found, next)
	}
}

// A server that more connections slow down is driven by those that it answers most to, wherever the search
// began. The first are what wrk got of one uvicorn worker whose page waits 5 ms, the second of two of them that
// stall, the third of an eventlet worker whose page waits 200 ms.
func TestFillingFindsTheTop(t *testing.T) {
	for name, test := range map[string]struct {
		filling     Filling
		answered    map[int]float64
		full        float64 // requests per second that fill the core
		least, most int
	}{
		"from the top":  {Filling{First: 64, Unloaded: 0.0052}, map[int]float64{16: 2615, 32: 3355, 64: 3431, 128: 3422, 256: 3220, 512: 3188}, 3450, 64, 64},
		"from far over": {Filling{First: 512, Unloaded: 0.0052}, map[int]float64{16: 2615, 32: 3355, 64: 3431, 128: 3422, 256: 3220, 512: 3188, 1024: 3100}, 3450, 32, 128},
		"from below":    {Filling{First: 64, Unloaded: 0.048}, map[int]float64{16: 332, 64: 1240, 128: 1811, 256: 2761, 512: 2870, 1024: 2850}, 2900, 512, 512},
		"slow":          {Filling{First: 64, Unloaded: 0.2002}, map[int]float64{64: 318, 256: 1209, 512: 2450, 1024: 2900, 2048: 2700}, 2900, 1024, 1024},
		"passed by":     {Filling{First: 64, Unloaded: 0.0202}, map[int]float64{64: 2920, 128: 5600, 256: 4900, 512: 4920}, 5600, 128, 128},
		// The idle core made it go from 64 to 256 at once, where the server had collapsed.
		"between": {Filling{First: 64, Unloaded: 0.1002}, map[int]float64{64: 630, 128: 1200, 256: 600}, 5000, 128, 128},
	} {
		test.filling.Most = 8192
		f, found := fillWith(test.filling, func(n int) Level {
			x, known := test.answered[n]
			if !known {
				t.Errorf("%s: tried %d connections", name, n)
			}
			return Level{Throughput: x, Error: 0.01, CPUShare: x / test.full}
		})
		if best := f.Best(); found == "" || best < test.least || best > test.most {
			t.Errorf("%s: %q with %d connections, want %d to %d: %+v", name, found, best, test.least, test.most, f.Levels)
		}
	}
}

// What one Node worker answered whose page waits 20 ms, where the search began at 256: a quarter of them surely gets
// less, half of them does not, and the noise of 512 is larger than what they seem to get more.
func TestFillingFromOverTheTop(t *testing.T) {
	levels := map[int]Level{
		128: {Throughput: 4508, Error: 0.12, CPUShare: 1}, 256: {Throughput: 3616, Error: 0.12, CPUShare: 1}, 512: {Throughput: 4381, Error: 0.25, CPUShare: 1},
	}
	f, found := fillWith(Filling{First: 256, Most: 8192, Unloaded: 0.0284}, func(n int) Level {
		if levels[n].Throughput == 0 {
			t.Errorf("tried %d connections", n)
		}
		return levels[n]
	})
	if best := f.Best(); found != SaturatedCores || best != 128 {
		t.Errorf("%q with %d connections: %+v", found, best, f.Levels)
	}
	f.Levels = []Level{{256, 3616, 0.12, 1, 0, false}, {512, 4381, 0.25, 1, 0, false}}
	if best := f.Best(); best != 256 {
		t.Errorf("21 %% more at 28 %% of noise: %d connections", best)
	}
	f.Levels[0].Error, f.Levels[1].Error = 0.02, 0.02
	if best := f.Best(); best != 512 {
		t.Errorf("21 %% more at 3 %% of noise: %d connections", best)
	}
}

// Five answers without load were twice as quick as the page is on average: by the first level nothing queues, and the
// idle cores have room for eight times as many.
func TestDoublingGoesByTheFirstLevel(t *testing.T) {
	f := Filling{First: 16, Most: 8192, Unloaded: 0.1, Levels: []Level{{Connections: 16, Throughput: 80, CPUShare: 0.02}, {Connections: 32, Throughput: 160, CPUShare: 0.04}}}
	if next, found := f.Next(); next != 256 || found != "" {
		t.Errorf("%d connections next, %q", next, found)
	}
}

// Three Node workers on a core got faster with every second: the number below the best one is tried again.
func TestFillingOfAColdServer(t *testing.T) {
	times := map[int]int{}
	f, found := fillWith(Filling{First: 256, Most: 2048, Unloaded: 0.050}, func(n int) Level {
		times[n]++
		x := map[int]float64{128: 2440, 256: 3010, 512: 3660, 1024: 3700, 2048: 3600}[n]
		if n == 256 && times[n] > 1 {
			x = 3800
		}
		return Level{Throughput: x, Error: 0.02, CPUShare: 0.999}
	})
	if best := f.Best(); found != SaturatedCores || best != 256 || times[256] != 2 {
		t.Errorf("%q with %d connections: %+v", found, best, f.Levels)
	}
}

// 64 more connections took 16 MB more: 128 further ones fit in 100 MB, and 256 don't.
func TestFillingFitsMemory(t *testing.T) {
	f := Filling{Memory: 100e6, Levels: []Level{{Connections: 64, Throughput: 100, Memory: 40e6}, {Connections: 128, Throughput: 200, Memory: 56e6}}}
	for connections, want := range map[int]bool{32: true, 256: true, 384: false, 512: false} {
		if got := f.Fits(connections); got != want {
			t.Errorf("%d connections fit: %t", connections, got)
		}
	}
	if f.Memory = 0; !f.Fits(1 << 20) {
		t.Error("no cap, and no room")
	}
	if f = (Filling{Memory: 100e6, Levels: f.Levels[:1]}); !f.Fits(1 << 20) {
		t.Error("one level tells of no growth")
	}
}

// The verdict on a single number: what a trial shows by itself.
func TestShown(t *testing.T) {
	f := Filling{Unloaded: 0.050}
	for name, test := range map[string]struct {
		level Level
		want  Saturation
	}{
		"cores full":                {Level{Connections: 64, Throughput: 1280, CPUShare: 0.97}, SaturatedCores},
		"as fast as without load":   {Level{Connections: 64, Throughput: 1270, CPUShare: 0.25}, ""},
		"twice as long":             {Level{Connections: 64, Throughput: 600, CPUShare: 0.25}, SaturatedQueue},
		"refused":                   {Level{Connections: 64, Throughput: 600, CPUShare: 1, Refused: true}, ""},
		"nothing answered":          {Level{Connections: 64}, ""},
		"not a number of answers":   {Level{Connections: 64, Throughput: math.NaN()}, ""},
		"cores full, as they queue": {Level{Connections: 640, Throughput: 1280, CPUShare: 0.97}, SaturatedCores},
	} {
		if got := f.Shown(test.level); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
	if got := (Filling{Slots: 32}).Shown(Level{Connections: 64, Throughput: 1}); got != SaturatedSlots {
		t.Errorf("twice the slots: %q", got)
	}
	if got := (Filling{Slots: 33}).Shown(Level{Connections: 64, Throughput: 1}); got != "" {
		t.Errorf("less than twice the slots: %q", got)
	}
}

// uvicorn with two workers answers in 64 ms what it answers in 21.7 ms on new connections: it pauses for 42 ms
// behind the header. Without the pauses only the times tell, which chance decides where the page waits at random.
func TestStalls(t *testing.T) {
	for name, test := range map[string]struct {
		kept, fresh Answer
		want        bool
	}{
		"a stall":                   {Answer{0.064, 0.042}, Answer{0.0217, 0.0001}, true},
		"in chance's shadow":        {Answer{0.260, 0.042}, Answer{0.310, 0.0001}, true},
		"chance alone":              {Answer{0.240, 0.0001}, Answer{0.200, 0.0001}, false},
		"a page in parts":           {Answer{0.064, 0.042}, Answer{0.064, 0.042}, false},
		"a page in slow parts":      {Answer{0.320, 0.300}, Answer{0.280, 0.260}, false},
		"pauses not known":          {Answer{Took: 0.064}, Answer{Took: 0.0217}, true},
		"nor does it take longer":   {Answer{Took: 0.0217}, Answer{Took: 0.0217}, false},
		"a new one takes longer":    {Answer{Took: 0.010}, Answer{Took: 0.050}, false},
		"far longer":                {Answer{Took: 0.120}, Answer{Took: 0.020}, false},
		"a new one was not tried":   {Answer{Took: 0.044}, Answer{}, false},
		"nothing that is a number":  {Answer{math.NaN(), math.NaN()}, Answer{Took: 0.02}, false},
		"seen on one of both alone": {Answer{0.064, 0.042}, Answer{Took: 0.0217}, true},
	} {
		if got := Stalls(test.kept, test.fresh); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// Whatever was tried, the search ends, within what can be opened.
func FuzzFilling(f *testing.F) {
	f.Add(64, 8192, 0, 0.02, 0.0002, 0.02, 0.0, 100)
	f.Add(1, 1, 5, 0.0, 0.01, 0.0, 10.0, 0)
	f.Fuzz(func(t *testing.T, first, most, limit int, unloaded, cpu, wait, lock float64, refused int) {
		filling := Filling{First: first % 10000, Most: most % 10000, Limit: limit, Unloaded: unloaded}
		filling, found := fillWith(filling, func(n int) Level {
			l := waiting(cpu, wait, lock)(n)
			l.Refused = refused > 0 && n > refused
			return l
		})
		if found == "never" {
			t.Fatalf("it does not end: %+v", filling.Levels)
		}
		for _, l := range filling.Levels {
			if l.Connections < 1 || l.Connections > max(filling.Most, 1) {
				t.Errorf("tried %d connections of %d", l.Connections, filling.Most)
			}
		}
	})
}
