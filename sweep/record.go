package sweep

import (
	"time"

	"advise/model"
	"advise/sweep/generator"
	"advise/targets"
)

// SchemaVersion is that of the record and of result.json.
const SchemaVersion = "1"

// A Record is one sweep as it is on disk: a folder with plan.json and trials.jsonl.
type Record struct {
	// Dir is the folder; empty for a record in memory only.
	Dir  string
	Plan Plan
	// Calibration is nil when the sweep ended before it.
	Calibration *generator.Calibration
	Trials      []Trial
	// LeftOut are the damaged lines that OpenDamaged left out.
	LeftOut []Damage
	// Unkept is why a copy of a file that was derived from the user's could not be kept.
	Unkept error
}

// A Plan is what a sweep set out to do: everything but the measurements. It is plan.json.
type Plan struct {
	SchemaVersion string      `json:"schema_version"`
	StartedAt     time.Time   `json:"started_at"`
	Tool          Tool        `json:"tool"`
	Environment   Environment `json:"environment"`
	Target        Target      `json:"target"`
	Scenario      Scenario    `json:"scenario"`
	Budget        Budget      `json:"budget"`
	Settings      Settings    `json:"settings"`
	// Unloaded is what the scenario's objective follows from where none was given; nil elsewhere, and before
	// it is measured.
	Unloaded *Unloaded `json:"unloaded,omitempty"`
	// Saturation is how Settings.Connections were found: the other part that is measured. Where these were given
	// it tells how many would fill the server. It is nil where they follow from the slots, before that, and in a
	// record of before it was kept.
	Saturation *Saturation `json:"saturation,omitempty"`
	// Variables of the server's environment by name, each with its fingerprint; nil before the sweep
	// begins, and in a record of before they were kept. No part of the result: it is for Resume alone.
	Variables map[string]string `json:"variables,omitzero"`
}

// Tool is the program that measured.
type Tool struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
}

// Environment is the machine, and how the server was held on it.
type Environment struct {
	OS       string `json:"os"`
	Arch     string `json:"arch"`
	Kernel   string `json:"kernel"`
	CPUModel string `json:"cpu_model"`
	// CPUsOnline are the machine's, CPUsAllowed those advise itself may use.
	CPUsOnline  int `json:"cpus_online"`
	CPUsAllowed int `json:"cpus_allowed"`
	// CPUsServer and CPUsGenerator are the numbers of the cores each was held to.
	CPUsServer    []int `json:"cpus_server"`
	CPUsGenerator []int `json:"cpus_generator"`
	// CoresServer is what the server could use: whole cores or a quota over them.
	CoresServer float64 `json:"cores_server"`
	// CPUsSeen is nil in a record of before it was kept.
	CPUsSeen        *CPUsSeen `json:"cpus_seen,omitempty"`
	MemoryBytes     int64     `json:"memory_bytes"`
	LimitsMethod    string    `json:"limits_method"`
	LimitsShortfall []string  `json:"limits_shortfall"`
}

// Target is what was started.
type Target struct {
	Adapter string   `json:"adapter"`
	Command []string `json:"command"`
	// CommandSHA256 is of the command as it is shown here and a fingerprint of what is masked in it.
	CommandSHA256 string `json:"command_sha256"`
	Masked        bool   `json:"masked,omitempty"`
	Version       string `json:"version"`
	Workdir       string `json:"workdir"`
	// Program is where the program was found, and Variables are those of its environment that decide its
	// shape, as NAME=value; see targets.Target.Kept.
	Program   string   `json:"program,omitempty"`
	Variables []string `json:"variables,omitempty"`
	// Found says how the command was found; empty when it was given.
	Found string `json:"found,omitempty"`
	// Auto is what the command's own count would have been taken from; nil when it says a number.
	Auto *targets.Auto `json:"auto,omitempty"`
}

