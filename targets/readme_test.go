package targets

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the README's table of servers anew")

const (
	tableBegin = "<!-- servers: go test ./targets -run Readme -update -->\n"
	tableEnd   = "<!-- /servers -->\n"
)

// The README's table of servers is what the adapters say of themselves.
func TestReadmeTable(t *testing.T) {
	path := filepath.Join("..", "README.md")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), tableBegin)
	old, after, closed := strings.Cut(rest, tableEnd)
	if !ok || !closed {
		t.Fatalf("the README has no part between %q and %q", tableBegin, tableEnd)
	}
	table := readmeTable()
	if *update {
		if err := os.WriteFile(path, []byte(before+tableBegin+table+tableEnd+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if old != table {
		t.Errorf("the README's table is not what the adapters say; go test ./targets -run Readme -update writes:\n%s", table)
	}
}

func readmeTable() string {
	var b strings.Builder
	b.WriteString("| server | recognised by | count | live change | seen by | tested with |\n|---|---|---|---|---|---|\n")
	for _, k := range List() {
		var versions []string
		for _, v := range k.Tested {
			versions = append(versions, strings.TrimSuffix(v, "."))
		}
		live := k.Live
		if live == "" {
			live = "no"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", k.Server, k.Recognised, k.Knob, live, k.Reports, strings.Join(versions, ", "))
	}
	return b.String()
}

// Whatever is shown of an adapter is there, and nothing is said twice.
func TestAbouts(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range List() {
		if seen[k.Name] || k.Name != strings.ToLower(k.Name) || strings.ContainsAny(k.Name, " /") {
			t.Errorf("the name %q is not one word of its own", k.Name)
		}
		seen[k.Name] = true
		for what, text := range map[string]string{"server": k.Server, "recognised": k.Recognised, "knob": k.Knob, "reports": k.Reports} {
			if text == "" || strings.ContainsAny(text, "|\n") {
				t.Errorf("%s: %s is %q", k.Name, what, text)
			}
		}
		if len(k.Traps) == 0 {
			t.Errorf("%s has no traps", k.Name)
		}
		for _, trap := range k.Traps {
			if !strings.HasSuffix(trap, ".") {
				t.Errorf("%s: the trap %q is no sentence", k.Name, trap)
			}
		}
	}
	for _, a := range adapters {
		if _, ok := a.(varier); ok != strings.Contains(a.About().Knob, "varied too: ") && a.Name() != "waitress" {
			t.Errorf("%s: can be varied: %v, and says %q", a.Name(), ok, a.About().Knob)
		}
		if _, ok := a.(resizer); ok != (a.About().Live != "") {
			t.Errorf("%s: can be resized: %v, and says %q", a.Name(), ok, a.About().Live)
		}
	}
}
