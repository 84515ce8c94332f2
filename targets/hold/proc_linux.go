package hold

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// stat is what is used of /proc/PID/stat, see proc(5).
type stat struct {
	Process
	ticks         uint64 // user and system time of the process
	childrenTicks uint64 // the same of the children it has waited for, and theirs
	rssPages      int64
	session       int
}

// ticksPerSecond is USER_HZ, which is 100 on every architecture Go runs on.
const ticksPerSecond = 100

func readStat(pid string) (stat, error) {
	text, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return stat{}, err
	}
	return parseStat(text)
}

// parseStat takes the name to reach to the last bracket: a process may call itself "a) R 1".
func parseStat(text []byte) (stat, error) {
	open, shut := bytes.IndexByte(text, '('), bytes.LastIndexByte(text, ')')
	if open < 1 || shut < open {
		return stat{}, fmt.Errorf("read a process's state: no name in %q", text)
	}
	fields := strings.Fields(string(text[shut+1:]))
	if len(fields) < 22 {
		return stat{}, fmt.Errorf("read a process's state: %d fields in %q", len(fields), text)
	}
	var fault error
	number := func(field int) int64 { // numbered as in proc(5)
		n, err := strconv.ParseInt(fields[field-3], 10, 64)
		fault = cmp.Or(fault, err)
		return n
	}
	pid, err := strconv.Atoi(string(bytes.TrimSpace(text[:open])))
	fault = err
	s := stat{
		Process: Process{
			PID:        pid,
			Command:    string(text[open+1 : shut]),
			State:      fields[0],
			Parent:     int(number(4)),
			StartTicks: uint64(number(22)),
			Threads:    int(number(20)),
		},
		ticks:         uint64(number(14) + number(15)),
		childrenTicks: uint64(number(16) + number(17)),
		rssPages:      number(24),
		session:       int(number(6)),
	}
	if fault != nil {
		return stat{}, fmt.Errorf("read a process's state: %w", fault)
	}
	s.CPU = duration(s.ticks)
	return s, nil
}

func duration(ticks uint64) time.Duration {
	return time.Duration(ticks) * time.Second / ticksPerSecond
}

func stats() ([]stat, error) {
	proc, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer func() { _ = proc.Close() }()
	names, err := proc.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	var all []stat
	for _, name := range names {
		if name[0] < '0' || name[0] > '9' {
			continue
		}
		// One that has gone meanwhile is none.
		if s, err := readStat(name); err == nil {
			all = append(all, s)
		}
	}
	return all, nil
}

func processes() ([]Process, error) {
	all, err := stats()
	if err != nil {
		return nil, err
	}
	found := make([]Process, len(all))
	for i, s := range all {
		found[i] = s.Process
	}
	return found, nil
}

// members are the descendants of the guard, less the first process. As these two are their subreapers, no
// fork and no setsid makes a process anything else.
func members(all []Process, of ids) []Process {
	children := make(map[int][]Process)
	for _, p := range all {
		children[p.Parent] = append(children[p.Parent], p)
	}
	var tree []Process
	for next := []int{of.guard}; len(next) > 0; next = next[1:] {
		for _, p := range children[next[0]] {
			if p.PID != of.first {
				tree = append(tree, p)
			}
			next = append(next, p.PID)
		}
		delete(children, next[0])
	}
	slices.SortFunc(tree, func(a, b Process) int { return cmp.Compare(a.PID, b.PID) })
	return tree
}

// signal reaches this process and never another that has got its number since.
func (p Process) signal(sig syscall.Signal) {
	fd, err := unix.PidfdOpen(p.PID, 0)
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) {
		// No pidfd before Linux 5.3, nor under some container's seccomp filter.
		if p.lives() {
			_ = syscall.Kill(p.PID, sig)
		}
		return
	}
	if err != nil {
		return
	}
	defer func() { _ = unix.Close(fd) }()
	if p.lives() {
		_ = unix.PidfdSendSignal(fd, sig, nil, 0)
	}
}

// title is what ps shows as a process's arguments. It is empty for one that has gone.
func (p Process) title() string {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(p.PID) + "/cmdline")
	if err != nil {
		return ""
	}
	return strings.TrimRight(strings.ReplaceAll(string(text), "\x00", " "), " ")
}

// numbers are the processes by what each calls itself.
func numbers(tree []Process) map[int]int {
	found := make(map[int]int, len(tree))
	for _, p := range tree {
		text, err := os.ReadFile("/proc/" + strconv.Itoa(p.PID) + "/status")
		if err != nil {
			continue
		}
		_, line, _ := strings.Cut(string(text), "\nNSpid:")
		line, _, _ = strings.Cut(line, "\n")
		own := p.PID
		if names := strings.Fields(line); len(names) > 0 { // none before Linux 4.1
			own, _ = strconv.Atoi(names[len(names)-1])
		}
		found[own] = p.PID
	}
	return found
}

func (p Process) lives() bool {
	now, err := readStat(strconv.Itoa(p.PID))
	return err == nil && now.StartTicks == p.StartTicks && !now.zombie()
}

// cpuTime adds up the living of the tree and what they, the guard and the first process have waited for.
func cpuTime(of ids) (time.Duration, error) {
	all, err := stats()
	if err != nil {
		return 0, err
	}
	procs := make([]Process, len(all))
	byPID := make(map[int]stat, len(all))
	for i, s := range all {
		procs[i] = s.Process
		byPID[s.PID] = s
	}
	sum := byPID[of.guard].childrenTicks + byPID[of.first].childrenTicks
	for _, p := range members(procs, of) {
		sum += byPID[p.PID].ticks + byPID[p.PID].childrenTicks
	}
	return duration(sum), nil
}

