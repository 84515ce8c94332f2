package targets

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

// misheard is a server that can't be asked at its port: by plain HTTP, by IPv4, or at all.
func misheard(how, port string) int {
	address := "127.0.0.1:" + port
	switch how {
	case "ipv6":
		address = "[::1]:" + port
	case "other":
		address = "127.0.0.1:0"
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.NotFoundHandler()}} //nolint:gosec // nobody but the test asks it
	if how == "closing" {
		s.Config.ConnState = func(c net.Conn, _ http.ConnState) { _ = c.Close() }
	}
	if how == "tls" {
		s.StartTLS()
	} else {
		s.Start()
	}
	select {}
}

// A server that is not heard is told why: what it says is TLS, or it listens elsewhere.
func TestUnheard(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for how, want := range map[string]struct{ says, hint string }{
		"tls":     {"GET / answered 400 Bad Request", "it speaks TLS there, and advise speaks plain HTTP"},
		"ipv6":    {"GET / refused; it listens on [::1]:", "it has to listen on 127.0.0.1:"},
		"other":   {"GET / refused; it listens on 127.0.0.1:", "by {host} and {port} in its command"},
		"closing": {"GET / closed without an answer", "see what it does by itself"},
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			target, err := Recognise(Command{Argv: []string{self, "misheard", how, "{port}"}, Env: marked(t), Dir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			_, err = unlimited(t, target, 1, func(s *Start) { s.ReadyWithin = 3 * time.Second })
			var start *StartError
			if !errors.As(err, &start) || !strings.Contains(err.Error(), want.says) || !strings.Contains(start.Hint, want.hint) {
				t.Errorf("got %v, hint %q; want %q, hint %q", err, start.Hint, want.says, want.hint)
			}
		})
	}
}

// TLS is known by what it answers, an alert included.
func TestSpeaksTLS(t *testing.T) {
	handler := http.NotFoundHandler()
	secure, bare := httptest.NewTLSServer(handler), httptest.NewServer(handler)
	defer secure.Close()
	defer bare.Close()
	for address, want := range map[string]bool{
		secure.Listener.Addr().String():                  true,
		bare.Listener.Addr().String():                    false,
		answering(t, "\x15\x03\x01\x00\x02\x02\x28"):     true,
		answering(t, "HTTP/1.1 400 Bad Request\r\n\r\n"): false,
		answering(t, ""):                                 false,
	} {
		if got := speaksTLS(address); got != want {
			t.Errorf("%s: TLS: %v, want %v", address, got, want)
		}
	}
}

// answering is the address of a server with one answer for everything.
func answering(t *testing.T, text string) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 4096))
			_, _ = c.Write([]byte(text))
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return l.Addr().String()
}

// A redirect to another host names it.
func TestRedirectHint(t *testing.T) {
	own := Probe{Header: http.Header{"Host": {"shop.example:80"}}}
	for location, want := range map[string]string{
		"/x":                          "it leads to /x:",
		"http://127.0.0.1:8000/x":     "it leads to /x:",
		"http://shop.example/x":       "it leads to /x:",
		"https://shop.example/x":      "it insists on https:",
		"https://localhost:1/x":       "it insists on https:",
		"http://www.example/x":        "it leads to another host, www.example: give that as the header Host",
		"//www.example:81/x":          "it leads to another host, www.example:81:",
		"https://www.example/login":   "it leads to another host, www.example, by https: give the headers Host and X-Forwarded-Proto: https",
		"http://w\u202ew.example/x":   "it leads to another host, w?w.example:",
		"http://[::2]/x":              "it leads to another host, [::2]:",
		"http://www.example/x\x1b]0;": "it leads elsewhere:",
	} {
		if got := own.redirectHint(location); !strings.HasPrefix(got, want) {
			t.Errorf("%q: %q, want %q", location, got, want)
		}
	}
}
