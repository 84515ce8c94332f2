package sweep

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"advise/model"
	"advise/scenarios"
	"advise/sweep/generator"
	"advise/targets"
	"advise/targets/hold"
)

func planned(t *testing.T, command string, change func(*Options)) (*Sweep, error) {
	t.Helper()
	target, err := targets.Recognise(targets.Command{Argv: strings.Fields(command), Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	scenario, err := scenarios.ForPath("/")
	if err != nil {
		t.Fatal(err)
	}
	o := Options{
		Target: target, Scenario: scenario, Cores: 1, Limits: hold.None, Time: time.Minute, Tolerance: 0.05, Confidence: 0.95,
		Arrivals: generator.Poisson, Dir: filepath.Join(t.TempDir(), "record"),
	}
	if change != nil {
		change(&o)
	}
	return New(o)
}

// Two are the least where a worker serves one request at a time, one where it serves several, or nobody knows;
// what is asked for holds of all variants.
func TestTheLeastHangsOnTheKindOfWorker(t *testing.T) {
	for name, test := range map[string]struct {
		command string
		change  func(*Options)
		want    []int
	}{
		"sync":          {"gunicorn app:app", nil, []int{2}},
		"threads":       {"gunicorn --threads 4 app:app", nil, []int{1}},
		"gevent":        {"gunicorn -k gevent app:app", nil, []int{1}},
		"puma":          {"puma -t 1:1", nil, []int{2}},
		"uvicorn":       {"uvicorn app:app", nil, []int{1}},
		"not known":     {"./serve --procs {workers} {port}", nil, []int{1}},
		"asked for 1":   {"gunicorn app:app", func(o *Options) { o.Least = 1 }, []int{1}},
		"asked for 5":   {"uvicorn app:app", func(o *Options) { o.Least = 5 }, []int{5}},
		"variants":      {"gunicorn app:app", ofThreads, []int{2, 1}},
		"5 of variants": {"gunicorn app:app", func(o *Options) { ofThreads(o); o.Least = 5 }, []int{5, 5}},
	} {
		s, err := planned(t, test.command, test.change)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := s.Plan().Settings.Least; !slices.Equal(got, test.want) {
			t.Errorf("%s: the least is %v, want %v", name, got, test.want)
		}
		for i, e := range s.race {
			if e.Search.Least != test.want[i] || e.Question.Least != test.want[i] {
				t.Errorf("%s: %s is searched for %d and asked for %d, want %d", name, e.Variant, e.Search.Least, e.Question.Least, test.want[i])
			}
		}
		plan := s.Plan()
		one := (&Record{Plan: plan}).Of(plan.Variants()[len(test.want)-1])
		if got := one.Plan.race()[0].Question.Least; got != test.want[len(test.want)-1] {
			t.Errorf("%s: the record of the last variant asks for %d, want %d", name, got, test.want[len(test.want)-1])
		}
	}
}

func TestTheLeastIsWithinTheRange(t *testing.T) {
	for name, change := range map[string]func(*Options){
		"a range": func(o *Options) { o.Lowest, o.Highest, o.Least = 1, 3, 4 },
		"a list":  func(o *Options) { o.Counts, o.Least = []int{1, 3}, 4 },
		"its own": func(o *Options) { o.Least = 33 }, // 32 of one core
	} {
		if _, err := planned(t, "gunicorn app:app", change); err == nil || !strings.Contains(err.Error(), "lower --least or raise --workers") {
			t.Errorf("%s: got %v, want the way out", name, err)
		}
	}
	// What nobody asked for is no error.
	if _, err := planned(t, "gunicorn app:app", func(o *Options) { o.Counts = []int{1} }); err != nil {
		t.Error(err)
	}
}

// A page that only computes is answered as fast by one worker as by any. Two are recommended, and by the record
// alone too; a record of before the least was kept recommends what it did.
func TestTwoWhereOneWouldDo(t *testing.T) {
	r := run(t, newTest(t, &closedServer{cpu: 0.002}, nil))
	if a := r.Advice(); a.Workers != 2 || a.LimitedBy != model.LimitedByLeast {
		t.Errorf("recommended %d by %s, want 2 by the least: %v", a.Workers, a.LimitedBy, a.Caveats)
	}
	saved, err := Open(r.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if a := saved.Advice(); a.Workers != 2 || a.LimitedBy != model.LimitedByLeast {
		t.Errorf("by the record it is %d by %s, want 2 by the least", a.Workers, a.LimitedBy)
	}
	saved.Plan.Settings.Least = nil
	if a := saved.Advice(); a.Workers != 1 || a.LimitedBy != model.LimitedByThroughput {
		t.Errorf("an older record says %d by %s, want 1 by throughput", a.Workers, a.LimitedBy)
	}
}
