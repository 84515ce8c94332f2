package generator

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A Verdict is the generator's judgement of itself.
type Verdict string

// The verdicts.
const (
	VerdictOK Verdict = "ok"
	// VerdictBound: the generator was, or may have been, the bottleneck, for a VerdictReason.
	VerdictBound Verdict = "generator_bound"
)

// A VerdictReason says why a phase is VerdictBound.
type VerdictReason string

// The reasons, the first that holds.
const (
	BoundByCPU     VerdictReason = "cpu"     // it used more than 80 % of its cores
	BoundLate      VerdictReason = "late"    // it handed out more than 5 % of the requests late
	BoundUnsent    VerdictReason = "unsent"  // for 5 % of them it had no port or file descriptor
	BoundByCeiling VerdictReason = "ceiling" // throughput came within 25 % of Attack.CeilingRPS
)

const (
	boundShare = 0.80
	// boundLate is the share of planned requests that may be handed out late.
	boundLate = 0.05
	// boundCeiling of what a server that does nothing gets is too close to it.
	boundCeiling = 0.75
	// LateAfter is the delay that makes an open-loop request late: what timers and the
	// scheduler of a busy core take stays below.
	LateAfter = 5 * time.Millisecond
)

// Slice is the length of one time slice of Summary.SliceOK: short, so that MSER-5 with its
// batches of five can tell after half a second whether a server has settled.
const Slice = 10 * time.Millisecond

// A Summary is what one attack measured. Counts are of the window unless they say Total, and
// Totals are of the whole attack with its warm-up.
//
// In a closed loop a request belongs to the window in which it ended. In an open loop it
// belongs to the window in which it was due, whenever it was answered.
type Summary struct {
	WarmupSeconds float64 `json:"warmup_seconds"`
	// WarmupLimited says that WarmupLimit ended the warm-up before WarmupRequests were answered.
	WarmupLimited bool `json:"warmup_limited"`
	// WarmupSettled says that throughput was steady when the warm-up ended. One of fixed length
	// (WarmupLimit = Warmup) is taken to be long enough.
	WarmupSettled bool `json:"warmup_settled"`
	// WindowSeconds is from Attack.Window to Attack.WindowLimit, less if the attack was interrupted or
	// given up, and 0 if that was in the warm-up.
	WindowSeconds float64 `json:"window_seconds"`
	// ThroughputRPS is the successes per second that ended inside the window. Where there are fewer than
	// Attack.WindowAnswers, it is that from the last one before the window to the last one inside.
	ThroughputRPS float64 `json:"throughput_rps"`

	// Steady is false — `not_steady` — when the window can't stand for the server, because throughput
	// changed over it, or because the warm-up had not settled and the window does not show that it
	// has since. TrendShare is that change from the window's beginning to its end, as a share of
	// its mean, along a straight line; TrendLow and TrendHigh are its interval. All are 0 when there
	// was too little to tell.
	Steady     bool    `json:"steady"`
	TrendShare float64 `json:"trend_share"`
	TrendLow   float64 `json:"trend_low_share"`
	TrendHigh  float64 `json:"trend_high_share"`

	// Planned is how many requests were due; in a closed loop, how many began.
	Planned uint64 `json:"planned"`
	// Sent is how many of them went out on a connection.
	Sent uint64 `json:"sent"`
	// Late is how many the generator handed out more than LateAfter after they were due.
	// Waiting for a free connection is not lateness: that is the server's, and in Latency.
	Late   uint64            `json:"late"`
	OK     uint64            `json:"ok"`
	Failed uint64            `json:"failed"`
	Errors map[string]uint64 `json:"errors"` // Failed by kind
	// Backlog is the number of requests that were due but unanswered when the window ended.
	Backlog uint64 `json:"backlog"`
	// Sustained is false if an open loop's backlog ran away: `rate not sustained`.
	Sustained bool `json:"sustained"`

	OKTotal     uint64 `json:"ok_total"`
	FailedTotal uint64 `json:"failed_total"`
	SentTotal   uint64 `json:"sent_total"`
	// Retried is how often a request was sent again because the server had closed the kept
	// connection it went out on, or died over it. Over the whole attack.
	Retried uint64 `json:"retried"`

	// PauseSeconds is the median time from the first byte of an answer to its last, over the whole attack;
	// 0: not asked for, or not seen, as over https.
	PauseSeconds float64 `json:"pause_seconds,omitempty"`

	// Latency is of the successes, from sending in a closed loop, from when they were due in
	// an open loop. Requests that timed out are in it with the time until they were given up,
	// which is a lower bound; other failures are not, since a refusal is fast.
	Latency Latency `json:"latency_seconds"`
	// Ordinary is that of the most frequent request's successes; nil where no request is.
	Ordinary *Latency `json:"ordinary_latency_seconds,omitempty"`
	// Histogram is the HDR histogram behind it: microseconds, three significant digits, V2
	// compressed, base64.
	Histogram string `json:"histogram"`

	// SliceOK counts the successes of each Slice of time since the attack began. The window
	// begins exactly with slice WindowSlice; see WindowOK.
	SliceOK     []uint64 `json:"slice_ok"`
	WindowSlice int      `json:"window_slice"`

	// CPUSeconds is the generator's CPU time inside the window, CPUShare its share of what its
	// cores had.
	CPUSeconds    float64       `json:"cpu_seconds"`
	CPUShare      float64       `json:"cpu_share"`
	Verdict       Verdict       `json:"verdict"`
	VerdictReason VerdictReason `json:"verdict_reason,omitempty"`
	// MaxRSSBytes is the generator's peak resident memory.
	MaxRSSBytes int64 `json:"max_rss_bytes"`

	// Interrupted says that the attack was cancelled, and the figures are of a part of it.
	Interrupted bool `json:"interrupted,omitempty"`
}

