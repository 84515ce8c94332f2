// Package hold keeps a server's processes inside limits and makes sure that none of them outlives
// advise.
//
// # The guard
//
// Start does not start the server. It runs `advise guard`, a process in a session of its own, and
// that starts the server. The guard reads orders from its standard input; when that ends, for
// whatever reason, SIGKILL of advise included, it kills everything, removes what it made and exits.
// It leaves no earlier: its exit is the proof that nothing is left.
//
// On Linux the guard is the subreaper (PR_SET_CHILD_SUBREAPER, prctl(2)) of all that the server
// forks. A process that forks twice, starts a session or closes everything is still a descendant of
// the guard, so "the tree" means the guard's descendants with every method, and wait(2) answering
// ECHILD means that the tree is empty.
//
// A guard that is killed itself takes the started process along by the parent-death signal; advise
// notices, and kills the rest by cgroup and by the ADVISE_GUARD entry that the guard put into their
// environment. When both are killed at the same moment, that is left to the next Start on the
// machine. Guards are named by PID namespace, number and start time, so that a number used again is
// never taken for the old one.
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
//   - Without a cgroup, processes that fork faster than /proc can be read can keep ahead of being
//     killed; a server can undo its affinity; CPU time of processes that nobody waited for is lost;
//     and with the guard killed too, workers that cleared their environment are not found again.
//   - Files named in Spec.Remove that exist before Start are left if advise is killed before the
//     guard has read the Spec.
//   - Outside Linux there is no subreaper: a daemon that leaves its parent and its process group is
//     lost from sight. Nothing is limited there.
package hold
