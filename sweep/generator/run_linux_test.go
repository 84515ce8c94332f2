package generator

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Every thread of the child is held to the core, though the Go runtime starts most of them
// before any of our code runs; this process is not.
func TestChildIsHeldToItsCores(t *testing.T) {
	var before unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		t.Fatal(err)
	}
	cpu := 0
	for !before.IsSet(cpu) {
		cpu++
	}
	url, _ := serve(t, quick)
	a := testAttack(url)
	a.CPUs, a.Window = []int{cpu}, time.Hour
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var allowed []string
	if _, err := Run(ctx, a, func(p Progress) {
		if p.Event == Tick && p.OK > 0 { // all its threads have had something to do
			allowed = threadsOfChildren(t)
			cancel()
		}
	}); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if len(allowed) < 2 {
		t.Errorf("%d threads of the child were seen", len(allowed))
	}
	for _, list := range allowed {
		if list != fmt.Sprint(cpu) {
			t.Errorf("a thread may run on %s, want %d", list, cpu)
		}
	}
	threads, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil {
		t.Fatal(err)
	}
	own := make(map[string]int)
	for _, status := range threads {
		// The first thread can't end: one that was held to a core for a child is parked for ever.
		if filepath.Base(filepath.Dir(status)) != fmt.Sprint(os.Getpid()) {
			own[allowedList(status)]++
		}
	}
	delete(own, "") // has ended meanwhile
	if len(own) > 2 || before.Count() > 1 && own[fmt.Sprint(cpu)] > 1 {
		t.Errorf("threads of this process may run on: %v", own) // one is ending with the child
	}
}

func TestUnknownCoreIsAnError(t *testing.T) {
	a := testAttack("http://127.0.0.1:1")
	a.CPUs = []int{maxCPUs - 1}
	if _, err := Run(context.Background(), a, nil); err == nil || !strings.Contains(err.Error(), "hold to CPUs [1023]") {
		t.Errorf("got %v", err)
	}
}

// The child is a group of its own: a Ctrl-C in the terminal is for the parent's.
func TestChildIsAGroupOfItsOwn(t *testing.T) {
	c, err := startChild("attack", nil)
	if err != nil {
		t.Fatal(err)
	}
	group, err := unix.Getpgid(c.cmd.Process.Pid)
	if err != nil || group != c.cmd.Process.Pid {
		t.Errorf("group is %d, %v, want %d", group, err, c.cmd.Process.Pid)
	}
	c.in.Close()
	_ = c.wait() // "read attack: EOF"
}

func threadsOfChildren(t *testing.T) (allowed []string) {
	t.Helper()
	lists, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range lists {
		pids, err := os.ReadFile(list)
		if err != nil {
			continue // the thread has ended
		}
		for _, pid := range strings.Fields(string(pids)) {
			threads, err := filepath.Glob("/proc/" + pid + "/task/*/status")
			if err != nil {
				t.Fatal(err)
			}
			for _, status := range threads {
				if list := allowedList(status); list != "" {
					allowed = append(allowed, list)
				}
			}
		}
	}
	return allowed
}

// allowedList is "" if the thread has ended.
func allowedList(status string) string {
	text, err := os.ReadFile(status)
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(text), "Cpus_allowed_list:\t")
	list, _, _ := strings.Cut(rest, "\n")
	return list
}
