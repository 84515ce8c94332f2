package reports

import (
	"strings"
	"testing"

	"advise/model"
	"advise/sweep"
)

// What uses the cores is what the server can be told, and the command measures it.
func TestWaitingNamesWhatTheServerHas(t *testing.T) {
	slow := &model.Waiting{Workers: 25, Threads: 1, Fitting: true, Throughput: 12.5, CoresUsed: 0.0125, Network: model.ClosedNetwork{Cores: 1, Demand: 0.001, Wait: 2}}
	soon := *slow // 100 at a time, in 25 workers
	soon.Network.Wait = 0.099
	threads := *slow
	threads.Threads = 16
	for name, c := range map[string]struct {
		adapter string
		command []string
		class   string
		waiting *model.Waiting
		masked  bool
		want    string
	}{
		"sync becomes gthread":       {"gunicorn", []string{"gunicorn", "app:app"}, "sync", slow, false, "advise --cores 1 --mem 512M --workers 1..25 --class gthread --threads 8,32 --time 3m -- gunicorn app:app"},
		"no more threads than used":  {"gunicorn", []string{"gunicorn", "app:app"}, "sync", &soon, false, "--class gthread --threads 4 -- gunicorn app:app"},
		"more than there are":        {"puma", []string{"puma", "-w", "2"}, "", &threads, false, "--threads 32,81 --time 3m -- puma -w 2"},
		"quoted":                     {"gunicorn", []string{"gunicorn", "app:make()"}, "sync", slow, false, "--threads 8,32 --time 3m -- gunicorn 'app:make()'"},
		"a secret in the command":    {"gunicorn", []string{"gunicorn", "app:app"}, "sync", slow, true, "--threads 8,32 --time 3m -- COMMAND"},
		"no threads":                 {"php-fpm", []string{"php-fpm8.2"}, "", slow, false, "only more memory, or a shorter wait, helps."},
		"many at a time":             {"uvicorn", []string{"uvicorn", "app:app"}, "", slow, false, "a larger pool of threads, or code that does not block."},
		"a server that is not known": {"none", []string{"mine"}, "", slow, false, "answer 12.5/s and use 1 % of the cores."},
	} {
		p := sweep.Plan{
			Target: sweep.Target{Adapter: c.adapter, Command: c.command, Workdir: "/srv/shop", Masked: c.masked},
			Budget: sweep.Budget{Cores: 1, MemoryBytes: 512e6}, Scenario: sweep.Scenario{Requests: []sweep.Request{{Path: "/"}}},
			Settings: sweep.Settings{TimeSeconds: 60, Threads: c.waiting.Threads, Class: c.class},
		}
		got := countIsNoLever(&Result{Budget: p.Budget}, p, c.waiting)
		if got == nil || !strings.HasSuffix(got.Message, c.want) {
			t.Errorf("%s: got %+v, want it to end with %q", name, got, c.want)
		}
	}
	if got := countIsNoLever(&Result{}, sweep.Plan{}, nil); got != nil {
		t.Errorf("nothing waits: got %+v", got)
	}
}
