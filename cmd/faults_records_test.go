package cmd_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"advise/reports"
)

// Whatever happened to a record on its disk, the commands that read it end with an answer or with a message:
// no panic, no hang, no number that is none, nothing that a terminal obeys; JSON follows its schema, and no
// file is touched that is not the command's own to write.
func TestFaultsRecords(t *testing.T) {
	good := goodRecord(t)
	t.Setenv("HOME", t.TempDir())
	kinds := slices.Sorted(maps.Keys(damages))
	for n := range damagedRecords.now() {
		kind := kinds[n%len(kinds)]
		tried(t, n, "records", kind, func(t *testing.T, r *rand.Rand) {
			t.Chdir(t.TempDir())
			dir := filepath.Join(t.TempDir(), "record")
			for name, text := range good {
				write(t, filepath.Join(dir, name), text)
			}
			outside := t.TempDir()
			write(t, filepath.Join(outside, "puma.rb"), "workers 3\n")
			damages[kind](t, r, dir, outside)
			// What has no end would take this process's memory.
			readDamaged(t, n%20 == 19 || kind == "a device", dir, outside)
		})
	}
}

// readDamaged reads a record by all commands that do, in this process or in others.
func readDamaged(t *testing.T, alone bool, dir, outside string) {
	t.Helper()
	run := func(args ...string) outcome { return runs(t, dir, args...) }
	if alone {
		run = func(args ...string) outcome { return runsAlone(t, dir, args...) }
	}
	kept := ownFiles(t, dir)
	before := tree(t, outside)
	for _, args := range [][]string{{"report", dir}, {"report", dir, "--json"}, {"--resume", dir, "--dry-run"}} {
		o := run(args...)
		if o.code != 0 && o.code != 1 && o.code != 3 {
			t.Errorf("want exit code 0, 1 or 3: %s", o)
		}
		if o.code == 1 && !strings.HasPrefix(o.stderr, "advise: ") || o.code == 3 && o.out == "" {
			t.Errorf("it ended without a word: %s", o)
		}
		checkStreams(t, o)
		checkFinite(t, o)
		if slices.Contains(args, "--json") && o.code == 0 {
			checkResult(t, o)
		}
	}
	checkUntouched(t, before, tree(t, outside), false)
	checkUntouched(t, kept, ownFiles(t, dir), true)
}

// ownFiles are the files of a record's folder that no command may touch: what was measured, and what is
// somebody else's.
func ownFiles(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := tree(t, dir)
	for path := range all {
		first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
		if path == "" || slices.Contains([]string{"report.html", "result.json", "config"}, first) && !strings.Contains(path, "mine") {
			delete(all, path)
		}
	}
	return all
}

