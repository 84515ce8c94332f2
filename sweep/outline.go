package sweep

import (
	"math"

	"advise/targets"
	"advise/targets/mask"
)

// An Outline is what a sweep will do, as far as it can be said before anything is measured.
type Outline struct {
	Plan Plan `json:"plan"`
	// FirstCounts are the counts of the first look, in their order; of the first variant where several are
	// compared. What follows depends on it; it ends early where requests wait nearly all their time.
	FirstCounts []int `json:"first_counts"`
	// Restarts is about how many fit into the time.
	Restarts          int     `json:"restarts"`
	SecondsPerRestart float64 `json:"seconds_per_restart"`
	SecondsAtMost     float64 `json:"seconds_at_most"`
	// Starts are the exact start commands of the first look, their secrets masked. The port is chosen anew at each start.
	Starts []PlannedStart `json:"starts"`
}

// ScratchName stands in planned commands for the folder that a start makes for the server's files.
const ScratchName = "SCRATCH"

// A PlannedStart is a start command at a shape, and what advise sets in its environment.
type PlannedStart struct {
	Shape
	Argv        []string `json:"argv"`
	Environment []string `json:"environment,omitempty"`
}

// Outline works out what Run will do first; it starts nothing.
func (s *Sweep) Outline() (Outline, error) {
	o := Outline{
		Plan: s.plan, FirstCounts: s.race[0].Search.FirstLook(),
		SecondsPerRestart: s.timing.guess.Seconds(), SecondsAtMost: s.options.Time.Seconds(),
	}
	o.Restarts = int(math.Max(1, math.Floor(float64(s.options.Time)/float64(s.timing.guess))))
	for i, v := range s.plan.Variants() {
		for _, n := range s.race[i].Search.FirstLook() {
			start, err := s.planned(v.At(n))
			if err != nil {
				return Outline{}, err
			}
			o.Starts = append(o.Starts, start)
		}
	}
	return o, nil
}

func (s *Sweep) planned(shape Shape) (PlannedStart, error) {
	launch, err := s.options.Target.Launch(s.plan.Launched(shape), targets.Place{Host: "127.0.0.1", Port: 8000, Scratch: ScratchName})
	if err != nil {
		return PlannedStart{}, err
	}
	argv, _ := mask.Command(launch.Argv)
	return PlannedStart{Shape: shape, Argv: argv, Environment: masked(added(s.options.Target.Command.Env, launch.Env))}, nil
}

func masked(variables []string) []string {
	for i, v := range variables {
		variables[i] = mask.Variable(v)
	}
	return variables
}

// added are the variables that a launch sets or changes.
func added(before, after []string) []string {
	had := map[string]bool{}
	for _, v := range before {
		had[v] = true
	}
	var set []string
	for _, v := range after {
		if !had[v] {
			set = append(set, v)
		}
	}
	return set
}
