package scenarios

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/textproto"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// maxNesting bounds brackets inside brackets: the time the YAML parser takes grows with the cube
// of the depth.
const maxNesting = 64

// Error is everything found wrong in one scenario file, in the order of the file.
type Error struct {
	Source   string // the file as the user named it
	Problems []Problem
}

// Problem is one thing to mend, at a line and column that count from 1.
type Problem struct {
	Line, Column int
	Message      string
}

func (p Problem) String() string {
	return fmt.Sprintf("line %d, column %d: %s", p.Line, p.Column, p.Message)
}

// Error has a single problem on its only line, and each of several on a line of its own.
func (e *Error) Error() string {
	const shown = 10
	head := "read scenario " + e.Source + ":"
	if len(e.Problems) == 1 {
		return head + " " + e.Problems[0].String()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %d problems", head, len(e.Problems))
	for i, p := range e.Problems {
		if i == shown {
			fmt.Fprintf(&b, "\n  and %d more", len(e.Problems)-shown)
			break
		}
		b.WriteString("\n  " + p.String())
	}
	return b.String()
}

// Load reads a scenario file. What is wrong inside it is an *Error.
func Load(path string) (*Scenario, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read scenario %s: %w", path, withoutPath(err))
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxFileSize+1))
	if err != nil {
		return nil, fmt.Errorf("read scenario %s: %w", path, withoutPath(err))
	}
	return Parse(path, data)
}

// withoutPath drops the path, which the caller has in its own sentence.
func withoutPath(err error) error {
	var cause *fs.PathError
	if errors.As(err, &cause) {
		return cause.Err
	}
	return err
}

// Parse reads a scenario from the text of a file. The source is what errors call it, and its base
// name is the scenario's name unless the text gives one. What is wrong in the text is an *Error.
func Parse(source string, data []byte) (*Scenario, error) {
	if len(data) > MaxFileSize {
		return nil, fmt.Errorf("read scenario %s: larger than %d KiB", source, MaxFileSize>>10)
	}
	r := &reader{}
	s := r.file(data)
	if len(r.problems) > 0 {
		slices.SortStableFunc(r.problems, func(a, b Problem) int {
			return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
		})
		return nil, &Error{Source: source, Problems: r.problems}
	}
	if s.Name == "" {
		s.Name = nameOf(source)
	}
	return s, nil
}

func nameOf(source string) string {
	base := filepath.Base(source)
	name := strings.TrimSuffix(base, filepath.Ext(base))
	if checkName(name) != nil {
		return "scenario"
	}
	return name
}

// reader walks the YAML tree and notes every problem with its position. Its methods return the
// zero value for what they complain about.
type reader struct {
	problems []Problem
}

func (r *reader) complain(at *token.Position, err error) {
	r.problems = append(r.problems, Problem{Line: max(1, at.Line), Column: max(1, at.Column), Message: err.Error()})
}

func (r *reader) complainf(n ast.Node, format string, args ...any) {
	r.complain(where(n), fmt.Errorf(format, args...))
}

func (r *reader) file(data []byte) *Scenario {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if !utf8.Valid(data) {
		r.complain(invalidAt(data), errors.New("not UTF-8 text"))
		return nil
	}
	tokens := lexer.Tokenize(string(data))
	if deep := tooDeep(tokens); deep != nil {
		r.complain(deep.Position, fmt.Errorf("nested more than %d deep", maxNesting))
		return nil
	}
	tree, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey()) // duplicates are found below, with the rest
	if err != nil {
		r.syntax(err)
		return nil
	}
	var bodies []ast.Node
	for _, doc := range tree.Docs {
		if _, directive := doc.Body.(*ast.DirectiveNode); doc.Body != nil && !directive {
			bodies = append(bodies, doc.Body)
		}
	}
	switch len(bodies) {
	case 0:
		r.complain(&token.Position{}, errors.New("the file is empty: give at least requests: [/]"))
		return nil
	case 1:
		return r.scenario(bodies[0])
	default:
		r.complainf(bodies[1], "a second document starts here: a file holds one scenario")
		return nil
	}
}

func (r *reader) syntax(err error) {
	var bad yaml.Error
	if errors.As(err, &bad) && bad.GetToken() != nil {
		r.complain(bad.GetToken().Position, errors.New(bad.GetMessage()))
		return
	}
	r.complain(&token.Position{}, err)
}

