package generator

import (
	"encoding/json"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestValidate(t *testing.T) {
	for want, change := range map[string]func(*Attack){
		"no requests": func(a *Attack) { a.Requests = nil },
		"request 1 (GET /): weight NaN is not a number above 0": func(a *Attack) { a.Requests[0].Weight = math.NaN() },
		"weight +Inf":                  func(a *Attack) { a.Requests[0].Weight = math.Inf(1) },
		"weight -1 ":                   func(a *Attack) { a.Requests[0].Weight = -1 },
		"weight 0 ":                    func(a *Attack) { a.Requests[0].Weight = 0 },
		"weight 1e-300 is absurd":      func(a *Attack) { a.Requests[0].Weight = 1e-300 },
		"path \"shop\" does not begin": func(a *Attack) { a.Requests[0].Path = "shop" },
		"invalid URL escape":           func(a *Attack) { a.Requests[0].Path = "/%zz" },
		"no method":                    func(a *Attack) { a.Requests[0].Method = "" },
		"method \"G T\" is not valid":  func(a *Attack) { a.Requests[0].Method = "G T" },
		"CONNECT asks for a proxy":     func(a *Attack) { a.Requests[0].Method = "CONNECT" },
		"expected status 99 ":          func(a *Attack) { a.Requests[0].Expect = []int{200, 99} },
		"header name \"a b\"":          func(a *Attack) { a.Requests[0].Header = http.Header{"a b": {"c"}} },
		"value of header Cookie":       func(a *Attack) { a.Requests[0].Header = http.Header{"Cookie": {"secret\n"}} },
		"rate NaN":                     func(a *Attack) { a.Rate = math.NaN() },
		"rate -1 ":                     func(a *Attack) { a.Rate = -1 },
		"rate +Inf":                    func(a *Attack) { a.Rate = math.Inf(1) },
		"arrivals \"bursty\" are neither constant nor poisson": func(a *Attack) { a.Arrivals = "bursty" },
		"ceiling NaN":                      func(a *Attack) { a.CeilingRPS = math.NaN() },
		"ceiling -1 ":                      func(a *Attack) { a.CeilingRPS = -1 },
		"connections 0 ":                   func(a *Attack) { a.Connections = 0 },
		"connections 1000000 ":             func(a *Attack) { a.Connections = 1e6 },
		"max backlog -1 ":                  func(a *Attack) { a.MaxBacklog = -1 },
		"max backlog 3 is less than the 4": func(a *Attack) { a.MaxBacklog = 3 },
		"max body -1 ":                     func(a *Attack) { a.MaxBody = -1 },
		"warm-up -1s":                      func(a *Attack) { a.Warmup = -time.Second },
		"warm-up limit -1s":                func(a *Attack) { a.WarmupLimit = -time.Second },
		"window limit -1s":                 func(a *Attack) { a.WindowLimit = -time.Second },
		"window limit 1s is less than the window 2s":   func(a *Attack) { a.Window, a.WindowLimit = 2*time.Second, time.Second },
		"a window of 7 answers needs a limit":          func(a *Attack) { a.WindowAnswers, a.WindowLimit = 7, 0 },
		"warm-up limit 1s is less than the warm-up 2s": func(a *Attack) { a.Warmup, a.WarmupLimit = 2*time.Second, time.Second },
		"needs a limit in time":                        func(a *Attack) { a.WarmupRequests = 1 },
		"window 0s":                                    func(a *Attack) { a.Window = 0 },
		"window 2h":                                    func(a *Attack) { a.Window = 2 * time.Hour },
		"timeout -1s":                                  func(a *Attack) { a.Timeout = -time.Second },
		"CPUs [1 1]":                                   func(a *Attack) { a.CPUs = []int{1, 1} },
		"CPUs [-1]":                                    func(a *Attack) { a.CPUs = []int{-1} },
		"both a URL":                                   func(a *Attack) { a.Socket = "/tmp/s" },
		"URL \"\"":                                     func(a *Attack) { a.URL = "" },
		"URL \"ftp://127.0.0.1:1\"":                    func(a *Attack) { a.URL = "ftp://127.0.0.1:1" },
		"URL \"http://127.0.0.1:1/shop\"":              func(a *Attack) { a.URL = "http://127.0.0.1:1/shop" },
		"URL \"http://u:xxxxx@127.0.0.1:1\"":           func(a *Attack) { a.URL = "http://u:secret@127.0.0.1:1" },
		"host \"example.com\" is not a loopback":       func(a *Attack) { a.URL = "http://example.com" },
		"host \"0.0.0.0\"":                             func(a *Attack) { a.URL = "http://0.0.0.0:1" },
		"host \"192.168.1.1\"":                         func(a *Attack) { a.URL = "http://192.168.1.1:1" },
		"host \"127.0.0.1.example.com\"":               func(a *Attack) { a.URL = "http://127.0.0.1.example.com" },
		"host \"localhost.example.com\"":               func(a *Attack) { a.URL = "http://localhost.example.com" },
		"host \"fe80::1\"":                             func(a *Attack) { a.URL = "http://[fe80::1]:1" },
	} {
		a := testAttack("http://127.0.0.1:1")
		change(&a)
		if err := a.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%v: tells a secret", err)
		}
	}
	for _, url := range []string{"http://127.0.0.1:1", "http://127.8.8.8:1/", "http://[::1]:80", "http://localhost:80", "http://[::ffff:127.0.0.1]:1", "https://127.0.0.1:1"} {
		if err := testAttack(url).Validate(); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// A name is checked when it has become an address, since /etc/hosts can say anything.
func TestOnlyLoopbackIsDialled(t *testing.T) {
	for address, want := range map[string]bool{
		"127.0.0.1:80": true, "[::1]:80": true, "127.0.0.2:80": true,
		"192.0.2.1:80": false, "[2001:db8::1]:80": false, "0.0.0.0:80": false, "localhost:80": false,
	} {
		if err := onlyLoopback("tcp", address, nil); (err == nil) != want {
			t.Errorf("dial %s: %v", address, err)
		}
	}
	a := testAttack("http://127.0.0.1:1")
	c, err := a.dialer()(t.Context(), "tcp", "192.0.2.1:80")
	if err == nil {
		c.Close()
	}
	if err == nil || !strings.Contains(err.Error(), errNotLoopback.Error()) {
		t.Errorf("got %v", err)
	}
}

func TestAttackSurvivesJSON(t *testing.T) {
	a := testAttack("http://127.0.0.1:1")
	a.Seed, a.Rate, a.MaxBacklog, a.MaxBody, a.CPUs = -3, 12.5, 99, 1000, []int{1, 3}
	a.Arrivals, a.CeilingRPS = Poisson, 54321.5
	a.Warmup, a.WarmupRequests, a.WarmupLimit = time.Second, 7, 2*time.Second
	a.WindowAnswers, a.WindowLimit = 75, 6*time.Second
	a.Requests[0].Header, a.Requests[0].Body, a.Requests[0].Expect = http.Header{"A": {"b"}}, []byte{0, 255}, []int{404}
	text, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	got, err := parseAttack(text)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(a, got); diff != "" {
		t.Errorf("(-sent +received):\n%s", diff)
	}
}

func FuzzParseAttack(f *testing.F) {
	for _, change := range []func(*Attack){
		func(*Attack) {},
		func(a *Attack) { a.Rate = 1e6 },
		func(a *Attack) { a.Requests[0].Weight = -1 },
		func(a *Attack) { a.Window = -1 },
		func(a *Attack) { a.URL, a.Socket = "", "/s" },
	} {
		a := testAttack("http://127.0.0.1:1")
		change(&a)
		text, err := json.Marshal(a)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(`{"url": "http://127.0.0.1:1", "requests": [{"method": "GET", "path": "/", "weight": NaN}]}`))
	f.Add([]byte(`{"weight": 1e999}`))
	f.Add([]byte(`{} {}`))
	f.Add([]byte(``))
	f.Fuzz(func(t *testing.T, text []byte) {
		a, err := parseAttack(text)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "read attack: ") && !strings.HasPrefix(err.Error(), "check ") {
				t.Errorf("error does not say what was done: %v", err)
			}
			return
		}
		// What was accepted can be made ready, and goes nowhere but to this machine.
		p := newPacer(t.Context(), time.Now(), nil, a.MaxBacklog)
		ex, err := newExchange(t.Context(), a, nil, p)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range ex.prepared {
			if host := r.blank.URL.Hostname(); !loopback(host) {
				t.Errorf("a request goes to %q", host)
			}
		}
		if a.WarmupLimit < a.Warmup || a.MaxBacklog < a.Connections || a.MaxBody <= 0 || a.cores() < 1 {
			t.Errorf("defaults are wrong: %+v", a)
		}
	})
}
