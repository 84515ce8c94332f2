package sweep

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"advise/sweep/generator"
)

// The files of a record.
const (
	planFile        = "plan.json"
	calibrationFile = "calibration.json"
	trialsFile      = "trials.jsonl"
)

// ErrNoRecord is returned by Open for a folder that holds no record.
var ErrNoRecord = errors.New("no record there")

// ErrRecordExists is returned for a new sweep into a folder that holds a record.
var ErrRecordExists = errors.New("it already holds one")

// Open reads the record in a folder. A last trial that was cut off while it was written is left
// out: the sweep was killed before that trial counted as done.
func Open(dir string) (*Record, error) {
	text, err := os.ReadFile(filepath.Join(dir, planFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open record %s: %w (%s is missing)", dir, ErrNoRecord, planFile)
	}
	if err != nil {
		return nil, fmt.Errorf("open record: %w", err)
	}
	r := &Record{Dir: dir}
	if err := json.Unmarshal(text, &r.Plan); err != nil {
		return nil, fmt.Errorf("open record %s: read %s: %w", dir, planFile, err)
	}
	if r.Plan.SchemaVersion != SchemaVersion {
		return nil, fmt.Errorf("open record %s: it has schema version %q, this advise reads %q", dir, r.Plan.SchemaVersion, SchemaVersion)
	}
	if r.Calibration, err = readCalibration(dir); err != nil {
		return nil, fmt.Errorf("open record %s: %w", dir, err)
	}
	text, err = os.ReadFile(filepath.Join(dir, trialsFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open record: %w", err)
	}
	r.Trials, _, err = parseTrials(text)
	if err != nil {
		return nil, fmt.Errorf("open record %s: read %s: %w", dir, trialsFile, err)
	}
	r.setAside()
	return r, nil
}

// readCalibration is nil where the sweep ended before it was made.
func readCalibration(dir string) (*generator.Calibration, error) {
	text, err := os.ReadFile(filepath.Join(dir, calibrationFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // there is none
	}
	if err != nil {
		return nil, err
	}
	var c generator.Calibration
	if err := json.Unmarshal(text, &c); err != nil {
		return nil, fmt.Errorf("read %s: %w", calibrationFile, err)
	}
	return &c, nil
}

func saveCalibration(dir string, c *generator.Calibration) error {
	text, err := json.MarshalIndent(c, "", "  ")
	if err == nil {
		err = WriteFile(filepath.Join(dir, calibrationFile), append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("save calibration: %w", err)
	}
	return nil
}

// parseTrials reads whole lines; length is how many bytes of text they take.
func parseTrials(text []byte) (trials []Trial, length int64, err error) {
	for n := 1; ; n++ {
		end := bytes.IndexByte(text[length:], '\n')
		if end < 0 {
			return trials, length, nil
		}
		var t Trial
		if err := json.Unmarshal(text[length:length+int64(end)], &t); err != nil {
			return nil, 0, fmt.Errorf("line %d: %w", n, err)
		}
		if err := t.check(); err != nil {
			return nil, 0, fmt.Errorf("line %d: %w", n, err)
		}
		trials = append(trials, t)
		length += int64(end) + 1
	}
}

func (t *Trial) check() error {
	if t.Shape.Workers < 1 {
		return fmt.Errorf("trial %d: %d workers", t.ID, t.Shape.Workers)
	}
	switch t.Outcome {
	case OK, NotStarted, NotReady, KilledForMemory, Died, Errors:
		return nil
	}
	return fmt.Errorf("trial %d: unknown outcome %q", t.ID, t.Outcome)
}

// A journal is a record that is being written, by this process alone: it holds the lock on the trials'
// file, which is never replaced, for as long as it is open.
type journal struct {
	trials *os.File
}

// An InUseError is a record that another process is writing.
type InUseError struct {
	Dir string
	PID int // 0: not known
}

func (e *InUseError) Error() string {
	if e.PID > 0 {
		return fmt.Sprintf("open record %s: process %d is writing it", e.Dir, e.PID)
	}
	return fmt.Sprintf("open record %s: another process is writing it", e.Dir)
}

// create makes the folder and writes the plan. A folder that already holds a record is refused:
// nothing measured is ever lost.
func create(dir string, p Plan) (*journal, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("create record: %w", err)
	}
	j, err := lockJournal(dir)
	if err != nil {
		return nil, err
	}
	if err = vacant(dir); err == nil {
		err = savePlan(dir, p)
	}
	if err != nil {
		return nil, errors.Join(err, j.close())
	}
	return j, nil
}

// vacant refuses a folder with a plan, or with trials that have lost theirs.
func vacant(dir string) error {
	for _, name := range []string{planFile, trialsFile} {
		if info, err := os.Stat(filepath.Join(dir, name)); err == nil && (name == planFile || info.Size() > 0) {
			return fmt.Errorf("create record in %s: %w", dir, ErrRecordExists)
		}
	}
	return nil
}

func savePlan(dir string, p Plan) error {
	text, err := json.MarshalIndent(p, "", "  ")
	if err == nil {
		err = WriteFile(filepath.Join(dir, planFile), append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("create record: %w", err)
	}
	return nil
}

// reopen goes on with a record, after cutting off a line that was only partly written.
func reopen(dir string) (*journal, error) {
	j, err := lockJournal(dir)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(j.trials)
	if err == nil {
		var length int64
		if _, length, err = parseTrials(text); err == nil {
			err = j.trials.Truncate(length)
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open record %s: read %s: %w", dir, trialsFile, err), j.close())
	}
	return j, nil
}

// lockJournal opens the trials' file and locks it, or returns an InUseError. The lock ends with the last
// descriptor of the file, however the process ends: none of its children has one, as they are closed when
// a child executes its program. Readers take no lock: to them a trial is there or it is not.
func lockJournal(dir string) (*journal, error) {
	f, err := os.OpenFile(filepath.Join(dir, trialsFile), os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open record: %w", err)
	}
	if err = lock(f); err == nil {
		err = syncDir(dir)
	}
	switch {
	case err == nil:
		return &journal{trials: f}, nil
	case errors.Is(err, errLocked):
		err = &InUseError{Dir: dir, PID: lockedBy(f)}
	default:
		err = fmt.Errorf("open record %s: %w", dir, err)
	}
	_ = f.Close()
	return nil, err
}

// append puts a trial on disk: when it returns, a kill or a power cut does not lose it.
func (j *journal) append(t Trial) error {
	line, err := json.Marshal(t)
	if err == nil {
		_, err = j.trials.Write(append(line, '\n'))
	}
	if err == nil {
		err = j.trials.Sync()
	}
	if err != nil {
		return fmt.Errorf("save trial %d: %w", t.ID, err)
	}
	return nil
}

func (j *journal) close() error { return j.trials.Close() }

// WriteFile replaces a file as a whole: whoever reads it, even after a kill at any moment, sees the
// old text or the new one.
func WriteFile(path string, text []byte) error {
	dir, name := filepath.Split(path)
	f, err := os.CreateTemp(dir, "."+name+".*")
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return err
	}
	return syncDir(dir)
}

// syncDir makes a new or renamed entry of a folder durable.
func syncDir(dir string) error {
	if dir == "" {
		dir = "."
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	return errors.Join(err, d.Close())
}
