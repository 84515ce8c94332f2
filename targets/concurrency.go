package targets

import (
	"cmp"
	"strings"
)

// Concurrency is how many requests a server has in work at a time.
type Concurrency struct {
	// Slots are how many it serves at a time where each holds a worker or a thread of its own. It is 0
	// where there is no such number, as with asynchronous workers, and where it is not known.
	Slots int
	// Connections are the most that it takes at a time; 0: no limit is known. Setting is what sets it.
	Connections int
	Setting     string
	// OneCore is true where a worker computes on one core at the most.
	OneCore bool
}

// A concurrent adapter knows how many requests its server has in work at a shape that says everything.
type concurrent interface {
	concurrency(c Command, s Shape) Concurrency
}

// Concurrency is how many requests the server has in work at a shape; what is not known is 0.
func (t *Target) Concurrency(s Shape) Concurrency {
	known, ok := t.Adapter.(concurrent)
	if !ok {
		return Concurrency{}
	}
	_, c := t.Command.withoutEnv()
	own := t.Adapter.Shape(c)
	s.Threads, s.Class = cmp.Or(s.Threads, own.Threads), cmp.Or(s.Class, own.Class)
	return known.concurrency(c, s)
}

// inThreads is the concurrency of servers whose threads serve a request each.
func inThreads(s Shape) Concurrency { return Concurrency{Slots: s.Workers * max(s.Threads, 1)} }

// gunicornConnections is the default of worker_connections, for the classes that know it.
const gunicornConnections = "1000"

func (g gunicorn) concurrency(c Command, s Shape) Concurrency {
	limit := s.Workers * positive(cmp.Or(g.setting(c, "--worker-connections", "worker_connections"), gunicornConnections))
	switch class := strings.ToLower(s.Class); {
	case class == "sync", strings.HasSuffix(class, ".syncworker"):
		return inThreads(s)
	case class == "gthread", strings.HasSuffix(class, ".threadworker"):
		return Concurrency{Slots: s.Workers * max(s.Threads, 1), Connections: limit, Setting: "worker_connections"}
	case strings.Contains(class, "gevent"), strings.Contains(class, "eventlet"):
		return Concurrency{Connections: limit, Setting: "worker_connections", OneCore: true}
	}
	return Concurrency{OneCore: gunicornLoops.MatchString(s.Class)}
}

func (uvicorn) concurrency(c Command, s Shape) Concurrency {
	variable, _ := getenv(c.Env, "UVICORN_LIMIT_CONCURRENCY")
	limit := positive(cmp.Or(uvicornProgram.setting(c, "--limit-concurrency"), variable))
	return Concurrency{Connections: s.Workers * limit, Setting: "--limit-concurrency", OneCore: true}
}

func (hypercorn) concurrency(Command, Shape) Concurrency { return Concurrency{OneCore: true} }

// granianBacklog is the default, which the workers share where no backpressure is given.
const granianBacklog = "1024"

func (granian) concurrency(c Command, s Shape) Concurrency {
	given := func(option, variable string) int {
		value, _ := getenv(c.Env, variable)
		return positive(cmp.Or(granianProgram.setting(c, option), value))
	}
	k := Concurrency{
		Connections: cmp.Or(s.Workers*given("--backpressure", "GRANIAN_BACKPRESSURE"), given("--backlog", "GRANIAN_BACKLOG"), positive(granianBacklog)),
		Setting:     "--backpressure",
	}
	if granianBlocks(c) {
		k.Slots = s.Workers * s.Threads
	}
	return k
}

// waitressOwn are those of the connections it counts that are its own: the socket it listens on, and a pipe.
const (
	waitressConnections = "100"
	waitressOwn         = 4
)

func (waitress) concurrency(c Command, s Shape) Concurrency {
	limit := positive(cmp.Or(waitressProgram.setting(c, "--connection-limit"), waitressConnections))
	return Concurrency{Slots: s.Workers, Connections: max(limit-waitressOwn, 1), Setting: "--connection-limit"}
}

// uwsgiLoops are the options that let a process serve many requests at a time.
var uwsgiLoops = []string{"--gevent", "--asyncio", "--async", "--tornado", "--ugreen", "--greenlet", "--coroae"}

func (uwsgi) concurrency(c Command, s Shape) Concurrency {
	f, err := readUwsgi(c)
	for _, option := range uwsgiLoops {
		if err != nil || uwsgiProgram.says(c, option) || f.last(option) != "" {
			return Concurrency{}
		}
	}
	return inThreads(s)
}

func (phpfpm) concurrency(_ Command, s Shape) Concurrency { return inThreads(s) }

func (apache) concurrency(_ Command, s Shape) Concurrency { return inThreads(s) }

func (puma) concurrency(_ Command, s Shape) Concurrency { return inThreads(s) }

func (unicorn) concurrency(_ Command, s Shape) Concurrency { return inThreads(s) }

func (demoServer) concurrency(_ Command, s Shape) Concurrency { return inThreads(s) }

func (node) concurrency(Command, Shape) Concurrency { return Concurrency{OneCore: true} }

func (lighttpd) concurrency(Command, Shape) Concurrency { return Concurrency{OneCore: true} }

// nginxConnections is the default of worker_connections.
const nginxConnections = "512"

func (nginx) concurrency(c Command, s Shape) Concurrency {
	limit := nginxConnections
	if conf, err := readNginx(c); err == nil {
		for _, d := range conf.directives {
			if value, ok := (nginxConf{directives: d.block}).value("worker_connections"); ok && d.name() == "events" {
				limit = value
			}
		}
	}
	return Concurrency{Connections: s.Workers * positive(limit), Setting: "worker_connections", OneCore: true}
}
