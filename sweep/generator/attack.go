package generator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
)

// An Attack is everything the generator needs to drive one load phase: a warm-up and a
// fixed window behind it, in one go. The zero value is not valid; see Validate.
type Attack struct {
	// URL is the server's scheme, host and port, without a path: http://127.0.0.1:8000, or
	// https, and then HTTP/2 where the server speaks it; its certificate is not verified. Its
	// host must be a loopback address. Left empty with Socket.
	URL string `json:"url,omitempty"`
	// Socket is the path of the unix socket the server listens on, instead of URL.
	Socket string `json:"socket,omitempty"`

	Requests []Request `json:"requests"`
	// Seed decides the order in which the weighted requests are sent.
	Seed int64 `json:"seed"`

	// Rate is in requests per second, whatever the server does (open loop). 0 is the closed
	// loop: each connection sends its next request when the last one is answered.
	Rate float64 `json:"rate_rps,omitempty"`
	// Arrivals says how an open loop's requests are spread over time: Constant, which is what
	// "" means, or Poisson, whose gaps Seed decides.
	Arrivals Arrivals `json:"arrivals,omitempty"`
	// Connections is how many connections send at once in a closed loop, and the most that
	// are open at once in an open loop, where requests then wait for one.
	Connections int `json:"connections"`
	// MaxBacklog is how many requests may be unanswered before an open loop is given up as
	// not sustained. 0 is what comes due in five seconds, but at most 4,000.
	MaxBacklog int `json:"max_backlog,omitempty"`

	// The window begins when Warmup has passed, WarmupRequests have ended and throughput is
	// steady, but after WarmupLimit in any case, and with a Slice: all are looked at once per
	// Slice. A WarmupLimit of 0 is Warmup itself, whatever throughput does, and then
	// WarmupRequests must be 0.
	Warmup         time.Duration `json:"warmup_ns"`
	WarmupRequests uint64        `json:"warmup_requests,omitempty"`
	WarmupLimit    time.Duration `json:"warmup_limit_ns,omitempty"`
	Window         time.Duration `json:"window_ns"`
	// WindowAnswers is how many answers the window should have: where the rate of the warm-up promises
	// fewer in Window, it lasts as much longer, up to WindowLimit. It is settled before it begins, or
	// the answers in it would decide its own end. A WindowLimit of 0 is Window itself.
	WindowAnswers uint64        `json:"window_answers,omitempty"`
	WindowLimit   time.Duration `json:"window_limit_ns,omitempty"`
	// Timeout is how long a request may take from its beginning, or from when it was due in
	// an open loop, to the last byte of its answer.
	Timeout time.Duration `json:"timeout_ns"`
	// MaxBody is the most bytes of one answer's body that are accepted. 0 is 64 MiB.
	MaxBody int64 `json:"max_body_bytes,omitempty"`

	// CeilingRPS is what the generator reaches, in requests per second, against a server that does
	// nothing (Calibration.CeilingRPS); 0 is not known. Throughput near it is the generator's.
	CeilingRPS float64 `json:"ceiling_rps,omitempty"`

	// Pauses asks for Summary.PauseSeconds.
	Pauses bool `json:"pauses,omitempty"`

	// CPUs are the cores the generator is held to (Linux only), by their numbers. Their
	// number is its GOMAXPROCS. Empty: all there are.
	CPUs []int `json:"cpus,omitempty"`
}

// Arrivals is how the requests of an open loop are spread over time.
type Arrivals string

// The arrivals.
const (
	Constant Arrivals = "constant" // at equal intervals
	Poisson  Arrivals = "poisson"  // at independent exponential ones
)

// A Request is one kind of request of an attack.
type Request struct {
	Method string      `json:"method"`
	Path   string      `json:"path"` // with the query, beginning with a slash
	Header http.Header `json:"header,omitempty"`
	Body   []byte      `json:"body,omitempty"`
	// Expect lists the statuses that count as success; empty: any 2xx. Redirects are never
	// followed, so a redirect to a login page is a failure unless it is listed.
	Expect []int `json:"expect,omitempty"`
	// Weight is the request's share relative to the other requests' weights.
	Weight float64 `json:"weight"`
}