var resultSchema = sync.OnceValues(func() (*jsonschema.Schema, error) {
	text, err := jsonschema.UnmarshalJSON(bytes.NewReader(reports.Schema))
	if err != nil {
		return nil, err
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("result.schema.json", text); err != nil {
		return nil, err
	}
	return compiler.Compile("result.schema.json")
})

func checkResult(t *testing.T, o outcome) {
	t.Helper()
	schema, err := resultSchema()
	if err != nil {
		t.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(o.out))
	if err == nil {
		err = schema.Validate(document)
	}
	if err != nil {
		t.Errorf("the result is not as its schema: %v: %s", err, o)
	}
}

// runsAlone runs a command line as a process with two gigabytes of address space.
func runsAlone(t *testing.T, folder string, args ...string) outcome {
	t.Helper()
	c := advise(t, args...)
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	c.Dir = here
	c.Path, c.Args = "/bin/sh", append([]string{"sh", "-c", `ulimit -v 2000000; exec "$@"`, "sh", c.Path}, args...)
	var out, stderr strings.Builder
	c.Stdout, c.Stderr = &out, &stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	err = within(t, c, ended)
	releasePipes(folder)
	return outcome{args, exitCode(err), out.String(), stderr.String()}
}

// goodRecord is a record that this machine can go on with, as its files: the plan of a dry run, and the trials of
// the result that the tests of the reports have.
var goodRecord = func() func(t *testing.T) map[string]string {
	var files map[string]string
	return func(t *testing.T) map[string]string {
		t.Helper()
		if files != nil {
			return files
		}
		text, err := os.ReadFile("../reports/testdata/result.json")
		if err != nil {
			t.Fatal(err)
		}
		var result struct {
			Calibration json.RawMessage   `json:"calibration"`
			Trials      []json.RawMessage `json:"trials"`
		}
		if err := json.Unmarshal(text, &result); err != nil {
			t.Fatal(err)
		}
		var trials bytes.Buffer
		for _, trial := range result.Trials {
			if err := json.Compact(&trials, trial); err != nil {
				t.Fatal(err)
			}
			trials.WriteByte('\n')
		}
		where := t.TempDir()
		t.Chdir(where)
		plan, err := os.ReadFile(filepath.Join(planned(t, "--cores", "1", "--mem", "768M", "--", "gunicorn", "app:app"), "plan.json"))
		if err != nil {
			t.Fatal(err)
		}
		files = map[string]string{
			"plan.json": string(plan), "calibration.json": string(result.Calibration) + "\n", "trials.jsonl": trials.String(),
			"mine.txt": "a note of the user's\n", "derived/mine.conf": "x\n", "config/mine.rb": "workers 2\n",
		}
		return files
	}
}()

// A damage is one kind of what can happen to a record.
type damage func(t *testing.T, r *rand.Rand, dir, outside string)

var recordFiles = []string{"trials.jsonl", "trials.jsonl", "plan.json", "calibration.json"}

var damages = map[string]damage{
	"nothing":         func(*testing.T, *rand.Rand, string, string) {},
	"flipped bits":    bytewise(flipBits),
	"cut":             bytewise(func(r *rand.Rand, b []byte) []byte { return b[:r.IntN(len(b))] }),
	"NUL block":       bytewise(blockOfNULs),
	"bytes taken out": bytewise(takeOut),
	"random bytes":    bytewise(putIn(func(r *rand.Rand) string { return randomBytes(r, 1+r.IntN(64)) })),
	"no UTF-8":        bytewise(putIn(func(*rand.Rand) string { return "\xff\xc3\x28\xed\xa0\x80" })),
	"control":         bytewise(inString),
	"mark of order": bytewise(func(_ *rand.Rand, b []byte) []byte {
		return append([]byte("\ufeff"), b...)
	}),
	"CR LF": bytewise(func(_ *rand.Rand, b []byte) []byte { return bytes.ReplaceAll(b, []byte("\n"), []byte("\r\n")) }),
	"doubled lines": linewise(func(r *rand.Rand, lines []string) []string {
		i := r.IntN(len(lines))
		return slices.Insert(lines, i, lines[i])
	}),
	"swapped lines": linewise(func(r *rand.Rand, lines []string) []string {
		r.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
		return lines
	}),
	"empty lines":     linewise(func(r *rand.Rand, lines []string) []string { return slices.Insert(lines, r.IntN(len(lines)), "", "  ") }),
	"lines gone":      linewise(func(r *rand.Rand, lines []string) []string { return slices.Delete(lines, 0, 1+r.IntN(len(lines))) }),
	"two in one line": linewise(func(r *rand.Rand, lines []string) []string { lines[0] += lines[r.IntN(len(lines))]; return lines }),
	"other lines": linewise(func(r *rand.Rand, lines []string) []string {
		return slices.Insert(lines, r.IntN(len(lines)), pick(r, []string{"null", "[]", "{}", `"x"`, "0", "true", "{", "\x00\x00\x00", strings.Repeat("[", 200_000)}))
	}),
	"wrong types": valuewise(func(r *rand.Rand) string {
		return pick(r, []string{`"x"`, "1", "true", "null", "{}", "[]", "[null]", `{"a":{}}`})
	}),
	"odd numbers":   valuewise(func(r *rand.Rand) string { return pick(r, oddNumbers) }),
	"hostile words": valuewise(func(r *rand.Rand) string { text, _ := json.Marshal(pick(r, hostileTexts)); return string(text) }),
	"huge words":    valuewise(func(r *rand.Rand) string { return `"` + strings.Repeat("x", 1<<(10+r.IntN(11))) + `"` }),
	"deep": valuewise(func(r *rand.Rand) string {
		n := 1 << (4 + r.IntN(14))
		return strings.Repeat("[", n) + strings.Repeat("]", n)
	}),
	"fields gone": valuewise(func(*rand.Rand) string { return "" }),
	"missing": func(t *testing.T, r *rand.Rand, dir, _ string) {
		remove(t, filepath.Join(dir, pick(r, recordFiles)))
	},
	"empty": func(t *testing.T, r *rand.Rand, dir, _ string) {
		write(t, filepath.Join(dir, pick(r, recordFiles)), "")
	},
	"other files": func(t *testing.T, r *rand.Rand, dir, _ string) {
		write(t, filepath.Join(dir, pick(r, []string{"server.log", ".plan.json.1", "config/x/mine", "derived/nginx/mine", "trials.jsonl.bak"})), "mine\n")
	},
	"a folder in the place of": inPlace(func(path, _ string) error { return os.MkdirAll(filepath.Join(path, "mine"), 0o755) }),
	"a link elsewhere":         inPlace(func(path, outside string) error { return os.Symlink(filepath.Join(outside, "puma.rb"), path) }),
	"a link to a folder":       inPlace(func(path, outside string) error { return os.Symlink(outside, path) }),
	"a link to itself":         inPlace(func(path, _ string) error { return os.Symlink(filepath.Base(path), path) }),
	"a broken link":            inPlace(func(path, outside string) error { return os.Symlink(filepath.Join(outside, "none"), path) }),
	"a pipe":                   inPlace(func(path, _ string) error { return syscall.Mkfifo(path, 0o644) }),
	"a device":                 inPlace(func(path, _ string) error { return os.Symlink("/dev/zero", path) }),
	"a terminal of nobody":     inPlace(func(path, _ string) error { return os.Symlink("/dev/tty", path) }),
	"a text in a folder's place": func(t *testing.T, r *rand.Rand, dir, _ string) {
		path := filepath.Join(dir, pick(r, []string{"config", "derived"}))
		remove(t, path)
		write(t, path, "mine\n")
	},
	"permissions": func(t *testing.T, r *rand.Rand, dir, _ string) {
		path := filepath.Join(dir, pick(r, append(recordFiles, "config", "derived")))
		if err := os.Chmod(path, os.FileMode(pick(r, []int{0, 0o200, 0o400, 0o111, 0o7777}))); err != nil {
			t.Fatal(err)
		}
	},
}

var oddNumbers = []string{
	"0", "-0", "-1", "1e-320", "1e308", "-1e308", "1e309", "1e400", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
	"18446744073709551616", "0.1e-400", "2147483648", "4294967297", "NaN", "Infinity", "-Inf", "0x10", "1_000", "01", "1e", "٣", "123456789012345678901234567890",
}

var hostileTexts = []string{
	"\x1b]0;owned\a\x1b[31mRED", "a\nadvise: hint: FORGED", "\r\x1b[2K" + forged, "\u009b31mC1", "\u202eevil\u2066x\u2069", "\u2028\u2029",
	"<script>alert(1)</script>", "'\"`$(touch canary)`touch canary`; touch canary", "../../../etc/passwd", "\x00", "%s%n%d", "\ufeff", "\U000e0041", "-- --help",
	strings.Repeat("a\u0301", 5000), "|pipe|\\|", "\b\b\b\x7f",
}

func bytewise(change func(r *rand.Rand, b []byte) []byte) damage {
	return func(t *testing.T, r *rand.Rand, dir, _ string) {
		path := filepath.Join(dir, pick(r, recordFiles))
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		write(t, path, string(change(r, text)))
	}
}

func linewise(change func(r *rand.Rand, lines []string) []string) damage {
	return func(t *testing.T, r *rand.Rand, dir, _ string) {
		path := filepath.Join(dir, pick(r, recordFiles))
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")
		write(t, path, strings.Join(change(r, lines), "\n")+pick(r, []string{"\n", "\n", ""}))
	}
}

// valuewise puts another value in the place of one, wherever it is in the document; of "" the field goes.
func valuewise(other func(r *rand.Rand) string) damage {
	return linewise(func(r *rand.Rand, lines []string) []string {
		whole := len(lines) > 1 && strings.TrimSpace(lines[0]) == "{"
		i := r.IntN(len(lines))
		text := lines[i]
		if whole {
			text = strings.Join(lines, "\n")
		}
		changed := changeValue(r, text, other(r))
		if whole {
			return []string{changed}
		}
		lines[i] = changed
		return lines
	})
}

// changeValue replaces one value of a JSON object, found by its position among all of them.
func changeValue(r *rand.Rand, text, by string) string {
	var starts [][2]int // of each value behind a colon, and of its key
	inside := false
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && inside:
			i++
		case text[i] == '"':
			inside = !inside
		case text[i] == ':' && !inside:
			end := endOfValue(text, i+1)
			starts = append(starts, [2]int{i + 1, end})
		}
	}
	if len(starts) == 0 {
		return text
	}
	at := pick(r, starts)
	if by != "" {
		return text[:at[0]] + by + text[at[1]:]
	}
	key := strings.LastIndexByte(text[:at[0]-2], '"')
	rest := strings.TrimLeft(text[at[1]:], " \n")
	head := strings.TrimRight(text[:key], " \n")
	if strings.HasPrefix(rest, ",") {
		return head + rest[1:]
	}
	return strings.TrimSuffix(head, ",") + rest
}

