package targets

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"advise/targets/mask"
	"advise/targets/plain"
)

// A Pasted is what to put where to run a target at a shape.
type Pasted struct {
	// Config are the lines that set the count, Deploy what starts the server elsewhere.
	Config, Deploy []File
	// LeftOut says of each text that can't be written why it is not there, in a line.
	LeftOut []string
}

// Paste is what to paste for a shape and a budget. No secret is in it and nothing that stands for one: where
// one is needed the text takes it from the environment and does not start without. A text that can't hold
// what it would need, such as a name with a line break, is left out.
func (t *Target) Paste(s Shape, b Budget) Pasted {
	var p Pasted
	given := t.printable(s)
	for _, f := range t.Adapter.Config(t.Command, s) {
		text, err := toPaste(f, given)
		if err != nil {
			p.LeftOut = append(p.LeftOut, fmt.Sprintf("no %s: %v", f.Path, err))
			continue
		}
		p.Config = append(p.Config, File{Path: f.Path, Text: text})
	}
	deploy, left := t.deploy(s, b, given)
	p.Deploy, p.LeftOut = deploy, append(p.LeftOut, left...)
	return p
}

// unwritable is why a text to paste is left out.
type unwritable string

func (u unwritable) Error() string { return string(u) }

const (
	secretInside = unwritable("it would hold a secret, which is not kept")
	secretScript = unwritable("a secret is in the script of its command, which is not kept")
	notPrinted   = unwritable("the command has a character that does not print, such as a line break")
	noProgram    = unwritable("the program that it would start is not kept")

	nameNotPrinted = unwritable("its name has a character that does not print, such as a line break")
)

// printable says whether the command, its shape and the variables that go with it can be written as they are.
func (t *Target) printable(s Shape) error {
	words := append(slices.Clone(t.Command.Argv), s.Class)
	if k, ok := t.Adapter.(keeper); ok {
		for _, name := range k.variables() {
			value, _ := getenv(t.Command.Env, name)
			words = append(words, value)
		}
	}
	if slices.ContainsFunc(words, func(w string) bool { return strings.ContainsFunc(w, foreign) }) {
		return notPrinted
	}
	return nil
}

// toPaste is a text with a variable in the place of each secret. A line to paste holds the command, which can
// be written or not as given says.
func toPaste(f File, given error) (string, error) {
	ofCommand := f.Path == commandFile || f.Path == environmentFile
	if ofCommand && given != nil {
		return "", given
	}
	if strings.ContainsFunc(f.Path, foreign) {
		return "", nameNotPrinted
	}
	if err := inert(f.Text); err != nil {
		return "", err
	}
	if !strings.Contains(f.Text, mask.Mark) {
		return f.Text, nil
	}
	if !ofCommand {
		return "", secretInside
	}
	var out strings.Builder
	for line := range strings.Lines(f.Text) {
		words, ok := splitWords(strings.TrimSpace(line))
		if !ok {
			return "", secretScript
		}
		words, names, err := openSecrets(words)
		if err != nil {
			return "", err
		}
		out.WriteString(secretNotes(names) + quoteOpen(words) + "\n")
	}
	return out.String(), nil
}

// secretNotes are the lines that say which variables have to be set before.
func secretNotes(names []string) string {
	var text strings.Builder
	for _, name := range names {
		fmt.Fprintf(&text, "# %s holds a secret: set it in the environment\n", name)
	}
	return text.String()
}

// foreign is a character that no text to paste may hold.
func foreign(r rune) bool { return !plain.Passes(r) }

// inert says whether a text can be pasted as it is.
func inert(text string) error {
	if strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && r != '\t' && foreign(r) }) {
		return unwritable("it would hold a character that does not print")
	}
	return nil
}

