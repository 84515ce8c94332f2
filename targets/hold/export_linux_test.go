package hold

// Guard is the process that holds the tree, and its name in cgroups and environments.
func (t *Tree) Guard() (pid int, name string) { return t.guard, t.name }

// First is the process between the guard and the server.
func (t *Tree) First() int { return t.first.PID }

// Identity names a process.
var Identity = identity

// Dead is whether the guard of a name has ended.
func Dead(name string) bool { return dead(name) }

// Folders are the cgroups made for the tree.
func (t *Tree) Folders() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.groups.One != nil:
		return t.groups.One.folders()
	case t.groups.Two != nil:
		return []string{t.groups.Two.Server}
	}
	return nil
}

var (
	ParseStat = parseStat
	Stalled   = stalled

	Connections = connections
)

const Prefix = prefix
