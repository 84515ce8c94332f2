package targets

import (
	"regexp"
	"slices"
	"strings"
)

// An apacheVirtual is a block for a host.
type apacheVirtual struct {
	begin, end int // its lines, the last one included
	names      []string
	tls        bool
	toTLS      bool // it does no more than lead to https
	plain      bool // it is reached at the one address, without TLS
	left       bool // it is left out
}

// What leads every request to https: Redirect, which goes by the beginning of the path, and rules.
var apacheToTLS = regexp.MustCompile(
	`(?i)^(redirect(permanent|temp)?\s+((permanent|temp|seeother|30\d)\s+)?"?/"?\s+"?https://` +
		`|redirectmatch\s+((permanent|temp|seeother|30\d)\s+)?"?\^?/?(\(\.\*\)|\.\*)\$?"?\s+"?https://` +
		`|rewriterule\s+"?(\^|\.|\^?/?(\(\.\*\)|\.\*)\$?)"?\s+"?https://)`)

// hosts are the blocks for hosts, with what becomes of each. At one address, without TLS, that which only
// leads to https would answer instead of the one that it leads to.
func (c apacheConf) hosts() []apacheVirtual {
	var hosts []apacheVirtual
	inside := false
	for i, line := range c.lines {
		if apacheHost.MatchString(line) {
			hosts = append(hosts, apacheVirtual{begin: i, end: i})
			inside = true
			continue
		}
		if !inside {
			continue
		}
		h := &hosts[len(hosts)-1]
		h.end = i
		fields := strings.Fields(strings.ToLower(line))
		switch {
		case fields[0] == "</virtualhost>":
			inside = false
		case fields[0] == "servername" || fields[0] == "serveralias":
			for _, name := range fields[1:] {
				h.names = append(h.names, apachePort.ReplaceAllString(name, ""))
			}
		case len(fields) == 2 && fields[0] == "sslengine" && fields[1] == "on":
			h.tls = true
		case apacheToTLS.MatchString(line):
			h.toTLS = true
		}
	}
	serves := slices.ContainsFunc(hosts, func(h apacheVirtual) bool { return !h.tls && !h.toTLS })
	behind := slices.ContainsFunc(hosts, func(h apacheVirtual) bool { return h.tls && !h.toTLS })
	// Those settle first: what they are is asked for below.
	for i, h := range hosts {
		hosts[i].left = h.toTLS && (h.tls || serves || behind || c.serves(hosts))
	}
	for i, h := range hosts {
		sharing := func(other apacheVirtual) bool { return !other.tls && shareName(h, other) }
		switch {
		case h.left:
		case !h.tls:
			hosts[i].plain = true
		case !slices.ContainsFunc(hosts, func(o apacheVirtual) bool { return !o.toTLS && sharing(o) }):
			hosts[i].plain = !serves || slices.ContainsFunc(hosts, func(o apacheVirtual) bool { return o.toTLS && sharing(o) })
		}
		hosts[i].left = !hosts[i].plain
	}
	return hosts
}

func shareName(a, b apacheVirtual) bool {
	return slices.ContainsFunc(a.names, func(name string) bool { return slices.Contains(b.names, name) })
}

// serves says whether something outside hosts names pages.
func (c apacheConf) serves(hosts []apacheVirtual) bool {
	for i, line := range c.lines {
		if hostAt(hosts, i).end == 0 && slices.Contains([]string{"documentroot", "proxypass", "proxypassmatch", "wsgiscriptalias", "sethandler"}, apacheName(line)) {
			return true
		}
	}
	return false
}

// hostAt is the host in whose block a line is; the zero value is none.
func hostAt(hosts []apacheVirtual, line int) apacheVirtual {
	for _, h := range hosts {
		if h.begin <= line && line <= h.end {
			return h
		}
	}
	return apacheVirtual{}
}

// onlyToTLS says whether all that answers does no more than to lead to https.
func (c apacheConf) onlyToTLS() bool {
	hosts := c.hosts()
	return slices.ContainsFunc(hosts, func(h apacheVirtual) bool { return h.toTLS }) &&
		!slices.ContainsFunc(hosts, func(h apacheVirtual) bool { return !h.toTLS }) && !c.serves(hosts)
}
