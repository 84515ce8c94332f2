package mask

import (
	"regexp"
	"strings"
	"unicode"
)

var (
	// number is one with a unit, or several: 30, 0.5, 512M, 100ms, 5:5, 1,2,4, 1..8.
	number = regexp.MustCompile(`^[+-]?\d{1,10}(?:\.\d{1,6})?(?:[kKmMgGtT]?i?[bB]?|ms|us|ns|[smhd%])(?:(?:[,:-]|\.\.)\d{1,10}(?:\.\d+)?[kKmMgGsh]?)*$`)
	// hostPort is an address to listen on, or a socket.
	hostPort = regexp.MustCompile(`^(?:localhost|\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-fA-F:]*\]|[0-9a-fA-F]{0,4}::[0-9a-fA-F:]*|\*|[a-z][a-z0-9-]{0,20}(?:\.[a-z][a-z0-9-]{0,20})*)?:\d{1,5}$|^\d{1,3}(?:\.\d{1,3}){3}(?:/\d{1,2})?$|^\[?::1?\]?$`)
	listener = regexp.MustCompile(`^(?:unix|tcp|fd|ssl|http|https|file):[A-Za-z0-9_./:@{}-]+$`)
	version  = regexp.MustCompile(`^v?\d{1,4}(?:\.\d{1,4}){1,3}[a-z0-9.-]{0,8}$`)

	identifier = `[A-Za-z_][A-Za-z_0-9]{0,40}`
	// module is app:app, shop.wsgi, shop.wsgi:create_app(), App::Server.
	module   = regexp.MustCompile(`^(?:egg:)?` + identifier + `(?:(?:\.|::|[:#])` + identifier + `)*(?:\(\))?$`)
	fileName = regexp.MustCompile(`^[A-Za-z0-9_.@+-]*\.(?:py|pyc|js|mjs|cjs|ts|tsx|rb|ru|php|phtml|conf|cfg|ini|inc|ya?ml|toml|json|xml|sock|socket|log|pid|pem|crt|cert|cer|key|html?|txt|sh|jar|war|env|lock|so|css|state|list|csv|md|types)$`)
	onPath   = regexp.MustCompile(`^[A-Za-z0-9_.@+,:=%~{}$*-]*(?:/[A-Za-z0-9_.@+,:=%~{}$*-]*)+$`)
	ordinary = regexp.MustCompile(`^[A-Za-z0-9_.,:/@%+=~^{}\[\]*-]*(?:\(\))?$`)

	// atom stands for something that is filled in later: {port}, $PORT, ${PORT}, $(nproc), ***.
	atom         = regexp.MustCompile(`\*\*\*|\{(?:port|host|workers|threads|class)\}|\$\{?(?:[A-Z_][A-Z0-9_]*|[a-z_][a-z_]*|[0-9@*#?$!])\}?|\$\([^()]*\)|\$\(\([^()]*\)\)|` + "`[^`]*`")
	wholeSecret  = regexp.MustCompile(`^\$\{?[A-Z_][A-Z0-9_]*\}?$`)
	knownPrefix  = regexp.MustCompile(`(?:\bgh[pousr]_|github_pat_|glpat-|\b[srp]k_(?:live|test)_|\bsk-|\bxox[a-z]-|\b(?:AKIA|ASIA|AROA)[A-Z0-9]{6}|\bAIza[A-Za-z0-9_-]|\beyJ[A-Za-z0-9_-]{4}|\bnpm_|\bpypi-|\bdop_v1_|\bhf_|\bSG\.[A-Za-z0-9]|\bshp(?:at|ss|ca)_|\bwhsec_|\bya29\.|\bdckr_pat_|\bhvs\.|AGE-SECRET-KEY-|\brubygems_|\bsq0[a-z]{3}-|\bPMAK-|\bnfp_|\blin_api_|\bdp\.pt\.|\bGOCSPX-|\bglsa_|\bEAAC|\bAC[a-f0-9]{16}|\bkey-[a-f0-9]{8}|\bxkeysib-|\bsecret_|\brk_live_)[A-Za-z0-9_./+=-]*`)
	begins       = regexp.MustCompile(`-----BEGIN[ A-Z]*`)
	run          = regexp.MustCompile(`[A-Za-z0-9+/_=-]{20,}`)
	alphanumeric = regexp.MustCompile(`[A-Za-z0-9]+`)
	longDigits   = regexp.MustCompile(`\d{11,}`)
	upperFirst   = regexp.MustCompile(`^[A-Z]?[a-z]*$|^[A-Z]+$`)
)

