// Package scenarios says what is asked of a server: the requests and how often each is sent, the
// rate they arrive at, and what the answers have to keep to. It reads that from a YAML file:
//
//	name: shop
//	rate: 300/s
//	connections: 50          # a fixed pool of clients; without it, as many as fill the server
//	objective:
//	  p99: 200ms
//	  errors: 0.1%
//	requests:
//	  - /                      # short for a GET of that path, weight 1
//	  - name: search
//	    path: /search?q=tea
//	    weight: 3
//	  - name: order
//	    method: POST
//	    path: /orders
//	    headers: {Authorization: Bearer test}
//	    json: {item: 7, count: 1}
//	    expect: [201, 409]
//
// Requests name a path and never a server: the only server driven is the one advise starts.
package scenarios

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What a request has when the file doesn't say.
const (
	DefaultMethod      = http.MethodGet
	DefaultWeight      = 1
	DefaultContentType = "application/json" // of a body written under json
)

// Bounds beyond which a file is taken for a mistake.
const (
	MaxFileSize = 256 << 10 // bytes
	MaxWeight   = 1e6
	MaxRate     = 1e6 // requests per second

	MaxConnections = 8192
)

// Scenario is the traffic a server is measured under.
type Scenario struct {
	Name     string
	Requests []Request
	// Rate is the traffic expected, in requests per second; zero when none is given.
	Rate float64
	// Connections is how many there are at most, as from a fixed pool of clients; zero when it isn't said.
	Connections int
	Objective   Objective
}

// Request is one kind of request, sent as often as its weight says.
type Request struct {
	// Name is unique in the scenario.
	Name   string
	Method string
	// Path is the path and query as they go on the wire.
	Path string
	// Header has canonical names. Its Host is the name the server is told; it never decides where
	// the request goes.
	Header http.Header
	Body   []byte
	// Expect has the status codes that count as success, in ascending order; empty means any 2xx.
	Expect []int
	// Weight is the request's share of the traffic relative to the sum of all weights.
	Weight float64
}

// Accepts reports whether an answer with this status is a success.
func (r Request) Accepts(status int) bool {
	if len(r.Expect) == 0 {
		return status >= 200 && status <= 299
	}
	return slices.Contains(r.Expect, status)
}

// Objective is what the answers have to keep to at the scenario's rate.
type Objective struct {
	// Latency has the longest duration allowed by quantile: the keys are among Quantiles.
	Latency map[string]time.Duration
	// Errors is the share of requests, 0 to 1, that may fail; nil when it isn't asked for.
	Errors *float64
}

// Quantiles are the latencies an objective can name, in ascending order.
func Quantiles() []string { return []string{"p50", "p90", "p95", "p99", "max"} }

// Empty reports whether nothing is asked for.
func (o Objective) Empty() bool { return len(o.Latency) == 0 && o.Errors == nil }

// String is the objective in a line: "p95 <= 100ms, p99 <= 200ms, errors <= 0.1%".
func (o Objective) String() string {
	var parts []string
	for _, q := range Quantiles() {
		if d, ok := o.Latency[q]; ok {
			parts = append(parts, fmt.Sprintf("%s <= %s", q, d))
		}
	}
	if o.Errors != nil {
		parts = append(parts, "errors <= "+percent(*o.Errors))
	}
	return strings.Join(parts, ", ")
}

// percent writes a share with six digits and no exponent, which a file does not take.
func percent(share float64) string {
	rounded, _ := strconv.ParseFloat(strconv.FormatFloat(share, 'e', 5, 64), 64)
	if rounded *= 100; rounded < 1e-300 {
		return "0%"
	}
	digits := max(0, 5-int(math.Floor(math.Log10(rounded))))
	text := strconv.FormatFloat(rounded, 'f', digits, 64)
	if strings.Contains(text, ".") {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text + "%"
}

// ForPath is the scenario of a single GET, query string allowed, that any 2xx answers.
func ForPath(path string) (*Scenario, error) {
	s := &Scenario{
		Name: path,
		Requests: []Request{{
			Name:   DefaultMethod + " " + path,
			Method: DefaultMethod,
			Path:   path,
			Weight: DefaultWeight,
		}},
	}
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("use path %q: %w", path, err)
	}
	return s, nil
}

