package targets

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// A dockerInstruction is ENTRYPOINT or CMD: a list of words, or a line for a shell.
type dockerInstruction struct {
	words []string // of the exec form
	line  string   // of the shell form
	at    int      // its line in the file
}

func (d dockerInstruction) empty() bool { return len(d.words) == 0 && d.line == "" }

func (d dockerInstruction) shown() string {
	if d.line != "" {
		return maskLine(d.line)
	}
	return show(d.words)
}

// A dockerStage is what an image would start, as far as its Dockerfile says.
type dockerStage struct {
	image      string
	entry, cmd dockerInstruction
	ownCMD     bool     // said in this stage, not in the one it is made from
	env        []string // NAME=value
	args       []string // the same, and gone when the container runs
	workdir    string
	copies     [][2]string // from the project's folder to the image
}

var dockerInstructions = regexp.MustCompile(`^\s*([A-Za-z]+)\s+(.*)$`)

// dockerfile reads the last stage, with what it has from an earlier one.
func dockerfile(text string) dockerStage {
	var s dockerStage
	stages := map[string]dockerStage{}
	name := ""
	for _, l := range dockerLines(text) {
		m := dockerInstructions.FindStringSubmatch(l.text)
		if m == nil {
			continue
		}
		rest := strings.TrimSpace(m[2])
		switch strings.ToUpper(m[1]) {
		case "FROM":
			stages[name] = s
			words := slices.DeleteFunc(strings.Fields(rest), func(w string) bool { return strings.HasPrefix(w, "--") })
			s, name = dockerStage{}, ""
			if len(words) > 0 {
				s = stages[strings.ToLower(words[0])]
				s.image, s.ownCMD, s.args = words[0], false, nil
			}
			if len(words) == 3 && strings.EqualFold(words[1], "as") {
				name = strings.ToLower(words[2])
			}
		case "ENTRYPOINT":
			s.entry = newDockerInstruction(rest, l.at)
			if !s.ownCMD { // that of the stage before is for its own entry point
				s.cmd = dockerInstruction{}
			}
		case "CMD":
			s.cmd, s.ownCMD = newDockerInstruction(rest, l.at), true
		case "ENV":
			s.env = slices.Concat(s.env, s.assignments(rest))
		case "ARG":
			s.args = slices.Concat(s.args, s.assignments(rest))
		case "WORKDIR":
			dir := strings.Trim(s.fill(rest), `"`)
			if !path.IsAbs(dir) {
				dir = path.Join(s.workdir, dir)
			}
			s.workdir = path.Clean(dir)
		case "COPY", "ADD":
			s.copied(rest)
		}
	}
	return s
}

func newDockerInstruction(text string, at int) dockerInstruction {
	if words, ok := execForm(text); ok {
		return dockerInstruction{words: words, at: at}
	}
	if text == "[]" {
		text = ""
	}
	return dockerInstruction{line: text, at: at}
}

// execForm reads a list of words, as Docker has it where no shell is to run them.
func execForm(text string) (words []string, ok bool) {
	err := json.Unmarshal([]byte(text), &words)
	return words, err == nil && len(words) > 0
}

var dockerHeredoc = regexp.MustCompile(`(?i)^\s*(?:RUN|COPY|ADD)\b.*<<-?["']?([A-Za-z_]\w*)`)

type dockerLine struct {
	text string
	at   int
}

