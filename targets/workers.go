package targets

import (
	"context"
	"fmt"

	"advise/targets/hold"
)

// WorkerProcesses are the living workers; none for a server whose workers can't be told from its other
// processes.
func (i *Instance) WorkerProcesses() ([]hold.Process, error) {
	workers, err := i.workers()
	if err != nil {
		return nil, fmt.Errorf("list the workers: %w", err)
	}
	return workers, nil
}

// Requests is what each worker's process has answered so far, as the server says; nil where it does not.
// Asking may cost the server a little, so it is not for while it is measured.
//
// Figures that come late tell what has been answered only since a fresh start, of which they are 0. After a
// live change they may still lack requests of before it, so there are none.
func (i *Instance) Requests(ctx context.Context) map[int]uint64 {
	status, err := i.Status(ctx)
	if err != nil || status.Late && i.changed {
		return nil
	}
	return status.Requests
}

// PauseWorker stops one of so many workers, as one is that waits for something else in the middle of a
// request, until the function that it returns is called. ok is false where the workers are not so many
// processes: then nothing is stopped.
func (i *Instance) PauseWorker(workers int) (resume func(), ok bool) {
	list, err := i.workers()
	if err != nil || len(list) != workers || workers == 0 {
		return nil, false
	}
	return list[0].Pause(), true
}
