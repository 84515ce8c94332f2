package targets

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"advise/targets/mask"
	"advise/targets/plain"
)

// A Probe is a request whose answer shows that a server is ready.
type Probe struct {
	Method string // empty: GET
	Path   string // with its query; empty: /
	Header http.Header
	Body   []byte
	Accept func(status int) bool // nil: any 2xx
}

func (p Probe) accepts(status int) bool {
	if p.Accept == nil {
		return status >= 200 && status <= 299
	}
	return p.Accept(status)
}

func (p Probe) method() string {
	if p.Method == "" {
		return http.MethodGet
	}
	return p.Method
}

func (p Probe) path() string {
	if !strings.HasPrefix(p.Path, "/") {
		return "/" + p.Path
	}
	return p.Path
}

// name is the request for people, without the values in its query.
func (p Probe) name() string {
	path, _, _ := strings.Cut(p.path(), "?")
	path, _ = mask.Path(path)
	return p.method() + " " + path
}

// An answer is what came of a probe: a status, or an error.
type answer struct {
	status   int
	location string // where a redirect leads
	err      error
}

// ask sends the probe over a connection of its own, straight to the address, and follows nothing.
func (p Probe) ask(ctx context.Context, base string, timeout time.Duration) answer {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, p.method(), base+p.path(), bytes.NewReader(p.Body))
	if err != nil {
		return answer{err: err}
	}
	request.Header = p.Header.Clone()
	if request.Header == nil {
		request.Header = http.Header{}
	}
	if host := request.Header.Get("Host"); host != "" {
		request.Host = host
		request.Header.Del("Host")
	}
	request.Close = true
	transport := &http.Transport{DisableKeepAlives: true, DisableCompression: true}
	defer transport.CloseIdleConnections()
	response, err := transport.RoundTrip(request)
	if err != nil {
		return answer{err: err}
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode == http.StatusSwitchingProtocols {
		// What follows is not a body but the connection, which net/http does not end with ctx.
		return answer{status: response.StatusCode}
	}
	if _, err := io.Copy(io.Discard, io.LimitReader(response.Body, largestRead)); err != nil {
		return answer{err: fmt.Errorf("read the answer: %w", cmp.Or(ctx.Err(), err))}
	}
	return answer{status: response.StatusCode, location: response.Header.Get("Location")}
}

// String is the answer as the end of a sentence about the request.
func (a answer) String() string {
	var timeout net.Error
	switch {
	case a.err == nil && a.status == 0:
		return "not asked yet"
	case a.err == nil:
		return fmt.Sprintf("answered %s", statusText(a.status))
	case errors.Is(a.err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(a.err, syscall.ECONNRESET), errors.Is(a.err, io.EOF), errors.Is(a.err, io.ErrUnexpectedEOF):
		return "closed without an answer"
	case errors.Is(a.err, context.DeadlineExceeded), errors.Is(a.err, os.ErrDeadlineExceeded),
		errors.Is(a.err, context.Canceled), errors.As(a.err, &timeout) && timeout.Timeout():
		return "not answered"
	default:
		return "failed: " + mask.Line(a.err.Error())
	}
}

func statusText(status int) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", status, http.StatusText(status)))
}

// booting says whether a status may be a server's way to say that it is not up yet.
func booting(status int) bool {
	return status == http.StatusBadGateway || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout
}

// statusHint is the way out of an answer that was not expected.
func (p Probe) statusHint(a answer) string {
	const page = "name a page that exists with --path /url"
	switch {
	case a.status == http.StatusNotFound:
		return page
	case a.status == http.StatusBadRequest:
		return "Django answers 400 to names missing in ALLOWED_HOSTS: add 127.0.0.1, or give a Host header in a scenario (--scenario FILE)"
	case a.status == http.StatusUnauthorized, a.status == http.StatusForbidden:
		return "it wants a login: name an open page with --path /url, or give the header in a scenario (--scenario FILE)"
	case a.status == http.StatusMethodNotAllowed:
		return "name a page that takes " + p.method() + " with --path /url"
	case a.status >= 300 && a.status <= 399 && a.location != "":
		return p.redirectHint(a.location)
	case a.status >= 500:
		return "its log says why; if only this page fails, " + strings.Replace(page, "exists", "works", 1)
	default:
		return page + ", or give the expected status in a scenario (--scenario FILE)"
	}
}

func (p Probe) redirectHint(location string) string {
	to, err := url.Parse(location)
	switch {
	case err != nil:
		return "it leads elsewhere: name a page that answers itself with --path /url"
	case p.leaves(to) && to.Scheme == "https":
		return fmt.Sprintf("it leads to another host, %s, by https: give the headers Host and X-Forwarded-Proto: https in a scenario (--scenario FILE)", plain.Line(to.Host))
	case p.leaves(to):
		return fmt.Sprintf("it leads to another host, %s: give that as the header Host in a scenario (--scenario FILE), or name a page that answers itself with --path /url", plain.Line(to.Host))
	case to.Scheme == "https":
		return "it insists on https: give the header X-Forwarded-Proto: https in a scenario (--scenario FILE)"
	default:
		path, _ := mask.Path(to.Path)
		return fmt.Sprintf("it leads to %s: name the page that is meant, as in --path %s", path, quote(path))
	}
}

// leaves is true for a redirect to another host than the one that was asked.
func (p Probe) leaves(to *url.URL) bool {
	asked, _, err := net.SplitHostPort(p.Header.Get("Host"))
	if err != nil {
		asked = p.Header.Get("Host")
	}
	return !slices.Contains([]string{"", loopback, "localhost", asked}, to.Hostname())
}