// tooDeep is the token at which the nesting goes beyond maxNesting within brackets or on one line.
func tooDeep(tokens token.Tokens) *token.Token {
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
		case token.SequenceEntryType:
			dashes++
		}
		if brackets > maxNesting || dashes > maxNesting {
			return t
		}
	}
	return nil
}

func invalidAt(data []byte) *token.Position {
	line, column := 1, 1
	for len(data) > 0 {
		c, size := utf8.DecodeRune(data)
		if c == utf8.RuneError && size == 1 {
			break
		}
		column++
		if c == '\n' {
			line, column = line+1, 1
		}
		data = data[size:]
	}
	return &token.Position{Line: line, Column: column}
}

func (r *reader) scenario(n ast.Node) *Scenario {
	s := &Scenario{}
	fields := r.mapping(n, "a scenario", "name", "rate", "connections", "objective", "requests")
	if fields == nil {
		return s
	}
	if v, ok := fields["name"]; ok {
		s.Name = r.name(v)
	}
	if v, ok := fields["rate"]; ok {
		s.Rate = r.rate(v)
	}
	if v, ok := fields["connections"]; ok {
		s.Connections = r.connections(v)
	}
	if v, ok := fields["objective"]; ok {
		s.Objective = r.objective(v)
	}
	if v, ok := fields["requests"]; ok {
		s.Requests = r.requests(v)
	} else {
		r.complain(where(n), errNoRequests)
	}
	return s
}

func (r *reader) requests(n ast.Node) []Request {
	list, ok := n.(*ast.SequenceNode)
	if !ok {
		r.complainf(n, "requests has to be a list, not %s", kind(n))
		return nil
	}
	if len(list.Values) == 0 {
		r.complain(where(n), errNoRequests)
		return nil
	}
	var requests []Request
	var total float64
	given := map[string]bool{}
	before := len(r.problems)
	for _, entry := range list.Values {
		request := r.request(entry)
		total += request.Weight
		if request.Name != "" && given[request.Name] {
			r.complainf(entry, "two requests have the name %q", request.Name)
		}
		given[request.Name] = true
		requests = append(requests, request)
	}
	if len(r.problems) == before && total == 0 {
		r.complain(where(n), errNoWeight)
	}
	nameTheRest(requests, given)
	return requests
}

// nameTheRest names requests after what they send: GET /, and GET / (2) for the next that does.
func nameTheRest(requests []Request, taken map[string]bool) {
	for i := range requests {
		if requests[i].Name != "" {
			continue
		}
		base := requests[i].Method + " " + requests[i].Path
		name := base
		for n := 2; taken[name]; n++ {
			name = fmt.Sprintf("%s (%d)", base, n)
		}
		taken[name] = true
		requests[i].Name = name
	}
}

func (r *reader) request(n ast.Node) Request {
	request := Request{Method: DefaultMethod, Weight: DefaultWeight}
	if path, ok := n.(*ast.StringNode); ok {
		request.Path = r.path(path)
		return request
	}
	fields := r.mapping(n, "a request", "name", "weight", "method", "path", "headers", "body", "json", "expect")
	if fields == nil {
		return request
	}
	if v, ok := fields["name"]; ok {
		request.Name = r.name(v)
	}
	if v, ok := fields["weight"]; ok {
		request.Weight = r.weight(v)
	}
	if v, ok := fields["method"]; ok {
		request.Method = r.method(v)
	}
	if v, ok := fields["path"]; ok {
		request.Path = r.path(v)
	} else {
		r.complainf(n, "the request has no path")
	}
	if v, ok := fields["headers"]; ok {
		request.Header = r.headers(v)
	}
	if v, ok := fields["expect"]; ok {
		request.Expect = r.expect(v)
	}
	r.body(&request, fields)
	return request
}

func (r *reader) body(request *Request, fields map[string]ast.Node) {
	text, hasText := fields["body"]
	structured, hasJSON := fields["json"]
	switch {
	case hasText && hasJSON:
		r.complainf(structured, "the request has both body and json: give one")
	case hasText:
		if s, ok := r.text(text, "body"); ok && s != "" {
			request.Body = []byte(s)
		}
	case hasJSON:
		request.Body = r.json(structured)
		if request.Header == nil {
			request.Header = http.Header{}
		}
		if request.Header.Get("Content-Type") == "" {
			request.Header.Set("Content-Type", DefaultContentType)
		}
	}
}

func (r *reader) name(n ast.Node) string {
	s, ok := r.text(n, "name")
	if !ok {
		return ""
	}
	if err := checkName(s); err != nil {
		r.complain(where(n), err)
		return ""
	}
	return s
}

