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
	"strings"

	"advise/model"
	"advise/sweep/generator"
	"advise/targets/disk"
	"advise/targets/plain"
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
// out: the sweep was killed before that trial counted as done. Other lines that are no trials are a DamagedError.
func Open(dir string) (*Record, error) { return open(dir, false) }

// OpenDamaged leaves damaged lines out, and says in Record.LeftOut which.
func OpenDamaged(dir string) (*Record, error) { return open(dir, true) }

func open(dir string, skipDamaged bool) (*Record, error) {
	r := &Record{Dir: dir}
	var err error
	if r.Plan, err = readPlan(dir); err != nil {
		return nil, err
	}
	r.Plan.Settings.Confidence = min(r.Plan.Settings.Confidence, model.MostConfidence) // of a record that asked for more
	if r.Calibration, err = readCalibration(dir); err != nil {
		return nil, fmt.Errorf("open record %s: %w", dir, err)
	}
	text, err := disk.Read(filepath.Join(dir, trialsFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("open record: %w", err)
	}
	var damaged []Damage
	r.Trials, damaged, _ = parseTrials(text)
	if len(damaged) > 0 && !skipDamaged {
		return nil, &DamagedError{Dir: dir, Lines: damaged}
	}
	r.LeftOut = damaged
	r.setAside()
	return r, nil
}

// readPlan tells a record from a folder with some other plan.json.
func readPlan(dir string) (Plan, error) {
	text, err := disk.Read(filepath.Join(dir, planFile))
	if errors.Is(err, fs.ErrNotExist) {
		return Plan{}, fmt.Errorf("open record %s: %w (%s is missing)", dir, ErrNoRecord, planFile)
	}
	if err != nil {
		return Plan{}, fmt.Errorf("open record: %w", err)
	}
	p, err := parsePlan(text)
	if err != nil {
		return Plan{}, fmt.Errorf("open record %s: read %s: %w", dir, planFile, err)
	}
	return p, nil
}

func parsePlan(text []byte) (Plan, error) {
	var p Plan
	if err := json.Unmarshal(text, &p); err != nil {
		return Plan{}, err
	}
	if p.SchemaVersion == "" {
		return Plan{}, fmt.Errorf("%w: the file has no schema_version", ErrNoRecord)
	}
	if p.SchemaVersion != SchemaVersion {
		return Plan{}, fmt.Errorf("it has schema version %q, this advise reads %q", p.SchemaVersion, SchemaVersion)
	}
	if err := plausible(p); err != nil {
		return Plan{}, err
	}
	return p, p.check()
}

// check refuses the plan of another program, and one without which nothing can be said of the trials.
func (p *Plan) check() error {
	missing := func(key string) error { return fmt.Errorf("%w: the file has no %s", ErrNoRecord, key) }
	s := p.Settings
	switch {
	case p.Target.Adapter == "":
		return missing("target.adapter")
	case len(p.Target.Command) == 0:
		return missing("target.command")
	case len(p.Scenario.Requests) == 0:
		return missing("scenario.requests")
	case s.Lowest < 1 || s.Highest < s.Lowest || s.Highest > 32*MostCores:
		return fmt.Errorf("settings: %d to %d workers", s.Lowest, s.Highest)
	case !(s.TimeSeconds > 0):
		return fmt.Errorf("settings: %g seconds", s.TimeSeconds)
	case !(s.Confidence > 0 && s.Confidence < 1):
		return fmt.Errorf("settings: a confidence of %g", s.Confidence)
	}
	return nil
}

// readCalibration is nil where the sweep ended before it was made.
func readCalibration(dir string) (*generator.Calibration, error) {
	text, err := disk.Read(filepath.Join(dir, calibrationFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // there is none
	}
	if err != nil {
		return nil, err
	}
	c, err := parseCalibration(text)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", calibrationFile, err)
	}
	return c, nil
}

func parseCalibration(text []byte) (*generator.Calibration, error) {
	var c generator.Calibration
	if err := json.Unmarshal(text, &c); err != nil {
		return nil, err
	}
	return &c, plausible(c)
}

// A journal is a record that is being written, by this process alone: it holds the lock on the folder and on
// the trials' file, which is never replaced, for as long as it is open. Readers take no lock: to them a trial
// is there or it is not.
type journal struct {
	folder *disk.Folder
	trials *os.File
}

// An UnsavedError is what could not be put into the record. What was measured is in the Record that is returned with it.
type UnsavedError struct {
	Dir string
	Err error
}

func (e *UnsavedError) Error() string {
	return fmt.Sprintf("save the record %s: %s", e.Dir, strings.ReplaceAll(e.Err.Error(), "\n", "; "))
}

func (e *UnsavedError) Unwrap() error { return e.Err }

// create makes the folder and writes the plan. A folder with anything in it is refused: nothing measured is
// ever lost, and nothing of the user's touched.
func create(dir string, p Plan) (*journal, error) {
	folder, err := disk.Create(dir)
	var taken *disk.NotEmptyError
	if errors.As(err, &taken) {
		if _, isRecord := readPlan(dir); isRecord == nil {
			return nil, fmt.Errorf("create record in %s: %w", dir, ErrRecordExists)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("create record: %w", err)
	}
	j := &journal{folder: folder}
	if err = j.savePlan(p); err == nil {
		j.trials, err = folder.Append(trialsFile)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("create record: %w", err), j.close())
	}
	return j, nil
}

// savePlan replaces that of a record from before it noted what it wrote too.
func (j *journal) savePlan(p Plan) error {
	return j.save(planFile, p, func(old []byte) bool {
		_, err := parsePlan(old)
		return err == nil
	})
}

// save writes a value as a file of its own; see disk.Folder.Replace.
func (j *journal) save(name string, value any, known func(old []byte) bool) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	return j.folder.Replace(name, append(plain.JSON(text), '\n'), 0o644, known)
}

// reopen goes on with a record, after cutting off a line that was only partly written. Lines that are damaged
// stay as they are.
func reopen(dir string) (*journal, error) {
	if _, err := readPlan(dir); err != nil {
		return nil, err
	}
	folder, err := disk.Take(dir)
	if err != nil {
		return nil, err
	}
	j := &journal{folder: folder}
	if err := j.openTrials(); err != nil {
		return nil, errors.Join(fmt.Errorf("open record: %w", err), j.close())
	}
	return j, nil
}

func (j *journal) openTrials() (err error) {
	if j.trials, err = j.folder.Append(trialsFile); err != nil {
		return err
	}
	text, err := io.ReadAll(j.trials)
	if err != nil {
		return err
	}
	return j.trials.Truncate(int64(bytes.LastIndexByte(text, '\n') + 1))
}

// append puts a trial on disk: when it returns, a kill or a power cut does not lose it.
func (j *journal) append(t Trial) error {
	line, err := json.Marshal(t)
	line = plain.JSON(line)
	if err == nil {
		_, err = j.trials.Write(append(line, '\n'))
	}
	if err == nil {
		err = j.trials.Sync()
	}
	if err == nil {
		err = j.check()
	}
	if err != nil {
		return fmt.Errorf("save trial %d: %w", t.ID, err)
	}
	return nil
}

// check says whether the record is where it was opened.
func (j *journal) check() error { return j.folder.Check(trialsFile, j.trials) }

func (j *journal) close() error {
	err := j.folder.Close()
	if j.trials != nil {
		err = errors.Join(j.trials.Close(), err)
	}
	return err
}
