package targets

import (
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// A reading follows what a command would run, as far as that can be seen without running anything: through
// wrappers, shells, variables and functions.
type reading struct {
	variables   map[string]string
	functions   map[string]*syntax.Stmt
	args        []string // of the function that is being called
	input       string   // what a shell without a script reads
	depth, left int
}

// The bounds of what is followed: scripts in scripts and functions that call themselves, statements, and
// what variables can grow to.
const (
	deepest        = 20
	mostStatements = 1000
	longestText    = 4 << 10
	mostWords      = 1000
)

// script is the program in a shell's script that has a server started elsewhere.
func (r *reading) script(text string) string {
	if r.depth >= deepest {
		return ""
	}
	r.depth++
	defer func() { r.depth-- }()
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(strings.NewReader(text), "")
	if err != nil { // of another shell, perhaps
		for _, one := range separators.Split(text, -1) {
			if program := r.command(strings.Fields(one)); program != "" {
				return program
			}
		}
		return ""
	}
	return r.all(file.Stmts)
}

var separators = regexp.MustCompile("[;&|\n(){}`]+|\\b(then|do|else)\\b")

func (r *reading) all(list []*syntax.Stmt) string {
	for _, s := range list {
		if program := r.statement(s); program != "" {
			return program
		}
	}
	return ""
}

func (r *reading) statement(s *syntax.Stmt) string {
	if s == nil || r.left <= 0 {
		return ""
	}
	r.left--
	for _, redirect := range s.Redirs {
		if text := given(redirect); text != nil {
			r.input = strings.Join(r.fields(text), " ")
		}
	}
	switch c := s.Cmd.(type) {
	case *syntax.CallExpr:
		return r.call(c)
	case *syntax.BinaryCmd:
		if program := r.statement(c.X); program != "" {
			return program
		}
		if c.Op == syntax.Pipe || c.Op == syntax.PipeAll {
			r.input = r.output([]*syntax.Stmt{c.X})
		}
		return r.statement(c.Y)
	case *syntax.Block:
		return r.all(c.Stmts)
	case *syntax.Subshell:
		return r.all(c.Stmts)
	case *syntax.IfClause:
		return r.condition(c)
	case *syntax.WhileClause:
		return r.all(slices.Concat(c.Cond, c.Do))
	case *syntax.ForClause:
		return r.loop(c)
	case *syntax.CaseClause:
		for _, item := range c.Items {
			if program := r.all(item.Stmts); program != "" {
				return program
			}
		}
	case *syntax.FuncDecl:
		r.functions[c.Name.Value] = c.Body
	case *syntax.DeclClause:
		return r.assign(c.Args)
	case *syntax.TimeClause:
		return r.statement(c.Stmt)
	case *syntax.CoprocClause:
		return r.statement(c.Stmt)
	}
	return ""
}

// given is the text that a redirection gives to a command: of a here-document or a here-string.
func given(redirect *syntax.Redirect) *syntax.Word {
	if redirect.Op == syntax.WordHdoc {
		return redirect.Word
	}
	return redirect.Hdoc
}

func (r *reading) condition(c *syntax.IfClause) string {
	for ; c != nil; c = c.Else {
		if program := r.all(slices.Concat(c.Cond, c.Then)); program != "" {
			return program
		}
	}
	return ""
}

func (r *reading) loop(c *syntax.ForClause) string {
	over, ok := c.Loop.(*syntax.WordIter)
	if !ok {
		return r.all(c.Do)
	}
	for _, word := range over.Items {
		for _, value := range r.fields(word) {
			if r.left <= 0 {
				return ""
			}
			r.variables[over.Name.Value] = value
			if program := r.all(c.Do); program != "" {
				return program
			}
		}
	}
	return r.all(c.Do)
}

func (r *reading) call(c *syntax.CallExpr) string {
	if program := r.assign(c.Assigns); program != "" {
		return program
	}
	var argv []string
	for i, word := range c.Args {
		if program := r.substituted(word, i == 0); program != "" {
			return program
		}
		argv = append(argv, r.fields(word)...)
	}
	argv = argv[:min(len(argv), mostWords)]
	if len(argv) == 0 {
		return ""
	}
	body, ok := r.functions[argv[0]]
	if !ok || r.depth >= deepest {
		return r.command(argv)
	}
	before := r.args
	r.args = argv[1:]
	r.depth++
	defer func() { r.args, r.depth = before, r.depth-1 }()
	return r.statement(body)
}

func (r *reading) assign(list []*syntax.Assign) string {
	for _, a := range list {
		if a.Name == nil {
			continue
		}
		var values []string
		if a.Array != nil {
			for _, e := range a.Array.Elems {
				values = append(values, r.fields(e.Value)...)
			}
		}
		if a.Value != nil {
			if program := r.substituted(a.Value, false); program != "" {
				return program
			}
			values = append(values, r.text(a.Value.Parts))
		}
		value := strings.Join(values, " ")
		r.variables[a.Name.Value] = value[:min(len(value), longestText)]
	}
	return ""
}

// substituted is the program in the commands whose output stands in a word. As long as it is no
// program's name, what only asks for something is harmless.
func (r *reading) substituted(word *syntax.Word, isProgram bool) string {
	found := ""
	syntax.Walk(word, func(n syntax.Node) bool {
		var inside []*syntax.Stmt
		switch s := n.(type) {
		case *syntax.CmdSubst:
			inside = s.Stmts
		case *syntax.ProcSubst:
			inside = s.Stmts
		default:
			return found == ""
		}
		if isProgram || !r.asks(inside) {
			found = r.all(inside)
		}
		return false
	})
	return found
}

// asks is true for a command of a cloud's or of a container's that only tells something.
func (r *reading) asks(list []*syntax.Stmt) bool {
	verbs := []string{"inspect", "ps", "port", "get", "describe", "secretsmanager", "ssm", "secrets", "sts", "config", "info", "version", "is-active", "status", "show"}
	if len(list) != 1 {
		return false
	}
	c, ok := list[0].Cmd.(*syntax.CallExpr)
	return ok && len(c.Args) > 1 && slices.Contains(verbs, strings.Join(r.fields(c.Args[1]), " "))
}

// output is what commands that only print would print: of echo, printf, which and command -v.
func (r *reading) output(list []*syntax.Stmt) string {
	if len(list) != 1 {
		return ""
	}
	c, ok := list[0].Cmd.(*syntax.CallExpr)
	if !ok || len(c.Args) < 2 {
		return ""
	}
	var words []string
	for _, word := range c.Args {
		words = append(words, r.fields(word)...)
	}
	if len(words) < 2 || !slices.Contains([]string{"echo", "printf", "which", "command", "type"}, filepath.Base(words[0])) {
		return ""
	}
	return strings.Join(slices.DeleteFunc(words[1:], func(w string) bool {
		return strings.HasPrefix(w, "-") || strings.HasPrefix(w, "%")
	}), " ")
}

// fields are the words that a shell makes of one.
func (r *reading) fields(word *syntax.Word) []string {
	if word == nil {
		return nil
	}
	text := r.text(word.Parts)
	if splits(word) {
		return strings.Fields(text)
	}
	return []string{text}
}

// splits is true for a word with something outside quotes that may become several.
func splits(word *syntax.Word) bool {
	for _, part := range word.Parts {
		switch p := part.(type) {
		case *syntax.ParamExp, *syntax.CmdSubst:
			return true
		case *syntax.DblQuoted:
			for _, inner := range p.Parts {
				if e, ok := inner.(*syntax.ParamExp); ok && (e.Index != nil || e.Param.Value == "@") {
					return true
				}
			}
		}
	}
	return false
}

var escapes = regexp.MustCompile(`(?s)\\(.)`)

func (r *reading) text(parts []syntax.WordPart) string {
	var b strings.Builder
	for _, part := range parts {
		if b.Len() > longestText {
			break
		}
		switch p := part.(type) {
		case *syntax.Lit:
			b.WriteString(escapes.ReplaceAllString(p.Value, "$1"))
		case *syntax.SglQuoted:
			b.WriteString(p.Value)
		case *syntax.DblQuoted:
			b.WriteString(r.text(p.Parts))
		case *syntax.ParamExp:
			b.WriteString(r.parameter(p))
		case *syntax.CmdSubst:
			b.WriteString(r.output(p.Stmts))
		}
	}
	return b.String()
}

func (r *reading) parameter(p *syntax.ParamExp) string {
	name := p.Param.Value
	value := r.variables[name]
	if p.Excl {
		value = r.variables[value]
	}
	if name == "@" || name == "*" {
		value = strings.Join(r.args, " ")
	}
	if n, err := strconv.Atoi(name); err == nil && n > 0 && n <= len(r.args) {
		value = r.args[n-1]
	}
	if value == "" && p.Exp != nil && p.Exp.Word != nil {
		value = r.text(p.Exp.Word.Parts)
	}
	return value
}
