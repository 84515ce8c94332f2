package targets

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"advise/targets/hold"
	"advise/targets/mask"
)

// A Start says how to start a target.
type Start struct {
	Shape       Shape
	Limits      hold.Limits
	Probe       Probe
	ReadyWithin time.Duration // 0: DefaultReadyWithin
	Log         string        // file for the server's output; empty: none
	// Derived keeps a copy of a file that was written for the server, its secrets masked, and returns where,
	// or "" where it could not; nil: none are kept. The server's own are in a temporary folder with a short
	// name, which the users that it changes to can enter, and go with it.
	Derived func(File) string
	// Secrets are values that the server is told and may log, apart from those in its command and its
	// environment: they are masked in its last words.
	Secrets []string
}

const (
	// DefaultReadyWithin is how long a server may take to be ready.
	DefaultReadyWithin = 30 * time.Second

	// stopGrace is how long a server that was asked to end has for it.
	stopGrace = 5 * time.Second
	// failedGrace is the same for one that did not become ready.
	failedGrace = 2 * time.Second
	// portAttempts is on how many ports a start is tried when somebody else takes them.
	portAttempts = 4

	// steady is how long an answer must stay the same to be taken for the server's last word, and
	// the number of its processes to be taken for complete.
	steady = time.Second
	// elsewhere is how long a server may listen on another port alone before it is given up.
	elsewhere = 3 * time.Second
)

// An Instance is a started server that is ready.
type Instance struct {
	*hold.Tree
	URL         string        // base, such as http://127.0.0.1:8000
	Startup     time.Duration // from its execution until it was ready
	WorkersSeen int           // when it was ready; -1: they can't be counted

	target *Target
	place  Place
	shape  Shape
	log    string
	known  mask.Known // secrets that the log may have in it
	// changed is true once Resize has changed the count.
	changed bool
}

// LastWords are the last lines of the server's log that say what went wrong, the newest last.
func (i *Instance) LastWords() []string { return i.target.telling(tail(i.log, i.known)) }

// Workers counts the living workers now; it is -1 for a server whose workers can't be counted.
func (i *Instance) Workers() (int, error) {
	tree, err := i.Processes()
	if err != nil {
		return 0, fmt.Errorf("count the workers: %w", err)
	}
	return i.target.count(tree, i.PID()), nil
}

// Stop ends the server by its graceful way, and whatever is left of it after that. When ctx ends
// there is no more grace. It returns when nothing is left.
func (i *Instance) Stop(ctx context.Context) error {
	return i.Tree.Stop(ctx, i.target.Adapter.StopSignal(), stopGrace)
}

// Start starts the target and returns when the probe is answered as expected, by the tree that was
// started, with all workers there. A server that does not get there is a StartError, and nothing of
// it is left then.
func (t *Target) Start(ctx context.Context, s Start) (*Instance, error) {
	if s.ReadyWithin <= 0 {
		s.ReadyWithin = DefaultReadyWithin
	}
	// One that can't be asked can't be started either, which is what the user should read.
	_, _ = t.Version(ctx)
	for attempt := 1; ; attempt++ {
		i, err := t.startOnce(ctx, s)
		var start *StartError
		if errors.As(err, &start) && start.Kind == KindForeign && attempt < portAttempts {
			continue
		}
		return i, err
	}
}

