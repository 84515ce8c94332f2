package hold_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"advise/targets/hold"
)

// withoutNamespaces starts a process that may make none, nor may what it starts.
func withoutNamespaces(c *exec.Cmd) error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		err := unix.Prctl(unix.PR_CAPBSET_DROP, unix.CAP_SYS_ADMIN, 0, 0, 0)
		if err == nil || os.Geteuid() != 0 {
			err = c.Start()
		}
		started <- err
	}()
	return <-started
}

// A chain is what stands between a server and the ground.
type chain struct {
	advise, guard, first, server int
	apart                        bool // the server is in a PID namespace
	wait                         func()
}

// started runs an advise with a server of three workers, all of them in the guard's session.
func started(t *testing.T, s hold.Spec, how string) chain {
	t.Helper()
	c, out := advise(t, s, how)
	if !out.Scan() {
		t.Fatal(out.Err())
	}
	k := chain{advise: c.Process.Pid, wait: func() { _ = c.Wait() }}
	if _, err := fmt.Sscanf(out.Text(), "started %d %d %d", &k.guard, &k.server, &k.first); err != nil {
		t.Fatal(err, out.Text())
	}
	k.apart = len(strings.Fields(statusLine(strconv.Itoa(k.server), "NSpid"))) > len(strings.Fields(statusLine("self", "NSpid")))
	return k
}

// kill kills several, named from the outermost inwards, in the same instant: none of them can act on the end
// of another. The inner ones go first, as the end of a parent wakes who is stopped.
func kill(t *testing.T, pids ...int) {
	t.Helper()
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	for _, pid := range slices.Backward(pids) {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
}

// ways are the two in which a server may be held by each method.
func ways(t *testing.T, test func(t *testing.T, l hold.Limits, how string)) {
	t.Helper()
	each(t, hold.Limits{}, func(t *testing.T, l hold.Limits) {
		t.Run("together", func(t *testing.T) { test(t, l, "together") })
		if os.Geteuid() == 0 {
			t.Run("apart", func(t *testing.T) { test(t, l, "stay") })
		}
	})
}

// Of advise, the guard and the first process any one that is left ends all and removes all.
func TestAnyPairIsKilled(t *testing.T) {
	victims := map[string]func(chain) []int{
		"advise":           func(k chain) []int { return []int{k.advise} },
		"guard":            func(k chain) []int { return []int{k.guard} },
		"first":            func(k chain) []int { return []int{k.first} },
		"advise and guard": func(k chain) []int { return []int{k.advise, k.guard} },
		"advise and first": func(k chain) []int { return []int{k.advise, k.first} },
		"guard and first":  func(k chain) []int { return []int{k.guard, k.first} },
	}
	ways(t, func(t *testing.T, l hold.Limits, how string) {
		for name, of := range victims {
			for _, ready := range []bool{false, true} {
				t.Run(fmt.Sprint(name, ready), func(t *testing.T) {
					s, log := server(t, l, "workers")
					s.Remove = []string{filepath.Join(t.TempDir(), "socket")}
					s.Env = append(s.Env, "TOUCH="+s.Remove[0])
					k := started(t, s, how)
					if k.apart != (how == "stay") {
						t.Errorf("in a namespace: %v", k.apart)
					}
					if ready {
						eventually(t, "the server and its workers are ready", func() bool { return strings.Count(log(), "ready") == 4 })
					}
					kill(t, of(k)...)
					nothingLeft(t)
					gone(t, s.Remove[0])
					noFolders(t, k.advise)
					k.wait()
				})
			}
		}
	})
}

// noFolders fails the test if a cgroup of a tree of an advise is left, be its guard dead or not.
func noFolders(t *testing.T, pid int) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(os.TempDir(), hold.Prefix+"*-"+strconv.Itoa(pid)+"-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left: %q, %v", left, err)
	}
}

// With all three killed nobody is left to clean up. The kernel ends the processes where they have a
// namespace; the next start does the rest.
func TestAllAreKilled(t *testing.T) {
	ways(t, func(t *testing.T, l hold.Limits, how string) {
		t.Setenv("TMPDIR", t.TempDir())
		s, log := server(t, l, "workers")
		k := started(t, s, how+"-folder")
		eventually(t, "the server and its workers are ready", func() bool { return strings.Count(log(), "ready") == 4 })
		kill(t, k.advise, k.guard, k.first)
		k.wait()
		eventually(t, "the first processes have ended", func() bool {
			return ended(k.guard) && ended(k.first) && ended(k.server)
		})
		if k.apart {
			eventually(t, "the workers have ended", func() bool { return len(marked(mark(t))) == 0 })
		} else if len(marked(mark(t))) == 0 {
			t.Log("another advise on this machine was faster: this shows nothing")
		}
		if left, _ := filepath.Glob(filepath.Join(os.TempDir(), hold.Prefix+"*")); len(left) != 1 {
			t.Errorf("folders: %q, want one", left)
		}
		next, _ := server(t, l, "exit", "0")
		tree, err := hold.Start(context.Background(), next)
		if err != nil {
			t.Fatal(err)
		}
		<-tree.Done()
		nothingLeft(t)
		if left, _ := filepath.Glob(filepath.Join(os.TempDir(), hold.Prefix+"*")); len(left) != 0 {
			t.Errorf("folders: %q, want none", left)
		}
	})
}

func ended(pid int) bool {
	state := statusLine(strconv.Itoa(pid), "State")
	return state == "" || strings.HasPrefix(state, "Z")
}

