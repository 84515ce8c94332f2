package cmd

// NewSweep is the command that sweeps, for tests that go over all of its flags.
var NewSweep = newSweep
