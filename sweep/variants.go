package sweep

import (
	"math"
	"slices"
	"strconv"

	"advise/model"
	"advise/targets"
)

// MostVariants bounds what is compared in one sweep: each takes restarts of its own.
const MostVariants = 32

// A Variant is what a shape is besides its count of workers.
type Variant struct {
	Threads int             `json:"threads"`
	Class   string          `json:"class"`
	Preload targets.Preload `json:"preload,omitempty"`
}

// VariantOf is that of a target's shape.
func VariantOf(s targets.Shape) Variant {
	return Variant{Threads: s.Threads, Class: s.Class, Preload: s.Preload}
}

// String names the variant as a sentence does: gthread with 4 threads, preloaded.
func (v Variant) String() string {
	text := v.Class
	if v.Threads > 1 || v.Class == "" || v.Class == "gthread" {
		threads := "1 thread"
		if v.Threads > 1 {
			threads = strconv.Itoa(v.Threads) + " threads"
		}
		if text != "" {
			text += " with "
		}
		text += threads
	}
	if v.Preload == targets.PreloadOn {
		text += ", preloaded"
	}
	return text
}

// At is the shape of so many workers.
func (v Variant) At(workers int) Shape {
	return Shape{Workers: workers, Threads: v.Threads, Class: v.Class, Preload: v.Preload}
}

// Variant is what the shape is besides its count.
func (s Shape) Variant() Variant {
	return Variant{Threads: s.Threads, Class: s.Class, Preload: s.Preload}
}

// Launched is what the target is told to run: what was not asked for, or is not known, is left to the
// command.
func (p *Plan) Launched(s Shape) targets.Shape {
	if len(p.Settings.Variants) == 0 {
		return targets.Shape{Workers: s.Workers, Threads: p.Settings.Threads, Class: p.Settings.Class, Preload: s.Preload}
	}
	return targets.Shape{Workers: s.Workers, Threads: p.asked(s.Variant()).Threads, Class: s.Class, Preload: s.Preload}
}

// asked is a variant as the target gave it: with no threads where their number is not known.
func (p *Plan) asked(v Variant) Variant {
	if i := slices.Index(p.Variants(), v); i >= 0 && i < len(p.Settings.Variants) {
		return p.Settings.Variants[i]
	}
	return v
}

// Variants are those that are compared, at least one.
func (p *Plan) Variants() []Variant {
	list := slices.Clone(p.Settings.Variants)
	if len(list) == 0 {
		list = []Variant{{Threads: p.Settings.Threads, Class: p.Settings.Class}}
	}
	for i := range list {
		list[i].Threads = max(list[i].Threads, 1)
	}
	return list
}

// variant finds one by its name; a plan of one has no other.
func (p *Plan) variant(name string) Variant {
	list := p.Variants()
	return list[max(slices.IndexFunc(list, func(v Variant) bool { return v.String() == name }), 0)]
}

// nameOf is the name of a trial's variant.
func (p *Plan) nameOf(t Trial) string {
	if list := p.Variants(); len(list) == 1 {
		return list[0].String()
	}
	return t.Shape.Variant().String()
}

// of are the trials of a variant.
func (p *Plan) of(name string, trials []Trial) []Trial {
	return slices.DeleteFunc(slices.Clone(trials), func(t Trial) bool { return p.nameOf(t) != name })
}

// Of is the part of the record on one variant: a record as if nothing else had been measured.
func (r *Record) Of(v Variant) *Record {
	if len(r.Plan.Variants()) == 1 {
		return r
	}
	part := *r
	part.Trials = r.Plan.of(v.String(), r.Trials)
	part.Plan.Settings.Threads, part.Plan.Settings.Class = v.Threads, v.Class
	part.Plan.Settings.Highest = r.Plan.highest(v)
	part.Plan.Settings.Least = []int{r.Plan.least(v)}
	part.Plan.Settings.Variants, part.Plan.Settings.MostSlots = []Variant{r.Plan.asked(v)}, 0
	return &part
}

const (
	// leastHighest is how far a variant of many threads is searched at the least.
	leastHighest = 4
	// threadsForSlot is how many threads a variant of several may have for each slot of one without: they take
	// little memory, and where requests wait each of them answers more.
	threadsForSlot = 4
)

// highest bounds the counts of a variant where the user gave no range: by slots, and never beyond that of a single
// thread.
func (p *Plan) highest(v Variant) int {
	slots := p.Settings.MostSlots
	if slots == 0 {
		return p.Settings.Highest
	}
	if v.Threads > 1 {
		slots = max(slots, p.Settings.MostThreads)
	}
	return max(min(forSlots(slots, v), p.Settings.Highest), leastHighest, p.Settings.Lowest)
}

// forSlots is how many workers of a variant have so many slots.
func forSlots(slots int, v Variant) int {
	return int(math.Ceil(float64(slots) / float64(max(v.Threads, 1))))
}

// connections are those of full load, the same for all shapes: twice as many as the most slots.
func (p *Plan) connections() int {
	slots := 0
	for _, v := range p.Variants() {
		highest := p.highest(v)
		if most := p.Settings.MostSlots; most > 0 { // beyond that, a shape has connections of its own
			highest = max(forSlots(most, v), leastHighest, p.Settings.Lowest)
		}
		slots = max(slots, max(highest, p.Settings.RuleOfThumb)*v.Threads)
	}
	return max(2*slots, 16)
}

// mostAtOnce are those of the shape with the most.
func (p *Plan) mostAtOnce() int {
	most := p.Settings.Connections
	for _, v := range p.Variants() {
		most = max(most, p.connectionsAt(v.At(p.highest(v))))
	}
	return most
}

// race decides by what the plan says, so that a record can be asked later how its search ended.
func (p *Plan) race() model.Race {
	var race model.Race
	for _, v := range p.Variants() {
		s, highest := p.Settings, p.highest(v)
		race = append(race, model.Entrant{
			Variant: v.String(),
			Search: model.Search{
				Goal:   s.Goal,
				Lowest: s.Lowest, Highest: highest, Exact: s.Counts, Always: []int{s.RuleOfThumb}, Least: p.least(v),
				Threads: p.lookThreads(v), Cores: p.Environment.CoresServer, Tolerance: s.Tolerance, Confidence: s.Confidence,
				MemoryBytes: float64(p.Budget.MemoryBytes), MemoryHeadroom: s.MemoryHeadroom, Seed: s.Seed,
			},
			Question: model.Question{
				Goal:  s.Goal,
				Cores: p.Budget.Cores, CoresMeasured: p.Environment.CoresServer,
				MemoryBytes: float64(p.Budget.MemoryBytes), MemoryHeadroom: s.MemoryHeadroom,
				Tolerance: s.Tolerance, Confidence: s.Confidence,
				RuleOfThumb: s.RuleOfThumb, Lowest: s.Lowest, Highest: highest, Least: p.least(v), Seed: s.Seed,
			},
		})
	}
	return race
}

// lookThreads spreads the first look over slots where variants are compared; one alone is looked at by
// its counts.
func (p *Plan) lookThreads(v Variant) int {
	if len(p.Settings.Variants) > 1 {
		return v.Threads
	}
	return 1
}

// several is a variant's name where there is more than one.
func (s *Sweep) several(name string) string {
	if len(s.race) > 1 {
		return name
	}
	return ""
}
