package targets

import "testing"

// The copy of a derived file is for people to read: it shows nothing to a terminal that it would obey. The
// server's own file stays as it is.
func TestKeptCopyIsPlain(t *testing.T) {
	const given = "# \x1b]0;own\x07\u009b2J \u202ecba\nworkers 2\n\tthreads 1\n"
	var copied string
	dir := t.TempDir()
	if _, err := writeFiles([]File{{Path: "x.rb", Text: given}}, dir, func(f File) string { copied = f.Text; return f.Path }); err != nil {
		t.Fatal(err)
	}
	if want := "# ?]0;own??2J ?cba\nworkers 2\n\tthreads 1\n"; copied != want {
		t.Errorf("the copy is %q, want %q", copied, want)
	}
	if text, err := readSmall(dir + "/x.rb"); err != nil || string(text) != given {
		t.Errorf("the server's file is %q, %v", text, err)
	}
}
