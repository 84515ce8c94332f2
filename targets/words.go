package targets

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"advise/targets/mask"

	"github.com/mattn/go-shellwords"
)

// splitWords splits a line as a shell would, without running or expanding anything. It is not ok
// when the line needs a shell: for a pipeline, a list of commands, a redirection, a
// substitution.
func splitWords(line string) (words []string, ok bool) {
	parser := shellwords.NewParser()
	words, err := parser.Parse(line)
	if err != nil || !utf8.ValidString(line) || parser.Position >= 0 || slices.ContainsFunc(words, substitutes) {
		return nil, false
	}
	return words, true
}

func substitutes(word string) bool {
	return strings.Contains(word, "$(") || strings.Contains(word, "`")
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./{}-]+$`)

// quote makes one word of a shell's.
func quote(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

func quoteAll(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = quote(w)
	}
	return strings.Join(quoted, " ")
}

// show is a command for people: as they would type it, its secrets masked.
func show(argv []string) string {
	masked, _ := mask.Command(argv)
	return quoteAll(masked)
}

// unwrapShell takes a command out of `sh -c '...'`, where it can be changed, if it is a single one
// that needs no shell. A leading exec is the shell's and goes too.
func unwrapShell(argv []string) []string {
	if len(argv) == 3 && slices.Contains([]string{"sh", "bash", "dash", "ash", "zsh"}, filepath.Base(argv[0])) && argv[1] == "-c" {
		words, ok := splitWords(argv[2])
		if ok && len(words) > 0 && !strings.ContainsAny(argv[2], "$*?~") && !assigns(words[0]) {
			argv = words
		}
	}
	if len(argv) > 1 && argv[0] == "exec" {
		argv = argv[1:]
	}
	return argv
}

var assignment = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*=`)

func assigns(word string) bool { return assignment.MatchString(word) }
