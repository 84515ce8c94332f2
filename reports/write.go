package reports

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"advise/sweep"
	"advise/targets"
	"advise/targets/disk"
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
// disk when Write returns. Where one can't be written, or a file of the user's is in its place, the
// error is a sweep.UnsavedError, and the Result is there all the same.
func Write(rec *sweep.Record) (*Result, error) {
	if rec.Dir == "" {
		return nil, errors.New("write the reports: the record has no folder")
	}
	r, f, err := prepare(rec)
	if err != nil {
		return nil, err
	}
	beside, err := f.save(rec.Dir)
	for _, name := range beside {
		r.Notes = append(r.Notes, (&disk.ForeignError{Path: filepath.Join(rec.Dir, name)}).Error()+"; what is to be pasted now is in "+filepath.Join(rec.Dir, name+newSuffix))
	}
	if err != nil {
		return r, &sweep.UnsavedError{Dir: rec.Dir, Err: err}
	}
	if r.Recommendation != nil {
		r.Recommendation.ConfigFolder = filepath.Join(rec.Dir, ConfigFolder)
		for _, f := range f.deploy {
			name := fileName(f.Path)
			if slices.Contains(beside, path.Join(ConfigFolder, name)) {
				name += newSuffix
			}
			r.Recommendation.Deploy = append(r.Recommendation.Deploy, name)
		}
	}
	return r, nil
}

// Make works the result of a record out and writes nothing.
func Make(rec *sweep.Record) (*Result, error) {
	r, _, err := prepare(rec)
	return r, err
}

// contents are those of the files of a report.
type contents struct {
	result, page   []byte
	config, deploy []targets.File
}

func prepare(rec *sweep.Record) (r *Result, f contents, err error) {
	adv := rec.Advice()
	var left []string
	if workers, made := adv.Answer(); made {
		pasted := configuration(rec.Recommended().Plan, workers)
		f.config, f.deploy, left = pasted.Config, pasted.Deploy, pasted.LeftOut
	}
	r = New(rec, adv, f.config)
	if r.Recommendation != nil {
		r.Recommendation.LeftOut = left
	}
	if f.result, err = encode(r); err != nil {
		return nil, f, err
	}
	if f.page, err = HTML(r); err != nil {
		return nil, f, err
	}
	return r, f, nil
}

// A file is one of the record's; known tells of a result or a page from before a record noted what it wrote, and
// is nil for a text to paste.
type file struct {
	name  string
	text  []byte
	known func([]byte) bool
}

func (f contents) files() []file {
	list := []file{{ResultFile, f.result, isResult}, {PageFile, f.page, isPage}}
	for _, text := range slices.Concat(f.config, f.deploy) {
		list = append(list, file{name: path.Join(ConfigFolder, fileName(text.Path)), text: []byte(text.Text)})
	}
	return list
}

// newSuffix ends the name of a text to paste beside a file of the user's, or of an older advise, that has its name.
const newSuffix = ".new"

// save writes all that has no file of the user's in its place, and removes what an earlier advice had in the
// folder of texts to paste. Of the texts that are beside such a file it returns the file's name.
func (f contents) save(dir string) (beside []string, err error) {
	folder, err := disk.Open(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, folder.Close()) }()
	var names []string
	var faults []error
	for _, one := range f.files() {
		name := one.name
		err := folder.Replace(name, one.text, 0o644, one.known)
		var foreign *disk.ForeignError
		if errors.As(err, &foreign) && one.known == nil && folder.Replace(name+newSuffix, one.text, 0o644, nil) == nil {
			beside, name, err = append(beside, name), name+newSuffix, nil
		}
		names, faults = append(names, name), append(faults, err)
		if err != nil && !errors.As(err, &foreign) {
			return beside, errors.Join(faults...)
		}
	}
	return beside, errors.Join(append(faults, folder.Retain(ConfigFolder, names))...)
}

// isResult knows a result.json from before a record noted what it wrote.
func isResult(text []byte) bool {
	var r struct {
		SchemaVersion string          `json:"schema_version"`
		Tool          sweep.Tool      `json:"tool"`
		Trials        json.RawMessage `json:"trials"`
	}
	return json.Unmarshal(text, &r) == nil && r.SchemaVersion != "" && r.Tool.Version != "" && r.Trials != nil
}

// isPage knows a report.html from then, by its policy and its title.
func isPage(text []byte) bool {
	return bytes.Contains(text, []byte("default-src 'none'; script-src 'unsafe-inline'")) && bytes.Contains(text, []byte("<title>advise: "))
}

// configuration asks the record's adapter what to paste. A command that can no longer be read gives nothing: the
// advice stands without.
func configuration(p sweep.Plan, workers int) targets.Pasted {
	target, err := recordedTarget(p)
	if err != nil {
		return targets.Pasted{}
	}
	shape := p.Launched(p.Variants()[0].At(workers))
	return target.Paste(shape, targets.Budget{Cores: p.Budget.Cores, Memory: p.Budget.MemoryBytes})
}

// recordedTarget is the target as a record knows it: nothing can be started with it.
func recordedTarget(p sweep.Plan) (*targets.Target, error) {
	return targets.ForAdapter(p.Target.Adapter, targets.Command{
		Argv: p.Target.Command, Dir: p.Target.Workdir, Version: p.Target.Version,
		Env: p.Target.Variables, Program: p.Target.Program,
	})
}

// fileName keeps a text inside the folder, whatever path it is meant for.
func fileName(path string) string {
	name := filepath.Base(filepath.Clean("/" + path))
	return cmp.Or(strings.Trim(name, "./"), "configuration")
}
