package cmd_test

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// The tests called TestFaults throw random faults at the program from outside. `make test` tries the first
// of each area, `make test-faults` all of them. A case is a number: the same number is always the same case.

// A count is how many cases of an area there are.
type count struct{ short, full int }

func (c count) now() int {
	if testing.Short() {
		return c.short
	}
	return c.full
}

// How many cases each area has; those of kills are in their own table, with what is killed.
var (
	damagedRecords  = count{60, 1000}
	hostileProjects = count{100, 1000}
	plantedSecrets  = count{120, 1000}
	sweptSecrets    = count{2, 40}
	resumedSweeps   = count{1, 10}
)

// faultsSeed begins the random numbers of every case.
const faultsSeed = 9

// A tally is the table of what was tried and what survived, as it is printed at the end.
type tally struct{ rows []*tallyRow }

type tallyRow struct {
	area            string
	kinds, failed   map[string]int
	tried, survived int
}

var tallied tally

func (t *tally) add(area, kind string, cases int, survived bool) {
	i := slices.IndexFunc(t.rows, func(r *tallyRow) bool { return r.area == area })
	if i < 0 {
		i = len(t.rows)
		t.rows = append(t.rows, &tallyRow{area: area, kinds: map[string]int{}, failed: map[string]int{}})
	}
	r := t.rows[i]
	r.tried += cases
	r.kinds[kind] += cases
	if survived {
		r.survived += cases
	} else {
		r.failed[kind] += cases
	}
}

func (t *tally) String() string {
	if len(t.rows) == 0 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n| area | kinds | tried | survived |\n|---|---|---|---|\n")
	for _, r := range t.rows {
		fmt.Fprintf(&b, "| %s | %d | %d | %d |\n", r.area, len(r.kinds), r.tried, r.survived)
	}
	for _, r := range t.rows {
		for _, kind := range slices.Sorted(maps.Keys(r.failed)) {
			fmt.Fprintf(&b, "%s: %s: %d of %d failed\n", r.area, kind, r.failed[kind], r.kinds[kind])
		}
	}
	return b.String()
}

// tried runs one case as a subtest named by its number. A case that fails says how it is run alone.
func tried(t *testing.T, n int, area, kind string, try func(t *testing.T, r *rand.Rand)) {
	t.Helper()
	triedTogether(t, n, 1, area, kind, try)
}

// triedTogether runs several cases as one, named by the number of the first: none survives where one fails.
func triedTogether(t *testing.T, n, cases int, area, kind string, try func(t *testing.T, r *rand.Rand)) {
	t.Helper()
	ran := false
	ok := t.Run(fmt.Sprint(n), func(t *testing.T) {
		ran = true
		t.Cleanup(func() {
			if t.Failed() {
				test, number, _ := strings.Cut(t.Name(), "/")
				t.Logf("%s, seed %d; alone: go test ./cmd -run '^%s$/^%s$'", kind, faultsSeed, test, number)
			}
		})
		try(t, rand.New(rand.NewPCG(faultsSeed, uint64(n))))
	})
	if ran {
		tallied.add(area, kind, cases, ok)
	}
}

// An outcome is what a command line came to.
type outcome struct {
	args        []string
	code        int
	out, stderr string
}

func (o outcome) String() string {
	return fmt.Sprintf("advise %q: exit code %d\n%s%s", o.args, o.code, shortened(o.out), shortened(o.stderr))
}

// shortened quotes what is not plain, for the log of a failed case.
func shortened(s string) string {
	const most = 3000
	if len(s) > most {
		s = s[:most] + "..."
	}
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		if notPlain(line) != "" {
			lines[i] = fmt.Sprintf("%+q", line)
		}
	}
	return strings.Join(lines, "\n")
}

// patience is for one command that measures nothing: it takes a fraction of a second.
const patience = 10 * time.Second

