package targets

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"advise/targets/hold"
	"advise/targets/mask"
)

// node is a script of Node's in a cluster: with a master of its own, or in one that is made around it.
type node struct{}

func (node) Name() string { return "node" }

func (node) About() About {
	return About{
		Server:     "Node cluster",
		Recognised: "`node SCRIPT`; a script without a cluster gets one around it",
		Knob:       "`WEB_CONCURRENCY` read by its master, or `{workers}`; of the cluster around it: its forks",
		Reports:    "children of its master",
		Tested:     []string{"18.", "20."},
		WarmsUp:    time.Second,
		Traps: []string{
			"`os.cpus()` counts the host's processors, not the container's quota; `os.availableParallelism()` knows the affinity alone: write a number.",
			"PM2's `instances` alone is not the cluster mode: it needs `exec_mode: \"cluster\"`.",
			"The master hands out connections in turn, not requests: long-lived connections spread unevenly.",
			"A worker shares nothing with the others: sessions and caches in memory are each worker's own.",
			"The pool for files and names has four threads in each worker (`UV_THREADPOOL_SIZE`).",
		},
	}
}

func (node) StopSignal() syscall.Signal { return syscall.SIGTERM }

func (node) Recognise(argv []string) bool {
	_, _, _, ok := splitNode(argv)
	return ok
}

var nodeProgram = program{
	names: []string{"node", "nodejs"},
	options: newGrammar(`
		--require|-r= --import= --loader= --experimental-loader= --conditions|-C= --eval|-e= --print|-p= --check|-c
		--interactive|-i --version|-v --help|-h --test
	`),
}

// splitNode divides a command into what runs Node with its options, the script, and its arguments.
func splitNode(argv []string) (head []string, script string, args []string, ok bool) {
	program, rest, ok := nodeProgram.split(argv)
	if !ok {
		return nil, "", nil, false
	}
	head = program
	for i, a := range nodeProgram.options.parse(rest) {
		switch a.option {
		case "":
			for _, later := range nodeProgram.options.parse(rest)[i+1:] {
				args = append(args, later.words...)
			}
			return head, a.value, args, true
		case "--eval", "--print", "--check", "--interactive", "--version", "--help", "--test":
			return nil, "", nil, false
		}
		head = append(head, a.words...)
	}
	return nil, "", nil, false
}

var nodeCluster = regexp.MustCompile(`\bcluster\s*\.\s*(?:fork|setupPrimary|setupMaster)\b|throng\(`)

// ownMaster says whether a script forks its workers itself, or is told the count.
func ownMaster(c Command, script string) bool {
	if takes(c.Argv, "{workers}") {
		return true
	}
	text, err := readSmall(inDir(c.Dir, script))
	return err == nil && nodeCluster.Match(text)
}

func (node) Shape(c Command) Shape {
	_, script, _, _ := splitNode(c.Argv)
	if !ownMaster(c, script) {
		return Shape{Workers: 1, Threads: 1}
	}
	concurrency, _ := getenv(c.Env, concurrencyVariable)
	return Shape{Workers: positive(cmp.Or(assigned(c.Argv, concurrencyVariable), concurrency)), Threads: 1}
}

func (node) Launch(c Command, s Shape, p Place) (Launch, error) {
	c.Argv = unassign(c.Argv, concurrencyVariable, "HOST", "PORT")
	head, script, args, ok := splitNode(c.Argv)
	if !ok {
		return Launch{}, fmt.Errorf("launch %s: it names no script", show(c.Argv))
	}
	l, err := command{}.Launch(c, s, p)
	if err != nil || ownMaster(c, script) {
		return l, err
	}
	l.Argv = fillAll(append(head, p.file("cluster.js")), s, p)
	l.Files = []File{{Path: "cluster.js", Text: nodeMaster(inDir(c.Dir, script), fillAll(args, s, p), fmt.Sprint(s.Workers))}}
	return l, nil
}

// nodeMaster is a master that forks a script. A worker that ends is replaced, unless it never
// listened: then all ends, which is what somebody has to see.
func nodeMaster(script string, args []string, workers string) string {
	if args == nil {
		args = []string{}
	}
	path, _ := json.Marshal(script) // a string and a list of strings always become JSON
	list, _ := json.Marshal(args)
	return fmt.Sprintf(`const cluster = require('node:cluster');

cluster.setupPrimary({ exec: %s, args: %s });
const listened = new Set();
let ending = false;
cluster.on('listening', (worker) => listened.add(worker.id));
cluster.on('exit', (worker, code) => {
  if (ending) return;
  if (!listened.has(worker.id)) process.exit(code || 1);
  cluster.fork();
});
process.on('SIGTERM', () => {
  ending = true;
  for (const worker of Object.values(cluster.workers)) worker.kill();
});
for (let i = 0; i < %s; i++) cluster.fork();
`, path, list, workers)
}

func (node) Workers(tree []hold.Process, _ int) ([]hold.Process, bool) {
	return firstChildren(tree, sameName), true
}

func (node) Config(c Command, s Shape) []File {
	head, script, args, ok := splitNode(c.Argv)
	if !ok || ownMaster(c, script) {
		return command{}.Config(c, s)
	}
	args, _ = mask.Command(args)
	name, _ := json.Marshal(script)
	ecosystem := fmt.Sprintf("module.exports = {\n  apps: [{ script: %s, instances: %d, exec_mode: \"cluster\" }],\n};\n", name, s.Workers)
	return []File{
		{Path: "cluster.js", Text: nodeMaster("./"+strings.TrimPrefix(filepath.ToSlash(script), "./"), args, fmt.Sprint(s.Workers))},
		{Path: commandFile, Text: configLine(append(head, "cluster.js"), s)},
		{Path: "ecosystem.config.js", Text: ecosystem},
	}
}

func (node) Version(ctx context.Context, c Command) (string, error) {
	head, _, _ := nodeProgram.split(c.Argv)
	return askVersion(ctx, c, append(head, "--version"), regexp.MustCompile(`v([0-9.]+)`))
}

// explain knows a master that takes its count from elsewhere.
func (node) explain(log []string) string {
	text := strings.Join(log, "\n")
	if strings.Contains(text, "Cannot find module") {
		return "a module was not found: run advise in the application's folder, after npm install"
	}
	return ""
}

// portByEnvironment says whether the script learns its port from PORT alone, if it does.
func (node) portByEnvironment(c Command) bool { return command{}.portByEnvironment(c) }
