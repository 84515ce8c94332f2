package targets

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

const (
	// largestCompose bounds a Compose file: parsing takes many times its size.
	largestCompose = 256 << 10
	mostSteps      = 1 << 16
	// deepestYAML bounds brackets and aliases within each other.
	deepestYAML = 32
)

// A composeService is what a Compose file says of one service's start.
type composeService struct {
	name           string
	command, entry dockerInstruction // a line is one that can't be split
	environment    []string          // NAME=value
	context        string            // the folder it is built in
}

// composeServices reads a Compose file.
func composeServices(text string, env []string) ([]composeService, error) {
	if len(text) > largestCompose || !utf8.ValidString(text) {
		return nil, fmt.Errorf("it is not UTF-8 text of at most %d KiB", largestCompose>>10)
	}
	tokens := lexer.Tokenize(strings.TrimPrefix(text, "\ufeff"))
	if tooDeep(tokens) {
		return nil, errors.New("it is nested too deep")
	}
	tree, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		first, _, _ := strings.Cut(err.Error(), "\n")
		return nil, fmt.Errorf("it is not YAML: %s", first)
	}
	var services []composeService
	for _, doc := range tree.Docs {
		if doc.Body == nil {
			continue
		}
		y := yamlReader{anchors: map[string]ast.Node{}, steps: mostSteps}
		ast.Walk(&y, doc.Body)
		for _, pair := range y.pairs(y.get(doc.Body, "services"), deepestYAML) {
			s := composeService{name: pair.key}
			s.command = y.command(y.get(pair.value, "command"), env)
			s.entry = y.command(y.get(pair.value, "entrypoint"), env)
			s.environment = y.environment(y.get(pair.value, "environment"))
			build := y.get(pair.value, "build")
			if context, ok := y.text(build); ok {
				s.context = context
			} else {
				s.context, _ = y.text(y.get(build, "context"))
			}
			services = append(services, s)
		}
	}
	return services, nil
}

// tooDeep guards the parser, which calls itself for each bracket and dash.
func tooDeep(tokens token.Tokens) bool {
	brackets, dashes, line := 0, 0, 0
	for _, t := range tokens {
		if t.Position.Line != line {
			dashes, line = 0, t.Position.Line
		}
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			brackets++
		case token.SequenceEndType, token.MappingEndType:
			brackets--
		case token.SequenceEntryType, token.MappingValueType, token.MappingKeyType, token.AnchorType, token.TagType:
			dashes++
		}
		if brackets > deepestYAML || dashes > 8*deepestYAML {
			return true
		}
	}
	return false
}

// A yamlReader walks a tree, and follows aliases and merged mappings.
type yamlReader struct {
	anchors map[string]ast.Node
	steps   int // still to take: mappings merged into each other can be as many as one likes
}

// Visit collects the anchors.
func (y *yamlReader) Visit(n ast.Node) ast.Visitor {
	if a, ok := n.(*ast.AnchorNode); ok && a.Name != nil {
		y.anchors[a.Name.GetToken().Value] = a.Value
	}
	return y
}

// value is what a node stands for.
func (y *yamlReader) value(n ast.Node) ast.Node {
	for range deepestYAML {
		switch v := n.(type) {
		case *ast.AnchorNode:
			n = v.Value
		case *ast.TagNode:
			n = v.Value
		case *ast.AliasNode:
			if v.Value == nil {
				return nil
			}
			n = y.anchors[v.Value.GetToken().Value]
		default:
			return n
		}
	}
	return nil
}

type yamlPair struct {
	key   string
	value ast.Node
}

// pairs are the keys of a mapping with their values, merged ones last.
func (y *yamlReader) pairs(n ast.Node, left int) []yamlPair {
	var own []*ast.MappingValueNode
	switch v := y.value(n).(type) {
	case *ast.MappingNode:
		own = v.Values
	case *ast.MappingValueNode:
		own = []*ast.MappingValueNode{v}
	}
	if y.steps--; left == 0 || y.steps < 0 {
		return nil
	}
	var pairs, merged []yamlPair
	for _, v := range own {
		if v == nil || v.Key == nil {
			continue
		}
		if v.Key.IsMergeKey() {
			sources := []ast.Node{v.Value}
			if list, ok := y.value(v.Value).(*ast.SequenceNode); ok {
				sources = list.Values
			}
			for _, source := range sources {
				merged = append(merged, y.pairs(source, left/2)...)
			}
			continue
		}
		pairs = append(pairs, yamlPair{v.Key.GetToken().Value, v.Value})
	}
	// Of the same key the first one holds.
	seen := map[string]bool{}
	return slices.DeleteFunc(append(pairs, merged...), func(p yamlPair) bool {
		before := seen[p.key]
		seen[p.key] = true
		return before
	})
}

func (y *yamlReader) get(n ast.Node, key string) ast.Node {
	for _, p := range y.pairs(n, deepestYAML) {
		if p.key == key {
			return y.value(p.value)
		}
	}
	return nil
}

// text is a scalar as it is written.
func (y *yamlReader) text(n ast.Node) (string, bool) {
	switch v := y.value(n).(type) {
	case *ast.StringNode:
		return v.Value, true
	case *ast.LiteralNode:
		if v.Value == nil {
			return "", false
		}
		return v.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return v.GetToken().Value, true
	}
	return "", false
}

