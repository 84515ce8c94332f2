package sweep

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"advise/scenarios"
)

// Of a scenario the plan has what may be read by anybody, and still tells scenarios apart.
func TestAScenarioIsDescribedWithoutItsSecrets(t *testing.T) {
	scenario := func(secret string) *scenarios.Scenario {
		return &scenarios.Scenario{Name: "/s?token=" + secret, Requests: []scenarios.Request{
			{Name: "GET /s?token=" + secret, Method: "GET", Path: "/s?token=" + secret, Weight: 1},
			{Name: "GET /s?token=" + secret + "2", Method: "GET", Path: "/s?token=" + secret + "2", Weight: 1},
			{Name: "search", Method: "GET", Path: "/s?q=tea&page=2", Weight: 1, Header: http.Header{"X": {secret}}, Body: []byte(secret)},
		}}
	}
	o := Options{Scenario: scenario("T0pS3cret")}
	d := o.describe()
	var names []string
	for _, r := range d.Requests {
		names = append(names, r.Name+" "+r.Path)
		if r.Masked != strings.Contains(r.Path, "***") {
			t.Errorf("%s is masked: %v", r.Path, r.Masked)
		}
	}
	want := "GET /s?token=*** /s?token=***, GET /s?token=*** (2) /s?token=***, search /s?q=tea&page=2"
	if got := strings.Join(names, ", "); got != want || d.Name != "/s?token=***" {
		t.Errorf("got %s, named %s; want %s", got, d.Name, want)
	}

	hashes := map[string]bool{}
	const many = 20_000
	for i := range many {
		hashes[hashOfScenario(scenario(strconv.Itoa(i)))] = true
	}
	if len(hashes) > 1<<12 {
		t.Errorf("%d hashes of what is hidden: want at most %d, so that none gives it away", len(hashes), 1<<12)
	}
	if hashOfScenario(scenario("a")) == hashOfScenario(scenario("b")) {
		t.Error("scenarios with other secrets have one hash")
	}
	tea, err := scenarios.ForPath("/s?q=tea")
	if err != nil {
		t.Fatal(err)
	}
	if hashOfScenario(tea) != tea.SHA256() {
		t.Error("a scenario of which nothing is hidden has another hash than yesterday")
	}
}

func TestVariablesBeforeACommandAreMasked(t *testing.T) {
	got := strings.Join(masked(added([]string{"A=1"}, []string{"A=1", "PORT=8000", "DB_PASS=x", "GUNICORN_CMD_ARGS=-w 2 -e KEY=x"})), " ")
	if want := "PORT=8000 DB_PASS=*** GUNICORN_CMD_ARGS=-w 2 -e KEY=***"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