// Scenario is what was asked of it. Headers and bodies stay in the user's file: they may be secret.
type Scenario struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
	// File is the scenario's path; empty for the short form.
	File     string    `json:"file,omitempty"`
	Requests []Request `json:"requests"`
	// RateRPS is the rate that was measured at: that of the traffic, TrafficRPS, with its headroom.
	RateRPS    float64    `json:"rate_rps,omitempty"`
	TrafficRPS float64    `json:"traffic_rps,omitempty"`
	Objective  *Objective `json:"objective,omitempty"`
	// Connections is how many are kept at full load because it was asked for; 0: as many as fill the server.
	Connections int `json:"connections,omitempty"`
	// RateGiven, ObjectiveGiven and ConnectionsGiven are true for what the command line said, whatever the file does.
	RateGiven      bool `json:"rate_given,omitempty"`
	ObjectiveGiven bool `json:"objective_given,omitempty"`

	ConnectionsGiven bool `json:"connections_given,omitempty"`
}

// Request is one of the scenario's requests, as a reader needs it: of its path's query the names, and the
// values that can't be secret.
type Request struct {
	Name   string  `json:"name"`
	Method string  `json:"method"`
	Path   string  `json:"path"`
	Weight float64 `json:"weight"`
	// Masked is true where the path has to be given again, as something of it is not kept.
	Masked bool `json:"masked,omitempty"`
}

// Objective is what has to hold at the scenario's rate; a zero is not asked for.
type Objective struct {
	LatencySeconds map[string]float64 `json:"latency_seconds,omitempty"` // by quantile: p50, p90, p95, p99, max
	ErrorShare     *float64           `json:"error_share,omitempty"`
}

// Budget is what the user asked for.
type Budget struct {
	Cores       float64 `json:"cores"`
	MemoryBytes int64   `json:"memory_bytes"`
}

// Settings are the sweep's own.
type Settings struct {
	// Goal is what the count is chosen for; empty, for capacity, in a record of before it was kept.
	Goal    model.Goal `json:"goal,omitempty"`
	Lowest  int        `json:"lowest"`
	Highest int        `json:"highest"`
	Counts  []int      `json:"counts,omitempty"` // exactly these, when the user listed them
	// Least is how many workers to recommend of each variant at the least, and LeastGiven true where it was
	// asked for; nil in a record of before it was kept.
	Least          []int   `json:"least,omitempty"`
	LeastGiven     bool    `json:"least_given,omitempty"`
	TimeSeconds    float64 `json:"time_seconds"`
	Tolerance      float64 `json:"tolerance"`
	Confidence     float64 `json:"confidence"`
	MemoryHeadroom float64 `json:"memory_headroom"`
	// RateHeadroom is the share by which the rate measured at is above the traffic's.
	RateHeadroom float64 `json:"rate_headroom,omitempty"`
	// ShareCores lets the generator run on the server's cores where it alone is in the way of them.
	ShareCores bool `json:"share_cores,omitempty"`
	// PredictCores are other core counts to predict for.
	PredictCores []float64 `json:"predict_cores,omitempty"`
	// PredictMemory are other sizes of memory to predict for.
	PredictMemory []int64 `json:"predict_memory_bytes,omitempty"`
	// FewerCores is the part of the cores that predictions are checked on; 0: none is.
	FewerCores  float64 `json:"fewer_cores,omitempty"`
	Seed        int64   `json:"seed"`
	Connections int     `json:"connections"`
	// ConnectionsAtFirst is where the search for Connections began; 0: there was none to make.
	ConnectionsAtFirst int `json:"connections_at_first,omitempty"`
	// ConnectionLimitSetting of the server allows no more Connections; empty: none does, or it is not known.
	ConnectionLimitSetting string `json:"connection_limit_setting,omitempty"`
	// Arrivals of requests at a rate: constant or poisson.
	Arrivals string `json:"arrivals"`
	// Probe is the path that is asked for while the server is full; empty: none is.
	Probe string `json:"probe,omitempty"`
	// ProbeMasked is as that of a Request.
	ProbeMasked bool `json:"probe_masked,omitempty"`
	// Live is true when counts were changed while the server ran, where it could.
	Live bool `json:"live,omitempty"`
	// Limits is how the server was asked to be held; empty in a record of before it was kept.
	Limits            string  `json:"limits,omitempty"`
	WarmupSeconds     float64 `json:"warmup_seconds"`
	WindowSeconds     float64 `json:"window_seconds"`
	ReadySeconds      float64 `json:"ready_seconds"`
	TimeoutSeconds    float64 `json:"timeout_seconds"`
	RuleOfThumb       int     `json:"rule_of_thumb"`
	ErrorShareAllowed float64 `json:"error_share_allowed"`
	// Threads and Class are the command's own: every trial has them, unless Variants are compared.
	Threads int    `json:"threads"`
	Class   string `json:"class"`
	// Variants are what was asked to be compared; empty: the command's own alone.
	Variants []Variant `json:"variants,omitempty"`
	// Compared is how they were asked for; nil without any, and in a record of before it was kept.
	Compared *Compared `json:"compared,omitempty"`
	// MostSlots bounds a variant's counts by its threads where the range was left to advise; 0: Highest
	// bounds all.
	MostSlots int `json:"most_slots,omitempty"`
	// MostThreads bounds those of a variant of several threads instead, by all threads of its workers: 0 in a
	// record of before it was kept, where MostSlots does.
	MostThreads int `json:"most_threads,omitempty"`
}

