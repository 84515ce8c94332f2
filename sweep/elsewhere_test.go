package sweep

import (
	"context"
	"net/netip"
	"slices"
	"testing"

	"advise/model"
)

// A proxyInstance holds connections to another host.
type proxyInstance struct{ *closedInstance }

func (proxyInstance) Connected() (map[netip.AddrPort]int, error) {
	return map[netip.AddrPort]int{
		netip.MustParseAddrPort("10.0.0.5:80"):   3,
		netip.MustParseAddrPort("10.0.0.6:5432"): 1,
	}, nil
}

// Connections to other hosts under load are a doubt, and are in the record.
func TestConnectionsElsewhereAreACaveat(t *testing.T) {
	server := &closedServer{cpu: 0.002, wait: 0.008}
	s := newTest(t, server, nil)
	start := s.launcher
	s.launcher = launcherFunc(func(ctx context.Context, shape Shape, log string) (instance, error) {
		i, err := start.start(ctx, shape, log)
		if err != nil {
			return nil, err
		}
		return proxyInstance{i.(*closedInstance)}, nil
	})
	r := run(t, s)
	want := []Connection{{"10.0.0.5:80", 3}, {"10.0.0.6:5432", 1}}
	if got := r.Trials[0].Server.Elsewhere; !slices.Equal(got, want) {
		t.Errorf("the record has %v, want %v", got, want)
	}
	caveats := r.Advice().Caveats
	i := slices.IndexFunc(caveats, func(c model.Caveat) bool { return c.Code == CaveatConnectsElsewhere })
	const message = "Under load the server held 4 connections to other hosts, 3 of them to 10.0.0.5:80: what is measured may be another machine's work, and that machine gets the load."
	if i < 0 || caveats[i].Message != message || caveats[i].Figures["connections"] != 4 || caveats[i].Figures["addresses"] != 2 {
		t.Errorf("the caveats are %v", caveats)
	}
}
