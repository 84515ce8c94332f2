package sweep

import (
	"fmt"
	"math"
	"time"

	"advise/model"
	"advise/sweep/generator"
)

// The generator may have to run on the server's cores: where there is one only, or where all are the
// server's by the user's wish. What it uses there the server has not, and is taken off.

// mostTakenOff is the share that throughput may be raised by; more would be worked out rather than
// measured, and the generator is then at its limit.
const mostTakenOff = 0.5

// boundShared is the reason of a generator that took more than that from the server.
const boundShared = "shared"

// placeOf is where a trial is driven from, and whether those are the server's cores.
func (s *Sweep) placeOf(t *Trial) (cpus []int, shared bool) {
	if s.split.shared && t.OnFewerCores() && s.fewer != nil {
		return s.fewer.generator, s.fewer.shared
	}
	return s.split.generator, s.split.shared
}

// besides is the generator's CPU time on the cores that others are looked for on.
func (s *Sweep) besides(g *generator.Summary) time.Duration {
	if !s.split.shared {
		return 0
	}
	return seconds(g.CPUSeconds)
}

// takeOff raises the throughput of full load to what it is without the generator on the server's cores, and
// keeps what was measured beside it. A core is wanted by both while all are busy, about u^C of the time for C
// cores that are used by u; then each request costs its own CPU time and the generator's: where the cores are
// full it is what the server does with all of them.
func (s *Sweep) takeOff(t *Trial, p *Phase, g *generator.Summary) {
	if _, shared := s.placeOf(t); !shared || p.OK == 0 || !(p.WindowSeconds > 0) || !(t.Server.CPUSeconds > 0) {
		return
	}
	cores, quota := float64(len(s.split.server)), s.split.quota
	if t.OnFewerCores() && s.fewer != nil {
		quota = s.fewer.limits.Quota
	}
	if quota > 0 && quota+g.CPUSeconds/p.WindowSeconds <= cores {
		return // it was stopped by its quota, and not by the generator
	}
	used := math.Min((t.Server.CPUSeconds+g.CPUSeconds)/(p.WindowSeconds*cores), 1)
	share := math.Pow(used, cores) * g.CPUSeconds / t.Server.CPUSeconds
	if share > mostTakenOff {
		p.GeneratorVerdict, p.VerdictReason = GeneratorBound, boundShared
		t.Generator.Verdict, t.Generator.VerdictReason = GeneratorBound, boundShared
		return
	}
	measured := p.ThroughputRPS
	p.SharedRPS = &measured
	p.ThroughputRPS *= 1 + share
	for _, end := range []*float64{p.ThroughputLowRPS, p.ThroughputHighRPS} {
		if end != nil {
			*end *= 1 + share
		}
	}
}

// CaveatSharedCores marks throughput that was measured with the generator on the server's cores, and raised by
// what that took from the server. Figures: share (at most, of the throughput), generator_share (of the cores).
const CaveatSharedCores = "shared_cores"

// sharedCores is the caveat on cores that the generator ran on too.
func (r *Record) sharedCores() *model.Caveat {
	most, used, bound := 0.0, 0.0, false
	for _, t := range r.Trials {
		p := t.saturation()
		if p == nil || t.Outcome != OK {
			continue
		}
		bound = bound || p.VerdictReason == boundShared
		if p.SharedRPS != nil && *p.SharedRPS > 0 {
			most, used = max(most, p.ThroughputRPS / *p.SharedRPS - 1), max(used, p.GeneratorCPUShare)
		}
	}
	if used == 0 && !bound {
		return nil
	}
	message := fmt.Sprintf("The load generator ran on the server's cores and used up to %.0f %% of them: throughput at full load was raised by up to %.0f %% for that. Latency was not: it is longer than without.", 100*used, 100*most)
	if bound {
		message += fmt.Sprintf(" Where it took more than %.0f %% nothing was, and figures are lower bounds.", 100*mostTakenOff)
	}
	return &model.Caveat{Code: CaveatSharedCores, Message: message, Figures: map[string]float64{"share": most, "generator_share": used}}
}
