package sweep

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"time"

	"advise/model"
	"advise/sweep/generator"
	"advise/targets"
)

// A closed loop of K connections never shows more than K / (time of an unloaded answer). Where each slot
// serves one request at a time, twice as many connections as slots are enough. Elsewhere the number that
// fills the server is found before the first look, and again at a count that it did not fill.

// Saturation is how the number of connections was found.
type Saturation struct {
	Searches []ConnectionSearch `json:"searches"`
}

// A ConnectionSearch is one started server whose connections were doubled until it was full.
type ConnectionSearch struct {
	Shape
	// UnloadedSeconds is the mean time of an answer over one connection that is kept, FreshSeconds over a
	// new one each; 0: not known, or so quick that there is no need to.
	UnloadedSeconds float64 `json:"unloaded_seconds"`
	FreshSeconds    float64 `json:"fresh_seconds"`
	// UnloadedPauseSeconds and FreshPauseSeconds are the medians from the first byte of such an answer to its
	// last; 0: not known.
	UnloadedPauseSeconds float64 `json:"unloaded_pause_seconds,omitempty"`
	FreshPauseSeconds    float64 `json:"fresh_pause_seconds,omitempty"`
	Tried                []Level `json:"tried"`
	// Connections do as well as any that were tried; 0: none was answered.
	Connections int `json:"connections"`
	// Shown is how they were shown to fill it; empty: they were not, and Bound is why there were no more.
	Shown model.Saturation `json:"shown"`
	Bound string           `json:"bound,omitempty"`
	// Limit is how many connections the server takes at the most, by its LimitSetting or, without one, by
	// what it refused; 0: not known.
	Limit          int     `json:"limit,omitempty"`
	LimitSetting   string  `json:"limit_setting,omitempty"`
	ElapsedSeconds float64 `json:"elapsed_seconds"`

	memoryEach float64 // bytes that a connection took; 0: not known
}

// A Level is what was answered over so many connections.
type Level struct {
	Connections   int     `json:"connections"`
	ThroughputRPS float64 `json:"throughput_rps"`
	// CPUShare is of the cores that the server can use.
	CPUShare    float64 `json:"cpu_share"`
	MemoryBytes int64   `json:"memory_bytes,omitempty"` // the server's after it
	FailedShare float64 `json:"failed_share"`
	Failure     string  `json:"failure,omitempty"` // the most frequent one

	err float64 // relative standard error of the throughput; 0: not known
}

// What can end the doubling before the server is full.
const (
	BoundConnections = "connections" // as many as are tried at the most
	BoundOpenFiles   = "open_files"
	BoundPorts       = "ports"
	BoundGenerator   = "generator"
	BoundTime        = "time"
	BoundMemory      = "memory"
	BoundDied        = "died" // the server ended under more of them
)

const (
	// mostConnections are tried: beyond that it is no longer the server that is measured.
	mostConnections = 8192
	// mostForSaturation is the share of the time that all searches may take.
	mostForSaturation = 0.35
	// forTheTop is the part of a search's time in which the best number is looked for: the rest is for a server that
	// was not filled yet, or for the next search.
	forTheTop = 0.4
	// levelRounds are as many answers one after the other as a level's window has at the least.
	levelRounds = 3
	// warmupRounds are as many before it.
	warmupRounds = 2
	// firstWarmup is before the first level: a server that compiles what it runs answers less until then.
	firstWarmup = time.Second
	// unloadedAnswers of each kind of request tell what one takes, if they come in time.
	unloadedAnswers = 5
	unloadedLimit   = 3 * time.Second
	// justUnloaded is no time for a level.
	justUnloaded = time.Nanosecond
)

// levelTiming is how long a level takes: a window of whole rounds, in which a server that only waits answers
// all its connections at the same moments. Round is the time in which each connection is answered once.
func (s *Sweep) levelTiming(round float64) (warmup, window time.Duration) {
	window = min(max(s.options.Time/100, 300*time.Millisecond), time.Second)
	if round > 0 {
		rounds := math.Max(math.Ceil(window.Seconds()/round), levelRounds)
		window = min(seconds(rounds*round), 5*time.Second)
	}
	warmup = min(max(200*time.Millisecond, seconds(warmupRounds*round)), 3*time.Second)
	return warmup.Round(time.Millisecond), window.Round(time.Millisecond)
}

