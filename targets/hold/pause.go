package hold

import (
	"sync"
	"syscall"
)

// Pause stops the process until the function that it returns is called, once or more often. A tree that is
// ended meanwhile is killed as ever: SIGKILL waits for nobody.
func (p Process) Pause() (resume func()) {
	p.signal(syscall.SIGSTOP)
	return sync.OnceFunc(func() { p.signal(syscall.SIGCONT) })
}
