//go:build !linux

package generator

import (
	"context"
	"net"
	"sync"
)

// A nullHost is a goroutine per connection.
type nullHost struct {
	address  string
	listener net.Listener
	all      sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]bool // nil when the server is closed
}

func serveNull(answer []byte, _ int) (*nullHost, error) {
	var config net.ListenConfig
	l, err := config.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &nullHost{address: l.Addr().String(), listener: l, conns: make(map[net.Conn]bool)}
	s.all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if !s.keep(c) {
				c.Close()
				return
			}
			s.all.Go(func() { s.serve(c, answer) })
		}
	})
	return s, nil
}

func (s *nullHost) keep(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns == nil {
		return false
	}
	s.conns[c] = true
	return true
}

func (s *nullHost) serve(c net.Conn, answer []byte) {
	defer func() {
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
		c.Close()
	}()
	var stream nullStream
	for buffer := make([]byte, 64<<10); ; {
		n, err := c.Read(buffer)
		if err != nil {
			return
		}
		ended, err := stream.feed(buffer[:n])
		for ; ended > 0 && err == nil; ended-- {
			_, err = c.Write(answer)
		}
		if err != nil {
			return
		}
	}
}

// close ends the server and its connections.
func (s *nullHost) close() {
	s.listener.Close()
	s.mu.Lock()
	for c := range s.conns {
		c.Close()
	}
	s.conns = nil
	s.mu.Unlock()
	s.all.Wait()
}
