package sweep

import (
	"fmt"
	"os"
)

// portRange is where Linux says from where to where local ports go.
const portRange = "/proc/sys/net/ipv4/ip_local_port_range"

// usualPorts are those that the IANA sets apart, where the system's own are not known.
const usualPorts = 16384

// portsForEach connection at the largest number: those of the levels before it are not free for a minute.
const portsForEach = 3

// mostConnections is how many can be opened here, and what ends it.
func (s *Sweep) mostConnections() (most int, bound string) {
	text, _ := os.ReadFile(portRange) // without it the usual
	return mostWithin(allowedFiles(), localPorts(string(text)), s.plan.Environment.CPUsAllowed)
}

func mostWithin(files uint64, ports, cores int) (most int, bound string) {
	most, bound = mostConnections, BoundConnections
	if n := int(files) - filesBeside - cores; n < most {
		most, bound = max(n, 1), BoundOpenFiles
	}
	if n := ports / portsForEach; n < most {
		most, bound = max(n, 1), BoundPorts
	}
	return most, bound
}

// localPorts is how many there are in a range as the kernel writes it.
func localPorts(text string) int {
	var low, high int
	if n, _ := fmt.Sscan(text, &low, &high); n != 2 || low < 1 || high > 65535 || high < low {
		return usualPorts
	}
	return high - low + 1
}
