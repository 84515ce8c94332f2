package generator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// misbehave has the child of a test do something else than its attack.
const misbehave = "ADVISE_TEST_MISBEHAVE"

// overStandard has it use net/http's transport.
const overStandard = "ADVISE_TEST_OVER_STANDARD"

// attackMain is `advise attack` for these tests.
func attackMain() int {
	switch os.Getenv(misbehave) {
	case "fail":
		fmt.Fprintln(os.Stderr, "first line\nout of everything")
		return 1
	case "babble":
		fmt.Fprintln(os.Stdout, "hello?")
		select {} // until it is killed
	case "silent":
		return 0
	case "deaf": // to the end of its input
		fmt.Fprintln(os.Stdout, `{"progress": {"event": "warmup_started"}}`)
		select {}
	}
	over := connect
	if os.Getenv(overStandard) != "" {
		over = newStandard
	}
	if err := mainOver(os.Stdin, os.Stdout, nil, over); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// nullMain is `advise null-server` for these tests.
func nullMain() int {
	if err := NullMain(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// parentMain is a program that runs an endless attack.
func parentMain(url string) int {
	a := testAttack(url)
	a.Window = time.Hour
	_, err := Run(context.Background(), a, nil)
	fmt.Fprintln(os.Stderr, err)
	return 1
}

// parentOfNull is a program that has a null server and waits for ever.
func parentOfNull() int {
	null, err := startNull(context.Background(), http.StatusOK, nil)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Fprintln(os.Stdout, null.address)
	select {}
}

func TestRun(t *testing.T) {
	url, _ := serve(t, quick)
	a := testAttack(url)
	a.Seed = 7
	var events []Event
	s, err := Run(context.Background(), a, func(p Progress) { events = append(events, p.Event) })
	if err != nil {
		t.Fatal(err)
	}
	if s.OK != testPlanned || s.Failed != 0 || s.WindowSeconds != 0.2 || s.MaxRSSBytes <= 0 || s.CPUSeconds <= 0 {
		t.Errorf("got %+v", s)
	}
	if len(events) < 3 || events[0] != WarmupStarted {
		t.Errorf("events are %v", events)
	}
}

func TestRunIsCancelled(t *testing.T) {
	url, _ := serve(t, hang(t))
	a := testAttack(url)
	a.Window, a.Timeout = time.Hour, time.Hour
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s, err := Run(ctx, a, func(p Progress) {
		if p.Event == WindowStarted {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want %v", err, context.Canceled)
	}
	if s == nil || !s.Interrupted {
		t.Errorf("what was measured so far is %+v", s)
	}

	if _, err := Run(ctx, a, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("already cancelled: got %v", err)
	}
}

// A child that does not hear is killed.
func TestRunIsCancelledAnyhow(t *testing.T) {
	t.Setenv(misbehave, "deaf")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	_, err := Run(ctx, testAttack("http://127.0.0.1:1"), func(Progress) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestRunTellsWhatTheChildSaid(t *testing.T) {
	for how, want := range map[string]string{
		"fail":   "attack http://127.0.0.1:1: exit status 1: first line\nout of everything",
		"babble": "read from the load generator: invalid character",
		"silent": "attack http://127.0.0.1:1: the load generator ended without a summary",
	} {
		t.Run(how, func(t *testing.T) {
			t.Setenv(misbehave, how)
			_, err := Run(context.Background(), testAttack("http://127.0.0.1:1"), nil)
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %s", err, want)
			}
		})
	}
}

func TestRunRefusesAnybodyElsesHost(t *testing.T) {
	if _, err := Run(context.Background(), testAttack("http://192.0.2.1:80"), nil); err == nil || !strings.Contains(err.Error(), "192.0.2.1") {
		t.Errorf("got %v", err)
	}
}

// The end of the child's input, as when its parent has died, ends it.
func TestMainEndsWithItsInput(t *testing.T) {
	url, _ := serve(t, quick)
	a := testAttack(url)
	a.Window = time.Hour
	text, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := Main(bytes.NewReader(append(text, '\n')), &out, nil); err != nil {
		t.Fatal(err)
	}
	s, err := readLines(&out, nil)
	if err != nil || s == nil || !s.Interrupted {
		t.Errorf("got %+v, %v", s, err)
	}
}

func TestMainEndsWhenNobodyReads(t *testing.T) {
	url, _ := serve(t, quick)
	a := testAttack(url)
	a.Window = time.Hour
	text, err := json.Marshal(a)
	if err != nil {
		t.Fatal(err)
	}
	in, feed := io.Pipe()
	defer feed.Close()
	out, unread := io.Pipe()
	out.Close()
	go func() { _, _ = feed.Write(append(text, '\n')) }()
	if err := Main(in, unread, nil); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v, want %v", err, io.ErrClosedPipe)
	}
}

// The generator of a program that is killed ends with it: its connections close, though its
// attack had an hour to go.
func TestGeneratorDoesNotOutliveItsParent(t *testing.T) {
	var mu sync.Mutex
	open := make(map[net.Conn]bool)
	served, empty := make(chan struct{}, 1), make(chan struct{}, 1)
	tell := func(c chan struct{}) {
		select {
		case c <- struct{}{}:
		default:
		}
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { tell(served) }))
	s.Config.ConnState = func(c net.Conn, state http.ConnState) {
		mu.Lock()
		defer mu.Unlock()
		if state == http.StateClosed {
			delete(open, c)
		} else {
			open[c] = true
		}
		if len(open) == 0 {
			tell(empty)
		}
	}
	s.Start()
	defer s.Close()

	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := &exec.Cmd{Path: self, Args: []string{"advise", "parent", s.URL}}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	<-served
	if err := parent.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = parent.Wait() // "signal: killed"
	<-empty
}
