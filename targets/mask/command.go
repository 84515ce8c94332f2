package mask

import (
	"path"
	"regexp"
	"strings"
)

// A walk goes through the words of a command. What a word is depends on the one before.
type walk struct {
	*masker
	program string // the last program named
	next    awaited
	option  string // that the next word belongs to
}

// awaited is what the next word is.
type awaited int

const (
	anything awaited = iota
	secretValue
	optionValue // of an option that may take one
	headerValue
	accountValue // user:password
	variableValue
	besideValue // behind a word that is a secret's name
	codeValue   // in the program's own language
)

var (
	assigned   = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.]*=`)
	optionName = regexp.MustCompile(`^--?[A-Za-z0-9][A-Za-z0-9_.:-]*$`)
	longFlag   = regexp.MustCompile(`^--[a-z]+(?:-[a-z]+)*(?:=.*)?$|^-[A-Za-z]$`)
	letters    = regexp.MustCompile(`^[A-Za-z][A-Za-z_-]*$`)
	javaOption = regexp.MustCompile(`^-X[A-Za-z]+\d+[kKmMgG]?$|^-XX:[+-][A-Za-z0-9]+$|^-XX:[A-Za-z]+=\d+[kKmMgG]?$`)
	pair       = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9_.-]*):(\s*)(\S.*)$`)
	negative   = regexp.MustCompile(`^-\d`)
	jsonText   = regexp.MustCompile(`^\s*[\[{]\s*["{\[]`)
)

// interpreters take code in their own language behind -c, -e and the like.
var interpreters = words("python python2 python3 node nodejs ruby php perl deno bun pypy pypy3 lua")

// word masks the next word.
func (w *walk) word(s string) string {
	awaits := w.next
	w.next = anything
	if s == "" || s == Mark {
		return s
	}
	s = w.substitutions(s)
	switch {
	case awaits == secretValue && !longFlag.MatchString(s):
		if place(w.option) && isPlace(s) {
			return s
		}
		return w.secret(s)
	case awaits == headerValue:
		return w.header(s)
	case awaits == accountValue && !strings.HasPrefix(s, "-"):
		return w.account(s)
	case awaits == variableValue && assigned.MatchString(s):
		return w.variable(s)
	case awaits == codeValue:
		return w.code(s)
	case awaits == besideValue:
		if strange(s) {
			return w.hide(s)
		}
		return w.argument(s)
	case awaits >= optionValue && !strings.HasPrefix(s, "-"):
		return w.value(w.option, s)
	case strings.HasPrefix(s, "-") && s != "-" && !negative.MatchString(s):
		return w.optionWord(s)
	}
	return w.argument(s)
}

// oneWord is true for what is one word to a shell as it stands, and so would be no other in a script.
func oneWord(s string) bool { return between(s) == 0 && wordLength(s) == len(s) && cook(s) == s }

// isPlace is true for where something is: a path, or a word for a file.
func isPlace(s string) bool {
	return plain(s) && !numbered(s) || isPath(s) && !token(s) || fileName.MatchString(s) || number.MatchString(s)
}

// argument masks a word that belongs to no option.
func (w *walk) argument(s string) string {
	switch {
	case jsonText.MatchString(s):
		return w.json(s)
	case begins.MatchString(s):
		return w.hide(s)
	case assigned.MatchString(s):
		return w.variable(s)
	case connection.MatchString(s):
		return w.connection(s)
	}
	if p := pair.FindStringSubmatch(s); p != nil && !strings.HasPrefix(p[3], "//") && (p[2] != "" || secretName(p[1])) && !strings.Contains(p[1], "$") {
		if p[2] != "" && strings.ContainsAny(p[1], ".") || applications[p[3]] {
			return w.spaced(s)
		}
		if p[2] == "" || secretName(p[1]) || headerLike.MatchString(p[1]) {
			return w.header(s)
		}
	}
	if strings.ContainsAny(s, " \t\n") && !oneWord(s) {
		return w.script(s)
	}
	if strings.Contains(s, "://") {
		return w.urls(s)
	}
	if at := account.FindStringSubmatch(s); at != nil {
		return w.hide(at[1]) + at[2]
	}
	if letters.MatchString(s) && secretName(s) {
		w.next = besideValue
		return s
	}
	if name, ok := strings.CutSuffix(s, ":"); ok && secretName(name) {
		w.next, w.option = secretValue, name
		return s
	}
	if shellSign[s] {
		return s
	}
	if !plain(s) {
		return w.hide(s)
	}
	if base := path.Base(s); interpreters[strings.TrimRight(base, ".0123456789")] || interpreters[base] || shells[base] {
		w.program = base
	}
	return s
}

var (
	// applications are what a module's attribute is called: tokens:app is no token.
	applications = words("app application api wsgi asgi server main create_app() make_app() create_app make_app factory celery")
	headerLike   = regexp.MustCompile(`^[A-Z][A-Za-z]*(?:-[A-Z][A-Za-z]*)*$`)
	shellSign    = words("[ ] [[ ]] ! { } @ - . .. * -- $@ $* ? & && | || ; : +")
	shells       = words("sh bash dash ash zsh")
	account      = regexp.MustCompile(`^([^\s:/@]+:[^\s]+)(@[A-Za-z0-9.-]+(?::.*)?)$`)
	connection   = regexp.MustCompile(`(?i)^[A-Za-z][A-Za-z ]*=[^;]*;(?:\s*[A-Za-z][A-Za-z ]*=[^;]*;?)+$`)
)

