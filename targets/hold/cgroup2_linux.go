package hold

import "errors"

type cgroup2 struct {
	Server string
}

func makeCgroup2(name string, l Limits) (*cgroup2, []string, error) {
	return nil, nil, errors.New("not written yet")
}
func probeCgroup2(name string, l Limits) ([]string, error) {
	return nil, errors.New("not written yet")
}
func (g *cgroup2) usage() (Usage, error) { return Usage{}, nil }
func (g *cgroup2) kill() error           { return nil }
func (g *cgroup2) remove() error         { return nil }