// round is how long it takes to answer each of so many connections once, by Little's law: by the most that a full
// server answered, or as long as it took before where it was not full yet. The first level is a mean of many more
// answers than what is known without load.
func (s *Sweep) round(connections int, f model.Filling) float64 {
	full, took := 0.0, f.Unloaded
	if len(f.Levels) > 0 && f.Levels[0].Throughput > 0 {
		took = float64(f.Levels[0].Connections) / f.Levels[0].Throughput
	}
	alone := took
	for _, search := range s.plan.Saturation.Searches {
		if search.Shown != "" {
			full = max(full, search.level(search.Connections).ThroughputRPS)
		}
	}
	for _, l := range f.Levels {
		switch {
		case f.Shown(l) != "":
			full = max(full, l.Throughput)
		case l.Throughput > 0:
			took = max(took, float64(l.Connections)/l.Throughput)
		}
	}
	if full == 0 {
		return took
	}
	return max(alone, float64(connections)/full)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// concurrency is how many requests the server has in work at a shape.
func (s *Sweep) concurrency(shape Shape) targets.Concurrency {
	return s.options.Target.Concurrency(s.plan.Launched(shape))
}

// planConnections sets the number of connections, or where the search for it begins.
func (s *Sweep) planConnections() {
	p := &s.plan
	p.Settings.Connections = cmp.Or(p.Scenario.Connections, p.connections())
	for _, v := range p.Variants() {
		k := s.concurrency(v.At(p.highest(v)))
		switch {
		case k.Slots == 0:
			p.Settings.ConnectionsAtFirst = cmp.Or(p.Scenario.Connections, p.connections())
		case k.Connections > 0 && k.Connections < p.Settings.Connections && p.Scenario.Connections == 0: // what is beyond waits unseen, and times out
			p.Settings.Connections, p.Settings.ConnectionLimitSetting = k.Connections, k.Setting
		}
	}
	if p.Settings.ConnectionsAtFirst > 0 {
		p.Settings.Connections = p.Settings.ConnectionsAtFirst
	}
}

// connect finds the number of connections, unless it is known: at the most and at the fewest workers of the
// first look. The second search begins where the first one ended, to see whether so many are too many there. Where
// the number was given, all that is looked for there is a stall.
func (s *Sweep) connect(ctx, abort context.Context, r *Record) error {
	if s.plan.Settings.ConnectionsAtFirst == 0 || s.plan.Saturation != nil {
		return nil
	}
	s.plan.Saturation = &Saturation{Searches: []ConnectionSearch{}}
	for i, v := range s.plan.Variants() {
		if s.concurrency(v.At(1)).Slots > 0 {
			continue
		}
		counts := s.race[i].Search.FirstLook()
		for _, n := range slices.Compact([]int{slices.Max(counts), slices.Min(counts)}) {
			if done := s.plan.Saturation.Searches; len(done) > 0 && s.saturationLeft() < seconds(done[len(done)-1].ElapsedSeconds/2) {
				break // it would end before it tells anything; the trials do
			}
			left := s.saturationLeft()
			if s.plan.Scenario.Connections > 0 {
				left = justUnloaded
			}
			if err := s.searchConnections(ctx, abort, v.At(n), left); err != nil {
				return err
			}
		}
	}
	return s.takeConnections(r)
}

// takeConnections goes on with the number that the searches found, and puts it on disk. What was measured with
// fewer is measured again.
func (s *Sweep) takeConnections(r *Record) error {
	found := s.plan.needed()
	if len(r.Trials) > 0 { // with fewer, nothing would be comparable
		found = max(found, s.plan.Settings.Connections)
	}
	s.plan.Settings.Connections = found
	r.Plan = s.plan
	r.setAside()
	if err := s.journal.savePlan(s.plan); err != nil {
		return &UnsavedError{Dir: r.Dir, Err: err}
	}
	return nil
}

// needed is the most connections that any search found, unless the server turned so many away somewhere;
// where the number is given, it is that.
func (p *Plan) needed() int {
	if p.Scenario.Connections > 0 {
		return p.Scenario.Connections
	}
	found, taken := p.Settings.ConnectionsAtFirst, mostConnections
	for _, search := range p.Saturation.Searches {
		switch {
		case search.Connections == 0:
		case search.refused():
			taken = min(taken, search.Connections)
		default:
			found = max(found, search.Connections)
		}
	}
	return min(found, taken)
}

// connectionsAt is the number of connections that drive a shape: the same in the whole sweep, unless what
// another count needs is too much for this one, or it has more threads than the others have slots.
func (p *Plan) connectionsAt(shape Shape) int {
	n := p.Settings.Connections
	if slots := shape.Workers * shape.Threads; p.Settings.MostThreads > 0 && shape.Threads > 1 && p.Scenario.Connections == 0 && p.Settings.ConnectionLimitSetting == "" {
		n = max(n, 2*slots)
	}
	search := p.Saturation.at(shape)
	if search == nil || p.Scenario.Connections > 0 || search.Connections == 0 || search.Connections >= n || !search.losesWith(n) {
		return n
	}
	return search.Connections
}

// losesWith is true where so many connections, or the most below that were tried, are answered less than
// those that were found, and not by noise.
func (c *ConnectionSearch) losesWith(connections int) bool {
	var most Level
	for _, l := range c.Tried {
		if l.Failure == "" && l.Connections <= connections && l.Connections >= most.Connections { // the later one of two
			most = l
		}
	}
	return model.Surpasses(c.level(c.Connections).ThroughputRPS, most.ThroughputRPS)
}

// refused is true where the server turned connections away.
func (c *ConnectionSearch) refused() bool {
	return c.Bound == BoundDied || slices.ContainsFunc(c.Tried, func(l Level) bool { return l.Failure != "" })
}

// leastRefused is the smallest number of connections of which some were turned away.
func (c *ConnectionSearch) leastRefused() int {
	least := math.MaxInt
	for _, l := range c.Tried {
		if l.Failure != "" {
			least = min(least, l.Connections)
		}
	}
	return least
}

// fill is called after each trial: where the connections did not fill the server at its count, more of
// them are tried there, and taken for all counts if it then answers more. When half of the time is gone
// there is too little left to measure them all again.
func (s *Sweep) fill(ctx, abort context.Context, r *Record, t *Trial, elapsed time.Duration) error {
	if !r.Plan.unfilled(*t) || t.OnFewerCores() || t.Generator.Verdict == GeneratorBound || s.saturationLeft() <= 0 || elapsed > s.options.Time/2 {
		return nil
	}
	for _, search := range r.Plan.Saturation.Searches {
		if search.Shape == t.Shape && search.Bound != "" && search.Bound != BoundTime {
			return nil // no more can be had there
		}
	}
	if err := s.searchConnections(ctx, abort, t.Shape, s.saturationLeft()); err != nil {
		return err
	}
	return s.takeConnections(r)
}

// saturationLeft is the time that searches may still take.
func (s *Sweep) saturationLeft() time.Duration {
	return time.Duration(mostForSaturation*float64(s.options.Time)) - s.plan.Saturation.elapsed()
}

func (s *Saturation) elapsed() time.Duration {
	var sum float64
	if s != nil {
		for _, search := range s.Searches {
			sum += search.ElapsedSeconds
		}
	}
	return seconds(sum)
}

// searchConnections starts the server at a shape and doubles its connections until it is full. That it
// does not start is for the trials to tell.
func (s *Sweep) searchConnections(ctx, abort context.Context, shape Shape, left time.Duration) error {
	if left <= 0 {
		return nil
	}
	e := Event{Stage: StageConnect, Workers: shape.Workers, Variant: s.several(shape.Variant().String()), Budget: s.options.Time}
	s.tell(e)
	began := time.Now()
	var search *ConnectionSearch
	err := s.onServer(ctx, abort, shape, func(server instance) (err error) {
		search, err = s.double(ctx, server, shape, began, left)
		return err
	})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return fmt.Errorf("find the number of connections for %d workers: %w", shape.Workers, err)
	case search == nil: // it did not start
		return nil
	}
	search.ElapsedSeconds = time.Since(began).Seconds()
	s.plan.Saturation.Searches = append(s.plan.Saturation.Searches, *search)
	if len(search.Tried) > 0 {
		e.Found = search
		s.tell(e)
	}
	return nil
}