// WindowOK returns the successes of each whole slice of the window. Where the window is a multiple
// of Slice and has answers enough, their sum over WindowSeconds is ThroughputRPS.
func (s *Summary) WindowOK() []uint64 {
	from := min(s.WindowSlice, len(s.SliceOK))
	return s.SliceOK[from:min(from+s.wholeSlices(), len(s.SliceOK))]
}

func (s *Summary) wholeSlices() int {
	return int(time.Duration(math.Round(s.WindowSeconds*float64(time.Second))) / Slice)
}

// Latency holds quantiles and the mean in seconds; all are 0 without a request.
type Latency struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P95  float64 `json:"p95"`
	P99  float64 `json:"p99"`
	Max  float64 `json:"max"`
	Mean float64 `json:"mean"`
}

// Merge adds the summary of another generator that drove the same server at the same time:
// counts and throughput add up, quantiles come from both histograms, CPUShare is that of the
// busier one, and the trend is the mean of both, weighted by throughput. On an error s is
// unchanged.
func (s *Summary) Merge(other *Summary) error {
	ours, err := decodeHistogram(s.Histogram)
	if err != nil {
		return err
	}
	theirs, err := decodeHistogram(other.Histogram)
	if err != nil {
		return err
	}
	if dropped := ours.Merge(theirs); dropped > 0 {
		return fmt.Errorf("merge histograms: %d values are out of range", dropped)
	}
	encoded, err := encodeHistogram(ours)
	if err != nil {
		return err
	}
	s.Histogram, s.Latency, s.Ordinary = encoded, quantiles(ours), nil // there is no histogram of these

	s.WarmupSeconds = max(s.WarmupSeconds, other.WarmupSeconds)
	s.WindowSeconds = max(s.WindowSeconds, other.WindowSeconds)
	s.WarmupLimited = s.WarmupLimited || other.WarmupLimited
	s.WarmupSettled = s.WarmupSettled && other.WarmupSettled
	s.Steady = s.Steady && other.Steady
	if both := s.ThroughputRPS + other.ThroughputRPS; both > 0 {
		mean := func(ours, theirs float64) float64 {
			return (ours*s.ThroughputRPS + theirs*other.ThroughputRPS) / both
		}
		s.TrendShare = mean(s.TrendShare, other.TrendShare)
		s.TrendLow = mean(s.TrendLow, other.TrendLow)
		s.TrendHigh = mean(s.TrendHigh, other.TrendHigh)
	}
	s.ThroughputRPS += other.ThroughputRPS
	s.Planned += other.Planned
	s.Sent += other.Sent
	s.Late += other.Late
	s.OK += other.OK
	s.Failed += other.Failed
	s.Backlog += other.Backlog
	s.Sustained = s.Sustained && other.Sustained
	s.OKTotal += other.OKTotal
	s.FailedTotal += other.FailedTotal
	s.SentTotal += other.SentTotal
	s.Retried += other.Retried
	s.Errors = maps.Clone(s.Errors)
	if s.Errors == nil {
		s.Errors = make(map[string]uint64)
	}
	for kind, n := range other.Errors {
		s.Errors[kind] += n
	}
	// Slices are put side by side at the windows' beginnings.
	shift := max(s.WindowSlice, other.WindowSlice)
	sum := make([]uint64, max(len(s.SliceOK)-s.WindowSlice, len(other.SliceOK)-other.WindowSlice)+shift)
	for _, of := range []*Summary{s, other} {
		for i, n := range of.SliceOK {
			sum[i+shift-of.WindowSlice] += n
		}
	}
	s.SliceOK, s.WindowSlice = sum, shift
	s.CPUSeconds += other.CPUSeconds
	s.CPUShare = max(s.CPUShare, other.CPUShare)
	if s.Verdict != VerdictBound {
		s.Verdict, s.VerdictReason = other.Verdict, other.VerdictReason
	}
	s.MaxRSSBytes += other.MaxRSSBytes
	s.Interrupted = s.Interrupted || other.Interrupted
	return nil
}

