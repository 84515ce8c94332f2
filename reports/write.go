package reports

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"advise/sweep"
	"advise/targets"
)

// The names of the reports in a record's folder.
const (
	ResultFile = "result.json"
	PageFile   = "report.html"
	// ConfigFolder holds the texts to paste, one file each.
	ConfigFolder = "config"
)

// Write makes the reports of a record anew, in the record's folder: result.json, report.html, and
// the folder config with what to paste. Each file is replaced as a whole or not at all, and is on
// disk when Write returns.
func Write(rec *sweep.Record) (*Result, error) {
	if rec.Dir == "" {
		return nil, errors.New("write the reports: the record has no folder")
	}
	adv := rec.Advice()
	var config, deploy []targets.File
	if adv.Made {
		config, deploy = configuration(rec.Recommended().Plan, adv.Workers)
	}
	r := New(rec, adv, config)
	data, err := encode(r)
	if err != nil {
		return nil, err
	}
	page, err := HTML(r)
	if err != nil {
		return nil, err
	}
	if err := replace(filepath.Join(rec.Dir, ResultFile), data); err != nil {
		return nil, err
	}
	if err := replace(filepath.Join(rec.Dir, PageFile), page); err != nil {
		return nil, err
	}
	folder := filepath.Join(rec.Dir, ConfigFolder)
	if err := writeConfig(folder, slices.Concat(config, deploy)); err != nil {
		return nil, err
	}
	if r.Recommendation != nil {
		r.Recommendation.ConfigFolder = folder
		for _, f := range deploy {
			r.Recommendation.Deploy = append(r.Recommendation.Deploy, fileName(f.Path))
		}
	}
	return r, nil
}

// configuration asks the record's adapter what to paste, and what starts the server elsewhere. A command that can no longer be read, such
// as one whose secrets are masked, gives none: the advice stands without.
func configuration(p sweep.Plan, workers int) (config, deploy []targets.File) {
	target, err := targets.ForAdapter(p.Target.Adapter, targets.Command{
		Argv: p.Target.Command, Dir: p.Target.Workdir, Version: p.Target.Version,
		Env: p.Target.Variables, Program: p.Target.Program,
	})
	if err != nil {
		return nil, nil
	}
	shape := p.Launched(p.Variants()[0].At(workers))
	budget := targets.Budget{Cores: p.Budget.Cores, Memory: p.Budget.MemoryBytes}
	return target.Adapter.Config(target.Command, shape), target.Deploy(shape, budget)
}

// writeConfig makes the folder hold these texts and nothing else.
func writeConfig(dir string, files []targets.File) error {
	var names []string
	for _, f := range files {
		name := fileName(f.Path)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("write the configuration: %w", err)
		}
		if err := replace(filepath.Join(dir, name), []byte(f.Text)); err != nil {
			return err
		}
		names = append(names, name)
	}
	old, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("write the configuration: %w", err)
	}
	for _, f := range old {
		if !f.IsDir() && !slices.Contains(names, f.Name()) {
			if err := os.Remove(filepath.Join(dir, f.Name())); err != nil {
				return fmt.Errorf("remove an old configuration: %w", err)
			}
		}
	}
	return nil
}

// fileName keeps a text inside the folder, whatever path it is meant for.
func fileName(path string) string {
	name := filepath.Base(filepath.Clean("/" + path))
	return cmp.Or(strings.Trim(name, "./"), "configuration")
}

// replace writes a file beside its final place, syncs it, and moves it there.
func replace(path string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
			err = fmt.Errorf("write %s: %w", path, err)
		}
	}()
	if err := errors.Join(fill(f, data), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

func fill(f *os.File, data []byte) error {
	if _, err := f.Write(data); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	return f.Sync()
}

func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