// dockerLines joins what goes on behind \. Lines of comment between are no end of it.
func dockerLines(text string) []dockerLine {
	var lines []dockerLine
	var open strings.Builder
	begun, n := 0, 0
	until := "" // the end of the text that an instruction is given in the lines below it
	for l := range strings.Lines(text) {
		n++
		l = strings.TrimRight(l, " \t\r\n")
		if until != "" {
			if strings.TrimLeft(l, "\t") == until {
				until = ""
			}
			continue
		}
		if strings.HasPrefix(strings.TrimLeft(l, " \t"), "#") || l == "" {
			continue
		}
		if begun == 0 {
			begun = n
		}
		before, more := strings.CutSuffix(l, `\`)
		open.WriteString(before)
		if more {
			open.WriteByte(' ')
			continue
		}
		if m := dockerHeredoc.FindStringSubmatch(open.String()); m != nil {
			until = m[1]
		}
		lines = append(lines, dockerLine{open.String(), begun})
		open.Reset()
		begun = 0
	}
	if begun > 0 {
		lines = append(lines, dockerLine{open.String(), begun})
	}
	return lines
}

// assignments are those of ENV and ARG, in the two ways to write them: A=1 B=2, and A 1. One without
// a value has none.
func (s *dockerStage) assignments(text string) []string {
	if name, value, ok := strings.Cut(text, " "); ok && !strings.Contains(name, "=") {
		return []string{name + "=" + s.fill(strings.TrimSpace(value))}
	}
	words, _ := splitWords(s.fill(text))
	return slices.DeleteFunc(words, func(w string) bool { return !assigns(w) })
}

var dockerVariable = regexp.MustCompile(`\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?::?-([^}$]*))?\})`)

// fill puts the values of ENV and ARG into a line, as while building: what is not set is empty.
func (s *dockerStage) fill(text string) string {
	return dockerVariable.ReplaceAllStringFunc(text, func(v string) string {
		m := dockerVariable.FindStringSubmatch(v)
		if value, ok := getenv(slices.Concat(s.args, s.env), m[1]+m[2]); ok {
			return value
		}
		return m[3]
	})
}

// copied notes which folder of the project's becomes which of the image's.
func (s *dockerStage) copied(text string) {
	words, ok := execForm(text)
	if !ok {
		words = strings.Fields(text)
	}
	for len(words) > 0 && strings.HasPrefix(words[0], "--") {
		if strings.HasPrefix(words[0], "--from") {
			return
		}
		words = words[1:]
	}
	if len(words) != 2 {
		return
	}
	to := s.fill(words[1])
	if !path.IsAbs(to) {
		to = path.Join("/", s.workdir, to)
	}
	s.copies = append(slices.Clip(s.copies), [2]string{path.Clean(s.fill(words[0])), path.Clean(to)})
}

// dirOf is the folder of the project's that is the image's working folder. Where that has no single
// one it is the project's own.
func (s *dockerStage) dirOf(c Command) string {
	for _, cp := range slices.Backward(s.copies) {
		below, ok := strings.CutPrefix(s.workdir, cp[1])
		if !ok || below != "" && cp[1] != "/" && !strings.HasPrefix(below, "/") || strings.HasPrefix(cp[0], "..") {
			continue
		}
		dir := filepath.Join(c.Dir, cp[0], below)
		if isFolder(dir) {
			return dir
		}
	}
	return c.Dir
}

// quietVariables say nothing of how a server works.
var quietVariables = regexp.MustCompile(`^(PATH|LANG|LC_\w+|TZ|HOME|DEBIAN_FRONTEND|PYTHONUNBUFFERED|PYTHONDONTWRITEBYTECODE|PYTHONFAULTHANDLER|PYTHONHASHSEED|VIRTUAL_ENV|(PIP|POETRY|UV|NPM|YARN|PNPM|BUNDLE)_\w+|PNPM_HOME)$`)

// inDockerfile takes what the last stage starts.
func inDockerfile(c Command) []finding {
	text, unread, ok := readFile(c, "Dockerfile")
	if !ok {
		return unread
	}
	s := dockerfile(text)
	if s.image == "" {
		return nil
	}
	f := finding{where: at("Dockerfile", max(s.cmd.at, s.entry.at)), what: "has a CMD"}
	switch {
	case s.entry.empty() && s.cmd.empty():
		f.where, f.what, f.aside = "Dockerfile", "has neither CMD nor ENTRYPOINT", true
		f.err = fmt.Errorf("what the image %s starts can't be seen", s.image)
		return []finding{f}
	case s.cmd.empty() || s.entry.line != "":
		f.where, f.what = at("Dockerfile", s.entry.at), "has an ENTRYPOINT"
	case !s.entry.empty():
		f.where, f.what = at("Dockerfile", s.cmd.at), "has a CMD and an ENTRYPOINT"
	default:
		f.where = at("Dockerfile", s.cmd.at)
	}
	in := c
	in.Dir = s.dirOf(c)
	f.start, f.err = start{command: in, container: true, vars: s.env}.inContainer(s.entry, s.cmd)
	if f.err != nil {
		what := s.cmd
		if s.cmd.empty() || s.entry.line != "" {
			what = s.entry
		}
		f.what += ", " + what.shown()
		f.err = s.explain(f.err)
		return []finding{f}
	}
	f.command.Argv = s.paths(f.command)
	var lost []string
	for _, v := range s.env {
		name, value, _ := strings.Cut(v, "=")
		switch {
		case placeholders[name] != "": // which the server's file may read; it is given another
			f.command.Env = setenv(f.command.Env, name, value)
		case strings.Contains(s.cmd.shown()+s.entry.shown(), name): // it is filled in
		case !quietVariables.MatchString(name) && !slices.Contains(lost, name) && !slices.ContainsFunc(f.set, func(set string) bool { return strings.HasPrefix(set, name+"=") }):
			if _, here := getenv(c.Env, name); !here {
				lost = append(lost, name)
			}
		}
	}
	if len(lost) > 0 {
		f.notes = append(f.notes, "not set here, as only the Dockerfile sets it: "+strings.Join(lost, ", "))
	}
	return []finding{f}
}

var notSet = regexp.MustCompile(`the variable (\w+) is not set`)

// explain knows of a variable that it is there only while building.
func (s *dockerStage) explain(err error) error {
	m := notSet.FindStringSubmatch(err.Error())
	if m == nil {
		return err
	}
	if _, ok := getenv(s.args, m[1]); ok {
		return fmt.Errorf("%w: %s is an ARG, which is gone when the container runs", err, m[1])
	}
	return err
}

// paths are the words with the container's own folder taken off those that are here.
func (s *dockerStage) paths(c Command) []string {
	argv := slices.Clone(c.Argv)
	if s.workdir == "" || s.workdir == "/" {
		return argv
	}
	for i, w := range argv {
		for prefix := range strings.SplitSeq("|--config=|-c|-C|--ini=|--chdir=|--pythonpath=|--app-dir=", "|") {
			rest, ok := strings.CutPrefix(w, prefix+s.workdir+"/")
			if ok && !exists(filepath.Join(s.workdir, rest)) && exists(filepath.Join(c.Dir, rest)) {
				argv[i] = prefix + rest
			}
		}
	}
	return argv
}

var entryScript = regexp.MustCompile(`(^|/)[\w.-]*(entrypoint[\w.-]*|\.sh)$`)

// inContainer is what ENTRYPOINT and CMD start together, in Docker's way: lists are joined, in whichever
// order they stand, and an entry point for a shell leaves the CMD out. A script before the server can't
// be run here; it is left out and said.
func (s start) inContainer(entry, cmd dockerInstruction) (start, error) {
	if entry.line != "" {
		return s.instruction(entry)
	}
	words := entry.words
	for i, w := range words {
		if entryScript.MatchString(w) && !cmd.empty() && i == len(words)-1 {
			s.notes = append(s.notes, "not run: the entry point "+maskLine(w))
			words = nil
		}
	}
	switch {
	case len(words) == 0:
		return s.instruction(cmd)
	case cmd.line != "": // Docker hands them `sh -c LINE`
		return s.words(slices.Concat(words, []string{"sh", "-c", cmd.line}))
	default:
		return s.words(slices.Concat(words, cmd.words))
	}
}

func (s start) instruction(d dockerInstruction) (start, error) {
	if d.line == "" {
		return s.words(d.words)
	}
	s, err := s.shellLine(d.line)
	if err != nil {
		return s, err
	}
	return s.server()
}

func (s start) words(words []string) (start, error) {
	if len(words) == 0 {
		return s, errors.New("it starts nothing")
	}
	s.command.Argv = words
	return s.server()
}
