package model

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// figure writes a number with three significant digits and no exponent.
func figure(v float64) string {
	if v == 0 {
		return "0"
	}
	decimals := 2 - int(math.Floor(math.Log10(math.Abs(v))))
	return strconv.FormatFloat(v, 'f', min(max(decimals, 0), 6), 64)
}

// percent writes a share.
func percent(share float64) string {
	p, decimals := 100*share, 0
	switch {
	case math.Abs(p) < 1:
		decimals = 2
	case math.Abs(p) < 10:
		decimals = 1
	}
	text := strconv.FormatFloat(p, 'f', decimals, 64)
	if decimals > 0 {
		text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
	}
	return text + " %"
}

// duration writes seconds in the unit people would use, with two significant digits or more.
func duration(seconds float64) string {
	switch {
	case seconds >= 1:
		return strconv.FormatFloat(seconds, 'f', 1, 64) + " s"
	case seconds >= 1e-3 || seconds == 0:
		return strconv.FormatFloat(seconds*1e3, 'f', 1, 64) + " ms"
	default:
		return strconv.FormatFloat(seconds*1e6, 'f', 1, 64) + " us"
	}
}

// waits says how long a request waits, or that it hardly does beside the time it needs a core.
func waits(wait, demand float64, verb string) string {
	if wait < demand/50 {
		return "hardly waits"
	}
	return verb + " " + duration(wait)
}

// megabytes writes bytes.
func megabytes(bytes float64) string {
	return strconv.FormatFloat(bytes/1e6, 'f', 0, 64) + " MB"
}

func quantity(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// listed joins counts: 4, 8 and 16.
func listed(counts []int) string {
	names := make([]string, len(counts))
	for i, n := range counts {
		names[i] = strconv.Itoa(n)
	}
	return joined(names)
}

// workersOf is 4, 8 and 16 workers.
func workersOf(counts []int) string {
	if len(counts) == 1 {
		return quantity(counts[0], "worker")
	}
	return listed(counts) + " workers"
}

// joined joins names as a sentence does.
func joined(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

func capital(phrase string) string {
	if phrase == "" {
		return ""
	}
	return strings.ToUpper(phrase[:1]) + phrase[1:]
}
