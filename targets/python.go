package targets

import (
	"regexp"
	"strconv"
	"strings"
)

// A statement is a logical line of Python at any depth: brackets and line ends escaped by \ are
// joined, comments are gone, and each string literal is its number in quotes.
type statement struct {
	line    int // where it begins, from 1
	indent  int // columns before it; 0 is the module's level
	code    string
	strings []string
}

// scanPython divides a module into its statements. It knows the words of Python and not its
// grammar, which is enough to see what a module defines without running it.
func scanPython(text string) []statement {
	var (
		found []statement
		s     statement
		code  strings.Builder
		depth int
		line  = 1
		fresh = true // nothing of the statement has been seen yet
	)
	end := func(indent int) {
		if s.code = strings.TrimSpace(code.String()); s.code != "" {
			found = append(found, s)
		}
		s, fresh = statement{indent: indent}, true
		code.Reset()
	}
	begin := func() {
		if fresh {
			s.line, fresh = line, false
		}
	}
	text = strings.TrimPrefix(text, "\ufeff")
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c == '#':
			for i < len(text) && text[i] != '\n' {
				i++
			}
			continue
		case c == '\\' && i+1 < len(text) && (text[i+1] == '\n' || text[i+1] == '\r'):
			i++
			if strings.HasPrefix(text[i:], "\r\n") {
				i++
			}
			line++
			code.WriteByte(' ')
		case c == ';' && depth == 0:
			// The next one has the same indent, and no space of its own counts.
			end(s.indent)
			s.line, fresh = line, false
		case c == '\n' || c == '\r':
			if depth == 0 {
				end(0)
			} else {
				code.WriteByte(' ')
			}
			if c == '\n' {
				line++
			}
		case c == '"' || c == '\'':
			begin()
			value, length := pythonString(text[i:])
			line += strings.Count(text[i:i+length], "\n")
			code.WriteString(`"` + strconv.Itoa(len(s.strings)) + `"`)
			s.strings = append(s.strings, value)
			i += length
			continue
		case fresh && (c == ' ' || c == '\t' || c == '\f'):
			s.indent++
		default:
			switch c {
			case '(', '[', '{':
				depth++
			case ')', ']', '}':
				depth = max(0, depth-1)
			}
			begin()
			code.WriteByte(c)
		}
		i++
	}
	end(0)
	return found
}

// pythonString reads a string literal at the start of text: its contents as written, and its length
// with its quotes. One that does not end reaches to the end of the line, or of the text if it is
// triple-quoted.
func pythonString(text string) (value string, length int) {
	quote := text[:1]
	if strings.HasPrefix(text[1:], quote+quote) {
		quote = text[:3]
	}
	for i := len(quote); i < len(text); i++ {
		switch {
		case text[i] == '\\':
			i++
		case strings.HasPrefix(text[i:], quote):
			return text[len(quote):i], i + len(quote)
		case text[i] == '\n' && len(quote) == 1:
			return text[1:i], i
		}
	}
	return text[len(quote):], len(text)
}

var (
	assignedNames = regexp.MustCompile(`^\(?([A-Za-z_][\w, ]*?)\)? *(?::[^=]*)?=[^=]`)
	definedName   = regexp.MustCompile(`^(?:async +)?(?:def|class) +([A-Za-z_]\w*)`)
	importedNames = regexp.MustCompile(`^(?:from +[\w.]+ +)?import +(.*)$`)
	importedName  = regexp.MustCompile(`^\(? *(?:[\w.]+ +as +)?([A-Za-z_]\w*) *\)?$`)
	syncServer    = regexp.MustCompile(`= *(?:\w+\.)*(Flask|Bottle|Pyramid|get_wsgi_application)\(`)
	asyncServer   = regexp.MustCompile(`= *(?:\w+\.)*(FastAPI|Starlette|Quart|Litestar|Sanic|BlackSheep|get_asgi_application)\(`)
)

// defines returns the statement at the module's level that gives a name its value: an assignment,
// a function or class, or an import.
func defines(module []statement, name string) (statement, bool) {
	for _, s := range module {
		if s.indent > 0 {
			continue
		}
		if m := definedName.FindStringSubmatch(s.code); m != nil && m[1] == name {
			return s, true
		}
		if m := importedNames.FindStringSubmatch(s.code); m != nil {
			for part := range strings.SplitSeq(m[1], ",") {
				if n := importedName.FindStringSubmatch(strings.TrimSpace(part)); n != nil && n[1] == name {
					return s, true
				}
			}
			continue
		}
		// a = b = value, and a, b = values
		for rest := s.code; ; {
			m := assignedNames.FindStringSubmatchIndex(rest)
			if m == nil {
				break
			}
			for n := range strings.SplitSeq(rest[m[2]:m[3]], ",") {
				if strings.TrimSpace(n) == name {
					return s, true
				}
			}
			rest = strings.TrimSpace(rest[m[1]-1:])
		}
	}
	return statement{}, false
}

var literal = regexp.MustCompile(`^(\w+)(?: *:[^=]*)? *= *(?:(-?\d+|True|False)|"(\d+)")$`)

// literals are the numbers, strings and truth values that a module gives to names at its level. A name that is
// given anything else, there or deeper, is left out: its value would be a guess.
func literals(module []statement) map[string]string {
	values := map[string]string{}
	unsure := map[string]bool{}
	for _, s := range module {
		if m := literal.FindStringSubmatch(s.code); m != nil && s.indent == 0 {
			if m[3] != "" {
				n, _ := strconv.Atoi(m[3])
				m[2] = s.strings[n]
			}
			values[m[1]] = m[2]
			delete(unsure, m[1])
		} else if m := assignedNames.FindStringSubmatch(s.code); m != nil {
			unsure[strings.TrimSpace(m[1])] = true
		}
	}
	for name := range unsure {
		delete(values, name)
	}
	return values
}
