package mask

import (
	"regexp"
	"strings"
)

var (
	codeSign  = regexp.MustCompile(`(?m)exec\(compile\(|\bdo(?: \|[^|]*\|)?$|require\(|^\s*require ['"]|^end$|^\s*(?:import|from) \w|^\s*def \w`)
	semicolon = regexp.MustCompile(`(?m)[^\s;#].*[;{][ \t]*$`)
	pem       = regexp.MustCompile(`(?s)(-----BEGIN[^-\n]*-----).*?(-----END[^-\n]*-----|$)`)
	piece     = regexp.MustCompile(`"(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?|\$\{[^}\s]*\}|=>|[^\s"'{}();,=<>]+|[ \t\r]+|\n|.`)
	settable  = regexp.MustCompile(`^[%@]?[A-Za-z_][\w.:-]*(?:\[[^\]\s]*\])?:?$|^\[[\w.: -]*\]$|^/?[A-Za-z]+$`)
	codeEnv   = regexp.MustCompile(`((?:ENV|environ|process\.env)(?:\[["']|\.)(\w+)(?:["']\])?\s*\|{0,2}=\s*)("(?:[^"\\]|\\.)*"?|'(?:[^'\\]|\\.)*'?)`)
)

// text masks a file: JSON, code, or settings line by line.
func (m *masker) text(text string) string {
	text = replace(pem, text, func(g []string) string {
		if !strings.Contains(g[1], "PRIVATE") {
			return g[0]
		}
		return m.hide(g[0])
	})
	switch {
	case jsonText.MatchString(text):
		return m.json(text)
	case codeSign.MatchString(text):
		return m.program(text)
	default:
		return m.settings(text)
	}
}

// program masks Ruby, Python and JavaScript: strings that may be secrets, and what is set in the environment.
func (m *masker) program(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		out.WriteString(m.code(line))
	}
	return out.String()
}

// knownSettings are the settings whose plain words may be read.
var knownSettings = regexp.MustCompile(`(?i)^(?:worker\w*|keepalive\w*|listen\S*|server|server[._]\w+|servername|serverroot|serveralias|serveradmin|serverlimit|root|index|location\w*|include\w*|user|group|pid|error_?log|access_?log|log\w*|events|http|stream|upstream|sendfile|tcp_\w+|gzip\w*|types|default_type|\w+_pass|\w+_timeout|timeout\w*|fastcgi_(?:index|split_path_info|buffer\w*|temp_path|keep_conn|pass_header)|\w+_temp_path|proxy_(?:http_version|buffer\w*|redirect|cache\w*|temp_path|pass_header)|try_files|return|rewrite|client_\w+|use|multi_accept|daemon\w*|master\w*|load_module|loadmodule|directory\w*|documentroot|errorlog|customlog|logformat|loglevel|allowoverride|options|require|order|allow|deny|ifmodule|virtualhost|files\w*|sethandler|addhandler|addtype|directoryindex|mutex|pidfile|typesconfig|maxrequest\w*|\w*servers|threads\w*|maxclients|startservers|accessfilename|hostnamelookups|defaultruntimedir|extendedstatus|ssl_(?:protocols|ciphers|session_\w+|prefer_\w+)|pm(?:\.\w+)?|pool|catch_\w+|clear_env|slowlog|request_\w+|rlimit_\w+|chdir|chroot|process\w*|emergency_\w+|security\.limit_extensions|global|www|uwsgi|module|callable|mount|wsgi-file|plugin\w*|socket|http-socket|chmod-socket|chown-socket|vacuum|die-on-term|harakiri\w*|max-\w+|min-\w+|enable-threads|lazy\w*|need-app|cheaper\w*|buffer-size|stats\w*|virtualenv|venv|home|pythonpath|strict|single-interpreter|uid|gid|disable-logging|auto-procname|reload-\w+|post-buffering|thunder-lock|offload-threads|static-map|mimetype\.assign|url\.\w+|dir-listing\.\w+|ssl\.engine|index-file\.names|static-file\.\w+|var\.\w+|bind|backlog|preload_?\w*|reuse_port|proc_name|graceful_timeout|limit_\w+|max_\w+|charset|if|else|set_real_ip_from|real_ip_header|map|hash_\w+|resolver|expires|etag|autoindex|internal|aio|directio|open_file_\w+|variables_hash\w*|types_hash\w*|server_names\w*|serversignature|servertokens|traceenable|scriptalias|alias|rewrite\w+|proxypass\w*|header_size|exec\w*|hook\w*|attach\w*|umask|prefix)$`)

// named are the settings that set something else by its name, which comes next.
var named = regexp.MustCompile(`(?i)^(?:env|setenv\w*|setenv\.\S+|passenv|\w+_param|\w+_set_header|add_header|requestheader|header|set|php_(?:admin_)?(?:value|flag)|unsetenv|more_set_headers|sub_filter|environment)(?:\[|$)`)

// verbs stand between a named setting and its name.
var verbs = words("set add append merge always early edit unset onsuccess echo setifempty")

// settings masks settings of the form "name value", "name = value" and "name value;", with the values of
// which nothing is known.
func (m *masker) settings(text string) string {
	s := settings{masker: m, ends: semicolon.MatchString(text)}
	for _, p := range piece.FindAllString(text, -1) {
		s.out.WriteString(s.piece(p))
	}
	return s.out.String()
}

type settings struct {
	*masker
	out       strings.Builder
	ends      bool // a statement ends by a semicolon, and not with its line
	comment   bool
	depth     int    // of parentheses
	name      string // of the setting
	inner     string // what it sets, where it is one that sets something by name
	last      string // the last word that may be a name
	separated bool   // an = or the like was the last sign
	valued    bool   // it has a value
	text      strings.Builder
}

