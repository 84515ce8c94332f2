package generator

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestNullStream(t *testing.T) {
	for text, want := range map[string]int{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n":                                                  1,
		"GET / HTTP/1.1\r\nHost: a\r\n\r\nHEAD / HTTP/1.1\r\n\r\n":                           2,
		"POST / HTTP/1.1\r\nCONTENT-length:  5 \r\n\r\nhello":                                1,
		"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhell":                                   0,
		"POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\n\r\n":         2,
		"PUT / HTTP/1.1\r\nContent-Length: 0\r\nX: y\r\n\r\nGET / HTTP/1.1\r\n\r\nGET / HTT": 2,
		"": 0,
	} {
		for size := 1; size <= max(len(text), 1); size++ { // wherever it is cut
			var s nullStream
			got := 0
			for rest := []byte(text); len(rest) > 0; {
				n, err := s.feed(rest[:min(size, len(rest))])
				if err != nil {
					t.Fatalf("%q in parts of %d: %v", text, size, err)
				}
				got += n
				rest = rest[min(size, len(rest)):]
			}
			if got != want {
				t.Errorf("%q in parts of %d: %d requests, want %d", text, size, got, want)
			}
		}
	}
	for _, text := range []string{
		"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
		"POST / HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\n", strings.Repeat("x", nullHead+1),
	} {
		var s nullStream
		if n, err := s.feed([]byte(text)); err == nil || n != 0 {
			t.Errorf("%.60q: %d requests and no error", text, n)
		}
	}
}