const (
	defaultMaxBody = 64 << 20
	// backlogSeconds of due requests is a queue no user waits for. Each one waiting is a
	// goroutine, so the number is bounded too.
	backlogSeconds = 5
	backlogLimit   = 4000

	maxRequests    = 10000
	maxConnections = 10000
	maxRate        = 1e6
	maxCPUs        = 1024      // of unix.CPUSet
	maxDuration    = time.Hour // the histogram's range
)

func (a Attack) openLoop() bool { return a.Rate > 0 }

// cores is how many the generator may use.
func (a Attack) cores() int { return coresOf(a.CPUs) }

func (a Attack) withDefaults() Attack {
	if a.MaxBody == 0 {
		a.MaxBody = defaultMaxBody
	}
	if a.WarmupLimit == 0 {
		a.WarmupLimit = a.Warmup
	}
	if a.WindowLimit == 0 {
		a.WindowLimit = a.Window
	}
	if a.MaxBacklog == 0 {
		a.MaxBacklog = min(a.Connections+int(math.Ceil(backlogSeconds*a.Rate)), max(backlogLimit, 2*a.Connections))
	}
	return a
}

// Validate returns the first thing that is wrong with the attack. In particular it refuses
// every host that is not this machine's loopback.
func (a Attack) Validate() error {
	if _, err := a.base(); err != nil {
		return err
	}
	if len(a.Requests) == 0 {
		return errors.New("check attack: no requests")
	}
	if len(a.Requests) > maxRequests {
		return fmt.Errorf("check attack: %d requests are more than %d", len(a.Requests), maxRequests)
	}
	for i, r := range a.Requests {
		if err := r.validate(); err != nil {
			return fmt.Errorf("check request %d (%s %s): %w", i+1, r.Method, r.Path, err)
		}
	}
	switch {
	case math.IsNaN(a.Rate) || a.Rate < 0 || a.Rate > maxRate:
		return fmt.Errorf("check attack: rate %v is not between 0 and %.0f requests per second", a.Rate, maxRate)
	case a.Arrivals != "" && a.Arrivals != Constant && a.Arrivals != Poisson:
		return fmt.Errorf("check attack: arrivals %q are neither %s nor %s", a.Arrivals, Constant, Poisson)
	case math.IsNaN(a.CeilingRPS) || math.IsInf(a.CeilingRPS, 0) || a.CeilingRPS < 0:
		return fmt.Errorf("check attack: ceiling %v is not a number of requests per second", a.CeilingRPS)
	case a.Connections < 1 || a.Connections > maxConnections:
		return fmt.Errorf("check attack: connections %d is not between 1 and %d", a.Connections, maxConnections)
	case a.MaxBacklog < 0:
		return fmt.Errorf("check attack: max backlog %d is negative", a.MaxBacklog)
	case a.MaxBacklog > 0 && a.MaxBacklog < a.Connections:
		return fmt.Errorf("check attack: max backlog %d is less than the %d connections", a.MaxBacklog, a.Connections)
	case a.MaxBody < 0:
		return fmt.Errorf("check attack: max body %d is negative", a.MaxBody)
	case a.Warmup < 0 || a.Warmup > maxDuration:
		return fmt.Errorf("check attack: warm-up %v is not between 0 and %v", a.Warmup, maxDuration)
	case a.WarmupLimit < 0 || a.WarmupLimit > maxDuration:
		return fmt.Errorf("check attack: warm-up limit %v is not between 0 and %v", a.WarmupLimit, maxDuration)
	case a.WarmupLimit == 0 && a.WarmupRequests > 0:
		return fmt.Errorf("check attack: a warm-up of %d requests needs a limit in time", a.WarmupRequests)
	case a.WarmupLimit > 0 && a.WarmupLimit < a.Warmup:
		return fmt.Errorf("check attack: warm-up limit %v is less than the warm-up %v", a.WarmupLimit, a.Warmup)
	case a.Window <= 0 || a.Window > maxDuration:
		return fmt.Errorf("check attack: window %v is not above 0 and at most %v", a.Window, maxDuration)
	case a.WindowLimit < 0 || a.WindowLimit > maxDuration:
		return fmt.Errorf("check attack: window limit %v is not between 0 and %v", a.WindowLimit, maxDuration)
	case a.WindowLimit == 0 && a.WindowAnswers > 0:
		return fmt.Errorf("check attack: a window of %d answers needs a limit in time", a.WindowAnswers)
	case a.WindowLimit > 0 && a.WindowLimit < a.Window:
		return fmt.Errorf("check attack: window limit %v is less than the window %v", a.WindowLimit, a.Window)
	case a.Timeout <= 0 || a.Timeout > maxDuration:
		return fmt.Errorf("check attack: timeout %v is not above 0 and at most %v", a.Timeout, maxDuration)
	}
	for i, cpu := range a.CPUs {
		if cpu < 0 || cpu >= maxCPUs || slices.Contains(a.CPUs[:i], cpu) {
			return fmt.Errorf("check attack: CPUs %v: %d is out of range or listed twice", a.CPUs, cpu)
		}
	}
	return nil
}

