package sweep

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"advise/targets/hold"
)

// A Disturbance is what the rest of the machine did in the window of a phase. Shares are of the window,
// those of CPU time of the window on all the cores meant. A nil could not be seen.
type Disturbance struct {
	// StolenShare and GeneratorStolenShare of the server's and the generator's cores went to other
	// machines of the hypervisor. The second falsifies latency.
	StolenShare          *float64 `json:"stolen_share"`
	GeneratorStolenShare *float64 `json:"generator_stolen_share"`
	// OthersCPUShare of the server's cores was used by processes outside its tree. It is a lower
	// bound: what the kernel can't tell apart is taken for the server's own, interrupts above all.
	OthersCPUShare *float64 `json:"others_cpu_share"`
	// The pressure is the machine's: the share in which some process waited for it, or, where it says
	// full, all that had work to do. A saturated server makes CPU pressure by itself.
	CPUPressureShare        *float64 `json:"cpu_pressure_share"`
	MemoryPressureShare     *float64 `json:"memory_pressure_share"`
	MemoryPressureFullShare *float64 `json:"memory_pressure_full_share"`
	IOPressureShare         *float64 `json:"io_pressure_share"`
	IOPressureFullShare     *float64 `json:"io_pressure_full_share"`
	// The server's own part of it is told by a cgroup v2 alone.
	ServerMemoryPressureShare *float64 `json:"server_memory_pressure_share"`
	ServerIOPressureShare     *float64 `json:"server_io_pressure_share"`
	// FrequencyMHz is the mean of the server's cores when the window began; FrequencyChangeShare is by
	// how much of it the end differed, unless the cores idled: they are slowed down then by design.
	FrequencyMHz         *float64 `json:"frequency_mhz"`
	FrequencyChangeShare *float64 `json:"frequency_change_share"`
	// ThrottledShare of the quota's periods were cut short: nil without a quota.
	ThrottledShare *float64 `json:"throttled_share"`
}

// A Reason is a figure of a Disturbance that is too large for the phase to be compared with others.
type Reason struct {
	Code ReasonCode
	// Share is the figure; a frequency's is negative when it fell.
	Share float64
}

// A ReasonCode is the key of the figure without its _share.
type ReasonCode string

// What can disturb a phase.
const (
	ReasonStolen          ReasonCode = "stolen"
	ReasonGeneratorStolen ReasonCode = "generator_stolen"
	ReasonOthersCPU       ReasonCode = "others_cpu"
	ReasonMemoryPressure  ReasonCode = "memory_pressure"
	ReasonIOPressure      ReasonCode = "io_pressure"
	ReasonFrequency       ReasonCode = "frequency_change"
)

// The knee is decided by 5 % of the throughput: what can cost that much, or nearly, disturbs.
const (
	// stolenLimit: a core that is taken away is missing at once, and steal is counted exactly.
	stolenLimit = 0.02
	// othersLimit is nearly three times what a quiet machine shows, by the figure's grain of 10 ms and by
	// what belongs to nobody, such as waking up from idle: at most 1.4 % of a second on one core, with 1
	// to 32 workers.
	othersLimit = 0.04
	// pressureLimit: if it is always the server that waits, and with all its workers, it answers less
	// by that share.
	pressureLimit = 0.05
	// frequencyLimit is past one step of a turbo, 100 MHz of 3 GHz, to either side.
	frequencyLimit = 0.07
)

// Reasons are those of the figures that disturbed, the one furthest above its limit first. CPU pressure
// and throttling are none: the server makes them itself. A nil Disturbance has none.
func (d *Disturbance) Reasons() []Reason {
	if d == nil {
		return nil
	}
	var reasons []Reason
	for _, figure := range []struct {
		code  ReasonCode
		share *float64
	}{
		{ReasonStolen, d.StolenShare},
		{ReasonGeneratorStolen, d.GeneratorStolenShare},
		{ReasonOthersCPU, d.OthersCPUShare},
		{ReasonMemoryPressure, shared(d.MemoryPressureShare, d.ServerMemoryPressureShare)},
		{ReasonIOPressure, shared(d.IOPressureShare, d.ServerIOPressureShare)},
		{ReasonFrequency, d.FrequencyChangeShare},
	} {
		if figure.share == nil {
			continue
		}
		if r := (Reason{Code: figure.code, Share: *figure.share}); r.excess() > 1 {
			reasons = append(reasons, r)
		}
	}
	slices.SortStableFunc(reasons, worstFirst)
	return reasons
}

