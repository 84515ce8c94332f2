package sweep

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"advise/model"
	"advise/targets/hold"
)

// startBusy returns when a process is using up the core; it ends with the test.
func startBusy(t *testing.T, cpu int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), self, "busy", strconv.Itoa(cpu))
	c.Stderr = os.Stderr
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = c.Wait()
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("the busy process said %q: %v", line, err)
	}
}

// Two workers with 2 ms of CPU and 8 ms of waiting use 40 % of a core at most: a process that never
// waits has the rest, or half. Anything else that runs there adds to its part.
func TestBusyProcessOnTheServersCoreIsSeen(t *testing.T) {
	for _, method := range []hold.Method{hold.Auto, hold.Affinity} {
		t.Run(string(method), func(t *testing.T) {
			s := newTest(t, &closedServer{}, func(o *Options) { o.Limits, o.Time = method, ShortestTime })
			planned, err := New(s.options)
			if err != nil {
				t.Fatal(err)
			}
			if !planned.pinned() || planned.machine().server == nil {
				t.Skip("the server can't be held to a core of its own here, or the cores not be read")
			}
			if err := planned.open(t.Context()); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = planned.journal.close() }()
			startBusy(t, planned.split.server[0])
			trial, err := planned.try(t.Context(), t.Context(), model.Step{Workers: 2}, Event{Trial: 1, Workers: 2}, func(Event) {})
			if err != nil {
				t.Fatal(err)
			}
			text, _ := json.Marshal(trial.Phases)
			t.Logf("%s", text)
			if by := trial.DisturbedBy(); !slices.ContainsFunc(by, func(r Reason) bool { return r.Code == ReasonOthersCPU && r.Share > 0.2 }) {
				t.Errorf("%s: disturbed by %v, want over 20 %% by other processes", trial.Outcome, by)
			}
		})
	}
}

// A tree holds a copy of the kernel's files.
func tree(t *testing.T, files map[string]string) (root string) {
	t.Helper()
	root = t.TempDir()
	for _, dir := range []string{"proc", "sys"} {
		if err := os.Mkdir(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, path, []byte(text))
	}
	return root
}

// readAt is what a machine with these files says to a server on cores 1 and 2 and a generator on 3.
func readAt(t *testing.T, at time.Duration, files map[string]string) reading {
	t.Helper()
	root := tree(t, files)
	m := machine{proc: filepath.Join(root, "proc"), sys: filepath.Join(root, "sys"), server: []int{1, 2}, generator: []int{3}}
	r := m.read()
	r.at = time.Unix(1_800_000_000, 0).Add(at)
	return r
}

const (
	statBefore = `cpu  4000 0 4000 40000 0 0 0 0 0 0
cpu0 1000 0 1000 10000 0 0 0 0 0 0
cpu1 1000 0 1000 10000 0 0 0 0 0 0
cpu2 1000 0 1000 10000 0 0 0 0 0 0
cpu3 1000 0 1000 10000 0 0 0 0 0 0
intr 9
ctxt 9
btime 1800000000
processes 9
`
	// Ten seconds, 1000 ticks, later: core 1 stood idle for 1 s, waited for the disk for 0.5 s, had
	// 0.5 s of interrupts, lost 1 s to the hypervisor and was used for 7 s; core 2 was used for 10 s.
	// Core 3 lost 0.5 s. Guests' time, the last two columns, is in user time already.
	statAfter = `cpu  4000 0 4000 40000 0 0 0 0 0 0
cpu0 1000 0 1000 11000 0 0 0 0 0 0
cpu1 1400 100 1200 10100 50 20 30 100 300 0
cpu2 1900 0 1100 10000 0 0 0 0 0 0
cpu3 1500 0 1000 10450 0 0 0 50 0 0
intr 19
ctxt 19
btime 1800000000
processes 19
`
)

func pressureFiles(cpu, memory, io uint64) map[string]string {
	line := func(kind string, total uint64) string {
		return fmt.Sprintf("%s avg10=0.00 avg60=0.00 avg300=0.00 total=%d\n", kind, total)
	}
	return map[string]string{
		"proc/pressure/cpu":    line("some", cpu), // no full before Linux 5.13
		"proc/pressure/memory": line("some", memory) + line("full", memory/2),
		"proc/pressure/io":     line("some", io) + line("full", io/4),
	}
}

func with(files map[string]string, more ...string) map[string]string {
	all := map[string]string{}
	for name, text := range files {
		all[name] = text
	}
	for i := 0; i < len(more); i += 2 {
		all[more[i]] = more[i+1]
	}
	return all
}

const (
	frequency1 = "sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq"
	frequency2 = "sys/devices/system/cpu/cpu2/cpufreq/scaling_cur_freq"
)