// What is counted does not depend on how the network cuts it.
func FuzzNullStream(f *testing.F) {
	f.Add([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\nPOST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"), uint16(7))
	f.Add([]byte("\r\n\r\n\r\n\r\n\r\n"), uint16(3))
	f.Fuzz(func(t *testing.T, text []byte, at uint16) {
		var whole, parts nullStream
		want, wantErr := whole.feed(text)
		cut := int(at) % (len(text) + 1)
		got, err := parts.feed(text[:cut])
		if err == nil {
			var more int
			more, err = parts.feed(text[cut:])
			got += more
		}
		if got != want || (err == nil) != (wantErr == nil) {
			t.Errorf("cut at %d: %d requests, %v; whole: %d, %v", cut, got, err, want, wantErr)
		}
	})
}

func TestNullServerAnswersEverything(t *testing.T) {
	in, feed := io.Pipe()
	out, lines := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- NullMain(in, lines) }()
	if err := json.NewEncoder(feed).Encode(nullConfig{Status: 201, Loops: 2}); err != nil {
		t.Fatal(err)
	}
	var first nullLine
	said := json.NewDecoder(out)
	if err := said.Decode(&first); err != nil {
		t.Fatal(err)
	}
	a := testLoop("http://" + first.Address)
	a.Connections = 7
	a.Requests = []Request{
		{Method: "GET", Path: "/a?b=c", Weight: 1, Expect: []int{201}},
		{Method: "HEAD", Path: "/", Weight: 1, Expect: []int{201}},
		{Method: "POST", Path: "/", Body: make([]byte, 200_000), Weight: 1, Expect: []int{201}},
		{Method: "DELETE", Path: "/", Header: http.Header{"Content-Type": {"text/plain"}}, Weight: 1, Expect: []int{201}},
	}
	if s := mustDrive(t, a); s.OKTotal < 100 || s.FailedTotal != 0 {
		t.Errorf("ok %d, failed %d %v", s.OKTotal, s.FailedTotal, s.Errors)
	}
	if _, err := feed.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	var used nullLine
	if err := said.Decode(&used); err != nil || used.CPUSeconds <= 0 {
		t.Errorf("CPU time is %+v, %v", used, err)
	}
	feed.Close() // ends it
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestNullMainRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                                   "read the null server's settings: EOF",
		"hello\n":                            "invalid character",
		`{"status": 101, "loops": 1}` + "\n": "status 101",
		`{"status": 200}` + "\n":             "on 0 cores",
	} {
		if err := NullMain(strings.NewReader(text), io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
	if answer := nullAnswer(http.StatusNoContent); bytes.Contains(answer, []byte("Length")) {
		t.Errorf("%q announces a body", answer)
	}
}

func calibration() CalibrationOptions {
	return CalibrationOptions{Connections: 8, Requests: []Request{{Method: "GET", Path: "/", Weight: 1}}}
}

func TestCalibrate(t *testing.T) {
	for _, expect := range [][]int{nil, {http.StatusNoContent}, {http.StatusFound, http.StatusOK}} {
		o := calibration()
		o.Requests = append(o.Requests, Request{Method: "POST", Path: "/", Body: []byte("text"), Weight: 1, Expect: []int{201}})
		o.Requests[0].Expect = expect
		c, err := Calibrate(t.Context(), o)
		if err != nil {
			t.Fatalf("expecting %v: %v", expect, err)
		}
		if c.ThroughputRPS <= 0 || c.CeilingRPS < c.ThroughputRPS || c.CPUShare <= 0 || c.ServerCPUShare <= 0 || c.PerCoreSecond <= 0 {
			t.Errorf("expecting %v: %+v", expect, c)
		}
		if c.Connections != 8 || !c.SharedCores || c.Seconds < calibrationWindow.Seconds() {
			t.Errorf("expecting %v: %+v", expect, c)
		}
		if fmt.Sprint(o.Requests[1].Expect) != "[201]" {
			t.Errorf("the scenario's own request was changed to %+v", o.Requests[1])
		}
	}
}

func TestCalibrateIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Calibrate(ctx, calibration()); !errors.Is(err, context.Canceled) {
		t.Errorf("before: got %v", err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), 200*time.Millisecond) // in the warm-up
	defer cancel()
	if _, err := Calibrate(ctx, calibration()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("meanwhile: got %v", err)
	}
}

// The null server of a program that is killed ends with it: so does a connection to it.
func TestNullServerDoesNotOutliveItsParent(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := &exec.Cmd{Path: self, Args: []string{"advise", "parent-of-null"}, Stderr: os.Stderr}
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	address, readErr := bufio.NewReader(out).ReadString('\n')
	c, dialErr := net.Dial("tcp", strings.TrimSpace(address))
	if err := parent.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = parent.Wait() // "signal: killed"
	if readErr != nil || dialErr != nil {
		t.Fatal(readErr, dialErr)
	}
	defer c.Close()
	if n, err := c.Read(make([]byte, 1)); err == nil {
		t.Errorf("%d bytes of a server that was asked nothing", n)
	}
}

func TestCalibrateRefuses(t *testing.T) {
	for want, change := range map[string]func(*CalibrationOptions){
		"calibrate the load generator: check attack: no requests":   func(o *CalibrationOptions) { o.Requests = nil },
		"calibrate the load generator: check attack: connections 0": func(o *CalibrationOptions) { o.Connections = 0 },
	} {
		o := calibration()
		change(&o)
		if _, err := Calibrate(t.Context(), o); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// What the null server could do no more is not the generator's ceiling.
func TestCeiling(t *testing.T) {
	for name, c := range map[string]struct {
		c    Calibration
		want float64
	}{
		"the generator is full":            {Calibration{ThroughputRPS: 1000, CPUShare: 0.95, ServerCPUShare: 0.5}, 1000},
		"both are":                         {Calibration{ThroughputRPS: 1000, CPUShare: 0.95, ServerCPUShare: 0.95}, 1000},
		"the server is":                    {Calibration{ThroughputRPS: 1000, CPUShare: 0.5, ServerCPUShare: 0.95}, 2000},
		"neither: one goroutine hands out": {Calibration{ThroughputRPS: 1000, CPUShare: 0.4, ServerCPUShare: 0.2}, 1000},
		"they share a core":                {Calibration{ThroughputRPS: 1000, CPUShare: 0.6, ServerCPUShare: 0.4}, 1000},
		"nothing is known":                 {Calibration{ThroughputRPS: 1000}, 1000},
	} {
		if got := c.c.ceiling(); got != c.want {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}
