package targets

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// An nginxDirective is a directive with its block, if it has one.
type nginxDirective struct {
	words    []string // as written, quotes included
	hasBlock bool
	block    []nginxDirective
	raw      string // a block in another language, as written
}

func (d nginxDirective) name() string { return d.words[0] }

// foreign says whether the block is in another language.
func (d nginxDirective) foreign() bool {
	return d.hasBlock && strings.HasSuffix(d.name(), "_by_lua_block")
}

// An nginxConf is a configuration with all files that it includes.
type nginxConf struct {
	directives []nginxDirective
	dir        string // of its main file: relative names of included files and keys begin there
}

// deepestInclude ends files that include each other.
const deepestInclude = 16

func loadNginx(path string) (nginxConf, error) {
	text, err := readSmall(path)
	if err != nil {
		return nginxConf{}, err
	}
	conf := nginxConf{dir: filepath.Dir(path)}
	parsed, err := parseNginx(string(text))
	if err != nil {
		return nginxConf{}, fmt.Errorf("read %s: %w", path, err)
	}
	conf.directives, err = conf.include(parsed, 0)
	return conf, err
}

// include puts the files in the place of the directives that name them.
func (c nginxConf) include(directives []nginxDirective, depth int) ([]nginxDirective, error) {
	if depth > deepestInclude {
		return nil, errors.New("its files include each other")
	}
	var out []nginxDirective
	for _, d := range directives {
		if d.hasBlock {
			block, err := c.include(d.block, depth)
			if err != nil {
				return nil, err
			}
			d.block = block
		}
		if d.name() != "include" || len(d.words) != 2 {
			out = append(out, d)
			continue
		}
		pattern := inDir(c.dir, unquote(d.words[1]))
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 && !strings.ContainsAny(pattern, "*?[") {
			return nil, fmt.Errorf("include %s: there is no such file", pattern)
		}
		for _, path := range paths {
			text, err := readSmall(path)
			if err != nil {
				return nil, fmt.Errorf("include %s: %w", pattern, err)
			}
			parsed, err := parseNginx(string(text))
			if err != nil {
				return nil, fmt.Errorf("read %s: %w", path, err)
			}
			included, err := c.include(parsed, depth+1)
			if err != nil {
				return nil, err
			}
			out = append(out, included...)
		}
	}
	return out, nil
}

func unquote(word string) string {
	if len(word) >= 2 && (word[0] == '"' || word[0] == '\'') && word[len(word)-1] == word[0] {
		return word[1 : len(word)-1]
	}
	return word
}

// value is the first value of a directive of the main context.
func (c nginxConf) value(name string) (string, bool) {
	for _, d := range c.directives {
		if d.name() == name && len(d.words) > 1 {
			return unquote(d.words[1]), true
		}
	}
	return "", false
}

// derived is the configuration at a shape and a place: with nothing in it that another server could
// have too, or that would leave a trace outside the scratch folder.
func (c nginxConf) derived(s Shape, p Place) string {
	owned := []nginxDirective{
		directive("worker_processes", strconv.Itoa(s.Workers)), directive("daemon", "off"),
		directive("pid", p.file("nginx.pid")), directive("error_log", "stderr"),
	}
	dropped := []string{
		"worker_processes", "daemon", "master_process", "pid", "error_log", "lock_file", "worker_cpu_affinity", "mail", "stream",
	}
	var out strings.Builder
	for _, d := range owned {
		d.write(&out, 0)
	}
	listen := &listener{place: p}
	for _, d := range c.directives {
		switch {
		case slices.Contains(dropped, d.name()):
			continue
		case d.name() == "http":
			d.block = c.http(d.block, p, listen)
		}
		d.write(&out, 0)
	}
	return out.String()
}

func directive(words ...string) nginxDirective { return nginxDirective{words: words} }

// nginxTemporary are the folders nginx makes for bodies, by the prefixes of their directives.
var nginxTemporary = []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"}

func (c nginxConf) http(block []nginxDirective, p Place, listen *listener) []nginxDirective {
	var out []nginxDirective
	for _, prefix := range nginxTemporary {
		out = append(out, directive(prefix+"_temp_path", p.file(prefix)))
	}
	if !slices.ContainsFunc(block, func(d nginxDirective) bool { return d.name() == "access_log" }) {
		out = append(out, directive("access_log", p.file(accessLog)))
	}
	return append(out, c.inside(servingHosts(block), p, listen)...)
}

// inside rewrites a block within http, and those within it.
func (c nginxConf) inside(block []nginxDirective, p Place, listen *listener) []nginxDirective {
	var out []nginxDirective
	for i, d := range withoutInsisting(block) {
		name := d.name()
		switch {
		case name == "error_log", strings.HasSuffix(name, "_temp_path"):
			continue
		case strings.HasPrefix(name, "ssl_"):
			continue // without TLS it would still read the key, which may be root's
		case slices.Contains([]string{"proxy_store", "fastcgi_store", "uwsgi_store", "scgi_store"}, name):
			continue // it writes answers into folders that are served
		case name == "access_log" && len(d.words) > 1 && d.words[1] != "off":
			d.words = slices.Clone(d.words)
			d.words[1] = p.file(accessLog)
		case strings.HasSuffix(name, "_cache_path") && len(d.words) > 1:
			d.words = slices.Clone(d.words)
			d.words[1] = p.file(fmt.Sprint("cache", i))
		case slices.Contains(nginxKeys, name) && len(d.words) == 2:
			d.words = []string{name, c.absolute(d.words[1])}
		case name == "server" && d.hasBlock:
			d.block = listen.server(d.block)
		}
		if d.hasBlock {
			d.block = c.inside(d.block, p, listen)
		}
		out = append(out, d)
	}
	return out
}

