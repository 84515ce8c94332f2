package cmd

import (
	"cmp"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"advise/reports"
	"advise/sweep"
)

func newReport(s Streams) *cobra.Command {
	var o outputOptions
	var skip bool
	c := &cobra.Command{
		Use: "report DIR", Short: "Make the reports of a record again", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			r, err := openRecord(args[0], skip)
			if err != nil {
				return err
			}
			return publish(s, r, o, nil)
		},
	}
	o.register(c.Flags())
	c.Flags().BoolVar(&skip, "skip-damaged", false, "leave damaged lines of trials.jsonl out; the file keeps them")
	return c
}

func openRecord(dir string, skipDamaged bool) (*sweep.Record, error) {
	if skipDamaged {
		return sweep.OpenDamaged(dir)
	}
	return sweep.Open(dir)
}

// textOptions fit the text to where it is shown: a terminal's width and colours, or 80 columns
// without any.
func textOptions(out io.Writer, o outputOptions) reports.TextOptions {
	options := reports.TextOptions{Width: 80, ASCII: !unicodeLocale()}
	f, ok := out.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return options
	}
	if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
		options.Width = width
	}
	options.Color = !o.noColor && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	return options
}

// unicodeLocale is true unless the user's locale says otherwise: containers set none, and their
// terminals take UTF-8.
func unicodeLocale() bool {
	locale := strings.ToLower(cmp.Or(os.Getenv("LC_ALL"), os.Getenv("LC_CTYPE"), os.Getenv("LANG")))
	return locale == "" || strings.Contains(locale, "utf-8") || strings.Contains(locale, "utf8")
}
