package cmd

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"advise/sweep"
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
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return fmt.Errorf("generate man pages: %w", err)
			}
			c.Root().DisableAutoGenTag = true
			header := &doc.GenManHeader{Title: "ADVISE", Section: "1", Source: "advise", Manual: "advise", Date: &time.Time{}}
			if err := doc.GenManTree(c.Root(), header, dir); err != nil {
				return fmt.Errorf("generate man pages: %w", err)
			}
			pages, _ := filepath.Glob(filepath.Join(dir, "*.1"))
			_, err := fmt.Fprintf(c.OutOrStdout(), "%d pages in %s\n", len(pages), dir)
			return err
		},
	})
	return generate
}
