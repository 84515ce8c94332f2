package sweep

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Whatever field of a plan is another one, a record is not gone on with, unless the field is named here
// with the reason. A field that is added has to be compared, or put here.
func TestResumeComparesEveryField(t *testing.T) {
	comparedAs := map[string]string{
		"StartedAt":                       "when, not what",
		"Tool.Version":                    "what another advise would measure otherwise is in the settings",
		"Tool.Commit":                     "as the version",
		"Environment.CPUsAllowed":         "they are the server's and the generator's, which are compared",
		"Environment.LimitsShortfall[]":   "words, which follow from the limits and the machine",
		"Target.Command[]":                "compared by its hash, which knows what is masked",
		"Target.Masked":                   "follows from the command",
		"Target.Found":                    "words",
		"Target.Program":                  "follows from the command and PATH: its version is compared",
		"Target.Variables[]":              "compared by the environment",
		"Target.Auto.Setting":             "follows from the command, its version and its environment",
		"Target.Auto.Reads":               "as the setting",
		"Scenario.Name":                   "compared by its hash",
		"Scenario.File":                   "the same scenario may have been moved",
		"Scenario.Requests[].Name":        "compared by the scenario's hash",
		"Scenario.Requests[].Method":      "as the name",
		"Scenario.Requests[].Path":        "as the name",
		"Scenario.Requests[].Weight":      "as the name",
		"Scenario.Requests[].Masked":      "as the name",
		"Settings.ProbeMasked":            "follows from the probe",
		"Scenario.TrafficRPS":             "the rate without its headroom, which are compared",
		"Scenario.RateGiven":              "who gave the rate, not which",
		"Scenario.ConnectionsGiven":       "who gave the connections, not how many",
		"Settings.Connections":            "found by measuring: where the search begins is compared",
		"Settings.ConnectionLimitSetting": "follows from the command",
		"Scenario.ObjectiveGiven":         "who gave the objective, not which",
		"Settings.LeastGiven":             "who gave the least, not how many",
		"Settings.Limits":                 "what came of it is compared",
		"Settings.Compared.Classes[]":     "the shapes made of it are compared",
		"Settings.Compared.Threads[]":     "as the classes",
		"Settings.Compared.Preload[]":     "as the classes",
	}
	var whole Plan
	fill(reflect.ValueOf(&whole).Elem())
	whole.Saturation, whole.Unloaded = nil, nil // they are measured
	text, err := json.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	copied := func() (p Plan) {
		if err := json.Unmarshal(text, &p); err != nil {
			t.Fatal(err)
		}
		return p
	}
	if d := differences(copied(), copied()); len(d) > 0 {
		t.Fatalf("a plan differs from itself: %v", d)
	}
	seen := map[string]bool{}
	eachField(reflect.ValueOf(&whole).Elem(), "", func(path string) {
		other := copied()
		eachField(reflect.ValueOf(&other).Elem(), "", func(string) {}, path)
		seen[path] = true
		_, left := comparedAs[path]
		if d := differences(copied(), other); left == (len(d) > 0) {
			t.Errorf("with another %s: %q, left out: %t", path, d, left)
		}
	})
	for path := range comparedAs {
		if !seen[path] {
			t.Errorf("a plan has no %s", path)
		}
	}
}

// fill puts something into every field: one element into each list, and p50 into each map, which is a key
// that objectives know.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() { // a time has no such
				fill(v.Field(i))
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		element := reflect.New(v.Type().Elem()).Elem()
		fill(element)
		v.SetMapIndex(reflect.ValueOf("p50"), element)
	default:
		change(v)
	}
}