func (m *masker) spaced(s string) string {
	if strings.ContainsAny(s, " \t\n") {
		return m.script(s)
	}
	return m.plainOr(s)
}

// connection masks a connection string: Server=db;Uid=sa;Pwd=x.
func (m *masker) connection(s string) string {
	parts := strings.Split(s, ";")
	for i, part := range parts {
		name, value, ok := strings.Cut(part, "=")
		if ok && (secretName(name) || !harmless(value)) {
			parts[i] = name + "=" + m.hide(value)
		}
	}
	return strings.Join(parts, ";")
}

// optionWord masks an option, alone or with its value.
func (w *walk) optionWord(s string) string {
	name, value, glued := strings.Cut(s, "=")
	switch {
	case javaOption.MatchString(s):
		return s
	case len(s) > 2 && s[1] != '-' && !letters.MatchString(name[1:]):
		return w.short(s)
	case name == "--":
		return s
	case !optionName.MatchString(withoutAtoms(name)) || token(name):
		return w.hide(s)
	case glued:
		return name + "=" + w.glued(name, value)
	}
	if len(s) > 2 && s[1] != '-' && mixed(s[2:]) { // -pVALUE
		return s[:2] + w.hide(s[2:])
	}
	if wanted, rest := s[:2], s[2:]; rest != "" && s[1] != '-' && (wanted == "-H" && strings.Contains(rest, ":")) {
		return wanted + w.header(rest)
	}
	w.next, w.option = w.awaits(name), name
	return s
}

// awaits is what follows an option that has no value in its own word.
func (w *walk) awaits(name string) awaited {
	switch name {
	case "-H", "--header", "--proxy-header":
		return headerValue
	case "-u", "--user", "--proxy-user", "-U", "--http-auth", "--basic-auth":
		return accountValue
	case "-c", "--eval", "-p", "--print", "-r", "-e":
		if interpreters[strings.TrimRight(w.program, ".0123456789")] {
			if name == "-r" && w.program == "node" || name == "-c" && w.program == "php" {
				break
			}
			return codeValue
		}
		if name == "-e" {
			return variableValue
		}
	case "--env", "--set-env", "--setenv", "--environment":
		return variableValue
	}
	switch {
	case secretName(name):
		return secretValue
	case flag(name):
		return anything
	default:
		return optionValue
	}
}

// glued masks a value that is in the option's own word.
func (w *walk) glued(name, value string) string {
	inner, quotes := unquoted(value)
	switch w.awaits(name) {
	case headerValue:
		return quotes + w.header(inner) + quotes
	case accountValue:
		return quotes + w.account(inner) + quotes
	case codeValue:
		return quotes + w.code(inner) + quotes
	case secretValue:
		if place(name) && isPlace(inner) {
			return value
		}
		return quotes + w.secret(inner) + quotes
	}
	if assigned.MatchString(inner) {
		return quotes + w.variable(inner) + quotes
	}
	return quotes + w.value(name, inner) + quotes
}

// short masks short options that are run together with a value: -w4, -b:8000, -eTOKEN=x.
func (w *walk) short(s string) string {
	name, value := s[:2], s[2:]
	value, equals := strings.TrimPrefix(value, "="), strings.HasPrefix(value, "=")
	if equals {
		name += "="
	}
	switch {
	case name == "-H":
		return name + w.header(value)
	case strings.HasPrefix(name, "-u") && strings.Contains(value, ":"):
		return name + w.account(value)
	case s[1] == 'D' || assigned.MatchString(value):
		if assigned.MatchString(value) {
			return name + w.variable(value)
		}
		key, v, _ := strings.Cut(value, "=")
		if plain(key) && v == "" {
			return s
		}
		return name + w.hide(value)
	case harmless(value), s[1] == '-' || !numberedOption.MatchString(s) && withoutAtoms(value) == "":
		return s
	case strings.Contains(value, "://"):
		return name + w.urls(value)
	case numberedOption.MatchString(s):
		return s
	}
	if n, v, ok := strings.Cut(s, "="); ok && optionName.MatchString(n) && !token(n) {
		return n + "=" + w.glued(n, v)
	}
	return name + w.hide(value)
}

// numberedOption is one such as -http2 or -9.
var numberedOption = regexp.MustCompile(`^-(?:http\d|[a-z]?\d{1,6}|ipv?[46])$`)

// value masks what an option that is no secret's is given.
func (w *walk) value(option, s string) string {
	switch {
	case jsonText.MatchString(s):
		return w.json(s)
	case strings.Contains(s, "://") && !strings.ContainsAny(s, " \t\n"):
		return w.urls(s)
	case harmless(s):
		return w.argument(s)
	case isScript(option, s):
		return w.script(s)
	case assigned.MatchString(s):
		return w.variable(s)
	case option == "-p" && numbered(s): // a port, a folder, and a password
		return w.hide(s)
	case wordOption(option) && plain(s):
		return s
	case option == "-m" || option == "-g" || option == "-n" || option == "-d":
		return w.argument(s)
	default:
		return w.hide(s)
	}
}

