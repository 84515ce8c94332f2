package demo

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

// A Config is what the server is and what one request costs it. The zero value is not useful: begin
// with [Default].
type Config struct {
	// Workers is how many processes serve at the start. TTIN and TTOU change it.
	Workers int
	// Host and Port are the address to listen at. Port 0 takes a free one.
	Host string
	Port int
	// Socket is the path of a Unix socket to listen at in place of Host and Port.
	Socket string

	// CPU is the CPU time of one request, the handling of its connection included.
	CPU time.Duration
	// Wait is how long a request waits, without using CPU, as for a database.
	Wait time.Duration
	// WaitDistribution is "exp" for exponential waits with mean Wait, or "fixed". Fixed ones lock the
	// workers into step with the scheduler's slices: throughput then depends on how they started.
	WaitDistribution string
	// Serial is CPU time spent inside a lock that all workers share. It comes on top of CPU.
	Serial time.Duration
	// Memory is what every worker holds for itself, in bytes, all of it touched.
	Memory int64
	// SlowShare is the share of requests, 0 to 1, whose CPU, Wait and Serial are SlowFactor times as long.
	SlowShare  float64
	SlowFactor float64
	// Seed decides which requests are slow or fail, and the exponential waits. Worker k of two servers
	// with one seed draws the same numbers.
	Seed int64

	Faults Faults
}

// Faults make the server misbehave, for the tests of those who start servers. All are off in the zero
// value.
type Faults struct {
	// Exit ends the server at once with this message.
	Exit string
	// ExitAbove does so when more than this many workers are asked for at the start.
	ExitAbove int
	// NeverListen keeps the processes running without a listening socket.
	NeverListen bool
	// DieAfter ends the whole server after this many requests, in the middle of what it does.
	DieAfter int
	// IgnoreTerm makes master and workers deaf to SIGTERM, and to the context.
	IgnoreTerm bool
	// Daemonise moves the server into a session of its own, away from the process that was started.
	Daemonise bool
	// Outlive lets the workers live on when the master is killed.
	Outlive bool
	// Status answers a share of the requests, StatusShare, with this status.
	Status      int
	StatusShare float64
	// StatusAbove limits that to workers started when there are more than this many.
	StatusAbove int
	// Leak is how much memory each request leaves behind in its worker, in bytes.
	Leak int64
}

// Default is the server that runs when nothing is said about it: 2 ms of CPU and 8 ms of waiting. The
// closed network with exponential waits says that eight workers reach 97 % of what one core can do,
// and seven 94 %.
func Default() Config {
	return Config{
		Workers: 1, Host: "127.0.0.1", Port: 8000,
		CPU: 2 * time.Millisecond, Wait: 8 * time.Millisecond, WaitDistribution: "exp",
		Memory: 10 << 20, SlowFactor: 10, Seed: 1,
		Faults: Faults{StatusShare: 1},
	}
}

// ParseArgs reads the arguments that follow "advise demo". What is not given is as in [Default]. The
// error is [flag.ErrHelp] when help was asked for.
func ParseArgs(args []string) (Config, error) {
	c := Default()
	f := c.flags()
	f.SetOutput(io.Discard)
	if err := f.Parse(args); err != nil {
		return Config{}, fmt.Errorf("parse demo arguments: %w", err)
	}
	if f.NArg() > 0 {
		return Config{}, fmt.Errorf("parse demo arguments: unexpected argument %q", f.Arg(0))
	}
	if err := c.check(); err != nil {
		return Config{}, fmt.Errorf("parse demo arguments: %w", err)
	}
	return c, nil
}

// Args is the reverse of [ParseArgs]: the arguments that differ from [Default], but always those that
// say what the server is.
func (c Config) Args() []string {
	normal := Default()
	always := map[string]bool{"workers": true, "host": true, "port": true, "cpu": true, "wait": true, "memory": true}
	if c.Socket != "" {
		always["host"], always["port"] = false, false
	}
	usual := normal.flags()
	var args []string
	c.flags().VisitAll(func(f *flag.Flag) {
		value := f.Value.String()
		if value == usual.Lookup(f.Name).Value.String() && !always[f.Name] {
			return
		}
		args = append(args, "--"+f.Name)
		if b, ok := f.Value.(interface{ IsBoolFlag() bool }); !ok || !b.IsBoolFlag() {
			args = append(args, value)
		}
	})
	return args
}