// eachField visits the values in v by their paths, and changes the ones that are named.
func eachField(v reflect.Value, path string, visit func(path string), changed ...string) {
	switch v.Kind() {
	case reflect.Struct:
		if _, ok := v.Interface().(time.Time); ok {
			visit(path)
			return
		}
		for i := range v.NumField() {
			eachField(v.Field(i), strings.TrimPrefix(path+"."+v.Type().Field(i).Name, "."), visit, changed...)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			eachField(v.Elem(), path, visit, changed...)
		}
	case reflect.Slice:
		eachField(v.Index(0), path+"[]", visit, changed...)
	case reflect.Map:
		element := reflect.New(v.Type().Elem()).Elem()
		element.Set(v.MapIndex(reflect.ValueOf("p50")))
		eachField(element, path+"{}", visit, changed...)
		v.SetMapIndex(reflect.ValueOf("p50"), element)
	default:
		visit(path)
		if slices.Contains(changed, path) {
			change(v)
		}
	}
}

func change(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() + 2)
	case reflect.Float64:
		v.SetFloat(v.Float() + 2)
	default:
		panic("a plan has a " + v.Type().String())
	}
}

// resumed goes on with a record in the folder it was made in.
func resumed(t *testing.T, r *Record, change func(*Options)) (*Sweep, error) {
	t.Helper()
	s := newTest(t, &closedServer{cpu: 0.002, wait: 0.008}, func(o *Options) {
		o.Dir, o.Target.Command.Dir = r.Dir, r.Plan.Target.Workdir
		if change != nil {
			change(o)
		}
	})
	return s, s.Resume(r)
}

// A server that is told something else by its environment is another one. The variables are named, and no
// file says what is in them; those of a terminal are nobody's business.
func TestResumeRefusesAnotherEnvironment(t *testing.T) {
	const secret = "hunter2hunter2"
	env := []string{"CPU_MS=2", "API_TOKEN=" + secret, "GONE=1", "SSH_TTY=/dev/pts/1", "PWD=/a", "TERM=dumb", "TMUX_PANE=%1"}
	r := run(t, newTest(t, &closedServer{cpu: 0.002, wait: 0.008}, func(o *Options) { o.Target.Command.Env = env }))
	files, err := filepath.Glob(filepath.Join(r.Dir, "*"))
	if err != nil || len(files) < 3 {
		t.Fatalf("the record has %v, %v", files, err)
	}
	for _, name := range files {
		if text, err := os.ReadFile(name); err != nil || strings.Contains(string(text), secret) {
			t.Errorf("%s tells a variable's value (%v)", name, err)
		}
	}
	if r, err = Open(r.Dir); err != nil {
		t.Fatal(err)
	}
	if want := []string{"API_TOKEN", "CPU_MS", "GONE"}; !slices.Equal(slices.Sorted(maps.Keys(r.Plan.Variables)), want) {
		t.Errorf("the record has %v, want %v", r.Plan.Variables, want)
	}

	elsewhere := []string{"CPU_MS=2", "API_TOKEN=" + secret, "GONE=1", "SSH_TTY=/dev/pts/7", "PWD=/b", "TERM=xterm", "SHLVL=3"}
	if _, err := resumed(t, r, func(o *Options) { o.Target.Command.Env = elsewhere }); err != nil {
		t.Errorf("from another terminal: %v", err)
	}
	other := []string{"CPU_MS=20", "API_TOKEN=" + secret + "x", "NEW=1"}
	var differs *DiffersError
	_, err = resumed(t, r, func(o *Options) { o.Target.Command.Env = other })
	want := []string{"API_TOKEN", "CPU_MS", "GONE", "NEW"}
	if !errors.As(err, &differs) || len(differs.Differences) != 1 || !slices.Equal(differs.Variables, want) || !strings.HasSuffix(err.Error(), strings.Join(want, ", ")) {
		t.Errorf("err is %v, want %v", err, want)
	}
	if _, err := resumed(t, r, func(o *Options) { o.Target.Command.Env, o.IgnoredVariables = other, want }); err != nil {
		t.Errorf("with %v ignored: %v", want, err)
	}
	r.Plan.Variables = nil // as in a record of before they were kept
	if _, err := resumed(t, r, func(o *Options) { o.Target.Command.Env = other }); err != nil {
		t.Errorf("with nothing to compare with: %v", err)
	}
}