// Who is stopped can't clean up; who can does, and the others go too.
func TestStopped(t *testing.T) {
	ways(t, func(t *testing.T, l hold.Limits, how string) {
		for name, stopped := range map[string]func(chain) int{
			"guard": func(k chain) int { return k.guard },
			"first": func(k chain) int { return k.first },
		} {
			t.Run(name, func(t *testing.T) {
				s, log := server(t, l, "workers")
				k := started(t, s, how)
				eventually(t, "the server and its workers are ready", func() bool { return strings.Count(log(), "ready") == 4 })
				if err := syscall.Kill(stopped(k), syscall.SIGSTOP); err != nil {
					t.Fatal(err)
				}
				if err := syscall.Kill(k.advise, syscall.SIGKILL); err != nil {
					t.Fatal(err)
				}
				k.wait()
				nothingLeft(t)
			})
		}
	})
}

// A guard that somebody has stopped is woken to stop its server.
func TestStopOfAStoppedGuard(t *testing.T) {
	s, _ := server(t, hold.Limits{Method: hold.None}, "idle")
	tree := begin(t, s)
	guard, _ := tree.Guard()
	if err := syscall.Kill(guard, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := tree.Stop(cancelled(), syscall.SIGTERM, 0); err != nil {
		t.Error(err)
	}
}

// Who kills all that is called advise must not hit those who clean up.
func TestNamesOfThoseWhoCleanUp(t *testing.T) {
	s, _ := server(t, hold.Limits{Method: hold.None}, "idle")
	tree := begin(t, s)
	guard, _ := tree.Guard()
	for pid, want := range map[int]string{guard: "hold-guard hold guard", tree.First(): "hold-first hold guard first"} {
		name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		words, failed := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		got := strings.TrimSpace(string(name)) + " " + strings.ReplaceAll(strings.TrimRight(string(words), "\x00"), "\x00", " ")
		if err := errors.Join(err, failed); err != nil || got != want {
			t.Errorf("%d is %q, %v, want %q", pid, got, err, want)
		}
	}
}

// What a server says of itself can be told apart from what others call it.
func TestNumbers(t *testing.T) {
	each(t, hold.Limits{}, func(t *testing.T, l hold.Limits) {
		s, log := server(t, l, "pid")
		tree := begin(t, s)
		eventually(t, "it has said its number", func() bool { return strings.HasSuffix(log(), "\n") })
		own, err := strconv.Atoi(strings.TrimSpace(log()))
		if err != nil {
			t.Fatal(err)
		}
		if known, err := tree.Numbers(); err != nil || len(known) != 1 || known[own] != tree.PID() {
			t.Errorf("it says %d of itself, known are %v, %v, want %d", own, known, err, tree.PID())
		}
		if apart := own != tree.PID(); apart != (os.Geteuid() == 0) {
			t.Errorf("in a namespace: %v", apart)
		}
	})
}

// A name of a dead guard that was saved and set again kills nobody: neither those who set it, nor advise
// and what it descends from.
func TestStaleNameInTheEnvironment(t *testing.T) {
	space, _, _ := strings.Cut(hold.Identity(os.Getpid()), "-")
	stale := "ADVISE_GUARD=" + space + "-4194000-1"
	other := exec.Command(self(), "server", "idle")
	other.Env = append(os.Environ(), stale)
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Wait() }()
	defer func() { _ = other.Process.Kill() }()

	s, _ := server(t, hold.Limits{Method: hold.None}, "exit", "0")
	c, out := adviseWith(t, []string{stale}, s, "stay")
	if !out.Scan() {
		t.Fatal("advise was killed")
	}
	if err := c.Wait(); err != nil {
		t.Error(err)
	}
	if ended(other.Process.Pid) {
		t.Error("a process with the name in its environment was killed")
	}
	nothingLeft(t)
}

// A name that is not that of a guard which holds advise does not come to be in the server's environment.
func TestOtherNamesAreNotHandedOn(t *testing.T) {
	s, _ := server(t, hold.Limits{Method: hold.None}, "idle")
	own := "ADVISE_GUARD=" + hold.Identity(os.Getppid()) // as if the parent of the test were a guard
	s.Env = append(s.Env, "ADVISE_GUARD=1-4194000-1", "ADVISE_GUARD=", own)
	tree := begin(t, s)
	_, name := tree.Guard()
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", tree.PID()))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for entry := range strings.SplitSeq(string(environ), "\x00") {
		if strings.HasPrefix(entry, "ADVISE_GUARD=") {
			got = append(got, entry)
		}
	}
	if want := []string{own, "ADVISE_GUARD=" + name}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// Only what NewFolder has made for a process that has ended is removed.
func TestStaleFolders(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	space, _, _ := strings.Cut(hold.Identity(os.Getpid()), "-")
	dead := hold.Prefix + space + "-4194000-1+"
	folder := func(name string, mode fs.FileMode) {
		if err := os.Mkdir(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(filepath.Join(dir, name), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name, "file"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	folder(dead+"1", 0o711)
	folder(dead+"2", 0o755)                    // of another mode
	folder(dead+"backup", 0o711)               // of another form
	folder(hold.Prefix+"notes+1", 0o711)       // of nobody
	folder(hold.Prefix+"1-4194000-1+1", 0o711) // of another PID namespace
	if err := os.Symlink(dead+"2", filepath.Join(dir, dead+"3")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, dead+"4"), nil, 0o711); err != nil {
		t.Fatal(err)
	}
	living, err := hold.NewFolder()
	if err != nil {
		t.Fatal(err)
	}
	s, _ := server(t, hold.Limits{Method: hold.None}, "exit", "0")
	tree := begin(t, s)
	<-tree.Done()
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range left {
		got = append(got, e.Name())
	}
	want := []string{dead + "2", dead + "backup", dead + "3", dead + "4", hold.Prefix + "notes+1", hold.Prefix + "1-4194000-1+1", filepath.Base(living)}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("left are %q, want %q", got, want)
	}
}
