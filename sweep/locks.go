package sweep

import (
	"fmt"
	"math"
	"time"

	"advise/model"
	"advise/targets/hold"
)

// Locks are where the threads of the workers slept while the server was full: how many of them at a time, on
// average over the window.
type Locks struct {
	Samples int `json:"samples"`
	// Threads are all of the workers; see hold.LockWaits for the rest.
	Threads      float64 `json:"threads"`
	FileLock     float64 `json:"file_lock"`
	Semaphore    float64 `json:"semaphore"`
	SharedFutex  float64 `json:"shared_futex"`
	PrivateFutex float64 `json:"private_futex"`
	// Idle is how many slept in what several processes share before there was anything to do: those that
	// wait for their turn to accept.
	Idle int `json:"idle"`
}

// betweenProcesses is how many slept in a lock that several processes share; the rest is not between workers.
func betweenProcesses(w hold.LockWaits) int { return w.FileLocks + w.Semaphores + w.SharedFutexes }

// lockInterval is between two looks at what the threads sleep in: each is some reads of /proc for each of them.
const lockInterval = 250 * time.Millisecond

// A lockedInstance is one whose threads can be seen asleep.
type lockedInstance interface {
	Locks(workers []hold.Process) hold.LockWaits
}

func (started) Locks(workers []hold.Process) hold.LockWaits { return hold.Locks(workers) }

// A lockWatch looks at the workers' threads while the server is full. What it can't see it leaves out.
type lockWatch struct {
	look func([]hold.Process) hold.LockWaits
	idle int
	stop chan struct{}
	done chan hold.LockWaits
	n    int
}

// watchLocks has a first look at the server, which has nothing to do yet; nil where nothing can be seen.
func watchLocks(server instance) *lockWatch {
	seen, ok := server.(lockedInstance)
	if !ok {
		return nil
	}
	w := &lockWatch{look: seen.Locks}
	if workers, err := server.WorkerProcesses(); err == nil {
		w.idle = betweenProcesses(w.look(workers))
	}
	return w
}

// start is called when the window begins, with the workers that there are then.
func (w *lockWatch) start(workers []hold.Process) {
	if w == nil || w.stop != nil || len(workers) == 0 {
		return
	}
	w.stop, w.done = make(chan struct{}), make(chan hold.LockWaits, 1)
	go func() {
		tick := time.NewTicker(lockInterval)
		defer tick.Stop()
		var sum hold.LockWaits
		for {
			select {
			case <-w.stop:
				w.done <- sum
				return
			case <-tick.C:
				sum.Add(w.look(workers))
				w.n++
			}
		}
	}()
}

// end is the mean of what was seen; nil where nothing was, and when it is called again.
func (w *lockWatch) end() *Locks {
	if w == nil || w.stop == nil {
		return nil
	}
	close(w.stop)
	sum := <-w.done
	w.stop = nil
	if w.n == 0 || sum.Threads == 0 {
		return nil
	}
	mean := func(n int) float64 { return float64(n) / float64(w.n) }
	return &Locks{
		Samples: w.n, Threads: mean(sum.Threads), FileLock: mean(sum.FileLocks), Semaphore: mean(sum.Semaphores),
		SharedFutex: mean(sum.SharedFutexes), PrivateFutex: mean(sum.PrivateFutexes), Idle: w.idle,
	}
}

// CaveatLock marks a server whose throughput levels off, with idle cores, because its workers wait for each
// other in a lock. Figures: workers (the most that were measured), asleep (of them, in the lock at a time),
// serial_share (of the time that a request takes outside of the wait for the lock), serial_seconds,
// throughput_rps (that no number of workers exceeds), cores_used_share.
const CaveatLock = "lock"

const (
	// asleepShare of the slots sleep in a lock at the least where it is what throughput levels off for: more
	// than those that slept in it before there was anything to do.
	asleepShare = 0.25
	// levelCounts is how much larger the largest count is than one that does as well, within the tolerance.
	levelCounts = 1.25
	// usedWithLock is the share of the cores that is used at the most: beyond that they may be what levels it off.
	usedWithLock = 0.8
)

