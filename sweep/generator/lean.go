package generator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// lean is a transport for plain HTTP/1.1. It spends its CPU on the system calls: one goroutine
// writes the request, made into bytes before the attack, and reads the answer; a timeout is
// the connection's deadline. net/http's own parser reads all but the most usual answers.
type lean struct {
	pool    *pool
	maxBody int64
	pauses  *pauses // nil: not asked for
}

func newLean(ctx context.Context, a Attack) transport {
	dial, address := a.dialer(), a.address()
	l := &lean{maxBody: a.MaxBody, pool: newPool(ctx, a.Connections, func(ctx context.Context) (net.Conn, error) {
		return dial(ctx, "tcp", address)
	})}
	if a.Pauses {
		l.pauses = new(pauses)
	}
	return l
}

func (l *lean) close() { l.pool.cut() }

func (l *lean) exchange(p *prepared, now, deadline time.Time) (status, retries int, err error) {
	if !now.Before(deadline) { // it was due long ago
		return 0, 0, &failed{connecting, os.ErrDeadlineExceeded}
	}
	for {
		c, err := l.pool.get(deadline)
		if err != nil {
			f := &failed{connecting, err}
			if retries > 0 {
				f.stage = answering // it had been sent
			}
			return 0, retries, f
		}
		if c.kept && now.Sub(c.idleSince) > longIdle && c.stale() {
			l.pool.drop(c)
			continue
		}
		c.timed = l.pauses != nil
		status, keep, err := c.exchange(p, deadline, l.maxBody)
		if l.pauses != nil && err == nil {
			l.pauses.add(time.Since(c.begun))
		}
		again := err != nil && c.kept && l.pool.ctx.Err() == nil && errors.Is(err, errNoAnswer)
		if keep {
			c.kept, c.idleSince = true, time.Now()
			l.pool.put(c)
		} else {
			l.pool.drop(c)
		}
		if !again {
			return status, retries, err
		}
		retries++
	}
}

// errNoAnswer is part of the error when a connection breaks before an answer begins.
var errNoAnswer = errors.New("no answer")

// exchange sends p and reads the whole answer; keep tells whether the connection may be used
// again.
func (c *conn) exchange(p *prepared, deadline time.Time, maxBody int64) (status int, keep bool, err error) {
	_ = c.SetDeadline(deadline) // fails on a closed connection, as the write will
	_, unsent := c.Write(p.wire)
	var sent chan error
	if len(p.rest) > 0 {
		sent = make(chan error, 1)
		go func() { _, err := c.Write(p.rest); sent <- err }()
	}
	// Under load the answer is there when the other goroutines have had their turn: that saves
	// a read which finds nothing, and being woken.
	runtime.Gosched()
	c.limit = maxHead
	_, err = c.in.Peek(1)
	if c.timed {
		c.begun = time.Now()
	}
	if err == nil { // also if it was not all sent: a refusal needs no body
		status, keep, err = c.answer(p, maxBody)
	} else {
		if unsent != nil {
			err = unsent
		}
		if !timeout(err) {
			err = fmt.Errorf("%w: %w", errNoAnswer, err)
		}
		err = &failed{answering, err}
	}
	keep = keep && unsent == nil && c.in.Buffered() == 0 // nobody asked for what is there
	if sent != nil {
		keep = c.allSent(sent, keep)
	}
	return status, keep, err
}

// sendGrace is how long the rest of a request may still be on its way when the answer is
// there; net/http's is the same.
const sendGrace = 50 * time.Millisecond

// allSent waits for the sender of a request's rest; unless it has sent all soon, and the
// connection is to be kept, the connection is closed under it.
func (c *conn) allSent(sent chan error, keep bool) bool {
	if keep {
		grace := time.NewTimer(sendGrace)
		defer grace.Stop()
		select {
		case err := <-sent:
			return err == nil
		case <-grace.C:
		}
	}
	c.Close()
	<-sent //nolint:errcheck // that it was ended by the close is known
	return false
}

// answer reads an answer that has begun.
func (c *conn) answer(p *prepared, maxBody int64) (status int, keep bool, err error) {
	for {
		read, _ := c.in.Peek(c.in.Buffered())
		h, form := scanHead(read, p.blank.Method)
		switch {
		case form == usual:
			_, _ = c.in.Discard(h.size)
			if err := c.skip(min(h.length, maxBody+1)); err != nil {
				return 0, false, &failed{inBody, err}
			}
			if h.length > maxBody {
				return 0, false, &failed{inBody, errBodyTooLarge}
			}
			return h.status, !h.closes, nil
		case form == unusual || len(read) == headBuffer:
			return c.anyAnswer(p, maxBody)
		}
		if _, err := c.in.Peek(len(read) + 1); errors.Is(err, io.EOF) {
			return c.anyAnswer(p, maxBody) // which says what is missing
		} else if err != nil {
			return 0, false, &failed{answering, err}
		}
	}
}

// skip reads n bytes.
func (c *conn) skip(n int64) error {
	read, _ := c.in.Discard(int(min(n, int64(c.in.Buffered()))))
	if n -= int64(read); n == 0 {
		return nil
	}
	_, err := io.CopyN(io.Discard, c.Conn, n)
	return err
}

// anyAnswer has net/http read the answer.
func (c *conn) anyAnswer(p *prepared, maxBody int64) (status int, keep bool, err error) {
	for {
		res, err := http.ReadResponse(c.in, &p.blank) //nolint:bodyclose // it is read here, or the connection is closed
		switch {
		case err != nil:
			return 0, false, &failed{answering, malformation(err)}
		case res.StatusCode == http.StatusSwitchingProtocols:
			return res.StatusCode, false, nil
		case res.StatusCode >= 100 && res.StatusCode <= 199:
			continue // an interim one
		}
		c.limit = noLimit
		if err := discard(res.Body, maxBody); err != nil {
			return 0, false, &failed{inBody, err}
		}
		return res.StatusCode, !res.Close && res.StatusCode >= 200, nil
	}
}

// malformation marks the errors that are the parser's own.
func malformation(err error) error {
	var network *net.OpError
	if errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	return fmt.Errorf("%w: %w", errMalformed, err)
}

// longIdle is how long a connection may have been in nobody's use to be used again without a
// look at it: a system call more per request would be a lot in a closed loop, where there is
// no pause at all.
const longIdle = time.Millisecond

// stale tells whether the server has closed the connection, or has sent what nobody asked for.
func (c *conn) stale() bool {
	raw, err := c.Conn.(interface {
		SyscallConn() (syscall.RawConn, error)
	}).SyscallConn()
	if err != nil {
		return true
	}
	quiet := false
	err = raw.Control(func(fd uintptr) {
		_, _, err := unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
		quiet = errors.Is(err, unix.EAGAIN)
	})
	return err != nil || !quiet
}
