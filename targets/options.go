package targets

import (
	"regexp"
	"slices"
	"strings"
)

// A grammar is which options a program has and which of them take a value: what must be known to
// tell an option's value from an argument.
type grammar struct {
	long  map[string]bool   // by name with its dashes: takes a value
	short map[string]string // of the short spelling and its aliases: the long one
}

// newGrammar reads one option a word: spellings divided by |, the name first, and a = at the end of
// those that take a value.
func newGrammar(words string) grammar {
	g := grammar{long: map[string]bool{}, short: map[string]string{}}
	for word := range strings.FieldsSeq(words) {
		spellings, valued := strings.CutSuffix(word, "=")
		name, aliases, _ := strings.Cut(spellings, "|")
		g.long[name] = valued
		for alias := range strings.SplitSeq(aliases, "|") {
			if alias != "" {
				g.short[alias] = name
			}
		}
	}
	return g
}

// An argument is an option with its value, or a positional argument, whose option is empty.
type argument struct {
	option string
	value  string
	words  []string // as written
}

// with is the argument in the same spelling, with another value.
func (a argument) with(value string) []string {
	if len(a.words) == 2 {
		return []string{a.words[0], value}
	}
	return []string{strings.TrimSuffix(a.words[0], a.value) + value}
}

var negative = regexp.MustCompile(`^-\d+$|^-\d*\.\d+$`)

// parse reads arguments by the rules of Python's argparse: long options may be shortened to what is
// unambiguous, short ones may be run together, a value may be glued on. What it does not know is an
// option without a value.
func (g grammar) parse(args []string) []argument {
	var parsed []argument
	for i := 0; i < len(args); i++ {
		word := args[i]
		if word == "--" {
			parsed = append(parsed, argument{option: "--", words: args[i : i+1]})
			for _, w := range args[i+1:] {
				parsed = append(parsed, argument{value: w, words: []string{w}})
			}
			break
		}
		if !strings.HasPrefix(word, "-") || word == "-" || negative.MatchString(word) {
			parsed = append(parsed, argument{value: word, words: []string{word}})
			continue
		}
		found := g.read(word)
		last := &found[len(found)-1]
		if g.valued(last.option) && !last.glued() && i+1 < len(args) && !g.isOption(args[i+1]) {
			i++
			last.value = args[i]
			last.words = append(last.words, args[i])
		}
		parsed = append(parsed, found...)
	}
	return parsed
}

// glued says whether the value is in the same word as the option.
func (a argument) glued() bool {
	if strings.HasPrefix(a.words[0], "--") {
		return strings.Contains(a.words[0], "=")
	}
	return len(a.words[0]) > 2
}

// read takes apart one word: a long option, or short ones that were run together.
func (g grammar) read(word string) []argument {
	if strings.HasPrefix(word, "--") {
		name, value, _ := strings.Cut(word, "=")
		return []argument{{option: g.resolve(name), value: value, words: []string{word}}}
	}
	var found []argument
	for letters := word[1:]; letters != ""; {
		spelled := "-" + letters[:1]
		name, known := g.short[spelled]
		if !known {
			return append(found, argument{option: "-" + letters, words: []string{"-" + letters}})
		}
		letters = letters[1:]
		if g.long[name] {
			return append(found, argument{option: name, value: strings.TrimPrefix(letters, "="), words: []string{spelled + letters}})
		}
		found = append(found, argument{option: name, words: []string{spelled}})
	}
	return found
}

// resolveAlias is the long name of a spelling that is not shortened.
func (g grammar) resolveAlias(name string) string {
	if long, ok := g.short[name]; ok {
		return long
	}
	return name
}

func (g grammar) valued(option string) bool { return g.long[option] }

// resolve completes a shortened long option. What it does not know, or what could be several, it
// gives back.
func (g grammar) resolve(name string) string {
	if _, ok := g.long[name]; ok {
		return name
	}
	if long, ok := g.short[name]; ok {
		return long
	}
	found := map[string]bool{}
	for long := range g.long {
		if strings.HasPrefix(long, name) {
			found[long] = true
		}
	}
	for alias, long := range g.short {
		if strings.HasPrefix(alias, name) {
			found[long] = true
		}
	}
	if len(found) != 1 {
		return name
	}
	for long := range found {
		name = long
	}
	return name
}

// isOption says whether a word can't be the value of the option before it.
func (g grammar) isOption(word string) bool {
	return len(word) > 1 && word[0] == '-' && !negative.MatchString(word) && !strings.Contains(word, " ")
}

// last is the value of an option; of several the last one holds.
func (g grammar) last(args []string, option string) string {
	for _, a := range slices.Backward(g.parse(args)) {
		if a.option == option {
			return a.value
		}
	}
	return ""
}

// says tells whether an option is among the arguments.
func (g grammar) says(args []string, option string) bool {
	return slices.ContainsFunc(g.parse(args), func(a argument) bool { return a.option == option })
}

// without are the arguments less the options that are dropped.
func (g grammar) without(args []string, dropped func(option string) bool) []string {
	var kept []string
	for _, a := range g.parse(args) {
		if a.option == "" || !dropped(a.option) {
			kept = append(kept, a.words...)
		}
	}
	return kept
}

// set are the arguments with a change in the option's place, or in front where it has none.
func (g grammar) set(args []string, ch change) []string {
	var out []string
	found := ch.spelled == ""
	for _, a := range g.parse(args) {
		if a.option == ch.option && ch.spelled == "" {
			continue
		}
		if a.option == ch.option {
			found = true
			out = append(out, a.with(ch.value)...)
			continue
		}
		out = append(out, a.words...)
	}
	switch {
	case found:
		return out
	case !g.valued(ch.option):
		return append([]string{ch.spelled}, out...)
	default:
		return append([]string{ch.spelled, ch.value}, out...)
	}
}
