package targets

import (
	"regexp"
	"slices"
	"strings"
)

const mask = "***"

// secretWord is what the name of a secret contains.
const secretWord = `(?:passw(?:or)?d|passwd|passphrase|secret|token|api[-_]?key|access[-_]?key|private[-_]?key|credentials?)`

var (
	secretName   = regexp.MustCompile(`(?i)` + secretWord)
	secretFile   = regexp.MustCompile(`(?i)(file|path|dir|url|name|header)$`)
	secretURL    = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://[^/\s:@'"]*):([^@/\s'"]+)@`)
	secretHeader = regexp.MustCompile(`(?i)^((?:proxy-)?authorization|cookie|[a-z-]*(?:token|api-?key|secret))\s*:\s*\S.*$`)
	// Inside a longer text, such as the argument of sh -c.
	secretAssigned = regexp.MustCompile(`(?i)(\b[a-z0-9_]*` + secretWord + `[a-z0-9_]*=)('[^']*'|"[^"]*"|[^\s'"]+)`)
	secretFlag     = regexp.MustCompile(`(?i)(--?[a-z0-9-]*` + secretWord + `[ =]+)('[^']*'|"[^"]*"|[^\s'"-][^\s'"]*)`)
)

// MaskCommand replaces by *** what looks like a secret: the values of flags and variables called
// password, token, secret, key and the like, and passwords in URLs. It says whether there was any.
func MaskCommand(argv []string) (masked []string, changed bool) {
	masked = slices.Clone(argv)
	next := false
	for i, word := range masked {
		if next && !strings.HasPrefix(word, "-") {
			masked[i], next = mask, false
			continue
		}
		masked[i], next = maskWord(word)
	}
	return masked, !slices.Equal(masked, argv)
}

// maskWord masks one word, and says whether the word after it is a secret.
func maskWord(word string) (masked string, next bool) {
	word = secretURL.ReplaceAllString(word, "$1:"+mask+"@")
	if strings.ContainsAny(word, " \t\n") {
		word = secretHeader.ReplaceAllString(word, "$1: "+mask)
		word = secretAssigned.ReplaceAllString(word, "${1}"+mask)
		return secretFlag.ReplaceAllString(word, "${1}"+mask), false
	}
	name, value, assigned := strings.Cut(word, "=")
	flag := strings.HasPrefix(name, "-")
	secret := secretName.MatchString(name) && !secretFile.MatchString(name)
	switch {
	case assigned && secret && (flag || assigns(word)):
		return name + "=" + mask, false
	case assigned && flag && assigns(value): // --env=TOKEN=x
		inner, _ := maskWord(value)
		return name + "=" + inner, false
	case !assigned && flag && secret:
		return word, true
	}
	return secretAssigned.ReplaceAllString(word, "${1}"+mask), false
}
