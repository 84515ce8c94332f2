package scenarios

import (
	"math"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestForPath(t *testing.T) {
	got, err := ForPath("/search?q=tea&page=2")
	if err != nil {
		t.Fatal(err)
	}
	want := &Scenario{
		Name: "/search?q=tea&page=2",
		Requests: []Request{{
			Name:   "GET /search?q=tea&page=2",
			Method: http.MethodGet,
			Path:   "/search?q=tea&page=2",
			Weight: 1,
		}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestForPathRefuses(t *testing.T) {
	for path, want := range map[string]string{
		"":                         `use path "": the path is empty: write / for the root`,
		"search":                   `use path "search": path "search" does not start with a slash: write "/search"`,
		"http://shop.example/a?b=": `use path "http://shop.example/a?b=": path "http://shop.example/a?b=" is a full URL, and only the server that advise starts is driven: write "/a?b="`,
		"//shop.example/":          `use path "//shop.example/": path "//shop.example/" starts with two slashes, which names another host: write one`,
	} {
		if _, err := ForPath(path); err == nil || err.Error() != want {
			t.Errorf("ForPath(%q):\ngot  %v\nwant %s", path, err, want)
		}
	}
}

func TestAccepts(t *testing.T) {
	any2xx := Request{}
	for status, want := range map[int]bool{199: false, 200: true, 204: true, 299: true, 300: false, 404: false, 0: false} {
		if got := any2xx.Accepts(status); got != want {
			t.Errorf("without expect, %d accepted: %v", status, got)
		}
	}
	listed := Request{Expect: []int{201, 409}}
	for status, want := range map[int]bool{200: false, 201: true, 409: true} {
		if got := listed.Accepts(status); got != want {
			t.Errorf("with expect %v, %d accepted: %v", listed.Expect, status, got)
		}
	}
}

func TestObjectiveString(t *testing.T) {
	share := 0.07 // times 100 is not quite 7 in binary
	o := Objective{
		Latency: map[string]time.Duration{"max": 2 * time.Second, "p50": 20 * time.Millisecond, "p99": 200 * time.Millisecond},
		Errors:  &share,
	}
	if got, want := o.String(), "p50 <= 20ms, p99 <= 200ms, max <= 2s, errors <= 7%"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if o.Empty() || !(Objective{}).Empty() {
		t.Error("Empty is the wrong way round")
	}
	if (Objective{Errors: &share}).Empty() {
		t.Error("an objective for errors alone is not empty")
	}
}

// The hash follows the meaning: every way of writing the same traffic has the same one, and every
// change of the traffic has another.
func TestSHA256(t *testing.T) {
	parse := func(text string) string {
		t.Helper()
		s, err := Parse("x.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return s.SHA256()
	}
	base := parse("{rate: 300, objective: {p99: 200ms, errors: 0.3%}, requests: [/a, {path: /b, weight: 2, headers: {x-a: 1}}]}")
	same := map[string]string{
		"comments, order and blocks": "# c\nrequests:\n- path: /a\n- path: /b\n  headers: {X-A: '1'}\n  weight: 2\nobjective:\n  errors: 0.003\n  p99: 0.2s\nrate: 18000/m\n",
		"names":                      "{name: other, rate: 300, objective: {p99: 200ms, errors: 0.3%}, requests: [{path: /a, name: n}, {path: /b, weight: 2, headers: {X-A: 1}}]}",
		"weights to scale":           "{rate: 300, objective: {p99: 200ms, errors: 0.3%}, requests: [{path: /a, weight: 0.1}, {path: /b, weight: 0.2, headers: {X-A: 1}}]}",
		"a request never sent":       "{rate: 300, objective: {p99: 200ms, errors: 0.3%}, requests: [/a, {path: /b, weight: 2, headers: {X-A: 1}}, {path: /c, weight: 0}]}",
	}
	for name, text := range same {
		if parse(text) != base {
			t.Errorf("%s: the hash differs though the meaning doesn't", name)
		}
	}
	other := map[string]string{
		"rate":      "{rate: 301, objective: {p99: 200ms, errors: 0.3%}, requests: [/a, {path: /b, weight: 2, headers: {X-A: 1}}]}",
		"objective": "{rate: 300, objective: {p95: 200ms, errors: 0.3%}, requests: [/a, {path: /b, weight: 2, headers: {X-A: 1}}]}",
		"errors":    "{rate: 300, objective: {p99: 200ms}, requests: [/a, {path: /b, weight: 2, headers: {X-A: 1}}]}",
		"path":      "{rate: 300, objective: {p99: 200ms, errors: 0.3%}, requests: [/a, {path: /c, weight: 2, headers: {X-A: 1}}]}",
		"method":    "{rate: 300, objective: {p99: 200ms, errors: 0.3%}, requests: [/a, {path: /b, method: PUT, weight: 2, headers: {X-A: 1}}]}",
		"weight":    "{rate: 300, objective: {p99: 200ms, errors: 0.3%}, requests: [/a, {path: /b, weight: 3, headers: {X-A: 1}}]}",
		"header":    "{rate: 300, objective: {p99: 200ms, errors: 0.3%}, requests: [/a, {path: /b, weight: 2, headers: {X-A: 2}}]}",
		"body":      "{rate: 300, objective: {p99: 200ms, errors: 0.3%}, requests: [/a, {path: /b, weight: 2, headers: {X-A: 1}, body: b}]}",
		"expect":    "{rate: 300, objective: {p99: 200ms, errors: 0.3%}, requests: [/a, {path: /b, weight: 2, headers: {X-A: 1}, expect: 200}]}",
	}
	seen := map[string]string{base: "the base"}
	for name, text := range other {
		sum := parse(text)
		if before, ok := seen[sum]; ok {
			t.Errorf("%s: the hash is that of %s", name, before)
		}
		seen[sum] = name
	}
}

func TestValidate(t *testing.T) {
	nan, two := math.NaN(), 2.0
	for name, breakIt := range map[string]func(*Scenario){
		"no requests":          func(s *Scenario) { s.Requests = nil },
		"no name":              func(s *Scenario) { s.Name = "" },
		"terminal escape":      func(s *Scenario) { s.Name = "\x1b[31mred" },
		"same request name":    func(s *Scenario) { s.Requests = append(s.Requests, s.Requests[0]) },
		"lower-case method":    func(s *Scenario) { s.Requests[0].Method = "get" },
		"foreign address":      func(s *Scenario) { s.Requests[0].Path = "https://example.com/" },
		"weight not a number":  func(s *Scenario) { s.Requests[0].Weight = nan },
		"nothing to send":      func(s *Scenario) { s.Requests[0].Weight = 0 },
		"header injection":     func(s *Scenario) { s.Requests[0].Header = http.Header{"X": {"a\r\nY: b"}} },
		"informational status": func(s *Scenario) { s.Requests[0].Expect = []int{100} },
		"negative rate":        func(s *Scenario) { s.Rate = -1 },
		"rate not a number":    func(s *Scenario) { s.Rate = nan },
		"unknown quantile":     func(s *Scenario) { s.Objective.Latency = map[string]time.Duration{"p97": 1} },
		"negative latency":     func(s *Scenario) { s.Objective.Latency = map[string]time.Duration{"p99": -1} },
		"error share above 1":  func(s *Scenario) { s.Objective.Errors = &two },
	} {
		s, err := ForPath("/")
		if err != nil {
			t.Fatal(err)
		}
		breakIt(s)
		if s.Validate() == nil {
			t.Errorf("%s: found valid", name)
		}
	}
}
