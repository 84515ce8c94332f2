package sweep

import (
	"bytes"
	"cmp"
	"encoding/csv"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"advise/model"
	"advise/targets"
	"advise/targets/mask"
)

// A Flag is a setting of a plan as the command line takes it.
type Flag struct {
	Name, Value string
	// Hidden is true when the record does not keep all of it, since it may be secret: what is missing
	// is Missing in the value.
	Hidden bool
}

// Missing stands in a flag's value, and in the query of a path, for what the user has to give again.
const Missing = "..."

// Words are the flag as it is typed.
func (f Flag) Words() []string {
	if f.Value == switchedOn {
		return []string{"--" + f.Name}
	}
	return []string{"--" + f.Name, f.Value}
}

const switchedOn = "true"

// settings has a row for each flag that a plan keeps, in the order of the command's help: what to give
// it to get the same plan; empty where that is to leave it out.
var settings = []struct {
	flag  string
	value func(Plan) string
}{
	{"cores", func(p Plan) string { return exact(p.Budget.Cores) }},
	{"mem", func(p Plan) string { return exactSize(p.Budget.MemoryBytes) }},
	{"workers", func(p Plan) string { return p.Settings.countsGiven() }},
	{"least", func(p Plan) string { return p.Settings.leastGiven() }},
	{"class", func(p Plan) string { return oneLine(p.Settings.compared().Classes) }},
	{"threads", func(p Plan) string { return joined(p.Settings.compared().Threads, strconv.Itoa) }},
	{"preload", func(p Plan) string {
		return joined(p.Settings.compared().Preload, func(v targets.Preload) string { return string(v) })
	}},
	{"path", func(p Plan) string { return p.Scenario.pathGiven() }},
	{"scenario", func(p Plan) string { return p.Scenario.File }},
	{"slo", func(p Plan) string { return given(p.Scenario.ObjectiveGiven, p.Scenario.Objective.Flag()) }},
	{"rate", func(p Plan) string { return given(p.Scenario.RateGiven, exact(p.Scenario.TrafficRPS)) }},
	{"connections", func(p Plan) string {
		return given(p.Scenario.ConnectionsGiven, strconv.Itoa(p.Scenario.Connections))
	}},
	{"goal", func(p Plan) string {
		return given(p.Scenario.RateRPS > 0, string(cmp.Or(p.Settings.Goal, model.GoalCapacity)))
	}},
	{"headroom", func(p Plan) string { return given(p.Settings.RateHeadroom > 0, exactShare(p.Settings.RateHeadroom)) }},
	{"share-cores", func(p Plan) string { return given(p.Settings.ShareCores, switchedOn) }},
	{"predict-cores", func(p Plan) string { return joined(p.Settings.PredictCores, exact) }},
	{"predict-mem", func(p Plan) string { return joined(p.Settings.PredictMemory, exactSize) }},
	{"time", func(p Plan) string { return p.Settings.timeGiven() }},
	{"tolerance", func(p Plan) string { return exactShare(p.Settings.Tolerance) }},
	{"confidence", func(p Plan) string { return exactShare(p.Settings.Confidence) }},
	{"mem-headroom", func(p Plan) string { return exactShare(p.Settings.MemoryHeadroom) }},
	{"seed", func(p Plan) string { return strconv.FormatInt(p.Settings.Seed, 10) }},
	{"arrivals", func(p Plan) string { return p.Settings.Arrivals }},
	{"live", func(p Plan) string { return given(p.Settings.Live, switchedOn) }},
	{"probe", func(p Plan) string { return p.Settings.Probe }},
	{"limits", func(p Plan) string { return cmp.Or(p.Settings.Limits, p.Environment.LimitsMethod) }},
}

// Flags are those that ask for the same plan again.
func (p Plan) Flags() []Flag {
	var list []Flag
	for _, s := range settings {
		f := Flag{Name: s.flag, Value: s.value(p)}
		if f.Name == "path" || f.Name == "probe" {
			f = withoutSecrets(f)
		}
		if f.Value != "" {
			list = append(list, f)
		}
	}
	return list
}

// withoutSecrets leaves open what is hidden in the query of a path. The path of an older record has all.
func withoutSecrets(f Flag) Flag {
	shown, _ := mask.Path(f.Value)
	f.Value = strings.ReplaceAll(shown, mask.Mark, Missing)
	f.Hidden = f.Value != shown
	return f
}

func given(is bool, value string) string {
	if !is {
		return ""
	}
	return value
}

// pathGiven is the path of the short form. In a record of before the query was kept with the path, the
// scenario's name has it.
func (s *Scenario) pathGiven() string {
	if s.File != "" || len(s.Requests) == 0 {
		return ""
	}
	path := s.Requests[0].Path
	if strings.HasPrefix(s.Name, path+"?") {
		return s.Name
	}
	return path
}

// countsGiven is empty where the range was left to advise.
func (s *Settings) countsGiven() string {
	switch {
	case len(s.Counts) > 0:
		return joined(s.Counts, strconv.Itoa)
	case s.Highest > 0 && s.MostSlots == 0:
		return fmt.Sprintf("%d..%d", s.Lowest, s.Highest)
	}
	return ""
}

func (s *Settings) leastGiven() string {
	if !s.LeastGiven || len(s.Least) == 0 {
		return ""
	}
	return strconv.Itoa(s.Least[0])
}

func (s *Settings) timeGiven() string {
	return time.Duration(math.Round(s.TimeSeconds * float64(time.Second))).String()
}

// compared is how the shapes were asked for. An older record has the shapes alone: there it is what they
// are made of, though not always in the same order.
func (s *Settings) compared() Compared {
	if s.Compared != nil {
		return *s.Compared
	}
	var c Compared
	for _, v := range s.Variants {
		c.Classes, c.Threads, c.Preload = withNew(c.Classes, v.Class), withNew(c.Threads, v.Threads), withNew(c.Preload, v.Preload)
	}
	return c
}

// withNew adds a value that is known and not there yet.
func withNew[T comparable](list []T, value T) []T {
	var unknown T
	if value == unknown || slices.Contains(list, value) {
		return list
	}
	return append(list, value)
}

// oneLine writes a list as the flag of one takes it: the names in it may have commas and quotes.
func oneLine(list []string) string {
	if len(list) == 0 {
		return ""
	}
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	_ = w.Write(list) // a buffer takes everything
	w.Flush()
	return strings.TrimSuffix(b.String(), "\n")
}

func joined[T any](list []T, write func(T) string) string {
	var parts []string
	for _, v := range list {
		parts = append(parts, write(v))
	}
	return strings.Join(parts, ",")
}

func exact(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// exactShare is a percentage where that is read as the same number.
func exactShare(share float64) string {
	percent := strconv.FormatFloat(100*share, 'g', 10, 64)
	if v, err := strconv.ParseFloat(percent, 64); err != nil || v/100 != share {
		return exact(share)
	}
	return percent + "%"
}

// exactSize writes bytes without rounding; none is empty.
func exactSize(size int64) string {
	for _, unit := range []struct {
		bytes int64
		name  string
	}{{1e9, "G"}, {1 << 30, "Gi"}, {1e6, "M"}, {1 << 20, "Mi"}} {
		if size > 0 && size%unit.bytes == 0 {
			return fmt.Sprintf("%d%s", size/unit.bytes, unit.name)
		}
	}
	return given(size > 0, strconv.FormatInt(size, 10))
}
