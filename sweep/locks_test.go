package sweep

import (
	"math"
	"strings"
	"testing"
	"time"

	"advise/model"
	"advise/targets/hold"
)

// aLockedServer takes 5 ms of each request in a lock that its workers share, and outside of it another time of
// the request.
type aLockedServer struct {
	outside float64 // seconds
	// asleep is how many of n workers sleep in the lock at a time; nil: all that the lock makes wait.
	asleep func(n int) float64
	idle   int
	// used is the share of the core with a saturated lock.
	used float64
	by   model.Saturation
	kind func(*Locks) *float64
}

const inLock = 0.005

// throughput is that of n workers between which the lock passes without a gap.
func (s aLockedServer) throughput(n int) float64 {
	return math.Min(float64(n)/(inLock+s.outside), 1/inLock)
}

// waiting is as many as are neither in the lock nor outside of it.
func (s aLockedServer) waiting(n int) float64 {
	return math.Max(float64(n)-s.throughput(n)*(inLock+s.outside), 0)
}

func (s aLockedServer) record(counts ...int) *Record {
	r := &Record{Plan: Plan{
		StartedAt:   time.Unix(0, 0),
		Environment: Environment{CoresServer: 1}, Budget: Budget{Cores: 1},
		Settings: Settings{Lowest: 1, Highest: 32, Tolerance: 0.05, Confidence: 0.95, RuleOfThumb: 3, Threads: 1, Class: "sync", Connections: 64},
	}}
	const window = 10
	for repeat := range 3 {
		for _, n := range counts {
			x := s.throughput(n) * (1 + 0.002*float64(repeat-1))
			locks := &Locks{Samples: 40, Threads: float64(n), Idle: s.idle}
			*s.kind(locks) = s.waiting(n)
			if s.asleep != nil {
				*s.kind(locks) = s.asleep(n)
			}
			cpu := s.used * window * s.throughput(n) * inLock
			r.Trials = append(r.Trials, Trial{
				ID: len(r.Trials) + 1, Shape: Shape{Workers: n, Threads: 1, Class: "sync"}, Repeat: repeat + 1, Outcome: OK,
				Phases: []Phase{{
					Kind: PhaseSaturation, Connections: 64, SaturatedBy: s.by, ThroughputRPS: x, OK: uint64(x * window), WindowSeconds: window, Steady: true,
				}},
				Server: Server{CPUSeconds: cpu, CPUSecondsPerRequest: cpu / x / window, Locks: locks},
			})
		}
	}
	return r
}

func fileLocks(l *Locks) *float64      { return &l.FileLock }
func privateFutexes(l *Locks) *float64 { return &l.PrivateFutex }

func lockCaveat(r *Record) *model.Caveat {
	for _, c := range r.Advice().Caveats {
		if c.Code == CaveatLock {
			return &c
		}
	}
	return nil
}

// 5 ms in the lock and 5 ms outside are 200 requests per second whatever the count, half of each serialised;
// six of eight workers wait.
func TestLock(t *testing.T) {
	c := lockCaveat(aLockedServer{outside: 0.005, used: 0.3, by: model.SaturatedSlots, kind: fileLocks}.record(1, 2, 3, 4, 8))
	if c == nil {
		t.Fatal("no caveat")
	}
	for key, want := range map[string]float64{
		"workers": 8, "slots": 8, "asleep": 6, "serial_share": 0.5, "serial_seconds": 0.005, "throughput_rps": 200, "cores_used_share": 0.3,
	} {
		if got := c.Figures[key]; math.Abs(got-want) > 0.02*want {
			t.Errorf("%s: got %g, want %g", key, got, want)
		}
	}
	for _, words := range []string{"70 % of the cores is idle", "of 8 workers, 6.0 sleep in a file lock", "50 % of a request", "200 requests per second"} {
		if !strings.Contains(c.Message, words) {
			t.Errorf("%q is not in %q", words, c.Message)
		}
	}
}

// With nothing outside of the lock all of a request is serialised, and never more.
func TestLockOfTheWholeRequest(t *testing.T) {
	c := lockCaveat(aLockedServer{used: 0.1, by: model.SaturatedSlots, kind: fileLocks, asleep: func(n int) float64 { return float64(n) - 0.4 }}.record(1, 2, 3, 4, 8))
	if c == nil || c.Figures["serial_share"] < 0.99 || c.Figures["serial_share"] > 1 {
		t.Errorf("got %+v, want all of it and no more", c)
	}
}

func TestNoLock(t *testing.T) {
	locked := aLockedServer{outside: 0.005, used: 0.3, by: model.SaturatedSlots, kind: fileLocks}
	for name, c := range map[string]struct {
		edit   func(*aLockedServer)
		counts []int
	}{
		"throughput still grows":                {func(s *aLockedServer) { s.outside = 0.2 }, nil},
		"the cores are used":                    {func(s *aLockedServer) { s.used = 0.9 }, nil},
		"nothing shows that all slots are busy": {func(s *aLockedServer) { s.by = model.SaturatedConnections }, nil},
		"they sleep in locks of their own":      {func(s *aLockedServer) { s.kind = privateFutexes }, nil},
		"few sleep":                             {func(s *aLockedServer) { s.asleep = func(int) float64 { return 1 } }, nil},
		"as many sleep when idle":               {func(s *aLockedServer) { s.idle = 7 }, nil},
		"too few counts show that it levels":    {func(*aLockedServer) {}, []int{7, 8}},
	} {
		s, counts := locked, c.counts
		c.edit(&s)
		if counts == nil {
			counts = []int{1, 2, 3, 4, 8}
		}
		if got := lockCaveat(s.record(counts...)); got != nil {
			t.Errorf("%s: got %+v, want none", name, got)
		}
	}
	r := locked.record(1, 2, 3, 4, 8)
	for i := range r.Trials { // as in a record of before they were looked at
		r.Trials[i].Server.Locks = nil
	}
	if got := lockCaveat(r); got != nil {
		t.Errorf("nothing was seen: got %+v", got)
	}
}

// aSleeper has two workers of which one sleeps in a file lock, once there is something to do.
type aSleeper struct {
	instance
	looked chan int
	looks  int
}

func (s *aSleeper) WorkerProcesses() ([]hold.Process, error) {
	return []hold.Process{{PID: 1}, {PID: 2}}, nil
}

func (s *aSleeper) Locks(workers []hold.Process) hold.LockWaits {
	w := hold.LockWaits{Threads: len(workers)}
	if s.looks++; s.looks > 1 {
		w.FileLocks = 1
		s.looked <- s.looks
	}
	return w
}

func TestLockWatch(t *testing.T) {
	server := &aSleeper{looked: make(chan int, 1000)}
	w := watchLocks(server)
	workers, _ := server.WorkerProcesses()
	w.start(workers)
	w.start(workers) // as when a window is prolonged
	<-server.looked
	got := w.end()
	if got == nil || got.Samples < 1 || got.FileLock != 1 || got.Threads != 2 || got.Idle != 0 {
		t.Errorf("got %+v, want one of two asleep", got)
	}
	if w.end() != nil {
		t.Error("a second end tells something")
	}
	if blind := watchLocks(&closedInstance{}); blind.end() != nil {
		t.Error("nothing can be seen there")
	}
}
