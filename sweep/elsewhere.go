package sweep

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"advise/model"
)

// A Connection is what a server holds to an address on another host.
type Connection struct {
	Address     string `json:"address"` // host:port
	Connections int    `json:"connections"`
}

// mostAddresses of other hosts are kept of a trial.
const mostAddresses = 8

// connectedInstance is one whose connections can be seen.
type connectedInstance interface {
	Connected() (map[netip.AddrPort]int, error)
}

// connectedElsewhere are the connections of a server to other hosts, the most to one address first.
func connectedElsewhere(server instance) []Connection {
	c, ok := server.(connectedInstance)
	if !ok {
		return nil
	}
	found, err := c.Connected()
	if err != nil { // nothing that can be seen here
		return nil
	}
	var list []Connection
	for address, n := range found {
		list = append(list, Connection{Address: address.String(), Connections: n})
	}
	slices.SortFunc(list, func(a, b Connection) int {
		return cmp.Or(cmp.Compare(b.Connections, a.Connections), cmp.Compare(a.Address, b.Address))
	})
	return list[:min(len(list), mostAddresses)]
}

// CaveatConnectsElsewhere marks a server that holds connections to other hosts under load. Figures:
// connections and addresses, of the restart with the most.
const CaveatConnectsElsewhere = "connects_elsewhere"

// connectsElsewhere is the caveat on work that may be another machine's.
func (r *Record) connectsElsewhere() *model.Caveat {
	var worst []Connection
	most := 0
	for _, t := range r.Used() {
		n := 0
		for _, c := range t.Server.Elsewhere {
			n += c.Connections
		}
		if n > most {
			most, worst = n, t.Server.Elsewhere
		}
	}
	if most == 0 {
		return nil
	}
	held := fmt.Sprintf("%d connections to another host, %s", most, worst[0].Address)
	switch {
	case most == 1:
		held = "1 connection to another host, " + worst[0].Address
	case len(worst) > 1:
		held = fmt.Sprintf("%d connections to other hosts, %d of them to %s", most, worst[0].Connections, worst[0].Address)
	}
	return &model.Caveat{
		Code: CaveatConnectsElsewhere,
		Message: fmt.Sprintf("Under load the server held %s: what is measured may be another machine's work, and that machine gets the load.",
			held),
		Figures: map[string]float64{"connections": float64(most), "addresses": float64(len(worst))},
	}
}
