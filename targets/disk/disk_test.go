package disk

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestCreate(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		taken bool
	}{
		"none":                       {nil, true},
		"the user's":                 {map[string]string{"a": "mine"}, false},
		"a hidden one of the user's": {map[string]string{".gitignore": ""}, false},
		"the user's notes":           {map[string]string{notesFile: "mine\n"}, false},
		"empty notes":                {map[string]string{notesFile: ""}, false},
		"notes of another kind":      {map[string]string{notesFile: `{"file":"a"}` + "\n"}, false},
		"killed while it was begun":  {map[string]string{notesFile: `{"file":"files.jsonl"}` + "\n", ".plan.json.advise-abc": "{"}, true},
		"and the user's beside":      {map[string]string{notesFile: `{"file":"files.jsonl"}` + "\n", "a": "mine"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for file, text := range c.files {
				put(t, text, dir, file)
			}
			f, err := Create(dir)
			var refused *NotEmptyError
			if taken := err == nil; taken != c.taken || !taken && !errors.As(err, &refused) {
				t.Fatalf("err = %v, want it taken: %t", err, c.taken)
			}
			if err == nil {
				check(t, f.Close())
			}
			for file, text := range c.files {
				if got, err := os.ReadFile(filepath.Join(dir, file)); err != nil || !strings.HasPrefix(string(got), text) || !c.taken && string(got) != text {
					t.Errorf("%s is %q, %v, was %q", file, got, err, text)
				}
			}
		})
	}
}

// A second one is told who has it, before anything in it is looked at.
func TestCreateTwice(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	f, err := Create(dir)
	check(t, err)
	var inUse *InUseError
	if _, err := Create(dir); !errors.As(err, &inUse) {
		t.Errorf("err = %v, want an InUseError", err)
	}
	check(t, f.Close())
	if _, err := Take(dir); err != nil {
		t.Error(err)
	}
}

// At every moment of a replacement a kill leaves a file that is known as the record's own: with the note made
// and not the file, and with a note that was cut off.
func TestReplaceAfterAKill(t *testing.T) {
	dir, f := created(t)
	check(t, f.Replace("a/b", []byte("one"), 0o644, nil))
	check(t, f.note(note{File: "a/b", SHA256: sum([]byte("two"))}))
	notes, err := os.ReadFile(filepath.Join(dir, notesFile))
	check(t, err)
	for cut := bytes.LastIndexByte(notes[:len(notes)-1], '\n') + 1; cut <= len(notes); cut++ {
		for _, is := range []string{"one", "two"} {
			if is == "two" && cut < len(notes)-1 {
				continue // what was not noted was not written
			}
			put(t, string(notes[:cut]), dir, notesFile)
			put(t, is, dir, "a", "b")
			for _, next := range []string{"three", "four"} {
				if err := f.Replace("a/b", []byte(next), 0o644, nil); err != nil {
					t.Fatalf("notes cut at byte %d, file %s: %v", cut, is, err)
				}
				if got := string(get(t, dir, "a", "b")); got != next {
					t.Fatalf("notes cut at byte %d: %q, want %q", cut, got, next)
				}
			}
		}
	}
}

// What isn't known, is no regular file, or is behind a link, stays as it is.
func TestReplaceLeavesTheUsers(t *testing.T) {
	for name, c := range map[string]struct {
		put     func(t *testing.T, dir, outside string)
		foreign string
	}{
		"a file":           {func(t *testing.T, dir, _ string) { put(t, "mine", dir, "a", "b") }, "a/b"},
		"a folder":         {func(t *testing.T, dir, _ string) { put(t, "mine", dir, "a", "b", "c") }, "a/b"},
		"a link out":       {func(t *testing.T, dir, out string) { link(t, filepath.Join(out, "mine"), dir, "a", "b") }, "a/b"},
		"a link to none":   {func(t *testing.T, dir, out string) { link(t, filepath.Join(out, "none"), dir, "a", "b") }, "a/b"},
		"a folder's link":  {func(t *testing.T, dir, out string) { link(t, out, dir, "a") }, "a"},
		"a link inside":    {func(t *testing.T, dir, _ string) { link(t, ".", dir, "a") }, "a"},
		"a file in a way":  {func(t *testing.T, dir, _ string) { put(t, "mine", dir, "a") }, "a"},
		"notes of another": {func(t *testing.T, dir, _ string) { put(t, "mine", dir, notesFile) }, notesFile},
		"a link for notes": {func(t *testing.T, dir, out string) {
			check(t, os.Remove(filepath.Join(dir, notesFile)))
			link(t, filepath.Join(out, "mine"), dir, notesFile)
		}, notesFile},
	} {
		t.Run(name, func(t *testing.T) {
			dir, f := created(t)
			outside := t.TempDir()
			put(t, "mine", outside, "mine")
			put(t, "mine", outside, "b")
			c.put(t, dir, outside)
			var foreign *ForeignError
			if err := f.Replace("a/b", []byte("new"), 0o644, nil); !errors.As(err, &foreign) || foreign.Path != filepath.Join(dir, c.foreign) {
				t.Errorf("err = %v, want %s to be foreign", err, c.foreign)
			}
			if _, err := f.Append("a/b"); err == nil && c.foreign != "a/b" && c.foreign != notesFile {
				t.Error("it is appended to")
			}
			_ = f.Retain("a", nil)
			for _, root := range []string{dir, outside} {
				err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
					if text, _ := os.ReadFile(path); d.Type().IsRegular() && d.Name() != notesFile && string(text) != "mine" {
						t.Errorf("%s is %q", path, text)
					}
					return err
				})
				check(t, err)
			}
			for _, name := range []string{"mine", "b"} {
				if string(get(t, outside, name)) != "mine" {
					t.Errorf("%s outside is not as it was", name)
				}
			}
		})
	}
}