// Compared are the values of each property that were named, of which the variants are made.
type Compared struct {
	Classes []string          `json:"classes,omitempty"`
	Threads []int             `json:"threads,omitempty"`
	Preload []targets.Preload `json:"preload,omitempty"`
}

// Outcome is how a trial ended.
type Outcome string

// How a trial can end. Only OK carries figures that a curve may use.
const (
	OK              Outcome = "ok"
	NotStarted      Outcome = "not_started"       // the server ended before it was ready
	NotReady        Outcome = "not_ready"         // the probe or the worker count never came
	KilledForMemory Outcome = "killed_for_memory" // the memory limit ended a process
	Died            Outcome = "died"              // the server ended under load
	Errors          Outcome = "errors"            // more answers failed than allowed
)

// When a trial was killed for memory.
const (
	KilledStarting = "starting"
	KilledLoaded   = "under_load"
)

// A Trial is one restart with its load phases: one line of trials.jsonl.
type Trial struct {
	ID    int   `json:"id"`
	Shape Shape `json:"shape"`
	// Purpose is empty for a restart of the search.
	Purpose model.Purpose `json:"purpose,omitempty"`
	// Cores is what the server was held to where that is not the plan's: with model.PurposeCores.
	Cores float64 `json:"cores,omitempty"`
	// Way is how it was started where that is not as the others were: with model.PurposeStart.
	Way       Way       `json:"start_way,omitempty"`
	Repeat    int       `json:"repeat"`
	Why       string    `json:"why"`
	StartedAt time.Time `json:"started_at"`
	Outcome   Outcome   `json:"outcome"`
	// KilledWhile says when one that was killed for memory was: KilledStarting or KilledLoaded; empty in a
	// record of before it was kept.
	KilledWhile    string  `json:"killed_while,omitempty"`
	Detail         string  `json:"detail,omitempty"`
	StartupSeconds float64 `json:"startup_seconds"`
	// Live is true when the server was not started for it but changed, in StartupSeconds.
	Live           bool      `json:"live,omitempty"`
	ElapsedSeconds float64   `json:"elapsed_seconds"`
	Phases         []Phase   `json:"phases"`
	Server         Server    `json:"server"`
	Generator      Generator `json:"generator"`
	// MemoryReadings are the memory after each phase.
	MemoryReadings []MemoryReading `json:"memory_readings,omitempty"`
	// FewerConnections is true where more connections were needed later: it is compared with none of the
	// others. It follows from the plan, and is no part of the record on disk.
	FewerConnections bool `json:"fewer_connections,omitempty"`
	// Reopened is nil where connections were spread evenly at once, or that is not known.
	Reopened *Reopened `json:"reopened,omitempty"`
	// FrontAlone is of one trial of a sweep whose server has another one before it.
	FrontAlone *FrontAlone `json:"front_alone,omitempty"`

	// failure is why the server did not start, while the sweep still runs.
	failure error
}

