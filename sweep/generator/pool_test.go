package generator

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"time"
)

// testPool dials pipes, whose other ends it leaves open.
func testPool(t *testing.T, size int) (p *pool, cut context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	return newPool(ctx, size, func(ctx context.Context) (net.Conn, error) {
		ours, theirs := net.Pipe()
		t.Cleanup(func() { theirs.Close() })
		return ours, ctx.Err()
	}), cancel
}

func mustGet(t *testing.T, p *pool) *conn {
	t.Helper()
	c, err := p.get(time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// queued waits until n wait for a connection.
func queued(p *pool, n int) {
	for {
		p.mu.Lock()
		waiting := p.queue.Len()
		p.mu.Unlock()
		if waiting == n {
			return
		}
	}
}

func TestPoolHandsOutTheLastUsedFirst(t *testing.T) {
	p, _ := testPool(t, 2)
	a, b := mustGet(t, p), mustGet(t, p)
	p.put(a)
	p.put(b)
	if got := mustGet(t, p); got != b {
		t.Error("not the one given back last")
	}
	if got := mustGet(t, p); got != a {
		t.Error("not the other one")
	}
}

func TestPoolServesInTheOrderOfComing(t *testing.T) {
	p, _ := testPool(t, 1)
	c := mustGet(t, p)
	type turn struct {
		who int
		c   *conn
	}
	turns := make(chan turn)
	for who := range 3 {
		go func() {
			got, err := p.get(time.Now().Add(time.Hour))
			if err != nil {
				t.Error(err)
			}
			turns <- turn{who, got}
		}()
		queued(p, who+1)
	}
	p.put(c)
	if got := <-turns; got.who != 0 || got.c != c {
		t.Errorf("the first turn is that of %d", got.who)
	}
	p.drop(c)
	got := <-turns
	if got.who != 1 || got.c == c {
		t.Errorf("the second turn is that of %d, on a new connection: %v", got.who, got.c != c)
	}
	p.put(got.c)
	if last := <-turns; last.who != 2 || last.c != got.c {
		t.Errorf("the third turn is that of %d", last.who)
	}
}

func TestPoolGivesUpWaiting(t *testing.T) {
	p, cut := testPool(t, 1)
	c := mustGet(t, p)
	if _, err := p.get(time.Now()); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	p.put(c) // is not lost on who has left
	if got := mustGet(t, p); got != c {
		t.Error("another connection")
	}
	failed := make(chan error)
	go func() {
		_, err := p.get(time.Now().Add(time.Hour))
		failed <- err
	}()
	queued(p, 1)
	cut()
	if err := <-failed; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, err := c.Conn.Read(make([]byte, 1)); err == nil {
		t.Error("the connection in use is still open")
	}
	p.drop(c)
	if _, err := p.get(time.Now().Add(time.Hour)); !errors.Is(err, context.Canceled) {
		t.Errorf("afterwards: got %v", err)
	}
}

// What comes to somebody who is just leaving goes to the next.
func TestPoolPassesOnWhatCameTooLate(t *testing.T) {
	p, _ := testPool(t, 1)
	c := mustGet(t, p)
	p.mu.Lock()
	turn := make(chan *conn, 1)
	place := p.queue.PushBack(turn)
	p.pass(c)
	p.mu.Unlock()
	p.leave(place, turn)
	if got := mustGet(t, p); got != c {
		t.Error("another connection")
	}
}

func TestPoolHasRoomAfterAFailure(t *testing.T) {
	want := errors.New("nobody there")
	p := newPool(t.Context(), 1, func(context.Context) (net.Conn, error) { return nil, want })
	for range 3 {
		if _, err := p.get(time.Now().Add(time.Hour)); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
}