// double drives a started server over more and more connections.
func (s *Sweep) double(ctx context.Context, server instance, shape Shape, began time.Time, left time.Duration) (*ConnectionSearch, error) {
	k := s.concurrency(shape)
	search := &ConnectionSearch{Shape: shape, Tried: []Level{}, Limit: k.Connections}
	if k.Connections > 0 {
		search.LimitSetting = k.Setting
	}
	err := s.withoutLoad(ctx, server, search)
	until := began.Add(left)
	top := time.Now().Add(time.Duration(forTheTop * float64(left)))
	most, bound := s.mostConnections()
	filling := model.Filling{First: max(s.plan.needed(), 1), Most: most, Slots: k.Slots, Limit: k.Connections, Unloaded: search.UnloadedSeconds, Memory: float64(s.limits.Memory)}
	if n := len(s.plan.Saturation.Searches); n > 0 {
		filling.Each = s.plan.Saturation.Searches[n-1].memoryEach
	}
	for err == nil && !ended(server) {
		var next int
		if next, search.Shown = filling.Next(); next == 0 {
			if search.Shown == "" {
				search.Bound = bound
			}
			break
		}
		if !s.timeFor(next, filling, until) || search.Shown != "" && !s.timeFor(next, filling, top) {
			if search.Shown = cmp.Or(search.Shown, filling.BestShown()); search.Shown == "" {
				search.Bound = BoundTime
			}
			break
		}
		if !filling.Fits(next) {
			if search.Shown == "" {
				search.Bound = BoundMemory
			}
			break
		}
		var l Level
		var full string
		if l, full, err = s.tryLevel(ctx, server, shape, next, filling); err != nil || ended(server) {
			break
		}
		search.Tried = append(search.Tried, l)
		filling.Levels = append(filling.Levels, l.model(s.plan.Settings.ErrorShareAllowed))
		if full != "" {
			search.Bound = full
			break
		}
	}
	switch {
	case ended(server): // whatever came of that
		search.Bound = BoundDied
	case err != nil:
		return nil, err
	}
	search.Connections, search.memoryEach = filling.Best(), filling.MemoryEach()
	if search.LimitSetting == "" && search.refused() {
		search.Limit = search.Connections
	}
	return search, nil
}

