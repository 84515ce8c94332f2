package targets

import (
	"fmt"
	"slices"
	"strconv"
)

// A program is the command line of one kind of server.
type program struct {
	names   []string // it goes by
	modules []string // of Python, that run it
	options grammar
	// owned are the options that a measurement has to own: two servers can't share an address, a
	// file with a process number or a control socket, and a daemon would not be seen to end.
	owned []string
}

// split divides a command into what leads to the server and the server's own arguments.
func (p program) split(argv []string) (head, args []string, ok bool) {
	at, ok := programArgs(argv, p.names, p.modules)
	if !ok {
		return nil, nil, false
	}
	return slices.Clip(argv[:at]), argv[at:], true
}

func (p program) recognises(argv []string) bool {
	_, _, ok := p.split(argv)
	return ok
}

// setting is the value of an option in the command; of several the last one holds.
func (p program) setting(c Command, option string) string {
	_, args, _ := p.split(c.Argv)
	return p.options.last(args, option)
}

// says tells whether an option is in the command.
func (p program) says(c Command, option string) bool {
	_, args, _ := p.split(c.Argv)
	return p.options.says(args, option)
}

// saysAny tells whether one of the options that are to change is in the command, where it wins over a
// file.
func (p program) saysAny(c Command, changes []change) bool {
	return slices.ContainsFunc(changes, func(ch change) bool { return p.says(c, ch.option) })
}

// launch is the command with given arguments in the place of the owned options and of those that
// are to be dropped.
func (p program) launch(c Command, given []string, dropped ...string) ([]string, error) {
	head, args, ok := p.split(c.Argv)
	if !ok {
		return nil, fmt.Errorf("launch %s: it is not %s", show(c.Argv), p.names[0])
	}
	rest := p.options.without(args, func(option string) bool {
		return slices.Contains(p.owned, option) || slices.Contains(dropped, option)
	})
	return slices.Concat(head, given, rest), nil
}

// A change is an option with the value it has to get.
type change struct {
	option  string
	spelled string // how to write it where the command does not have it; empty: it has to go
	value   string
}

// line is the user's command to paste, with changes in it.
func (p program) line(c Command, s Shape, changes ...change) File {
	head, args, _ := p.split(c.Argv)
	for _, ch := range changes {
		args = p.options.set(args, ch)
	}
	return File{Path: commandFile, Text: configLine(slices.Concat(head, args), s)}
}

// positive is a number as an option or a file gives it; 0 when it is none.
func positive(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return 0
	}
	return n
}
