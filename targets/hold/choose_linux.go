package hold

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

func choose(want Method, l Limits) (Limits, []string, error) {
	if want != None && len(l.CPUs) > 0 {
		if err := pinnable(l.CPUs); err != nil {
			return Limits{}, nil, err
		}
	}
	l.Method = want
	switch want {
	case None:
		kept, lacks := without(l, "--limits none was asked for")
		return kept, lacks, nil
	case Affinity:
		kept, lacks := without(l, "affinity only pins")
		return kept, lacks, nil
	case Cgroup1, Cgroup2:
		lacks, err := probe(l)
		if err != nil {
			return Limits{}, nil, fmt.Errorf("hold the server by %s: %w; the way out: --limits affinity", want, err)
		}
		return l, lacks, nil
	}
	return best(l)
}

// best tries the methods for all that is asked, then for less, and takes the one with the fewest
// shortfalls; among equals cgroup v2.
func best(l Limits) (Limits, []string, error) {
	var whole error // why not all of it
	for _, less := range relaxed(l) {
		var found Limits
		var foundLacks []string
		var faults []error
		for _, method := range []Method{Cgroup2, Cgroup1} {
			less.Method = method
			lacks, err := probe(less)
			if err != nil {
				faults = append(faults, fmt.Errorf("%s: %w", method, err))
				continue
			}
			if found.Method == "" || len(lacks) < len(foundLacks) {
				found, foundLacks = less, lacks
			}
		}
		if whole == nil {
			whole = join(faults)
		}
		if found.Method != "" {
			return found, append(dropped(l, found, whole), foundLacks...), nil
		}
	}
	l.Method = Affinity
	if len(l.CPUs) == 0 {
		l.Method = None
	}
	kept, lacks := without(l, fmt.Sprint(whole))
	return kept, lacks, nil
}

// relaxed are the limits, then the same with one of quota and memory given up.
func relaxed(l Limits) []Limits {
	list := []Limits{l}
	if l.Quota > 0 && l.Memory > 0 {
		noQuota, noMemory := l, l
		noQuota.Quota, noMemory.Memory = 0, 0
		list = append(list, noQuota, noMemory)
	}
	return list
}

// without is what is left of limits when there is no cgroup.
func without(l Limits, why string) (Limits, []string) {
	kept := Limits{Method: l.Method}
	if l.Method == Affinity {
		kept.CPUs = l.CPUs
	}
	lacks := dropped(l, kept, errors.New(why))
	if l.Method == Affinity && len(l.CPUs) > 0 {
		lacks = append(lacks, lackCPUSet)
	}
	return kept, lacks
}

// dropped says which of the asked limits are not among the kept.
func dropped(asked, kept Limits, why error) []string {
	var lacks []string
	if asked.Memory > 0 && kept.Memory == 0 {
		lacks = append(lacks, fmt.Sprintf("memory is only observed, not limited: %v", why))
	}
	if asked.Quota > 0 && kept.Quota == 0 {
		lacks = append(lacks, fmt.Sprintf("the share of %g cores is not held, only whole cores are: %v", asked.Quota, why))
	}
	if len(asked.CPUs) > 0 && len(kept.CPUs) == 0 {
		lacks = append(lacks, fmt.Sprintf("the server is not pinned to cores: %v", why))
	}
	return lacks
}

// join is errors.Join on one line.
func join(faults []error) error {
	var all error
	for _, f := range faults {
		if all == nil {
			all = f
		} else {
			all = fmt.Errorf("%w; %w", all, f)
		}
	}
	return all
}

var probes atomic.Int64

// probe makes the cgroups and removes them.
func probe(l Limits) ([]string, error) {
	name := fmt.Sprintf("%s+probe%d", identity(os.Getpid()), probes.Add(1))
	if l.Method == Cgroup1 {
		g, lacks, err := makeCgroup1(name, l)
		if err != nil {
			return nil, err
		}
		return lacks, g.remove()
	}
	return probeCgroup2(name, l)
}

// pinnable tries the affinity on a thread of its own. It is put back even so: the runtime keeps the
// main thread when a goroutine locked to it ends, and what a process shows is that thread's.
func pinnable(cpus []int) error {
	tried := make(chan error)
	go func() {
		runtime.LockOSThread()
		var before unix.CPUSet
		err := unix.SchedGetaffinity(0, &before)
		if err == nil {
			err = errors.Join(pin(cpus), unix.SchedSetaffinity(0, &before))
		}
		tried <- err
	}()
	return <-tried
}
