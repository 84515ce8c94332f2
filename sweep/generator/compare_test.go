package generator

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

// BenchmarkGenerators compares load generators, each alone on one core, in requests per
// second of its CPU time: the requests as nginx counted them, the CPU time as the kernel did.
// Run it with -benchtime 1x on a quiet machine.
//
// The server is nginx with one worker on another core. It is the cheapest to send to: a null
// server in Go sends each answer by itself, nginx works off what has arrived in one go, and so
// wakes the generator less often.
func BenchmarkGenerators(b *testing.B) {
	const connections, rounds, each = "32", 5, 2 * time.Second
	if runtime.NumCPU() < 2 {
		b.Skip("needs two cores")
	}
	for _, program := range []string{"nginx", "hey", "wrk"} {
		if _, err := exec.LookPath(program); err != nil {
			b.Skipf("install %s: %v", program, err)
		}
	}
	vegeta := buildVegeta(b)
	url := startNginx(b, 1)
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	a := testLoop(url)
	a.Connections, a.CPUs, a.WarmupRequests, a.WarmupLimit, a.Window = 32, []int{0}, 0, 0, each
	attack, err := json.Marshal(a)
	if err != nil {
		b.Fatal(err)
	}
	targets := filepath.Join(b.TempDir(), "targets")
	if err := os.WriteFile(targets, []byte("GET "+url+"/\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	own := func(env ...string) func() *exec.Cmd {
		return func() *exec.Cmd {
			c := exec.Command(self, "attack")
			c.Env = append(os.Environ(), env...)
			return c
		}
	}
	generators := []struct {
		name    string
		command func() *exec.Cmd
		input   string
		rates   []float64
	}{
		{name: "vegeta", command: func() *exec.Cmd {
			return exec.Command(vegeta, "attack", "-targets", targets, "-rate", "0", "-max-workers", connections, "-duration", each.String(), "-output", os.DevNull)
		}},
		{name: "advise", command: own(), input: string(attack) + "\n"},
		{name: "advise over net/http", command: own(overStandard + "=yes"), input: string(attack) + "\n"},
		{name: "hey", command: func() *exec.Cmd { return exec.Command("hey", "-z", each.String(), "-c", connections, url+"/") }},
		{name: "wrk", command: func() *exec.Cmd {
			return exec.Command("wrk", "-t", "1", "-c", connections, "-d", each.String(), url+"/")
		}},
	}
	for b.Loop() {
		for range rounds {
			for i := range generators {
				g := &generators[i]
				g.rates = append(g.rates, perCPUSecond(b, url, g.command(), g.input))
			}
		}
	}
	table := new(strings.Builder)
	w := tabwriter.NewWriter(table, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "\t%s\t%s\t%s\t%s\t\n", "requests per CPU second", "lowest", "highest", "times vegeta")
	for _, g := range generators {
		rates := slices.Sorted(slices.Values(g.rates))
		fmt.Fprintf(w, "%s\t%.0f\t%.0f\t%.0f\t%.2f\t\n", g.name, median(rates), rates[0], rates[len(rates)-1], median(rates)/median(slices.Sorted(slices.Values(generators[0].rates))))
	}
	w.Flush()
	b.Logf("medians of %d rounds, %s connections:\n%s", rounds, connections, table)
}

// buildVegeta builds the command at the version that this module requires. What the command
// alone needs is looked up in a copy of go.mod.
func buildVegeta(b *testing.B) (path string) {
	b.Helper()
	dir := b.TempDir()
	path = filepath.Join(dir, "vegeta")
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join("..", "..", name))
		if err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	c := exec.Command("go", "build", "-modfile", filepath.Join(dir, "go.mod"), "-mod", "mod", "-o", path, "github.com/tsenart/vegeta/v12")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		b.Fatalf("build vegeta: %v\n%s", err, out)
	}
	return path
}

func median(sorted []float64) float64 { return sorted[len(sorted)/2] }

// perCPUSecond runs a load generator, gives it its input and leaves that open, as its end would
// end an attack.
func perCPUSecond(b *testing.B, url string, c *exec.Cmd, input string) float64 {
	b.Helper()
	before := served(b, url)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	in, err := c.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := startPinned(c, 0); err != nil {
		b.Fatal(err)
	}
	_, _ = io.WriteString(in, input)
	if err := c.Wait(); err != nil {
		b.Fatalf("%v: %v\n%s", c.Args, err, &out)
	}
	return float64(served(b, url)-before) / (c.ProcessState.UserTime() + c.ProcessState.SystemTime()).Seconds()
}

func startNginx(b *testing.B, cpu int) (url string) {
	b.Helper()
	dir := b.TempDir()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	conf := fmt.Sprintf(`
		daemon off; master_process off; pid nginx.pid; error_log stderr;
		events { worker_connections 1024; }
		http {
			access_log off; keepalive_requests 1000000000;
			server {
				listen %s;
				location / { return 200 "hello, world"; }
				location /status { stub_status; }
			}
		}`, address)
	path := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(path, []byte(conf), 0o600); err != nil {
		b.Fatal(err)
	}
	c := exec.Command("nginx", "-p", dir, "-c", path, "-e", "stderr")
	if err := startPinned(c, cpu); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	url = "http://" + address
	for range 200 {
		if _, err := requests(url); err == nil {
			return url
		}
		time.Sleep(10 * time.Millisecond)
	}
	b.Fatal("nginx does not answer")
	return ""
}

func served(b *testing.B, url string) int {
	n, err := requests(url)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// requests is how many nginx has served.
func requests(url string) (int, error) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url+"/status", nil)
	if err != nil {
		return 0, err
	}
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err
	}
	var accepts, handled, n int
	_, rest, _ := strings.Cut(string(text), "requests\n")
	_, err = fmt.Sscan(rest, &accepts, &handled, &n)
	return n, err
}

func startPinned(c *exec.Cmd, cpu int) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		err := pinThread([]int{cpu})
		if err == nil {
			err = c.Start()
		}
		started <- err
	}()
	return <-started
}