// reference is a variable's name, or what is there already: nothing is known by it.
func reference(value string) bool {
	return value == "" || value == Mark || wholeSecret.MatchString(value)
}

// withoutAtoms is a word without what stands for something else.
func withoutAtoms(word string) string { return atom.ReplaceAllString(word, "") }

// plain is true for a word as people write them: a name, a module, a path, a number, an address.
func plain(word string) bool {
	rest := withoutAtoms(word)
	switch {
	case !ordinary.MatchString(rest), token(rest):
		return false
	case known(rest):
		return true
	case isPath(rest):
		return true
	default:
		return !mixed(rest) && !longDigits.MatchString(rest)
	}
}

// harmless is true for a word that can't be a secret, whatever it belongs to that is no secret's.
func harmless(word string) bool {
	rest := withoutAtoms(word)
	if !ordinary.MatchString(rest) || token(rest) {
		return false
	}
	if known(rest) || isPath(rest) {
		return true
	}
	return strings.ContainsAny(rest, ".:") && module.MatchString(rest) && !numbered(rest) && !strings.ContainsAny(rest, "@")
}

// known are words that are harmless by their form alone.
func known(word string) bool {
	return word == "" || number.MatchString(word) || boolean(word) || hostPort.MatchString(word) || version.MatchString(word) ||
		harmlessWords[strings.ToLower(word)] || listener.MatchString(word) && !mixed(word) || fileName.MatchString(word) && !mixed(word) ||
		allHarmless(word)
}

// allHarmless is a list of harmless words, such as GET,POST.
func allHarmless(word string) bool {
	for part := range strings.SplitSeq(word, ",") {
		if !harmlessWords[strings.ToLower(part)] {
			return false
		}
	}
	return true
}

// isPath is true for a path in the file system: a folder that is one of nobody's secrets.
func isPath(word string) bool {
	if !onPath.MatchString(word) {
		return false
	}
	if word[0] == '/' || word[0] == '.' || word[0] == '~' {
		return true
	}
	return !mixed(word)
}

// token is true for what looks like one: by its first letters, or because no word is made like that.
func token(word string) bool {
	if knownPrefix.MatchString(word) || begins.MatchString(word) {
		return true
	}
	for _, part := range run.FindAllString(word, -1) {
		if dense(part) {
			return true
		}
	}
	return false
}

// dense says whether letters, digits and capitals change places too often for words.
func dense(text string) bool {
	changes, length := 0, 0
	var digits, upper, lower bool
	before := 'a'
	for i, r := range text {
		if r >= 0x80 || notAlphanumeric(r) {
			before = 0
			continue
		}
		class := 'a'
		switch {
		case unicode.IsDigit(r):
			class, digits = '0', true
		case unicode.IsUpper(r):
			class, upper = 'A', true
		default:
			lower = true
		}
		if i > 0 && before != 0 && class != before && !(before == 'A' && class == 'a') {
			changes++
		}
		before = class
		length++
	}
	if length < 16 {
		return false
	}
	if !digits && !(upper && lower) {
		return false
	}
	return changes*4 >= length || onlyHex(text) && digits && changes >= 5
}

var hex = regexp.MustCompile(`^[0-9a-fA-F-]{20,}$`)

func onlyHex(text string) bool { return hex.MatchString(text) }

// mixed says whether letters and digits stand among each other as in no name: s3cr3t, but not php8 or
// x86_64.
func mixed(word string) bool {
	for _, part := range alphanumeric.FindAllString(word, -1) {
		changes, irregular := 0, 0
		for i := 1; i < len(part); i++ {
			a, b := rune(part[i-1]), rune(part[i])
			if unicode.IsDigit(a) != unicode.IsDigit(b) {
				changes++
			}
			if unicode.IsLower(a) && unicode.IsUpper(b) && (i+1 == len(part) || !unicode.IsLower(rune(part[i+1]))) {
				irregular++
			}
		}
		switch {
		case changes >= 3, changes >= 2 && len(part) >= 8, irregular >= 2, irregular >= 1 && changes >= 1:
			return true
		case len(part) >= 16 && changes > 0 && !upperFirst.MatchString(strings.TrimRight(part, "0123456789")):
			return true
		case len(part) >= 24:
			return true
		}
	}
	return false
}

var digitInWord = regexp.MustCompile(`[A-Za-z_]\d`)

// numbered says whether a name has a number in it, as passwords do.
func numbered(word string) bool { return digitInWord.MatchString(word) }
