// Package plain makes text of somebody else's safe to show: names of files, words of a server, answers.
package plain

import (
	"strings"
	"unicode"
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
