package hold

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"syscall"
	"time"
)

// Method is a way of holding a process tree to its limits.
type Method string

const (
	// Auto asks Choose for the first method that can hold everything asked for.
	Auto Method = "auto"
	// Cgroup2 is a cgroup v2: a transient systemd scope, or else a folder in a delegated or
	// otherwise writable part of the hierarchy.
	Cgroup2 Method = "cgroup2"
	// Cgroup1 is one cgroup v1 per controller, each below advise's own. It usually needs root.
	Cgroup1 Method = "cgroup1"
	// Affinity pins to whole cores by sched_setaffinity(2). Memory is observed, not limited.
	Affinity Method = "affinity"
	// None limits nothing. The tree is still held: it ends when advise ends.
	None Method = "none"
)

// Limits are what a tree may use, and how it is held to that.
type Limits struct {
	Method Method
	CPUs   []int   // the cores it may run on; empty: those of advise itself
	Quota  float64 // CPU time per wall time over those cores, in cores; 0: no quota
	Memory int64   // bytes for the whole tree, swap excluded because swap is off; 0: no limit
}

// smallestQuota is what the kernel accepts: 1 ms in a period of 100 ms.
const smallestQuota = 0.01

func (l Limits) validate() error {
	if math.IsNaN(l.Quota) || math.IsInf(l.Quota, 0) || l.Quota < 0 || (l.Quota > 0 && l.Quota < smallestQuota) {
		return fmt.Errorf("hold to %g cores: a quota is at least %g", l.Quota, smallestQuota)
	}
	if l.Memory < 0 {
		return fmt.Errorf("hold to %d bytes of memory: it cannot be negative", l.Memory)
	}
	seen := slices.Sorted(slices.Values(l.CPUs))
	if len(slices.Compact(seen)) != len(l.CPUs) || (len(seen) > 0 && seen[0] < 0) {
		return fmt.Errorf("hold to the cores %v: each is a number from 0 on, named once", l.CPUs)
	}
	return nil
}

// Choose finds out, by making and removing them, which limits hold on this machine. The Limits it
// returns are those that will hold, with a method that is never Auto; what was asked for and will
// not hold is zero in them, and the sentences say so and why.
//
// A method named by the caller that cannot hold the asked memory or quota is an error, except
// Affinity and None, which are asked for knowing that they cannot.
func Choose(want Method, l Limits) (Limits, []string, error) {
	if err := l.validate(); err != nil {
		return Limits{}, nil, err
	}
	switch want {
	case "":
		want = Auto
	case Auto, Cgroup2, Cgroup1, Affinity, None:
	default:
		return Limits{}, nil, fmt.Errorf("hold by %q: the methods are auto, cgroup2, cgroup1, affinity, none", want)
	}
	return choose(want, l)
}

// Spec says what to start and how to hold it.
type Spec struct {
	Argv   []string // the program, looked up in the PATH of Env, and its arguments
	Env    []string // its whole environment; ADVISE_GUARD is added
	Dir    string   // its working folder; empty: that of advise
	Log    string   // file for its standard output and error, created with mode 0600; empty: none
	Limits Limits   // as returned by Choose
	Remove []string // files and folders to remove when everything has ended
}

// Process is a living process of a tree.
type Process struct {
	PID, Parent int
	Command     string // the kernel's name for it, at most 15 bytes on Linux
	State       string // one letter, as ps shows it
	StartTicks  uint64 // start in clock ticks after boot: with PID, an identity; 0 where unknown
	Threads     int    // 0 where unknown
	Title       string // its arguments, or what it calls itself in their place; empty where unknown
	// CPU is its user and system time so far, without that of its children.
	CPU time.Duration
}

// Usage is what a tree has used since its start. It is cheap to read.
type Usage struct {
	// CPU is user and system time. With a cgroup it covers everything that ever ran in the tree.
	// Without one (Counted is false) it adds up what lives and what was waited for: a process that
	// dies unwaited, because its parent ignores SIGCHLD, takes its time with it.
	CPU     time.Duration
	Counted bool

	HasQuota                  bool
	Periods, ThrottledPeriods uint64        // scheduling periods in which it wanted to run; and was stopped in
	Throttled                 time.Duration // summed over the CPUs

	// HasPressure is true where the two below are known: with a cgroup v2. They are how long some
	// process of the tree has waited for memory, and for the disk.
	HasPressure              bool
	MemoryStalled, IOStalled time.Duration

	HasMemory     bool   // the three below and OOMKills are known
	MemoryCharged int64  // bytes charged now, page cache included
	MemoryCache   int64  // of these, what the kernel can take back: pages of files
	MemoryPeak    int64  // largest MemoryCharged; where the kernel keeps none, the largest seen by Usage
	OOMKills      uint64 // processes of the tree that the kernel killed for memory
}

// MemoryOwn is what the tree is charged now without what the kernel can take back; 0 where it is not known.
func (u Usage) MemoryOwn() int64 { return max(u.MemoryCharged-u.MemoryCache, 0) }

// MemoryOwnPeak is the largest charge without what the kernel can take back now; 0 where it is not known.
func (u Usage) MemoryOwnPeak() int64 { return max(u.MemoryPeak-u.MemoryCache, 0) }

// Memory is what a tree has resident. It is expensive to read: the kernel walks the page tables.
type Memory struct {
	PSS     int64 // proportional set size in bytes: shared pages are divided among those who share
	SwapPSS int64 // the same of what is swapped out
	Exact   bool  // false: for some process only the resident set was to be had, shared pages count for each
	// ByProcess is both together for each process.
	ByProcess map[int]int64
}

// Exit is how a process ended: by a code, or by a signal when Signal is not 0.
type Exit struct {
	Code   int
	Signal syscall.Signal
}

func (e Exit) String() string {
	if e.Signal != 0 {
		return "killed by " + signalName(e.Signal)
	}
	return fmt.Sprintf("exit code %d", e.Code)
}

// signalName is the name as people type it, which syscall.Signal.String is not.
func signalName(s syscall.Signal) string {
	names := map[syscall.Signal]string{
		syscall.SIGHUP: "SIGHUP", syscall.SIGINT: "SIGINT", syscall.SIGQUIT: "SIGQUIT", syscall.SIGILL: "SIGILL",
		syscall.SIGABRT: "SIGABRT", syscall.SIGBUS: "SIGBUS", syscall.SIGFPE: "SIGFPE", syscall.SIGKILL: "SIGKILL",
		syscall.SIGSEGV: "SIGSEGV", syscall.SIGPIPE: "SIGPIPE", syscall.SIGALRM: "SIGALRM", syscall.SIGTERM: "SIGTERM",
		syscall.SIGUSR1: "SIGUSR1", syscall.SIGUSR2: "SIGUSR2",
	}
	if name, ok := names[s]; ok {
		return name
	}
	return fmt.Sprintf("signal %d", int(s))
}

// ErrGuardKilled is in Tree.Err when the guard ended before the tree did. What was left of the
// tree has then been killed by the caller's own process.
var ErrGuardKilled = errors.New("the guard process was killed")
