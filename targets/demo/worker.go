package demo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// readLimit is how long a client may take to send its request, stall how long between two packets.
	readLimit = 10 * time.Second
	stall     = 5 * time.Second
	// headLimit and bodyLimit are how much of a request is read, in bytes.
	headLimit = 64 << 10
	bodyLimit = 64 << 20
)

// Descriptors of what a worker inherits, in the order of [files].
const (
	listenerFD = 3 + iota
	aliveFD
	tallyFD
	lockFD
)

// Worker is a child of [Main]: it serves one request at a time on the socket it inherits, until a
// signal, ctx or the end of the master stops it. An error means that it could not serve.
func Worker(ctx context.Context, c Config) error {
	var stopping atomic.Bool
	served := make(chan struct{})
	defer close(served)
	// The thread is the worker: its CPU clock is the clock of the requests.
	runtime.LockOSThread()
	thread := currentThread()

	signals := make(chan os.Signal, 4)
	if c.Faults.IgnoreTerm {
		signal.Ignore(unix.SIGTERM)
		ctx = context.WithoutCancel(ctx)
	} else {
		signal.Notify(signals, unix.SIGTERM)
	}
	signal.Notify(signals, unix.SIGINT)
	defer signal.Stop(signals)
	go func() {
		select {
		case <-signals:
		case <-ctx.Done():
		case <-served:
			return
		}
		stopping.Store(true)
		rouse(thread, served)
	}()
	if !c.Faults.Outlive {
		go endWithMaster()
	}

	private, err := touch(c.Memory)
	if err != nil {
		return err
	}
	defer runtime.KeepAlive(private)
	precise()
	w := &worker{Config: c, random: rand.New(rand.NewPCG(uint64(c.Seed), 0)), reader: bufio.NewReaderSize(nil, 4096)}
	w.mark = threadCPU()
	for !stopping.Load() {
		if err := w.serveNext(); err != nil {
			return err
		}
	}
	return nil
}

// endWithMaster ends the process when the other end of the pipe is closed: the master is gone, and
// there is nobody to answer to.
func endWithMaster() {
	// Blocking: the thread sleeps in read, and the runtime's poller stays out of the measurement.
	var b [1]byte
	for {
		if _, err := unix.Read(aliveFD, b[:]); !errors.Is(err, unix.EINTR) {
			_ = unix.Kill(os.Getpid(), unix.SIGKILL)
		}
	}
}

type worker struct {
	Config
	random *rand.Rand
	reader *bufio.Reader
	// mark is the reading of the thread's CPU clock up to which time is accounted to a request. What a
	// request uses after its burn, for writing and closing, is counted to the burn of the next one.
	mark time.Duration
}

// serveNext takes one connection and serves one request on it, or returns after idle without either.
func (w *worker) serveNext() error {
	if w.Faults.NeverListen {
		time.Sleep(idle)
		return nil
	}
	fd, err := accept(listenerFD)
	switch {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		w.mark = threadCPU()
		return nil
	case errors.Is(err, unix.ECONNABORTED):
		return nil
	case err != nil:
		return fmt.Errorf("accept connection: %w", err)
	}
	defer unix.Close(fd)
	conn := &connection{fd: fd, until: time.Now().Add(readLimit)}
	if conn.limit() != nil {
		return nil
	}
	head := &io.LimitedReader{R: conn, N: headLimit}
	w.reader.Reset(head)
	request, err := http.ReadRequest(w.reader)
	if err != nil {
		if !errors.Is(err, io.EOF) {
			_ = conn.answer(http.StatusBadRequest, "bad request\n", false)
		}
		return nil
	}
	head.N += bodyLimit
	// Closing with unread bytes would reset the connection, and lose the answer.
	if _, err := io.Copy(io.Discard, request.Body); err != nil {
		return nil
	}
	status, err := w.work(request)
	if err != nil {
		return err
	}
	body := "demo worker " + strconv.Itoa(os.Getpid()) + "\n"
	_ = conn.answer(status, body, request.Method == http.MethodHead)
	if w.Faults.DieAfter > 0 {
		_, _ = unix.Write(tallyFD, []byte{1})
	}
	return nil
}

