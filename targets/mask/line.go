package mask

import (
	"regexp"
	"strings"
)

var (
	privateKey = regexp.MustCompile(`-----BEGIN[^-\n]*-----.*`)
	// credentialHeader is a header whose value is all that follows; up to the quote, where it is in quotes.
	credentialHeader = regexp.MustCompile(`(?i)(\b(?:proxy-authorization|authorization|set-cookie2?|cookie|x-[a-z0-9-]*(?:key|token|secret|auth|signature)[a-z0-9-]*)["']?\s*(?:[:=]|,|%3[ad])\s*)("(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|[^\n]*)`)
	scheme           = regexp.MustCompile(`(?i)\b((?:bearer|basic|digest|negotiate)(?:\s+|%20))([^\s"',;)}\]]+)`)
	// assignedInLine is name=value, name: value, "name": "value", name => value; name%3Dvalue.
	assignedInLine = regexp.MustCompile(`(?i)(^|[^\w./%-]|(?:^|[\s"'])--?|%26|%3f)(["'\\]*)([A-Za-z_][\w.-]*(?:\[[\w"' ]+\])?)(["'\]\\]*)(\s*(?:=>|:=|=|:|%3[da])\s*)("(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|[^\s]+)`)
	// besideInLine is a secret's name and, behind a blank, something that is no word.
	besideInLine = regexp.MustCompile(`(?i)\b([A-Za-z_][\w-]*)(\s+(?:is\s+|was\s+)?)("[^"]*"|'[^']*'|[^\s"',;]+)`)
	queryInLine  = regexp.MustCompile(`([\w/.-]\?)([A-Za-z][\w.\[\]%-]*=[^\s"'<>#]*)`)
	// flagInLine is --password value, also of a list in quotes.
	flagInLine    = regexp.MustCompile(`((?:^|[\s"'\[(])--?)([A-Za-z][\w-]*)(["']?,?\s+["']?)([^\s"',\])-][^\s"',\])]*)`)
	userInLine    = regexp.MustCompile(`((?:^|\s)(?:-u|--user)[\s=]+[^\s:/]+:)([^\s/"']+)`)
	elementInLine = regexp.MustCompile(`<([A-Za-z][\w.-]*)>([^<\n]+)<`)
	calls         = regexp.MustCompile(`^[A-Za-z_][\w.]*[(\[]`)
	proseWord     = regexp.MustCompile(`^[A-Za-z]+(?:[-'][A-Za-z]+)*$`)
	shortNumber   = regexp.MustCompile(`^\d{1,5}$`)
	address       = regexp.MustCompile(`^0x[0-9a-fA-F]{1,16}$`)
)

// line masks in prose what is called, or looks, like a secret.
func (m *masker) line(s string) string {
	s = privateKey.ReplaceAllStringFunc(s, m.hide)
	s = m.urls(s)
	s = replace(queryInLine, s, func(g []string) string {
		query := strings.TrimRight(g[2], ".,;:)]}")
		return g[1] + m.query(query) + g[2][len(query):]
	})
	s = replace(credentialHeader, s, func(g []string) string {
		value, quotes := unquoted(g[2])
		if boolean(value) {
			return g[0]
		}
		return g[1] + quotes + m.hide(value) + quotes
	})
	s = replace(scheme, s, func(g []string) string {
		if proseWord.MatchString(g[2]) && len(g[2]) < 16 && strings.ToLower(g[2]) == g[2] || g[2] == Mark {
			return g[0]
		}
		return g[1] + m.hide(g[2])
	})
	s = replace(flagInLine, s, func(g []string) string {
		if !secretName(g[2]) || place(g[2]) {
			return g[0]
		}
		return g[1] + g[2] + g[3] + m.secret(g[4])
	})
	s = replace(userInLine, s, func(g []string) string { return g[1] + m.secret(g[2]) })
	s = replace(elementInLine, s, func(g []string) string {
		if !secretName(g[1]) {
			return g[0]
		}
		return "<" + g[1] + ">" + m.secret(g[2]) + "<"
	})
	s = m.assignments(s)
	s = m.beside(s)
	return m.tokens(s)
}

