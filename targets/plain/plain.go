// Package plain makes text of somebody else's safe to show: names of files, words of a server, answers.
package plain

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Line makes text safe to show on one line of a terminal: control characters, which could move the
// cursor or colour the rest, and those that turn the direction of writing become spaces or question marks.
func Line(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError:
			return '?'
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, s)
}

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
