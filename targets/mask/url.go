package mask

import (
	"net/url"
	"regexp"
	"strings"
)

var (
	urlStart     = regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://[^\s"'<>` + "`" + `\\]*`)
	authority    = regexp.MustCompile(`^(?:[A-Za-z0-9_.*{}$-]*|\[[0-9a-fA-F:.%]*\])(?::(?:\d{1,5}|\{[a-z]+\}|\$\{?[A-Z_]+\}?|\*\*\*)?)?$`)
	loopback     = regexp.MustCompile(`^(?:localhost|127\.\d+\.\d+\.\d+|\[::1?\]|0\.0\.0\.0|\{host\}|\$\{?HOST\}?)(?::|$)`)
	segmentWord  = regexp.MustCompile(`^[A-Za-z]?[a-z]{0,20}(?:[._~@-][A-Za-z]?[a-z]{0,20})*$|^v?\d{1,6}$|^v?\d{1,3}(?:\.\d{1,4}){1,3}$`)
	fragmentWord = regexp.MustCompile(`^[a-z]{0,16}(?:[_-][a-z]{0,16})*$`)
	queryName    = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.\[\]-]{0,40}$`)
	queryValue   = regexp.MustCompile(`^[a-z]{1,12}$|^[0-9]{1,6}$`)
)

// urls masks the URLs in a text: their users and passwords, what of their paths is no plain word, and
// the values in their queries.
func (m *masker) urls(text string) string {
	return urlStart.ReplaceAllStringFunc(text, func(found string) string {
		body := strings.TrimRight(found, ".,;:)]}")
		return m.url(body) + found[len(body):]
	})
}

func (m *masker) url(text string) string {
	scheme, rest, _ := strings.Cut(text, "://")
	scheme += "://"
	if strings.EqualFold(scheme, "file://") || strings.EqualFold(scheme, "unix://") || strings.EqualFold(scheme, "fd://") {
		if token(rest) || strings.Contains(rest, "@") {
			return scheme + m.hide(rest)
		}
		return text
	}
	user, rest := m.user(scheme, rest)
	host, tail := rest, ""
	if at := strings.IndexAny(rest, "/?#"); at >= 0 {
		host, tail = rest[:at], rest[at:]
	}
	if !authority.MatchString(host) || token(host) {
		host = m.hide(host)
	}
	tail, fragment, _ := strings.Cut(tail, "#")
	if fragment != "" || strings.HasSuffix(text, "#") {
		if !fragmentWord.MatchString(fragment) {
			fragment = m.hide(fragment)
		}
		fragment = "#" + fragment
	}
	segments, query, asked := strings.Cut(tail, "?")
	segments = m.segments(segments, loopback.MatchString(host))
	if asked {
		query = "?" + m.query(query)
	}
	return scheme + user + host + segments + query + fragment
}

// user takes the user and the password from the front of what follows the scheme. A password may have a
// slash or an @ in it.
func (m *masker) user(scheme, rest string) (masked, after string) {
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	at := strings.LastIndexByte(rest[:end], '@')
	if last := strings.LastIndexByte(rest, '@'); last >= end && at < 0 && strings.Contains(rest[:end], ":") {
		if !authority.MatchString(rest[:end]) || scheme != "http://" && scheme != "https://" {
			at = last
		}
	} else if last > at && at >= 0 && !authority.MatchString(rest[at+1:end]) {
		at = last
	}
	if at < 0 {
		return "", rest
	}
	if _, password, ok := strings.Cut(rest[:at], ":"); ok {
		m.hide(password) // it is known by itself too
	}
	return m.hide(rest[:at]) + "@", rest[at+1:]
}

// segments masks those of a path. Those of this machine's own are plain unless they look like tokens.
func (m *masker) segments(text string, own bool) string {
	parts := strings.Split(text, "/")
	behind := false
	for i, part := range parts {
		decoded := unescape(part)
		switch {
		case part == "" || part == Mark:
		case own:
			if secretSegment(decoded) {
				parts[i] = m.hide(part)
			}
		case behind || !segmentWord.MatchString(withoutAtoms(decoded)) && (!fileName.MatchString(decoded) || mixed(decoded)) || token(decoded):
			parts[i] = m.hide(part)
		}
		behind = behind || hiddenBehind[strings.ToLower(decoded)]
	}
	return strings.Join(parts, "/")
}

// secretSegment is one of a path that looks like a token.
func secretSegment(segment string) bool {
	return token(segment) || len(segment) >= 16 && dense(segment) || uuid.MatchString(segment) || longHex.MatchString(segment)
}

var (
	uuid    = regexp.MustCompile(`^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)
	longHex = regexp.MustCompile(`^[0-9a-fA-F]{16,}$`)
)

// query masks the values of a query; its names stay.
func (m *masker) query(text string) string {
	var out strings.Builder
	for len(text) > 0 {
		end := strings.IndexAny(text, "&;")
		part, sep := text, ""
		if end >= 0 {
			part, sep = text[:end], text[end:end+1]
		}
		text = text[len(part)+len(sep):]
		out.WriteString(m.queried(part) + sep)
	}
	return out.String()
}

func (m *masker) queried(part string) string {
	name, value, ok := strings.Cut(part, "=")
	plainName := queryName.MatchString(name) && !token(name) && !mixed(name)
	switch {
	case !ok && (part == "" || queryValue.MatchString(part)):
		return part
	case !ok:
		return m.hide(part)
	case !plainName:
		return m.hide(name) + "=" + m.hide(value)
	case value == "" || withoutAtoms(value) == "":
		return part
	case harmlessQueries[strings.ToLower(name)] && queryValue.MatchString(value):
		return part
	default:
		return name + "=" + m.hide(value)
	}
}

// path masks a path with its query.
func (m *masker) path(text string) string {
	text, fragment, marked := strings.Cut(text, "#")
	segments, query, asked := strings.Cut(text, "?")
	if strings.Contains(segments, "://") {
		segments = m.urls(segments)
	} else {
		segments = m.segments(segments, true)
	}
	if asked {
		segments += "?" + m.query(query)
	}
	if marked {
		segments += "#" + m.hide(fragment)
	}
	return segments
}

func unescape(text string) string {
	if plain, err := url.PathUnescape(text); err == nil {
		return plain
	}
	return text
}