// want compares the figures that are named, by key, and takes all others to be null.
func want(t *testing.T, d *Disturbance, figures map[string]float64) {
	t.Helper()
	text, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]*float64
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	for key, value := range got {
		expected, named := figures[key]
		if named != (value != nil) || named && math.Abs(*value-expected) > 1e-9 {
			t.Errorf("%s: want %v (named: %t) in %s", key, expected, named, text)
		}
	}
}

func TestEverythingSeen(t *testing.T) {
	first := readAt(t, 0, with(pressureFiles(1e6, 2e6, 4e6), "proc/stat", statBefore, frequency1, "3000000\n", frequency2, "3400000\n"))
	last := readAt(t, 10*time.Second, with(pressureFiles(10e6, 3e6, 6e6), "proc/stat", statAfter, frequency1, "2400000\n", frequency2, "2720000\n"))
	d := disturbanceBetween(first, last, treeUse{
		first:  hold.Usage{CPU: time.Second, Counted: true, HasQuota: true, Periods: 10, ThrottledPeriods: 5},
		last:   hold.Usage{CPU: 15 * time.Second, Counted: true, HasQuota: true, Periods: 110, ThrottledPeriods: 30},
		pinned: true,
	})
	want(t, d, map[string]float64{
		"stolen_share": 1. / 20, "generator_stolen_share": 0.5 / 10,
		"others_cpu_share":   (7. + 10 - 14) / 20,
		"cpu_pressure_share": 0.9, "memory_pressure_share": 0.1, "memory_pressure_full_share": 0.05,
		"io_pressure_share": 0.2, "io_pressure_full_share": 0.05,
		"frequency_mhz": 3200, "frequency_change_share": -0.2, "throttled_share": 0.25,
	})
	// In units of the limits: io 0.2/0.05, others 0.15/0.04, frequency 0.2/0.07, steal 0.05/0.02 twice, memory 0.1/0.05.
	var codes []ReasonCode
	for _, r := range d.Reasons() {
		codes = append(codes, r.Code)
	}
	if order := []ReasonCode{ReasonIOPressure, ReasonOthersCPU, ReasonFrequency, ReasonStolen, ReasonGeneratorStolen, ReasonMemoryPressure}; !slices.Equal(codes, order) {
		t.Errorf("reasons %v, want %v", codes, order)
	}
}

func TestWhatCannotBeSeenIsNull(t *testing.T) {
	counted := treeUse{first: hold.Usage{Counted: true}, last: hold.Usage{CPU: 14 * time.Second, Counted: true}, pinned: true}
	plain := map[string]string{"proc/stat": statBefore}
	later := map[string]string{"proc/stat": statAfter}
	seen := map[string]float64{"stolen_share": 0.05, "generator_stolen_share": 0.05}
	for _, c := range []struct {
		name        string
		first, last map[string]string
		tree        treeUse
		want        map[string]float64
	}{
		{"nothing", nil, nil, counted, nil},
		{"no pressure and no frequency", plain, later, counted, map[string]float64{"stolen_share": 0.05, "generator_stolen_share": 0.05, "others_cpu_share": 0.15}},
		{"a server that is not pinned", plain, later, treeUse{last: hold.Usage{CPU: time.Second, Counted: true}}, seen},
		{"a tree whose time fell, with a process", plain, later, treeUse{first: hold.Usage{CPU: time.Second}, pinned: true}, seen},
		{"counters that stand still", plain, plain, counted, nil},
		{"counters that began anew", later, plain, counted, nil},
		{"a container's cores, numbered anew", map[string]string{"proc/stat": "cpu  1 1 1 1\ncpu0 1 1 1 1\ncpu1 1 1 1 1\n"}, later, counted, nil},
		{"text that is none of it", map[string]string{"proc/stat": "cpu1 x\n", "proc/pressure/io": "some\n", frequency1: "<unknown>\n", frequency2: "1\n"}, later, counted, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			want(t, disturbanceBetween(readAt(t, 0, c.first), readAt(t, 10*time.Second, c.last), c.tree), c.want)
		})
	}
	if d := disturbanceBetween(reading{}, reading{}, counted); d != nil {
		t.Errorf("no time has passed: %+v", d)
	}
}

// Files that can't be read are as good as none. A folder can't, not even by root.
func TestPressureThatCannotBeRead(t *testing.T) {
	files := pressureFiles(1, 1, 1)
	delete(files, "proc/pressure/io")
	r := readAt(t, 0, with(files, "proc/pressure/io/folder", ""))
	if _, ok := r.stalled[pressure{"io", false}]; ok || len(r.stalled) != 3 {
		t.Errorf("read %v, want the three lines of cpu and memory", r.stalled)
	}
}

