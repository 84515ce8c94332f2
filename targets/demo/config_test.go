package demo

import (
	"errors"
	"flag"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParseArgs(t *testing.T) {
	got, err := ParseArgs(strings.Fields("--workers 3 --host ::1 --port 0 --cpu 1.2ms --wait 0 --wait-distribution exp " +
		"--memory 1.5G --serial 100us --slow-share 0.1 --slow-factor 3 --seed -4 --fault-ignore-term --fault-leak 64K"))
	want := Default()
	want.Workers, want.Host, want.Port = 3, "::1", 0
	want.CPU, want.Wait, want.WaitDistribution = 1200*time.Microsecond, 0, "exp"
	want.Memory, want.Serial = 3<<29, 100*time.Microsecond
	want.SlowShare, want.SlowFactor, want.Seed = 0.1, 3, -4
	want.Faults.IgnoreTerm, want.Faults.Leak = true, 64<<10
	if err != nil || got != want {
		t.Errorf("got %+v, %v\nwant %+v", got, err, want)
	}
}

func TestArgsAreShort(t *testing.T) {
	c := Default()
	want := strings.Fields("--cpu 2ms --host 127.0.0.1 --memory 10M --port 8000 --wait 8ms --workers 1")
	if got := c.Args(); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	c.Socket = "/run/s"
	want = strings.Fields("--cpu 2ms --memory 10M --socket /run/s --wait 8ms --workers 1")
	if got := c.Args(); !slices.Equal(got, want) {
		t.Errorf("with a socket: got %q, want %q", got, want)
	}
}

func TestParseArgsRefuses(t *testing.T) {
	for args, want := range map[string]string{
		"--workers 0":               "--workers 0 must be from 1",
		"--workers 2000":            "must be from 1 to 1024",
		"--port 70000":              "--port 70000 must be from 0 to 65535",
		"--cpu -1ms":                "--cpu -1ms must not be negative",
		"--cpu 2":                   `"2"`,
		"--memory 10Q":              "not a size",
		"--memory -1":               "not a size",
		"--memory NaN":              "not a size",
		"--memory 9e99G":            "not a size",
		"--memory i":                "not a size",
		"--slow-share NaN":          "--slow-share NaN must be from 0 to 1",
		"--slow-factor +Inf":        "--slow-factor +Inf must be",
		"--wait-distribution gamma": "must be fixed or exp",
		"--fault-status 42":         "--fault-status 42 must be from 200 to 599",
		"--workers 1 serve":         `unexpected argument "serve"`,
		"--thread 1":                "-thread",
	} {
		if _, err := ParseArgs(strings.Fields(args)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", args, err, want)
		}
	}
	if _, err := ParseArgs([]string{"-h"}); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-h: got %v", err)
	}
}

// What is accepted means the same when it is written down and read again.
func FuzzParseArgs(f *testing.F) {
	f.Add("--workers\x003\x00--cpu\x002ms\x00--memory\x001.5G")
	f.Add("--socket\x00/tmp/s\x00--fault-exit\x00a message\x00--fault-daemonise")
	f.Add("--slow-share=.5\x00-seed=0x10\x00--fault-leak\x001025Ki")
	f.Add("--host\x00-h\x00--\x00")
	f.Fuzz(func(t *testing.T, line string) {
		c, err := ParseArgs(strings.Split(line, "\x00"))
		if err != nil {
			return
		}
		if again, err := ParseArgs(c.Args()); err != nil || again != c {
			t.Errorf("%+v became %+v, %v by %q", c, again, err, c.Args())
		}
	})
}
