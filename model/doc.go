// Package model turns what restarts of a server at several worker counts showed into advice:
// how many workers to run, how sure that is, and why. It also says which count to measure next.
//
// Everything here is a pure function of its arguments: no files, no network, no clock, and the
// only randomness comes from the caller's seed. Rates are in requests per second, times in
// seconds, memory in bytes. No result is ever NaN or infinite.
//
// Throughput varies between restarts by a share of itself, so restarts are compared on the
// logarithmic scale, where that share is the same at every count and one standard deviation,
// pooled over all counts, serves them all.
//
// # References
//
//   - Gunther, Guerrilla Capacity Planning, 2007, chapters 4 to 6 (the universal scalability law)
//   - Lazowska, Zahorjan, Graham, Sevcik, Quantitative System Performance, 1984, chapters 5 and 6
//     (asymptotic bounds, closed networks)
//   - Robertson, Wright, Dykstra, Order Restricted Statistical Inference, 1988 (isotonic regression)
//   - Draper, Smith, Applied Regression Analysis, 3rd edition, 1998, chapter 2 (lack of fit)
package model
