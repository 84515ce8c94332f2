package reports

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"advise/sweep"
	"advise/targets/disk"
)

// files lists what a folder holds, folders apart.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			name, _ := filepath.Rel(dir, path)
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func read(t *testing.T, path ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestWriteAndWriteAgain(t *testing.T) {
	rec := fixtures["gain"].record()
	rec.Dir, rec.Plan.Target.Workdir = t.TempDir(), t.TempDir()
	r, err := Write(rec)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"config/Dockerfile", "config/Procfile", "config/command.txt", "config/gunicorn.conf.py", "config/gunicorn.service",
		"files.jsonl", "report.html", "result.json",
	}
	if got := files(t, rec.Dir); !slices.Equal(got, want) {
		t.Errorf("files = %v, want %v: no more and no fewer", got, want)
	}
	if got := string(read(t, rec.Dir, "config", "gunicorn.conf.py")); got != fmt.Sprintf("workers = %d\n", r.Recommendation.Workers) {
		t.Errorf("configuration = %q", got)
	}
	var printed bytes.Buffer
	if err := JSON(&printed, r); err != nil {
		t.Fatal(err)
	}
	first := read(t, rec.Dir, ResultFile)
	if !bytes.Equal(first, printed.Bytes()) {
		t.Error("result.json is not what --json prints")
	}
	page := read(t, rec.Dir, PageFile)
	if _, err := Write(rec); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(first, read(t, rec.Dir, ResultFile)) || !bytes.Equal(page, read(t, rec.Dir, PageFile)) {
		t.Error("the same record gave another report")
	}
}

// What starts the server elsewhere is not printed, so its files are named, in one line that can be
// copied however narrow the terminal is.
func TestTextNamesTheFilesForElsewhere(t *testing.T) {
	rec := fixtures["gain"].record()
	rec.Dir = t.TempDir()
	r, err := Write(rec)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := Text(&out, r, TextOptions{Width: 50}); err != nil {
		t.Fatal(err)
	}
	want := "also in " + filepath.Join(rec.Dir, "config") + ": gunicorn.service, Procfile, Dockerfile\n"
	if !strings.HasSuffix(out.String(), "\n\n"+want) {
		t.Errorf("the text does not end with %q:\n%s", want, out.String())
	}
	for _, name := range r.Recommendation.Deploy {
		read(t, r.Recommendation.ConfigFolder, name)
	}
}

func TestWriteRemovesTheConfigurationOfAnEarlierAdvice(t *testing.T) {
	rec := fixtures["gain"].record()
	rec.Dir = t.TempDir()
	if _, err := Write(rec); err != nil {
		t.Fatal(err)
	}
	rec.Trials = nil
	r, err := Write(rec)
	if err != nil {
		t.Fatal(err)
	}
	if r.Recommendation != nil {
		t.Fatal("a recommendation was made from nothing")
	}
	if got := files(t, rec.Dir); !slices.Equal(got, []string{"files.jsonl", "report.html", "result.json"}) {
		t.Errorf("files = %v", got)
	}
}

func TestWriteWithoutAnAdapterStillReports(t *testing.T) {
	rec := fixtures["gain"].record()
	rec.Dir, rec.Plan.Target.Adapter = t.TempDir(), "of another version"
	r, err := Write(rec)
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Recommendation.Config) != 0 {
		t.Errorf("config = %v", r.Recommendation.Config)
	}
}

func TestWriteSaysWhatItCouldNotWrite(t *testing.T) {
	rec := fixtures["nothing_measured"].record()
	if _, err := Write(rec); err == nil {
		t.Error("a record without a folder was written")
	}
	rec.Dir = filepath.Join(t.TempDir(), "gone")
	if _, err := Write(rec); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("err = %v, want that the folder does not exist", err)
	}
	rec.Dir = t.TempDir()
	if err := os.Mkdir(filepath.Join(rec.Dir, ResultFile), 0o755); err != nil {
		t.Fatal(err)
	}
	r, err := Write(rec)
	var foreign *disk.ForeignError
	if !errors.As(err, &foreign) || foreign.Path != filepath.Join(rec.Dir, ResultFile) {
		t.Errorf("err = %v, want that result.json is foreign", err)
	}
	if r == nil {
		t.Error("there is no answer to print")
	}
	if got := files(t, rec.Dir); !slices.Equal(got, []string{"files.jsonl", "report.html"}) {
		t.Errorf("files = %v", got)
	}
}

