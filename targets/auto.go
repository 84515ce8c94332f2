package targets

import (
	"cmp"
	"path/filepath"
	"regexp"
	"strings"
)

// A CPUCount is one of the counts of processors that a process can find.
type CPUCount string

// The counts, the largest first.
const (
	CountHost     CPUCount = "host"     // the machine's
	CountAffinity CPUCount = "affinity" // those it may run on
	CountQuota    CPUCount = "quota"    // those, and no more than its cgroup's quota
)

// An Auto is a worker count that a command leaves to the number of processors.
type Auto struct {
	Setting string   `json:"setting"` // as it is written
	Reads   CPUCount `json:"reads"`   // which number
}

// A counter is the adapter of a server that can take its count from the processors. Where a server has
// no such setting its default is one worker, whatever the machine.
type counter interface {
	// auto is not ok when the command says a number, or nothing.
	auto(c Command) (a Auto, ok bool)
}

// Auto says what the user's own command would take its count from, if that is the processors.
func (t *Target) Auto() (a Auto, ok bool) {
	if c, counts := t.Adapter.(counter); counts {
		return c.auto(t.Command)
	}
	return Auto{}, false
}

// nginx counts what is online: pinned to one of two processors it starts two workers.
func (nginx) auto(c Command) (Auto, bool) {
	conf, err := readNginx(c)
	if err != nil {
		return Auto{}, false
	}
	count, _ := conf.value("worker_processes")
	return Auto{Setting: "worker_processes auto", Reads: CountHost}, count == "auto"
}

// uWSGI puts what is online in the place of %k.
func (uwsgi) auto(c Command) (Auto, bool) {
	f, err := readUwsgi(c)
	if err != nil {
		return Auto{}, false
	}
	count := cmp.Or(uwsgiProgram.setting(c, "--processes"), f.last("--processes"))
	return Auto{Setting: "processes = " + count, Reads: CountHost}, strings.Contains(count, "%k")
}

var (
	cpuCount        = regexp.MustCompile(`(?m)^[^#\n]*\b((?:multiprocessing|os)\.)?cpu_count\(\)`)
	processCPUCount = regexp.MustCompile(`(?m)^[^#\n]*\bprocess_cpu_count\(\)|^[^#\n]*\bsched_getaffinity\(`)
)

// gunicorn has no such setting, but its documentation has an expression for the file. The count on the
// command line or in the file as a number wins.
func (g gunicorn) auto(c Command) (Auto, bool) {
	conf := readGunicornConf(c)
	if conf.name == "" || gunicornProgram.setting(c, "--workers") != "" || conf.values["workers"] != "" {
		return Auto{}, false
	}
	text, err := readSmall(inDir(c.Dir, conf.name))
	if err != nil {
		return Auto{}, false
	}
	switch {
	case processCPUCount.Match(text):
		return Auto{Setting: "the affinity in " + filepath.Base(conf.name), Reads: CountAffinity}, true
	case cpuCount.Match(text):
		return Auto{Setting: "cpu_count() in " + filepath.Base(conf.name), Reads: CountHost}, true
	}
	return Auto{}, false
}

var (
	nodeCPUs        = regexp.MustCompile(`\bcpus\s*\(\s*\)`)
	nodeParallelism = regexp.MustCompile(`\bavailableParallelism\s*\(\s*\)`)
)

// A Node master counts by itself. From Node 22.12 on availableParallelism minds the quota too.
func (node) auto(c Command) (Auto, bool) {
	_, script, _, ok := splitNode(c.Argv)
	if !ok || !ownMaster(c, script) {
		return Auto{}, false
	}
	text, err := readSmall(inDir(c.Dir, script))
	switch {
	case err != nil:
		return Auto{}, false
	case nodeParallelism.Match(text):
		reads := CountAffinity
		if since(c.Version, 22, 12) {
			reads = CountQuota
		}
		return Auto{Setting: "availableParallelism() in " + filepath.Base(script), Reads: reads}, true
	case nodeCPUs.Match(text):
		return Auto{Setting: "cpus() in " + filepath.Base(script), Reads: CountHost}, true
	}
	return Auto{}, false
}

var (
	pumaAuto       = regexp.MustCompile(`(?m)^[ \t]*workers[ \t(]+:auto\b`)
	etcNprocessors = regexp.MustCompile(`(?m)^[ \t]*workers\b[^#\n]*\bEtc\.nprocessors\b`)
	physicalCount  = regexp.MustCompile(`(?m)^[^#\n]*\bConcurrent\.physical_processor_count\b`)
)

// Puma asks concurrent-ruby for what is available, from 6.5 on. Ruby's own count is the affinity's;
// Rails wrote the number of physical cores into config/puma.rb for a while.
func (puma) auto(c Command) (Auto, bool) {
	if pumaProgram.setting(c, "--workers") != "" {
		return Auto{}, false
	}
	name, text := readPuma(c)
	concurrency, _ := getenv(c.Env, "WEB_CONCURRENCY")
	switch {
	case pumaAuto.MatchString(text):
		return Auto{Setting: "workers :auto in " + filepath.Base(name), Reads: CountQuota}, true
	case etcNprocessors.MatchString(text):
		return Auto{Setting: "Etc.nprocessors in " + filepath.Base(name), Reads: CountAffinity}, true
	case physicalCount.MatchString(text):
		return Auto{Setting: "physical_processor_count in " + filepath.Base(name), Reads: CountHost}, true
	}
	return Auto{Setting: "WEB_CONCURRENCY=auto", Reads: CountQuota}, concurrency == "auto"
}