func (t *Target) startOnce(ctx context.Context, s Start) (*Instance, error) {
	choose := t.port
	if choose == nil {
		choose = freePort
	}
	port, err := choose()
	if err != nil {
		return nil, fmt.Errorf("start %s: choose a port: %w", t.label(), err)
	}
	place := Place{Host: loopback, Port: port}
	if place.Scratch, err = newScratch(); err != nil {
		return nil, fmt.Errorf("start %s: %w", t.label(), err)
	}
	launch, err := t.Launch(s.Shape, place)
	var copies []string
	if err == nil {
		copies, err = writeFiles(launch.Files, place.Scratch, s.Derived)
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(place.Scratch))
	}
	tree, err := hold.Start(ctx, hold.Spec{
		Argv: launch.Argv, Env: launch.Env, Dir: t.Command.Dir, Log: s.Log, Limits: s.Limits, Remove: []string{place.Scratch},
	})
	if err != nil {
		return nil, errors.Join(t.notRun(s, err), os.RemoveAll(place.Scratch))
	}
	known := mask.NewKnown(append(mask.InCommand(t.Command.Argv, t.Command.Env), s.Secrets...)...)
	began := time.Now()
	w := &wait{target: t, start: s, tree: tree, launch: launch, copies: copies, place: place, began: began, url: "http://" + place.Address(), known: known}
	if err := w.untilReady(ctx); err != nil {
		// The caller's end of patience is that of the grace too.
		if stopped := tree.Stop(ctx, t.Adapter.StopSignal(), failedGrace); stopped != nil {
			err = errors.Join(err, stopped)
		}
		return nil, err
	}
	ready := time.Now()
	if s.Shape.Workers > 1 {
		ready = untilQuiet(ctx, tree, ready.Sub(began))
	}
	return &Instance{
		Tree: tree, URL: w.url, Startup: ready.Sub(began), WorkersSeen: w.workers,
		target: t, place: place, shape: s.Shape, log: s.Log, known: known,
	}, nil
}

const loopback = "127.0.0.1"

func freePort() (int, error) {
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return 0, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}

// count is the number of living workers; -1: they can't be told from other processes.
func (t *Target) count(tree []hold.Process, root int) int {
	workers, ok := t.Adapter.Workers(tree, root)
	if !ok {
		return -1
	}
	return len(workers)
}

// label is what the target is called in errors.
func (t *Target) label() string {
	switch t.Adapter.(type) {
	case command:
		return quote(t.Command.Argv[0])
	case demoServer:
		return "the demo server"
	default:
		return t.Adapter.Name()
	}
}

// notRun explains a program that could not be executed.
func (t *Target) notRun(s Start, err error) error {
	if !errors.Is(err, exec.ErrNotFound) && !errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("start %s: %w", t.label(), err)
	}
	hint, reason := notFound(t.Command, err)
	return &StartError{Kind: KindNotFound, Command: t.label(), Workers: s.Shape.Workers, Hint: hint, Err: reason}
}

// A wait follows one started server until it is ready or has failed.
type wait struct {
	target *Target
	start  Start
	tree   *hold.Tree
	launch Launch
	copies []string // where copies of its files are kept
	url    string
	place  Place
	began  time.Time
	known  mask.Known // secrets that the log may have in it

	workers   int       // as counted last; -1: can't be counted
	processes int       // of the whole tree
	changed   time.Time // when processes last changed
	last      answer
	since     time.Time // since when all workers are there and the status has been that of last
	away      time.Time // since when it listens on other ports alone
	ports     []int     // which
}

// untilReady returns nil when the server is ready.
func (w *wait) untilReady(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, w.start.ReadyWithin)
	answers := make(chan answer)
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		w.keepAsking(within, answers)
	}()
	defer func() { cancel(); <-asked }()

	watch := time.NewTicker(50 * time.Millisecond)
	defer watch.Stop()
	for {
		select {
		case <-w.tree.Ended():
			return w.ended()
		case <-within.Done():
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return w.late()
		case <-watch.C:
			if err := w.look(); err != nil {
				return err
			}
		case a := <-answers:
			ready, err := w.judge(within, a)
			if ready || err != nil {
				return err
			}
		}
	}
}

// keepAsking sends the probe again and again, with pauses that grow, so that asking costs the
// server little of its start.
func (w *wait) keepAsking(ctx context.Context, answers chan<- answer) {
	const longest = 100 * time.Millisecond
	// A request that a dying worker took may never be answered.
	timeout := max(w.start.ReadyWithin/3, time.Second)
	for pause := 2 * time.Millisecond; ; pause = min(pause*3/2, longest) {
		a := w.start.Probe.ask(ctx, w.url, timeout)
		select {
		case answers <- a:
		case <-ctx.Done():
			return
		}
		next := time.NewTimer(pause)
		select {
		case <-next.C:
		case <-ctx.Done():
			next.Stop()
			return
		}
	}
}

