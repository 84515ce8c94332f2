package sweep

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
)

// A Damage is a line of trials.jsonl that is no trial of this sweep.
type Damage struct {
	Line int
	Err  error
}

func (d Damage) String() string { return fmt.Sprintf("line %d: %v", d.Line, d.Err) }

// A DamagedError is a record with lines that are no trials. OpenDamaged leaves them out.
type DamagedError struct {
	Dir   string
	Lines []Damage
}

func (e *DamagedError) Error() string {
	const most = 5
	var lines []string
	for _, d := range e.Lines[:min(len(e.Lines), most)] {
		lines = append(lines, d.String())
	}
	if more := len(e.Lines) - most; more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return fmt.Sprintf("open record %s: read %s: %s", e.Dir, trialsFile, strings.Join(lines, "; "))
}

// The longest line is many times that of a trial with the most workers; the highest number that of more
// restarts than a year has room for.
const (
	longestLine  = 16 << 20
	highestTrial = 1 << 24
)

// parseTrials reads whole lines; what follows the last of them was cut off while it was written. length is how
// many bytes the whole lines take.
func parseTrials(text []byte) (trials []Trial, damaged []Damage, length int64) {
	lineOf := map[int]int{}
	for n := 1; ; n++ {
		end := bytes.IndexByte(text[length:], '\n')
		if end < 0 {
			return trials, damaged, length
		}
		t, err := parseTrial(text[length : length+int64(end)])
		length += int64(end) + 1
		if first := lineOf[t.ID]; err == nil && first > 0 {
			err = fmt.Errorf("trial %d is in line %d already", t.ID, first)
		}
		if err != nil {
			damaged = append(damaged, Damage{Line: n, Err: err})
			continue
		}
		lineOf[t.ID] = n
		trials = append(trials, t)
	}
}

func parseTrial(line []byte) (t Trial, err error) {
	switch {
	case len(bytes.TrimSpace(line)) == 0:
		return t, errors.New("it is empty")
	case len(line) > longestLine:
		return t, fmt.Errorf("it has %d bytes, want at most %d", len(line), longestLine)
	case bytes.IndexByte(line, 0) >= 0:
		return t, errors.New("it has NUL bytes, as a power cut leaves them")
	}
	if err := json.Unmarshal(line, &t); err != nil {
		return t, fmt.Errorf("it is no trial: %w", err)
	}
	return t, t.check()
}

func (t *Trial) check() error {
	if t.ID < 1 || t.ID > highestTrial {
		return fmt.Errorf("trial %d: want a number from 1 to %d", t.ID, highestTrial)
	}
	if t.Shape.Workers < 1 || t.Shape.Workers > MostWorkers {
		return fmt.Errorf("trial %d: %d workers, want 1 to %d", t.ID, t.Shape.Workers, MostWorkers)
	}
	switch t.Outcome {
	case OK, NotStarted, NotReady, KilledForMemory, Died, Errors:
	default:
		return fmt.Errorf("trial %d: unknown outcome %q", t.ID, t.Outcome)
	}
	for _, p := range t.Phases {
		switch p.Kind {
		case PhaseSaturation, PhaseRate, PhaseShare, PhaseStuck:
		default:
			return fmt.Errorf("trial %d: unknown phase %q", t.ID, p.Kind)
		}
		if err := knownVerdict(p.GeneratorVerdict); err != nil {
			return fmt.Errorf("trial %d: %w", t.ID, err)
		}
	}
	if err := knownVerdict(t.Generator.Verdict); err != nil {
		return fmt.Errorf("trial %d: %w", t.ID, err)
	}
	if err := plausible(*t); err != nil {
		return fmt.Errorf("trial %d: %w", t.ID, err)
	}
	return nil
}

// knownVerdict is that of a generator; a trial that was not loaded has none.
func knownVerdict(verdict string) error {
	if verdict == "" || verdict == GeneratorOK || verdict == GeneratorBound {
		return nil
	}
	return fmt.Errorf("unknown verdict %q", verdict)
}

// largest is more than any figure of a record is, in any of its units, and so small that its square and its
// sums are numbers still.
const largest = 1e16

// plausible goes through the figures of a value from a record, and refuses one that can't have been measured.
func plausible(value any) error { return figures(reflect.ValueOf(value), "") }

func figures(v reflect.Value, key string) error {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return figures(v.Elem(), key)
		}
	case reflect.Slice:
		for i := range v.Len() {
			if err := figures(v.Index(i), fmt.Sprintf("%s[%d]", key, i)); err != nil {
				return err
			}
		}
	case reflect.Map:
		for at := v.MapRange(); at.Next(); {
			if err := figures(at.Value(), fmt.Sprintf("%s[%q]", key, at.Key())); err != nil {
				return err
			}
		}
	case reflect.Struct:
		for i := range v.NumField() {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			if name == "" { // of the running sweep alone
				continue
			}
			if err := figures(v.Field(i), strings.TrimPrefix(key+"."+name, ".")); err != nil {
				return err
			}
		}
	case reflect.Float64:
		return figure(v.Float(), key)
	case reflect.Int, reflect.Int64:
		return figure(float64(v.Int()), key)
	case reflect.Uint, reflect.Uint64:
		return figure(float64(v.Uint()), key)
	}
	return nil
}

func figure(x float64, key string) error {
	if part(key) && x > 2 {
		return fmt.Errorf("%s is %g, of a whole", key, x)
	}
	if math.Abs(x) <= largest && (x >= 0 || signed(key)) || key == "settings.seed" {
		return nil
	}
	return fmt.Errorf("%s is %g", key, x)
}

// parts are figures that are a part of something, and never more than it: of time, and of answers.
var parts = []string{"stolen_share", "pressure_share", "pressure_full_share", "error_share", "throttled_share"}

// part is true for a figure that is about 1 at the most: over a short window the kernel's ticks are rounded.
func part(key string) bool {
	return slices.ContainsFunc(parts, func(name string) bool { return strings.HasSuffix(key, name) })
}

// signed is true for the figures that can be below zero: changes, and shares that are differences.
func signed(key string) bool {
	return strings.HasSuffix(key, "trend_share") || strings.Contains(key, "disturbance.")
}