// flags binds every argument to its field, with the field's present value as the default.
func (c *Config) flags() *flag.FlagSet {
	f := flag.NewFlagSet("demo", flag.ContinueOnError)
	f.IntVar(&c.Workers, "workers", c.Workers, "processes that serve")
	f.StringVar(&c.Host, "host", c.Host, "address to listen at")
	f.IntVar(&c.Port, "port", c.Port, "port to listen at, 0 for a free one")
	f.StringVar(&c.Socket, "socket", c.Socket, "Unix socket to listen at, instead of host and port")
	f.DurationVar(&c.CPU, "cpu", c.CPU, "CPU time of a request")
	f.DurationVar(&c.Wait, "wait", c.Wait, "waiting time of a request")
	f.StringVar(&c.WaitDistribution, "wait-distribution", c.WaitDistribution, "exp or fixed")
	f.DurationVar(&c.Serial, "serial", c.Serial, "CPU time of a request inside a lock that all workers share, in addition")
	f.Var((*size)(&c.Memory), "memory", "private memory of a worker, such as 10M")
	f.Float64Var(&c.SlowShare, "slow-share", c.SlowShare, "share of slow requests, 0 to 1")
	f.Float64Var(&c.SlowFactor, "slow-factor", c.SlowFactor, "how many times as long a slow request takes")
	f.Int64Var(&c.Seed, "seed", c.Seed, "seed of what is random")

	x := &c.Faults
	f.StringVar(&x.Exit, "fault-exit", x.Exit, "fault: exit at once with this message")
	f.IntVar(&x.ExitAbove, "fault-exit-above", x.ExitAbove, "fault: exit at once with more workers than this")
	f.BoolVar(&x.NeverListen, "fault-never-listen", x.NeverListen, "fault: run without listening")
	f.IntVar(&x.DieAfter, "fault-die-after", x.DieAfter, "fault: end after this many requests")
	f.BoolVar(&x.IgnoreTerm, "fault-ignore-term", x.IgnoreTerm, "fault: ignore SIGTERM")
	f.BoolVar(&x.Daemonise, "fault-daemonise", x.Daemonise, "fault: fork away into a session of its own")
	f.BoolVar(&x.Outlive, "fault-outlive", x.Outlive, "fault: workers outlive a killed master")
	f.IntVar(&x.Status, "fault-status", x.Status, "fault: answer with this status")
	f.Float64Var(&x.StatusShare, "fault-status-share", x.StatusShare, "share of requests answered with the fault's status")
	f.IntVar(&x.StatusAbove, "fault-status-above", x.StatusAbove, "answer with the fault's status only above this many workers")
	f.Var((*size)(&x.Leak), "fault-leak", "fault: memory that each request leaves behind")
	return f
}

func (c Config) check() error {
	type rule struct {
		ok     bool
		name   string
		value  any
		should string
	}
	for _, r := range []rule{
		{c.Workers >= 1 && c.Workers <= maxWorkers, "workers", c.Workers, fmt.Sprintf("be from 1 to %d", maxWorkers)},
		{c.Port >= 0 && c.Port <= math.MaxUint16, "port", c.Port, "be from 0 to 65535"},
		{c.CPU >= 0, "cpu", c.CPU, "not be negative"},
		{c.Wait >= 0, "wait", c.Wait, "not be negative"},
		{c.WaitDistribution == "fixed" || c.WaitDistribution == "exp", "wait-distribution", c.WaitDistribution, "be fixed or exp"},
		{c.Serial >= 0, "serial", c.Serial, "not be negative"},
		{c.SlowShare >= 0 && c.SlowShare <= 1, "slow-share", c.SlowShare, "be from 0 to 1"},
		{c.SlowFactor >= 0 && c.SlowFactor <= maxFactor, "slow-factor", c.SlowFactor, fmt.Sprintf("be from 0 to %d", maxFactor)},
		{c.Faults.ExitAbove >= 0, "fault-exit-above", c.Faults.ExitAbove, "not be negative"},
		{c.Faults.DieAfter >= 0, "fault-die-after", c.Faults.DieAfter, "not be negative"},
		{c.Faults.Status == 0 || c.Faults.Status >= 200 && c.Faults.Status <= 599, "fault-status", c.Faults.Status, "be from 200 to 599"},
		{c.Faults.StatusShare >= 0 && c.Faults.StatusShare <= 1, "fault-status-share", c.Faults.StatusShare, "be from 0 to 1"},
		{c.Faults.StatusAbove >= 0, "fault-status-above", c.Faults.StatusAbove, "not be negative"},
	} {
		if !r.ok {
			return fmt.Errorf("--%s %v must %s", r.name, r.value, r.should)
		}
	}
	return nil
}

// maxWorkers and maxFactor keep a slip of the finger from taking the machine down.
const (
	maxWorkers = 1024
	maxFactor  = 1_000_000
)

// A size is a number of bytes, written with K, M or G for powers of 1024.
type size int64

var errSize = errors.New("not a size such as 512K, 10M or 1.5G")

func (s *size) Set(text string) error {
	digits, unit := strings.TrimSuffix(text, "i"), 1.0
	if n := len(digits); n > 0 {
		if i := strings.IndexByte("KMG", digits[n-1]); i >= 0 {
			digits, unit = digits[:n-1], float64(int64(1)<<(10*(i+1)))
		} else if digits != text {
			return errSize
		}
	}
	if whole, err := strconv.ParseInt(digits, 10, 64); err == nil && unit == 1 && whole >= 0 {
		*s = size(whole)
		return nil
	}
	v, err := strconv.ParseFloat(digits, 64)
	// NaN fails both comparisons.
	if err != nil || !(v >= 0 && v*unit < math.MaxInt64) {
		return errSize
	}
	*s = size(v * unit)
	return nil
}

func (s *size) String() string {
	v, unit := int64(*s), 0
	for v != 0 && v%1024 == 0 && unit < 3 {
		v /= 1024
		unit++
	}
	return strconv.FormatInt(v, 10) + [...]string{"", "K", "M", "G"}[unit]
}
