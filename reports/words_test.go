package reports

import "testing"

func TestFigures(t *testing.T) {
	for want, got := range map[string]string{
		"0":         Number(0),
		"0.0012":    Number(0.0012),
		"0.25":      Number(0.25),
		"2.10":      Number(2.1),
		"99.9":      Number(99.94),
		"100":       Number(99.96),
		"1,235":     Number(1234.6),
		"-1,234":    Number(-1234),
		"1,234,568": Number(1234567.8),
		"512 kB":    size(512e3),
		"1.2 MB":    size(1.2e6),
		"96 MB":     size(96e6),
		"999 MB":    size(999.4e6),
		"1.0 GB":    size(999.6e6),
		"1.5 GB":    size(1.5e9),
		"8.59 GB":   size(8 << 30),
		"0 us":      duration(0),
		"850 us":    duration(0.00085),
		"2.1 ms":    duration(0.0021),
		"12 ms":     duration(0.0123),
		"1.20 s":    duration(1.2),
		"0.4 %":     percent(0.004),
		"41 %":      percent(0.4149),
		"1 worker":  count(1, "worker"),
		"5 workers": count(5, "worker"),
		"0.5 cores": cores(0.5),
		"0-3,8":     CPUList([]int{8, 0, 1, 2, 3}),
		"":          CPUList(nil),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestThroughputWords(t *testing.T) {
	at := func(x, low, high float64) string {
		value, interval := throughputWords(Point{ThroughputRPS: &x, ThroughputLowRPS: &low, ThroughputHighRPS: &high})
		return value + " " + interval
	}
	for want, got := range map[string]string{
		"412 ± 9":          at(412, 403, 421),
		"99.9 ± 0.9":       at(99.9, 99.0, 100.8),
		"1,234 ± 56":       at(1234, 1178, 1290),
		"412 ":             at(412, 412, 412), // no repeats: no interval
		"320 (91.0-1,120)": at(320, 91, 1120),
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestShellQuotes(t *testing.T) {
	for want, argv := range map[string][]string{
		"gunicorn -w 4 app:app":     {"gunicorn", "-w", "4", "app:app"},
		"./serve --port {port}":     {"./serve", "--port", "{port}"},
		`sh -c 'it'\''s; rm -rf /'`: {"sh", "-c", "it's; rm -rf /"},
		"a ''":                      {"a", ""},
	} {
		if got := shell(argv); got != want {
			t.Errorf("shell(%q) = %s, want %s", argv, got, want)
		}
	}
}
