package mask

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Known are secrets that are known by their value: those that were masked in a command, and those that are
// set for it. They are taken out of every text, as they are, percent-encoded, in base64 and as in JSON,
// also where they are divided over lines.
type Known struct{ forms *regexp.Regexp }

// shortest is how long a value has to be to be looked for: shorter ones are in every text.
const shortest = 6

// longest is how long one may be: of longer ones the parts are looked for.
const longest = 500

// InCommand are the secrets in a command, and in its environment.
func InCommand(argv, env []string) []string {
	m := &masker{}
	m.command(argv)
	for _, variable := range env {
		name, value, _ := strings.Cut(variable, "=")
		if secretName(name) && !place(name) && !isPath(value) {
			m.secret(value)
		} else if strings.Contains(value, "://") {
			m.urls(value)
		} else if holdsOptions(name) {
			m.script(value)
		}
	}
	return m.hidden
}

// InRequest are the secrets in a request: in its path, in its headers and in its body.
func InRequest(path string, header map[string][]string, body string) []string {
	m := &masker{}
	m.path(path)
	for name, values := range header {
		for _, value := range values {
			m.header(name + ": " + value)
		}
	}
	m.line(body)
	return m.hidden
}

// NewKnown takes the values to look for.
func NewKnown(values ...string) Known {
	var forms []string
	add := func(form string) {
		if len(form) >= shortest {
			forms = append(forms, form)
		}
	}
	for _, value := range values {
		for _, part := range parts(value) {
			if len(part) < shortest || len(part) > longest || strings.Contains(part, Mark) || known(part) || isPath(part) && !token(part) {
				continue
			}
			add(part)
			add(url.QueryEscape(part))
			add(url.PathEscape(part))
			for skip := range 3 {
				add(inBase64(part, skip, base64.StdEncoding))
				add(inBase64(part, skip, base64.URLEncoding))
			}
			if quoted, err := json.Marshal(part); err == nil {
				add(strings.Trim(string(quoted), `"`))
			}
		}
	}
	if len(forms) == 0 {
		return Known{}
	}
	slices.SortFunc(forms, func(a, b string) int { return len(b) - len(a) })
	forms = slices.Compact(forms)
	for i, form := range forms {
		forms[i] = overLines(form)
	}
	return Known{forms: regexp.MustCompile(strings.Join(forms, "|"))}
}

// parts are a value and those of its parts that are no words, as the token of "Bearer token".
func parts(value string) []string {
	whole := strings.TrimSpace(value)
	parts := slices.DeleteFunc(strings.FieldsFunc(whole, divides), func(part string) bool { return proseWord.MatchString(part) })
	return append(parts, whole)
}

// divides is where one secret of several in a value may end: user:password, Bearer token, a=b; c=d.
func divides(r rune) bool { return strings.ContainsRune(":;,= \t\n\"'{}", r) }

// inBase64 is what of base64 is the same whatever stands before and behind the value, which begins
// skip bytes into a group of three.
func inBase64(value string, skip int, encoding *base64.Encoding) string {
	text := encoding.EncodeToString([]byte(strings.Repeat("x", skip) + value))
	text = strings.TrimRight(text, "=")
	first, last := 0, len(text)
	if skip > 0 {
		first = skip + 1
	}
	if (skip+len(value))%3 != 0 {
		last--
	}
	return text[min(first, last):last]
}

// overLines finds a form also with a line's end in it.
func overLines(form string) string {
	var out strings.Builder
	for i, r := range form {
		if i > 0 {
			out.WriteString(`(?:[ \t]*\n[ \t]*)?`)
		}
		out.WriteString(regexp.QuoteMeta(string(r)))
	}
	return out.String()
}

// Lines masks the lines of a message: what is known, what is called a secret and what looks like one.
func (k Known) Lines(lines []string) []string {
	if len(lines) == 0 {
		return nil
	}
	masked := strings.Join(lines, "\n")
	if k.forms != nil {
		masked = k.forms.ReplaceAllStringFunc(masked, func(found string) string {
			return Mark + strings.Repeat("\n", strings.Count(found, "\n"))
		})
	}
	before := strings.Split(masked, "\n")
	out := slices.Clone(before)
	for i := range out {
		if i > 0 && secretEnd(before[i-1]) {
			if word := firstWord.FindString(out[i]); !boolean(word) && strings.Trim(word, "{}[]()*\"'") != "" {
				out[i] = strings.Replace(out[i], word, Mark, 1)
			}
		}
		out[i] = Line(out[i])
	}
	return out
}

var (
	continued = regexp.MustCompile(`(?i)([A-Za-z_][\w.-]*)["'\]]*\s*(?:=>|=|:|\\)\s*["']?\s*$|\b(bearer|basic)\s*$`)
	firstWord = regexp.MustCompile(`\S+`)
)

// secretEnd says whether a line ends in a secret's name, whose value is on the next.
func secretEnd(line string) bool {
	found := continued.FindStringSubmatch(line)
	return found != nil && (found[2] != "" || secretName(found[1]))
}
