// Package demo is a pre-fork HTTP server whose physics are known: what one request costs in CPU time,
// in waiting and in memory is what was asked for. It is what advise measures where there is no
// application yet, and the ground truth of its tests.
//
// A master opens the listening socket and starts the workers, which are processes of their own. Each
// serves one connection and one request at a time, as gunicorn's sync workers do. With CPU time c and
// wait w, n workers on C cores answer
//
//	X(n) = min(n / (c + w), C / c)
//
// requests per second, less what contention for the cores takes near the bend at n = C (c + w) / c.
//
// Signals to the master, as gunicorn has them: TTIN and TTOU add and take away a worker, TERM and INT
// let every worker finish what it has in hand, QUIT ends all at once. Workers end when their master
// does, however it ended.
package demo
