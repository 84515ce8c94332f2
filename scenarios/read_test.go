package scenarios

import (
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestLoadExample(t *testing.T) {
	got, err := Load("testdata/shop.yaml")
	if err != nil {
		t.Fatal(err)
	}
	share := 0.001
	want := &Scenario{
		Name: "shop",
		Rate: 300,
		Objective: Objective{
			Latency: map[string]time.Duration{"p99": 200 * time.Millisecond},
			Errors:  &share,
		},
		Requests: []Request{
			{Name: "GET /", Method: "GET", Path: "/", Weight: 1},
			{Name: "search", Method: "GET", Path: "/search?q=green%20tea", Weight: 3},
			{
				Name: "order", Method: "POST", Path: "/orders", Weight: 0.5,
				Header: http.Header{"Authorization": {"Bearer test"}, "Content-Type": {"application/json"}},
				Body:   []byte(`{"count":1,"item":7}`),
				Expect: []int{201, 409},
			},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestLoadShortList(t *testing.T) {
	got, err := Load("testdata/short.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want := &Scenario{
		Name: "short", // the file's
		Requests: []Request{
			{Name: "GET /", Method: "GET", Path: "/", Weight: 1},
			{Name: "GET /products", Method: "GET", Path: "/products", Weight: 1},
			{Name: "GET /search?q=tea", Method: "GET", Path: "/search?q=tea", Weight: 1},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestLoadFails(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "none.yaml")
	_, err := Load(missing)
	if !errors.Is(err, fs.ErrNotExist) || strings.Count(err.Error(), missing) != 1 {
		t.Errorf("a missing file: %v", err)
	}
	folder := t.TempDir()
	if _, err := Load(folder); err == nil || err.Error() != "read scenario "+folder+": is a directory" {
		t.Errorf("a folder: %v", err)
	}
	large := filepath.Join(t.TempDir(), "large.yaml")
	if err := os.WriteFile(large, []byte("requests: [/]\n#"+strings.Repeat("x", MaxFileSize)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(large); err == nil || err.Error() != "read scenario "+large+": larger than 256 KiB" {
		t.Errorf("a large file: %v", err)
	}
}

func TestParseRequest(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		want Request
	}{
		"lower-case method": {
			"{path: /, method: delete}",
			Request{Name: "DELETE /", Method: "DELETE", Path: "/", Weight: 1},
		},
		"text body has no content type": {
			"{path: /, method: PUT, body: 'a=1'}",
			Request{Name: "PUT /", Method: "PUT", Path: "/", Weight: 1, Body: []byte("a=1")},
		},
		"block body": {
			"\n    path: /\n    body: |\n      one\n      two\n",
			Request{Name: "GET /", Method: "GET", Path: "/", Weight: 1, Body: []byte("one\ntwo\n")},
		},
		"json keeps a content type that was given": {
			"{path: /, headers: {content-type: application/vnd.api+json}, json: [1, 1.5, 1e3, 99999999999999999999, '1', true, null, <a&b>]}",
			Request{
				Name: "GET /", Method: "GET", Path: "/", Weight: 1,
				Header: http.Header{"Content-Type": {"application/vnd.api+json"}},
				Body:   []byte(`[1,1.5,1e3,99999999999999999999,"1",true,null,"<a&b>"]`),
			},
		},
		"headers are text as written": {
			"{path: /, headers: {x-version: 1.10, x-id: 007, x-on: true, accept: [text/html, '*/*'], Host: shop.example:8080}}",
			Request{
				Name: "GET /", Method: "GET", Path: "/", Weight: 1,
				Header: http.Header{
					"X-Version": {"1.10"}, "X-Id": {"007"}, "X-On": {"true"},
					"Accept": {"text/html", "*/*"}, "Host": {"shop.example:8080"},
				},
			},
		},
		"expect in order and once": {
			"{path: /, expect: [409, 201, 409]}",
			Request{Name: "GET /", Method: "GET", Path: "/", Weight: 1, Expect: []int{201, 409}},
		},
		"a single expect": {
			"{path: /, expect: 302}",
			Request{Name: "GET /", Method: "GET", Path: "/", Weight: 1, Expect: []int{302}},
		},
		"ten is ten": { // an octal eight to YAML 1.1
			"{path: /, weight: 010}",
			Request{Name: "GET /", Method: "GET", Path: "/", Weight: 10},
		},
	} {
		s, err := Parse("x.yaml", []byte("requests:\n  - "+tc.text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff([]Request{tc.want}, s.Requests); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", name, diff)
		}
	}
}

func TestParseRate(t *testing.T) {
	for text, want := range map[string]float64{
		"300": 300, "2.5": 2.5, "300/s": 300, "18000/m": 300, "3600/h": 1, "'300 / s'": 300, "1e3": 1000,
	} {
		s, err := Parse("x.yaml", []byte("requests: [/]\nrate: "+text))
		if err != nil {
			t.Errorf("%s: %v", text, err)
		} else if s.Rate != want {
			t.Errorf("%s: got %v requests per second, want %v", text, s.Rate, want)
		}
	}
}

func TestDerivedNamesAreUnique(t *testing.T) {
	s, err := Parse("x.yaml", []byte("requests: [/, {path: /, body: a}, {path: /b, name: GET / (2)}]"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, r := range s.Requests {
		names = append(names, r.Name)
	}
	if diff := cmp.Diff([]string{"GET /", "GET / (3)", "GET / (2)"}, names); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		// The shape of the file.
		{"", `line 1, column 1: the file is empty: give at least requests: [/]`},
		{"# nothing\n", `line 1, column 1: the file is empty: give at least requests: [/]`},
		{"- /", `line 1, column 1: a scenario has to be keys with values (name, rate, connections, objective, requests), not a list`},
		{"requests: [/]\n---\nrequests: [/]\n", `line 3, column 1: a second document starts here: a file holds one scenario`},
		{"requests: [/\n", `line 1, column 11: sequence end token ']' not found`},
		{"requests:\n- /\n- \xff/", `line 3, column 3: not UTF-8 text`},
		{"requests: " + strings.Repeat("[", 5000), `line 1, column 75: nested more than 64 deep`},
		{strings.Repeat("- ", 5000), `line 1, column 129: nested more than 64 deep`},
		{"requests: [/]\nname: &n shop", `line 2, column 7: name has to be text, not a YAML anchor, alias, merge or tag, which scenarios don't use`},

		// Keys.
		{"requests:\n- path: /\n  wieght: 2\n", `line 3, column 3: unknown key "wieght", did you mean "weight"?`},
		{"requests: [/]\nrates: 3\n", `line 2, column 1: unknown key "rates", did you mean "rate"?`},
		{"requests: [{url: /}]\n", `2 problems
  line 1, column 12: the request has no path
  line 1, column 13: unknown key "url": known are name, weight, method, path, headers, body, json, expect`},
		{"requests: [/]\nobjective: {p97: 1s}", `line 2, column 13: unknown key "p97": known are p50, p90, p95, p99, max, errors`},
		{"requests: [/]\nobjective: {error: 1%}", `line 2, column 13: unknown key "error", did you mean "errors"?`},
		{"requests: [/a]\nname: x\nrequests: [/b]", `line 3, column 1: key "requests" is given twice`},

		// Requests.
		{"name: x", `line 1, column 1: requests has no entry: give at least one, such as /`},
		{"requests: []", `line 1, column 11: requests has no entry: give at least one, such as /`},
		{"requests:", `line 1, column 11: requests has to be a list, not nothing`},
		{"requests: /a", `line 1, column 11: requests has to be a list, not "/a"`},
		{"requests: [{path: /a, weight: 0}, {path: /b, weight: 0.0}]", `line 1, column 11: every weight is 0: nothing would be sent`},
		{"requests: [{path: /, name: a}, {path: /b, name: a}]", `line 1, column 32: two requests have the name "a"`},
		{"requests: [{path: /, name: \"a\\e[31m\"}]", `line 1, column 28: the name "a\x1b[31m" has characters that can't be printed`},
		{"requests: [{path: /, name: 5}]", `line 1, column 28: name has to be text, not the number 5: put it in quotes`},
		{"requests: [{path: /, weight: -1}]", `line 1, column 30: weight is -1: it goes from 0 to 1000000`},
		{"requests: [{path: /, weight: .inf}]", `line 1, column 30: weight has to be a number, not .inf`},
		{"requests: [{path: /, weight: heavy}]", `line 1, column 30: weight has to be a number, not "heavy"`},
		{"requests: [{path: /, weight: '2'}]", `line 1, column 30: weight has to be a number, not "2"`},
		{"requests: [{path: /, method: delte}]", `line 1, column 30: unknown method "DELTE", did you mean DELETE?`},
		{"requests: [{path: /, method: CONNECT}]", `line 1, column 30: unknown method "CONNECT": known are GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS`},
		{"requests: [{path: /, body: a, json: {}}]", `line 1, column 37: the request has both body and json: give one`},
		{"requests: [{path: /, body: 5}]", `line 1, column 28: body has to be text, not the number 5: put it in quotes`},
		{"requests: [{path: /, json: {a: .nan}}]", `line 1, column 32: json can't hold .nan`},
		{"requests: [{path: /, json: {a: 1, a: 2}}]", `line 1, column 35: key "a" is given twice`},
		{"requests: [{path: /, expect: ok}]", `line 1, column 30: expect has to be a status such as 200, or a list of them, not "ok"`},
		{"requests: [{path: /, expect: []}]", `line 1, column 30: expect has no status: give one, or leave it out for any 2xx`},
		{"requests: [{path: /, expect: [200, 700]}]", `line 1, column 36: expect: 700 is not the status of an answer: those are from 200 to 599`},

		// Paths. Only the server that advise starts is ever driven.
		{"requests: [shop]", `line 1, column 12: path "shop" does not start with a slash: write "/shop"`},
		{"requests: ['http://example.com']", `line 1, column 12: path "http://example.com" is a full URL, and only the server that advise starts is driven: write "/"`},
		{"requests: ['https://example.com/a?b=1']", `line 1, column 12: path "https://example.com/a?b=1" is a full URL, and only the server that advise starts is driven: write "/a?b=1"`},
		{"requests: [//example.com/a]", `line 1, column 12: path "//example.com/a" starts with two slashes, which names another host: write one`},
		{"requests: ['/a b?c=é']", `line 1, column 12: path "/a b?c=é" has characters that must be percent-encoded: write "/a%20b?c=%C3%A9"`},
		{"requests: [\"/a\\r\\nX: y\"]", `line 1, column 12: path "/a\r\nX: y" has characters that must be percent-encoded: write "/a%0D%0AX:%20y"`},
		{"requests: ['/a#b']", `line 1, column 12: path "/a#b" has a fragment, which is never sent: drop it, or write %23 for a #`},
		{"requests: ['/a%zz']", `line 1, column 12: path "/a%zz": invalid URL escape "%zz"`},

		// Headers.
		{"requests: [{path: /, headers: {X: \"a\\r\\nY: b\"}}]", `line 1, column 32: header X: its value has a line break or another control character`},
		{"requests: [{path: /, headers: {X: \"S3CRET\\n\"}}]", `line 1, column 32: header X: its value ends in a line break, as a block behind | does: write it on the line of its name`},
		{"requests: [{path: /, headers: {\"X\\r\\nY\": a}}]", `line 1, column 32: header name "X\r\nY" is not allowed by HTTP`},
		{"requests: [{path: /, headers: {'X Y': a}}]", `line 1, column 32: header name "X Y" is not allowed by HTTP`},
		{"requests: [{path: /, headers: {accept: a, Accept: b}}]", `line 1, column 43: header Accept is given twice: give a list of values`},
		{"requests: [{path: /, headers: {content-length: 5}}]", `line 1, column 32: header Content-Length belongs to the connection: advise sets it itself`},
		{"requests: [{path: /, headers: {Host: a/b}}]", `line 1, column 32: header Host: value "a/b" is not a host name, with or without a port`},
		{"requests: [{path: /, headers: {Host: [a, b]}}]", `line 1, column 32: header Host has 2 values: give one`},
		{"requests: [{path: /, headers: {X: {a: b}}}]", `line 1, column 35: header X has to be text or a list of texts, not keys with values`},
		{"requests: [{path: /, headers: [a]}]", `line 1, column 31: headers has to be keys with values, not a list`},

		// Rate and objective.
		{"requests: [/]\nrate: 0", `line 2, column 7: rate is 0 requests per second: it has to be above 0 and at most 1000000`},
		{"requests: [/]\nrate: -3/s", `line 2, column 7: rate is -3 requests per second: it has to be above 0 and at most 1000000`},
		{"requests: [/]\nrate: 300/d", `line 2, column 7: rate has to be requests per second, such as 300 or 300/s, or with /m or /h per minute or hour`},
		{"requests: [/]\nrate: [1]", `line 2, column 7: rate has to be requests per second, such as 300 or 300/s, or with /m or /h per minute or hour`},
		{"requests: [/]\nobjective: {}", `line 2, column 12: objective asks for nothing: give a latency such as p99: 200ms, or leave it out`},
		{"requests: [/]\nobjective: {p99: 200}", `line 2, column 18: p99 has no unit: write 200ms or 200s`},
		{"requests: [/]\nobjective: {p99: fast}", `line 2, column 18: p99 has to be a duration such as 200ms or 1.5s`},
		{"requests: [/]\nobjective: {p99: -5ms}", `line 2, column 18: p99 is -5ms: it has to be above 0`},
		{"requests: [/]\nobjective: {errors: 5}", `line 2, column 21: errors is 5: it is a share from 0 to 1, or a percentage such as 0.1%`},
		{"requests: [/]\nobjective: {errors: few}", `line 2, column 21: errors has to be a percentage such as 0.1% or a share such as 0.001`},

		// Several at once, in the order of the file.
		{"rate: 0\nrequests:\n- path: a\n  wieght: 1\n", `3 problems
  line 1, column 7: rate is 0 requests per second: it has to be above 0 and at most 1000000
  line 3, column 9: path "a" does not start with a slash: write "/a"
  line 4, column 3: unknown key "wieght", did you mean "weight"?`},
	} {
		_, err := Parse("shop.yaml", []byte(tc.text))
		var bad *Error
		if !errors.As(err, &bad) {
			t.Errorf("%.80q: got %v, want an *Error", tc.text, err)
			continue
		}
		if want := "read scenario shop.yaml: " + tc.want; err.Error() != want {
			t.Errorf("%.80q:\ngot  %v\nwant %s", tc.text, err, want)
		}
	}
}

func TestManyProblemsAreCutShort(t *testing.T) {
	_, err := Parse("x.yaml", []byte("requests:\n"+strings.Repeat("- a\n", 14)))
	if err == nil || !strings.HasSuffix(err.Error(), "\n  and 4 more") || strings.Count(err.Error(), "\n") != 11 {
		t.Errorf("got %v", err)
	}
}

// What is accepted is valid and has a stable hash; what is refused says where.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"shop.yaml", "short.yaml"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, text := range []string{
		"requests: [{path: /, json: {a: [1, 1e9, ~, true]}, headers: {Host: a:1, x: [b, 'c']}, expect: 204}]\nrate: 18000/m",
		"requests:\n- path: /\n  body: |\n    text\n", "a: &b [*b]", "<<: {}", "? a\n: b", "requests: [/]\n---\n...\n", "\ufeffrequests: [!!str /]",
		"requests: [/]\nobjective: {p50: 1ms, p90: 1ms, p95: 1ms, max: 1h, errors: 100%}",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Parse("fuzz.yaml", data)
		if err != nil {
			var bad *Error
			if errors.As(err, &bad) && (bad.Problems[0].Line < 1 || bad.Problems[0].Column < 1) {
				t.Fatalf("no position: %v", err)
			}
			return
		}
		if err := s.Validate(); err != nil {
			t.Fatalf("parsed, yet not valid: %v", err)
		}
		if again, err := Parse("fuzz.yaml", data); err != nil || again.SHA256() != s.SHA256() {
			t.Fatalf("parsed twice, not the same twice: %v", err)
		}
	})
}
