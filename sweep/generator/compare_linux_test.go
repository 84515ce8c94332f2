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
	"syscall"
	"testing"
	"text/tabwriter"
	"time"
)

// BenchmarkGenerators compares load generators in requests per second of their CPU time: the
// requests as the server counted them, the CPU time as the kernel did. Each runs alone on one
// core, several times in turns. Ours must do twice what the vegeta command does. Run it with
// -benchtime 1x on a quiet machine.
//
// The server is nginx with one worker on another core. Nobody here wrote it or is written in
// its language, it sends the fields that servers send, it counts all generators' requests the
// same way, and it answers faster than any of them asks but wrk.
func BenchmarkGenerators(b *testing.B) {
	const (
		connections = "32"
		rounds      = 5
		each        = 2 * time.Second
		wanted      = 2.0 // times the vegeta command
	)
	for _, program := range []string{"nginx", "hey", "wrk"} {
		if _, err := exec.LookPath(program); err != nil {
			b.Fatalf("install %s: %v", program, err)
		}
	}
	ours, theirs := twoCores(b)
	server := startNginx(b, theirs)
	vegeta, targets := buildVegeta(b), filepath.Join(b.TempDir(), "targets")
	if err := os.WriteFile(targets, []byte("GET "+server.url+"/\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	a := testLoop(server.url)
	a.Connections, a.CPUs, a.WarmupRequests, a.WarmupLimit, a.Window = 32, []int{ours}, 0, 0, each
	attack, err := json.Marshal(a)
	if err != nil {
		b.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}

	type generator struct {
		name  string
		args  []string
		env   string
		input string
		rates []float64
	}
	generators := []*generator{
		{name: "vegeta", args: []string{
			vegeta, "attack", "-targets", targets, "-rate", "0", "-max-workers", connections,
			"-duration", each.String(), "-output", os.DevNull,
		}},
		{name: "advise", args: []string{self, "attack"}, input: string(attack) + "\n"},
		{name: "advise over net/http", args: []string{self, "attack"}, input: string(attack) + "\n", env: overStandard + "=yes"},
		{name: "hey", args: []string{"hey", "-z", each.String(), "-c", connections, server.url + "/"}},
		{name: "wrk", args: []string{"wrk", "-t", "1", "-c", connections, "-d", each.String(), server.url + "/"}},
	}
	for b.Loop() {
		for range rounds {
			for _, g := range generators {
				c := exec.Command(g.args[0], g.args[1:]...)
				c.Env = append(os.Environ(), g.env)
				before := server.requests(b)
				used := runOn(b, ours, c, g.input)
				g.rates = append(g.rates, float64(server.requests(b)-before)/used.Seconds())
			}
		}
	}

	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "\tper CPU second\tlowest\thighest\ttimes vegeta\t\n")
	for _, g := range generators {
		slices.Sort(g.rates)
		ratio := median(g.rates) / median(generators[0].rates)
		fmt.Fprintf(w, "%s\t%.0f\t%.0f\t%.0f\t%.2f\t\n", g.name, median(g.rates), g.rates[0], g.rates[len(g.rates)-1], ratio)
		if g.name == "advise" {
			b.ReportMetric(ratio, "times-vegeta")
			if ratio < wanted {
				b.Errorf("%.2f times the vegeta command, want %.1f", ratio, wanted)
			}
		}
	}
	w.Flush()
	b.Logf("requests, medians of %d rounds, %s connections:\n%s", len(generators[0].rates), connections, &table)
}

func median(sorted []float64) float64 { return sorted[len(sorted)/2] }

// buildVegeta builds the command at the version that this module requires. What the command
// alone needs is added to a copy of go.mod.
func buildVegeta(b *testing.B) (path string) {
	b.Helper()
	dir := b.TempDir()
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join("..", "..", name))
		if err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			b.Fatal(err)
		}
	}
	path = filepath.Join(dir, "vegeta")
	c := exec.Command("go", "build", "-modfile", filepath.Join(dir, "go.mod"), "-mod", "mod", "-o", path, "github.com/tsenart/vegeta/v12")
	if out, err := c.CombinedOutput(); err != nil {
		b.Fatalf("build vegeta: %v\n%s", err, out)
	}
	return path
}

// runOn runs a program on one core and returns the CPU time it used. Its input stays open
// until it ends, as the end of it would end an attack.
func runOn(b *testing.B, cpu int, c *exec.Cmd, input string) time.Duration {
	b.Helper()
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	in, err := c.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	wait := startOn(b, cpu, c)
	_, _ = io.WriteString(in, input)
	if err := wait(); err != nil {
		b.Fatalf("%v: %v\n%s", c.Args, err, &out)
	}
	return c.ProcessState.UserTime() + c.ProcessState.SystemTime()
}

// startOn starts a program on one core. The program ends with the thread that started it, so
// that stays; see startChild.
func startOn(b *testing.B, cpu int, c *exec.Cmd) (wait func() error) {
	b.Helper()
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	started, exited := make(chan error), make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		err := pinThread([]int{cpu})
		if err == nil {
			err = c.Start()
		}
		started <- err
		if err == nil {
			exited <- c.Wait()
		}
	}()
	if err := <-started; err != nil {
		b.Fatal(err)
	}
	return func() error { return <-exited }
}

// An nginx answers everything with a few bytes, except /served.
type nginx struct{ url string }

func startNginx(b *testing.B, cpu int) nginx {
	b.Helper()
	// It gets the socket as from an nginx it takes over from, so nobody has to wait for it.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	socket, err := l.(*net.TCPListener).File()
	if err != nil {
		b.Fatal(err)
	}
	defer socket.Close()
	dir := b.TempDir()
	path := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(path, fmt.Appendf(nil, `
		daemon off;
		pid nginx.pid;
		error_log stderr;
		events {}
		http {
			access_log off;
			keepalive_requests 1000000000;
			client_body_temp_path body;
			server {
				listen %s;
				location / { return 200 "hello, world"; }
				location /served { stub_status; }
			}
		}`, l.Addr()), 0o600); err != nil {
		b.Fatal(err)
	}
	var said bytes.Buffer
	c := exec.Command("nginx", "-p", dir, "-c", path, "-e", "stderr")
	c.Stderr, c.ExtraFiles, c.Env = &said, []*os.File{socket}, append(os.Environ(), "NGINX=3;")
	wait := startOn(b, cpu, c)
	b.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM)
		_ = wait()
		if b.Failed() {
			b.Logf("nginx said:\n%s", &said)
		}
	})
	return nginx{url: "http://" + l.Addr().String()}
}

// requests is how many it has served.
func (n nginx) requests(b *testing.B) (served int) {
	b.Helper()
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, n.url+"/served", nil)
	if err != nil {
		b.Fatal(err)
	}
	request.Close = true
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		b.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		b.Fatal(err)
	}
	var accepted, handled int
	_, numbers, _ := strings.Cut(string(text), "requests\n")
	if _, err := fmt.Sscan(numbers, &accepted, &handled, &served); err != nil {
		b.Fatalf("%v in %q", err, text)
	}
	return served
}