func endOfValue(text string, from int) int {
	d := json.NewDecoder(strings.NewReader(text[from:]))
	var v json.RawMessage
	if err := d.Decode(&v); err != nil {
		return from
	}
	return from + int(d.InputOffset())
}

func flipBits(r *rand.Rand, b []byte) []byte {
	for range 1 + r.IntN(8) {
		b[r.IntN(len(b))] ^= 1 << r.IntN(8)
	}
	return b
}

func blockOfNULs(r *rand.Rand, b []byte) []byte {
	from := r.IntN(len(b))
	for i := from; i < min(from+1+r.IntN(4096), len(b)); i++ {
		b[i] = 0
	}
	return append(b, pick(r, []string{"", "\n", "\x00\x00\n"})...)
}

func takeOut(r *rand.Rand, b []byte) []byte {
	from := r.IntN(len(b))
	return slices.Delete(b, from, min(from+1+r.IntN(200), len(b)))
}

func putIn(what func(r *rand.Rand) string) func(r *rand.Rand, b []byte) []byte {
	return func(r *rand.Rand, b []byte) []byte { return slices.Insert(b, r.IntN(len(b)), []byte(what(r))...) }
}

// inString puts a hostile text into a string of the document, so that it is still JSON.
func inString(r *rand.Rand, b []byte) []byte {
	text, _ := json.Marshal(pick(r, hostileTexts))
	quotes := bytes.Count(b, []byte(`: "`)) + bytes.Count(b, []byte(`:"`))
	if quotes == 0 {
		return b
	}
	at := 0
	for range 1 + r.IntN(quotes) {
		next := bytes.Index(b[at:], []byte(`:`))
		for next >= 0 && !bytes.HasPrefix(bytes.TrimLeft(b[at+next+1:], " "), []byte(`"`)) {
			more := bytes.Index(b[at+next+1:], []byte(`:`))
			if more < 0 {
				return b
			}
			next += 1 + more
		}
		if next < 0 {
			return b
		}
		at += next + 1
	}
	at += bytes.IndexByte(b[at:], '"') + 1
	return slices.Insert(b, at, text[1:len(text)-1]...)
}

func randomBytes(r *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.IntN(256))
	}
	return string(b)
}

// inPlace puts something else in the place of one of a record's files, the reports included.
func inPlace(put func(path, outside string) error) damage {
	return func(t *testing.T, r *rand.Rand, dir, outside string) {
		path := filepath.Join(dir, pick(r, []string{"plan.json", "calibration.json", "trials.jsonl", "result.json", "report.html", "config", "derived"}))
		remove(t, path)
		if err := put(path, outside); err != nil {
			t.Fatal(err)
		}
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

// within waits for the end of a process, and ends one that does not come to it.
func within(t *testing.T, c *exec.Cmd, ended <-chan error) error {
	t.Helper()
	select {
	case err := <-ended:
		return err
	case <-time.After(patience):
		t.Errorf("%q has not ended after %s", c.Args, patience)
		_ = syscall.Kill(-c.Process.Pid, syscall.SIGKILL)
		return <-ended
	}
}