// Validate returns what keeps the scenario from being sent as it stands. What Parse, Load and
// ForPath return is valid.
func (s *Scenario) Validate() error {
	if len(s.Requests) == 0 {
		return errNoRequests
	}
	names := map[string]bool{}
	var total float64
	for _, r := range s.Requests {
		if err := r.validate(); err != nil {
			return err
		}
		if names[r.Name] {
			return fmt.Errorf("two requests have the name %q", r.Name)
		}
		names[r.Name] = true
		total += r.Weight
	}
	if total == 0 {
		return errNoWeight
	}
	if s.Rate != 0 {
		if err := checkRate(s.Rate); err != nil {
			return err
		}
	}
	if s.Connections != 0 {
		if err := checkConnections(s.Connections); err != nil {
			return err
		}
	}
	return cmp.Or(s.Objective.validate(), checkName(s.Name))
}

func (r Request) validate() error {
	if err := cmp.Or(checkPath(r.Path), checkMethod(r.Method), checkWeight(r.Weight), checkName(r.Name)); err != nil {
		return err
	}
	for name, values := range r.Header {
		if err := checkHeader(name, values); err != nil {
			return err
		}
	}
	for _, status := range r.Expect {
		if err := checkStatus(status); err != nil {
			return err
		}
	}
	return nil
}

func (o Objective) validate() error {
	for quantile, d := range o.Latency {
		if !slices.Contains(Quantiles(), quantile) {
			return unknownKey(quantile, Quantiles())
		}
		if err := checkLatency(quantile, d); err != nil {
			return err
		}
	}
	if o.Errors != nil {
		return checkErrors(*o.Errors)
	}
	return nil
}

// SHA256 is the hexadecimal hash of what the scenario means: what is sent in which proportion, and
// what has to hold. Names, the way a file is written and requests of weight zero don't change it.
func (s *Scenario) SHA256() string {
	type request struct {
		Share  string      `json:"share"`
		Method string      `json:"method"`
		Path   string      `json:"path"`
		Header http.Header `json:"header"`
		Body   []byte      `json:"body"`
		Expect []int       `json:"expect"`
	}
	meaning := struct {
		Version   int              `json:"version"`
		Requests  []request        `json:"requests"`
		Rate      float64          `json:"rate_rps"`
		LatencyNS map[string]int64 `json:"latency_ns"`
		Errors    *float64         `json:"errors"`
	}{Version: 1, Rate: s.Rate, LatencyNS: map[string]int64{}, Errors: s.Objective.Errors}

	var total float64
	for _, r := range s.Requests {
		total += r.Weight
	}
	for _, r := range s.Requests {
		if r.Weight == 0 {
			continue
		}
		meaning.Requests = append(meaning.Requests, request{
			// Twelve digits, so that weights of 1 and 2 mean the same as 0.1 and 0.2.
			Share:  strconv.FormatFloat(r.Weight/total, 'g', 12, 64),
			Method: r.Method,
			Path:   r.Path,
			Header: r.Header,
			Body:   r.Body,
			Expect: r.Expect,
		})
	}
	for quantile, d := range s.Objective.Latency {
		meaning.LatencyNS[quantile] = d.Nanoseconds()
	}
	encoded, err := json.Marshal(meaning)
	if err != nil {
		// Only a number that is not finite can't be encoded, and Validate refuses those.
		panic(fmt.Sprintf("hash scenario %s: %v", s.Name, err))
	}
	sum := sha256.Sum256(encoded)
	return hex.EncodeToString(sum[:])
}
