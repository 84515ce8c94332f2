package targets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"advise/targets/hold"
)

// A Status is what a server says of itself.
type Status struct {
	Workers  int            // that it counts as there
	Requests map[int]uint64 // answered so far, by the worker's process; nil: it does not say
	Late     bool           // Requests is of up to some seconds ago
}

// A reporter is the adapter of a server that can be asked for its workers. A server is ready when it
// says that all of them are there.
type reporter interface {
	status(ctx context.Context, p Place) (Status, error)
}

// ErrNoStatus is a server that can't be asked for its workers.
var ErrNoStatus = errors.New("it has no status")

// Status asks the server. It is ErrNoStatus where it can't be asked, which does not change.
func (i *Instance) Status(ctx context.Context) (Status, error) {
	r, ok := i.target.Adapter.(reporter)
	if !ok {
		return Status{}, fmt.Errorf("ask %s for its workers: %w", i.target.label(), ErrNoStatus)
	}
	status, err := r.status(ctx, i.place)
	if err != nil || status.Requests == nil {
		return status, err
	}
	if status.Requests, err = i.renumbered(status.Requests); err != nil {
		return Status{}, err
	}
	workers, err := i.workers()
	if err != nil {
		return Status{}, err
	}
	for _, w := range workers { // some servers leave out those that have answered nothing
		status.Requests[w.PID] += 0
	}
	return status, nil
}

// renumbered are the requests by the processes as they are known here, not by what they call themselves.
func (i *Instance) renumbered(told map[int]uint64) (map[int]uint64, error) {
	known, err := i.Numbers()
	if err != nil {
		return nil, fmt.Errorf("find the workers: %w", err)
	}
	requests := make(map[int]uint64, len(told))
	for own, n := range told {
		if pid, ok := known[own]; ok { // one that has just ended is none
			requests[pid] = n
		}
	}
	return requests, nil
}

// A Front is a server before another one, in the same tree: it takes the requests and passes them on.
type Front struct {
	Server string // its name
	Path   string // of a page that it answers by itself: driving it tells what it can do alone
}

// A fronted adapter's server has another one before it.
type fronted interface {
	front() Front
	frontProcesses(tree []hold.Process) []hold.Process
}

// Front is not ok when nothing is before the workers.
func (i *Instance) Front() (front Front, ok bool) {
	f, ok := i.target.Adapter.(fronted)
	if !ok {
		return Front{}, false
	}
	return f.front(), true
}

// FrontProcesses are those of the server before the workers that pass requests on; none where nothing is.
func (i *Instance) FrontProcesses() ([]hold.Process, error) {
	f, ok := i.target.Adapter.(fronted)
	if !ok {
		return nil, nil
	}
	tree, err := i.Processes()
	if err != nil {
		return nil, err
	}
	return f.frontProcesses(tree), nil
}

// statusPatience is how long a server may take to say how its workers are.
const statusPatience = 2 * time.Second

// largestStatus bounds what is read of a status: some tens of bytes for each worker are usual.
const largestStatus = 4 << 20

// statusJSON asks over a socket in the scratch folder for a JSON document by HTTP.
func statusJSON(ctx context.Context, socket, path string, into any) error {
	err := statusPage(ctx, "unix", socket, "http://localhost"+path, func(page io.Reader) error { return decodeStatus(page, into) })
	if errors.Is(err, errStatus) {
		return fmt.Errorf("ask for the workers: %w", err)
	}
	return err
}

// errStatus is an answer that is not a page.
var errStatus = errors.New("it answered")

// statusPage asks for a page by HTTP at an address, whatever the name in its URL.
func statusPage(ctx context.Context, network, address, page string, read func(io.Reader) error) error {
	ctx, cancel := context.WithTimeout(ctx, statusPatience)
	defer cancel()
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, address)
		},
	}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
	if err != nil {
		return fmt.Errorf("ask for the workers: %w", err)
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return fmt.Errorf("ask for the workers: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%w %s", errStatus, statusText(response.StatusCode))
	}
	return read(io.LimitReader(response.Body, largestStatus))
}

func decodeStatus(from io.Reader, into any) error {
	if err := json.NewDecoder(io.LimitReader(from, largestStatus)).Decode(into); err != nil {
		return fmt.Errorf("read the workers' status: %w", err)
	}
	return nil
}