// A MemoryReading is the tree's memory, swapped included, when it had answered so many requests since
// it was started.
type MemoryReading struct {
	RequestsServed uint64 `json:"requests_served"`
	PSSBytes       int64  `json:"pss_bytes"`
}

// Shape is how many of what.
type Shape struct {
	Workers int             `json:"workers"`
	Threads int             `json:"threads"`
	Class   string          `json:"class"`
	Preload targets.Preload `json:"preload,omitempty"` // empty: as the command has it
}

// The kinds of a Phase.
const (
	PhaseSaturation = "saturation" // closed loop, a constant number of connections
	PhaseRate       = "rate"       // open loop at the scenario's rate
	PhaseShare      = "share"      // open loop at a share of the recommended count's throughput
	PhaseStuck      = "stuck"      // as that, while one worker is stopped
)

// Phase is one stretch of load.
type Phase struct {
	Kind string `json:"kind"`
	// CapacityShare is what share of the recommended count's throughput the rate is; 0 but for PhaseShare and
	// PhaseStuck.
	CapacityShare float64 `json:"capacity_share,omitempty"`
	// StuckSeconds is how long one worker was stopped, from the beginning of the window; of PhaseStuck alone.
	StuckSeconds float64 `json:"stuck_seconds,omitempty"`
	Connections  int     `json:"connections,omitempty"`
	// SaturatedBy is how the phase shows by itself that it filled the server; of full load alone, and not
	// in a record of before it was kept.
	SaturatedBy    model.Saturation `json:"saturated_by,omitempty"`
	RatePlannedRPS float64          `json:"rate_planned_rps"`
	Planned        uint64           `json:"planned"`
	Sent           uint64           `json:"sent"`
	Late           uint64           `json:"late"`
	OK             uint64           `json:"ok"`
	Failed         uint64           `json:"failed"`
	ThroughputRPS  float64          `json:"throughput_rps"`
	// SharedRPS is what was answered with the generator on the server's cores, where ThroughputRPS has what
	// that took taken off; nil elsewhere.
	SharedRPS *float64 `json:"shared_rps,omitempty"`
	// ThroughputLowRPS and ThroughputHighRPS are the window's own interval, by batch means: what this
	// restart would do if it went on, not what another would. Nil when the window is too short for one.
	ThroughputLowRPS  *float64 `json:"throughput_low_rps"`
	ThroughputHighRPS *float64 `json:"throughput_high_rps"`
	// Steady is false when throughput was still changing, by TrendShare over the window.
	Steady     bool    `json:"steady"`
	TrendShare float64 `json:"trend_share"`
	// Arrivals are those of an open loop.
	Arrivals string `json:"arrivals,omitempty"`
	// GeneratorCPUShare is of the generator's cores, GeneratorVerdict its judgement of itself, and
	// VerdictReason why when that is not ok: cpu, late, unsent, ceiling, shared.
	GeneratorCPUShare float64 `json:"generator_cpu_share"`
	GeneratorVerdict  string  `json:"generator_verdict"`
	VerdictReason     string  `json:"verdict_reason,omitempty"`
	WarmupSeconds     float64 `json:"warmup_seconds"`
	// WarmupLimited is true when the warm-up ran out of time before each worker had had its requests:
	// memory is then compared at less work.
	WarmupLimited bool    `json:"warmup_limited,omitempty"`
	WindowSeconds float64 `json:"window_seconds"`
	Latency       Latency `json:"latency_seconds"`
	// Ordinary is that of the most frequent request of the scenario alone; nil where no request is.
	Ordinary *Latency          `json:"ordinary_latency_seconds,omitempty"`
	Errors   map[string]uint64 `json:"errors"`
	// Disturbance is null when an end of the window was not seen.
	Disturbance *Disturbance `json:"disturbance"`
	// Backlog counts the requests due but unanswered at the window's end; Sustained is false when it
	// ran away.
	Backlog uint64 `json:"backlog"`
	// Retried counts requests sent again because the server had closed, or died over, the kept
	// connection they went out on. Over the warm-up too.
	Retried   uint64 `json:"retried"`
	Sustained bool   `json:"sustained"`
	// Probe is of full load, when a path for it was given.
	Probe *Probe `json:"probe,omitempty"`
	// Histogram is the HDR histogram of the latencies, compressed and in base64, to be merged.
	Histogram string `json:"histogram,omitempty"`
	// SliceOK counts the successes of each generator.Slice (10 ms) since the warm-up began; the
	// window begins with slice WindowSlice.
	SliceOK     []uint64 `json:"slice_ok,omitempty"`
	WindowSlice int      `json:"window_slice"`
}

