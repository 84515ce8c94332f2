package targets

import (
	"slices"
	"strings"
)

// An nginxHost is what a server block does with all requests, as far as its directives tell.
type nginxHost int

const (
	nginxServes    nginxHost = iota
	nginxRedirects           // it leads to another address
	nginxToTLS               // it leads to https, which is not spoken while measuring
	nginxTurnsAway           // it answers with an error, or not at all
)

// hostOf looks for an answer that is given whatever the path is. A location for the renewal of
// certificates is no content.
func hostOf(block []nginxDirective) nginxHost {
	host, always := nginxTurnsAway, false
	for _, d := range block {
		switch to, status := nginxAnswer(d); {
		case d.name() == "if" && hostOf(d.block) != nginxServes:
			host = min(host, hostOf(d.block))
		case d.name() == "if":
			return nginxServes
		case d.name() == "ssl_reject_handshake" && len(d.words) == 2 && d.words[1] == "on":
			always = true
		case strings.HasPrefix(to, "https://"):
			return nginxToTLS
		case to != "":
			return min(host, nginxRedirects)
		case strings.HasPrefix(status, "4"): // what follows it is never reached
			return host
		case status != "":
			return nginxServes
		case d.name() == "location" && !strings.Contains(strings.Join(d.words, " "), "acme-challenge"):
			inner := hostOf(d.block)
			if inner == nginxServes {
				return nginxServes
			}
			host = min(host, inner)
			always = always || d.words[len(d.words)-1] == "/"
		}
	}
	if !always {
		return nginxServes
	}
	return host
}

// nginxAnswer is where a directive leads, or the status that it answers with.
func nginxAnswer(d nginxDirective) (to, status string) {
	words := d.words
	switch {
	case d.name() == "return" && len(words) == 2 && strings.Contains(words[1], "://"):
		return unquote(words[1]), ""
	case d.name() == "return" && len(words) == 3 && strings.HasPrefix(words[1], "30"):
		return unquote(words[2]), ""
	case d.name() == "return" && len(words) > 1:
		return "", words[1]
	case d.name() == "rewrite" && len(words) > 2 && slices.Contains([]string{"^", "^(.*)$", "^(.*)", "(.*)", "^/(.*)$", "^/(.*)", ".*", "^.*$", "^.*"}, unquote(words[1])) &&
		(strings.Contains(words[2], "://") || slices.Contains([]string{"permanent", "redirect"}, words[len(words)-1])):
		return unquote(words[2]), ""
	default:
		return "", ""
	}
}

// nginxNames are those of a host; one that has none has the empty one.
func nginxNames(block []nginxDirective) []string {
	var names []string
	for _, d := range block {
		if d.name() == "server_name" {
			names = append(names, d.words[1:]...)
		}
	}
	if names == nil {
		return []string{""}
	}
	return names
}

func isNginxServer(d nginxDirective) bool { return d.name() == "server" && d.hasBlock }

// servingHosts takes out of http's block the hosts that only stand before others. At one address, without
// TLS, the redirect of a port to https would take the name, or be the first one, and answer everything.
func servingHosts(block []nginxDirective) []nginxDirective {
	var served []string
	serves := false
	for _, d := range block {
		if isNginxServer(d) && hostOf(d.block) == nginxServes {
			serves = true
			served = append(served, nginxNames(d.block)...)
		}
	}
	if !serves {
		return block
	}
	return slices.DeleteFunc(slices.Clone(block), func(d nginxDirective) bool {
		if !isNginxServer(d) {
			return false
		}
		switch hostOf(d.block) {
		case nginxToTLS, nginxTurnsAway:
			return true
		case nginxRedirects:
			return !slices.ContainsFunc(nginxNames(d.block), func(name string) bool { return !slices.Contains(served, name) })
		default:
			return false
		}
	})
}

// insistsOnTLS says whether a directive leads to https what did not come by it.
func insistsOnTLS(d nginxDirective) bool {
	condition := strings.Join(d.words, " ")
	return d.name() == "if" && hostOf(d.block) == nginxToTLS &&
		(strings.Contains(condition, "$scheme") || strings.Contains(condition, "$https") || strings.Contains(condition, "$http_x_forwarded_proto") ||
			strings.Contains(condition, "$server_port") || strings.Contains(condition, "$ssl_protocol"))
}

// onlyToTLS says whether all hosts do no more than to lead to https.
func (c nginxConf) onlyToTLS() bool {
	toTLS := false
	for _, d := range c.directives {
		if d.name() != "http" {
			continue
		}
		for _, inner := range d.block {
			if !isNginxServer(inner) {
				continue
			}
			switch hostOf(withoutInsisting(inner.block)) {
			case nginxToTLS:
				toTLS = true
			case nginxServes, nginxRedirects:
				return false
			case nginxTurnsAway:
			}
		}
	}
	return toTLS
}

func withoutInsisting(block []nginxDirective) []nginxDirective {
	return slices.DeleteFunc(slices.Clone(block), insistsOnTLS)
}
