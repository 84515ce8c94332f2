package cmd

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"advise/model"
	"advise/reports"
	"advise/sweep"
)

// printOutline writes the plan of a dry run.
func printOutline(w io.Writer, o sweep.Outline, options outputOptions) error {
	if options.json {
		return reports.Document(w, o)
	}
	var b strings.Builder
	p := o.Plan
	if standIn(p.Target) {
		say(&b, "target    the built-in demo server: NO SERVER OF YOURS WAS FOUND in %s\n", p.Target.Workdir)
		for _, line := range seenBelow(p.Target) {
			say(&b, "          %s\n", line)
		}
	} else {
		say(&b, "target    %s: %s\n", p.Target.Adapter, strings.Join(p.Target.Command, " "))
		if p.Target.Found != "" {
			for line := range strings.SplitSeq(p.Target.Found, "\n") {
				say(&b, "          %s\n", line)
			}
		}
	}
	say(&b, "limits    %s\n          %s\n", held(p), driven(p))
	for _, s := range p.Environment.LimitsShortfall {
		say(&b, "          %s\n", s)
	}
	if p.Environment.CoresServer < p.Budget.Cores {
		say(&b, "          %s\n", carried(p))
	}
	say(&b, "requests  %s\n", requests(p.Scenario))
	if o := p.Scenario.Objective; o != nil {
		say(&b, "objective %s\n", o.Given())
	} else if p.WantsObjective() {
		say(&b, "objective errors <= 0%%, and p95 <= twice that without load, which is measured first\n")
	}
	if p.Settings.Goal == model.GoalRate {
		say(&b, "goal      the fewest workers that hold %g requests/s; beside it the count for all the cores can do\n", p.Scenario.RateRPS)
	}
	if list := p.Settings.PredictMemory; len(list) > 0 {
		var sizes []string
		for _, bytes := range list {
			sizes = append(sizes, humanize.Bytes(uint64(bytes)))
		}
		say(&b, "predict   in %s of memory, from what is measured, as an upper bound\n", strings.Join(sizes, ", "))
	}
	if list := p.Settings.PredictCores; len(list) > 0 {
		say(&b, "predict   for %s cores, from what is measured, as an upper bound\n", (*coreList)(&list))
		if part := p.Settings.FewerCores; part > 0 {
			say(&b, "          checked from %s, where the recommended count is measured too\n", number(part, "core"))
		} else {
			say(&b, "          unchecked: half of what is measured can't be held by %s\n", p.Environment.LimitsMethod)
		}
	}
	if p.Settings.Probe != "" {
		say(&b, "probe     GET %s, now and then while the server is full\n", p.Settings.Probe)
	}
	if variants := p.Variants(); len(variants) > 1 {
		for i, v := range variants {
			label := "shapes"
			if i > 0 {
				label = ""
			}
			say(&b, "%-10s%s\n", label, v)
		}
	}
	say(&b, "counts    first %s in this order, then where the decision is least certain\n", list(o.FirstCounts))
	if len(p.Settings.Counts) > 0 {
		say(&b, "          of %s, and the usual %d to compare with\n", list(p.Settings.Counts), p.Settings.RuleOfThumb)
	} else {
		say(&b, "          from %d to %d, and the usual %d to compare with\n", p.Settings.Lowest, p.Settings.Highest, p.Settings.RuleOfThumb)
	}
	if n := leastOf(p.Settings); n > 1 {
		say(&b, "          %d of them at the least, where that costs no more than the tolerance (--least 1: as few as do)\n", n)
	}
	say(&b, "time      about %d restarts of %.1f s, at most %s; fewer when the decision is settled\n",
		o.Restarts, o.SecondsPerRestart, time.Duration(o.SecondsAtMost*float64(time.Second)))
	if p.Settings.Live {
		b.WriteString("live      the first count is started, the others are changes while it runs; a restart at the end tells the difference\n")
	}
	say(&b, "starts    (the port is chosen anew each time%s)\n", scratch(o.Starts))
	for _, s := range o.Starts {
		say(&b, "          %s\n", strings.Join(append(s.Environment, s.Argv...), " "))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// carried says how the answer for more cores than can be measured is come by.
func carried(p sweep.Plan) string {
	asked, measured := number(p.Budget.Cores, "core"), number(p.Environment.CoresServer, "core")
	switch part := p.Settings.FewerCores; {
	case p.Budget.Cores > model.MostFactor*p.Environment.CoresServer:
		return fmt.Sprintf("%s asked for: unless memory or a rate decides, there is no answer for more than %d times %s", asked, model.MostFactor, measured)
	case part > 0:
		return fmt.Sprintf("%s asked for: the answer for them is predicted from %s and %s, where that can be trusted", asked, number(part, "core"), measured)
	}
	return fmt.Sprintf("%s asked for: unless memory or a rate decides, there is no answer for them, as half of what is measured can't be held by %s", asked, p.Environment.LimitsMethod)
}

// scratch explains the folder in the commands of servers that start with files.
func scratch(starts []sweep.PlannedStart) string {
	for _, s := range starts {
		if strings.Contains(strings.Join(s.Argv, " "), sweep.ScratchName) {
			return "; " + sweep.ScratchName + " is a temporary folder with the derived files"
		}
	}
	return ""
}

func requests(s sweep.Scenario) string {
	var parts []string
	for _, r := range s.Requests {
		parts = append(parts, r.Method+" "+r.Path)
	}
	text := strings.Join(parts, ", ")
	if s.RateRPS > 0 {
		text += fmt.Sprintf("; at saturation, then at %g requests/s", s.RateRPS)
		if s.RateRPS > s.TrafficRPS {
			text += fmt.Sprintf(": %g and headroom", s.TrafficRPS)
		}
	}
	return text
}

func list(counts []int) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(counts), " ", ", "), "[]")
}
