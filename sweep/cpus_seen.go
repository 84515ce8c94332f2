package sweep

import (
	"fmt"
	"math"

	"advise/model"
	"advise/targets"
)

// CPUsSeen is how many processors a server finds, by where it looks.
type CPUsSeen struct {
	// Affinity counts those it may run on, Host those of the machine that are online.
	Affinity int `json:"affinity"`
	Host     int `json:"host"`
	// Quota is the CPU time per time that its cgroups give it, in cores; nil without one.
	Quota *float64 `json:"quota"`
}

// seenBy is what a server on some of the allowed processors finds, when its quota is the smaller of its
// own and that of the cgroups above. 0 is no quota.
func seenBy(server, allowed, host int, quotas ...float64) CPUsSeen {
	seen := CPUsSeen{Affinity: server, Host: max(host, allowed)}
	if server == 0 {
		seen.Affinity = allowed
	}
	for _, q := range quotas {
		if q > 0 && (seen.Quota == nil || q < *seen.Quota) {
			seen.Quota = &q
		}
	}
	return seen
}

// cores are what the server can really use.
func (c CPUsSeen) cores() float64 {
	if c.Quota != nil {
		return math.Min(float64(c.Affinity), *c.Quota)
	}
	return float64(c.Affinity)
}

// by is the number that one of the ways to count gives.
func (c CPUsSeen) by(count targets.CPUCount) int {
	switch count {
	case targets.CountHost:
		return c.Host
	case targets.CountAffinity:
		return c.Affinity
	case targets.CountQuota:
	}
	return int(math.Ceil(c.cores()))
}

// CaveatCPUCountLies marks a server whose command takes its count from a number of processors that it
// does not have. Figures: counted, cores.
const CaveatCPUCountLies = "cpu_count_lies"

// miscount is the caveat on a command whose own automatic count is of the wrong number.
func (p *Plan) miscount() *model.Caveat {
	auto, seen := p.Target.Auto, p.Environment.CPUsSeen
	if auto == nil || seen == nil || seen.Affinity == 0 {
		return nil
	}
	counted, cores := seen.by(auto.Reads), seen.cores()
	if counted == int(math.Ceil(cores)) {
		return nil
	}
	what := "the processors of the machine"
	if auto.Reads == targets.CountAffinity {
		what = "the processors it may run on, and not its quota"
	}
	return &model.Caveat{
		Code:    CaveatCPUCountLies,
		Message: fmt.Sprintf("By itself the server would go by %s, which counts %s: %d. It has %g here: write the number.", auto.Setting, what, counted, cores),
		Figures: map[string]float64{"counted": float64(counted), "cores": cores},
	}
}
