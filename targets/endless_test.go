package targets

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"
)

// endless serves connections that it greets and then keeps open, with a further byte now and then, for as
// long as the other side does.
func endless(t *testing.T, network, address, greeting string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	t.Cleanup(func() { l.Close(); <-done })
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, err = io.WriteString(c, greeting)
			for pause := time.Millisecond; err == nil; time.Sleep(pause) {
				_, err = io.WriteString(c, " ")
			}
			c.Close()
		}
	}()
	return l
}

// An answer 101 has no body: what follows is a connection, which may have no end.
func TestProbeOfSwitchingProtocols(t *testing.T) {
	l := endless(t, "tcp", "127.0.0.1:0", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
	if a := (Probe{}).ask(t.Context(), "http://"+l.Addr().String(), time.Minute); a.status != http.StatusSwitchingProtocols || a.err != nil {
		t.Errorf("got %+v", a)
	}
}

// What asks a server ends when its context does, whatever the server does.
func TestEndlessAnswers(t *testing.T) {
	dir := t.TempDir()
	const head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
	for name, greeting := range map[string]string{
		"nothing":          "",
		"header":           "HTTP/1.1 200 OK\r\nX: ",
		"body":             head + "Content-Length: 1000000000\r\n\r\n{",
		"until it closes":  "HTTP/1.0 200 OK\r\n\r\n{",
		"chunk":            head + "Transfer-Encoding: chunked\r\n\r\nfffffff\r\n{",
		"another protocol": "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			l := endless(t, "tcp", "127.0.0.1:0", greeting)
			port := l.Addr().(*net.TCPAddr).Port
			socket := filepath.Join(dir, "stats")
			endless(t, "unix", socket, greeting)
			for what, ask := range map[string]func(ctx context.Context) error{
				"probe": func(ctx context.Context) error {
					a := (Probe{}).ask(ctx, "http://"+l.Addr().String(), time.Hour)
					if a.status == http.StatusSwitchingProtocols {
						return errors.New("it does not count as ready")
					}
					return a.err
				},
				"status page": func(ctx context.Context) error {
					return statusPage(ctx, "tcp", l.Addr().String(), "http://localhost/", func(page io.Reader) error {
						_, err := io.Copy(io.Discard, page)
						return err
					})
				},
				"Apache": func(ctx context.Context) error {
					_, err := apache{}.status(ctx, Place{Host: loopback, Port: port, Scratch: dir})
					return err
				},
				"JSON":  func(ctx context.Context) error { return statusJSON(ctx, socket, "/", new(map[string]any)) },
				"uWSGI": func(ctx context.Context) error { _, err := uwsgi{}.status(ctx, Place{Scratch: dir}); return err },
			} {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
				if err := ask(ctx); err == nil {
					t.Errorf("%s: no error", what)
				}
				cancel()
			}
		})
	}
}
