package generator

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync/atomic"
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
	transport transport
	prepared  []prepared
	deck      deck
	pacer     *pacer
	timeout   time.Duration
	retried   atomic.Uint64
	success   http.Response
}

func newExchange(ctx context.Context, a Attack, transport transport, p *pacer) (*exchange, error) {
	base, err := a.base()
	if err != nil {
		return nil, err
	}
	e := &exchange{ctx: ctx, transport: transport, pacer: p, timeout: a.Timeout}
	e.success = http.Response{StatusCode: http.StatusOK, Body: http.NoBody}
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
	seq, err := sequenceNumber(blank)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	begin := now
	if due, ok := e.pacer.due(seq); ok {
		begin = e.pacer.epoch.Add(due)
	}
	p := &e.prepared[e.deck.at(seq)]
	status, retries, err := e.transport.exchange(p, now, begin.Add(e.timeout))
	if retries > 0 {
		e.retried.Add(uint64(retries))
	}
	switch {
	case err != nil:
		return &http.Response{Status: e.classify(err), Body: http.NoBody}, nil
	case !p.expects(status):
		return &http.Response{Status: unexpectedStatus + strconv.Itoa(status), Body: http.NoBody}, nil
	}
	return &e.success, nil // which Vegeta only reads
}

func sequenceNumber(blank *http.Request) (uint64, error) {
	if values := blank.Header[seqHeader]; len(values) == 1 {
		return strconv.ParseUint(values[0], 10, 64)
	}
	return 0, fmt.Errorf("read %s: there is none", seqHeader)
}

// prepared is a request made ready before the attack.
type prepared struct {
	blank  http.Request
	body   []byte
	wire   []byte // the request in HTTP/1.1, up to rest
	rest   []byte // the body, if it is so large that it may have to be sent while the answer comes
	expect []int
}

// atOnce is how many bytes the buffers of an idle connection take in any case.
const atOnce = 16 << 10

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
	var wire bytes.Buffer
	once := p.blank
	if len(r.Body) > 0 { // one that is there and empty would be of unknown length
		once.Body = io.NopCloser(bytes.NewReader(r.Body))
	}
	if err := once.Write(&wire); err != nil {
		return prepared{}, err
	}
	p.wire = wire.Bytes()
	if wire.Len() > atOnce {
		p.wire, p.rest = bytes.Clone(p.wire[:wire.Len()-len(p.body)]), p.body
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
