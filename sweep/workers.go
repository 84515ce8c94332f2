package sweep

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"advise/model"
	"advise/targets/hold"
)

// A Worker is one of the server's in the phase of full load. A nil could not be seen.
type Worker struct {
	// RequestsShare is of the requests of all workers, with those of the warm-up, where the server tells.
	RequestsShare *float64 `json:"requests_share"`
	// CPUShare is of the CPU time of all workers in the window.
	CPUShare *float64 `json:"cpu_share"`
	// PSSBytes is its proportional set size after the load, with what of it is swapped out.
	PSSBytes *int64 `json:"pss_bytes"`

	pid int
}

// Share is of the requests where the server tells, of the CPU time where not.
func (w Worker) Share() *float64 { return cmp.Or(w.RequestsShare, w.CPUShare) }

// workersBetween compares what the workers had done before and after, the busiest first. It is nil
// when one of them ended in between: what it had done is lost.
func workersBetween(before, after []hold.Process) []Worker {
	used := map[int]uint64{}
	for _, p := range after {
		used[p.PID] = uint64(p.CPU)
	}
	first := map[int]uint64{}
	for _, p := range before {
		first[p.PID] = uint64(p.CPU)
	}
	shares, ok := sharesOf(first, used)
	if !ok {
		return nil
	}
	workers := make([]Worker, 0, len(after))
	for _, p := range after {
		share := shares[p.PID]
		workers = append(workers, Worker{CPUShare: &share, pid: p.PID})
	}
	slices.SortStableFunc(workers, busiestFirst)
	return workers
}

func busiestFirst(a, b Worker) int {
	x, y := a.Share(), b.Share()
	if x == nil || y == nil {
		return 0
	}
	return cmp.Compare(*y, *x)
}

// sharesOf is each one's part of what was added to the counters. It is not ok when a counter is gone or
// has begun anew, or nothing was added.
func sharesOf(before, after map[int]uint64) (shares map[int]float64, ok bool) {
	var sum uint64
	for pid, n := range before {
		if later, lives := after[pid]; !lives || later < n {
			return nil, false
		}
	}
	for pid, n := range after {
		sum += n - before[pid]
	}
	if sum == 0 {
		return nil, false
	}
	shares = map[int]float64{}
	for pid, n := range after {
		shares[pid] = float64(n-before[pid]) / float64(sum)
	}
	return shares, true
}

// requestsSeen of those that were answered must be in the server's own count: Puma's is up to five
// seconds old.
const requestsSeen = 0.9

// count adds the shares of the requests to the workers, when the server has counted nearly all.
func (s *Server) count(before, after map[int]uint64, answered uint64) {
	shares, ok := sharesOf(before, after)
	var seen uint64
	for pid, n := range after {
		seen += n - before[pid]
	}
	if !ok || float64(seen) < requestsSeen*float64(answered) {
		return
	}
	for i := range s.PerWorker {
		if share, ok := shares[s.PerWorker[i].pid]; ok {
			s.PerWorker[i].RequestsShare = &share
		}
	}
	slices.SortStableFunc(s.PerWorker, busiestFirst)
}

// weigh adds the memory of each worker.
func (s *Server) weigh(m hold.Memory) {
	for i := range s.PerWorker {
		if bytes, ok := m.ByProcess[s.PerWorker[i].pid]; ok {
			s.PerWorker[i].PSSBytes = &bytes
		}
	}
}

// requestsOf asks a server that is not being measured for what its workers have answered.
func requestsOf(ctx context.Context, server instance, kind string) map[int]uint64 {
	if kind != PhaseSaturation {
		return nil
	}
	return server.Requests(ctx)
}

// CaveatUnevenWorkers marks restarts in which one worker did far more than its share while the cores
// were not used up. Figures: workers, share (of the busiest in the worst restart), restarts (that were
// uneven), restarts_at_count, cores_used_share, busiest_usual and busiest_seldom (by chance, in even shares).
const CaveatUnevenWorkers = "uneven_workers"

// unevenChance is how seldom a spread that is even would look as uneven by chance, in a whole sweep.
const unevenChance = 0.001

// usedUp is the share of the cores from which on it costs nothing when one worker does more: another
// could not do more either.
const usedUp = 0.95

