package mask

import (
	"slices"
	"testing"
)

func TestCommand(t *testing.T) {
	for _, test := range []struct{ argv, want []string }{
		{[]string{"serve", "--password", "x", "--port", "1"}, []string{"serve", "--password", "***", "--port", "1"}},
		{[]string{"serve", "--db-password=x", "--api_key=y"}, []string{"serve", "--db-password=***", "--api_key=***"}},
		{[]string{"serve", "--token", "--verbose"}, []string{"serve", "--token", "--verbose"}},
		{[]string{"serve", "--token-file", "/run/token", "--keyfile", "k"}, []string{"serve", "--token-file", "/run/token", "--keyfile", "k"}},
		{[]string{"env", "FOO_SECRET=x", "SECRET_KEY=y", "A=1", "gunicorn"}, []string{"env", "FOO_SECRET=***", "SECRET_KEY=***", "A=1", "gunicorn"}},
		{[]string{"gunicorn", "-e", "TOKEN=x", "--env=DB_PASSWORD=y"}, []string{"gunicorn", "-e", "TOKEN=***", "--env=DB_PASSWORD=***"}},
		{[]string{"serve", "--db=postgres://me:p4ss@db:5432/x"}, []string{"serve", "--db=postgres://***@db:5432/x"}},
		{[]string{"serve", "http://host:80/a@b"}, []string{"serve", "http://host:80/a@b"}},
		{[]string{"sh", "-c", "TOKEN=abc serve --password hunter2 --x"}, []string{"sh", "-c", "TOKEN=*** serve --password *** --x"}},
		{[]string{"serve", "-H", "Authorization: Bearer abc"}, []string{"serve", "-H", "Authorization: ***"}},
		{[]string{"gunicorn", "tokens:app", "--name", "secret-service"}, []string{"gunicorn", "tokens:app", "--name", "secret-service"}},
		{nil, nil},
	} {
		before := slices.Clone(test.argv)
		got, changed := Command(test.argv)
		if !slices.Equal(got, test.want) || changed == slices.Equal(test.argv, test.want) {
			t.Errorf("%q: got %q, changed %v", test.argv, got, changed)
		}
		if !slices.Equal(before, test.argv) {
			t.Errorf("%q: the command itself was changed", before)
		}
		if again, changed := Command(got); changed || !slices.Equal(again, got) {
			t.Errorf("%q: masked twice it is %q", test.argv, again)
		}
	}
}

func TestText(t *testing.T) {
	got := Text("env[DB_PASSWORD] = hunter2\nfastcgi_param API_KEY \"x y\";\nset $a postgres://u:p@h/d;\nplain = 1\nsecret:\n")
	want := "env[DB_PASSWORD] = ***\nfastcgi_param API_KEY \"***\";\nset $a postgres://***@h/d;\nplain = 1\nsecret:\n"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A substitution of several words is one word, also of the script that it would be.
func TestSubstitutionsEnd(t *testing.T) {
	for _, word := range []string{"$(openssl rand -hex 8)", "$(a $(b c) d)", "`a b`", "${A:-b c}", "$(a 'b c' \"d e\")"} {
		for _, argv := range [][]string{{"serve", word}, {"sh", "-c", word}, {"sh", "-c", "exec serve --name " + word}, {"serve", "--name", word}} {
			once, _ := Command(argv)
			if again, _ := Command(once); !slices.Equal(once, again) {
				t.Errorf("%q: %q, and then %q", argv, once, again)
			}
		}
	}
}
