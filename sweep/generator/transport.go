package generator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// A transport makes exchanges over connections that it keeps. It has at most
// Attack.Connections of them, and who finds none free waits for one.
type transport interface {
	// exchange sends p, reads the whole answer and throws its body away. It returns the
	// answer's status and how often p was sent again because the server had closed the kept
	// connection it went out on: any client meets that race, and it is no failure of the
	// server's. Errors are *failed. now is when it was called.
	exchange(p *prepared, now, deadline time.Time) (status, retries int, err error)
	// close closes the connections. No exchange is under way any more.
	close()
}

// A connector makes the transport for an attack. The end of ctx cuts off what is under way.
type connector func(ctx context.Context, a Attack) transport

// connect chooses the transport: plain HTTP/1.1 has one that costs half the CPU.
func connect(ctx context.Context, a Attack) transport {
	if strings.HasPrefix(a.URL, "https:") {
		return newStandard(ctx, a)
	}
	return newLean(ctx, a)
}

// failed is an error with what it prevented.
type failed struct {
	stage stageOfExchange
	err   error
}

type stageOfExchange int

const (
	connecting stageOfExchange = iota // nothing was sent
	answering                         // up to the end of the answer's header
	inBody
)

func (f *failed) Error() string { return f.err.Error() }
func (f *failed) Unwrap() error { return f.err }

var (
	errMalformed    = errors.New("not HTTP/1.1")
	errBodyTooLarge = errors.New("the answer's body is too large")
)

// maxHead bounds what is read of one answer's header, interim answers included, in bytes.
const maxHead = 1 << 20

// dialer returns what opens connections to the attack's server, whatever address it is given.
// They are not probed while idle: a server on this machine doesn't vanish silently.
func (a Attack) dialer() func(ctx context.Context, network, address string) (net.Conn, error) {
	d := &net.Dialer{Timeout: a.Timeout, Control: onlyLoopback, KeepAlive: -1}
	if a.Socket == "" {
		return d.DialContext
	}
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		return d.DialContext(ctx, "unix", a.Socket)
	}
}

// address is the server's, of an attack that Validate has accepted.
func (a Attack) address() string {
	u, err := url.Parse(a.URL)
	if err != nil {
		return "" // can't be dialled
	}
	port := u.Port()
	if port == "" {
		port = u.Scheme // has a number
	}
	return net.JoinHostPort(u.Hostname(), port)
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