func (r *reader) method(n ast.Node) string {
	s, ok := r.text(n, "method")
	if !ok {
		return ""
	}
	s = strings.ToUpper(s)
	if err := checkMethod(s); err != nil {
		r.complain(where(n), err)
	}
	return s
}

func (r *reader) path(n ast.Node) string {
	s, ok := r.text(n, "path")
	if !ok {
		return ""
	}
	if err := checkPath(s); err != nil {
		r.complain(where(n), err)
	}
	return s
}

func (r *reader) weight(n ast.Node) float64 {
	source, ok := bare(n)
	weight, isNumber := decimal(source)
	if !ok || !isNumber {
		r.complainf(n, "weight has to be a number, not %s", kind(n))
		return 0
	}
	if err := checkWeight(weight); err != nil {
		r.complain(where(n), err)
	}
	return weight
}

func (r *reader) rate(n ast.Node) float64 {
	source, _ := scalar(n)
	rate, err := ParseRate(source)
	if err != nil {
		r.complain(where(n), err)
	}
	return rate
}

func (r *reader) connections(n ast.Node) int {
	source, _ := scalar(n)
	connections, err := ParseConnections(source)
	if err != nil {
		r.complain(where(n), err)
	}
	return connections
}

func (r *reader) objective(n ast.Node) Objective {
	var o Objective
	fields := r.mapping(n, "objective", append(Quantiles(), "errors")...)
	for _, quantile := range Quantiles() {
		v, ok := fields[quantile]
		if !ok {
			continue
		}
		if o.Latency == nil {
			o.Latency = map[string]time.Duration{}
		}
		o.Latency[quantile] = r.latency(v, quantile)
	}
	if v, ok := fields["errors"]; ok {
		share := r.errors(v)
		o.Errors = &share
	}
	if m, ok := n.(*ast.MappingNode); ok && len(m.Values) == 0 {
		r.complainf(n, "objective asks for nothing: give a latency such as p99: 200ms, or leave it out")
	}
	return o
}

func (r *reader) latency(n ast.Node, quantile string) time.Duration {
	source, _ := scalar(n)
	d, err := parseLatency(quantile, source)
	if err != nil {
		r.complain(where(n), err)
	}
	return d
}

func (r *reader) errors(n ast.Node) float64 {
	source, _ := scalar(n)
	share, err := parseErrors(source)
	if err != nil {
		r.complain(where(n), err)
	}
	return share
}

func (r *reader) expect(n ast.Node) []int {
	entries := []ast.Node{n}
	if list, ok := n.(*ast.SequenceNode); ok {
		entries = list.Values
	}
	if len(entries) == 0 {
		r.complainf(n, "expect has no status: give one, or leave it out for any 2xx")
	}
	var statuses []int
	for _, entry := range entries {
		source, _ := bare(entry)
		status, err := strconv.Atoi(source)
		if err != nil {
			r.complainf(entry, "expect has to be a status such as 200, or a list of them, not %s", kind(entry))
			continue
		}
		if err := checkStatus(status); err != nil {
			r.complain(where(entry), err)
		}
		statuses = append(statuses, status)
	}
	slices.Sort(statuses)
	return slices.Compact(statuses)
}

func (r *reader) headers(n ast.Node) http.Header {
	var header http.Header
	for _, pair := range r.pairs(n, "headers") {
		name, ok := r.key(pair)
		if !ok {
			continue
		}
		values := r.headerValues(pair.Value, name)
		if len(values) == 0 {
			continue
		}
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		if _, again := header[canonical]; again {
			r.complainf(pair.Key, "header %s is given twice: give a list of values", canonical)
			continue
		}
		if err := checkHeader(name, values); err != nil {
			r.complain(where(pair.Key), err)
			continue
		}
		if header == nil {
			header = http.Header{}
		}
		header[canonical] = values
	}
	return header
}

// headerValues takes a scalar as it is written, since every header is text, or a list of them.
func (r *reader) headerValues(n ast.Node, name string) []string {
	entries := []ast.Node{n}
	if list, ok := n.(*ast.SequenceNode); ok {
		entries = list.Values
	}
	if len(entries) == 0 {
		r.complainf(n, "header %s has no value", name)
	}
	var values []string
	for _, entry := range entries {
		value, ok := scalar(entry)
		if !ok {
			r.complainf(entry, "header %s has to be text or a list of texts, not %s", name, kind(entry))
			continue
		}
		values = append(values, value)
	}
	return values
}