// withoutLoad fills in how an answer comes without load, which an earlier search at the shape may have seen.
func (s *Sweep) withoutLoad(ctx context.Context, server instance, search *ConnectionSearch) error {
	if before := s.plan.Saturation.at(search.Shape); before != nil && before.UnloadedSeconds > 0 {
		search.UnloadedSeconds, search.UnloadedPauseSeconds = before.UnloadedSeconds, before.UnloadedPauseSeconds
		search.FreshSeconds, search.FreshPauseSeconds = before.FreshSeconds, before.FreshPauseSeconds
		return nil
	}
	kept, err := s.unloaded(ctx, server, false)
	search.UnloadedSeconds, search.UnloadedPauseSeconds = kept.Took, kept.Pause
	if err != nil || !model.MayStall(kept.Took) {
		return err
	}
	fresh, err := s.unloaded(ctx, server, true)
	search.FreshSeconds, search.FreshPauseSeconds = fresh.Took, fresh.Pause
	return err
}

// timeFor is true where a level will end in time; the first one may take longer.
func (s *Sweep) timeFor(connections int, f model.Filling, until time.Time) bool {
	now := time.Now()
	if len(f.Levels) > 0 {
		warmup, window := s.levelTiming(s.round(connections, f))
		now = now.Add(warmup + window)
	}
	return !now.After(until)
}