// A server without any variables is known to have none.
func TestResumeKnowsAnEmptyEnvironment(t *testing.T) {
	r := run(t, newTest(t, &closedServer{cpu: 0.002, wait: 0.008}, nil))
	r, err := Open(r.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := resumed(t, r, func(o *Options) { o.Target.Command.Env = []string{"CPU_MS=20"} }); err == nil || !strings.Contains(err.Error(), "CPU_MS") {
		t.Errorf("err is %v, want CPU_MS refused", err)
	}
}

// A server that was upgraded in between is another one; one that does not say its version may be the same.
func TestResumeRefusesAnotherVersion(t *testing.T) {
	r := run(t, newTest(t, &closedServer{cpu: 0.002, wait: 0.008}, func(o *Options) { o.Target.Command.Version = "23.0.0" }))
	if _, err := resumed(t, r, func(o *Options) { o.Target.Command.Version = "25.1.0" }); err == nil || !strings.Contains(err.Error(), "version was 23.0.0, now 25.1.0") {
		t.Errorf("err is %v, want another version", err)
	}
	r.Plan.Target.Version = ""
	if _, err := resumed(t, r, nil); err != nil {
		t.Error(err)
	}
}

// Where only a secret in the command is another one, the two are shown alike.
func TestResumeRefusesAnotherSecret(t *testing.T) {
	r := run(t, newTest(t, &closedServer{cpu: 0.002, wait: 0.008}, nil))
	r.Plan.Target.CommandSHA256 = commandSHA256([]string{"another"})
	if _, err := resumed(t, r, nil); err == nil || !strings.Contains(err.Error(), "another secret") {
		t.Errorf("err is %v, want another secret", err)
	}
}

// A record's hashes tell a change, and no secret: each is that of many others.
func TestHashesTellNoSecret(t *testing.T) {
	const many = 1 << 14
	values, commands := map[string]bool{}, map[string]bool{}
	for n := range many {
		secret := strconv.Itoa(n)
		values[fingerprint(secret)] = true
		commands[hashOfCommand([]string{"serve", "--password", secret})] = true
	}
	if len(values) > 1<<12 || len(commands) > 1<<12 || len(values) < 3<<10 || len(commands) < 3<<10 {
		t.Errorf("%d secrets have %d fingerprints and %d commands' hashes, want nearly and at most %d", many, len(values), len(commands), 1<<12)
	}
	if hashOfCommand([]string{"serve", "--password", "a", "--port", "1"}) == hashOfCommand([]string{"serve", "--password", "a", "--port", "2"}) {
		t.Error("commands that differ in what is shown have one hash")
	}
}

// The search goes by the record's plan, as whoever reads the record does.
func TestResumeDecidesByTheRecord(t *testing.T) {
	r := run(t, newTest(t, &closedServer{cpu: 0.002, wait: 0.008}, nil))
	s := newTest(t, &closedServer{}, func(o *Options) { o.Dir, o.Target.Command.Dir = r.Dir, r.Plan.Target.Workdir })
	s.race = nil
	if err := s.Resume(r); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(s.race, r.Plan.race()) {
		t.Errorf("decides by %+v, want %+v", s.race, r.Plan.race())
	}
}

// A record that another process has added to, since this one read it, is gone on with as it is.
func TestResumeTakesTheRecordAsItIs(t *testing.T) {
	whole := run(t, newTest(t, &closedServer{cpu: 0.002, wait: 0.008}, nil))
	stale := *whole
	stale.Trials = stale.Trials[:2]
	s, err := resumed(t, &stale, nil)
	if err != nil {
		t.Fatal(err)
	}
	run(t, s)
	after, err := Open(whole.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for i, trial := range after.Trials {
		if trial.ID != i+1 {
			t.Fatalf("trial %d has the number %d", i+1, trial.ID)
		}
	}
}
