package mask

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// What advise knows to be secret is found wherever it comes back, whatever it is called there.
func TestKnownValuesAreTakenOut(t *testing.T) {
	secret := `Tr0ub4dor "&" 3/x+y`
	argv := []string{"serve", "--password", secret, "--port", "8000", "--url", "redis://:s3rv3rpass@h/0"}
	env := []string{"STRIPE_KEY=abcdefgh12345", "DATABASE_URL=postgres://u:dbpassword9@h/db", "SSH_AUTH_SOCK=/tmp/ssh/agent", "LANG=C.UTF-8"}
	known := NewKnown(InCommand(argv, env)...)
	quoted, _ := json.Marshal(secret)
	for _, form := range []string{
		secret, url.QueryEscape(secret), url.PathEscape(secret), string(quoted), "s3rv3rpass", "abcdefgh12345", "dbpassword9",
		base64.StdEncoding.EncodeToString([]byte("abcdefgh12345")),
		base64.StdEncoding.EncodeToString([]byte("u:dbpassword9")),
		base64.RawURLEncoding.EncodeToString([]byte("admin:s3rv3rpass\n")),
	} {
		for _, line := range []string{"it is " + form + ".", form, "x" + form + "y"} {
			if got := known.Lines([]string{line}); strings.Contains(got[0], strings.Trim(form, `"=`)) {
				t.Errorf("%s became %s", line, got)
			}
		}
	}
	split := known.Lines([]string{"begins with abcdef", "gh12345 and goes on"})
	if len(split) != 2 || strings.Contains(strings.Join(split, ""), "abcdefgh12345") {
		t.Errorf("divided over lines: %q", split)
	}
	for _, line := range []string{"listening on 8000 in /tmp/ssh/agent", "C.UTF-8"} {
		if got := known.Lines([]string{line}); got[0] != line {
			t.Errorf("%s became %s", line, got[0])
		}
	}
}

func TestSecretOnTheNextLine(t *testing.T) {
	for _, test := range []struct{ lines, want []string }{
		{[]string{"password:", "  hunter"}, []string{"password:", "  ***"}},
		{[]string{`"token": `, `"hunter", more`}, []string{`"token": `, `*** more`}},
		{[]string{"Authorization: Bearer", "hunter"}, []string{"Authorization: ***", "***"}},
		{[]string{"Traceback:", "  File x"}, []string{"Traceback:", "  File x"}},
		{[]string{"KeyError:", "hunter"}, []string{"KeyError:", "hunter"}},
	} {
		if got := (Known{}).Lines(test.lines); !slices.Equal(got, test.want) {
			t.Errorf("%q became %q, want %q", test.lines, got, test.want)
		}
	}
}

func TestPath(t *testing.T) {
	for _, test := range []struct{ path, want string }{
		{"/", "/"},
		{"/s?q=tea", "/s?q=tea"},
		{"/s?q=tea&page=2&", "/s?q=tea&page=2&"},
		{"/?", "/?"},
		{"/a/b.html", "/a/b.html"},
		{"/?cpu=20&wait=5", "/?cpu=20&wait=5"},
		{"/wait?ms=100", "/wait?ms=100"},
		{"/a?b", "/a?b"},
		{"/products/42?sort=price", "/products/42?sort=price"},
		{"/s?token=T", "/s?token=***"},
		{"/s?q=Tea", "/s?q=***"},
		{"/s?q=tea2", "/s?q=***"},
		{"/s?page=1234567", "/s?page=***"},
		{"/s?password=tea", "/s?password=***"},
		{"/s?T0k3n99x", "/s?***"},
		{"/h?key=K&q=tea", "/h?key=***&q=tea"},
		{"/s?a%20b=c", "/s?***=***"},
		{"/s?q=tea;token=x", "/s?q=tea;token=***"},
		{"/reset/eyJhbGciOiJIUzI1NiJ9", "/reset/***"},
		{"/x/8f14e45fceea167a5a36dedd4bea2543/y", "/x/***/y"},
		{"/x/550e8400-e29b-41d4-a716-446655440000", "/x/***"},
		{"/a?x=%74oken", "/a?x=***"},
	} {
		shown, hidden := Path(test.path)
		if shown != test.want || hidden != (test.path != test.want) {
			t.Errorf("%s: got %s, hidden %v, want %s", test.path, shown, hidden, test.want)
		}
		if again, hidden := Path(shown); again != shown || hidden {
			t.Errorf("%s masked again is %s", shown, again)
		}
	}
}

// Whatever surrounds it, what has a secret's name does not survive, and what is masked stays as it is.
func FuzzMask(f *testing.F) {
	for _, line := range slices.Concat(secretCommands, secretLines, secretTexts, ordinaryCommands, lastWords) {
		f.Add(line, "--x")
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		const secret = "PL4NTEDh3re"
		if strings.Contains(first+second, secret) {
			t.Skip()
		}
		for _, argv := range [][]string{
			{first, "--password=" + secret, second}, {first, second, "--db-pass=" + secret}, {"env", "STRIPE_KEY=" + secret, first, second},
		} {
			masked, changed := Command(argv)
			if len(masked) != len(argv) || !changed || strings.Contains(strings.Join(masked, " "), secret) {
				t.Errorf("%q became %q", argv, masked)
			}
			if again, changed := Command(masked); changed {
				t.Errorf("%q masked again is %q", masked, again)
			}
		}
		for name, of := range map[string]func(string) string{
			"line": Line, "text": Text, "script": Script, "variable": Variable,
			"path": func(s string) string { shown, _ := Path(s); return shown },
		} {
			if masked := of(first); of(masked) != masked {
				t.Errorf("%s: %q became %q, and that %q", name, first, masked, of(masked))
			}
		}
		NewKnown(first, second).Lines([]string{first, second})
	})
}

func TestKnownLinesOfNothing(t *testing.T) {
	if got := NewKnown("hunter2x").Lines(nil); len(got) != 0 {
		t.Errorf("a log without a line became %q", got)
	}
}