// unloaded is how one connection is answered, kept or new each time; nothing is known where no answer came.
func (s *Sweep) unloaded(ctx context.Context, server instance, fresh bool) (model.Answer, error) {
	a := s.unloadedAttack(server, unloadedAnswers, unloadedLimit)
	a.Pauses = true
	if fresh {
		for i := range a.Requests {
			a.Requests[i].Header = a.Requests[i].Header.Clone()
			if a.Requests[i].Header == nil {
				a.Requests[i].Header = http.Header{}
			}
			a.Requests[i].Header.Set("Connection", "close")
		}
	}
	summary, err := s.attackUntilEnd(ctx, server, a, func(generator.Progress) {})
	if err != nil || summary == nil || summary.OK == 0 {
		return model.Answer{}, err
	}
	return model.Answer{Took: summary.Latency.Mean, Pause: summary.PauseSeconds}, nil
}

// unloadedAttack is over one connection, for so many answers of each kind of request if they come in time.
func (s *Sweep) unloadedAttack(server instance, answers int, limit time.Duration) generator.Attack {
	return generator.Attack{
		URL: server.URL(), Seed: s.plan.Settings.Seed, Requests: s.requests(), Connections: 1, CPUs: s.split.generator,
		Warmup: 50 * time.Millisecond, WarmupRequests: 1, WarmupLimit: unloadedLimit,
		Window: 200 * time.Millisecond, WindowAnswers: uint64(answers * len(s.options.Scenario.Requests)), WindowLimit: limit,
		Timeout: s.timing.timeout,
	}
}

// attackUntilEnd is an attack that ends with the server; without a summary then.
func (s *Sweep) attackUntilEnd(ctx context.Context, server instance, a generator.Attack, tell func(generator.Progress)) (*generator.Summary, error) {
	attacking, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		select {
		case <-server.Done():
			stop()
		case <-attacking.Done():
		}
	}()
	summary, err := s.attack(attacking, a, tell)
	if ended(server) && ctx.Err() == nil {
		return nil, nil //nolint:nilnil // there is none
	}
	return summary, err
}

// tryLevel drives the server over so many connections. Full says which end of the generator's was reached.
func (s *Sweep) tryLevel(ctx context.Context, server instance, shape Shape, connections int, f model.Filling) (l Level, full string, err error) {
	a := generator.Attack{
		URL: server.URL(), Seed: s.plan.Settings.Seed, Requests: s.requests(), Connections: connections, CPUs: s.split.generator,
		Timeout: s.timing.timeout, CeilingRPS: s.ceiling,
	}
	if a.Warmup, a.Window = s.levelTiming(s.round(connections, f)); len(f.Levels) == 0 {
		a.Warmup = max(a.Warmup, firstWarmup)
	}
	var used cpuMeter
	summary, err := s.attackUntilEnd(ctx, server, a, func(p generator.Progress) { used.see(server, p) })
	if err != nil || summary == nil {
		return Level{}, "", err
	}
	p := phaseOf(load{}, a, summary, errorConfidence)
	l = Level{Connections: connections, ThroughputRPS: p.ThroughputRPS, err: p.relativeError()}
	free := s.plan.Environment.CoresServer - s.besides(summary).Seconds()/summary.WindowSeconds
	if cores := s.coresFor(shape, free); cores > 0 && used.seen[0] && used.seen[1] && p.WindowSeconds > 0 {
		l.CPUShare = (used.cpu[1] - used.cpu[0]).Seconds() / (p.WindowSeconds * cores)
	}
	if m, err := server.Memory(); err == nil { // of one that ended there is nothing to read
		l.MemoryBytes = m.PSS + m.SwapPSS
	}
	if l.FailedShare = p.errorShare(); l.FailedShare > s.plan.Settings.ErrorShareAllowed {
		l.Failure = p.commonError()
	}
	switch {
	case l.Failure == "no local port":
		full = BoundPorts
	case l.Failure == "too many open files":
		full = BoundOpenFiles
	case summary.Verdict == generator.VerdictBound:
		full = BoundGenerator
	}
	return l, full, nil
}

