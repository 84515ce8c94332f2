package targets

import (
	"cmp"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"advise/targets/mask"
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
	for _, f := range t.Adapter.Config(t.Command, s) {
		text, err := toPaste(f)
		if err != nil {
			p.LeftOut = append(p.LeftOut, fmt.Sprintf("no %s: %v", f.Path, err))
			continue
		}
		p.Config = append(p.Config, File{Path: f.Path, Text: text})
	}
	deploy, left := t.deploy(s, b)
	p.Deploy, p.LeftOut = deploy, append(p.LeftOut, left...)
	return p
}

// unwritable is why a text to paste is left out.
type unwritable string

func (u unwritable) Error() string { return string(u) }

const (
	secretInside = unwritable("it would hold a secret, which is not kept")
	secretScript = unwritable("a secret is in the script of its command, which is not kept")
)

// toPaste is a text with a variable in the place of each secret.
func toPaste(f File) (string, error) {
	if err := inert(f.Text); err != nil {
		return "", err
	}
	if !strings.Contains(f.Text, mask.Mark) {
		return f.Text, nil
	}
	if f.Path != commandFile && f.Path != environmentFile {
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

// foreign is a character that no text to paste may hold: control characters, those that turn the direction of
// writing, and what is no character at all.
func foreign(r rune) bool { return !unicode.IsPrint(r) }

// inert says whether a text can be pasted as it is.
func inert(text string) error {
	if strings.ContainsFunc(text, func(r rune) bool { return r != '\n' && r != '\t' && foreign(r) }) {
		return unwritable("it would hold a control character")
	}
	return nil
}

// unitFolder says whether a unit can name a folder: it has no quotes for one.
func unitFolder(dir string) error {
	switch {
	case strings.ContainsFunc(dir, foreign):
		return unwritable("the folder's name has a line break or another control character, which a unit can't hold")
	case dir != strings.TrimSpace(dir), strings.HasSuffix(dir, `\`):
		return unwritable("the folder's name begins or ends in a space or ends in a backslash, which a unit can't hold")
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
	taken := map[string]bool{}
	opened = slices.Clone(words)
	for i, w := range words {
		if !strings.Contains(w, mask.Mark) {
			continue
		}
		option := ""
		if i > 0 {
			option = words[i-1]
		}
		head, value := beforeSecret(w)
		if strings.ContainsAny(value, " \t\n") && !strings.Contains(value, ": ") {
			if head == "" || !assigns(head) { // a script, as behind sh -c
				return nil, nil, secretScript
			}
			inner, ok := splitWords(value)
			if !ok {
				return nil, nil, secretScript
			}
			inner, more, err := openSecrets(inner)
			if err != nil {
				return nil, nil, err
			}
			for j, one := range inner {
				inner[j] = quoteText(one)
			}
			opened[i], names = head+strings.Join(inner, " "), append(names, more...)
			continue
		}
		name, set := strings.CutSuffix(head, "=")
		if !set || !assigns(head) || strings.Contains(name, "=") {
			name = variableName(cmp.Or(head, option), taken)
		}
		opened[i], names = head+reference(name), append(names, name)
	}
	return opened, names, nil
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

var notInName = regexp.MustCompile(`[^A-Z0-9]+`)

// variableName makes a variable's name of what comes before a secret, another one for each.
func variableName(before string, taken map[string]bool) string {
	before = strings.TrimSuffix(before, "=")
	if i := strings.LastIndex(before, "="); i >= 0 {
		before = before[i+1:]
	}
	base := strings.Trim(notInName.ReplaceAllString(strings.ToUpper(filepath.Base(before)), "_"), "_")
	if base == "" || base[0] >= '0' && base[0] <= '9' || len(base) == 1 {
		base = "SECRET"
	}
	name := base
	for n := 2; taken[name]; n++ {
		name = fmt.Sprintf("%s_%d", base, n)
	}
	taken[name] = true
	return name
}
