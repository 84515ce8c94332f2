// Package plain makes text of somebody else's safe to show: names of files, words of a server, answers.
//
// What passes are letters, marks, numbers, punctuation and symbols, and the space. What does not, whatever
// its source, is the rest of Unicode: control characters (Cc), format characters such as those that turn the
// direction of writing or have no width (Cf), surrogates (Cs), private use (Co), separators of lines and
// paragraphs (Zl, Zp), spaces that look like the space (Zs), what is not assigned, and bytes that are no UTF-8.
package plain

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Line makes text safe to show on one line of a terminal: a space becomes the space, and what else does not
// pass a question mark.
func Line(s string) string { return strings.Map(shown, s) }

// Text makes a text of several lines safe to show: they and its tabs stay.
func Text(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' {
			return r
		}
		return shown(r)
	}, s)
}

func shown(r rune) rune {
	switch {
	case unicode.IsSpace(r):
		return ' '
	case !Passes(r):
		return '?'
	}
	return r
}

// Passes says whether a character is shown as it is. What stands for bytes that are no UTF-8 is not.
func Passes(r rune) bool { return r != utf8.RuneError && unicode.IsPrint(r) }

// JSON escapes in a JSON document what a terminal would obey or not show: json.Marshal leaves the controls from
// U+007F on, and those of the direction of writing, as they are. The document says the same as before.
func JSON(document []byte) []byte {
	if !bytes.ContainsFunc(document, hidden) {
		return document
	}
	var out bytes.Buffer
	for _, r := range string(document) {
		if !hidden(r) {
			out.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&out, `\u%04x`, unit)
		}
	}
	return out.Bytes()
}

// hidden is what JSON allows in a string, and a terminal does not show.
func hidden(r rune) bool { return r > '~' && !unicode.IsPrint(r) && r != utf8.RuneError }