// errorConfidence is of the interval that a level's standard error is taken from, normalErrors as many
// of these as half of it is wide.
const (
	errorConfidence = 0.95
	normalErrors    = 1.96
)

// relativeError is that of the window's throughput; 0 where it is not known.
func (p *Phase) relativeError() float64 {
	if p.ThroughputLowRPS == nil || p.ThroughputHighRPS == nil || !(p.ThroughputRPS > 0) {
		return 0
	}
	return (*p.ThroughputHighRPS - *p.ThroughputLowRPS) / 2 / normalErrors / p.ThroughputRPS
}

func (l Level) model(failuresAllowed float64) model.Level {
	return model.Level{
		Connections: l.Connections, Throughput: l.ThroughputRPS, Error: l.err, CPUShare: l.CPUShare, Memory: float64(l.MemoryBytes),
		Refused: l.FailedShare > failuresAllowed,
	}
}

// coresFor are those of so many that the server can use at a shape.
func (s *Sweep) coresFor(shape Shape, cores float64) float64 {
	if s.concurrency(shape).OneCore {
		return math.Min(cores, float64(shape.Workers))
	}
	return cores
}

// saturatedBy says how a trial's full load shows by itself that the server was full.
func (s *Sweep) saturatedBy(t *Trial, p *Phase) model.Saturation {
	k := s.concurrency(t.Shape)
	l := model.Level{Connections: p.Connections, Throughput: p.ThroughputRPS, Refused: p.errorShare() > s.plan.Settings.ErrorShareAllowed}
	free := cmp.Or(t.Cores, s.plan.Environment.CoresServer)
	if cpus, shared := s.placeOf(t); shared {
		free -= p.GeneratorCPUShare * float64(len(cpus))
	}
	if cores := s.coresFor(t.Shape, free); cores > 0 && p.WindowSeconds > 0 {
		l.CPUShare = t.Server.CPUSeconds / (p.WindowSeconds * cores)
	}
	f := model.Filling{Slots: k.Slots, Limit: k.Connections}
	_, f.Unloaded = s.plan.Saturation.unloaded(t.Shape.Variant()) // what stalls at some counts does not queue there
	return f.Shown(l)
}

// overLimit says that a trial had more connections than the server takes; empty: it had not, or it is not known.
func (s *Sweep) overLimit(t *Trial, p *Phase) string {
	k := s.concurrency(t.Shape)
	if k.Connections == 0 || p.Connections <= k.Connections {
		return ""
	}
	return fmt.Sprintf("; of %d connections it takes no more than %d (%s)", p.Connections, k.Connections, k.Setting)
}

// unloaded is the time of an answer without load, of a variant: the shortest and the longest of its counts.
// 0: not known.
func (s *Saturation) unloaded(v Variant) (shortest, longest float64) {
	if s == nil {
		return 0, 0
	}
	for _, search := range s.Searches {
		if took := search.UnloadedSeconds; took > 0 && search.Variant() == v {
			shortest, longest = min(cmp.Or(shortest, took), took), max(longest, took)
		}
	}
	return shortest, longest
}

// Searched is true for a variant whose slots are not known, so that the connections that fill it were looked for.
func (s *Saturation) Searched(v Variant) bool {
	return s != nil && slices.ContainsFunc(s.Searches, func(c ConnectionSearch) bool { return c.Variant() == v })
}

// shows says how a search showed that so many connections fill a shape.
func (s *Saturation) shows(shape Shape, connections int) model.Saturation {
	for _, search := range s.Searches {
		if search.Shape == shape && search.Shown != "" && connections >= search.Connections {
			return search.Shown
		}
	}
	return ""
}

// unfilled is true for a trial at full load that did not show all the server can do. Where the number of
// connections was given nothing else was asked; a record of before it was looked for says nothing of it.
func (p *Plan) unfilled(t Trial) bool {
	full := t.saturation()
	return full != nil && t.Outcome == OK && p.Saturation != nil && p.Scenario.Connections == 0 &&
		full.SaturatedBy == "" && p.Saturation.shows(t.Shape, full.Connections) == ""
}