// shared is how much of a pressure is neither the server's own alone, as when it uses a disk or comes
// near its memory limit, nor alone that of others, which is no harm to it. Where the server's part is
// not known it is all of it.
func shared(machine, server *float64) *float64 {
	if machine == nil || server == nil {
		return machine
	}
	both := max(min(*server, *machine-*server), 0)
	return &both
}

// excess is the figure in units of its limit.
func (r Reason) excess() float64 {
	limit := stolenLimit
	switch r.Code {
	case ReasonOthersCPU:
		limit = othersLimit
	case ReasonMemoryPressure, ReasonIOPressure:
		limit = pressureLimit
	case ReasonFrequency:
		limit = frequencyLimit
	}
	return math.Abs(r.Share) / limit
}

// String is a clause for people: "other processes used 12 % of the server's cores".
func (r Reason) String() string {
	share := fmt.Sprintf("%.0f %%", 100*math.Abs(r.Share))
	switch r.Code {
	case ReasonStolen:
		return "the hypervisor gave " + share + " of the server's cores to other machines"
	case ReasonGeneratorStolen:
		return "the hypervisor gave " + share + " of the generator's cores to other machines"
	case ReasonOthersCPU:
		return "other processes used " + share + " of the server's cores"
	case ReasonMemoryPressure:
		return "processes waited for memory for " + share + " of the time"
	case ReasonIOPressure:
		return "processes waited for the disk for " + share + " of the time"
	case ReasonFrequency:
		if r.Share < 0 {
			return "the frequency of the server's cores fell by " + share
		}
		return "the frequency of the server's cores rose by " + share
	}
	return string(r.Code) + " was " + share
}

func (t *Trial) saturation() *Phase {
	for i := range t.Phases {
		if t.Phases[i].Kind == PhaseSaturation {
			return &t.Phases[i]
		}
	}
	return nil
}

// DisturbedBy says by what its phases were disturbed, each reason at its worst, and the worst first: what
// falsifies throughput at full load does so to latency below it. There the frequency is the governor's
// business, as it will be in use.
func (t *Trial) DisturbedBy() []Reason {
	if t.Outcome != OK {
		return nil
	}
	var all []Reason
	for _, p := range t.Phases {
		if p.Kind == PhaseStuck { // which tells a second from some milliseconds
			continue
		}
		for _, r := range p.Disturbance.Reasons() {
			if p.Kind != PhaseSaturation && r.Code == ReasonFrequency {
				continue
			}
			same := slices.IndexFunc(all, func(other Reason) bool { return other.Code == r.Code })
			switch {
			case same < 0:
				all = append(all, r)
			case r.excess() > all[same].excess():
				all[same] = r
			}
		}
	}
	slices.SortStableFunc(all, worstFirst)
	return all
}

func worstFirst(a, b Reason) int { return cmp.Compare(b.excess(), a.excess()) }

// Disturbed is true when the trial should be repeated.
func (t *Trial) Disturbed() bool { return len(t.DisturbedBy()) > 0 }

// A reading is what the machine has counted since boot, at one moment. A nil is not to be seen here.
type reading struct {
	at                time.Time
	server, generator *coreTimes
	stalled           map[pressure]time.Duration
	megahertz         *float64 // mean of the server's cores
}

// coreTimes are added up over cores. Busy time is not among them: the kernel samples it by ticks, and
// where requests keep step with the ticks it is off by several percent, while idle time is exact.
type coreTimes struct {
	cores                           int
	total, idle, interrupts, stolen time.Duration
}

// A pressure is a line of /proc/pressure.
type pressure struct {
	resource string // cpu, memory, io
	full     bool
}

// A treeUse is what is known of the server's tree beside the machine's counters.
type treeUse struct {
	first, last hold.Usage
	// pinned is true when the tree can only run on the server's cores, and the generator can't, or used
	// besides of them.
	pinned    bool
	besides   time.Duration
	processes int
}

