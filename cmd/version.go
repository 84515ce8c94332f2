package cmd

import (
	"bytes"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"advise/sweep"
	"advise/targets/disk"
	"advise/targets/plain"
)

// tool is this program, from what the build recorded.
func tool() sweep.Tool {
	t := sweep.Tool{Version: "devel", Commit: "unknown"}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return t
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		t.Version = v
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			t.Commit = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			t.Commit += " with changes"
		}
	}
	return t
}

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			t := tool()
			_, err := fmt.Fprintf(c.OutOrStdout(), "advise %s (commit %s, %s, %s/%s)\n", t.Version, t.Commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}

func newGenerate() *cobra.Command {
	generate := &cobra.Command{Use: "generate", Short: "Generate documentation", Args: cobra.NoArgs}
	generate.AddCommand(&cobra.Command{
		Use: "man [FOLDER]", Short: "Write the man pages to a folder (default: man)", Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			dir := "man"
			if len(args) == 1 {
				dir = args[0]
			}
			c.Root().DisableAutoGenTag = true
			pages, err := writeManPages(c.Root(), dir)
			if err != nil {
				return withHint(fmt.Errorf("generate man pages: %w", err), "name a folder for them: advise generate man FOLDER")
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "%d pages in %s\n", pages, plain.Line(dir))
			return err
		},
	})
	return generate
}

// writeManPages writes the page of a command and those of the commands below it, and returns how many.
func writeManPages(c *cobra.Command, dir string) (pages int, err error) {
	for _, below := range c.Commands() {
		if !below.IsAvailableCommand() || below.IsAdditionalHelpTopicCommand() {
			continue
		}
		more, err := writeManPages(below, dir)
		if err != nil {
			return 0, err
		}
		pages += more
	}
	var page bytes.Buffer
	header := &doc.GenManHeader{Title: "ADVISE", Section: "1", Source: "advise", Manual: "advise", Date: &time.Time{}}
	if err := doc.GenMan(c, header, &page); err != nil {
		return 0, err
	}
	name := strings.ReplaceAll(c.CommandPath(), " ", "-") + ".1"
	return pages + 1, disk.Generate(dir, name, page.Bytes(), isManPage)
}

// isManPage knows the pages of this and of other versions.
func isManPage(text []byte) bool {
	lines := bytes.SplitN(text, []byte("\n"), 3)
	return len(lines) > 1 && bytes.HasPrefix(lines[1], []byte(`.TH "ADVISE" "1" `)) && bytes.HasSuffix(lines[1], []byte(` "advise" "advise"`))
}
