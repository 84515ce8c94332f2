package generator

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strconv"
)

// nullConfig is the first line of the null server's standard input.
type nullConfig struct {
	Status int `json:"status"`
	// Loops is how many cores it may keep busy.
	Loops int `json:"loops"`
}

// nullLine is a line of its standard output: the first has the address, each other one answers a
// further line of input with the CPU time used so far.
type nullLine struct {
	Address    string  `json:"address,omitempty"`
	CPUSeconds float64 `json:"cpu_seconds"`
}

// NullMain is the body of `advise null-server`: a server on the loopback address that answers any
// HTTP/1.1 request with a status and no body, as cheaply as can be, for the generator to be measured
// against. It is asked over in and answers on out; the end of in ends it.
func NullMain(in io.Reader, out io.Writer) error {
	lines := bufio.NewReader(in)
	text, err := lines.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("read the null server's settings: %w", err)
	}
	var c nullConfig
	if err := json.Unmarshal(text, &c); err != nil {
		return fmt.Errorf("read the null server's settings: %w", err)
	}
	if c.Status < 200 || c.Status > 599 || c.Loops < 1 || c.Loops > maxCPUs {
		return fmt.Errorf("read the null server's settings: status %d on %d cores", c.Status, c.Loops)
	}
	server, err := serveNull(nullAnswer(c.Status), c.Loops)
	if err != nil {
		return fmt.Errorf("start the null server: %w", err)
	}
	defer server.close()
	encoder := json.NewEncoder(out)
	for say := (nullLine{Address: server.address}); ; say = (nullLine{CPUSeconds: cpuTime().Seconds()}) {
		if err := encoder.Encode(say); err != nil {
			return fmt.Errorf("write to whoever asked for the null server: %w", err)
		}
		if _, err := lines.ReadBytes('\n'); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read from whoever asked for the null server: %w", err)
		}
	}
}

func nullAnswer(status int) []byte {
	head := fmt.Sprintf("HTTP/1.1 %d %s\r\n", status, http.StatusText(status))
	if status != http.StatusNoContent && status != http.StatusNotModified { // these have no body to begin with
		head += "Content-Length: 0\r\n"
	}
	return []byte(head + "\r\n")
}

// nullHead is the longest header of a request.
const nullHead = 1 << 20

var (
	errNullHead = errors.New("the request's header is too long")
	errNullBody = errors.New("the request's length can't be told")
)

// A nullStream counts the requests in what comes over one connection.
type nullStream struct {
	head []byte // the beginning of a header
	body uint64 // bytes still to come
}

// feed returns how many requests end in data. It keeps nothing of it.
func (s *nullStream) feed(data []byte) (ended int, err error) {
	for len(data) > 0 {
		if s.body > 0 {
			n := min(s.body, uint64(len(data)))
			data = data[n:]
			if s.body -= n; s.body == 0 {
				ended++
			}
			continue
		}
		head, rest, whole := s.cut(data)
		if !whole {
			if len(s.head)+len(data) > nullHead {
				return ended, errNullHead
			}
			s.head = append(s.head, data...)
			return ended, nil
		}
		if s.body, err = bodyLength(head); err != nil {
			return ended, err
		}
		if s.body == 0 {
			ended++
		}
		s.head, data = s.head[:0], rest
	}
	return ended, nil
}

var headEnd = []byte("\r\n\r\n")

// cut splits the first header from what follows.
func (s *nullStream) cut(data []byte) (head, rest []byte, whole bool) {
	if len(s.head) == 0 { // all but always
		head, rest, whole = bytes.Cut(data, headEnd)
		return head, rest, whole
	}
	// The end may lie across the seam.
	seam := max(len(s.head)-len(headEnd)+1, 0)
	joined := append(s.head, data...)
	i := bytes.Index(joined[seam:], headEnd)
	if i < 0 {
		return nil, nil, false
	}
	i += seam
	return joined[:i], data[i+len(headEnd)-len(s.head):], true
}

var (
	contentLength    = []byte("content-length")
	transferEncoding = []byte("transfer-encoding")
)

// bodyLength reads the length of a request's body from its header.
func bodyLength(head []byte) (uint64, error) {
	for len(head) > 0 {
		var line []byte
		line, head, _ = bytes.Cut(head, headEnd[:2])
		name, value, _ := bytes.Cut(line, []byte(":"))
		switch {
		case bytes.EqualFold(name, transferEncoding):
			return 0, errNullBody // the generator sends none
		case bytes.EqualFold(name, contentLength):
			n, err := strconv.ParseUint(string(bytes.TrimSpace(value)), 10, 64)
			if err != nil || n > math.MaxInt64 {
				return 0, errNullBody
			}
			return n, nil
		}
	}
	return 0, nil
}
