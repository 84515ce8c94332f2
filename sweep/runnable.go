package sweep

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"advise/targets/hold"
)

// runOrWaited is how long the threads of these processes have run, and waited for a core to run on, since
// they began. It is not ok where the kernel does not tell, or there are none.
//
// What it grows by in a second is how many could have run at a time: those that sleep, for an answer or for
// a lock, are not among them.
func runOrWaited(proc string, processes []hold.Process) (sum time.Duration, ok bool) {
	for _, p := range processes {
		tasks, err := filepath.Glob(filepath.Join(proc, strconv.Itoa(p.PID), "task", "*", "schedstat"))
		if err != nil {
			return 0, false
		}
		for _, task := range tasks {
			text, err := os.ReadFile(task)
			if err != nil { // a thread that has ended meanwhile
				continue
			}
			spent, told := parseSchedstat(text)
			if !told {
				return 0, false
			}
			sum, ok = sum+spent, true
		}
	}
	return sum, ok
}

// parseSchedstat reads the first two of a thread's three figures: nanoseconds on a core, and in a queue for
// one. A kernel without statistics has zeros.
//
// # References
//
// Linux, Documentation/scheduler/sched-stats.rst, /proc/<pid>/schedstat.
func parseSchedstat(text []byte) (spent time.Duration, ok bool) {
	fields := bytes.Fields(text)
	if len(fields) < 2 {
		return 0, false
	}
	for _, f := range fields[:2] {
		n, err := strconv.ParseInt(string(f), 10, 62)
		if err != nil || n < 0 {
			return 0, false
		}
		spent += time.Duration(n)
	}
	return spent, spent >= 0
}

// couldRun is what runOrWaited says at a moment.
type couldRun struct {
	spent time.Duration
	ok    bool
}

func readCouldRun(workers []hold.Process) (c couldRun) {
	c.spent, c.ok = runOrWaited("/proc", workers)
	return c
}

// runnable is how many could run at a time, on average; nil where that is not known.
func (m *meter) runnable() *float64 {
	elapsed := m.after.at.Sub(m.before.at)
	if !m.couldRun[0].ok || !m.couldRun[1].ok || elapsed <= 0 || m.couldRun[1].spent <= m.couldRun[0].spent {
		return nil
	}
	n := (m.couldRun[1].spent - m.couldRun[0].spent).Seconds() / elapsed.Seconds()
	return &n
}

// runnable is how many of the most workers that were measured could run at a time, on average over their
// restarts; zeros where that is not known.
func (r *Record) runnable() (runnable float64, of int) {
	n := 0
	for _, t := range r.Used() {
		if t.Outcome != OK || t.Server.RunnableThreads == nil || t.saturation() == nil || t.Shape.Workers < of {
			continue
		}
		if t.Shape.Workers > of {
			of, n, runnable = t.Shape.Workers, 0, 0
		}
		n++
		runnable += (*t.Server.RunnableThreads - runnable) / float64(n)
	}
	return runnable, of
}