// isScript says whether words in a word are a script: that of a shell, or another list of commands.
func isScript(option, s string) bool {
	if !strings.ContainsAny(s, " \t\n;&|") {
		return false
	}
	return len(option) == 2 || strings.HasSuffix(option, "c") && len(option) <= 5 || holdsCommand[strings.TrimLeft(option, "-")]
}

var holdsCommand = words("exec command cmd script run start args eval")

// account masks the password in user:password.
func (m *masker) account(s string) string {
	user, password, ok := strings.Cut(s, ":")
	switch {
	case !ok && harmless(s), !ok && plain(s) && !mixed(s):
		return s
	case !ok:
		return m.hide(s)
	case number.MatchString(user) && number.MatchString(password) || reference(password) && password != Mark:
		return s
	default:
		return user + ":" + m.hide(password)
	}
}

// header masks the value of a header that is not known to be harmless.
func (m *masker) header(s string) string {
	at := strings.IndexAny(s, ":=")
	if at < 0 {
		return m.plainOr(s)
	}
	name := s[:at]
	rest := s[at+1:]
	value := strings.TrimLeft(rest, " \t")
	space := rest[:len(rest)-len(value)]
	if harmlessHeaders[strings.ToLower(name)] && !token(value) && !secretName(value) {
		return s
	}
	if token(name) || strings.ContainsAny(name, " \t\n") {
		return m.hide(s)
	}
	return name + s[at:at+1] + space + m.secret(value)
}

var (
	jsonPair   = regexp.MustCompile(`("(?:[^"\\]|\\.)*"\s*:\s*)("(?:[^"\\]|\\.)*"?|[^\s"\[\]{},]+)`)
	jsonString = regexp.MustCompile(`"(?:[^"\\]|\\.)*"?`)
)

// json masks the values of JSON that are not harmless. Its names stay.
func (m *masker) json(s string) string {
	names := map[int]bool{}
	for _, at := range jsonPair.FindAllStringSubmatchIndex(s, -1) {
		names[at[2]] = true
	}
	s = replace(jsonPair, s, func(g []string) string {
		value, quotes := unquoted(g[2])
		name, _ := unquoted(strings.TrimRight(strings.TrimRight(g[1], " \t\r\n"), ": \t\r\n"))
		if secretName(name) {
			return g[1] + quotes + m.secret(value) + quotes
		}
		if harmless(value) {
			return g[0]
		}
		return g[1] + quotes + m.hide(value) + quotes
	})
	return jsonString.ReplaceAllStringFunc(s, func(text string) string {
		inner, quotes := unquoted(text)
		if harmless(inner) || letters.MatchString(inner) && !mixed(inner) || plain(inner) && !numbered(inner) {
			return text
		}
		return quotes + m.hide(inner) + quotes
	})
}

// replace is ReplaceAllStringFunc with the groups.
func replace(re *regexp.Regexp, s string, with func(groups []string) string) string {
	var out strings.Builder
	end := 0
	for _, at := range re.FindAllStringSubmatchIndex(s, -1) {
		groups := make([]string, len(at)/2)
		for i := range groups {
			if at[2*i] >= 0 {
				groups[i] = s[at[2*i]:at[2*i+1]]
			}
		}
		out.WriteString(s[end:at[0]])
		out.WriteString(with(groups))
		end = at[1]
	}
	out.WriteString(s[end:])
	return out.String()
}

var (
	codeString = regexp.MustCompile(`"(?:[^"\\\n]|\\.)*"?|'(?:[^'\\\n]|\\.)*'?`)
	codeSet    = regexp.MustCompile(`([A-Za-z_][A-Za-z0-9_]*["'\]]*\s*(?:=>?|:)\s*)("(?:[^"\\\n]|\\.)*"?|'(?:[^'\\\n]|\\.)*'?)`)
)

// code masks what looks like a secret in a program's text.
func (m *masker) code(s string) string {
	s = m.line(s)
	s = replace(codeEnv, s, func(g []string) string {
		masked := m.variable(g[2] + "=" + g[3])
		return g[1] + strings.TrimPrefix(masked, g[2]+"=")
	})
	s = replace(codeSet, s, func(g []string) string {
		value, quotes := unquoted(g[2])
		if harmless(value) {
			return g[0]
		}
		name := strings.TrimRight(g[1], "\"'] \t\n=>:")
		if secretName(name) {
			return g[1] + quotes + m.secret(value) + quotes
		}
		return g[0]
	})
	return codeString.ReplaceAllStringFunc(s, func(text string) string {
		inner, quotes := unquoted(text)
		for word := range strings.FieldsSeq(inner) {
			if withoutAtoms(word) != "" && (token(word) || mixed(word) && !isPath(word)) {
				return quotes + m.hide(inner) + quotes
			}
		}
		return text
	})
}