func memoryOf(tree []Process) (Memory, error) {
	m := Memory{Exact: true, ByProcess: make(map[int]int64, len(tree))}
	for _, p := range tree {
		proc, err := procfs.NewProc(p.PID)
		if err != nil {
			continue
		}
		rollup, err := proc.ProcSMapsRollup()
		switch {
		case err == nil:
			m.PSS += int64(rollup.Pss)
			m.SwapPSS += int64(rollup.SwapPss)
			m.ByProcess[p.PID] = int64(rollup.Pss + rollup.SwapPss)
		case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH):
			// It has ended meanwhile.
		case errors.Is(err, fs.ErrPermission):
			s, err := readStat(strconv.Itoa(p.PID))
			if err != nil {
				continue
			}
			resident := s.rssPages * int64(os.Getpagesize())
			m.PSS += resident
			m.ByProcess[p.PID] = resident
			m.Exact = false
		default:
			return Memory{}, fmt.Errorf("read the memory of process %d: %w", p.PID, err)
		}
	}
	return m, nil
}

// The states are those of the kernel's net/tcp_states.h.
const tcpEstablished, tcpListen = 1, 10

func listening(tree []Process) ([]netip.AddrPort, error) {
	open, err := sockets(tree, listeners)
	if err != nil {
		return nil, err
	}
	found := make(map[netip.AddrPort]bool)
	for _, address := range open {
		found[address] = true
	}
	return slices.SortedFunc(maps.Keys(found), netip.AddrPort.Compare), nil
}

func connected(tree []Process) (map[netip.AddrPort]int, error) {
	own, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("list the addresses of this machine: %w", err)
	}
	var here []netip.Addr
	for _, a := range own {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil {
			here = append(here, prefix.Addr().Unmap())
		}
	}
	open, err := sockets(tree, func(dir string) (map[string]netip.AddrPort, error) { return connections(dir, here) })
	if err != nil {
		return nil, err
	}
	found := make(map[netip.AddrPort]int)
	for _, address := range open {
		found[address]++
	}
	return found, nil
}

// sockets are the addresses that read knows of by the names of the tree's open sockets: one that several
// processes share is there once.
func sockets(tree []Process, read func(dir string) (map[string]netip.AddrPort, error)) (map[string]netip.AddrPort, error) {
	found := make(map[string]netip.AddrPort)
	// The tree may have other network namespaces than advise, and more than one.
	known := make(map[string]map[string]netip.AddrPort)
	for _, p := range tree {
		dir := "/proc/" + strconv.Itoa(p.PID)
		space, err := os.Readlink(dir + "/ns/net")
		if err != nil {
			continue
		}
		if known[space] == nil {
			if known[space], err = read(dir); err != nil {
				continue
			}
		}
		open, err := os.ReadDir(dir + "/fd")
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ESRCH) {
			return nil, fmt.Errorf("list the open files of process %d: %w", p.PID, err)
		}
		for _, fd := range open {
			// One closed meanwhile is none.
			link, err := os.Readlink(dir + "/fd/" + fd.Name())
			if err != nil {
				continue
			}
			if address, ok := known[space][link]; ok {
				found[link] = address
			}
		}
	}
	return found, nil
}

// listeners are the listening addresses of a process's network namespace by the name that an open
// socket has under /proc/PID/fd.
func listeners(dir string) (map[string]netip.AddrPort, error) {
	table, err := tcpTable(dir)
	if err != nil {
		return nil, err
	}
	found := make(map[string]netip.AddrPort)
	for _, s := range table {
		if s.state == tcpListen {
			found[s.name] = s.local
		}
	}
	return found, nil
}

// connections are the addresses on other hosts that a process's network namespace is connected to, by the
// names of the sockets. Here are addresses of this machine. What a listening port has taken in was made by
// somebody else.
func connections(dir string, here []netip.Addr) (map[string]netip.AddrPort, error) {
	table, err := tcpTable(dir)
	if err != nil {
		return nil, err
	}
	local, listens := make(map[netip.Addr]bool), make(map[uint16]bool)
	for _, a := range here {
		local[a] = true
	}
	for _, s := range table {
		local[s.local.Addr()] = true
		listens[s.local.Port()] = listens[s.local.Port()] || s.state == tcpListen
	}
	found := make(map[string]netip.AddrPort)
	for _, s := range table {
		to := s.remote.Addr()
		if s.state == tcpEstablished && !to.IsLoopback() && !local[to] && !listens[s.local.Port()] {
			found[s.name] = s.remote
		}
	}
	return found, nil
}

// A tcpSocket is a line of the kernel's tables. Its name is that of an open socket under /proc/PID/fd.
type tcpSocket struct {
	name          string
	local, remote netip.AddrPort
	state         uint64
}

// tcpTable are the sockets of a process's network namespace.
func tcpTable(dir string) ([]tcpSocket, error) {
	proc, err := procfs.NewFS(dir)
	if err != nil {
		return nil, err
	}
	four, err := proc.NetTCP() //nolint:staticcheck // netlink knows only the namespace of the caller, a server may have its own
	if err != nil {
		return nil, err
	}
	six, err := proc.NetTCP6()                         //nolint:staticcheck // as above
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // the kernel may be without IPv6
		return nil, err
	}
	var table []tcpSocket
	for _, line := range append(four, six...) {
		local, ok := netip.AddrFromSlice(line.LocalAddr)
		remote, also := netip.AddrFromSlice(line.RemAddr)
		if ok && also {
			table = append(table, tcpSocket{
				name:  fmt.Sprintf("socket:[%d]", line.Inode),
				local: netip.AddrPortFrom(local.Unmap(), uint16(line.LocalPort)), remote: netip.AddrPortFrom(remote.Unmap(), uint16(line.RemPort)),
				state: line.St,
			})
		}
	}
	return table, nil
}
