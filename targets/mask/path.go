package mask

import (
	"regexp"
	"strings"
)

var (
	// harmlessName and harmlessValue are those of a query that say which page is meant, and no more.
	harmlessName  = regexp.MustCompile(`^(q|query|search|page|per_page|size|limit|offset|sort|order|lang|locale|category|n|ms)$`)
	harmlessValue = regexp.MustCompile(`^([a-z]{1,16}|[0-9]{1,6})$`)
)

// Path masks the values in the query of a path that are not known to be harmless, and says whether any
// was hidden. One that is masked already has hidden ones too.
func Path(path string) (shown string, hidden bool) {
	page, query, ok := strings.Cut(path, "?")
	if !ok {
		return path, false
	}
	parts := strings.Split(query, "&")
	for i, part := range parts {
		name, value, assigned := strings.Cut(part, "=")
		switch {
		case assigned && value == "", assigned && harmlessName.MatchString(name) && harmlessValue.MatchString(value):
		case !assigned && harmlessValue.MatchString(part):
		case !assigned:
			parts[i], hidden = Mark, true
		default:
			parts[i], hidden = name+"="+Mark, true
		}
	}
	return page + "?" + strings.Join(parts, "&"), hidden
}
