package generator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"time"
)

// CalibrationOptions are what a sweep's phases will have: the same cores, connections and requests.
type CalibrationOptions struct {
	// ServerCPUs and GeneratorCPUs are cores by their numbers; empty is all there are.
	ServerCPUs, GeneratorCPUs []int
	Connections               int
	Requests                  []Request
	Seed                      int64
}

// A Calibration says what the generator can do at most with given cores, connections and requests.
type Calibration struct {
	// CeilingRPS is the most it reaches, in requests per second: see Attack.CeilingRPS.
	CeilingRPS float64 `json:"ceiling_rps"`
	// ThroughputRPS is what it reached against the null server. The ceiling is above that where it
	// was the null server that could do no more.
	ThroughputRPS float64 `json:"throughput_rps"`
	// CPUShare is the generator's share of its cores meanwhile, ServerCPUShare the null server's.
	CPUShare       float64 `json:"cpu_share"`
	ServerCPUShare float64 `json:"server_cpu_share"`
	// PerCoreSecond is the requests for each second of CPU time the generator used.
	PerCoreSecond float64 `json:"requests_per_core_second"`
	// SharedCores says that some core is both the generator's and the server's. The ceiling is then
	// that of the two together, and what the generator uses the server lacks: alone, it would answer
	// more by the factor 1/(1 - throughput/PerCoreSecond/cores).
	SharedCores bool    `json:"shared_cores"`
	Connections int     `json:"connections"`
	Seconds     float64 `json:"seconds"` // what it took
}

const (
	calibrationWarmup = 300 * time.Millisecond
	calibrationWindow = 900 * time.Millisecond
	// fullShare of its cores is all that a process gets of them in practice.
	fullShare = boundShare
)

// Calibrate drives a null server, on the cores that the server under test will have, in a closed loop
// for about a second, and returns what the generator reached. Both are child processes, held to their
// cores from their first instruction; neither outlives this process. When ctx ends, so does Calibrate,
// with ctx's error.
func Calibrate(ctx context.Context, o CalibrationOptions) (*Calibration, error) {
	began := time.Now()
	a := o.attack()
	a.URL = "http://127.0.0.1:1" // to be checked before anything is started
	if err := a.Validate(); err != nil {
		return nil, fmt.Errorf("calibrate the load generator: %w", err)
	}
	null, err := startNull(ctx, a.Requests[0].Expect[0], o.ServerCPUs)
	if err != nil {
		return nil, fmt.Errorf("calibrate the load generator: %w", err)
	}
	defer null.stop()
	a.URL = "http://" + null.address

	var used [2]float64
	var at [2]time.Time
	var asked error
	read := func(i int) {
		used[i], err = null.cpuSeconds()
		at[i] = time.Now()
		asked = errors.Join(asked, err)
	}
	s, err := Run(ctx, a, func(p Progress) {
		switch p.Event {
		case WindowStarted:
			read(0)
		case WindowEnded:
			read(1)
		}
	})
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err = errors.Join(err, asked); err == nil && (s.OK == 0 || s.Failed > 0) {
		err = fmt.Errorf("%d of %d requests to the null server failed: %v", s.Failed, s.OK+s.Failed, s.Errors)
	}
	if err != nil {
		return nil, fmt.Errorf("calibrate the load generator: %w", err)
	}
	c := &Calibration{
		ThroughputRPS: s.ThroughputRPS, CPUShare: s.CPUShare,
		SharedCores: shared(o.ServerCPUs, o.GeneratorCPUs),
		Connections: o.Connections, Seconds: time.Since(began).Seconds(),
	}
	if over := at[1].Sub(at[0]).Seconds(); over > 0 {
		c.ServerCPUShare = (used[1] - used[0]) / (over * float64(coresOf(o.ServerCPUs)))
	}
	if s.CPUSeconds > 0 {
		c.PerCoreSecond = s.ThroughputRPS * s.WindowSeconds / s.CPUSeconds
	}
	c.CeilingRPS = c.ceiling()
	return c, nil
}

// ceiling is what was reached, if the generator was at its end: short of CPU time, or of what its one
// dispatching goroutine hands out, or of connections. If it was the null server that could do no more
// the CPU time the generator had left counts as well.
func (c *Calibration) ceiling() float64 {
	if c.ServerCPUShare > fullShare && c.CPUShare > 0 && c.CPUShare < fullShare {
		return c.ThroughputRPS / c.CPUShare
	}
	return c.ThroughputRPS
}

// attack is that of a saturation phase, but that every request expects the null server's one answer.
func (o CalibrationOptions) attack() Attack {
	a := Attack{
		Requests: slices.Clone(o.Requests), Seed: o.Seed, Connections: o.Connections, CPUs: o.GeneratorCPUs,
		Warmup: calibrationWarmup, Window: calibrationWindow, Timeout: 10 * time.Second,
	}
	status := http.StatusOK
	if len(a.Requests) > 0 && len(a.Requests[0].Expect) > 0 {
		status = a.Requests[0].Expect[0]
	}
	for i := range a.Requests {
		a.Requests[i].Expect = []int{status}
	}
	return a
}

func coresOf(cpus []int) int {
	if len(cpus) > 0 {
		return len(cpus)
	}
	return runtime.NumCPU()
}

func shared(a, b []int) bool {
	return len(a) == 0 || len(b) == 0 || slices.ContainsFunc(a, func(cpu int) bool { return slices.Contains(b, cpu) })
}

// A runningNull is a null server in a child process.
type runningNull struct {
	*child
	address string
	lines   *json.Decoder
	forget  func() bool
}

func startNull(ctx context.Context, status int, cpus []int) (*runningNull, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c, err := startChild("null-server", cpus)
	if err != nil {
		return nil, fmt.Errorf("start the null server: %w", err)
	}
	n := &runningNull{child: c, lines: json.NewDecoder(c.out), forget: context.AfterFunc(ctx, c.kill)}
	first, err := n.ask(nullConfig{Status: status, Loops: coresOf(cpus)})
	if err != nil {
		n.stop()
		return nil, fmt.Errorf("start the null server: %w%s", err, n.said())
	}
	n.address = first.Address
	return n, nil
}

// ask writes one line and reads one.
func (n *runningNull) ask(question any) (answer nullLine, err error) {
	if err := json.NewEncoder(n.in).Encode(question); err != nil {
		return nullLine{}, err
	}
	err = n.lines.Decode(&answer)
	return answer, err
}

// cpuSeconds is what the null server has used since it began.
func (n *runningNull) cpuSeconds() (float64, error) {
	answer, err := n.ask(nil)
	if err != nil {
		return 0, fmt.Errorf("read the null server's CPU time: %w", err)
	}
	return answer.CPUSeconds, nil
}

// stop returns when the process has ended.
func (n *runningNull) stop() {
	n.forget()
	n.in.Close()
	last := time.AfterFunc(killAfter, n.kill)
	defer last.Stop()
	_ = n.wait() // it has nothing more to say
}
