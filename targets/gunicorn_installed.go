package targets

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// hasControlSocket says whether a version opens a control socket at one path for all servers of a
// user unless it is told not to. Versions before 25.1 refuse the option that tells it.
func hasControlSocket(version string) bool {
	var numbers [2]int
	for i, part := range strings.SplitN(version, ".", 3) {
		if i < len(numbers) {
			numbers[i], _ = strconv.Atoi(part)
		}
	}
	return slices.Compare(numbers[:], []int{25, 1}) >= 0
}

var distribution = regexp.MustCompile(`/gunicorn-([0-9][^/-]*)(?:-py[0-9.]+)?\.(?:dist|egg)-info$`)

// installedGunicorn finds the version in the names of the files that pip or the distribution
// installed, in well under a millisecond where asking takes a few tenths of a second. It is empty
// where these do not tell, as behind `uv run`.
func installedGunicorn(c Command) string {
	head, _, ok := splitGunicorn(c.Argv)
	if ok && filepath.Base(head[0]) == "env" {
		head = slices.DeleteFunc(slices.Clone(head[1:]), assigns)
	}
	if !ok || len(head) > 1 && !interpreter.MatchString(filepath.Base(head[0])) {
		return ""
	}
	program, err := lookPath(head[0], c)
	if err != nil {
		return ""
	}
	folders := []string{filepath.Dir(program)}
	if len(head) == 1 {
		python := shebang(program, c)
		if python == "" {
			return ""
		}
		folders = append(folders, filepath.Dir(python))
	}
	var patterns []string
	for _, bin := range folders {
		patterns = append(patterns, filepath.Join(bin, "../lib/python3*/site-packages"))
		if bin == "/usr/bin" || bin == "/bin" {
			patterns = append(patterns, "/usr/lib/python3/dist-packages", "/usr/local/lib/python3*/dist-packages")
		}
	}
	home, _ := getenv(c.Env, "HOME")
	patterns = append(patterns, filepath.Join(home, ".local/lib/python3*/site-packages"))
	if extra, _ := getenv(c.Env, "PYTHONPATH"); extra != "" {
		for _, dir := range filepath.SplitList(extra) {
			patterns = append(patterns, inDir(c.Dir, dir))
		}
	}
	var versions []string
	for _, p := range patterns {
		found, _ := filepath.Glob(filepath.Join(p, "gunicorn-*-info"))
		for _, f := range found {
			if m := distribution.FindStringSubmatch(f); m != nil && !slices.Contains(versions, m[1]) {
				versions = append(versions, m[1])
			}
		}
	}
	if len(versions) != 1 {
		return ""
	}
	return versions[0]
}

// shebang is the interpreter that a script names in its first line, if it is a Python.
func shebang(script string, c Command) string {
	text, err := readSmall(script)
	if err != nil {
		return ""
	}
	line, _, _ := bufio.NewReader(bytes.NewReader(text)).ReadLine()
	rest, ok := strings.CutPrefix(string(line), "#!")
	words := strings.Fields(rest)
	if !ok || len(words) == 0 {
		return ""
	}
	python := words[0]
	if filepath.Base(python) == "env" && len(words) == 2 {
		if python, err = lookPath(words[1], c); err != nil {
			return ""
		}
	}
	if !interpreter.MatchString(filepath.Base(python)) {
		return ""
	}
	return python
}

var versionAnswer = regexp.MustCompile(`\(version ([0-9][^)\s]*)\)`)

// askGunicorn runs `gunicorn --version` behind whatever the command has before it.
func askGunicorn(ctx context.Context, c Command) (string, error) {
	head, _, _ := splitGunicorn(c.Argv)
	program, err := lookPath(head[0], c)
	if err != nil {
		return "", fmt.Errorf("ask %s for its version: %w", show(head), err)
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	ask := exec.CommandContext(ctx, program, append(slices.Clone(head[1:]), "--version")...)
	ask.Env, ask.Dir = setenv(c.Env, gunicornVariable, ""), c.Dir
	ask.WaitDelay = time.Second
	out, err := ask.Output()
	if err != nil {
		return "", fmt.Errorf("ask %s for its version: %w", show(head), err)
	}
	m := versionAnswer.FindSubmatch(out)
	if m == nil {
		return "", fmt.Errorf("ask %s for its version: it answered %.100q", show(head), out)
	}
	return string(m[1]), nil
}
