package generator

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"syscall"
	"time"

	"golang.org/x/net/http2"
)

// standard is net/http's transport, for what lean doesn't speak: TLS and HTTP/2. Over HTTP/2
// an attack's connections are streams of fewer real ones, as many as the server allows on each.
type standard struct {
	ctx     context.Context
	http    *http.Transport
	maxBody int64
}

// newStandard has nothing of the environment (proxies) in it and nothing that costs the
// generator CPU for the server's benefit (compression).
func newStandard(ctx context.Context, a Attack) transport {
	return &standard{ctx: ctx, maxBody: a.MaxBody, http: &http.Transport{
		DialContext:            a.dialer(),
		DisableCompression:     true,
		MaxConnsPerHost:        a.Connections,
		MaxIdleConnsPerHost:    a.Connections,
		MaxResponseHeaderBytes: maxHead,
		ForceAttemptHTTP2:      true, // which a dialer of one's own would switch off
		// A server on this machine has a certificate for its public name, or one signed by
		// itself. There is no way in which somebody could stand between it and us, and no
		// secret goes out that is not the scenario's own.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
	}}
}

func (s *standard) close() { s.http.CloseIdleConnections() }

func (s *standard) exchange(p *prepared, _, deadline time.Time) (status, retries int, err error) {
	ctx, cancel := context.WithDeadline(s.ctx, deadline)
	defer cancel()
	// Each try gets a connection of its own, which is how net/http's retries are seen.
	tries := 0
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { tries++ },
	})

	res, err := s.http.RoundTrip(p.request(ctx))
	retries = max(tries-1, 0)
	if err != nil {
		f := &failed{answering, cause(ctx, err)}
		if tries == 0 {
			f.stage = connecting
		}
		return 0, retries, f
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusSwitchingProtocols {
		return res.StatusCode, retries, nil // its body is the connection
	}
	if err := discard(res.Body, s.maxBody); err != nil {
		return 0, retries, &failed{inBody, cause(ctx, err)}
	}
	return res.StatusCode, retries, nil
}

// cause finds in an error of net/http what the error values alone don't say.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err() // rather than that of what the deadline tore down
	}
	text := err.Error()
	stream, record := http2.StreamError{}, tls.RecordHeaderError{}
	switch {
	case errors.As(err, &stream):
		return fmt.Errorf("%w: %w", syscall.ECONNRESET, err)
	case strings.Contains(text, "malformed"), errors.As(err, &record):
		return fmt.Errorf("%w: %w", errMalformed, err)
	case strings.Contains(text, "server closed idle connection"):
		return fmt.Errorf("%w: %w", io.EOF, err)
	case strings.Contains(text, "transport connection broken") && !ended(err) && !broken(err):
		return fmt.Errorf("%w: %w", errMalformed, err) // broken off, by what it can't read
	}
	return err
}

// discard reads body to its end, which must come after at most limit bytes.
func discard(body io.Reader, limit int64) error {
	n, err := io.Copy(io.Discard, io.LimitReader(body, limit+1))
	if err == nil && n > limit {
		return errBodyTooLarge
	}
	return err
}
