package targets

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A uwsgiFile is what uWSGI would read of files: its lines are key = value, those of included files in the
// place of what includes them.
type uwsgiFile struct {
	path  string   // of the one to change; empty: there is none
	words []string // the arguments by themselves that name files
	lines []string
}

var (
	uwsgiLine = regexp.MustCompile(`^[ \t]*([A-Za-z0-9_-]+)[ \t]*=[ \t]*(.*?)[ \t\r]*$`)
	// uwsgiIni and uwsgiOther are files by the ending that tells uWSGI their form, with or without a section.
	uwsgiIni   = regexp.MustCompile(`(^|\.ini)(:[^:/]*)?$`)
	uwsgiOther = regexp.MustCompile(`\.(xml|ya?ml|json|js)(:[^:/]*)?$`)
)

const uwsgiFiles = "give one application's settings as a file of the form ini, or as options"

// readUwsgi reads all files that the command names: those of options first, as uWSGI does.
func readUwsgi(c Command) (uwsgiFile, error) {
	_, args, _ := uwsgiProgram.split(c.Argv)
	var f uwsgiFile
	var named []string
	for _, a := range uwsgiProgram.options.parse(args) {
		switch {
		case slices.Contains([]string{"--stop", "--reload", "--pause"}, a.option):
			return uwsgiFile{}, refuse(c.Argv, a.option+" is for a server that runs already", "give the command that starts it")
		case slices.Contains([]string{"--emperor", "--yaml", "--json", "--xml"}, a.option):
			return uwsgiFile{}, refuse(c.Argv, a.option+" can't be varied", uwsgiFiles)
		case a.option != "--ini" && slices.Contains(uwsgiIncludes, a.option) && !uwsgiIni.MatchString(a.value):
			return uwsgiFile{}, refuse(c.Argv, a.value+" can't be varied", uwsgiFiles)
		case slices.Contains(uwsgiIncludes, a.option):
			named = append(named, a.value)
		case a.option == "" && uwsgiOther.MatchString(a.value):
			return uwsgiFile{}, refuse(c.Argv, a.value+" can't be varied", uwsgiFiles)
		case a.option == "" && uwsgiIni.MatchString(a.value):
			f.words = append(f.words, a.value)
		}
	}
	r := uwsgiReader{dir: c.Dir}
	for _, name := range append(named, f.words...) {
		if name == "" {
			continue
		}
		lines, err := r.read(name, 0)
		if err != nil {
			return uwsgiFile{}, refuse(c.Argv, "its configuration can't be used: "+err.Error(), "advise -- uwsgi --ini FILE")
		}
		f.lines, f.path = append(f.lines, lines...), r.first
	}
	return f, nil
}

// A uwsgiReader follows files that include each other. Relative names begin at the working folder.
type uwsgiReader struct {
	dir   string
	first string // the file that the command named last
	last  string // the file read last: a section without a name is of that
	magic map[byte]string
}

// read is the section of a file, named as FILE:SECTION; without one it is [uwsgi].
func (r *uwsgiReader) read(named string, depth int) ([]string, error) {
	if depth > deepestInclude {
		return nil, errors.New("its files include each other")
	}
	if strings.Contains(named, "://") || named == "-" {
		return nil, fmt.Errorf("include %s: it is no file", named)
	}
	name, section, _ := strings.Cut(named, ":")
	if name == "" && r.last == "" {
		return nil, fmt.Errorf("include %s: there is no such file", named)
	}
	if name != "" {
		r.last = inDir(r.dir, name)
		r.magic = uwsgiMagic(r.last, name)
		if depth == 0 {
			r.first = r.last
		}
	} else {
		r.magic['o'] = ""
	}
	r.magic['x'] = section
	text, err := readSmall(r.last)
	if err != nil {
		return nil, err
	}
	var lines []string
	inside := false
	for line := range strings.Lines(substituteUwsgi(string(text), r.magic)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			inside = line == "["+cmp.Or(section, "uwsgi")+"]"
			continue
		}
		if !inside || line == "" || line[0] == ';' || line[0] == '#' {
			continue
		}
		m := uwsgiLine.FindStringSubmatch(line)
		if m == nil || uwsgiInclude(m[1], m[2]) != uwsgiNow {
			lines = append(lines, line)
			continue
		}
		if m[1] != "ini" && !uwsgiIni.MatchString(m[2]) {
			return nil, fmt.Errorf("include %s: it is not of the form ini", m[2])
		}
		included, err := r.read(strings.ReplaceAll(m[2], "%%", "%"), depth+1)
		if err != nil {
			return nil, err
		}
		lines = append(lines, included...)
	}
	return lines, nil
}

// uwsgiIncludes are the options that read another file.
var uwsgiIncludes = []string{"--ini", "--include", "--inherit", "--config"}

// A uwsgiWhen is when a file that a line includes is known.
type uwsgiWhen int

const (
	uwsgiNever uwsgiWhen = iota // it includes none
	uwsgiNow
	uwsgiAtRun // within a condition or a loop, whose value is its name
)

func uwsgiInclude(key, value string) uwsgiWhen {
	switch {
	case !slices.Contains(uwsgiIncludes, "--"+key):
		return uwsgiNever
	case strings.Contains(value, "%("):
		return uwsgiAtRun
	default:
		return uwsgiNow
	}
}

// uwsgiMagic are the variables of one letter that depend on the file they are in.
func uwsgiMagic(path, named string) map[byte]string {
	dir := filepath.Dir(path)
	base := filepath.Base(path)
	magic := map[byte]string{
		'o': named, 'p': path, 's': base, 'd': strings.TrimSuffix(dir, "/") + "/", 'c': filepath.Base(dir),
		'e': strings.TrimPrefix(filepath.Ext(base), "."), 'n': strings.TrimSuffix(base, filepath.Ext(base)),
	}
	folders := strings.Split(strings.Trim(dir, "/"), "/")
	for i := range byte(10) {
		magic['0'+i] = ""
		if int(i) < len(folders) {
			magic['0'+i] = folders[i]
		}
	}
	return magic
}

// substituteUwsgi puts them in, and leaves the other variables and what is no variable, %%, to the server.
func substituteUwsgi(text string, magic map[byte]string) string {
	var out strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '%' || i+1 == len(text) {
			out.WriteByte(text[i])
			continue
		}
		i++
		if value, ok := magic[text[i]]; ok {
			out.WriteString(strings.ReplaceAll(value, "%", "%%"))
			continue
		}
		out.WriteString(text[i-1 : i+1])
	}
	return out.String()
}
