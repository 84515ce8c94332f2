package targets

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"time"
)

const tlsHint = "it speaks TLS there, and advise speaks plain HTTP: start it without its certificate, as behind a proxy that ends TLS"

// unheard is the way out for a server that listens, though not so that it can be asked.
func (w *wait) unheard() string {
	addresses, err := w.tree.Listening()
	switch {
	case err != nil || len(addresses) == 0:
		return ""
	case !slices.ContainsFunc(addresses, w.reachable):
		return fmt.Sprintf("it has to listen on %s: by {host} and {port} in its command, or HOST and PORT in its environment", w.place.Address())
	case speaksTLS(w.place.Address()):
		return tlsHint
	}
	return ""
}

// reachable is true for a listening address that is asked.
func (w *wait) reachable(a netip.AddrPort) bool {
	return int(a.Port()) == w.place.Port && (a.Addr().IsUnspecified() || a.Addr().String() == w.place.Host)
}

// mostListed addresses are told.
const mostListed = 5

// listensOn says where the server listens, where its port refused the probe.
func (w *wait) listensOn() string {
	if !errors.Is(w.last.err, syscall.ECONNREFUSED) {
		return ""
	}
	addresses, err := w.tree.Listening()
	switch {
	case err != nil:
		return ""
	case len(addresses) == 0:
		return "; it listens on no TCP port"
	}
	var list []string
	for _, a := range addresses[:min(len(addresses), mostListed)] {
		list = append(list, a.String())
	}
	return fmt.Sprintf("; it listens on %s, and is asked at %s", strings.Join(list, ", "), w.place.Address())
}

// speaksTLS says whether a handshake is answered as TLS answers, be it by an alert.
func speaksTLS(address string) bool {
	anyone := &tls.Config{InsecureSkipVerify: true} //nolint:gosec // nothing is sent, and any certificate will do
	patience := &net.Dialer{Timeout: time.Second}
	c, err := tls.DialWithDialer(patience, "tcp", address, anyone) //nolint:noctx // that of the wait may have ended
	if err == nil {
		_ = c.Close()
		return true
	}
	var alert tls.AlertError
	var remote *net.OpError
	return errors.As(err, &alert) || errors.As(err, &remote) && remote.Op == "remote error"
}
