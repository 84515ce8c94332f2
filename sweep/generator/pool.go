package generator

import (
	"bufio"
	"container/list"
	"context"
	"errors"
	"math"
	"net"
	"os"
	"sync"
	"time"
)

// A pool holds the connections of one attack. At most max are open; the one used last is
// handed out first; who finds none waits in a queue.
type pool struct {
	ctx  context.Context // its end closes all connections
	dial func(context.Context) (net.Conn, error)

	mu    sync.Mutex
	room  int // how many more may be opened
	open  map[*conn]struct{}
	idle  []*conn
	queue list.List // of chan *conn, each with room for one; nil is the room to open one
}

func newPool(ctx context.Context, size int, dial func(context.Context) (net.Conn, error)) *pool {
	p := &pool{ctx: ctx, dial: dial, room: size, open: make(map[*conn]struct{})}
	context.AfterFunc(ctx, p.cut)
	return p
}

// get returns a connection that nobody else uses, until it is given to put or drop.
func (p *pool) get(deadline time.Time) (*conn, error) {
	p.mu.Lock()
	if n := len(p.idle); n > 0 {
		c := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		return c, nil
	}
	if p.room > 0 {
		p.room--
		p.mu.Unlock()
		return p.connect(deadline)
	}
	turn := make(chan *conn, 1)
	place := p.queue.PushBack(turn)
	p.mu.Unlock()

	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	var err error
	select {
	case c := <-turn:
		if c == nil {
			return p.connect(deadline)
		}
		return c, nil
	case <-timer.C:
		err = os.ErrDeadlineExceeded
	case <-p.ctx.Done():
		err = p.ctx.Err()
	}
	p.leave(place, turn)
	return nil, err
}

// leave gives up a place in the queue, and what has come to it meanwhile to the next.
func (p *pool) leave(place *list.Element, turn chan *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue.Remove(place) // nothing, if it has been taken off
	select {
	case c := <-turn:
		p.pass(c)
	default:
	}
}

// connect opens a connection, for which there is room.
func (p *pool) connect(deadline time.Time) (*conn, error) {
	ctx, cancel := context.WithDeadline(p.ctx, deadline)
	defer cancel()
	network, err := p.dial(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil && p.ctx.Err() != nil { // after cut
		network.Close()
		err = p.ctx.Err()
	}
	if err != nil {
		p.pass(nil)
		return nil, err
	}
	c := &conn{Conn: network}
	c.in = bufio.NewReaderSize(c, headBuffer)
	p.open[c] = struct{}{}
	return c, nil
}

// put gives back a connection that can be used again.
func (p *pool) put(c *conn) {
	p.mu.Lock()
	p.pass(c)
	p.mu.Unlock()
}

// drop closes a connection.
func (p *pool) drop(c *conn) {
	c.Close()
	p.mu.Lock()
	delete(p.open, c)
	p.pass(nil)
	p.mu.Unlock()
}

// pass gives a connection, or the room for one, to whoever has waited longest.
func (p *pool) pass(c *conn) {
	switch first := p.queue.Front(); {
	case first != nil:
		p.queue.Remove(first).(chan *conn) <- c
	case c != nil:
		p.idle = append(p.idle, c)
	default:
		p.room++
	}
}

// cut closes all connections, used or not. Who uses one meets an error and drops it.
func (p *pool) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		c.Close()
	}
}

// headBuffer is how many bytes of an answer are read at once. Most headers are smaller.
const headBuffer = 4 << 10

// A conn is a connection, used by one exchange at a time.
type conn struct {
	net.Conn
	in        *bufio.Reader // reads from the conn itself, for the limit
	limit     int64         // bytes that may be read up to the end of the answer's header
	kept      bool          // it has had an exchange
	timed     bool          // begun is asked for
	begun     time.Time     // when the answer's first byte was there
	idleSince time.Time
}

var errHeadTooLarge = errors.New("the answer's header is too large")

func (c *conn) Read(b []byte) (int, error) {
	if c.limit <= 0 {
		return 0, errHeadTooLarge
	}
	n, err := c.Conn.Read(b)
	c.limit -= int64(n)
	return n, err
}

const noLimit = math.MaxInt64
