package reports

import (
	"bytes"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/rivo/uniseg"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares with the file of that name, or writes it with -update.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v (write it with -update)", err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s differs (-want +got):\n%s", path, d)
	}
}

func write(t *testing.T, r *Result, o TextOptions) string {
	t.Helper()
	var b bytes.Buffer
	if err := Text(&b, r, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestText(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(fixtures)) {
		t.Run(name, func(t *testing.T) {
			golden(t, "text/"+name+".txt", []byte(write(t, resultOf(t, name), TextOptions{})))
		})
	}
}

func TestTextOnAWideTerminal(t *testing.T) {
	for _, name := range []string{"gain", "memory", "fewer_cores", "quota"} {
		golden(t, "text/"+name+"_120.txt", []byte(write(t, resultOf(t, name), TextOptions{Width: 120})))
	}
}

func TestTextASCII(t *testing.T) {
	got := write(t, resultOf(t, "gain"), TextOptions{ASCII: true})
	golden(t, "text/ascii.txt", []byte(got))
	for _, r := range got {
		if r > 126 {
			t.Fatalf("%q is not ASCII", r)
		}
	}
}

func TestTextColor(t *testing.T) {
	golden(t, "text/color.txt", []byte(write(t, resultOf(t, "memory"), TextOptions{Color: true})))
}

func TestTextIsNeverWiderThanTheTerminal(t *testing.T) {
	for name := range fixtures {
		r := resultOf(t, name)
		for width := narrowest; width <= 130; width += 7 {
			prose, _, _ := strings.Cut(write(t, r, TextOptions{Width: width}), "\npaste into")
			for line := range strings.Lines(prose) {
				if w := uniseg.StringWidth(strings.TrimSuffix(line, "\n")); w > width {
					t.Errorf("%s at %d columns: %d wide: %s", name, width, w, line)
				}
			}
		}
	}
}

func TestTextShowsNoControlCharacters(t *testing.T) {
	for _, r := range write(t, resultOf(t, "hostile"), TextOptions{}) {
		if r != '\n' && !unicode.IsPrint(r) {
			t.Fatalf("%q does not print", r)
		}
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errFull }
