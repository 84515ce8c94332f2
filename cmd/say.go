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
		inert[i] = foreign{a}
	}
	fmt.Fprintf(w, format, inert...)
}

// foreign is an argument of say, of whatever type.
type foreign struct{ value any }

func (f foreign) Format(s fmt.State, verb rune) {
	_, _ = io.WriteString(s, plain.Line(fmt.Sprintf(fmt.FormatString(s, verb), f.value)))
}

// sayError writes an error. The lines after the first are indented, so that none can be taken for a message
// of its own, and one that quotes something huge is shortened.
func sayError(w io.Writer, text string) {
	for i, line := range strings.Split(text, "\n") {
		line = shortened(line)
		if i == 0 {
			say(w, "advise: %s\n", line)
			continue
		}
		say(w, "        %s\n", line)
	}
}

// shortened leaves out the middle of a long line: its beginning says what failed, its end why.
func shortened(line string) string {
	const longest, end = 800, 300
	r := []rune(line)
	if len(r) <= longest {
		return line
	}
	return string(r[:longest-end]) + " ... " + string(r[len(r)-end:])
}