// nginxKeys name files, relative to the folder of the main file.
var nginxKeys = []string{
	"auth_basic_user_file", "proxy_ssl_certificate", "proxy_ssl_certificate_key", "proxy_ssl_trusted_certificate",
}

func (c nginxConf) absolute(word string) string {
	name := unquote(word)
	if name == "" || strings.Contains(name, "$") || strings.Contains(name, ":") {
		return word
	}
	return strconv.Quote(inDir(c.dir, name))
}

// A listener gives all servers the one address. What belongs to the socket may be said once for it.
type listener struct {
	place        Place
	socket, main bool // said already
}

func (l *listener) server(block []nginxDirective) []nginxDirective {
	address := directive("listen", l.place.Address())
	said := map[string]bool{}
	var out []nginxDirective
	for _, d := range block {
		switch d.name() {
		case "ssl", "http2", "http3", "quic_retry":
			continue
		case "listen":
			for _, option := range d.words[1:] {
				if key, _, _ := strings.Cut(option, "="); l.takes(key) && !said[key] && !slices.Contains(d.words, "quic") {
					said[key] = true
					address.words = append(address.words, option)
				}
			}
			continue
		}
		out = append(out, d)
	}
	l.main = l.main || said["default_server"]
	delete(said, "default_server")
	l.socket = l.socket || len(said) > 0
	return append([]nginxDirective{address}, out...)
}

// takes says whether an option of a listen directive is to be kept and was not said before.
func (l *listener) takes(key string) bool {
	if key == "default_server" {
		return !l.main
	}
	return !l.socket && slices.Contains([]string{"backlog", "reuseport", "deferred", "rcvbuf", "sndbuf", "fastopen"}, key)
}

func (d nginxDirective) write(out *strings.Builder, depth int) {
	indent := strings.Repeat("    ", depth)
	out.WriteString(indent + strings.Join(d.words, " "))
	switch {
	case d.foreign():
		out.WriteString(" {" + d.raw + "}\n")
	case d.hasBlock:
		out.WriteString(" {\n")
		for _, inner := range d.block {
			inner.write(out, depth+1)
		}
		out.WriteString(indent + "}\n")
	default:
		out.WriteString(";\n")
	}
}

// parseNginx reads directives: words that end with a semicolon or have a block in braces.
func parseNginx(text string) ([]nginxDirective, error) {
	r := &nginxReader{text: text}
	directives, err := r.block(0)
	if err != nil {
		return nil, fmt.Errorf("line %d: %w", 1+strings.Count(text[:min(r.at, len(text))], "\n"), err)
	}
	return directives, nil
}

type nginxReader struct {
	text string
	at   int
}

var errNginx = errors.New("it is not as nginx writes it")

// block reads to the closing brace, or at depth 0 to the end.
func (r *nginxReader) block(depth int) ([]nginxDirective, error) {
	if depth > 64 {
		return nil, errNginx
	}
	var out []nginxDirective
	var words []string
	for {
		word, err := r.word()
		switch {
		case err != nil:
			return nil, err
		case word == "":
			if depth > 0 || len(words) > 0 {
				return nil, errNginx
			}
			return out, nil
		case word == ";":
			if len(words) == 0 {
				return nil, errNginx
			}
			out, words = append(out, nginxDirective{words: words}), nil
		case word == "{":
			if len(words) == 0 {
				return nil, errNginx
			}
			d := nginxDirective{words: words, hasBlock: true}
			if d.foreign() {
				d.raw, err = r.foreign()
			} else {
				d.block, err = r.block(depth + 1)
			}
			if err != nil {
				return nil, err
			}
			out, words = append(out, d), nil
		case word == "}":
			if depth == 0 || len(words) > 0 {
				return nil, errNginx
			}
			return out, nil
		default:
			words = append(words, word)
		}
	}
}

// word reads a word, or one of ; { }. It is empty at the end.
func (r *nginxReader) word() (string, error) {
	for r.at < len(r.text) {
		switch c := r.text[r.at]; {
		case strings.IndexByte(" \t\r\n", c) >= 0:
			r.at++
		case c == '#':
			end := strings.IndexByte(r.text[r.at:], '\n')
			if end < 0 {
				end = len(r.text) - r.at
			}
			r.at += end
		case strings.IndexByte(";{}", c) >= 0:
			r.at++
			return string(c), nil
		case c == '"' || c == '\'':
			return r.quoted(c)
		default:
			return r.plain(), nil
		}
	}
	return "", nil
}

func (r *nginxReader) quoted(quote byte) (string, error) {
	begin := r.at
	for r.at++; r.at < len(r.text); r.at++ {
		switch r.text[r.at] {
		case '\\':
			r.at++
		case quote:
			r.at++
			return r.text[begin:r.at], nil
		}
	}
	return "", errNginx
}

// plain reads to what ends a word. A brace after a dollar belongs to a variable.
func (r *nginxReader) plain() string {
	begin := r.at
	for ; r.at < len(r.text); r.at++ {
		c := r.text[r.at]
		if c == '\\' {
			r.at++
			continue
		}
		if c == '$' && strings.HasPrefix(r.text[r.at:], "${") {
			if end := strings.IndexByte(r.text[r.at:], '}'); end > 0 {
				r.at += end
				continue
			}
		}
		if strings.IndexByte(" \t\r\n;{", c) >= 0 {
			break
		}
	}
	r.at = min(r.at, len(r.text))
	return r.text[begin:r.at]
}

// foreign copies a block in another language up to the brace that closes it.
func (r *nginxReader) foreign() (string, error) {
	begin := r.at
	for depth := 1; r.at < len(r.text); r.at++ {
		switch r.text[r.at] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				r.at++
				return r.text[begin : r.at-1], nil
			}
		}
	}
	return "", errNginx
}