// setAside marks the trials that were measured with fewer connections than are used now.
func (r *Record) setAside() {
	for i := range r.Trials {
		t := &r.Trials[i]
		t.FewerConnections = slices.ContainsFunc(t.Phases, func(p Phase) bool {
			return p.Connections > 0 && p.Connections < r.Plan.connectionsAt(t.Shape)
		})
	}
}

// current is the record without what was set aside.
func (r *Record) current() *Record {
	part := *r
	part.Trials = slices.DeleteFunc(slices.Clone(r.Trials), func(t Trial) bool { return t.FewerConnections })
	return &part
}

// Apart is true for a trial that is compared with none of the others.
func (t *Trial) Apart() bool { return t.Beside() || t.FewerConnections }

// The caveats on how full the server was.
const (
	// CaveatNotSaturated marks counts that the connections did not fill: figures are a lower bound.
	// Figures: workers (the fewest), connections, throughput_rps.
	CaveatNotSaturated = "not_saturated"
	// CaveatConnectionLimit marks a recommended count whose throughput a limit of the server's own decides.
	// Figures: workers, connections (the limit).
	CaveatConnectionLimit = "connection_limit"
	// CaveatNagleStall marks answers that wait for an acknowledgement on kept connections. Figures: workers,
	// kept_seconds, fresh_seconds, kept_pause_seconds, fresh_pause_seconds (0: not known).
	CaveatNagleStall = "nagle_stall"
)

// boundWords say why no more connections were tried.
var boundWords = map[string]string{
	BoundConnections: " No more of them are tried.",
	BoundOpenFiles:   " The generator may not have more files open: allow more with ulimit -n %d.",
	BoundPorts:       " There are no local ports for more: net.ipv4.ip_local_port_range has to have %d.",
	BoundGenerator:   " The load generator can't drive more.",
	BoundMemory:      " More of them take more memory than it may have: a larger --mem tells.",
	BoundTime:        " There was no time to try more: a longer --time tells.",
	BoundDied:        " With more the server ended.",
}

// saturationCaveats are those on the connections of the recommended variant.
func (r *Record) saturationCaveats(a model.Advice) []*model.Caveat {
	if r.Plan.Saturation == nil {
		return []*model.Caveat{r.plannedLimit(a)}
	}
	return []*model.Caveat{r.notSaturated(), r.connectionLimit(a), r.stalls()}
}

func (r *Record) notSaturated() *model.Caveat {
	var worst *Trial
	for _, t := range r.Used() {
		if r.Plan.unfilled(t) && (worst == nil || t.Shape.Workers < worst.Shape.Workers) {
			worst = &t
		}
	}
	if worst == nil {
		return nil
	}
	p, why := worst.saturation(), ""
	for _, search := range r.Plan.Saturation.Searches {
		if words := boundWords[search.Bound]; words != "" {
			why = words
			switch search.Bound { // twice as many: the next step
			case BoundOpenFiles:
				why = fmt.Sprintf(words, 2*p.Connections+filesBeside+r.Plan.Environment.CPUsAllowed)
			case BoundPorts:
				why = fmt.Sprintf(words, 2*p.Connections*portsForEach)
			}
		}
	}
	return &model.Caveat{
		Code: CaveatNotSaturated,
		Message: fmt.Sprintf("At a worker count of %d, %d connections did not fill the server: its %.0f requests per second are a lower bound.%s",
			worst.Shape.Workers, p.Connections, p.ThroughputRPS, why),
		Figures: map[string]float64{
			"workers": float64(worst.Shape.Workers), "connections": float64(p.Connections), "throughput_rps": p.ThroughputRPS,
		},
	}
}