// Follow adds the summary of a later attack of the same kind on the same server: what was measured then
// prolongs the window. Of the warm-ups the first counts, of the backlogs the last. On an error s is unchanged.
func (s *Summary) Follow(later *Summary) error {
	both := *s
	if err := both.Merge(later); err != nil {
		return err
	}
	share := 1.0 // of the window before
	if both.WindowSeconds = s.WindowSeconds + later.WindowSeconds; both.WindowSeconds > 0 {
		share = s.WindowSeconds / both.WindowSeconds
	}
	mean := func(before, after float64) float64 { return share*before + (1-share)*after }
	both.ThroughputRPS = mean(s.ThroughputRPS, later.ThroughputRPS)
	both.CPUShare = mean(s.CPUShare, later.CPUShare)
	both.WarmupSeconds, both.WarmupLimited, both.WarmupSettled = s.WarmupSeconds, s.WarmupLimited, s.WarmupSettled
	both.Backlog, both.MaxRSSBytes = later.Backlog, max(s.MaxRSSBytes, later.MaxRSSBytes)
	both.WindowSlice = min(s.WindowSlice, len(s.SliceOK))
	window := s.WindowOK()
	both.SliceOK = slices.Concat(s.SliceOK[:both.WindowSlice], window, make([]uint64, s.wholeSlices()-len(window)), later.WindowOK())
	*s = both
	return nil
}

// newHistogram has the same range in every attack, so that any two merge.
func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, 2*maxDuration.Microseconds(), 3)
}

func record(h *hdrhistogram.Histogram, latency time.Duration) {
	us := (latency + time.Microsecond/2).Microseconds()
	// The only error is a value out of range, and this one is in it.
	_ = h.RecordValue(min(max(us, 1), h.HighestTrackableValue()))
}

func quantiles(h *hdrhistogram.Histogram) Latency {
	if h.TotalCount() == 0 {
		return Latency{}
	}
	seconds := func(us int64) float64 { return float64(us) / 1e6 }
	at := h.ValueAtPercentilesSlice([]float64{50, 90, 95, 99})
	return Latency{
		P50: seconds(at[0]), P90: seconds(at[1]), P95: seconds(at[2]), P99: seconds(at[3]), Max: seconds(h.Max()),
		Mean: h.Mean() / 1e6,
	}
}

func encodeHistogram(h *hdrhistogram.Histogram) (string, error) {
	b, err := h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		return "", fmt.Errorf("encode histogram: %w", err)
	}
	return string(b), nil
}

var errGeometry = errors.New("its range or precision is not the generator's")

// decodeHistogram reads "" as empty.
func decodeHistogram(encoded string) (*hdrhistogram.Histogram, error) {
	if encoded == "" {
		return newHistogram(), nil
	}
	h, err := hdrhistogram.Decode([]byte(encoded))
	if err != nil {
		return nil, fmt.Errorf("decode histogram: %w", err)
	}
	if want := newHistogram(); h.SignificantFigures() != want.SignificantFigures() || h.HighestTrackableValue() != want.HighestTrackableValue() {
		return nil, fmt.Errorf("decode histogram: %w", errGeometry)
	}
	return h, nil
}