// look finds what shows without an answer: that the kernel kills workers, which a master would
// replace for ever, or that somebody else has the port, which a server may retry for long.
func (w *wait) look() error {
	w.count()
	if err := w.killed(); err != nil {
		return err
	}
	if addressTaken(tail(w.start.Log, w.known)) && !w.listens() {
		return w.foreign("somebody else has port " + strconv.Itoa(w.place.Port))
	}
	return nil
}

func (w *wait) count() {
	tree, err := w.tree.Processes()
	if err != nil {
		return
	}
	if len(tree) != w.processes {
		w.processes, w.changed = len(tree), time.Now()
	}
	w.workers = w.target.count(tree, w.tree.PID())
}

// complete says whether all workers are there, as far as they can be counted, and the server, where
// it can be asked, says so too.
func (w *wait) complete(ctx context.Context) bool {
	switch {
	case w.workers >= 0 && w.workers != w.start.Shape.Workers:
		return false
	case w.workers < 0 && w.processes <= w.start.Shape.Workers && time.Since(w.changed) < steady:
		return false
	}
	r, ok := w.target.Adapter.(reporter)
	if !ok {
		return true
	}
	status, err := r.status(ctx, w.place)
	return errors.Is(err, ErrNoStatus) || err == nil && status.Workers == w.start.Shape.Workers
}

// judge takes in an answer. It is ready when the answer is right, all workers are there, and the
// answer came from them.
func (w *wait) judge(ctx context.Context, a answer) (ready bool, err error) {
	w.count()
	if a.err != nil {
		// One that was cut short by the end of the wait says less than the one before it.
		if ctx.Err() == nil || w.last == (answer{}) {
			w.last = a
		}
		return false, w.listensElsewhere()
	}
	complete := w.complete(ctx)
	if !complete || a.status != w.last.status {
		w.since = time.Now()
	}
	w.last = a
	if !w.listens() {
		return false, w.foreign("another process answers on port " + strconv.Itoa(w.place.Port))
	}
	if !complete {
		return false, nil
	}
	if w.start.Probe.accepts(a.status) {
		// The count may be complete because one that was killed has just been replaced.
		return true, cmp.Or(w.killed(), w.heeded())
	}
	if booting(a.status) || time.Since(w.since) < steady {
		return false, nil
	}
	hint := w.start.Probe.statusHint(a)
	if a.status == http.StatusBadRequest && speaksTLS(w.place.Address()) {
		hint = tlsHint
	}
	return false, w.fail(KindStatus, hint, fmt.Errorf("%s %s", w.start.Probe.name(), a))
}

// listens says whether the port belongs to the tree. Where that can't be known it is taken for true.
func (w *wait) listens() bool {
	ports, err := w.tree.Listening()
	if err != nil {
		return true
	}
	for _, p := range ports {
		if int(p.Port()) == w.place.Port {
			return true
		}
	}
	return false
}

// listensElsewhere gives up on a server that learns its port from PORT alone and takes another.
func (w *wait) listensElsewhere() error {
	byEnvironment, ok := w.target.Adapter.(interface{ portByEnvironment(Command) bool })
	if !ok || !byEnvironment.portByEnvironment(w.target.Command) {
		return nil
	}
	w.ports = nil
	addresses, _ := w.tree.Listening()
	for _, a := range addresses {
		w.ports = append(w.ports, int(a.Port()))
	}
	switch {
	case len(w.ports) == 0 || slices.Contains(w.ports, w.place.Port):
		w.away = time.Time{}
		return nil
	case w.away.IsZero():
		w.away = time.Now()
		return nil
	case time.Since(w.away) < elsewhere:
		return nil
	}
	argv := w.target.Command.Argv
	hint := "write {port} where its port goes: advise -- " + show(argv) + " --port {port}"
	if suggested, ok := suggestPort(argv, w.ports[0]); ok {
		hint = "write {port} where its port goes: advise -- " + show(suggested)
	}
	return w.fail(KindIgnored, hint, fmt.Errorf("it listens on port %d, not on %d: it does not read PORT", w.ports[0], w.place.Port))
}

