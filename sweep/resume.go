package sweep

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"advise/model"
	"advise/targets"
)

// Resume goes on from a record that was made with the same plan; what differs is a DiffersError. It runs
// nothing: the server's version counts where the target knows it already.
func (s *Sweep) Resume(r *Record) error {
	is := s.plan
	is.Target.Version = s.options.Target.Command.Version // "" is: not known
	is.Variables = fingerprints(s.options.Target.Command.Env)
	was := r.Plan
	was.Variables = maps.Clone(was.Variables)
	for _, name := range s.options.IgnoredVariables {
		delete(was.Variables, name)
		delete(is.Variables, name)
	}
	if differs := differences(was, is); len(differs) > 0 {
		return &DiffersError{Record: r, Differences: differs, Variables: otherVariables(was, is)}
	}
	s.plan, s.resumed = r.Plan, *r
	s.race = s.plan.race() // what decides is the record's, as for whoever reads it
	s.restarted, s.frontDriven = nil, false
	for _, t := range r.Trials {
		if t.Purpose == model.PurposeConfirm && !t.Live {
			s.restarted = append(s.restarted, t.Shape)
		}
		s.frontDriven = s.frontDriven || t.FrontAlone != nil
	}
	return nil
}

// A DiffersError says why a record can't be gone on with.
type DiffersError struct {
	Record      *Record
	Differences []string
	// Variables are those of the server's environment that differ.
	Variables []string
}

func (e *DiffersError) Error() string {
	text := "resume " + e.Record.Dir + ": it was made otherwise:"
	for i, d := range e.Differences {
		if i > 0 {
			text += ";"
		}
		text += " " + d
	}
	return text
}

