package targets

import (
	"slices"

	"advise/targets/hold"
)

// firstChildren are the children that count, of the first process, from the top, that has any: what
// comes before the server, such as a shell or `uv run`, has none that do.
func firstChildren(tree []hold.Process, counts func(child, parent hold.Process) bool) []hold.Process {
	for _, master := range topDown(tree) {
		var workers []hold.Process
		for _, p := range tree {
			if p.Parent == master.PID && counts(p, master) {
				workers = append(workers, p)
			}
		}
		if len(workers) > 0 {
			return workers
		}
	}
	return nil
}

// sameName says that a child is forked and not executed: it has its parent's name.
func sameName(child, parent hold.Process) bool { return child.Command == parent.Command }

// lonely is the one process that serves by itself: what comes before it has it as its only child.
func lonely(tree []hold.Process) []hold.Process {
	var found []hold.Process
	for next := topDown(tree); len(next) > 0; {
		found = next[:1]
		parent := next[0].PID
		next = slices.DeleteFunc(slices.Clone(tree), func(p hold.Process) bool { return p.Parent != parent })
		if len(next) != 1 {
			break
		}
	}
	return found
}

// topDown orders a tree so that parents come before their children.
func topDown(tree []hold.Process) []hold.Process {
	known := map[int]bool{}
	for _, p := range tree {
		known[p.PID] = true
	}
	var ordered []hold.Process
	for _, p := range tree {
		if !known[p.Parent] {
			ordered = append(ordered, p)
		}
	}
	for i := 0; i < len(ordered); i++ {
		for _, p := range tree {
			if p.Parent == ordered[i].PID {
				ordered = append(ordered, p)
			}
		}
	}
	return ordered
}
