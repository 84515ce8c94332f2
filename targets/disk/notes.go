package disk

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"slices"
)

// notesFile says what the record has written. It is only appended to, a line for each text, so that a sweep
// and a report that are made beside each other don't lose each other's notes.
const notesFile = "files.jsonl"

// A note is of a file that was, or was about to be, written.
type note struct {
	File string `json:"file"`
	// SHA256 is of the text; empty for a temporary file, which is the record's whatever is in it.
	SHA256 string `json:"sha256,omitempty"`
}

type notes []note

// whole is true for a record that has notes from its beginning: the first is of the notes themselves.
func (n notes) whole() bool { return len(n) > 0 && n[0].File == notesFile }

// has is true for a text that was noted.
func (n notes) has(name string, text []byte) bool {
	return slices.Contains(n, note{File: name, SHA256: sum(text)})
}

func (n notes) names() []string {
	var names []string
	for _, one := range n {
		names = append(names, one.File)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// notes are none where none were ever made. A file of that name which does not begin with a note is the user's.
func (f *Folder) notes() (notes, error) {
	text, err := f.read(notesFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	list, ok := parseNotes(text)
	if !ok {
		return nil, &ForeignError{Path: f.at(notesFile)}
	}
	return list, nil
}

// parseNotes leaves out what is no note, as one that was cut off by a kill, but for the first.
func parseNotes(text []byte) (list notes, ok bool) {
	for line := range bytes.Lines(text) {
		decoder := json.NewDecoder(bytes.NewReader(line))
		decoder.DisallowUnknownFields()
		var n note
		switch err := decoder.Decode(&n); {
		case err == nil && fs.ValidPath(n.File):
			list = append(list, n)
		case len(list) == 0:
			return nil, false
		}
	}
	return list, len(list) > 0
}

// note puts a note on disk. A line before it that was cut off by a kill is ended first.
func (f *Folder) note(n note) error {
	line, err := json.Marshal(n)
	if err != nil {
		return err
	}
	had, err := f.read(notesFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(had) > 0 && had[len(had)-1] != '\n' {
		line = append([]byte{'\n'}, line...)
	}
	file, err := f.openAppend(notesFile, 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(append(line, '\n'))
	if err == nil {
		err = file.Sync()
	}
	if err == nil && had == nil {
		err = f.self.Sync()
	}
	if err != nil && had == nil { // a full disk must not leave half a note in a folder that was empty
		_ = f.root.Remove(notesFile)
	}
	return errors.Join(err, file.Close())
}
