package cmd

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode"
)

type named string

type words []string

func (w words) String() string { return strings.Join(w, " ") }

// Nothing that is said has a character in it that a terminal would obey, of whatever type it was.
func TestSayIsInert(t *testing.T) {
	const evil = "a\x1b]0;own\x07\nadvise: hint: run evil\u009b2J\u202e\xff"
	for _, value := range []any{
		evil, named(evil), errors.New(evil), words{evil}, []string{evil}, map[string]string{evil: evil}, struct{ S string }{evil}, &struct{ S string }{evil}, []byte(evil),
	} {
		var b strings.Builder
		say(&b, "advise: %v|%-4s|%s\n", value, value, value)
		line, end := strings.CutSuffix(b.String(), "\n")
		if !end || strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) {
			t.Errorf("%T: %q", value, b.String())
		}
	}
	var b strings.Builder
	say(&b, "%5d %-6s| %.1f s %g %v\n", 7, "ab", 1.25, 2.5, errors.New("x"))
	if want := "    7 ab    | 1.2 s 2.5 x\n"; b.String() != want {
		t.Errorf("got %q, want %q", b.String(), want)
	}
}

// An error that quotes a cell of a megabyte is short, and says at its end why.
func TestSayErrorShortens(t *testing.T) {
	var b strings.Builder
	sayError(&b, "read t.csv: "+strings.Repeat("界", 1_000_000)+": no number\nhint: run evil")
	first, rest, _ := strings.Cut(b.String(), "\n")
	if n := len([]rune(first)); n > 1000 || !strings.HasPrefix(first, "advise: read t.csv: ") || !strings.HasSuffix(first, ": no number") {
		t.Errorf("%d characters: %.40s", n, first)
	}
	if rest != "        hint: run evil\n" {
		t.Errorf("the second line is %q", rest)
	}
	b.Reset()
	if text := fmt.Sprintf("resume %s: it differs", strings.Repeat("/folder", 60)); text != shortened(text) {
		t.Errorf("an error of %d bytes was cut", len(text))
	}
}
