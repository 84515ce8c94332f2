package model

// An Observation is what one restart of the server at one worker count showed.
type Observation struct {
	// Variant is what the server is besides its count, where several are compared: see Race.
	Variant string
	Workers int
	// Threads per worker; 0 counts as 1.
	Threads int

	// Purpose of the restart, and the moment it began, in seconds since the sweep did.
	Purpose Purpose
	At      float64

	// Throughput is the rate of accepted answers at saturation, in requests per second.
	Throughput float64
	// Answers is how many of them were counted; 0 is unknown.
	Answers uint64
	// CPUPerRequest is the server's CPU time over the answers it gave, in seconds; 0 is unknown.
	CPUPerRequest float64
	// Unloaded is the time of an answer without load, in seconds, where a worker has many requests in work
	// at a time; 0 elsewhere, and where it is not known.
	Unloaded float64
	// Memory is the proportional set size plus swapped size of the whole tree at the end of the
	// load, in bytes; 0 is unknown. Peak is the highest charge the limit saw, StartPeak that of the start
	// without what could be taken back; 0 is unknown.
	Memory, Peak, StartPeak float64

	// Failed marks a count that did not work; Why says so in words and MemoryKilled that the
	// kernel's limit was the reason, before it was ready where KilledStarting is true. The figures above
	// are then not used.
	Failed         bool
	MemoryKilled   bool
	KilledStarting bool
	Why            string

	// GeneratorBound marks a throughput that the generator, not the server, decided: a lower bound.
	GeneratorBound bool

	// MeetsObjective is nil without an objective; ObjectiveWhy says what was missed.
	MeetsObjective *bool
	ObjectiveWhy   string
	// Margin is by how much the objective was held at the rate: the logarithm of the limit over what was seen,
	// the least over its parts, and below zero where it was missed. nil is unknown.
	Margin *float64
	// Hopeless marks a rate that was not tried, as far less was answered at full load: a sure miss.
	Hopeless bool
}

// A Question is what the advice has to answer.
type Question struct {
	// Goal is what the count is chosen for; empty stands for GoalCapacity.
	Goal Goal
	// Cores asked for, and those the server was really held to while it was measured.
	Cores, CoresMeasured float64
	// MemoryBytes is the cap; 0 is none.
	MemoryBytes float64
	// MemoryHeadroom is the share of the cap to leave free.
	MemoryHeadroom float64
	// Tolerance is the share of the best throughput one may give up: 0.05.
	Tolerance float64
	// Confidence of every interval: 0.95.
	Confidence float64
	// RuleOfThumb is the count to compare with, (2 x cores) + 1.
	RuleOfThumb int
	// Lowest and Highest bound the recommendation: the counts the user allowed.
	Lowest, Highest int
	// Least is how many workers to recommend at the least, where that gives up no more than the tolerance;
	// 0 counts as 1.
	Least int
	// Others is the best throughput of the other variants, in requests per second; 0 is none. Where it
	// is higher than this one's own best, and within reach of it, the knee is held against it.
	Others float64
	// Seed of the bootstrap.
	Seed int64
	// SpreadFromNeighbours estimates the spread from the curve itself where no count was measured
	// twice. A sweep repeats counts instead; a table that somebody already has can't.
	SpreadFromNeighbours bool
}

// Advice is the answer to a Question.
type Advice struct {
	// Made is false when the measurement can't carry a recommendation; Caveats then say why.
	Made bool

	Workers   int
	Low, High int
	// HighResolved is false when the measured range ends before the interval does.
	HighResolved bool
	Confidence   float64
	LimitedBy    LimitedBy
	// Throughput in requests per second and Memory in bytes, at Workers.
	Throughput float64
	Memory     float64
	Reasons    []string
	// Capacity is nil but for GoalRate.
	Capacity *Capacity `json:",omitempty"`

	Points     []Point
	Fit        Fit
	MemoryLine *MemoryLine
	// StartPeak is nil when no count was killed while it started that fits once it runs.
	StartPeak   *StartPeak `json:",omitempty"`
	RuleOfThumb Comparison
	// Drift is nil when it can't be told.
	Drift *Drift
	// Asked is the advice for the cores asked for; nil where all of them were measured. The rest is then
	// about those that were: see [Advice.Answer].
	Asked *Carried `json:",omitempty"`
	// Waiting is set where the count is not the lever, since requests wait and the cores stay idle.
	Waiting *Waiting `json:",omitempty"`
	// OtherKnees are the knees of other rules, for comparison only.
	OtherKnees []Knee
	Caveats    []Caveat
}

