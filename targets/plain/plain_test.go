package plain

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestLine(t *testing.T) {
	if got := Line("a\x1b[31mb\r\n\tc\x00\u009b\xff界"); got != "a?[31mb   c???界" {
		t.Errorf("got %q", got)
	}
}

func TestLineShowsNothingHidden(t *testing.T) {
	for r := range rune(0x11000) {
		for _, c := range Line("a" + string(r) + "b") {
			if c < ' ' || c >= 0x7f && c <= 0x9f || unicode.In(c, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co) {
				t.Fatalf("%U comes through as %U", r, c)
			}
		}
	}
}

func TestText(t *testing.T) {
	if got := Text("a\tb\n\u009b\r\n\u202e\xff\u2028界\n"); got != "a\tb\n? \n?? 界\n" {
		t.Errorf("got %q", got)
	}
}

func TestJSON(t *testing.T) {
	for r := range rune(0x110000) {
		if r >= 0xd800 && r <= 0xdfff {
			continue
		}
		want := "a" + string(r) + "b"
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		shown := JSON(text)
		if strings.ContainsFunc(string(shown), func(c rune) bool { return c != utf8.RuneError && !unicode.IsPrint(c) }) {
			t.Fatalf("%U comes through: %q", r, shown)
		}
		var got string
		if err := json.Unmarshal(shown, &got); err != nil || got != want {
			t.Fatalf("%U became %q, %v", r, got, err)
		}
	}
}
