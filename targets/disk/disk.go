// Package disk writes to the user's disk. Nothing else in advise does, but for what TestWritersOfTheDisk lists
// with its reason.
//
// The rule: what the user has is never replaced, changed, cut or removed.
//
//   - A new record takes a folder that does not exist or is empty. Any other is refused before anything in it
//     is touched.
//   - A file in a record is replaced or removed only while it holds what this record is known to have written.
//     The record's files.jsonl says what that is: each text is noted there by its hash before it is written, so
//     that a kill at any moment leaves a file that is still known. Every other file is the user's and stays:
//     a ForeignError says so.
//   - Links are not followed, nor replaced: neither out of the record nor inside it. What is no regular file is
//     the user's too.
//   - A file is replaced as a whole, or it is only appended to.
//   - Elsewhere, as with man pages, a file is only replaced by one that says of itself that it is advise's.
package disk

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// A Folder is a record's folder, open for writing. It stays the same one when it is moved.
type Folder struct {
	path string // as it was named
	root *os.Root
	self *os.File // the folder itself, which is locked
}

// A ForeignError is a file that is not what the record wrote. It was left as it is.
type ForeignError struct{ Path string }

func (e *ForeignError) Error() string {
	return e.Path + " is not as advise wrote it: it was left as it is"
}

// A NotEmptyError is a folder that something is in.
type NotEmptyError struct {
	Dir, Holds string
}

func (e *NotEmptyError) Error() string {
	return fmt.Sprintf("%s is not empty: it holds %q", e.Dir, e.Holds)
}

// ErrMoved is returned by Check.
var ErrMoved = errors.New("it was moved, replaced or removed")

