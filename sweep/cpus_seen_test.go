package sweep

import (
	"strings"
	"testing"

	"advise/targets"
)

// A server lies to itself when the number it goes by is not that of the cores it can use, rounded up:
// with half a core one worker is what a count can say.
func TestMiscount(t *testing.T) {
	for name, c := range map[string]struct {
		seen  CPUsSeen
		reads targets.CPUCount
		says  string // empty: no caveat
	}{
		"pinned, the machine counted": {seenBy(1, 2, 2), targets.CountHost, "the processors of the machine: 2. It has 1 here"},
		"pinned, and that counted":    {seenBy(1, 2, 2), targets.CountAffinity, ""},
		"a quota not counted":         {seenBy(4, 8, 8, 1.5), targets.CountAffinity, "not its quota: 4. It has 1.5 here"},
		"a quota counted":             {seenBy(4, 8, 8, 1.5), targets.CountQuota, ""},
		"a container's quota":         {seenBy(4, 64, 64, 0, 2), targets.CountHost, "64. It has 2 here"},
		"the smaller quota":           {seenBy(4, 64, 64, 0.5, 2), targets.CountAffinity, "4. It has 0.5 here"},
		"half a core of one":          {seenBy(1, 1, 1, 0.5), targets.CountHost, ""},
		"all of the machine":          {seenBy(0, 8, 8), targets.CountHost, ""},
	} {
		p := Plan{Environment: Environment{CPUsSeen: &c.seen}, Target: Target{Auto: &targets.Auto{Setting: "auto", Reads: c.reads}}}
		got := p.miscount()
		if (got != nil) != (c.says != "") || got != nil && (got.Code != CaveatCPUCountLies || !strings.Contains(got.Message, c.says)) {
			t.Errorf("%s: %+v, want %q", name, got, c.says)
		}
	}
	if c := (&Plan{Environment: Environment{CPUsSeen: &CPUsSeen{Affinity: 1, Host: 2}}}).miscount(); c != nil {
		t.Errorf("a command that says a number: %+v", c)
	}
}