// json encodes a YAML value as a JSON body.
func (r *reader) json(n ast.Node) []byte {
	value, ok := r.value(n)
	if !ok {
		return nil
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(value); err != nil {
		r.complainf(n, "json: %v", err)
		return nil
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}

func (r *reader) value(n ast.Node) (any, bool) {
	switch n := n.(type) {
	case *ast.NullNode:
		return nil, true
	case *ast.BoolNode:
		return n.Value, true
	case *ast.IntegerNode:
		return n.Value, true
	case *ast.FloatNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.StringNode:
		// The parser takes 1e3 and numbers beyond 64 bits for text.
		if _, number := decimal(n.Value); number && !quoted(n) && json.Valid([]byte(n.Value)) {
			return json.Number(n.Value), true
		}
		return n.Value, true
	case *ast.SequenceNode:
		list := []any{}
		for _, entry := range n.Values {
			v, ok := r.value(entry)
			if !ok {
				return nil, false
			}
			list = append(list, v)
		}
		return list, true
	case *ast.MappingNode:
		object := map[string]any{}
		for _, pair := range n.Values {
			key, ok := r.key(pair)
			if !ok {
				return nil, false
			}
			if _, again := object[key]; again {
				r.complainf(pair.Key, "key %q is given twice", key)
			}
			if object[key], ok = r.value(pair.Value); !ok {
				return nil, false
			}
		}
		return object, true
	default:
		r.complainf(n, "json can't hold %s", kind(n))
		return nil, false
	}
}

// mapping returns the values of a mapping by key, without those that are not known; nil when the
// node is no mapping.
func (r *reader) mapping(n ast.Node, what string, known ...string) map[string]ast.Node {
	if _, ok := n.(*ast.MappingNode); !ok {
		r.complainf(n, "%s has to be keys with values (%s), not %s", what, strings.Join(known, ", "), kind(n))
		return nil
	}
	fields := map[string]ast.Node{}
	for _, pair := range r.pairs(n, what) {
		key, ok := r.key(pair)
		if !ok {
			continue
		}
		if !slices.Contains(known, key) {
			r.complain(where(pair.Key), unknownKey(key, known))
			continue
		}
		if _, again := fields[key]; again {
			r.complainf(pair.Key, "key %q is given twice", key)
			continue
		}
		fields[key] = pair.Value
	}
	return fields
}

func (r *reader) pairs(n ast.Node, what string) []*ast.MappingValueNode {
	m, ok := n.(*ast.MappingNode)
	if !ok {
		r.complainf(n, "%s has to be keys with values, not %s", what, kind(n))
		return nil
	}
	return m.Values
}

func (r *reader) key(pair *ast.MappingValueNode) (string, bool) {
	key, ok := scalar(pair.Key)
	if !ok {
		r.complainf(pair.Key, "a key has to be text, not %s", kind(pair.Key))
	}
	return key, ok
}

func (r *reader) text(n ast.Node, what string) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		r.complainf(n, "%s has to be text, not %s: put it in quotes", what, kind(n))
	default:
		r.complainf(n, "%s has to be text, not %s", what, kind(n))
	}
	return "", false
}

// scalar is a single value as it is written, quotes aside.
func scalar(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, true
	default:
		return "", false
	}
}

// bare is a scalar that is written without quotes.
func bare(n ast.Node) (string, bool) {
	s, ok := scalar(n)
	return s, ok && !quoted(n)
}

func quoted(n ast.Node) bool {
	t := n.GetToken().Type
	return t == token.SingleQuoteType || t == token.DoubleQuoteType
}

// where is the position a reader looks at: a block mapping's token is its first colon.
func where(n ast.Node) *token.Position {
	if m, ok := n.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		return m.Values[0].Key.GetToken().Position
	}
	return n.GetToken().Position
}

func kind(n ast.Node) string {
	switch n := n.(type) {
	case *ast.StringNode, *ast.LiteralNode:
		s, _ := scalar(n)
		return strconv.Quote(s)
	case *ast.IntegerNode, *ast.FloatNode:
		return "the number " + n.GetToken().Value
	case *ast.InfinityNode, *ast.NanNode:
		return n.GetToken().Value
	case *ast.BoolNode:
		return n.GetToken().Value
	case *ast.NullNode:
		return "nothing"
	case *ast.SequenceNode:
		return "a list"
	case *ast.MappingNode:
		return "keys with values"
	default:
		return "a YAML anchor, alias, merge or tag, which scenarios don't use"
	}
}
