package cmd

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"

	"advise/model"
	"advise/scenarios"
	"advise/sweep"
	"advise/targets"
)

// cores is a flag's number of cores: 4, 1.5 or Kubernetes' 500m.
type cores float64

func (c *cores) Type() string { return "cores" }

func (c *cores) String() string {
	if *c == 0 {
		return ""
	}
	return strconv.FormatFloat(float64(*c), 'g', -1, 64)
}

func (c *cores) Set(text string) error {
	number, milli := strings.CutSuffix(text, "m")
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || math.IsNaN(v) {
		return errors.New("want a number of cores such as 4, 1.5 or 500m")
	}
	if milli {
		v /= 1000
	}
	switch {
	case v <= 0:
		return errors.New("want more than 0 cores")
	case v < leastCores:
		return fmt.Errorf("want at least %gm: less is not measurable", 1000*leastCores)
	case v > sweep.MostCores:
		return fmt.Errorf("want at most %d cores", sweep.MostCores)
	}
	*c = cores(v)
	return nil
}

// leastCores is a quota of 1 ms in the kernel's period of 100 ms, the least it takes.
const leastCores = 0.01

// memory is a flag's number of bytes: 512M, 1.5G (powers of 1000), 512Mi (powers of 1024), bytes.
type memory int64

const (
	leastMemory = 1 << 20
	mostMemory  = 1 << 50
)

func (m *memory) Type() string { return "bytes" }

func (m *memory) String() string {
	if *m == 0 {
		return ""
	}
	return strconv.FormatInt(int64(*m), 10)
}

func (m *memory) Set(text string) error {
	if strings.HasPrefix(strings.TrimSpace(text), "-") {
		return errors.New("want more than 0 bytes")
	}
	if strings.Contains(text, ",") { // humanize takes 1,5G for 15
		return errors.New("decimals are written with a point, thousands without anything between")
	}
	v, err := humanize.ParseBytes(text)
	switch {
	case err != nil:
		return errors.New("want bytes such as 1.5G, 512M, 512Mi or 536870912")
	case v < leastMemory:
		return errors.New("want at least 1Mi: no server starts in less")
	case v > mostMemory:
		return errors.New("want at most 1Pi")
	}
	*m = memory(v)
	return nil
}

// workers is a flag's range or list of counts: 1..16 or 1,2,4,8.
type workers struct {
	lowest, highest int
	counts          []int
}

func (w *workers) Type() string { return "counts" }

func (w *workers) String() string {
	if len(w.counts) > 0 {
		return strings.Trim(strings.ReplaceAll(fmt.Sprint(w.counts), " ", ","), "[]")
	}
	if w.highest > 0 {
		return fmt.Sprintf("%d..%d", w.lowest, w.highest)
	}
	return ""
}

func (w *workers) Set(text string) error {
	if first, last, ranged := strings.Cut(text, ".."); ranged {
		lowest, err := count(first)
		if err != nil {
			return err
		}
		highest, err := count(last)
		if err != nil {
			return err
		}
		if lowest > highest {
			return fmt.Errorf("the range is empty: did you mean %d..%d?", highest, lowest)
		}
		*w = workers{lowest: lowest, highest: highest}
		return nil
	}
	var list []int
	seen := map[int]bool{}
	for part := range strings.SplitSeq(text, ",") {
		n, err := count(part)
		if err != nil {
			return err
		}
		if !seen[n] {
			seen[n] = true
			list = append(list, n)
		}
	}
	*w = workers{counts: list}
	return nil
}

func count(text string) (int, error) {
	n, err := strconv.Atoi(strings.TrimSpace(text))
	switch {
	case err != nil:
		return 0, errors.New("want a range such as 1..16 or a list such as 1,2,4,8")
	case n < 1:
		return 0, errors.New("want at least 1 worker")
	case n > sweep.MostWorkers:
		return 0, fmt.Errorf("want at most %d workers", sweep.MostWorkers)
	}
	return n, nil
}

// share is a flag's share of one: 5% or 0.05.
type share float64

func (s *share) Type() string { return "share" }

func (s *share) String() string {
	return strconv.FormatFloat(100*float64(*s), 'g', 6, 64) + "%"
}

func (s *share) Set(text string) error {
	v, err := parseShare(text)
	if err != nil {
		return err
	}
	if v <= 0 || v >= 1 {
		return errors.New("want more than 0% and less than 100%")
	}
	*s = share(v)
	return nil
}

// confidence is a flag's share that leaves room for chance: 95%.
type confidence share

func (c *confidence) Type() string { return "share" }

func (c *confidence) String() string { return (*share)(c).String() }

func (c *confidence) Set(text string) error {
	var s share
	if err := s.Set(text); err != nil {
		return err
	}
	if s > model.MostConfidence {
		return fmt.Errorf("want at most %g%%: nearer to 100%% an interval has no end", 100*model.MostConfidence)
	}
	*c = confidence(s)
	return nil
}

// margin is a flag's share that may be nothing: 0% or 10%.
type margin float64

func (m *margin) Type() string { return "share" }

func (m *margin) String() string { return (*share)(m).String() }

