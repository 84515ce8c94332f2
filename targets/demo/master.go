package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// grace is how long a worker has to finish its request when the server stops.
	grace = 30 * time.Second
	// restartDelay is how long the place of a worker stays empty when the worker lived less than
	// restartDelay itself.
	restartDelay = 200 * time.Millisecond
	// idle is how often a worker without a connection looks up.
	idle = 250 * time.Millisecond
)

// Main is the master: it listens, starts the workers and keeps their number. It returns when a signal
// or ctx has stopped the server and every worker has ended. The workers write to stderr too: it must be
// an [os.File] or safe for concurrent use.
func Main(ctx context.Context, c Config, stderr io.Writer) error {
	switch {
	case c.Faults.Exit != "":
		return errors.New(c.Faults.Exit)
	case c.Faults.ExitAbove > 0 && c.Workers > c.Faults.ExitAbove:
		return fmt.Errorf("start %d workers: no more than %d allowed", c.Workers, c.Faults.ExitAbove)
	case c.Faults.Daemonise:
		return daemonise(c, stderr)
	}
	if c.Faults.IgnoreTerm {
		signal.Ignore(unix.SIGTERM)
		ctx = context.WithoutCancel(ctx)
	}
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, unix.SIGINT, unix.SIGQUIT, unix.SIGTTIN, unix.SIGTTOU)
	if !c.Faults.IgnoreTerm {
		signal.Notify(signals, unix.SIGTERM)
	}
	defer signal.Stop(signals)

	m := &master{config: c, stderr: stderr, target: c.Workers, exits: make(chan exit)}
	defer m.close()
	if err := m.open(ctx); err != nil {
		return err
	}
	return m.run(ctx, signals)
}

// daemonise starts the server anew in a session of its own and leaves it behind.
func daemonise(c Config, stderr io.Writer) error {
	c.Faults.Daemonise = false
	cmd, err := command("demo", c, stderr)
	if err != nil {
		return err
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start demo server as a daemon: %w", err)
	}
	return nil
}

// command is this program again, as another of its subcommands.
func command(sub string, c Config, stderr io.Writer) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find own program: %w", err)
	}
	return &exec.Cmd{Path: self, Args: append([]string{"advise", sub}, c.Args()...), Stderr: stderr}, nil
}

type master struct {
	config Config
	stderr io.Writer
	files  files
	// alive is the end of a pipe that nothing is written to: the kernel closes it when the master ends.
	alive *os.File
	// tally counts requests, a byte each, for [Faults.DieAfter].
	tally *os.File
	dead  chan struct{}

	target  int
	started int
	workers []*process
	exits   chan exit
}

type process struct {
	*exec.Cmd
	born    time.Time
	retired bool // told to end
}

type exit struct {
	worker *process
	err    error
}

// files are what a worker inherits, by their place after standard error.
type files struct {
	listener, alive, tally, lock *os.File
}

func (f files) list() []*os.File { return []*os.File{f.listener, f.alive, f.tally, f.lock} }

// open makes what the workers inherit.
func (m *master) open(ctx context.Context) (err error) {
	if m.files.alive, m.alive, err = os.Pipe(); err != nil {
		return fmt.Errorf("open pipe to workers: %w", err)
	}
	if m.tally, m.files.tally, err = os.Pipe(); err != nil {
		return fmt.Errorf("open pipe from workers: %w", err)
	}
	// POSIX record locks belong to a process, so that all can lock by the one file, and the kernel
	// unlocks when a worker is killed.
	if m.files.lock, err = os.CreateTemp("", "advise-demo-lock-"); err != nil {
		return fmt.Errorf("open lock file: %w", err)
	}
	if err := os.Remove(m.files.lock.Name()); err != nil {
		return fmt.Errorf("open lock file: %w", err)
	}
	var url string
	if m.files.listener, url, err = listen(ctx, m.config); err != nil {
		return err
	}
	if m.config.Faults.NeverListen {
		m.log("not listening: told not to")
		return nil
	}
	m.log("listening at %s", url)
	return nil
}

// listen opens the shared socket, with the time after which accept looks up, and says its URL.
func listen(ctx context.Context, c Config) (*os.File, string, error) {
	if c.Faults.NeverListen {
		// Only to keep the workers' descriptors in their places.
		f, err := os.Open(os.DevNull)
		return f, "", err
	}
	network, address := "tcp", net.JoinHostPort(c.Host, strconv.Itoa(c.Port))
	if c.Socket != "" {
		network, address = "unix", c.Socket
		removeStale(ctx, address)
	}
	var config net.ListenConfig
	// Multipath TCP costs time per connection and hides the socket from /proc/net/tcp.
	config.SetMultipathTCP(false)
	l, err := config.Listen(ctx, network, address)
	if err != nil {
		return nil, "", fmt.Errorf("listen at %s: %w", address, err)
	}
	defer l.Close()
	url := "http://" + l.Addr().String()
	if u, ok := l.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
		url = "unix:" + address
	}
	f, err := duplicate(l.(syscall.Conn))
	if err != nil {
		return nil, "", fmt.Errorf("listen at %s: %w", address, err)
	}
	look := unix.NsecToTimeval(idle.Nanoseconds())
	if err := unix.SetsockoptTimeval(int(f.Fd()), unix.SOL_SOCKET, unix.SO_RCVTIMEO, &look); err != nil {
		f.Close()
		return nil, "", fmt.Errorf("listen at %s: set time limit of accept: %w", address, err)
	}
	return f, url, nil
}