func (r Request) validate() error {
	if math.IsNaN(r.Weight) || math.IsInf(r.Weight, 0) || r.Weight <= 0 {
		return fmt.Errorf("weight %v is not a number above 0", r.Weight)
	}
	if r.Weight < 1e-100 || r.Weight > 1e100 {
		return fmt.Errorf("weight %v is absurd", r.Weight)
	}
	if !strings.HasPrefix(r.Path, "/") {
		return fmt.Errorf("path %q does not begin with a slash", r.Path)
	}
	for _, status := range r.Expect {
		if status < 200 || status > 599 {
			return fmt.Errorf("expected status %d is not between 200 and 599", status)
		}
	}
	for name, values := range r.Header {
		if !httpguts.ValidHeaderFieldName(name) {
			return fmt.Errorf("header name %q is not valid", name)
		}
		for _, v := range values {
			if !httpguts.ValidHeaderFieldValue(v) {
				return fmt.Errorf("value of header %s is not valid", name) // it may be secret
			}
		}
	}
	if r.Method == "" {
		return errors.New("no method")
	}
	if r.Method == http.MethodConnect {
		return errors.New("method CONNECT asks for a proxy")
	}
	if !httpguts.ValidHeaderFieldName(r.Method) { // the same grammar
		return fmt.Errorf("method %q is not valid", r.Method)
	}
	_, err := url.Parse("http://localhost" + r.Path)
	return err
}

// base returns the URL that the requests' paths are appended to.
func (a Attack) base() (string, error) {
	if a.Socket != "" {
		if a.URL != "" {
			return "", fmt.Errorf("check attack: both a URL (%s) and a socket (%s) are given", a.URL, a.Socket)
		}
		return "http://localhost", nil
	}
	u, err := url.Parse(a.URL)
	if err != nil {
		return "", fmt.Errorf("check attack: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.Opaque != "" || u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return "", fmt.Errorf("check attack: URL %q is not of the form http://127.0.0.1:PORT or https://127.0.0.1:PORT", u.Redacted())
	}
	if !loopback(u.Hostname()) {
		return "", fmt.Errorf("check attack: host %q is not a loopback address: only servers on this machine are driven", u.Hostname())
	}
	return u.Scheme + "://" + u.Host, nil
}

func loopback(host string) bool {
	if host == "localhost" { // what it resolves to is checked again when dialling
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

// parseAttack reads one attack from JSON and gives it its defaults. Unknown keys are an
// error: a setting that is silently dropped would measure something else.
func parseAttack(text []byte) (Attack, error) {
	var a Attack
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&a); err != nil {
		return Attack{}, fmt.Errorf("read attack: %w", err)
	}
	if d.More() {
		return Attack{}, errors.New("read attack: more than one on the line")
	}
	if err := a.Validate(); err != nil {
		return Attack{}, err
	}
	return a.withDefaults(), nil
}