// work uses what a request costs and decides its status.
func (w *worker) work(r *http.Request) (int, error) {
	factor := 1.0
	if w.SlowShare > 0 && w.random.Float64() < w.SlowShare {
		factor = w.SlowFactor
	}
	wait := float64(w.Wait)
	if w.WaitDistribution == "exp" {
		wait *= w.random.ExpFloat64()
	}
	if _, err := touch(w.Faults.Leak); err != nil {
		return 0, err
	}
	w.mark = burn(w.mark + scale(w.CPU, factor))
	pause(time.Duration(wait * factor))
	if w.Serial > 0 {
		if err := w.serial(scale(w.Serial, factor)); err != nil {
			return 0, err
		}
	}
	return w.status(r), nil
}

// serial burns CPU time that no other worker burns meanwhile.
func (w *worker) serial(d time.Duration) error {
	if err := setLock(unix.F_WRLCK); err != nil {
		return fmt.Errorf("take shared lock: %w", err)
	}
	begin := threadCPU()
	end := burn(begin + d)
	w.mark += end - begin
	if err := setLock(unix.F_UNLCK); err != nil {
		return fmt.Errorf("release shared lock: %w", err)
	}
	return nil
}

// setLock waits for the lock that all workers share, or gives it back.
func setLock(kind int16) error {
	for {
		err := unix.FcntlFlock(lockFD, unix.F_SETLKW, &unix.Flock_t{Type: kind, Whence: io.SeekStart})
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func (w *worker) status(r *http.Request) int {
	f := w.Faults
	switch {
	case f.Status != 0 && w.Workers > f.StatusAbove && w.random.Float64() < f.StatusShare:
		return f.Status
	case r.URL.Path == "/fail":
		return http.StatusInternalServerError
	case r.URL.Path == "/missing":
		return http.StatusNotFound
	}
	return http.StatusOK
}

func scale(d time.Duration, factor float64) time.Duration { return time.Duration(float64(d) * factor) }

// burn computes until the CPU clock of the thread reads until, and returns its reading.
func burn(until time.Duration) time.Duration {
	x := uint64(1)
	for {
		now := threadCPU()
		if now >= until {
			sink.Store(x)
			return now
		}
		// A few microseconds at a time: reading the clock is a system call.
		for range 2000 {
			x = x*6364136223846793005 + 1442695040888963407
		}
	}
}

// sink keeps the compiler from dropping the computation.
var sink atomic.Uint64

// touch takes private memory for good, page by page, outside the heap that Go collects.
func touch(bytes int64) ([]byte, error) {
	if bytes == 0 {
		return nil, nil
	}
	m, err := unix.Mmap(-1, 0, int(bytes), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("take %d bytes of memory: %w", bytes, err)
	}
	for i := 0; i < len(m); i += os.Getpagesize() {
		m[i] = 1
	}
	return m, nil
}

// A connection is read and written by system calls that block the worker's thread, as in a server
// without an event loop.
type connection struct {
	fd    int
	until time.Time
}

// limit makes reading and writing fail with EAGAIN when the client stalls.
func (c *connection) limit() error {
	t := unix.NsecToTimeval(stall.Nanoseconds())
	return errors.Join(
		unix.SetsockoptTimeval(c.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &t),
		unix.SetsockoptTimeval(c.fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &t))
}

func (c *connection) Read(p []byte) (int, error) {
	for {
		if time.Now().After(c.until) {
			return 0, os.ErrDeadlineExceeded
		}
		n, err := unix.Read(c.fd, p)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			c.until = time.Time{} // no second chance: callers may read again
			return 0, err
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

func (c *connection) answer(status int, body string, head bool) error {
	b := make([]byte, 0, 256)
	b = fmt.Appendf(b, "HTTP/1.1 %d %s\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n", status, http.StatusText(status))
	b = fmt.Appendf(b, "X-Worker: %d\r\n", os.Getpid())
	if status != http.StatusNoContent && status != http.StatusNotModified {
		b = fmt.Appendf(b, "Content-Length: %d\r\n\r\n", len(body))
		if !head {
			b = append(b, body...)
		}
	} else {
		b = append(b, "\r\n"...)
	}
	for len(b) > 0 {
		n, err := unix.Write(c.fd, b)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return err
		default:
			b = b[n:]
		}
	}
	return nil
}