func TestRetainRemovesWhatWasWritten(t *testing.T) {
	dir, f := created(t)
	for _, name := range []string{"config/old", "config/changed", "config/wanted", "other/old"} {
		check(t, f.Replace(name, []byte("ours"), 0o644, nil))
	}
	put(t, "mine", dir, "config", "changed")
	put(t, "ours", dir, "config", "same") // by chance as one of ours, under a name that was never written
	check(t, f.Retain("config", []string{"config/wanted"}))
	var left []string
	for _, dir := range []string{"config", "other"} {
		list, err := os.ReadDir(filepath.Join(f.path, dir))
		check(t, err)
		for _, e := range list {
			left = append(left, dir+"/"+e.Name())
		}
	}
	if want := []string{"config/changed", "config/same", "config/wanted", "other/old"}; !slices.Equal(left, want) {
		t.Errorf("left are %v, want %v", left, want)
	}
}

// A temporary file is the record's whatever is in it, also after a kill; one that only has such a name is not.
func TestTemporaries(t *testing.T) {
	dir, f := created(t)
	name, err := f.Temporary("server.log")
	check(t, err)
	put(t, "what the server said", dir, name)
	put(t, "mine", dir, "server.log")
	put(t, "mine", dir, ".server.log.advise-mine")
	check(t, f.Close())
	f, err = Take(dir)
	check(t, err)
	check(t, f.RemoveTemporaries())
	check(t, f.RemoveTemporaries())
	if _, err := os.Lstat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s: %v, want it removed", name, err)
	}
	for _, name := range []string{"server.log", ".server.log.advise-mine"} {
		if string(get(t, dir, name)) != "mine" {
			t.Errorf("%s is not as it was", name)
		}
	}
}

// A device or a pipe would never end.
func TestReadRefusesWhatHasNoEnd(t *testing.T) {
	if _, err := Read(os.DevNull); err == nil {
		t.Error("a device was read")
	}
}

// Notes are read back as they were made, whatever is between them, and no name leads out of the folder.
func FuzzNotes(f *testing.F) {
	f.Add([]byte(`{"file":"files.jsonl"}`+"\n"+`{"file":"a","sha256":"00"}`+"\n"), "config/a")
	f.Add([]byte(`{"file":"fi`), "b")
	f.Add([]byte(`{"file":"../../a"}`+"\n\x00\n"), "../c")
	f.Fuzz(func(t *testing.T, text []byte, name string) {
		list, ok := parseNotes(text)
		if ok != (len(list) > 0) {
			t.Errorf("ok is %t with %d notes", ok, len(list))
		}
		for _, n := range list {
			if !filepath.IsLocal(n.File) {
				t.Errorf("%q leads out of the folder", n.File)
			}
		}
		dir, folder := created(t)
		put(t, string(text), dir, notesFile)
		if err := folder.Replace(name, []byte("x"), 0o644, nil); err == nil {
			if err := folder.Replace(name, []byte("y"), 0o644, nil); err != nil {
				t.Errorf("%q: not known as its own: %v", name, err)
			}
		}
		if got := get(t, dir, notesFile); name != notesFile && !bytes.HasPrefix(got, text) {
			t.Errorf("the notes were %q and are %q", text, got)
		}
	})
}

func created(t *testing.T) (string, *Folder) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "record")
	f, err := Create(dir)
	check(t, err)
	t.Cleanup(func() { _ = f.Close() })
	return dir, f
}

func put(t *testing.T, text string, path ...string) {
	t.Helper()
	file := filepath.Join(path...)
	check(t, os.MkdirAll(filepath.Dir(file), 0o755))
	check(t, os.WriteFile(file, []byte(text), 0o644))
}

func link(t *testing.T, to string, path ...string) {
	t.Helper()
	file := filepath.Join(path...)
	check(t, os.MkdirAll(filepath.Dir(file), 0o755))
	check(t, os.Symlink(to, file))
}

func get(t *testing.T, path ...string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(path...))
	check(t, err)
	return text
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