// lock is the caveat on workers that wait for each other.
//
// With N slots (workers x threads) that take X requests per second together, of which L sleep in the lock at a
// time, one request holds the lock for no more than 1/X and takes (N - L)/X besides waiting for it: the
// serialised share is 1/(N - L). Where the universal scalability law is accepted it is that of the law, as in
// the reading of the curve.
//
// # References
//
// Little, A proof for the queuing formula L = lambda W, Operations Research 9, 1961.
func (r *Record) lock(a model.Advice) *model.Caveat {
	top, ok := levelledOff(a, r.Plan.Settings.Tolerance)
	if !ok {
		return nil
	}
	seen, used, n := Locks{}, 0.0, 0.0
	for _, t := range r.Used() {
		p := t.saturation()
		if t.Shape.Workers != top.Workers || t.Outcome != OK || p == nil {
			continue
		}
		if t.Server.Locks == nil || p.SaturatedBy != model.SaturatedSlots { // an idle worker may sleep anywhere
			return nil
		}
		seen.add(t.Server.Locks)
		used += coresUsed(r.Plan, t)
		n++
	}
	asleep, where := seen.most()
	asleep, used = asleep/n, used/n
	threads := max(r.Plan.Settings.Threads, 1)
	slots := float64(top.Workers * threads)
	if !(used > 0) || used > usedWithLock || asleep-float64(seen.Idle)/n < asleepShare*slots {
		return nil
	}
	most := 0.0
	for _, p := range a.Points {
		most = math.Max(most, p.Throughput)
	}
	share := 1 / math.Max(slots-asleep, 1)
	if law := a.Fit.Parameters["contention"]; a.Fit.Accepted && a.Fit.Model == model.ModelUSL && law > 0 {
		share = math.Min(law, 1)
	}
	return &model.Caveat{
		Code: CaveatLock,
		Message: fmt.Sprintf("Throughput levels off while %.0f %% of the cores is idle, since workers wait for each other: of %s, %.1f sleep in %s at a time. %.0f %% of a request is serialised, %.3g ms: no number of workers answers more than about %.3g requests per second. Only holding it for less time helps.",
			100*(1-used), slotWords(top.Workers, threads), asleep, where, 100*share, 1000/most, most),
		Figures: map[string]float64{
			"workers": float64(top.Workers), "slots": slots, "asleep": asleep, "serial_share": share, "serial_seconds": 1 / most, "throughput_rps": most, "cores_used_share": used,
		},
	}
}

func slotWords(workers, threads int) string {
	if threads == 1 {
		return fmt.Sprintf("%d workers", workers)
	}
	return fmt.Sprintf("%d workers with %d threads each", workers, threads)
}

// levelledOff is the largest count that works, where one that is smaller by far does as well.
func levelledOff(a model.Advice, tolerance float64) (top model.Point, ok bool) {
	if !a.Made {
		return top, false
	}
	for _, p := range a.Points {
		if p.Throughput > 0 && p.Feasible && !p.GeneratorBound && p.Workers > top.Workers {
			top = p
		}
	}
	for _, p := range a.Points {
		if p.Throughput > 0 && float64(top.Workers) >= levelCounts*float64(p.Workers) && top.Throughput <= (1+tolerance)*p.Throughput {
			return top, true
		}
	}
	return top, false
}

func (l *Locks) add(other *Locks) {
	l.FileLock += other.FileLock
	l.Semaphore += other.Semaphore
	l.SharedFutex += other.SharedFutex
	l.Idle += other.Idle
}

// most is what most sleep in of what several processes share, and its name.
func (l *Locks) most() (asleep float64, where string) {
	asleep, where = l.FileLock, "a file lock (flock, fcntl)"
	if l.Semaphore > asleep {
		asleep, where = l.Semaphore, "a semaphore (semop)"
	}
	if l.SharedFutex > asleep {
		asleep, where = l.SharedFutex, "a mutex or semaphore between processes (futex)"
	}
	return asleep, where
}
