package generator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

// seqHeader is where Vegeta puts a request's sequence number.
const seqHeader = "X-Vegeta-Seq"

// An exchange stands between Vegeta's loop and the connections: as Vegeta's transport it gets
// a blank request with a sequence number, sends the one prepared for that number, reads the
// whole answer and judges it. Vegeta sees a bare 200, or a status 0 whose text is the failure.
// So the redirects, the 200-399 rule and the per-port error texts of Vegeta never come up, and
// nothing is parsed or copied inside the measured latency that need not be.
type exchange struct {
	ctx       context.Context // its end cuts off what is under way
	transport http.RoundTripper
	prepared  []prepared
	deck      deck
	pacer     *pacer
	timeout   time.Duration
	maxBody   int64
	retried   atomic.Uint64
}

func newExchange(ctx context.Context, a Attack, transport http.RoundTripper, p *pacer) (*exchange, error) {
	base, err := a.base()
	if err != nil {
		return nil, err
	}
	e := &exchange{ctx: ctx, transport: transport, pacer: p, timeout: a.Timeout, maxBody: a.MaxBody}
	weights := make([]float64, len(a.Requests))
	for i, r := range a.Requests {
		ready, err := prepare(base, r)
		if err != nil {
			return nil, fmt.Errorf("prepare %s %s: %w", r.Method, r.Path, err)
		}
		e.prepared = append(e.prepared, ready)
		weights[i] = r.Weight
	}
	e.deck = newDeck(weights, a.Seed)
	return e, nil
}

// RoundTrip makes the exchange that blank stands for. Failures are answers too; an error would
// mean that Vegeta numbers its requests no more.
func (e *exchange) RoundTrip(blank *http.Request) (*http.Response, error) {
	defer e.pacer.ended.Add(1)
	seq, err := strconv.ParseUint(blank.Header.Get(seqHeader), 10, 64)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", seqHeader, err)
	}
	begin := time.Now()
	if due, ok := e.pacer.due(seq); ok {
		begin = e.pacer.epoch.Add(due)
	}
	if failure := e.do(e.prepared[e.deck.at(seq)], begin.Add(e.timeout)); failure != "" {
		return &http.Response{Status: failure, Body: http.NoBody}, nil
	}
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
}

// do makes one exchange and returns how it failed, or "".
func (e *exchange) do(p prepared, deadline time.Time) (failure string) {
	ctx, cancel := context.WithDeadline(e.ctx, deadline)
	defer cancel()
	// net/http sends a request again when the server turns out to have closed a kept
	// connection. Each try gets a connection of its own, which is how that is seen.
	tries := 0
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { tries++ },
	})

	res, err := e.transport.RoundTrip(p.request(ctx))
	if tries > 1 {
		e.retried.Add(uint64(tries - 1))
	}
	if err != nil {
		return e.classify(ctx, err, tries > 0)
	}
	defer res.Body.Close()
	read, err := io.Copy(io.Discard, io.LimitReader(res.Body, e.maxBody+1))
	switch {
	case err != nil:
		return e.classifyBody(ctx, err)
	case read > e.maxBody:
		return bodyTooLarge
	case !p.expects(res.StatusCode):
		return unexpectedStatus + strconv.Itoa(res.StatusCode)
	}
	return ""
}

// prepared is a request made ready before the attack.
type prepared struct {
	blank  http.Request
	body   []byte
	expect []int
}

func prepare(base string, r Request) (prepared, error) {
	u, err := url.Parse(base + r.Path)
	if err != nil {
		return prepared{}, err
	}
	header := make(http.Header, len(r.Header)+2)
	for name, values := range r.Header {
		name = http.CanonicalHeaderKey(name)
		header[name] = append(header[name], values...)
	}
	if len(header["User-Agent"]) == 0 {
		header["User-Agent"] = []string{"advise"}
	}
	p := prepared{body: r.Body, expect: r.Expect, blank: http.Request{
		Method: r.Method, URL: u, Header: header, Host: u.Host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		ContentLength: int64(len(r.Body)),
	}}
	if host := header.Get("Host"); host != "" {
		p.blank.Host = host
	}
	if len(header["Idempotency-Key"]) == 0 {
		// An empty list is not sent. It lets net/http send a POST again too when the server
		// closed the kept connection it went out on: any client meets that race, and it is
		// no failure of the server's.
		header["Idempotency-Key"] = []string{}
	}
	return p, nil
}

func (p *prepared) request(ctx context.Context) *http.Request {
	r := p.blank.WithContext(ctx)
	if len(p.body) > 0 {
		r.Body = io.NopCloser(bytes.NewReader(p.body))
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(p.body)), nil }
	}
	return r
}

func (p *prepared) expects(status int) bool {
	if len(p.expect) == 0 {
		return status >= 200 && status <= 299
	}
	return slices.Contains(p.expect, status)
}

// newTransport returns connections for one attack. Nothing of the environment (proxies) and
// nothing that costs the generator CPU for the server's benefit (compression) is in it.
func newTransport(a Attack) *http.Transport {
	dialer := &net.Dialer{Timeout: a.Timeout, Control: onlyLoopback}
	t := &http.Transport{
		DialContext:         dialer.DialContext,
		DisableCompression:  true,
		MaxConnsPerHost:     a.Connections,
		MaxIdleConnsPerHost: a.Connections,
	}
	if a.Socket != "" {
		t.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", a.Socket)
		}
	}
	return t
}

var errNotLoopback = errors.New("not a loopback address")

// onlyLoopback is asked with the address that a name was resolved to.
func onlyLoopback(network, address string, _ syscall.RawConn) error {
	if network == "unix" {
		return nil
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil || host == "localhost" || !loopback(host) {
		return fmt.Errorf("dial %s: %w", address, errNotLoopback)
	}
	return nil
}
