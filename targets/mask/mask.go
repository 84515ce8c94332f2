// Package mask hides secrets in what leaves the process: plans, records, reports, progress, errors and
// files to paste. It is the only place that decides what may be shown.
//
// The rule: what is shown is what is known to be harmless, by its name or by its form; the rest is masked.
// Only in prose, which is the lines of a log, it is the other way round, since prose is there to be read.
// What is masked already is never changed again.
package mask

import (
	"regexp"
	"slices"
	"strings"
)

// Mark stands where something was hidden.
const Mark = "***"

// Command masks the words of a command. The words stay as many as they were: those that had something to
// hide are the ones that differ. It says whether any does.
func Command(argv []string) (masked []string, changed bool) {
	masked = (&masker{}).command(argv)
	return masked, !slices.Equal(masked, argv)
}

// Variable masks the value of NAME=value, unless the name is that of a harmless one and the value is plain.
func Variable(assignment string) string {
	return settle((&masker{}).variable, assignment)
}

// Script masks a line of a shell's script, or several.
func Script(text string) string {
	return settle((&masker{}).script, text)
}

// Line masks a line of a log or of an error.
func Line(line string) string {
	return settle((&masker{}).line, line)
}

// Text masks a configuration file, of any of the known servers' kinds.
func Text(text string) string {
	return settle((&masker{}).text, text)
}

// Path masks a path with its query, as it goes to a server: what of it looks like a token, and the values in
// its query but those of harmless names that are short words or numbers. It says whether anything is hidden.
func Path(path string) (shown string, hidden bool) {
	shown = settle((&masker{}).path, path)
	return shown, shown != path
}

// A masker masks, and keeps what it has hidden.
type masker struct{ hidden []string }

func (m *masker) hide(value string) string {
	if value == "" || value == Mark {
		return value
	}
	m.hidden = append(m.hidden, value)
	return Mark
}

// rounds are enough for a text that is masked to stay as it is when it is masked again.
const rounds = 4

func settle(mask func(string) string, text string) string {
	for range rounds {
		masked := mask(text)
		if masked == text {
			return text
		}
		text = masked
	}
	return Mark
}

// command masks word by word, with a walk that knows what the word before was.
func (m *masker) command(argv []string) []string {
	masked := slices.Clone(argv)
	for range rounds {
		before := slices.Clone(masked)
		w := walk{masker: m}
		for i, word := range masked {
			masked[i] = w.word(word)
		}
		if slices.Equal(before, masked) {
			return masked
		}
	}
	for i := range masked {
		masked[i] = Mark
	}
	return masked
}

// variable masks the value of NAME=value.
func (m *masker) variable(assignment string) string {
	name, value, ok := strings.Cut(assignment, "=")
	value, quotes := unquoted(value)
	switch {
	case !ok:
		return assignment
	case secretName(name):
		value = m.secret(value)
	case holdsOptions(name):
		value = m.script(value)
	case harmlessVariable(name):
		value = m.plainOr(value)
	case countName(name) && number.MatchString(value), smallNumber.MatchString(value), boolean(value), reference(value):
	default:
		value = m.hide(value)
	}
	return name + "=" + quotes + value + quotes
}

// smallNumber is too short for a PIN.
var smallNumber = regexp.MustCompile(`^\d{1,3}$`)

// unquoted takes off quotes that are around the whole of a value.
func unquoted(value string) (inner, quotes string) {
	if n := len(value); n >= 2 && value[0] == value[n-1] && (value[0] == '"' || value[0] == '\'') {
		return value[1 : n-1], value[:1]
	}
	return value, ""
}

// secret masks the value of something with a secret's name. No secret are a switch, and a variable's name.
func (m *masker) secret(value string) string {
	if boolean(value) || reference(value) {
		return value
	}
	return m.hide(value)
}

// plainOr masks a word that is not plain; of a URL its secret parts.
func (m *masker) plainOr(value string) string {
	switch {
	case strings.Contains(value, "://"):
		return m.urls(value)
	case plain(value):
		return value
	default:
		return m.hide(value)
	}
}