// unitFolder says whether a unit can name a folder: it has no quotes for one.
func unitFolder(dir string) error {
	switch {
	case strings.ContainsFunc(dir, foreign):
		return unwritable("the folder's name has a character that does not print, such as a line break, which a unit can't hold")
	case dir != strings.TrimSpace(dir), strings.HasSuffix(dir, `\`):
		return unwritable("the folder's name begins or ends in a space or ends in a backslash, which a unit can't hold")
	}
	return nil
}

// unitProgram says whether a unit can start a program: quotes don't help against the signs that systemd looks
// for before its path, and no variable is put into that.
func unitProgram(path string) error {
	if path == "" || strings.Contains(path, "$") || strings.ContainsAny(path[:1], "@-:+!|") {
		return unwritable("a unit can't start a program of that name")
	}
	return nil
}

// refMark stands around the name of a variable inside a word: no word of a command has it.
const refMark = "\x00"

func reference(name string) string { return refMark + name + refMark }

// segments are the parts of a word: texts and names of variables in turn, beginning with a text.
func segments(word string) []string { return strings.Split(word, refMark) }

// openSecrets puts a variable in the place of what was masked, and returns the variables' names.
func openSecrets(words []string) (opened, names []string, err error) {
	o := opener{taken: map[string]bool{}}
	for _, w := range words {
		if assigns(w) && !strings.Contains(w, mask.Mark) {
			name, _, _ := strings.Cut(w, "=")
			o.taken[name] = true
		}
	}
	opened, err = o.open(words)
	return opened, o.names, err
}

// An opener gives names to the variables that are to hold secrets.
type opener struct {
	names []string
	taken map[string]bool
}

func (o *opener) open(words []string) ([]string, error) {
	opened := slices.Clone(words)
	for i, w := range words {
		if !strings.Contains(w, mask.Mark) {
			continue
		}
		head, value := beforeSecret(w)
		if strings.ContainsAny(value, " \t\n") && !strings.Contains(value, ": ") {
			if !assigns(head) { // a script, as behind sh -c
				return nil, secretScript
			}
			inner, ok := splitWords(value)
			if !ok {
				return nil, secretScript
			}
			inner, err := o.open(inner)
			if err != nil {
				return nil, err
			}
			for j, one := range inner {
				inner[j] = quoteText(one)
			}
			opened[i] = head + strings.Join(inner, " ")
			continue
		}
		before := head
		if head == "" && i > 0 && strings.HasPrefix(words[i-1], "-") {
			before = words[i-1]
		}
		opened[i] = head + reference(o.name(before))
	}
	return opened, nil
}

// beforeSecret parts a word into what says what its value is, as in --env=TOKEN=, and the value.
func beforeSecret(word string) (head, value string) {
	at := strings.LastIndex(word[:strings.Index(word, mask.Mark)], "=") + 1
	if first := strings.IndexAny(word, " \t\n"); first >= 0 && first < at { // a value of several words
		at = strings.Index(word, "=") + 1
	}
	return word[:at], word[at:]
}

// quoteText quotes the texts of a word for a shell, its variables left open.
func quoteText(word string) string {
	parts := segments(word)
	for i := 0; i < len(parts); i += 2 {
		if parts[i] != "" {
			parts[i] = quote(parts[i])
		}
	}
	return strings.Join(parts, refMark)
}

var (
	notInName = regexp.MustCompile(`[^A-Z0-9]+`)
	// inherited are variables that a shell, a login or a platform sets: ${PWD:?} would never be missed.
	inherited = regexp.MustCompile(`^(?i:PATH|HOME|USER|USERNAME|LOGNAME|SHELL|SHLVL|PWD|OLDPWD|TERM|LANG|LANGUAGE|LC_.*|TZ|TMP|TEMP|TMPDIR|` +
		`MAIL|EDITOR|PAGER|DISPLAY|HOST|HOSTNAME|HOSTTYPE|OSTYPE|MACHTYPE|PORT|NAME|IFS|PS[0-9]|E?UID|PPID|GROUPS|RANDOM|SECONDS|LINENO|` +
		`COLUMNS|LINES|OPT.*|DIRSTACK|FUNCNAME|REPLY|BASH.*|XDG_.*|SSH_.*|SUDO_.*|INVOCATION_ID|JOURNAL_STREAM|_+)$`)
)

// name is the variable for the secret behind an option or an assignment, another one for each. A variable that
// is set keeps its name. What is called after an option has it behind SECRET, and so has a variable that
// has a value anyway.
func (o *opener) name(before string) string {
	before = strings.TrimSuffix(before, "=")
	last := before[strings.LastIndex(before, "=")+1:]
	base := last
	if !assigns(last+"=") || inherited.MatchString(last) || o.taken[last] {
		base = "SECRET"
		if words := strings.Trim(notInName.ReplaceAllString(strings.ToUpper(last), "_"), "_"); len(words) > 1 {
			base += "_" + words
		}
	}
	name := base
	for n := 2; o.taken[name]; n++ {
		name = fmt.Sprintf("%s_%d", base, n)
	}
	o.taken[name] = true
	o.names = append(o.names, name)
	return name
}