// Create makes a folder, or takes an empty one, and locks it; a NotEmptyError or an InUseError says why it is
// refused.
func Create(dir string) (*Folder, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	f, err := Take(dir)
	if err != nil {
		return nil, err
	}
	if err = f.vacant(); err == nil {
		err = f.note(note{File: notesFile})
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// vacant takes a folder in which advise was killed before it had written a file for empty.
func (f *Folder) vacant() error {
	list, err := fs.ReadDir(f.root.FS(), ".")
	if err != nil {
		return err
	}
	notes, err := f.notes()
	if err != nil || !notes.whole() {
		notes = nil
	}
	for _, e := range list {
		if begun := notes != nil && (e.Name() == notesFile || e.Type().IsRegular() && isTemporary(e.Name())); !begun {
			return &NotEmptyError{Dir: f.path, Holds: e.Name()}
		}
	}
	return nil
}

// Take opens a folder and locks it: an InUseError says that another process writes it.
func Take(dir string) (*Folder, error) {
	f, err := Open(dir)
	if err != nil {
		return nil, err
	}
	if err := f.lock(f.self); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Open opens a folder for files that are replaced as a whole, which may be done beside a process that has
// taken it.
func Open(dir string) (*Folder, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	self, err := root.Open(".")
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return &Folder{path: dir, root: root, self: self}, nil
}

// Close ends the lock too.
func (f *Folder) Close() error { return errors.Join(f.self.Close(), f.root.Close()) }

// lock takes a file of the folder for this process.
func (f *Folder) lock(file *os.File) error {
	err := lock(file)
	if errors.Is(err, errLocked) {
		return &InUseError{Dir: f.path, PID: lockedBy(file)}
	}
	return err
}

// Check returns ErrMoved when the folder is no longer where it was opened, or a file of it that is open no
// longer in it.
func (f *Folder) Check(name string, open *os.File) error {
	was, err := f.self.Stat()
	if err != nil {
		return err
	}
	if is, err := os.Stat(f.path); err != nil || !os.SameFile(is, was) {
		return fmt.Errorf("%s: %w", f.path, ErrMoved)
	}
	if was, err = open.Stat(); err != nil {
		return err
	}
	if is, err := f.root.Lstat(name); err != nil || !os.SameFile(is, was) {
		return fmt.Errorf("%s: %w", f.at(name), ErrMoved)
	}
	return nil
}

// Append opens a file to be appended to, and makes it where there is none. It is this process's alone: another
// one that has it is an InUseError.
func (f *Folder) Append(name string) (*os.File, error) {
	file, err := f.openAppend(name, 0o644)
	if err != nil {
		return nil, err
	}
	if err = f.lock(file); err == nil {
		err = f.self.Sync()
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

func (f *Folder) openAppend(name string, perm fs.FileMode) (*os.File, error) {
	if err := f.regular(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return f.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_APPEND|syscall.O_NOFOLLOW, perm)
}

// Replace makes a file hold a text: whoever reads it, even after a kill at any moment, sees the old text or the
// new one. Names are with slashes; the folders in them are made.
//
// Of a record that was begun before files.jsonl was kept, known tells whether a text is one that advise wrote;
// nil: only the same text is.
func (f *Folder) Replace(name string, text []byte, perm fs.FileMode, known func(old []byte) bool) error {
	err := f.replace(name, text, perm, known)
	var foreign *ForeignError
	if err == nil || errors.As(err, &foreign) {
		return err
	}
	return fmt.Errorf("write %s: %w", f.at(name), err)
}

func (f *Folder) replace(name string, text []byte, perm fs.FileMode, known func(old []byte) bool) error {
	notes, err := f.notes()
	if err != nil {
		return err
	}
	old, err := f.read(name)
	there := err == nil
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	same := there && bytes.Equal(old, text)
	ours := !there || notes.has(name, old) || !notes.whole() && (same || known != nil && known(old))
	switch {
	case !ours && same: // as it should be, and still not to be removed
		return nil
	case !ours:
		return &ForeignError{Path: f.at(name)}
	}
	if !notes.has(name, text) {
		if err := f.note(note{File: name, SHA256: sum(text)}); err != nil {
			return err
		}
	}
	if same {
		return nil
	}
	if err := f.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	return f.put(name, text, perm)
}

// put writes a file beside its place and moves it there.
func (f *Folder) put(name string, text []byte, perm fs.FileMode) error {
	temporary := temporaryName(name)
	file, err := f.root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	if err == nil {
		err = file.Chmod(perm)
	}
	if err == nil {
		err = file.Sync()
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = f.root.Rename(temporary, name)
	}
	if err != nil {
		_ = f.root.Remove(temporary)
		return err
	}
	return f.sync(path.Dir(name))
}

// sync makes a new or renamed entry of a folder durable.
func (f *Folder) sync(dir string) error {
	d, err := f.root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Retain removes the files below a folder that the record wrote and that are not among names.
func (f *Folder) Retain(dir string, names []string) error {
	notes, err := f.notes()
	if err != nil {
		return err
	}
	var faults []error
	for _, name := range notes.names() {
		if path.Dir(name) != dir || slices.Contains(names, name) {
			continue
		}
		text, err := f.read(name)
		var foreign *ForeignError
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.As(err, &foreign):
		case err != nil:
			faults = append(faults, err)
		case notes.has(name, text):
			faults = append(faults, f.root.Remove(name))
		}
	}
	return errors.Join(faults...)
}

// Temporary makes an empty file with a name that nothing else has, and returns the name.
func (f *Folder) Temporary(name string) (string, error) {
	temporary := temporaryName(name)
	if err := f.note(note{File: temporary}); err != nil {
		return "", err
	}
	file, err := f.root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	return temporary, file.Close()
}

// RemoveTemporaries removes what Temporary made, also before an earlier process was killed. The folder has to
// be taken: they are of one process at a time.
func (f *Folder) RemoveTemporaries() error {
	notes, err := f.notes()
	if err != nil {
		return err
	}
	var faults []error
	for _, n := range notes {
		if n.SHA256 != "" || !isTemporary(n.File) {
			continue
		}
		if err := f.regular(n.File); err == nil {
			faults = append(faults, f.root.Remove(n.File))
		}
	}
	return errors.Join(faults...)
}

const temporaryMark = ".advise-"

func temporaryName(name string) string {
	dir, base := path.Split(name)
	return dir + "." + base + temporaryMark + strings.ToLower(rand.Text())
}

func isTemporary(name string) bool {
	return strings.HasPrefix(name, ".") && strings.Contains(name, temporaryMark)
}

func (f *Folder) read(name string) ([]byte, error) {
	if err := f.regular(name); err != nil {
		return nil, err
	}
	return f.root.ReadFile(name)
}

// regular returns nil for a regular file below real folders, and a ForeignError where something else has its
// name or that of one of its folders.
func (f *Folder) regular(name string) error {
	if !fs.ValidPath(name) {
		return &ForeignError{Path: f.at(name)}
	}
	for i, c := range name {
		if c != '/' {
			continue
		}
		info, err := f.root.Lstat(name[:i])
		if err != nil {
			return err
		}
		if !info.IsDir() {
			return &ForeignError{Path: f.at(name[:i])}
		}
	}
	info, err := f.root.Lstat(name)
	if err == nil && !info.Mode().IsRegular() {
		return &ForeignError{Path: f.at(name)}
	}
	return err
}

func (f *Folder) at(name string) string { return filepath.Join(f.path, filepath.FromSlash(name)) }

func sum(text []byte) string {
	h := sha256.Sum256(text)
	return hex.EncodeToString(h[:])
}

// Read reads a regular file. Others are refused: a device or a pipe may have no end.
func Read(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: errors.New("it is no regular file")}
	}
	return os.ReadFile(name)
}

// Generate makes a file in a folder of the user's hold a text where there is none, or one that known says is
// advise's own.
func Generate(dir, name string, text []byte, known func(old []byte) bool) (err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := Open(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	switch old, err := f.read(name); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case !known(old):
		return &ForeignError{Path: f.at(name)}
	}
	return f.put(name, text, 0o644)
}

// WriteScratch makes a file in a temporary folder that this process made hold a text.
func WriteScratch(dir, name string, text []byte) (err error) {
	f, err := Open(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := f.root.MkdirAll(path.Dir(name), 0o711); err != nil {
		return err
	}
	return f.put(name, text, 0o600)
}