// assignments masks the values that have secrets' names.
func (m *masker) assignments(s string) string {
	var out strings.Builder
	for {
		at := assignedInLine.FindStringSubmatchIndex(s)
		if at == nil {
			break
		}
		name, value := s[at[6]:at[7]], s[at[12]:at[13]]
		if !secretName(name) {
			out.WriteString(s[:at[11]]) // the value may be such a pair itself
			s = s[at[11]:]
			continue
		}
		out.WriteString(s[:at[12]])
		out.WriteString(m.said(value))
		s = s[at[13]:]
	}
	out.WriteString(s)
	return out.String()
}

// said masks the value of a secret in prose, and keeps the signs around it.
func (m *masker) said(value string) string {
	if inner, quotes := unquoted(value); quotes != "" {
		if reference(inner) || boolean(inner) {
			return value
		}
		return quotes + m.hide(inner) + quotes
	}
	inner := strings.TrimRight(value, `"',;)]}>.\`)
	after := value[len(inner):]
	switch {
	case strings.Trim(inner, `"',;:()[]{}<>.=*\`) == "", boolean(inner), reference(inner), calls.MatchString(inner):
		return value
	case strings.HasPrefix(inner, `"`) || strings.HasPrefix(inner, `'`):
		return inner[:1] + m.hide(inner[1:]) + after
	}
	return m.hide(inner) + after
}

// beside masks what stands behind a secret's name without a sign between, unless it can be a word.
func (m *masker) beside(s string) string {
	var out strings.Builder
	for {
		at := besideInLine.FindStringSubmatchIndex(s)
		if at == nil {
			break
		}
		name, value := s[at[2]:at[3]], s[at[6]:at[7]]
		inner, quotes := unquoted(value)
		trimmed := strings.TrimRight(inner, ".:)]}")
		if !secretName(name) || ofMaps[strings.ToLower(name)] || !strange(trimmed) || quotes != "" && strings.ContainsAny(inner, " ") {
			out.WriteString(s[:at[3]])
			s = s[at[3]:]
			continue
		}
		out.WriteString(s[:at[6]] + quotes + m.hide(trimmed) + inner[len(trimmed):] + quotes)
		s = s[at[7]:]
	}
	out.WriteString(s)
	return out.String()
}

// strange is true for what is no word, path, number or sign of prose.
func strange(word string) bool {
	switch {
	case word == Mark, word == "", proseWord.MatchString(word), shortNumber.MatchString(word), address.MatchString(word), version.MatchString(word),
		hostPort.MatchString(word), isPath(word), fileName.MatchString(word), strings.ContainsAny(word, "(=[<{:"):
		return false
	}
	return strings.ContainsAny(word, "0123456789") && strings.ContainsAny(strings.ToLower(word), "abcdefghijklmnopqrstuvwxyz") || longNumber.MatchString(word)
}

// ofMaps are names that mean a secret with a sign behind them only: prose has keys of maps.
var ofMaps = words("key keys pin sid pass sig license")

var longNumber = regexp.MustCompile(`^\d{6,}$`)

// tokens masks what is a token by its form.
func (m *masker) tokens(s string) string {
	s = knownPrefix.ReplaceAllStringFunc(s, func(found string) string {
		if len(found) < 12 {
			return found
		}
		return m.hide(found)
	})
	return run.ReplaceAllStringFunc(s, func(found string) string {
		if strings.HasPrefix(found, "0x") || !dense(found) || strings.HasPrefix(found, "/") && !denser(found) {
			return found
		}
		return m.hide(found)
	})
}

// denser is dense in one of its parts: a path of many short names is not.
func denser(text string) bool {
	for part := range strings.SplitSeq(text, "/") {
		if len(part) >= 16 && dense(part) {
			return true
		}
	}
	return false
}