// disturbanceBetween compares the readings at a window's ends.
func disturbanceBetween(first, last reading, tree treeUse) *Disturbance {
	elapsed := last.at.Sub(first.at)
	if elapsed <= 0 {
		return nil
	}
	d := &Disturbance{ThrottledShare: throttled(tree.first, tree.last)}
	for line, share := range map[pressure]**float64{
		{"cpu", false}:    &d.CPUPressureShare,
		{"memory", false}: &d.MemoryPressureShare, {"memory", true}: &d.MemoryPressureFullShare,
		{"io", false}: &d.IOPressureShare, {"io", true}: &d.IOPressureFullShare,
	} {
		from, known := first.stalled[line]
		to, still := last.stalled[line]
		if known && still {
			*share = shareOf(to-from, elapsed)
		}
	}
	if tree.first.HasPressure && tree.last.HasPressure {
		d.ServerMemoryPressureShare = shareOf(tree.last.MemoryStalled-tree.first.MemoryStalled, elapsed)
		d.ServerIOPressureShare = shareOf(tree.last.IOStalled-tree.first.IOStalled, elapsed)
	}
	if g := spentOn(first.generator, last.generator, elapsed); g != nil {
		d.GeneratorStolenShare = shareOf(g.stolen, g.available(elapsed))
	}
	s := spentOn(first.server, last.server, elapsed)
	if s != nil {
		d.StolenShare = shareOf(s.stolen, s.available(elapsed))
		d.OthersCPUShare = othersShare(*s, elapsed, tree)
	}
	if first.megahertz != nil {
		d.FrequencyMHz = first.megahertz
		if s != nil && last.megahertz != nil && *first.megahertz > 0 && s.idle < s.available(elapsed)/10 {
			change := *last.megahertz / *first.megahertz - 1
			d.FrequencyChangeShare = &change
		}
	}
	return d
}

// spentOn is what cores did in between; nil where that can't be: the counters are another machine's,
// stand still or began anew.
func spentOn(first, last *coreTimes, elapsed time.Duration) *coreTimes {
	if first == nil || last == nil || first.cores != last.cores {
		return nil
	}
	d := coreTimes{
		cores: last.cores, total: last.total - first.total, idle: last.idle - first.idle,
		interrupts: last.interrupts - first.interrupts, stolen: last.stolen - first.stolen,
	}
	available := d.available(elapsed)
	if d.idle < 0 || d.interrupts < 0 || d.stolen < 0 || d.total < available/2 || d.total > 2*available {
		return nil
	}
	return &d
}

// available is the CPU time that the cores had.
func (c coreTimes) available(elapsed time.Duration) time.Duration {
	return elapsed * time.Duration(c.cores)
}

// othersShare is what is left of the cores' time when idling, interrupts, the hypervisor and the
// server's tree have had theirs.
func othersShare(c coreTimes, elapsed time.Duration, tree treeUse) *float64 {
	used := tree.last.CPU - tree.first.CPU
	if !tree.pinned || used < 0 {
		return nil
	}
	if !tree.last.Counted {
		used += rounding(tree.processes)
	}
	available := c.available(elapsed)
	return shareOf(available-c.idle-c.interrupts-c.stolen-used-tree.besides, available)
}

// rounding is how much more a tree may have used than its processes' times add up to, in all but one of
// a thousand windows: each process's user and system times are cut to a tick of 10 ms at both ends. The
// four errors of one are each uniform, with a variance of 1/12 of a tick squared.
func rounding(processes int) time.Duration {
	return time.Duration(3 * math.Sqrt(float64(processes)*4/12) * float64(tick))
}

// throttled is the share of the quota's periods in which the tree was stopped; nil without a quota.
func throttled(first, last hold.Usage) *float64 {
	if !last.HasQuota || last.Periods <= first.Periods || last.ThrottledPeriods < first.ThrottledPeriods {
		return nil
	}
	share := float64(last.ThrottledPeriods-first.ThrottledPeriods) / float64(last.Periods-first.Periods)
	return &share
}

func shareOf(part, whole time.Duration) *float64 {
	share := min(max(part.Seconds()/whole.Seconds(), 0), 1)
	return &share
}
