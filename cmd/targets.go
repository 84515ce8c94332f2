package cmd

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/agnivade/levenshtein"
	"github.com/spf13/cobra"

	"advise/targets"
)

func newTargets(s Streams) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "targets [NAME]", Short: "List the servers advise knows, or the traps of one", Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			kinds := targets.List()
			if len(args) > 0 {
				kind, err := kindOf(kinds, args[0])
				if err != nil {
					return err
				}
				if asJSON {
					return writeJSON(s.Out, kind)
				}
				return printKind(s.Out, kind)
			}
			if asJSON {
				return writeJSON(s.Out, kinds)
			}
			return printKinds(s.Out, kinds)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON document")
	return c
}

func writeJSON(w io.Writer, document any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(document)
}

func kindOf(kinds []targets.Known, name string) (targets.Known, error) {
	if k, ok := targets.Named(name); ok {
		return k, nil
	}
	nearest, distance := "", 3
	for _, k := range kinds {
		if d := levenshtein.ComputeDistance(strings.ToLower(name), k.Name); d < distance {
			nearest, distance = k.Name, d
		}
	}
	err := fmt.Errorf("find the server %q: there is none of that name", name)
	if nearest != "" {
		return targets.Known{}, withHint(err, "did you mean %s?", nearest)
	}
	return targets.Known{}, withHint(err, "advise targets lists them")
}

func printKinds(w io.Writer, kinds []targets.Known) error {
	var b strings.Builder
	for _, k := range kinds {
		fmt.Fprintf(&b, "%-10s %s\n", k.Name, titleOf(k))
		facts(&b, k, strings.Repeat(" ", 11))
		b.WriteString("\n")
	}
	b.WriteString("advise targets NAME tells the traps of one.\n")
	_, err := io.WriteString(w, b.String())
	return err
}

func printKind(w io.Writer, k targets.Known) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", titleOf(k))
	facts(&b, k, "")
	b.WriteString("\n")
	for _, trap := range k.Traps {
		fmt.Fprintf(&b, "- %s\n", wrap(trap, 78, "  "))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func titleOf(k targets.Known) string {
	if len(k.Tested) == 0 {
		return k.Server
	}
	var versions []string
	for _, v := range k.Tested {
		versions = append(versions, strings.TrimSuffix(v, "."))
	}
	return fmt.Sprintf("%s (tested with %s)", k.Server, strings.Join(versions, ", "))
}

// facts are the lines of a kind's description. What is code in the README is plain here.
func facts(b *strings.Builder, k targets.Known, indent string) {
	for _, f := range []struct{ name, text string }{
		{"recognised", k.Recognised}, {"count", k.Knob}, {"live", cmp.Or(k.Live, "no: each count is a fresh start")}, {"seen by", k.Reports},
	} {
		text := strings.ReplaceAll(f.text, "`", "")
		fmt.Fprintf(b, "%s%-12s%s\n", indent, f.name, wrap(text, 80-len(indent)-12, indent+strings.Repeat(" ", 12)))
	}
}

// wrap breaks a text at blanks so that no line is longer than width, where words allow it.
func wrap(text string, width int, indent string) string {
	var b strings.Builder
	length := 0
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
		case length+1+len(word) > width:
			b.WriteString("\n" + indent)
			length = 0
		default:
			b.WriteString(" ")
			length++
		}
		b.WriteString(word)
		length += len(word)
	}
	return b.String()
}
