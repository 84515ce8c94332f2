package targets

import (
	"net/http"
	"testing"
	"time"
)

// stoppedOf waits until so many of the workers are stopped.
func stoppedOf(t *testing.T, i *Instance, want int) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for got := -1; got != want; {
		list, err := i.WorkerProcesses()
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("%d workers are stopped (%v), want %d", got, err, want)
		}
		got = 0
		for _, p := range list {
			if p.State == "T" {
				got++
			}
		}
	}
}

// While one of two workers is stopped the other answers; then both go on.
func TestPauseWorker(t *testing.T) {
	i, err := unlimited(t, Demo(nil, marked(t), t.TempDir()), 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := i.PauseWorker(3); ok {
		t.Error("one of three workers is stopped, and there are two")
	}
	stoppedOf(t, i, 0)
	resume, ok := i.PauseWorker(2)
	if !ok {
		t.Fatal("no worker is stopped")
	}
	stoppedOf(t, i, 1)
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for range 20 {
		response, err := client.Get(i.URL)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
	}
	resume()
	stoppedOf(t, i, 0)
}
