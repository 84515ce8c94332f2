package reports

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
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
		"report.html", "result.json",
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
	if got := files(t, rec.Dir); !slices.Equal(got, []string{"report.html", "result.json"}) {
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
	if _, err := Write(rec); err == nil {
		t.Error("a folder was replaced by result.json")
	}
	if got := files(t, rec.Dir); len(got) != 0 {
		t.Errorf("left behind: %v", got)
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
