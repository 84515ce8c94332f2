package reports

import "fmt"

// leastWords say that the fewest workers to recommend decided the count.
func leastWords(r *Result) string {
	if r.Settings.LeastGiven {
		return fmt.Sprintf("--least: fewer would do for throughput, and %d are asked for", r.Recommendation.Workers)
	}
	return "the doubt that one worker is: it would do for throughput, and a single slow request would stop it"
}

// leastInHeadline is the same in a few words.
func leastInHeadline(r *Result) string {
	if r.Settings.LeastGiven {
		return "fewer would do, and so many are asked for"
	}
	return "1 would do, and a single slow request would stop it"
}
