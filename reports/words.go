package reports

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// How people like their figures: three significant digits, thousands apart, the unit they would
// use. Bytes are decimal: 1 MB is 1,000,000, as in the flag --mem 512M.

// Number writes v with three significant digits, and none behind the point from 100 on.
func Number(v float64) string {
	abs := math.Abs(v)
	switch {
	case abs >= 99.95 || abs == 0:
		return thousands(strconv.FormatFloat(v, 'f', 0, 64))
	case abs >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case abs >= 0.01:
		return strconv.FormatFloat(v, 'f', 2, 64)
	default:
		return strconv.FormatFloat(v, 'g', 2, 64)
	}
}

// short writes v without zeros behind the point: 4, 1.5.
func short(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

func thousands(digits string) string {
	digits, negative := strings.CutPrefix(digits, "-")
	whole, _, _ := strings.Cut(digits, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	if negative {
		return "-" + digits
	}
	return digits
}

// size writes bytes: 96 MB, 1.5 GB.
func size(bytes float64) string {
	switch abs := math.Abs(bytes); {
	case abs >= 999.5e6:
		return strings.TrimSuffix(strconv.FormatFloat(bytes/1e9, 'f', 2, 64), "0") + " GB"
	case abs >= 9.5e6:
		return strconv.FormatFloat(bytes/1e6, 'f', 0, 64) + " MB"
	case abs >= 1e6:
		return strconv.FormatFloat(bytes/1e6, 'f', 1, 64) + " MB"
	default:
		return strconv.FormatFloat(bytes/1e3, 'f', 0, 64) + " kB"
	}
}

// duration writes seconds: 2.1 ms, 1.20 s, 850 us.
func duration(seconds float64) string {
	switch abs := math.Abs(seconds); {
	case abs >= 0.9995:
		return Number(seconds) + " s"
	case abs >= 0.0009995:
		return milli(seconds*1e3) + " ms"
	default:
		return milli(seconds*1e6) + " us"
	}
}

func milli(v float64) string {
	if math.Abs(v) >= 9.95 || v == 0 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'f', 1, 64)
}

// percent writes a share; below one percent with a digit behind the point.
func percent(share float64) string {
	p := math.Abs(100 * share)
	if p > 0 && p < 0.95 {
		return strconv.FormatFloat(100*share, 'f', 1, 64) + " %"
	}
	return strconv.FormatFloat(100*share, 'f', 0, 64) + " %"
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return thousands(strconv.Itoa(n)) + " " + noun + "s"
}

func cores(n float64) string {
	if n == 1 {
		return "1 core"
	}
	return short(n) + " cores"
}

// span writes the interval of the recommended count: 5-7, 5 or more.
func span(r *Recommendation) string {
	switch {
	case !r.HighResolved:
		return fmt.Sprintf("%d or more", r.Low)
	case r.Low == r.High:
		return strconv.Itoa(r.Low)
	}
	return fmt.Sprintf("%d-%d", r.Low, r.High)
}

// throughputWords writes a point's throughput and its interval: half of it with as many digits
// behind the point, or both ends where they are not about as far away. Without an interval that is
// empty, without a throughput the value is a dash.
func throughputWords(p Point) (value, interval string) {
	if p.ThroughputRPS == nil {
		return "-", ""
	}
	value = Number(*p.ThroughputRPS)
	if p.ThroughputLowRPS == nil || p.ThroughputHighRPS == nil || *p.ThroughputHighRPS <= *p.ThroughputLowRPS {
		return value, ""
	}
	below, above := *p.ThroughputRPS-*p.ThroughputLowRPS, *p.ThroughputHighRPS-*p.ThroughputRPS
	if above > 1.25*below || below > 1.25*above {
		return value, "(" + Number(*p.ThroughputLowRPS) + "-" + Number(*p.ThroughputHighRPS) + ")"
	}
	digits := 0
	if i := strings.IndexByte(value, '.'); i >= 0 {
		digits = len(value) - i - 1
	}
	return value, "± " + thousands(strconv.FormatFloat((below+above)/2, 'f', digits, 64))
}

// CPUList writes core numbers as the kernel does: 0-3,8.
func CPUList(cpus []int) string {
	cpus = slices.Sorted(slices.Values(cpus))
	var parts []string
	for i := 0; i < len(cpus); {
		j := i
		for j+1 < len(cpus) && cpus[j+1] == cpus[j]+1 {
			j++
		}
		part := strconv.Itoa(cpus[i])
		if j > i {
			part += "-" + strconv.Itoa(cpus[j])
		}
		parts = append(parts, part)
		i = j + 1
	}
	return strings.Join(parts, ",")
}

// shell writes a command so that it can be pasted into a shell.
func shell(argv []string) string {
	words := make([]string, len(argv))
	for i, a := range argv {
		words[i] = a
		if a == "" || strings.ContainsFunc(a, needsQuotes) {
			words[i] = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}

func needsQuotes(r rune) bool {
	return !(unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("/._-+=:@%,{}", r))
}
