package hold

import (
	"os"
	"os/exec"
	"syscall"
)

// Subcommand is this program as one of its hidden subcommands: in a session of its own, out of reach of
// a terminal's signals. It has to end when its standard input does, as advise may be killed.
//
// The name of this program is in neither its name nor its arguments: who kills all that is called
// advise does not kill what cleans up after it.
func Subcommand(args ...string) (*exec.Cmd, error) {
	path, err := ownPath()
	if err != nil {
		return nil, err
	}
	return &exec.Cmd{
		Path:        path,
		Args:        append([]string{"hold"}, args...),
		Env:         handedOn(os.Environ()),
		SysProcAttr: &syscall.SysProcAttr{Setsid: true},
	}, nil
}