func TestConfigurationStaysInItsFolder(t *testing.T) {
	for path, want := range map[string]string{
		"gunicorn.conf.py":    "gunicorn.conf.py",
		"/etc/app/conf.py":    "conf.py",
		"../../etc/passwd":    "passwd",
		"..":                  "configuration",
		"":                    "configuration",
		"conf/./x/../unit.py": "unit.py",
	} {
		if got := fileName(path); got != want {
			t.Errorf("fileName(%q) = %q, want %q", path, got, want)
		}
	}
}

// What the user put into a record, or changed there, stays as it is, links with what they lead to included; the
// rest of the reports is written.
func TestWriteLeavesTheUsersFiles(t *testing.T) {
	for name, c := range map[string]struct {
		put  func(t *testing.T, dir, outside string)
		left []string // that the error names
	}{
		"a note beside the texts": {func(t *testing.T, dir, _ string) { putMine(t, dir, "config", "note.txt") }, nil},
		"changed files": {func(t *testing.T, dir, _ string) {
			putMine(t, dir, "result.json")
			putMine(t, dir, "report.html")
			putMine(t, dir, "config", "gunicorn.conf.py")
		}, []string{"result.json", "report.html"}},
		"links to files": {func(t *testing.T, dir, outside string) {
			link(t, filepath.Join(outside, "mine"), dir, "result.json")
			link(t, filepath.Join(outside, "none"), dir, "report.html")
		}, []string{"result.json", "report.html"}},
		"a link to a folder": {func(t *testing.T, dir, outside string) { link(t, outside, dir, "config") }, []string{"config"}},
		"a link inside": {func(t *testing.T, dir, _ string) {
			putMine(t, dir, "notes", "gunicorn.conf.py")
			link(t, "notes", dir, "config")
		}, []string{"config"}},
		"a file called config": {func(t *testing.T, dir, _ string) {
			must(t, os.RemoveAll(filepath.Join(dir, "config")))
			putMine(t, dir, "config")
		}, []string{"config"}},
		"another files.jsonl": {func(t *testing.T, dir, _ string) { putMine(t, dir, "files.jsonl") }, []string{"files.jsonl"}},
	} {
		t.Run(name, func(t *testing.T) {
			rec := fixtures["gain"].record()
			rec.Dir, rec.Plan.Target.Workdir = filepath.Join(t.TempDir(), "record"), t.TempDir()
			folder, err := disk.Create(rec.Dir)
			must(t, err)
			must(t, folder.Close())
			_, err = Write(rec)
			must(t, err)
			outside := t.TempDir()
			putMine(t, outside, "mine")
			putMine(t, outside, "gunicorn.conf.py")
			c.put(t, rec.Dir, outside)
			before := map[string]map[string]string{rec.Dir: holds(t, rec.Dir), outside: holds(t, outside)}

			r, err := Write(rec)
			if r == nil || (err != nil) != (len(c.left) > 0) {
				t.Errorf("result %v, err = %v, want %v left alone", r, err, c.left)
			}
			for _, name := range c.left {
				if err != nil && !strings.Contains(err.Error(), filepath.Join(rec.Dir, name)+" is not as advise wrote it") {
					t.Errorf("err = %v, want %s in it", err, name)
				}
			}
			rec.Trials = nil
			if r, err := Write(rec); r == nil { // with nothing to recommend, what an earlier advice wrote is removed
				t.Errorf("there is no answer: %v", err)
			}
			for dir, files := range before {
				now := holds(t, dir)
				for file, text := range files {
					if users := text == "mine" || strings.HasPrefix(text, "link to "); users && now[file] != text {
						t.Errorf("%s is %q, was %q", file, now[file], text)
					}
				}
			}
		})
	}
}

// A text to paste that the user has changed stays, and the new one is beside it until it has gone.
func TestWriteBesideAChangedText(t *testing.T) {
	rec := fixtures["gain"].record()
	rec.Dir, rec.Plan.Target.Workdir = t.TempDir(), t.TempDir()
	_, err := Write(rec)
	must(t, err)
	unit := string(read(t, rec.Dir, "config", "gunicorn.service"))
	putMine(t, rec.Dir, "config", "gunicorn.service")
	for range 2 {
		r, err := Write(rec)
		must(t, err)
		if got := string(read(t, rec.Dir, "config", "gunicorn.service.new")); got != unit {
			t.Errorf("beside it is %q, want %q", got, unit)
		}
		if len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "config/gunicorn.service.new") || !slices.Contains(r.Recommendation.Deploy, "gunicorn.service.new") {
			t.Errorf("notes %q, files %q", r.Notes, r.Recommendation.Deploy)
		}
		if string(read(t, rec.Dir, "config", "gunicorn.service")) != "mine" {
			t.Error("the user's file is gone")
		}
	}
	must(t, os.Remove(filepath.Join(rec.Dir, "config", "gunicorn.service")))
	_, err = Write(rec)
	must(t, err)
	if got := files(t, filepath.Join(rec.Dir, "config")); slices.Contains(got, "gunicorn.service.new") || string(read(t, rec.Dir, "config", "gunicorn.service")) != unit {
		t.Errorf("files = %v", got)
	}
}

