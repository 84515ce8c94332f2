package generator

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestScanHead(t *testing.T) {
	allow := cmp.AllowUnexported(head{})
	for _, c := range []struct {
		text, method string
		want         head
		form         form
	}{
		{"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\n\r\nhello", "GET", head{200, 49, 5, false}, usual},
		{"HTTP/1.1 404 Not Found\r\ncontent-length:  12 \r\nConnection: CLOSE\r\n\r\n", "GET", head{404, 67, 12, true}, usual},
		{"HTTP/1.1 200\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", "POST", head{200, 59, 0, false}, usual},
		{"HTTP/1.1 204 No Content\r\n\r\n", "GET", head{204, 27, 0, false}, usual},
		{"HTTP/1.1 200 OK\r\n\r\n", "HEAD", head{200, 19, 0, false}, usual},
		{"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "HEAD", head{200, 38, 0, false}, usual},
		{"", "GET", head{}, incomplete},
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n", "GET", head{}, incomplete},
		{"HTTP/1.1 200 OK\r\n\r\n", "GET", head{}, unusual}, // until the connection is closed
		{"HTTP/1.1 100 Continue\r\n\r\n", "GET", head{}, unusual},
		{"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", "GET", head{}, unusual},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n", "GET", head{}, unusual}, // known before its end
		{"HTTP/1.1 200 OK\nContent-Length: 5\n\n", "GET", head{}, unusual},
		{"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 5\r\n\r\n", "GET", head{}, unusual},
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", "GET", head{}, unusual},
		{"HTTP/1.1 200 OK\r\nContent-Length: 1234567890123456789\r\n\r\n", "GET", head{}, unusual},
		{"HTTP/1.1 200 OK\r\nConnection: close, x\r\nContent-Length: 5\r\n\r\n", "GET", head{}, unusual},
	} {
		h, form := scanHead([]byte(c.text), c.method)
		if form != c.form || !cmp.Equal(h, c.want, allow) {
			t.Errorf("%q: %+v, %v, want %+v, %v", c.text, h, form, c.want, c.form)
		}
	}
}

// scripted is a connection on which an answer is read piece by piece, and nothing is sent.
type scripted struct {
	net.Conn
	answer *bytes.Reader
	piece  int
}

func (s scripted) Read(b []byte) (int, error)  { return s.answer.Read(b[:min(len(b), s.piece)]) }
func (s scripted) Write(b []byte) (int, error) { return len(b), nil }
func (s scripted) SetDeadline(time.Time) error { return nil }
func connOn(answer []byte, piece int) (c *conn) {
	c = &conn{Conn: scripted{answer: bytes.NewReader(answer), piece: piece}}
	c.in = bufio.NewReaderSize(c, headBuffer)
	return c
}

// What scanHead takes upon itself must come out as net/http has it, however the bytes arrive:
// status, failure, and whether the connection is kept.
func FuzzAnswer(f *testing.F) {
	for _, text := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello!",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nConnection: close\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTrailer: X\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\nhello",
		"HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
		"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello",
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
		"HTTP/1.1 200 OK\r\n" + strings.Repeat("X: a\r\n", 800) + "Content-Length: 5\r\n\r\nhello",
		"HTTP/1.1 +20 OK\r\n\r\n", "HTTP/1.1 200\x00OK\r\n\r\n", "HTTP/1.1 200 \x00\r\nContent-Length: 0\r\n\r\n", "\r\n", "",
	} {
		f.Add([]byte(text), uint16(7), false)
		f.Add([]byte(text), uint16(headBuffer), true)
	}
	type outcome struct {
		Status int
		Kind   string
		Keep   bool
	}
	const maxBody = 2000
	f.Fuzz(func(t *testing.T, answer []byte, piece uint16, headOnly bool) {
		p := prepared{blank: http.Request{Method: http.MethodGet}}
		if headOnly {
			p.blank.Method = http.MethodHead
		}
		ex := exchange{ctx: t.Context()}
		see := func(c *conn, status int, keep bool, err error) outcome {
			unread := c.in.Buffered() + c.Conn.(scripted).answer.Len()
			o := outcome{Status: status, Keep: keep && unread == 0}
			if err != nil {
				o.Kind = ex.classify(err)
			}
			return o
		}
		c := connOn(answer, int(piece)+1)
		status, keep, err := c.exchange(&p, time.Time{}, maxBody)
		got := see(c, status, keep, err)

		c = connOn(answer, int(piece)+1)
		c.limit = maxHead
		status, keep, err = c.anyAnswer(&p, maxBody)
		if want := see(c, status, keep, err); got != want {
			t.Errorf("got %+v, net/http says %+v", got, want)
		}
	})
}

// A stale connection is seen before a request goes out on it.
func TestStale(t *testing.T) {
	for name, leave := range map[string]func(net.Conn) error{
		"closed": net.Conn.Close,
		"reset":  func(c net.Conn) error { _ = c.(*net.TCPConn).SetLinger(0); return c.Close() },
		"nobody asked for it": func(c net.Conn) error {
			_, err := io.WriteString(c, "HTTP/1.1 408 Request Timeout\r\n\r\n")
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			network, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer network.Close()
			server, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer server.Close()
			c := &conn{Conn: network}
			if c.stale() {
				t.Error("stale from the beginning")
			}
			if err := leave(server); err != nil {
				t.Fatal(err)
			}
			for !c.stale() { // until it has arrived; the test's time is the limit
				if t.Context().Err() != nil {
					return
				}
			}
		})
	}
}