func (s *settings) reset() { s.name, s.inner, s.last, s.separated, s.valued = "", "", "", false, false }

// piece is the next word, string, sign or blank, masked.
func (s *settings) piece(p string) string {
	if s.comment {
		if p != "\n" {
			s.text.WriteString(p)
			return ""
		}
		text := s.line(s.text.String())
		s.text.Reset()
		s.comment = false
		return text + s.newline()
	}
	switch {
	case p == "\n":
		return s.newline()
	case strings.TrimSpace(p) == "":
		return p
	case p == ";" && s.name == "", s.name == "" && (p[0] == '#' || strings.HasPrefix(p, "//")), p[0] == '#' && s.inner == "" && !s.separated && !secretName(s.last):
		if p == ";" && s.ends {
			return p
		}
		s.comment = true
		s.text.WriteString(p)
		return ""
	case p == "(":
		s.depth++
		return p
	case p == ")":
		s.depth = max(0, s.depth-1)
		return p
	case p == ";" || p == "{" || p == "}":
		s.reset()
		return p
	case p == "=" || p == "=>":
		s.separated = true
		return p
	case p == "," || p == "<" || p == ">":
		if p == "," {
			s.last, s.separated = "", false
		}
		return p
	default:
		return s.word(p)
	}
}

func (s *settings) newline() string {
	switch {
	case s.depth > 0, s.ends && s.name != "" && !s.valued:
	case s.separated && !s.valued, strings.HasSuffix(s.name, ":") && !s.valued: // its value is on the next line
	default:
		s.reset()
	}
	return "\n"
}

// word masks a word or a string of a setting.
func (s *settings) word(p string) string {
	inner, quotes := unquoted(p)
	if len(p) > 0 && quotes == "" && (p[0] == '"' || p[0] == '\'') {
		inner, quotes = p[1:], p[:1] // an open string
	}
	if s.name == "" {
		s.name, s.last = inner, inner
		if quotes == "" && settable.MatchString(inner) && !token(inner) && !mixed(inner) || harmless(inner) {
			return p
		}
		return s.hide(p)
	}
	masked := s.value(inner)
	if masked == inner {
		return p
	}
	if len(p) > 1 && p[len(p)-1] == p[0] {
		return quotes + masked + quotes
	}
	return quotes + masked
}

// value masks what a setting is given.
func (s *settings) value(v string) string {
	last, separated := s.last, s.separated
	s.separated, s.valued = false, true
	name := strings.TrimSuffix(s.name, ":")
	if named.MatchString(name) && s.inner == "" && !strings.Contains(name, "[") {
		if verbs[strings.ToLower(v)] {
			return v
		}
		s.valued = false
		if head, rest, ok := strings.Cut(v, ":"); ok && settable.MatchString(head) {
			s.inner = head
			return head + ":" + s.hide(rest)
		}
		s.inner, s.last = v, v
		if (settable.MatchString(v) || strings.HasPrefix(v, "$")) && !token(v) && !mixed(v) {
			return v
		}
		return s.hide(v)
	}
	if at := strings.IndexByte(name, '['); at > 0 && named.MatchString(name) {
		s.inner = strings.Trim(name[at:], "[]")
	}
	if s.inner != "" && settable.MatchString(v) && !separated && s.depth > 0 && last == "" {
		s.last = v // the name of the next in a list
		return v
	}
	s.last = v
	return s.valueOf(name, last, separated, v)
}

func (s *settings) valueOf(name, last string, separated bool, v string) string {
	switch {
	case (secretName(name) || secretName(last) && (separated || last == s.inner || strings.HasSuffix(last, ":")) || secretName(s.inner)) && !(place(name) && isPath(v)) && !settingOf[strings.ToLower(name)]:
		if withoutAtoms(v) == "" {
			return v
		}
		return s.secret(v)
	case withoutAtoms(v) == "":
		return v
	case strings.Contains(v, "://"):
		return s.urls(v)
	case s.inner != "":
		return s.set(v)
	case harmless(v), variableWord.MatchString(v), punctuation.MatchString(v):
		return v
	case assigned.MatchString(v):
		return s.variable(v)
	case knownSettings.MatchString(name) && !strings.EqualFold(name, "if"):
		if allPlain(v) {
			return v
		}
	}
	return s.hide(v)
}

// settingOf are settings with a secret's name that hold none.
var settingOf = words("ssl_session_cache ssl_session_timeout keepalive ssl_certificate_key ssl_session_tickets accessfilename")

var (
	variableWord = regexp.MustCompile(`^[!~*]*\$[a-z_]+[0-9]?(?:[:/]?\$[a-z_]+)*$|^%[({][\w.-]+[)}]\w?$`)
	punctuation  = regexp.MustCompile(`^[^A-Za-z0-9]{1,4}$`)
	pattern      = regexp.MustCompile(`^[\w./:@%+*$^~?|\\\[\](){}!&-]*$`)
)

// set masks the value of what a setting sets by its name.
func (s *settings) set(v string) string {
	if harmlessVariable(s.inner) || harmlessHeaders[strings.ToLower(s.inner)] {
		if allPlain(v) || variableWord.MatchString(v) {
			return v
		}
	}
	switch {
	case boolean(v), smallNumber.MatchString(v), variableWord.MatchString(v), countName(s.inner) && number.MatchString(v):
		return v
	}
	return s.hide(v)
}

// allPlain is true for plain words, and for patterns.
func allPlain(text string) bool {
	for word := range strings.FieldsSeq(text) {
		if plain(word) || variableWord.MatchString(word) {
			continue
		}
		if !pattern.MatchString(word) || token(word) || mixed(word) {
			return false
		}
	}
	return true
}