// What the server waits for by itself, and what others do, disturbs nobody.
func TestPressureOfTheServersOwn(t *testing.T) {
	for _, c := range []struct {
		name            string
		machine, server float64 // of ten seconds
		want            float64
	}{
		{"it alone uses the disk", 4, 4, 0},
		{"others alone do", 10, 0, 0},
		{"others slow it down", 10, 3, 0.3},
		{"it slows others down", 8, 6, 0.2},
	} {
		seconds := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
		line := pressure{"io", false}
		first := reading{at: time.Unix(0, 0), stalled: map[pressure]time.Duration{line: 0}}
		last := reading{at: time.Unix(10, 0), stalled: map[pressure]time.Duration{line: seconds(c.machine)}}
		d := disturbanceBetween(first, last, treeUse{
			first: hold.Usage{HasPressure: true}, last: hold.Usage{HasPressure: true, IOStalled: seconds(c.server)},
		})
		want(t, d, map[string]float64{"io_pressure_share": c.machine / 10, "server_io_pressure_share": c.server / 10, "server_memory_pressure_share": 0})
		got := 0.0
		for _, r := range d.Reasons() {
			got += r.Share
		}
		if math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%s: disturbed by %v, want %g", c.name, d.Reasons(), c.want)
		}
	}
}

// A core that idles runs slower by design.
func TestFrequencyOfIdleCores(t *testing.T) {
	idle := "cpu  0 0 0 0\ncpu1 1000 0 1000 10990 0 0 0 0 0 0\ncpu2 1900 0 1100 10000 0 0 0 0 0 0\ncpu3 1000 0 1000 11000 0 0 0 0 0 0\n"
	first := readAt(t, 0, with(nil, "proc/stat", statBefore, frequency1, "3000000\n", frequency2, "3000000\n"))
	last := readAt(t, 10*time.Second, with(nil, "proc/stat", idle, frequency1, "1000000\n", frequency2, "3000000\n"))
	d := disturbanceBetween(first, last, treeUse{})
	want(t, d, map[string]float64{"stolen_share": 0, "generator_stolen_share": 0, "frequency_mhz": 3000})
}

// Without cpufreq, x86 tells it in /proc/cpuinfo.
func TestFrequencyFromCPUInfo(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the text is that of x86")
	}
	r := readAt(t, 0, map[string]string{"proc/cpuinfo": "processor\t: 0\ncpu MHz\t\t: 1000.0\n\nprocessor\t: 1\ncpu MHz\t\t: 2000.5\n\nprocessor\t: 2\ncpu MHz\t\t: 3000.5\n\n"})
	if r.megahertz == nil || *r.megahertz != 2500.5 {
		t.Errorf("%v, want the mean of cores 1 and 2", r.megahertz)
	}
}

// Process times are cut to ticks: with 32 workers and their master the errors of 132 roundings, each
// with a deviation of 2.9 ms, make one of 33 ms, and three times that must not look like a process.
func TestRoundedProcessTimes(t *testing.T) {
	if got := rounding(33); got < 99*time.Millisecond || got > 100*time.Millisecond {
		t.Errorf("%s, want 3 x 33.2 ms", got)
	}
	core := coreTimes{cores: 1}
	for used, want := range map[time.Duration]float64{910 * time.Millisecond: 0, 400 * time.Millisecond: 0.5} {
		got := othersShare(core, time.Second, treeUse{last: hold.Usage{CPU: used}, pinned: true, processes: 33})
		if got == nil || math.Abs(*got-want) > 0.001 {
			t.Errorf("a tree that used %s by its processes: others %v, want %g", used, *got, want)
		}
	}
}

// What a kernel, or whoever stands in for it, says can make figures useless but never impossible.
func FuzzDisturbance(f *testing.F) {
	f.Add(statBefore, statAfter, "3000000\n", int64(10*time.Second))
	f.Add("cpu1 NaN Inf -1\ncpu2\ncpu3 1e300\n", statAfter, "-1", int64(1))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, before, after, frequency string, elapsed int64) {
		var ends []reading
		for _, stat := range []string{before, after} {
			for name, text := range map[string]string{"stat": stat, "cpuinfo": frequency, "pressure/io": frequency} {
				path := filepath.Join(dir, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
					t.Fatal(err)
				}
				write(t, path, []byte(text))
			}
			ends = append(ends, machine{proc: dir, sys: dir, server: []int{1, 2}, generator: []int{3}}.read())
		}
		ends[1].at = ends[0].at.Add(time.Duration(elapsed))
		d := disturbanceBetween(ends[0], ends[1], treeUse{pinned: true, last: hold.Usage{Counted: true, CPU: time.Second}})
		if d == nil {
			return
		}
		if _, err := json.Marshal(d); err != nil {
			t.Error(err) // NaN or infinite
		}
		for _, share := range []*float64{d.StolenShare, d.GeneratorStolenShare, d.OthersCPUShare, d.IOPressureShare} {
			if share != nil && !(*share >= 0 && *share <= 1) {
				t.Errorf("a share of %g", *share)
			}
		}
	})
}

func BenchmarkReading(b *testing.B) {
	read := thisMachine([]int{0}, []int{1})
	for b.Loop() {
		read()
	}
}