// Latency holds quantiles and the mean in seconds.
type Latency struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P95  float64 `json:"p95"`
	P99  float64 `json:"p99"`
	Max  float64 `json:"max"`
	Mean float64 `json:"mean"`
}

// Server is what the server's tree used.
type Server struct {
	Workers *int `json:"workers_seen"` // null where they can't be counted
	// CPUSeconds are of the window of full load; of all windows but that of PhaseStuck, in a trial below full
	// load. Both are 0 where they are not known: a server that did not start, or ended.
	CPUSeconds           float64 `json:"cpu_seconds"`
	CPUSecondsPerRequest float64 `json:"cpu_seconds_per_request"`
	answered             uint64  // in those windows
	// FrontCPUShare is of CPUSeconds, what a server before the workers used; nil where there is none.
	FrontCPUShare   *float64 `json:"front_cpu_share,omitempty"`
	ThrottledShare  *float64 `json:"throttled_share"` // of the quota's periods; null without a quota
	MemoryPSSBytes  int64    `json:"memory_pss_bytes"`
	MemoryPeakBytes int64    `json:"memory_peak_bytes"`
	// MemoryStartPeakBytes is the highest charge before it was ready, or before it was killed, and
	// MemoryReadyBytes that of when it was ready; both without the files that the kernel can take back, and
	// 0 where they are not known.
	MemoryStartPeakBytes int64  `json:"memory_start_peak_bytes,omitempty"`
	MemoryReadyBytes     int64  `json:"memory_ready_bytes,omitempty"`
	SwapBytes            int64  `json:"swap_bytes"`
	RequestsServed       uint64 `json:"requests_served"`
	// Elsewhere are the connections that it held to other hosts at full load; empty without any.
	Elsewhere []Connection `json:"connections_elsewhere,omitempty"`
	// Locks are what the workers' threads slept in at full load; nil where they can't be seen.
	Locks *Locks `json:"locks,omitempty"`
	// RunnableThreads of the workers were on a core or waited for one, on average at full load: the rest
	// slept. Null where that is not known.
	RunnableThreads *float64 `json:"runnable_threads,omitempty"`
	// PerWorker is each one's part at full load, the busiest first; empty where they can't be told apart.
	PerWorker []Worker `json:"workers,omitempty"`
}

// The generator's verdicts on itself.
const (
	GeneratorOK    = "ok"
	GeneratorBound = "generator_bound"
)

// Generator is what the load generator used, and whether it was the bottleneck: at full load, or in the
// worst window of a trial below it.
type Generator struct {
	CPUShare float64 `json:"cpu_share"`
	Verdict  string  `json:"verdict"`
	// VerdictReason is empty when the verdict is ok.
	VerdictReason string `json:"verdict_reason,omitempty"`
	MaxRSSBytes   int64  `json:"max_rss_bytes"`
}
