// Package mask hides secrets in what leaves the process: plans, records, reports, progress, errors and
// files to paste. It is the only place that decides what may be shown.
package mask

import (
	"regexp"
	"slices"
	"strings"
)

// Mark stands where something was hidden.
const Mark = "***"

// secretWord is what the name of a secret contains.
const secretWord = `(?:passw(?:or)?d|passwd|passphrase|secret|token|api[-_]?key|access[-_]?key|private[-_]?key|credentials?)`

var (
	secretName   = regexp.MustCompile(`(?i)` + secretWord)
	secretFile   = regexp.MustCompile(`(?i)(file|path|dir|url|name|header)$`)
	secretURL    = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://[^/\s:@'"]*):([^@/\s'"]+)@`)
	secretHeader = regexp.MustCompile(`(?i)^((?:proxy-)?authorization|cookie|[a-z-]*(?:token|api-?key|secret))\s*:\s*\S.*$`)
	// Inside a longer text, such as the argument of sh -c.
	secretAssigned = regexp.MustCompile(`(?i)(\b[a-z0-9_]*` + secretWord + `[a-z0-9_]*=)('[^']*'|"[^"]*"|[^\s'"]+)`)
	secretFlag     = regexp.MustCompile(`(?i)(--?[a-z0-9-]*` + secretWord + `[ =]+)('[^']*'|"[^"]*"|[^\s'"-][^\s'"]*)`)
)

// Command replaces by *** what looks like a secret: the values of flags and variables called
// password, token, secret, key and the like, and passwords in URLs. It says whether there was any.
func Command(argv []string) (masked []string, changed bool) {
	masked = slices.Clone(argv)
	next := false
	for i, word := range masked {
		if next && !strings.HasPrefix(word, "-") {
			masked[i], next = Mark, false
			continue
		}
		masked[i], next = maskWord(word)
	}
	return masked, !slices.Equal(masked, argv)
}

// maskWord masks one word, and says whether the word after it is a secret.
func maskWord(word string) (masked string, next bool) {
	word = secretURL.ReplaceAllString(word, "$1:"+Mark+"@")
	if strings.ContainsAny(word, " \t\n") {
		word = secretHeader.ReplaceAllString(word, "$1: "+Mark)
		word = secretAssigned.ReplaceAllString(word, "${1}"+Mark)
		return secretFlag.ReplaceAllString(word, "${1}"+Mark), false
	}
	name, value, assigned := strings.Cut(word, "=")
	flag := strings.HasPrefix(name, "-")
	secret := secretName.MatchString(name) && !secretFile.MatchString(name)
	switch {
	case assigned && secret && (flag || assigns(word)):
		return name + "=" + Mark, false
	case assigned && flag && assigns(value): // --env=TOKEN=x
		inner, _ := maskWord(value)
		return name + "=" + inner, false
	case !assigned && flag && secret:
		return word, true
	}
	return secretAssigned.ReplaceAllString(word, "${1}"+Mark), false
}

// Text masks what looks like a secret in a configuration file: all that follows its name on the
// line, and passwords in URLs.
func Text(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		line = secretURL.ReplaceAllString(line, "$1:"+Mark+"@")
		body := strings.TrimRight(line, "\n")
		if at := secretName.FindStringIndex(body); at != nil {
			end := at[1] + len(body[at[1]:]) - len(strings.TrimLeft(body[at[1]:], wordRest))
			if rest := strings.TrimLeft(body[end:], " \t=:,>\"'])"); rest != "" {
				line = body[:len(body)-len(rest)] + Mark + line[len(body):]
			}
		}
		out.WriteString(line)
	}
	return out.String()
}

const wordRest = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"

// Variable masks the value of NAME=value where it looks like a secret.
func Variable(assignment string) string {
	masked, _ := maskWord(assignment)
	return masked
}

// Line masks a line of a log or of an error.
func Line(line string) string {
	return secretURL.ReplaceAllString(line, "$1:"+Mark+"@")
}

var assignment = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*=`)

func assigns(word string) bool { return assignment.MatchString(word) }