// runs runs a command line in this process. One that panics or does not end fails the case; where it waits
// for a pipe of the folder it is let go.
func runs(t *testing.T, folder string, args ...string) outcome {
	t.Helper()
	done := make(chan outcome, 1)
	go func() {
		o := outcome{args: args, code: -1}
		defer func() {
			if p := recover(); p != nil {
				o.stderr = fmt.Sprintf("panic: %v\n%s", p, debug.Stack())
			}
			done <- o
		}()
		o.code, o.out, o.stderr = command(args...)
	}()
	select {
	case o := <-done:
		if o.code < 0 {
			t.Errorf("it panicked: %s", o)
		}
		return o
	case <-time.After(patience):
	}
	for range 50 { // what waits for something else is left where it is
		releasePipes(folder)
		select {
		case <-done:
			t.Fatalf("advise %q had not ended after %s", args, patience)
		case <-time.After(100 * time.Millisecond):
		}
	}
	t.Fatalf("advise %q has not ended after %s", args, patience)
	return outcome{}
}

// releasePipes opens and closes every pipe of a folder, so that who waits to read one goes on.
func releasePipes(folder string) {
	_ = filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type()&fs.ModeNamedPipe != 0 {
			if f, err := os.OpenFile(path, os.O_RDWR|syscall.O_NONBLOCK, 0); err == nil {
				_ = f.Close()
			}
		}
		return nil
	})
}

// checkStreams fails the case for characters that do more to a terminal than to be seen, and for a line that
// only a hostile text can have forged.
func checkStreams(t *testing.T, o outcome) {
	t.Helper()
	for name, text := range map[string]string{"standard output": o.out, "standard error": o.stderr} {
		if what := notPlain(text); what != "" {
			t.Errorf("%s holds %s: %s", name, what, o)
		}
		if strings.Contains("\n"+text, "\n"+forged) {
			t.Errorf("%s has a line that was forged: %s", name, o)
		}
	}
}

// forged is a line that hostile texts put behind a newline of theirs.
const forged = "advise: hint: FORGED"

// notPlain is the first character of a text that is neither printable nor a newline or a tab.
func notPlain(text string) string {
	for i, r := range text {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(text[i:]); size == 1 {
				return fmt.Sprintf("the byte %#x", text[i])
			}
		}
		if r != '\n' && r != '\t' && r != ' ' && !unicode.IsPrint(r) {
			return fmt.Sprintf("%U", r)
		}
	}
	return ""
}

var notFinite = regexp.MustCompile(`(^|[^A-Za-z_./-])[+-]?(Inf|NaN|Infinity)($|[^A-Za-z_])`)

// checkFinite fails the case for a number that is none.
func checkFinite(t *testing.T, o outcome) {
	t.Helper()
	if at := notFinite.FindString(o.out); at != "" {
		t.Errorf("the output holds %q: %s", at, o)
	}
}

// tree is what is below a folder, each path with what would tell that it was touched: kind, size, time of the
// last change, number of the file, and a sum of what it holds. Links are not followed.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		is := fmt.Sprint(info.Mode())
		switch {
		case info.Mode().IsRegular():
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			is += fmt.Sprintf(" %d bytes of %s, file %d: %x", len(text), info.ModTime(), info.Sys().(*syscall.Stat_t).Ino, sha256.Sum256(text))
		case info.Mode()&fs.ModeSymlink != 0:
			to, _ := os.Readlink(path)
			is += " to " + to
		}
		found[strings.TrimPrefix(path, dir)] = is
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// checkUntouched fails the case for every path that is not as it was, or is new where nothing may be.
func checkUntouched(t *testing.T, before, after map[string]string, mayBeNew bool) {
	t.Helper()
	for path, was := range before {
		switch is, there := after[path]; {
		case !there:
			t.Errorf("%s is gone", path)
		case is != was:
			t.Errorf("%s was %s, now %s", path, was, is)
		}
	}
	for path, is := range after {
		if _, had := before[path]; !had && !mayBeNew {
			t.Errorf("%s is new: %s", path, is)
		}
	}
}

// write makes a file and the folders above it.
func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// pick is one of a list.
func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }
