package demo

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// onOneCore runs the server on the last core we may use, and leaves the test where it is.
func onOneCore(t testing.TB, run func() *server) *server {
	t.Helper()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var all, one unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		t.Fatal(err)
	}
	for cpu := range len(all) * 64 {
		if all.IsSet(cpu) {
			one.Zero()
			one.Set(cpu)
		}
	}
	// A process started by this thread inherits its affinity.
	if err := unix.SchedSetaffinity(0, &one); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.SchedSetaffinity(0, &all); err != nil {
			t.Error(err)
		}
	}()
	return run()
}

// cpu is the CPU time of the master and its workers, every thread of them.
func (s *server) cpu() time.Duration {
	s.t.Helper()
	var sum time.Duration
	for _, pid := range append(keys(s.workers), s.cmd.Process.Pid) {
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
		if len(threads) == 0 {
			s.t.Fatalf("no figures of process %d", pid)
		}
		for _, thread := range threads {
			b, err := os.ReadFile(thread)
			if err != nil {
				continue // the thread has ended
			}
			// proc(5): time on the CPU in ns, time waiting for it in ns, number of turns.
			ns, err := strconv.ParseInt(strings.Fields(string(b))[0], 10, 64)
			if err != nil {
				s.t.Fatal(err)
			}
			sum += time.Duration(ns)
		}
	}
	return sum
}

func keys(m map[int]bool) []int {
	var ks []int
	for k := range m {
		ks = append(ks, k)
	}
	return ks
}

// cpuPerRequest is the CPU time of the whole server for one of n requests.
func cpuPerRequest(s *server, n, connections int) time.Duration {
	s.drive(10*len(s.workers), connections) // all have begun
	before := s.cpu()
	s.drive(n, connections)
	return (s.cpu() - before) / time.Duration(n)
}

// What the kernel accounts to all processes of the server is what was asked for, though three workers
// want the one core at every moment. On wall time each would burn a third of it.
func TestCPUPerRequestHoldsUnderContention(t *testing.T) {
	for _, c := range []struct{ cpu, wait, serial time.Duration }{
		{time.Millisecond, 0, 0},
		{2 * time.Millisecond, 8 * time.Millisecond, 0},
		{5 * time.Millisecond, 0, 0},
		{time.Millisecond, 0, time.Millisecond},
	} {
		config := quick(3)
		config.CPU, config.Wait, config.Serial = c.cpu, c.wait, c.serial
		t.Run(fmt.Sprint(c.cpu, c.wait, c.serial), func(t *testing.T) {
			s := onOneCore(t, func() *server { return start(t, config) })
			got, want := cpuPerRequest(s, 200, 6), c.cpu+c.serial
			t.Logf("%v per request", got)
			if room := want/4 + 300*time.Microsecond; got < want-want/20 || got > want+room {
				t.Errorf("got %v of CPU per request, want %v to %v", got, want-want/20, want+room)
			}
		})
	}
}

func TestSlowShare(t *testing.T) {
	c := quick(1)
	c.CPU, c.SlowShare, c.SlowFactor = time.Millisecond, 0.2, 6
	s := start(t, c)
	got := cpuPerRequest(s, 300, 2)
	// Of 300 requests 60 are slow, plus or minus 7: on average 2 ms plus or minus 0.12 ms.
	if got < 1600*time.Microsecond || got > 2900*time.Microsecond {
		t.Errorf("got %v of CPU per request, want about 2ms", got)
	}
}

// Waiting is not burning: that would take 5 ms. Accepting, reading and answering take some 0.1 ms.
func TestWaitingUsesNoCPU(t *testing.T) {
	c := quick(1)
	c.Wait, c.WaitDistribution = 5*time.Millisecond, "exp"
	s := start(t, c)
	if got := cpuPerRequest(s, 100, 2); got > c.Wait/2 {
		t.Errorf("got %v of CPU per request that only waits", got)
	}
}

// A worker without requests costs nothing: the others are not measured with it.
func TestConnectionsWakeOneWorker(t *testing.T) {
	c := quick(1)
	alone := cpuPerRequest(start(t, c), 1000, 1)
	c.Workers = 16
	among := cpuPerRequest(start(t, c), 1000, 1)
	t.Logf("%v alone, %v among 16", alone, among)
	if among > 3*alone+100*time.Microsecond {
		t.Errorf("got %v of CPU per request at 16 workers, %v at one", among, alone)
	}
}

func TestMemoryIsPrivate(t *testing.T) {
	c := quick(2)
	c.Memory = 24 << 20
	c.Faults.Leak = 1 << 20
	s := start(t, c)
	first := s.get("/").worker
	before := private(t, first)
	if before < c.Memory || before > c.Memory+16<<20 {
		t.Errorf("got %d bytes private, want %d and a little", before, c.Memory)
	}
	const requests = 20
	served := 0
	for range requests {
		if s.get("/").worker == first {
			served++
		}
	}
	if grown := private(t, first) - before; grown < int64(served)*c.Faults.Leak {
		t.Errorf("grown by %d bytes in %d requests, want %d each", grown, served, c.Faults.Leak)
	}
}

// private is the memory that a process has for itself, in bytes.
func private(t *testing.T, pid int) int64 {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for in := bufio.NewScanner(f); in.Scan(); {
		if value, ok := strings.CutPrefix(in.Text(), "Private_Dirty:"); ok {
			kib, err := strconv.ParseInt(strings.Fields(value)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatal("no Private_Dirty")
	return 0
}

// Serial sections of different workers never overlap; killing the holder frees the lock.
func TestSerialLockOutlivesItsHolder(t *testing.T) {
	c := quick(2)
	c.Serial = time.Hour
	s := start(t, c)
	stuck := s.dial()
	defer stuck.Close()
	fmt.Fprint(stuck, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	holder := lockHolder(t, s)
	if err := unix.Kill(holder, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(s.dial(), "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	for s.workers[holder] {
		s.next()
	}
	if next := lockHolder(t, s); next == holder {
		t.Errorf("dead worker %d holds the lock", holder)
	}
}

// lockHolder waits until a worker has the shared lock.
func lockHolder(t *testing.T, s *server) int {
	t.Helper()
	for {
		b, err := os.ReadFile("/proc/locks")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			// 1: POSIX  ADVISORY  WRITE 1234 fe:00:5678 0 EOF
			if f := strings.Fields(line); len(f) > 4 && f[1] == "POSIX" && f[3] == "WRITE" {
				if pid, _ := strconv.Atoi(f[4]); s.workers[pid] {
					return pid
				}
			}
		}
		runtime.Gosched()
	}
}

// BenchmarkWorkers is the throughput on one core against the number of workers, of the default physics:
// 2 ms of CPU and 8 ms of waiting make 100 requests per second and worker, and never more than 500.
func BenchmarkWorkers(b *testing.B) {
	for n := 1; n <= 8; n++ {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			c := Default()
			c.Port, c.Workers = 0, n
			s := onOneCore(b, func() *server { return start(b, c) })
			s.drive(10*n, 2*n)
			before := s.cpu()
			b.ResetTimer()
			s.drive(b.N, 2*n)
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
			b.ReportMetric(float64((s.cpu()-before).Microseconds())/float64(b.N), "cpu-µs/req")
		})
	}
}
