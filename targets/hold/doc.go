// Package hold keeps a server's processes inside limits and makes sure that none of them outlives
// advise.
//
// # The guard and the first process
//
// Start does not start the server. It runs `advise guard`, the guard, a process in a session of its own. That
// runs `advise guard` once more, the first process, and the first process starts the server:
//
//	advise -> guard -> first process -> server
//
// The guard makes the limits, takes orders and signals, and removes what it made. It reads the orders from
// its standard input; when that ends, for whatever reason, SIGKILL of advise included, it kills everything.
// It leaves no earlier than that is done: its exit is the proof that nothing is left.
//
// The first process waits for all that ends. Where the kernel allows it (with CAP_SYS_ADMIN, and a /proc that
// may be mounted) it is process 1 of a PID namespace: then its end is that of the whole tree, by the kernel,
// however the tree forks. Elsewhere it is the subreaper (PR_SET_CHILD_SUBREAPER, prctl(2)), as the guard is
// too: a process that forks twice, starts a session or closes everything is still a descendant of these
// two. So "the tree" means the descendants of the guard, less the first process, and wait(2) answering
// ECHILD means that it is empty. In a namespace a process calls itself by another number than others do:
// Tree.Numbers tells which.
//
// # Who is killed, and who cleans up
//
// Any one of advise, the guard and the first process, left alone, ends and removes everything: advise notices
// that the guard has gone; the guard, that its orders or the first process have; the first process, that
// its orders have, or the pipe whose other end advise alone holds. The end of a parent wakes (SIGCONT) who
// was stopped. The names of both have no "advise" in them, since that is what a tired person kills.
//
// When all three are killed in the same instant, the namespace ends the processes, and the next Start on the
// machine removes the rest: cgroups and the folders of NewFolder, which carry the identity of who made
// them (PID namespace, number and start time, so that a number used again is never taken for the old one).
// Without a namespace it ends the processes too: those in such a cgroup, and those whose environment names
// the dead guard (ADVISE_GUARD) and that are still in its session. The name alone proves nothing, as it
// may have been saved and set again.
//
// # The limits
//
// The server has its limits from its first instruction: it is cloned into its cgroup v2
// (CLONE_INTO_CGROUP), or forked from a thread that has moved into the cgroups v1 and taken on the
// affinity. The guard itself stays outside and is not charged. Whole cores are pinned, by affinity
// always and by cpuset where there is one; a fraction is a quota over the pinned cores. Swap is off
// inside a memory limit.
//
// Choose tries, in this order, and takes the one with the fewest shortfalls:
//
//   - cgroup2 in a transient scope of systemd's, of the system's for root and of the user's
//     otherwise, delegated to the guard;
//   - cgroup2 in the cgroup that advise is in or one above it. Where a cgroup is handed on to advise
//     with advise in it, as in a container, advise moves its own processes aside for as long as a
//     tree is held, since a cgroup cannot both have processes and limit those below;
//   - cgroup1, each controller below advise's own, so that limits around advise stay in force;
//   - affinity, which neither limits memory nor knows fractions of a core;
//   - none.
//
// # What can still go wrong
//
//   - Work that a server hands to a process that is not its descendant (systemd, a container
//     engine, cron) is neither limited nor ended.
//   - A process in an uninterruptible wait dies when the kernel lets it. Stop gives up after ten
//     seconds and names it; the guard goes on trying.
//   - Without a cgroup a server can undo its affinity, and CPU time of processes that nobody waited for is
//     lost.
//   - With neither a cgroup nor a namespace, processes that fork faster than /proc can be read can keep ahead
//     of being killed. With guard and first process killed at once, those that cleared their environment
//     are not found again; with advise killed too, nor are those that began a session of their own.
//   - What a server says of itself has the numbers of its namespace: in its log, its status, its PID files.
//   - Files named in Spec.Remove that exist before Start are left if advise is killed before the
//     guard has read the Spec: those of NewFolder until the next Start.
//   - Outside Linux there is no subreaper: a daemon that leaves its parent and its process group is
//     lost from sight. Nothing is limited there.
package hold