// uneven is the caveat on workers between which requests were spread unevenly, and with a price.
func (r *Record) uneven() *model.Caveat {
	restarts := slices.DeleteFunc(r.Used(), func(t Trial) bool { return t.Outcome != OK || t.saturation() == nil })
	at, unevenAt := map[int]int{}, map[int]int{}
	var worst *Trial
	for i, t := range restarts {
		at[t.Shape.Workers]++
		if share, _ := r.unevenShare(t, unevenChance/float64(len(restarts))); share == 0 {
			continue
		}
		unevenAt[t.Shape.Workers]++
		if worst == nil || t.excess() > worst.excess() {
			worst = &restarts[i]
		}
	}
	if worst == nil {
		return nil
	}
	n, what := worst.Shape.Workers, "CPU time"
	if worst.Server.PerWorker[0].RequestsShare != nil {
		what = "requests"
	}
	share, used := r.unevenShare(*worst, 1)
	connections := worst.saturation().Connections
	usual, seldom := model.BusiestByChance(connections, n)
	return &model.Caveat{
		Code: CaveatUnevenWorkers,
		Message: fmt.Sprintf("One of %d workers took %.0f %% of the %s while %.0f %% of the cores were used, in %d of %d restarts with %d. Kept connections stay with the worker that took them: more workers gain little until connections spread evenly.%s By chance alone, the busiest of %d workers has %.1f times its share of %d connections, and in one restart of 20 at least %.1f times: it is full when all together do %.0f %% of what they can.",
			n, 100*share, what, 100*used, unevenAt[n], at[n], n, worst.Reopened.words(worst), n, usual, connections, seldom, 100/seldom),
		Figures: map[string]float64{
			"workers": float64(n), "share": share, "restarts": float64(unevenAt[n]), "restarts_at_count": float64(at[n]), "cores_used_share": used,
			"busiest_usual": usual, "busiest_seldom": seldom,
		},
	}
}

// unevenShare is what the busiest worker took of a restart in which it was far too much, at first where connections
// were opened anew, and how much of the cores was used then. It is 0 where they were spread evenly.
func (r *Record) unevenShare(t Trial, chance float64) (share, used float64) {
	if t.Reopened != nil {
		return t.Reopened.Share, t.Reopened.CoresUsedShare
	}
	if used = coresUsed(r.Plan, t); used == 0 || used >= usedUp || !t.uneven(chance) {
		return 0, 0
	}
	return *t.Server.PerWorker[0].Share(), used
}

// words say what came of new connections; empty where none were opened.
func (r *Reopened) words(t *Trial) string {
	switch {
	case r == nil:
		return ""
	case r.Even:
		return fmt.Sprintf(" Opened anew they did, and got %.0f requests per second instead of %.0f: that is what counts here.", t.saturation().ThroughputRPS, r.ThroughputRPS)
	}
	return " Opened anew they did not: it is how this server spreads them."
}

// coresUsed is how much of the server's cores its tree used, which is its throughput as a share of what
// they could answer, C/c; 0 where it is not known.
func coresUsed(plan Plan, t Trial) float64 {
	p := t.saturation()
	if cores := plan.Environment.CoresServer; cores > 0 && p.WindowSeconds > 0 {
		return t.Server.CPUSeconds / (cores * p.WindowSeconds)
	}
	return 0
}

// tick is what the kernel counts the CPU time of a process in.
const tick = 10 * time.Millisecond

// uneven says whether the busiest worker did far too much, and more than requests that fall to workers
// at random would make of it with the chance.
func (t *Trial) uneven(chance float64) bool {
	if t.excess() <= 1 {
		return false
	}
	p, busiest := t.saturation(), t.Server.PerWorker[0]
	pieces := float64(p.OK + p.Failed)
	if busiest.RequestsShare == nil {
		pieces = min(pieces, t.Server.CPUSeconds/tick.Seconds())
	}
	return model.UnevenByChance(len(t.Server.PerWorker), pieces, *busiest.Share()) < chance
}

// excess is the share of the busiest worker in units of what is far too much; 0 where it is not known.
func (t *Trial) excess() float64 {
	if t.Reopened != nil {
		return t.Reopened.Share / model.FarTooMuch(t.Shape.Workers)
	}
	workers := t.Server.PerWorker
	if len(workers) < 2 || workers[0].Share() == nil {
		return 0
	}
	return *workers[0].Share() / model.FarTooMuch(len(workers))
}
