package mask

import (
	"regexp"
	"strings"
)

var (
	substitution = regexp.MustCompile("\\$\\(([^()]*)\\)|`([^`]*)`")
	fallback     = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)(:?[-=+?])([^{}]*)\}`)
)

// substitutions masks what a shell would run, or would take instead, inside of a word: of $(...), and of
// ${NAME:-default}.
func (m *masker) substitutions(word string) string {
	word = replace(substitution, word, func(g []string) string {
		inner := m.script(g[1] + g[2])
		if g[0][0] == '`' {
			return "`" + inner + "`"
		}
		return "$(" + inner + ")"
	})
	return replace(fallback, word, func(g []string) string {
		if !secretName(g[1]) && harmless(g[3]) {
			return g[0]
		}
		return "${" + g[1] + g[2] + m.secret(g[3]) + "}"
	})
}

// script masks the words of a shell's script, and leaves everything between them as it is.
func (m *masker) script(text string) string {
	var out strings.Builder
	w := walk{masker: m}
	for text != "" {
		length := between(text)
		gap := text[:length]
		out.WriteString(gap)
		text = text[length:]
		if strings.Contains(gap, "<<<") {
			w = walk{masker: m, next: secretValue}
		} else if ends(gap) {
			w = walk{masker: m}
		}
		if text == "" {
			break
		}
		if text[0] == '#' {
			end := strings.IndexByte(text, '\n')
			if end < 0 {
				end = len(text)
			}
			out.WriteString(m.line(text[:end]))
			text = text[end:]
			continue
		}
		length = wordLength(text)
		raw := text[:length]
		text = text[length:]
		cooked := cook(raw)
		if masked := w.word(cooked); masked == cooked {
			out.WriteString(raw)
		} else {
			out.WriteString(requote(masked, raw))
		}
	}
	return out.String()
}

const blanks = " \t\r"

// between is how long what lies before the next word is: blanks, and what divides commands.
func between(text string) int {
	i := 0
	for i < len(text) {
		switch {
		case strings.IndexByte(blanks+"\n;|&()<>", text[i]) >= 0:
			i++
		case strings.HasPrefix(text[i:], "\\\n"):
			i += 2
		default:
			return i
		}
	}
	return i
}

// ends says whether a new command begins behind what divides two words.
func ends(gap string) bool {
	gap = strings.ReplaceAll(gap, "\\\n", "")
	return strings.ContainsAny(gap, "\n;|&()")
}

// wordLength is how long the word is that text begins with, its quotes and substitutions included.
func wordLength(text string) int {
	var quote byte
	depth := 0
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case c == '\\' && quote != '\'' && i+1 < len(text):
			if text[i+1] == '\n' && quote == 0 && depth == 0 {
				return max(i, 1)
			}
			i++
		case quote == '\'' || quote == '"' || quote == '`':
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"' || c == '`':
			quote = c
		case c == '$' && i+1 < len(text) && (text[i+1] == '(' || text[i+1] == '{'):
			depth++
			i++
		case depth > 0 && (c == '(' || c == '{'):
			depth++
		case depth > 0 && (c == ')' || c == '}'):
			depth--
		case depth == 0 && strings.HasPrefix(text[i:], "()"):
			i++
		case depth == 0 && strings.IndexByte(blanks+"\n;|&()<>", c) >= 0:
			return max(i, 1)
		}
	}
	return len(text)
}

// cook takes a word's quotes and backslashes away.
func cook(raw string) string {
	if !strings.ContainsAny(raw, `'"\`) {
		return raw
	}
	var out strings.Builder
	var quote byte
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		switch {
		case c == '\\' && quote != '\'' && i+1 < len(raw):
			i++
			if raw[i] != '\n' {
				out.WriteByte(raw[i])
			}
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"'):
			quote = c
		default:
			out.WriteByte(c)
		}
	}
	return out.String()
}

var bare = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./{}$*-]+$`)

// requote writes a masked word as the raw one was: in its quotes, where it needs any.
func requote(masked, raw string) string {
	switch {
	case bare.MatchString(masked):
		return masked
	case strings.Contains(raw, `"`) && !strings.ContainsAny(masked, "\"\\`"):
		return `"` + masked + `"`
	case !strings.Contains(masked, "'"):
		return "'" + masked + "'"
	default:
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(masked) + `"`
	}
}
