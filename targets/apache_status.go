package targets

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// mod_status is asked over the one address, at a name that no host of the user's has: a second address to
// listen on would make the workers take turns at accepting, which one alone does not.
const (
	apacheStatusHost = "advise-status.invalid"
	apacheStatusPath = "/advise-status"
)

var apacheStatusModule = regexp.MustCompile(`(?i)^loadmodule\s+status_module\s`)

// statusModule is the line that loads mod_status where the user does not; empty where it is loaded, or not
// to be found beside the MPM.
//
// Where the user has it loaded, ExtendedStatus stays as it is, which is on unless it is said to be off: what
// that costs for each request, production pays too, and it tells the requests of each worker. Where it is
// not, it is off: the workers are known then, and nothing is added to a request.
func (c apacheConf) statusModule() string {
	dir := ""
	for _, line := range c.lines {
		if apacheStatusModule.MatchString(line) {
			return ""
		}
		if fields := strings.Fields(line); apacheMPM.MatchString(line) && len(fields) == 3 {
			dir = filepath.Dir(inDir(c.root, strings.Trim(fields[2], `"`)))
		}
	}
	module := filepath.Join(dir, "mod_status.so")
	if dir == "" || !exists(module) {
		return ""
	}
	return fmt.Sprintf("LoadModule status_module %q\nExtendedStatus Off\n", module)
}

// statusHost is the host, or where there are no others the page, that is asked.
func (c apacheConf) statusHost(p Place, hosts []apacheVirtual) string {
	page := fmt.Sprintf(`<Location %q>
SetHandler server-status
<IfModule authz_core_module>
Require all granted
</IfModule>
<IfModule rewrite_module>
RewriteEngine off
</IfModule>
<IfModule proxy_module>
ProxyPass !
</IfModule>
</Location>
`, apacheStatusPath)
	for _, h := range hosts {
		if h.plain { // a host is found by its name among those of the same addresses
			return apacheHere(c.lines[h.begin], p) + "\nServerName " + apacheStatusHost + "\n" + page + "</VirtualHost>\n"
		}
	}
	return page
}

// status counts what is busy or idle, and reads the page for people for the requests of each worker. It is
// ErrNoStatus where something else answers, as a server without the module or with its own rules does.
func (apache) status(ctx context.Context, p Place) (Status, error) {
	var status Status
	ask := func(query string, read func(io.Reader) error) error {
		return statusPage(ctx, "tcp", p.Address(), "http://"+apacheStatusHost+apacheStatusPath+query, read)
	}
	threads := 1 // of a worker: the derived file says how many
	if derived, err := readSmall(p.file(apacheFile)); err == nil {
		if m := apacheThreads.FindSubmatch(derived); m != nil {
			threads = max(1, positive(string(m[1])))
		}
	}
	if err := ask("?auto", func(page io.Reader) error { return readApacheAuto(page, threads, &status) }); err != nil {
		if errors.Is(err, errStatus) {
			err = ErrNoStatus
		}
		return Status{}, err
	}
	err := ask("", func(page io.Reader) error { return readApachePage(page, &status) })
	return status, err
}

var apacheThreads = regexp.MustCompile(`(?m)^ +ThreadsPerChild +(\d+)$`)

// readApacheAuto reads lines of name: value. A worker of which some threads are not ready is not there yet.
func readApacheAuto(page io.Reader, threads int, status *Status) error {
	values := map[string]string{}
	for lines := bufio.NewScanner(page); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), ": "); ok {
			values[name] = value
		}
	}
	if values["Scoreboard"] == "" {
		return ErrNoStatus
	}
	status.Workers = (positive(values["BusyWorkers"]) + positive(values["IdleWorkers"])) / threads
	return nil
}

// apacheAccesses is a row of the table of extended status: its process, and the requests of its connection,
// its process and its slot.
var apacheAccesses = regexp.MustCompile(`<tr><td><b>\d+-\d+</b></td><td>(\d+)</td><td>\d+/(\d+)/\d+</td>`)

func readApachePage(page io.Reader, status *Status) error {
	text, err := io.ReadAll(page)
	if err != nil {
		return fmt.Errorf("read the workers' status: %w", err)
	}
	if !strings.Contains(string(text), "<th>Acc</th>") {
		return nil
	}
	status.Requests = map[int]uint64{}
	for _, m := range apacheAccesses.FindAllStringSubmatch(string(text), -1) {
		pid, _ := strconv.Atoi(m[1])
		n, _ := strconv.ParseUint(m[2], 10, 64)
		status.Requests[pid] += n
	}
	return nil
}
