package cmd

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"advise/model"
	"advise/reports"
	"advise/sweep"
	"advise/sweep/table"
)

// fitOptions are the flags of fit.
type fitOptions struct {
	cores      cores
	memory     memory
	tolerance  share
	confidence confidence
	headroom   margin
	output     outputOptions
}

func newFit(s Streams) *cobra.Command {
	o := &fitOptions{tolerance: defaultTolerance, confidence: defaultConfidence, headroom: defaultHeadroom}
	c := &cobra.Command{
		Use: "fit FILE", Short: "Fit and advise on a table of measurements you already have", Args: cobra.ExactArgs(1),
		Long: `fit reads a table of measurements, fits the throughput curves to it and says how
many workers it speaks for. No server is started. FILE - is standard input.

The first line names the columns, separated by commas, semicolons or tabs; lines
that begin with # are left out:

  workers     the count; also concurrency, clients, n
  throughput  requests per second; also throughput_rps, rps, x
  latency     optional: seconds, or 12ms; also latency_seconds; or latency_ms
  memory      optional: of the whole server, bytes or 512M; also memory_bytes
  cpu         optional: CPU seconds of one request, or 2ms; also
              cpu_seconds_per_request
  repeat      optional: numbers the measurements of one count

Several rows of one count are repeats: intervals come from them. A throughput of
0 is a count that did not work; a latency, memory or CPU time of 0 is not known.
Other columns are left out, and named in a caveat.

Exit codes: 0 done, 1 failed or not a table, 3 no trustworthy recommendation.`,
		Example: `  advise fit measurements.csv --cores 4 --mem 1.5G
  advise fit - --json < measurements.csv`,
		RunE: func(_ *cobra.Command, args []string) error { return runFit(s, o, args[0]) },
	}
	f := c.Flags()
	f.SortFlags = false
	f.Var(&o.cores, "cores", "cores the server had: 4, 1.5 or 500m (default: not known)")
	f.Var(&o.memory, "mem", "memory the server may use: 1.5G, 512M, 512Mi, bytes (default: no cap)")
	f.Var(&o.tolerance, "tolerance", "throughput that may be given up for fewer workers")
	f.Var(&o.confidence, "confidence", "confidence of the intervals")
	f.Var(&o.headroom, "mem-headroom", "share of the memory to leave free")
	o.output.register(f)
	return c
}

func runFit(s Streams, o *fitOptions, name string) error {
	in := s.In
	if name == "-" {
		name = "standard input"
	} else {
		f, err := os.Open(name)
		if err != nil {
			return fmt.Errorf("read a table: %w", err)
		}
		defer f.Close()
		in = f
	}
	t, err := table.Read(in)
	if err != nil {
		return refused(name, err)
	}
	q := model.Question{
		Cores: float64(o.cores), CoresMeasured: float64(o.cores),
		MemoryBytes: float64(o.memory), MemoryHeadroom: float64(o.headroom),
		Tolerance: float64(o.tolerance), Confidence: float64(o.confidence),
		Lowest: 1, Seed: 1, SpreadFromNeighbours: true,
	}
	if o.cores > 0 {
		q.RuleOfThumb = sweep.RuleOfThumb(float64(o.cores))
	}
	r := reports.NewTable(name, t, q, model.Advise(t.Observations(), q), tool())
	if o.output.json {
		err = reports.TableJSON(s.Out, r)
	} else {
		err = reports.TableText(s.Out, r, textOptions(s.Out, o.output))
	}
	if err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	if r.Recommendation == nil {
		return errNoAdvice
	}
	return nil
}

// refused says what is wrong with a table, and where to read what one looks like.
func refused(name string, err error) error {
	said := fmt.Errorf("read %s: %w", name, err)
	var reason *table.RefusedError
	if errors.As(err, &reason) {
		return withHint(said, "advise fit --help says what a table looks like")
	}
	return said
}
