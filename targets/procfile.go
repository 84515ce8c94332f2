package targets

import (
	"fmt"
	"regexp"
	"strings"
)

var procfileLine = regexp.MustCompile(`^([A-Za-z0-9_-]+):\s*(.+)$`)

// procfileWeb is the command of a Procfile's web process.
func procfileWeb(text string) (line string, ok bool) {
	for l := range strings.Lines(text) {
		m := procfileLine.FindStringSubmatch(strings.TrimSpace(l))
		if m != nil && m[1] == "web" {
			return m[2], true
		}
	}
	return "", false
}

// A procfileCommand is a line that needs no shell: variables set before the program, and the program.
type procfileCommand struct {
	dir  string   // of a leading cd
	set  []string // NAME=value
	argv []string
}

// parseProcfile splits a Procfile's command and puts values in the place of variables, as the shell
// would that usually runs it. PORT, HOST and WEB_CONCURRENCY become placeholders. A line that only a
// shell can run is an error that says why.
func parseProcfile(line string, env []string) (procfileCommand, error) {
	var p procfileCommand
	if m := leadingCD.FindStringSubmatch(line); m != nil {
		p.dir, line = m[1], m[2]
	}
	expanded, err := expand(line, env)
	if err != nil {
		return p, err
	}
	words, ok := splitWords(expanded)
	if !ok {
		return p, fmt.Errorf("it needs a shell")
	}
	for len(words) > 0 && assigns(words[0]) {
		p.set = append(p.set, words[0])
		words = words[1:]
	}
	if len(words) == 0 {
		return p, fmt.Errorf("it starts nothing")
	}
	p.argv = unwrapShell(words)
	return p, nil
}

var leadingCD = regexp.MustCompile(`^\s*cd\s+([\w./-]+)\s*&&\s*(.+)$`)

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

// lastOf is the last command of a list joined by &&: in `migrate && serve`, the server.
func lastOf(line string) string {
	parts := strings.Split(line, "&&")
	return strings.TrimSpace(parts[len(parts)-1])
}
