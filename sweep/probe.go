package sweep

import (
	"context"
	"net/http"

	"advise/sweep/generator"
	"advise/targets/mask"
)

// A Probe is how a cheap path was answered while the server was full.
type Probe struct {
	Path           string  `json:"path"`
	RatePlannedRPS float64 `json:"rate_planned_rps"`
	OK             uint64  `json:"ok"`
	Failed         uint64  `json:"failed"`
	// Latency is from when a probe was due, with its connection, which is new each time.
	Latency Latency `json:"latency_seconds"`
	// Histogram is as that of a Phase.
	Histogram string `json:"histogram,omitempty"`
}

// probeRate is in probes per second: too few to load a server, and some tens at each count.
const probeRate = 5

// probing is the attack of the probes beside another: a generator of its own, so that they never wait
// for one of its connections. They come by chance, which meets a server's states as often as it is in
// them, on a connection each, as a supervisor's do. Even if each one times out none waits for another.
func (s *Sweep) probing(url string, beside generator.Attack) generator.Attack {
	most := int(probeRate*beside.Timeout.Seconds()) + 1
	return generator.Attack{
		URL: url, Seed: beside.Seed, CPUs: beside.CPUs,
		Requests: []generator.Request{{
			Method: http.MethodGet, Path: s.options.Probe, Header: http.Header{"Connection": {"close"}}, Weight: 1,
		}},
		Rate: probeRate, Arrivals: generator.Poisson, Connections: most, MaxBacklog: most,
		Window: beside.Window, Timeout: beside.Timeout,
	}
}

// A prober probes beside a phase of full load; without a path, and in other phases, it does nothing.
type prober struct {
	attack  attackFunc
	with    generator.Attack
	path    string
	results chan probed
}

type probed struct {
	summary *generator.Summary
	err     error
}

func (s *Sweep) proberFor(l load, url string, beside generator.Attack) *prober {
	p := &prober{attack: s.attackBeside, path: s.plan.Settings.Probe} // which is kept, and has no secrets
	if l.kind != PhaseSaturation || p.path == "" {
		p.path = ""
		return p
	}
	p.with = s.probing(url, beside)
	return p
}

// start is called once, when the window begins.
func (p *prober) start(ctx context.Context) {
	if p.path == "" || p.results != nil {
		return
	}
	p.results = make(chan probed, 1)
	go func() {
		summary, err := p.attack(ctx, p.with, nil)
		p.results <- probed{summary, err}
	}()
}

// end waits for the last answers; nil where nothing was probed.
func (p *prober) end() (*Probe, error) {
	if p.results == nil {
		return nil, nil //nolint:nilnil // there is none
	}
	r := <-p.results
	if r.err != nil {
		return nil, r.err
	}
	path, _ := mask.Path(p.path)
	return &Probe{
		Path: path, RatePlannedRPS: p.with.Rate, OK: r.summary.OK, Failed: r.summary.Failed,
		Latency: Latency(r.summary.Latency), Histogram: r.summary.Histogram,
	}, nil
}

// Probes puts together how the probes were answered in all restarts at a count; nil without any.
func (r *Record) Probes(workers int) *Probe {
	var all Probe
	var merged generator.Summary
	for _, t := range r.Used() {
		phase := t.saturation()
		if t.Shape.Workers != workers || t.Outcome != OK || phase == nil || phase.Probe == nil {
			continue
		}
		p := phase.Probe
		one := generator.Summary{OK: p.OK, Failed: p.Failed, Histogram: p.Histogram, Latency: generator.Latency(p.Latency), WindowSeconds: phase.WindowSeconds}
		if all.Path == "" {
			all, merged = Probe{Path: p.Path, RatePlannedRPS: p.RatePlannedRPS}, one
		} else if err := merged.Merge(&one); err != nil {
			continue // a histogram that can't be read adds nothing
		}
	}
	if all.Path == "" {
		return nil
	}
	all.OK, all.Failed, all.Latency = merged.OK, merged.Failed, Latency(merged.Latency)
	return &all
}
