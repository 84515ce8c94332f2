package hold_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"advise/targets/hold"
)

// Only what goes out to another host is one: no listener, nothing on this machine, nothing that came in.
func TestConnections(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "net"), 0o700); err != nil {
		t.Fatal(err)
	}
	const rest = " 00000000:00000000 00:00000000 00000000     0        0 %d 1 0000000000000000 20 4 30 10 -1\n"
	lines := "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
	for i, l := range []string{
		"0100007F:1F90 00000000:0000 0A", // 1: listens on 8080
		"0100007F:1F90 0100007F:9C40 01", // 2: came in from here
		"0100007F:9C40 0100007F:1538 01", // 3: to loopback
		"0200000A:9C41 0500000A:1538 01", // 4: to 10.0.0.5:5432
		"0200000A:9C42 0500000A:1538 06", // 5: the same, ended
		"0200000A:9C43 0200000A:1538 01", // 6: to an address of its own
		"0200000A:9C44 0900000A:0050 01", // 7: to an address of this machine
		"0200000A:1F90 0700000A:9C45 01", // 8: came in from elsewhere
	} {
		lines += fmt.Sprintf("%4d: %s"+rest, i, l, i+1)
	}
	six := "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n" +
		fmt.Sprintf("   0: %s:9C46 %s:01BB 01"+rest, "0000000000000000FFFF00000200000A", "0000000000000000FFFF00000600000A", 9) +
		fmt.Sprintf("   1: %s:9C47 %s:01BB 01"+rest, "00000000000000000000000001000000", "00000000000000000000000001000000", 10)
	for name, text := range map[string]string{"tcp": lines, "tcp6": six} {
		if err := os.WriteFile(filepath.Join(dir, "net", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := hold.Connections(dir, []netip.Addr{netip.MustParseAddr("10.0.0.9")})
	want := map[string]netip.AddrPort{
		"socket:[4]": netip.MustParseAddrPort("10.0.0.5:5432"),
		"socket:[9]": netip.MustParseAddrPort("10.0.0.6:443"),
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); err != nil || diff != "" {
		t.Errorf("%v (-want +got)\n%s", err, diff)
	}
}

// The other host is a network namespace of its own, which only root can make.
func TestConnectedElsewhere(t *testing.T) {
	subnet := fmt.Sprintf("198.18.%d.", os.Getpid()%250) // of those for tests of networks
	here, there := subnet+"1", subnet+"2"
	space := fmt.Sprintf("hold-test-%d", os.Getpid())
	link := fmt.Sprintf("ht%d", os.Getpid())
	ip := func(args ...string) {
		if out, err := exec.CommandContext(t.Context(), "ip", args...).CombinedOutput(); err != nil {
			t.Skipf("no network namespace can be made: ip %s: %v: %s", strings.Join(args, " "), err, out)
		}
	}
	ip("netns", "add", space)
	t.Cleanup(func() { _ = exec.CommandContext(context.Background(), "ip", "netns", "delete", space).Run() })
	ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", space)
	t.Cleanup(func() { _ = exec.CommandContext(context.Background(), "ip", "link", "delete", link).Run() })
	ip("addr", "add", here+"/30", "dev", link)
	ip("link", "set", link, "up")
	ip("-n", space, "addr", "add", there+"/30", "dev", "eth0")
	ip("-n", space, "link", "set", "eth0", "up")
	other := exec.CommandContext(context.Background(), "ip", "netns", "exec", space, self(), "server", "listen", there+":8080")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Process.Kill(); _ = other.Wait() })
	eventually(t, "the other host answers", func() bool {
		c, err := (&net.Dialer{Timeout: time.Second}).DialContext(t.Context(), "tcp", there+":8080")
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})

	for address, want := range map[string]map[netip.AddrPort]int{
		there + ":8080":   {netip.MustParseAddrPort(there + ":8080"): 1},
		listener(t, here): {},
	} {
		t.Run(address, func(t *testing.T) {
			s, log := server(t, hold.Limits{Method: hold.None}, "connect", address)
			tree := begin(t, s)
			eventually(t, "it is connected", func() bool { return strings.Contains(log(), "ready") })
			got, err := tree.Connected()
			if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); err != nil || diff != "" {
				t.Errorf("%v (-want +got)\n%s", err, diff)
			}
		})
	}
}

// listener is an address of this machine that is listened on.
func listener(t *testing.T, host string) string {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}
