package cmd_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"advise/reports"
	"advise/sweep"
)

// build makes the program as users have it.
func build(b *testing.B) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "advise")
	c := exec.Command("go", "build", "-trimpath", "-o", path, "advise/cmd/advise")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		b.Fatalf("build advise: %v\n%s", err, out)
	}
	return path
}

// BenchmarkStartup is how long a dry run takes, in milliseconds: the median and the slowest of fifty.
func BenchmarkStartup(b *testing.B) {
	program, dir := build(b), b.TempDir()
	var took []time.Duration
	for b.Loop() {
		for range 50 {
			c := exec.Command(program, "--dry-run", "--cores", "1", "--mem", "512M")
			c.Dir = dir
			began := time.Now()
			if out, err := c.CombinedOutput(); err != nil {
				b.Fatalf("%v\n%s", err, out)
			}
			took = append(took, time.Since(began))
		}
	}
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2].Seconds()*1000, "ms/median")
	b.ReportMetric(took[len(took)-1].Seconds()*1000, "ms/slowest")
}

// BenchmarkMillion is the peak memory of advise and its generator in a sweep of a million requests.
func BenchmarkMillion(b *testing.B) {
	program := build(b)
	for b.Loop() {
		requests, own, generator := uint64(0), int64(0), int64(0)
		for seed := 1; requests < 1_000_000; seed++ {
			dir := filepath.Join(b.TempDir(), strconv.Itoa(seed))
			c := exec.Command(program, "--cores", "1", "--time", "3m", "--seed", strconv.Itoa(seed), "--workers", "1,2,3,4,5,6,7,8",
				"--quiet", "--out", dir, "--", program, "demo", "--cpu", "1us", "--wait", "0", "--memory", "1M")
			if out, err := c.CombinedOutput(); exitCode(err) != 0 && exitCode(err) != 3 {
				b.Fatalf("%v\n%s", err, out)
			}
			own = max(own, c.ProcessState.SysUsage().(*syscall.Rusage).Maxrss<<10)
			r, err := sweep.Open(dir)
			if err != nil {
				b.Fatal(err)
			}
			for _, t := range r.Trials {
				requests += t.Server.RequestsServed
				generator = max(generator, t.Generator.MaxRSSBytes)
			}
		}
		b.ReportMetric(float64(requests), "requests")
		b.ReportMetric(float64(own)/1e6, "MB/advise")
		b.ReportMetric(float64(generator)/1e6, "MB/generator")
	}
}

// BenchmarkAccuracy compares what ten sweeps of a minute of the demo server recommend, each with a seed
// of its own, with the smallest count that reaches 95 % of the best on a full grid: the counts within 1 of
// each other, and nine of ten intervals around the grid's answer.
func BenchmarkAccuracy(b *testing.B) {
	const sweeps, grids = 10, 2
	counts := []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 16}
	program := build(b)
	demo := []string{"--", program, "demo", "--cpu", "2ms", "--wait", "8ms"}
	for b.Loop() {
		throughput := map[int][]float64{}
		var all []string
		for _, n := range counts {
			all = append(all, strconv.Itoa(n))
		}
		for g := range grids {
			dir := filepath.Join(b.TempDir(), fmt.Sprintf("grid-%d", g))
			recommend(b, program, append([]string{"--seed", strconv.Itoa(100 + g), "--workers", strings.Join(all, ","), "--time", "100s", "--out", dir}, demo...)...)
			r, err := sweep.Open(dir)
			if err != nil {
				b.Fatal(err)
			}
			for _, o := range r.Observations() {
				if o.Throughput > 0 {
					throughput[o.Workers] = append(throughput[o.Workers], o.Throughput)
				}
			}
		}
		best, mean := 0.0, map[int]float64{}
		for n, list := range throughput {
			for _, x := range list {
				mean[n] += x / float64(len(list))
			}
			best = max(best, mean[n])
		}
		truth := 0
		for _, n := range slices.Backward(counts) {
			b.Logf("grid: %2d workers: %6.1f/s, %5.1f %% of the best, %d restarts", n, mean[n], 100*mean[n]/best, len(throughput[n]))
			if mean[n] >= 0.95*best {
				truth = n
			}
		}
		least, most, covered, settled := math.MaxInt, 0, 0, 0
		for seed := 1; seed <= sweeps; seed++ {
			dir := filepath.Join(b.TempDir(), fmt.Sprintf("sweep-%d", seed))
			r, seconds := recommend(b, program, append([]string{"--seed", strconv.Itoa(seed), "--time", "60s", "--out", dir}, demo...)...)
			least, most = min(least, r.Workers), max(most, r.Workers)
			if r.Low <= truth && (truth <= r.High || !r.HighResolved) {
				covered++
			}
			if r.ended == reports.EndedSettled {
				settled++
			}
			b.Logf("sweep with seed %d: %d workers (%d-%d, grid %d), %s, %.0f s, %d restarts", seed, r.Workers, r.Low, r.High, truth, r.ended, seconds, r.restarts)
		}
		b.ReportMetric(float64(truth), "grid")
		b.ReportMetric(float64(least), "least")
		b.ReportMetric(float64(most), "most")
		b.ReportMetric(float64(covered), "intervals")
		b.ReportMetric(float64(settled), "settled")
	}
}

// An answer is what a sweep says, as far as the benchmark needs it.
type answer struct {
	reports.Recommendation
	ended    string
	restarts int
}

// recommend runs a sweep on one core; an answer without workers is no recommendation.
func recommend(b *testing.B, program string, args ...string) (a answer, seconds float64) {
	b.Helper()
	began := time.Now()
	c := exec.Command(program, append([]string{"--cores", "1", "--mem", "512M", "--json", "--quiet"}, args...)...)
	out, err := c.Output()
	if exitCode(err) != 0 && exitCode(err) != 3 {
		b.Fatalf("%v: %v", c.Args, err)
	}
	var result reports.Result
	if err := json.Unmarshal(out, &result); err != nil {
		b.Fatalf("%v: %v", c.Args, err)
	}
	if result.Recommendation != nil {
		a.Recommendation = *result.Recommendation
	}
	a.ended, a.restarts = result.Search.Ended, len(result.Trials)
	return a, time.Since(began).Seconds()
}
