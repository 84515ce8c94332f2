package generator

import (
	"bytes"
	"net/http"
)

// A head is what an answer's header says about the rest of it.
type head struct {
	status int
	size   int   // of the header itself
	length int64 // of the body
	closes bool  // the server closes the connection after it
}

// A form is how usual a header is.
type form int

const (
	usual form = iota
	unusual
	incomplete
)

// scanHead reads the header that b begins with, if it is as most are: HTTP/1.1, a final
// status, a length stated once, no transfer coding, nothing odd. Every other one is unusual,
// right or wrong, and for net/http to read. So what is usual must mean to net/http what it
// means here, and nothing must be usual.
//
// # References
//
// RFC 9112, sections 4 to 6 and 9.3.
func scanHead(b []byte, method string) (head, form) {
	h, rest := head{length: -1}, b
	for first := true; ; first = false {
		end := bytes.IndexByte(rest, '\n')
		if end < 0 {
			return head{}, incomplete
		}
		line, crlf := bytes.CutSuffix(rest[:end], []byte("\r"))
		rest = rest[end+1:]
		switch {
		case !crlf, first && !h.statusLine(line), !first && len(line) > 0 && !h.field(line):
			return head{}, unusual
		case len(line) > 0:
			continue
		}
		h.size = len(b) - len(rest)
		if method == http.MethodHead || h.status == http.StatusNoContent || h.status == http.StatusNotModified {
			h.length = 0
		}
		if h.length < 0 {
			return head{}, unusual
		}
		return h, usual
	}
}

// statusLine reads the first line; false if it is of no usual form.
func (h *head) statusLine(line []byte) bool {
	const before, until = len("HTTP/1.1 "), len("HTTP/1.1 200")
	if len(line) < until || string(line[:before]) != "HTTP/1.1 " || len(line) > until && line[until] != ' ' {
		return false
	}
	h.status = int(decimal(line[before:until]))
	return h.status >= 200
}

// field takes one field line into account; false if it is of no usual form.
func (h *head) field(line []byte) bool {
	colon := bytes.IndexByte(line, ':')
	if colon < 1 {
		return false
	}
	name, value := line[:colon], line[colon+1:]
	for _, c := range name {
		if !isNameByte[c] {
			return false
		}
	}
	for _, c := range value {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	switch len(name) {
	case len("Content-Length"):
		if bytes.EqualFold(name, []byte("Content-Length")) {
			if h.length >= 0 {
				return false
			}
			h.length = decimal(bytes.Trim(value, " \t"))
			return h.length >= 0
		}
	case len("Connection"):
		if bytes.EqualFold(name, []byte("Connection")) {
			value = bytes.Trim(value, " \t")
			if bytes.EqualFold(value, []byte("close")) {
				h.closes = true
				return true
			}
			return bytes.EqualFold(value, []byte("keep-alive"))
		}
	case len("Transfer-Encoding"):
		return !bytes.EqualFold(name, []byte("Transfer-Encoding"))
	case len("Trailer"):
		return !bytes.EqualFold(name, []byte("Trailer"))
	}
	return true
}

// decimal is the number that b is, -1 if it is none or a huge one.
func decimal(b []byte) int64 {
	if len(b) == 0 || len(b) > 18 {
		return -1
	}
	n := int64(0)
	for _, c := range b {
		if c < '0' || c > '9' {
			return -1
		}
		n = 10*n + int64(c-'0')
	}
	return n
}

// isNameByte has the characters of a token, which a field's name is.
var isNameByte = func() (is [256]bool) {
	for _, c := range []byte("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
		is[c] = true
	}
	return is
}()