// duplicate gives a blocking descriptor of the socket that is in nobody's epoll set: in the one of the
// Go runtime it would wake the master for every connection.
func duplicate(l syscall.Conn) (*os.File, error) {
	raw, err := l.SyscallConn()
	if err != nil {
		return nil, err
	}
	var fd int
	var failure error
	err = raw.Control(func(own uintptr) {
		if fd, failure = unix.FcntlInt(own, unix.F_DUPFD_CLOEXEC, 0); failure == nil {
			failure = unix.SetNonblock(fd, false)
		}
	})
	if err := errors.Join(err, failure); err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "listener"), nil
}

// removeStale removes the socket file of a server that was killed. A file that is no socket refuses a connection
// as well, and is the user's.
func removeStale(ctx context.Context, path string) {
	if info, err := os.Lstat(path); err != nil || info.Mode()&os.ModeSocket == 0 {
		return
	}
	dialer := net.Dialer{Timeout: time.Second}
	conn, err := dialer.DialContext(ctx, "unix", path)
	if err == nil {
		conn.Close()
		return
	}
	if errors.Is(err, unix.ECONNREFUSED) {
		_ = os.Remove(path)
	}
}

func (m *master) close() {
	for _, f := range append(m.files.list(), m.alive, m.tally) {
		if f != nil {
			f.Close()
		}
	}
	if m.dead != nil {
		<-m.dead
	}
	if m.config.Socket != "" && m.files.listener != nil {
		_ = os.Remove(m.config.Socket)
	}
}

func (m *master) run(ctx context.Context, signals <-chan os.Signal) error {
	died := m.watchTally()
	if err := m.fill(); err != nil {
		return m.abort(err)
	}
	var refill <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			m.stop(unix.SIGTERM)
			return nil
		case <-died:
			return m.abort(fmt.Errorf("died after %d requests: told to", m.config.Faults.DieAfter))
		case <-refill:
			refill = nil
			if err := m.fill(); err != nil {
				return m.abort(err)
			}
		case s := <-signals:
			switch s {
			case unix.SIGTTIN:
				m.target = min(m.target+1, maxWorkers)
			case unix.SIGTTOU:
				m.target = max(m.target-1, 1)
			case unix.SIGQUIT:
				return m.abort(nil)
			default:
				m.stop(unix.SIGTERM)
				return nil
			}
			m.retire()
			if err := m.fill(); err != nil {
				return m.abort(err)
			}
		case e := <-m.exits:
			m.bury(e)
			if failed(e.err) && !e.worker.retired {
				return m.abort(fmt.Errorf("keep worker running: %w", e.err))
			}
			switch {
			case refill != nil:
			case time.Since(e.worker.born) < restartDelay:
				refill = time.After(restartDelay)
			default:
				refill = time.After(0)
			}
		}
	}
}

// failed tells a worker that could not serve from one that was killed and can be replaced.
func failed(err error) bool {
	var status *exec.ExitError
	return errors.As(err, &status) && status.Exited()
}

// watchTally closes the channel it returns at the last request of [Faults.DieAfter].
func (m *master) watchTally() <-chan struct{} {
	if m.config.Faults.DieAfter == 0 {
		return nil
	}
	died := make(chan struct{})
	m.dead = make(chan struct{})
	go func() {
		defer close(m.dead)
		if _, err := io.CopyN(io.Discard, m.tally, int64(m.config.Faults.DieAfter)); err == nil {
			close(died)
		}
	}()
	return died
}

// fill starts workers up to the target.
func (m *master) fill() error {
	for m.serving() < m.target {
		if err := m.spawn(); err != nil {
			return err
		}
	}
	return nil
}

// retire lets the oldest workers above the target end, as gunicorn does.
func (m *master) retire() {
	excess := m.serving() - m.target
	for _, w := range m.workers {
		if excess > 0 && !w.retired {
			w.retired = true
			_ = w.Process.Signal(unix.SIGTERM)
			excess--
		}
	}
}

func (m *master) serving() int {
	n := 0
	for _, w := range m.workers {
		if !w.retired {
			n++
		}
	}
	return n
}

func (m *master) spawn() error {
	c := m.config
	c.Workers = m.target
	c.Seed += int64(m.started) * 1_000_003
	m.started++
	cmd, err := command("demo-worker", c, m.stderr)
	if err != nil {
		return err
	}
	cmd.Env = append(os.Environ(), workerEnvironment...)
	cmd.ExtraFiles = m.files.list()
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start worker: %w", err)
	}
	w := &process{Cmd: cmd, born: time.Now()}
	m.workers = append(m.workers, w)
	m.log("worker %d started", w.Process.Pid)
	go func() { m.exits <- exit{w, w.Wait()} }()
	return nil
}

func (m *master) bury(e exit) {
	m.workers = slices.DeleteFunc(m.workers, func(w *process) bool { return w == e.worker })
	m.log("worker %d ended: %v", e.worker.Process.Pid, e.worker.ProcessState)
}

// abort ends every worker at once, because of err.
func (m *master) abort(err error) error {
	m.stop(unix.SIGKILL)
	return err
}

// stop ends every worker: by s, and after the grace by SIGKILL.
func (m *master) stop(s syscall.Signal) {
	if m.files.listener != nil {
		m.files.listener.Close()
	}
	m.signal(s)
	m.log("stopping")
	late := time.NewTimer(grace)
	defer late.Stop()
	for len(m.workers) > 0 {
		select {
		case e := <-m.exits:
			m.bury(e)
		case <-late.C:
			m.signal(unix.SIGKILL)
		}
	}
}

func (m *master) signal(s syscall.Signal) {
	for _, w := range m.workers {
		_ = w.Process.Signal(s)
	}
}

func (m *master) log(format string, args ...any) {
	fmt.Fprintf(m.stderr, "demo: "+format+"\n", args...)
}
