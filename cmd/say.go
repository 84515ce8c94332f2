package cmd

import (
	"fmt"
	"io"
	"strings"

	"advise/targets/plain"
)

// say writes a line of which the format is advise's own and the arguments may be anybody's: names of
// files, words of a server, what was typed. None of them moves the cursor, colours or begins a line.
func say(w io.Writer, format string, args ...any) {
	inert := make([]any, len(args))
	for i, a := range args {
		switch a := a.(type) {
		case string:
			inert[i] = plain.Line(a)
		case error:
			inert[i] = plain.Line(a.Error())
		case fmt.Stringer:
			inert[i] = plain.Line(a.String())
		default:
			inert[i] = a
		}
	}
	fmt.Fprintf(w, format, inert...)
}

// sayError writes an error. The lines after the first are indented, so that none can be taken for a message
// of its own.
func sayError(w io.Writer, text string) {
	for i, line := range strings.Split(text, "\n") {
		if i == 0 {
			say(w, "advise: %s\n", line)
			continue
		}
		say(w, "        %s\n", line)
	}
}
