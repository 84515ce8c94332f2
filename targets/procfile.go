package targets

import (
	"fmt"
	"regexp"
	"strings"
)

var procfileLine = regexp.MustCompile(`^([A-Za-z0-9_-]+):\s*(.+)$`)

// A process is one line of a Procfile.
type process struct {
	kind, line string
	at         int // the line's number
}

func procfile(text string) []process {
	var found []process
	at := 0
	for l := range strings.Lines(text) {
		at++
		if m := procfileLine.FindStringSubmatch(strings.TrimSpace(l)); m != nil {
			found = append(found, process{kind: m[1], line: m[2], at: at})
		}
	}
	return found
}

var placeholders = map[string]string{"PORT": "{port}", "HOST": "{host}", "WEB_CONCURRENCY": "{workers}"}

var variable = regexp.MustCompile(`^\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?::?-([^}$]*))?\})`)

// expand puts the values of variables into a line, quoted so that they stay what they are. Single
// quotes protect a variable as they do in a shell. One that is neither set nor has a default is an
// error: the shell's empty word would start something else.
func expand(line string, env []string) (string, error) {
	var out strings.Builder
	var single, double bool
	for i := 0; i < len(line); {
		c := line[i]
		switch {
		case c == '\\' && !single && i+1 < len(line):
			out.WriteString(line[i : i+2])
			i += 2
			continue
		case c == '\'' && !double:
			single = !single
		case c == '"' && !single:
			double = !double
		case c == '$' && !single:
			m := variable.FindStringSubmatch(line[i:])
			if m == nil {
				break
			}
			value, err := valueOf(m, env)
			if err != nil {
				return "", err
			}
			out.WriteString(protect(value, double))
			i += len(m[0])
			continue
		}
		out.WriteByte(c)
		i++
	}
	return out.String(), nil
}

// valueOf is the value of a variable as matched by the pattern above.
func valueOf(m, env []string) (string, error) {
	name := m[1] + m[2]
	if p, ok := placeholders[name]; ok {
		return p, nil
	}
	if v, ok := getenv(env, name); ok && v != "" {
		return v, nil
	}
	if strings.Contains(m[0], "-") {
		return strings.Trim(m[3], `"'`), nil
	}
	return "", fmt.Errorf("the variable %s is not set", name)
}

// protect quotes a value for where it stands. Outside quotes it is split at spaces, as in a shell.
func protect(value string, double bool) string {
	if double {
		return strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value)
	}
	fields := strings.Fields(value)
	for i, f := range fields {
		fields[i] = quote(f)
	}
	return strings.Join(fields, " ")
}