// connectionLimit is the caveat on a server that refuses connections, or that keeps them waiting at the
// recommended count.
func (r *Record) connectionLimit(a model.Advice) *model.Caveat {
	waiting := r.filledAt(a.Workers) == model.SaturatedLimit
	for _, search := range r.Plan.Saturation.Searches {
		workers, limit, what := search.Workers, search.Limit, "refused or closed connections"
		switch {
		case search.Connections == 0:
			continue
		case search.Bound == BoundDied:
			limit, what = search.Connections, "ended when it had more connections"
		case search.refused():
			if least := search.leastRefused(); least <= limit { // nginx counts those to its upstream too
				limit = search.Connections
			}
		case waiting && search.LimitSetting != "":
			workers, limit, what = a.Workers, limit*a.Workers/search.Workers, "takes no more connections"
		default:
			continue
		}
		message := fmt.Sprintf("At a worker count of %d the server %s than %d", workers, what, limit)
		if search.refused() && search.Bound != BoundDied {
			message = fmt.Sprintf("At a worker count of %d the server %s beyond %d", workers, what, limit)
		}
		if search.LimitSetting != "" {
			message += fmt.Sprintf(" (%s)", search.LimitSetting)
		}
		return &model.Caveat{
			Code: CaveatConnectionLimit, Message: message + ": a limit of its own, and no error of the page.",
			Figures: map[string]float64{"workers": float64(workers), "connections": float64(limit)},
		}
	}
	return nil
}

// plannedLimit is the caveat on a server that was known to take no more connections than it was driven by, where
// these are too few to have all slots of the recommended count busy and as many requests waiting.
func (r *Record) plannedLimit(a model.Advice) *model.Caveat {
	n, setting := r.Plan.Settings.Connections, r.Plan.Settings.ConnectionLimitSetting
	if setting == "" || r.filledAt(a.Workers) != model.SaturatedLimit {
		return nil
	}
	return &model.Caveat{
		Code: CaveatConnectionLimit,
		Message: fmt.Sprintf("At a worker count of %d the server takes no more connections than %d (%s): a limit of its own, and no error of the page.",
			a.Workers, n, setting),
		Figures: map[string]float64{"workers": float64(a.Workers), "connections": float64(n)},
	}
}

// stalls is the caveat on answers that wait for an acknowledgement. What turns it off was measured: uvloop sets
// TCP_NODELAY on every connection, asyncio only where it knows the socket that it inherited to be one of TCP, and
// neither h11 nor httptools changes that.
func (r *Record) stalls() *model.Caveat {
	for _, search := range r.Plan.Saturation.Searches {
		if !search.stalls() {
			continue
		}
		off := "TCP_NODELAY on the server's connections turns it off."
		if r.Plan.Target.Adapter == targets.UvicornName {
			off = "Its workers inherit a socket, and asyncio sets no TCP_NODELAY on connections of that. --loop uvloop (pip install uvloop) turns it off, and so does gunicorn with uvicorn's worker class; --http does not."
		}
		return &model.Caveat{
			Code: CaveatNagleStall,
			Message: fmt.Sprintf("At a worker count of %d %s: Nagle's algorithm waits for a delayed acknowledgement. %s A proxy in front meets it where it keeps its connections to the server.",
				search.Workers, search.stallWords(), off),
			Figures: map[string]float64{
				"workers": float64(search.Workers), "kept_seconds": search.UnloadedSeconds, "fresh_seconds": search.FreshSeconds,
				"kept_pause_seconds": search.UnloadedPauseSeconds, "fresh_pause_seconds": search.FreshPauseSeconds,
			},
		}
	}
	return nil
}

// stallWords say by what the stall is known.
func (c *ConnectionSearch) stallWords() string {
	if c.UnloadedPauseSeconds > 0 && c.FreshPauseSeconds > 0 {
		return fmt.Sprintf("an answer stops for %.0f ms behind its first part on a connection that is kept, and for %.1f ms on a new one", 1000*c.UnloadedPauseSeconds, 1000*c.FreshPauseSeconds)
	}
	return fmt.Sprintf("an answer takes %.0f ms on a connection that is kept and %.0f ms on a new one", 1000*c.UnloadedSeconds, 1000*c.FreshSeconds)
}

func (c *ConnectionSearch) stalls() bool {
	return model.Stalls(model.Answer{Took: c.UnloadedSeconds, Pause: c.UnloadedPauseSeconds}, model.Answer{Took: c.FreshSeconds, Pause: c.FreshPauseSeconds})
}
