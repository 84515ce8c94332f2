package generator

import (
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"
)

// A nullHost is one loop over epoll per core, which takes half the CPU per request of a goroutine
// per connection: the null server should not be what is measured.
type nullHost struct {
	address string
	loops   []*nullLoop
	stop    int // the write end of a pipe: closed, it ends all loops
	all     sync.WaitGroup
}

// A nullLoop serves its connections with one goroutine.
type nullLoop struct {
	server  *nullHost
	answer  []byte
	epoll   int
	listen  int // where new connections come; -1 on all loops but the first
	stopped int // the read end of the pipe
	next    int // the loop that gets the next connection
	streams map[int]*nullStream
	buffer  []byte
}

// nullBacklog is as many as the most connections of an attack, if the kernel allows.
const nullBacklog = maxConnections

func serveNull(answer []byte, loops int) (_ *nullHost, err error) {
	listen, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open a socket: %w", err)
	}
	opened := []int{listen}
	defer func() {
		if err != nil {
			for _, fd := range opened {
				_ = unix.Close(fd)
			}
		}
	}()
	if err := unix.Bind(listen, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return nil, fmt.Errorf("bind to 127.0.0.1: %w", err)
	}
	if err := unix.Listen(listen, nullBacklog); err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	bound, err := unix.Getsockname(listen)
	if err != nil {
		return nil, fmt.Errorf("read the port: %w", err)
	}
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return nil, fmt.Errorf("open a pipe: %w", err)
	}
	opened = append(opened, pipe[0], pipe[1])

	s := &nullHost{address: fmt.Sprintf("127.0.0.1:%d", bound.(*unix.SockaddrInet4).Port), stop: pipe[1]}
	for i := range loops {
		l := &nullLoop{
			server: s, answer: answer, listen: -1, stopped: pipe[0],
			streams: make(map[int]*nullStream), buffer: make([]byte, 64<<10),
		}
		if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
			return nil, fmt.Errorf("open epoll: %w", err)
		}
		opened = append(opened, l.epoll)
		watched := []int{l.stopped}
		if i == 0 {
			l.listen = listen
			watched = append(watched, listen)
		}
		for _, fd := range watched {
			if err := l.watch(fd); err != nil {
				return nil, err
			}
		}
		s.loops = append(s.loops, l)
	}
	for _, l := range s.loops {
		s.all.Go(l.run)
	}
	return s, nil
}

// close ends the server and its connections.
func (s *nullHost) close() {
	_ = unix.Close(s.stop)
	s.all.Wait()
	_ = unix.Close(s.loops[0].listen)
	_ = unix.Close(s.loops[0].stopped)
}

func (l *nullLoop) watch(fd int) error {
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(fd)}); err != nil {
		return fmt.Errorf("watch a socket: %w", err)
	}
	return nil
}

func (l *nullLoop) run() {
	defer func() {
		for fd := range l.streams {
			_ = unix.Close(fd)
		}
		_ = unix.Close(l.epoll)
	}()
	events := make([]unix.EpollEvent, 256)
	for {
		n, err := unix.EpollWait(l.epoll, events, -1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return
		}
		for i := range max(n, 0) {
			switch fd := int(events[i].Fd); fd {
			case l.stopped:
				return
			case l.listen:
				l.accept()
			default:
				l.serve(fd)
			}
		}
	}
}

// accept hands new connections to the loops in turn; from then on they are the loop's own.
func (l *nullLoop) accept() {
	for {
		fd, _, err := unix.Accept4(l.listen, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			return // none left
		}
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		if err := l.server.loops[l.next%len(l.server.loops)].watch(fd); err != nil {
			_ = unix.Close(fd)
		}
		l.next++
	}
}

func (l *nullLoop) serve(fd int) {
	stream := l.streams[fd]
	if stream == nil {
		stream = new(nullStream)
		l.streams[fd] = stream
	}
	n, err := unix.Read(fd, l.buffer)
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		return
	}
	ended := 0
	if err == nil && n > 0 {
		ended, err = stream.feed(l.buffer[:n])
	}
	for ; ended > 0 && err == nil; ended-- {
		// An answer is short, and the generator reads each before it sends more: it fits.
		_, err = unix.Write(fd, l.answer)
	}
	if err != nil || n == 0 {
		delete(l.streams, fd)
		_ = unix.Close(fd)
	}
}