// heeded checks of a server whose workers can't be counted that the count was not ignored.
func (w *wait) heeded() error {
	checker, ok := w.target.Adapter.(interface {
		heeds(c Command, s Shape, processes int) (reason, hint string)
	})
	if w.workers >= 0 || !ok {
		return nil
	}
	reason, hint := checker.heeds(w.target.Command, w.start.Shape, w.processes)
	if reason == "" {
		return nil
	}
	return w.fail(KindIgnored, hint, errors.New(reason))
}

func (w *wait) fail(kind Kind, hint string, err error) *StartError {
	return &StartError{
		Kind: kind, Command: w.target.label(), Workers: w.start.Shape.Workers, Seen: w.workers,
		Log: w.target.telling(tail(w.start.Log, w.known)), Hint: hint, Err: err,
	}
}

func (w *wait) foreign(what string) error {
	return w.fail(KindForeign, "some program takes free ports as they come; try again", errors.New(what))
}

// killed tells of processes that were killed for memory.
func (w *wait) killed() error {
	u, _ := w.tree.Usage() // without a reading there is nothing to tell
	if u.OOMKills == 0 {
		return nil
	}
	text := fmt.Sprintf("killed for memory while it started: the kernel killed %s", count(int(u.OOMKills), "process"))
	if w.start.Limits.Memory > 0 {
		text += fmt.Sprintf(" at the limit of %d MB", w.start.Limits.Memory/1_000_000)
	}
	e := w.fail(KindKilledForMemory, "fewer workers, or more memory with --mem", errors.New(text))
	e.MemoryPeak = u.MemoryOwnPeak()
	return e
}

// ended explains a server that ended by itself.
func (w *wait) ended() error {
	if err := w.killed(); err != nil {
		return err
	}
	log := tail(w.start.Log, w.known)
	if addressTaken(log) {
		return w.foreign("somebody else has port " + strconv.Itoa(w.place.Port))
	}
	how := "ended"
	if exit, ok := w.tree.Exit(); ok {
		how = exit.String()
	}
	return w.fail(KindExited, w.explain(log), fmt.Errorf("ended before it was ready: %s after %s", how, seconds(time.Since(w.began))))
}

// late explains a server that was not ready in time.
func (w *wait) late() error {
	w.count()
	workers := fmt.Sprintf("%d of %s, ", w.workers, count(w.start.Shape.Workers, "worker"))
	if w.workers < 0 {
		workers = count(w.processes, "process") + ", "
	}
	hint := w.explain(tail(w.start.Log, w.known))
	if w.workers > 0 && w.workers != w.start.Shape.Workers && w.last.err == nil && w.start.Probe.accepts(w.last.status) {
		hint = "it answers, and runs another count than it was told: does its own code or file set it?"
	}
	return w.fail(KindNotReady, hint,
		fmt.Errorf("not ready after %s: %s%s %s%s", seconds(w.start.ReadyWithin), workers, w.start.Probe.name(), w.last, w.listensOn()))
}

// explain is the adapter's reading of the log, or else the command to look at it more closely.
func (w *wait) explain(log []string) string {
	if e, ok := w.target.Adapter.(interface{ explain([]string) string }); ok {
		if hint := e.explain(log); hint != "" {
			return hint
		}
	}
	if w.last.err != nil {
		if hint := w.unheard(); hint != "" {
			return hint
		}
	}
	if w.last.status == http.StatusServiceUnavailable {
		return "it answered 503 all the time: does it wait for a database or another service?"
	}
	return w.byItself()
}

// byItself is the command to look at. One that needs the folder which has gone with the server can't be
// run again: then that is the user's own, and the copies of what was made of its files are named.
func (w *wait) byItself() string {
	const see = "see what it does by itself: "
	needs := len(w.launch.Files) > 0 || slices.ContainsFunc(w.launch.Argv, func(word string) bool { return strings.Contains(word, w.place.Scratch) })
	if !needs {
		return see + show(w.launch.Argv)
	}
	text := see + show(w.target.Command.Argv)
	if len(w.copies) == 0 {
		return text
	}
	var copies []string
	for _, c := range w.copies {
		copies = append(copies, quote(c))
	}
	return text + "; it was started with what was made of its files: " + strings.Join(copies, ", ")
}