// LimitedBy names what bound the recommended count.
type LimitedBy string

// What can bound a recommended count.
const (
	LimitedByThroughput  LimitedBy = "throughput"
	LimitedByMemory      LimitedBy = "memory"
	LimitedByObjective   LimitedBy = "objective"
	LimitedBySearchRange LimitedBy = "search_range"
	// LimitedByLeast: fewer would do for throughput, and Question.Least asks for more.
	LimitedByLeast LimitedBy = "least"
)

// A Point is one worker count with all its restarts taken together.
type Point struct {
	Workers, Trials int
	// Throughput is the mean over restarts, in requests per second, with its interval; as long as no
	// count was repeated, the interval is the mean itself.
	Throughput, ThroughputLow, ThroughputHigh float64
	// CPUPerRequest in seconds and Memory in bytes are medians; 0 is unknown.
	CPUPerRequest, Memory float64
	Feasible              bool
	WhyInfeasible         string
	// LacksMemory is true where memory is why it is not feasible.
	LacksMemory    bool `json:",omitempty"`
	GeneratorBound bool
	MeetsObjective *bool
}

// A Caveat is a reason to trust the advice less, as data: Code is stable and one of the Caveat
// constants, Message is a sentence, Figures hold the numbers behind it, with the unit in the key.
type Caveat struct {
	Code    string             `json:"code"`
	Message string             `json:"message"`
	Figures map[string]float64 `json:"figures"`
}

// Fit is the throughput curve that was chosen, and those that were tried.
type Fit struct {
	// Accepted is true for a parametric curve that passed the lack-of-fit test.
	Accepted   bool
	Model      string
	Parameters map[string]float64
	Candidates []Candidate
	// LackOfFitP is the test's p value; nil when there were no replicates to test with.
	LackOfFitP *float64
	// Curve is the fitted throughput in requests per second, one point for every integer count
	// of the measured range, or some 512 spread evenly over a longer one.
	Curve []CurvePoint
	// Reading says in words what the parameters mean.
	Reading string
}

// A Candidate is one curve that was tried.
type Candidate struct {
	Model      string
	Parameters map[string]float64
	LackOfFitP *float64
	// RMSE in requests per second; nil for a curve that could not be fitted.
	RMSE     *float64
	Accepted bool
	// WhyNot says why it was not accepted.
	WhyNot string
	// Reading says in words what the parameters mean, whether it was accepted or not; empty where there
	// are none.
	Reading string
}

// A CurvePoint is a fitted throughput in requests per second.
type CurvePoint struct {
	Workers    int
	Throughput float64
}

// MemoryLine is memory = Base + Workers x Marginal, in bytes, over whole process trees.
type MemoryLine struct {
	Base, Marginal                  float64
	MarginalLow, MarginalHigh       float64
	HighestWithinCap                int // largest count whose upper bound stays under the cap; 0 is none, -1 without a cap
	residual, meanN, sumSquaresN, t float64
	n                               int
}

// A StartPeak is a count that was killed for memory while it started, and fits once it runs: the largest
// that was tried. All figures are in bytes.
type StartPeak struct {
	Workers int
	// Memory is what it takes once it runs, by the memory line, and Limit what it may.
	Memory, Limit float64
	// EachStarting is what one worker more takes while all start at once, Each what it does afterwards, and
	// Starting what the count takes while it starts; 0 where starts were seen at one count alone, or were
	// not the peak there.
	EachStarting, Each, Starting float64
}

// A Comparison sets the rule of thumb beside the recommendation.
type Comparison struct {
	Workers  int
	Measured bool
	// Predicted is true for a ratio that was carried to more cores than were measured.
	Predicted bool `json:",omitempty"`
	// Ratio is the recommendation's throughput over the rule's, with its interval; as long as no
	// count was repeated, the interval is the ratio itself.
	Ratio, RatioLow, RatioHigh float64
	// Confirmed is true when the ratio comes from restarts made for it alone, in alternation: at least
	// Restarts of each.
	Confirmed bool
	Restarts  int
	// MemoryDifference is the recommendation's memory less the rule's, in bytes.
	MemoryDifference float64
	// Holds says whether the rule's count holds the objective; nil without one, and where it is not known.
	Holds *bool `json:",omitempty"`
	// Why says why the rule's count could not be compared.
	Why string
}

// A Knee is one rule's choice.
type Knee struct {
	Rule    string
	Workers int
	// Fitted is where a fitted curve puts it, inside of the measured range or not; 0 for a rule that
	// chooses among what was measured.
	Fitted float64
	// Note says why there is none, or why it is not to be followed.
	Note string
}