func (m *margin) Set(text string) error {
	v, err := parseShare(text)
	if err != nil {
		return err
	}
	if v < 0 || v >= 1 {
		return errors.New("want 0% or more and less than 100%")
	}
	*m = margin(v)
	return nil
}

func parseShare(text string) (float64, error) {
	number, percent := strings.CutSuffix(text, "%")
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || math.IsNaN(v) {
		return 0, errors.New("want a share such as 5% or 0.05")
	}
	if percent {
		v /= 100
	}
	return v, nil
}

// surplus is a flag's share on top: from nothing to ten times as much.
type surplus float64

func (s *surplus) Type() string { return "share" }

func (s *surplus) String() string {
	if *s == 0 {
		return ""
	}
	return (*share)(s).String()
}

func (s *surplus) Set(text string) error {
	v, err := parseShare(text)
	if err != nil {
		return err
	}
	if v < 0 || v > 9 {
		return errors.New("want 0% to 900%")
	}
	*s = surplus(v)
	return nil
}

// rate is a flag's requests per second: 300, 300/s, 18000/m.
type rate float64

func (r *rate) Type() string { return "rate" }

func (r *rate) String() string {
	if *r == 0 {
		return ""
	}
	return strconv.FormatFloat(float64(*r), 'g', -1, 64)
}

func (r *rate) Set(text string) error {
	v, err := scenarios.ParseRate(text)
	if err != nil {
		return err
	}
	*r = rate(v)
	return nil
}

// goal is a flag's: rate or capacity.
type goal model.Goal

func (g *goal) Type() string { return "goal" }

func (g *goal) String() string { return string(*g) }

func (g *goal) Set(text string) error {
	switch v := model.Goal(text); v {
	case model.GoalRate, model.GoalCapacity:
		*g = goal(v)
		return nil
	}
	return fmt.Errorf("want %s or %s", model.GoalRate, model.GoalCapacity)
}

// connections is a flag's number of connections.
type connections int

func (c *connections) Type() string { return "connections" }

func (c *connections) String() string {
	if *c == 0 {
		return ""
	}
	return strconv.Itoa(int(*c))
}

func (c *connections) Set(text string) error {
	n, err := scenarios.ParseConnections(text)
	if err != nil {
		return err
	}
	*c = connections(n)
	return nil
}

// objective is a flag's promise: p95=200ms,errors=0.1%.
type objective scenarios.Objective

func (o *objective) Type() string { return "objective" }

func (o *objective) String() string { return scenarios.Objective(*o).Flag() }

func (o *objective) Set(text string) error {
	v, err := scenarios.ParseObjective(text)
	if err != nil {
		return err
	}
	*o = objective(v)
	return nil
}

// coreList is a flag's list of core counts: 2,4,8.
type coreList []float64

func (l *coreList) Type() string { return "list" }

func (l *coreList) String() string {
	var parts []string
	for _, n := range *l {
		c := cores(n)
		parts = append(parts, c.String())
	}
	return strings.Join(parts, ",")
}

func (l *coreList) Set(text string) error {
	var list coreList
	for part := range strings.SplitSeq(text, ",") {
		var c cores
		if err := c.Set(strings.TrimSpace(part)); err != nil {
			return err
		}
		if !slices.Contains(list, float64(c)) {
			list = append(list, float64(c))
		}
	}
	slices.Sort(list)
	*l = list
	return nil
}

// threadList reads counts of threads: 1,2,4.
type threadList []int

func (l *threadList) Type() string { return "list" }

func (l *threadList) String() string {
	var parts []string
	for _, n := range *l {
		parts = append(parts, strconv.Itoa(n))
	}
	return strings.Join(parts, ",")
}

func (l *threadList) Set(text string) error {
	var list threadList
	for part := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || n < 1 || n > sweep.MostWorkers {
			return fmt.Errorf("want counts of 1 to %d, such as 1,2,4", sweep.MostWorkers)
		}
		list = append(list, n)
	}
	*l = list
	return nil
}

// preloads reads on, off, or both.
type preloads []targets.Preload

func (l *preloads) Type() string { return "on,off" }

func (l *preloads) String() string {
	var parts []string
	for _, p := range *l {
		parts = append(parts, string(p))
	}
	return strings.Join(parts, ",")
}

func (l *preloads) Set(text string) error {
	var list preloads
	for part := range strings.SplitSeq(text, ",") {
		p := targets.Preload(strings.TrimSpace(part))
		if p != targets.PreloadOn && p != targets.PreloadOff {
			return errors.New("want on, off or on,off")
		}
		list = append(list, p)
	}
	*l = list
	return nil
}

// memoryList is a flag's list of sizes: 512M,2G.
type memoryList []int64

func (l *memoryList) Type() string { return "list" }

func (l *memoryList) String() string {
	var parts []string
	for _, bytes := range *l {
		parts = append(parts, strconv.FormatInt(bytes, 10))
	}
	return strings.Join(parts, ",")
}

func (l *memoryList) Set(text string) error {
	var list memoryList
	for part := range strings.SplitSeq(text, ",") {
		var m memory
		if err := m.Set(strings.TrimSpace(part)); err != nil {
			return err
		}
		if !slices.Contains(list, int64(m)) {
			list = append(list, int64(m))
		}
	}
	slices.Sort(list)
	*l = list
	return nil
}