// command has Compose's own variables filled in. A line is split here as Compose splits it.
func (y *yamlReader) command(n ast.Node, env []string) dockerInstruction {
	if n == nil {
		return dockerInstruction{}
	}
	var d dockerInstruction
	if t := n.GetToken(); t != nil && t.Position != nil {
		d.at = t.Position.Line
	}
	if list, ok := n.(*ast.SequenceNode); ok {
		for i, v := range list.Values {
			word, _ := y.text(v)
			d.words = append(d.words, interpolate(word, env))
			if t := v.GetToken(); i == 0 && t != nil && t.Position != nil {
				d.at = t.Position.Line
			}
		}
		return d
	}
	line, _ := y.text(n)
	line = interpolate(line, env)
	if line == "" {
		return dockerInstruction{}
	}
	words, split := splitWords(line)
	if !split {
		d.line = line // which only a shell could run, and Compose runs none
	}
	d.words = words
	return d
}

func (y *yamlReader) environment(n ast.Node) []string {
	var env []string
	if list, ok := y.value(n).(*ast.SequenceNode); ok {
		for _, v := range list.Values {
			if word, ok := y.text(v); ok && assigns(word) {
				env = append(env, word)
			}
		}
		return env
	}
	for _, p := range y.pairs(n, deepestYAML) {
		if value, ok := y.text(p.value); ok {
			env = append(env, p.key+"="+value)
		}
	}
	return env
}

// interpolate fills in Compose's variables: those of the environment it is run in, and defaults. What is
// neither stays, as does a doubled $, which is the container's own.
func interpolate(text string, env []string) string {
	parts := strings.Split(text, "$$")
	for i, p := range parts {
		parts[i] = dockerVariable.ReplaceAllStringFunc(p, func(v string) string {
			m := dockerVariable.FindStringSubmatch(v)
			if placeholder, ok := placeholders[m[1]+m[2]]; ok {
				return placeholder
			}
			if value, ok := getenv(env, m[1]+m[2]); ok && value != "" {
				return value
			}
			if strings.Contains(v, "-") {
				return m[3]
			}
			return v
		})
	}
	return strings.Join(parts, "$")
}

// dotEnv has the variables of .env, with which Compose fills in its file.
func dotEnv(c Command) []string {
	text, _, _ := readFile(c, ".env") // without one there are none
	var env []string
	for l := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(l), "export "), "=")
		if assigns(name + "=") {
			env = append(env, name+"="+strings.Trim(strings.TrimSpace(value), `"'`))
		}
	}
	return env
}

// inCompose takes the commands of services, in their order. Those of which nothing is known, as a
// database's or a queue's, are aside.
func inCompose(c Command) []finding {
	var found []finding
	for _, name := range []string{"compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"} {
		text, unread, ok := readFile(c, name)
		found = append(found, unread...)
		if !ok {
			continue
		}
		services, err := composeServices(text, slices.Concat(dotEnv(c), c.Env))
		if err != nil {
			return append(found, finding{where: name, what: "can't be read", err: err})
		}
		for _, s := range services {
			found = append(found, s.findings(c, name)...)
		}
		// A server of files stands in front of the application's more often than alone.
		slices.SortStableFunc(found, func(a, b finding) int { return cmp.Compare(a.front(), b.front()) })
		return found // Compose reads the first of these files alone
	}
	return found
}

// front is 1 for a server that may only pass on to another.
func (f finding) front() int {
	if f.err == nil && (nginx{}.Recognise(f.command.Argv) || lighttpd{}.Recognise(f.command.Argv)) {
		return 1
	}
	return 0
}

func (s composeService) findings(c Command, file string) []finding {
	in := c
	if s.context != "" && filepath.IsLocal(s.context) && isFolder(filepath.Join(c.Dir, s.context)) {
		in.Dir = filepath.Join(c.Dir, s.context)
	}
	cmd := s.command
	if cmd.empty() {
		cmd = s.entry
	}
	if cmd.empty() && in.Dir != c.Dir { // that of the project's own folder is looked at anyway
		found := inDockerfile(in)
		for i := range found {
			found[i].where = filepath.Join(s.context, found[i].where)
		}
		return found
	}
	if cmd.empty() {
		return nil
	}
	f := finding{where: at(file, cmd.at), what: "has the command of the service " + s.name}
	st := start{command: in, container: true, vars: s.environment}
	if cmd.line != "" {
		f.err = errNeedsShell
	} else if f.start, f.err = st.inContainer(s.entry, s.command); f.err == nil {
		if v, ok := getenv(s.environment, "WEB_CONCURRENCY"); ok {
			f.command.Env = setenv(f.command.Env, "WEB_CONCURRENCY", v)
		}
		for _, w := range f.command.Argv {
			if m := dockerVariable.FindStringSubmatch(w); m != nil && f.err == nil {
				f.err = fmt.Errorf("the variable %s is not set", m[1]+m[2])
			}
		}
	}
	if f.err != nil {
		var unknown *unknownError
		f.what += ", " + cmd.shown()
		f.aside = errors.As(f.err, &unknown)
	}
	return []finding{f}
}