// differences names what would make the trials of two plans no longer comparable, or the advice another
// one. What a record of an older advise does not have, or what is not known, can't differ. Every field of
// a plan is compared, or is named with the reason in TestResumeComparesEveryField.
func differences(was, is Plan) []string {
	var d []string
	differ := func(what string, was, is any) {
		if w, i := fmt.Sprint(was), fmt.Sprint(is); w != i {
			d = append(d, fmt.Sprintf("%s was %s, now %s", what, w, i))
		}
	}
	differ("schema version", was.SchemaVersion, is.SchemaVersion)
	differ("kind of server", was.Target.Adapter, is.Target.Adapter)
	switch w, i := fmt.Sprint(was.Target.Command), fmt.Sprint(is.Target.Command); {
	case was.Target.CommandSHA256 == is.Target.CommandSHA256:
	case w == i:
		d = append(d, "the command has another secret in it")
	default:
		differ("command", w, i)
	}
	if was.Target.Version != "" && is.Target.Version != "" {
		differ("server's version", was.Target.Version, is.Target.Version)
	}
	differ("folder", was.Target.Workdir, is.Target.Workdir)
	if names := otherVariables(was, is); len(names) > 0 {
		d = append(d, "other values in the environment: "+strings.Join(names, ", "))
	}

	if was.Scenario.SHA256 != is.Scenario.SHA256 {
		differ("scenario", was.Scenario.Name+" "+short(was.Scenario.SHA256), is.Scenario.Name+" "+short(is.Scenario.SHA256))
	}
	differ("rate in requests/s", was.Scenario.RateRPS, is.Scenario.RateRPS)
	differ("headroom of the rate", was.Settings.RateHeadroom, is.Settings.RateHeadroom)
	differ("objective", was.objectiveAsked().Flag(), is.objectiveAsked().Flag())
	differ("goal", cmp.Or(was.Settings.Goal, model.GoalCapacity), cmp.Or(is.Settings.Goal, model.GoalCapacity))
	differ("arrivals", was.Settings.Arrivals, is.Settings.Arrivals)
	differ("connections asked for", was.Scenario.Connections, is.Scenario.Connections)
	differ("probe", was.Settings.Probe, is.Settings.Probe)

	differ("cores", was.Budget.Cores, is.Budget.Cores)
	differ("memory in bytes", was.Budget.MemoryBytes, is.Budget.MemoryBytes)
	differ("memory headroom", was.Settings.MemoryHeadroom, is.Settings.MemoryHeadroom)
	differ("cores to predict", was.Settings.PredictCores, is.Settings.PredictCores)
	differ("memory to predict", was.Settings.PredictMemory, is.Settings.PredictMemory)

	differ("shapes", shapesOf(was), shapesOf(is))
	differ("counts", countsOf(was), countsOf(is))
	if was.Settings.Least != nil {
		differ("fewest workers to recommend", was.Settings.Least, is.Settings.Least)
	}
	differ("time in seconds", was.Settings.TimeSeconds, is.Settings.TimeSeconds)
	differ("tolerance", was.Settings.Tolerance, is.Settings.Tolerance)
	differ("confidence", was.Settings.Confidence, is.Settings.Confidence)
	differ("seed", was.Settings.Seed, is.Settings.Seed)
	differ("shared cores", was.Settings.ShareCores, is.Settings.ShareCores)
	differ("live changes", was.Settings.Live, is.Settings.Live)

	differ("system", was.Environment.OS+" on "+was.Environment.Arch, is.Environment.OS+" on "+is.Environment.Arch)
	differ("kernel", was.Environment.Kernel, is.Environment.Kernel)
	differ("processor", was.Environment.CPUModel, is.Environment.CPUModel)
	differ("machine's memory in bytes", was.Environment.MemoryBytes, is.Environment.MemoryBytes)
	differ("machine's processors", was.Environment.CPUsOnline, is.Environment.CPUsOnline)
	differ("server's processors", was.Environment.CPUsServer, is.Environment.CPUsServer)
	differ("generator's processors", was.Environment.CPUsGenerator, is.Environment.CPUsGenerator)
	differ("cores the server could use", was.Environment.CoresServer, is.Environment.CoresServer)
	if w, i := was.Environment.CPUsSeen, is.Environment.CPUsSeen; w != nil && i != nil {
		differ("processors the server finds", *w, *i)
	}
	differ("limits", was.Environment.LimitsMethod, is.Environment.LimitsMethod)
	if len(d) == 0 { // what follows from the above differs by itself where another advise made the record
		differ("share of errors allowed", was.Settings.ErrorShareAllowed, is.Settings.ErrorShareAllowed)
		if was.Settings.FewerCores > 0 { // where more were asked for, an older record has none
			differ("cores to check predictions on", was.Settings.FewerCores, is.Settings.FewerCores)
		}
		differ("rule of thumb", was.Settings.RuleOfThumb, is.Settings.RuleOfThumb)
		differ("connections", was.Settings.plannedConnections(), is.Settings.plannedConnections())
		differ("seconds of a warm-up", was.Settings.WarmupSeconds, is.Settings.WarmupSeconds)
		differ("seconds of a window", was.Settings.WindowSeconds, is.Settings.WindowSeconds)
		differ("seconds to be ready in", was.Settings.ReadySeconds, is.Settings.ReadySeconds)
		differ("seconds to answer in", was.Settings.TimeoutSeconds, is.Settings.TimeoutSeconds)
	}
	return d
}

// shapesOf are the command's own shape and those that are compared, in words that tell all of them apart.
func shapesOf(p Plan) string {
	own := Variant{Threads: p.Settings.Threads, Class: p.Settings.Class}
	list := []string{own.String()}
	for _, v := range p.Settings.Variants {
		text := v.String()
		if v.Preload != "" && v.Preload != targets.PreloadOn { // which is in the text
			text += ", preload " + string(v.Preload)
		}
		list = append(list, text)
	}
	return strings.Join(slices.Compact(list), "; ")
}

// countsOf is the range or the list that is searched, as --workers has it.
func countsOf(p Plan) string {
	s := p.Settings
	text := fmt.Sprintf("%d..%d", s.Lowest, s.Highest)
	if len(s.Counts) > 0 {
		text += " of " + fmt.Sprint(s.Counts)
	}
	if s.MostSlots > 0 {
		text += fmt.Sprintf(" with at most %d slots", s.MostSlots)
	}
	if s.MostThreads > 0 {
		text += fmt.Sprintf(" or %d threads", s.MostThreads)
	}
	return text
}

// plannedConnections are those before any were looked for.
func (s *Settings) plannedConnections() int { return cmp.Or(s.ConnectionsAtFirst, s.Connections) }

// String is for comparing: a quota's value rather than where it is.
func (c CPUsSeen) String() string {
	text := fmt.Sprintf("%d of %d", c.Affinity, c.Host)
	if c.Quota != nil {
		text += fmt.Sprintf(" with a quota of %g", *c.Quota)
	}
	return text
}

func short(sha string) string { return sha[:min(len(sha), 12)] }