// A record of before files.jsonl was kept has its own result and page replaced, and the texts that are the same
// taken for its own; the user's are not.
func TestWriteAgainInARecordWithoutNotes(t *testing.T) {
	rec := fixtures["gain"].record()
	rec.Dir, rec.Plan.Target.Workdir = t.TempDir(), t.TempDir()
	_, err := Write(rec)
	must(t, err)
	must(t, os.Remove(filepath.Join(rec.Dir, "files.jsonl")))
	putMine(t, rec.Dir, "config", "note.txt")
	rec.Plan.Tool.Version = "v9"
	_, err = Write(rec)
	must(t, err)
	for _, name := range []string{ResultFile, PageFile} {
		if !strings.Contains(string(read(t, rec.Dir, name)), "v9") {
			t.Errorf("%s was not replaced", name)
		}
	}
	rec.Trials = nil
	_, err = Write(rec)
	must(t, err)
	if got, want := files(t, rec.Dir), []string{"config/note.txt", "files.jsonl", "report.html", "result.json"}; !slices.Equal(got, want) {
		t.Errorf("files = %v, want %v", got, want)
	}
	putMine(t, rec.Dir, PageFile)
	must(t, os.Remove(filepath.Join(rec.Dir, "files.jsonl")))
	if _, err := Write(rec); err == nil || string(read(t, rec.Dir, PageFile)) != "mine" {
		t.Errorf("the user's page is gone, err = %v", err)
	}
}

func putMine(t *testing.T, path ...string) {
	t.Helper()
	file := filepath.Join(path...)
	must(t, os.MkdirAll(filepath.Dir(file), 0o755))
	must(t, os.WriteFile(file, []byte("mine"), 0o644))
}

// link puts a link in the place of whatever is there.
func link(t *testing.T, to string, path ...string) {
	t.Helper()
	file := filepath.Join(path...)
	must(t, os.RemoveAll(file))
	must(t, os.Symlink(to, file))
}

// holds are the texts of a folder's files by name, and where its links lead.
func holds(t *testing.T, dir string) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, name := range files(t, dir) {
		file := filepath.Join(dir, name)
		if to, err := os.Readlink(file); err == nil {
			texts[name] = "link to " + to
			continue
		}
		texts[name] = string(read(t, file))
	}
	return texts
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A record that is read can be reported, whatever figures it holds.
func FuzzMake(f *testing.F) {
	rec := fixtures["gain"].record()
	rec.Plan.Scenario.Requests = []sweep.Request{{Name: "GET /", Method: "GET", Path: "/", Weight: 1}}
	plan, err := json.Marshal(rec.Plan)
	if err != nil {
		f.Fatal(err)
	}
	var trials []byte
	for i, t := range rec.Trials {
		t.ID = i + 1
		line, err := json.Marshal(t)
		if err != nil {
			f.Fatal(err)
		}
		trials = slices.Concat(trials, line, []byte("\n"))
	}
	f.Add("throughput_rps", 1e16)
	f.Add("p99", 1e-300)
	f.Add("memory_pss_bytes", 1e15)
	f.Add("cpu_seconds_per_request", 1e16)
	f.Add("highest", 131072.0)
	f.Fuzz(func(t *testing.T, key string, figure float64) {
		set := func(text []byte) []byte {
			return bytes.ReplaceAll(text, []byte(`"`+key+`":`), []byte(fmt.Sprintf(`"%s":%g,"was":`, key, figure)))
		}
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, "plan.json"), set(plan), 0o600))
		must(t, os.WriteFile(filepath.Join(dir, "trials.jsonl"), set(trials), 0o600))
		rec, err := sweep.OpenDamaged(dir)
		if err != nil {
			return
		}
		if _, err := Make(rec); err != nil {
			t.Error(err)
		}
	})
}
