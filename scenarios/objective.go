package scenarios

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ParseObjective reads an objective from a line, as a flag has it: p95=200ms,errors=0.1%. Each part
// means what it does in a file.
func ParseObjective(text string) (Objective, error) {
	var o Objective
	for part := range strings.SplitSeq(text, ",") {
		key, value, ok := strings.Cut(part, "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		_, twice := o.Latency[key]
		switch {
		case !ok || value == "":
			return Objective{}, fmt.Errorf("want a latency or errors with its limit, such as p95=200ms,errors=0.1%%, and not %q", part)
		case twice || key == errorsKey && o.Errors != nil:
			return Objective{}, fmt.Errorf("%s is given twice", key)
		case key == errorsKey:
			share, err := parseErrors(value)
			if err != nil {
				return Objective{}, err
			}
			o.Errors = &share
		case slices.Contains(Quantiles(), key):
			d, err := parseLatency(key, value)
			if err != nil {
				return Objective{}, err
			}
			if o.Latency == nil {
				o.Latency = map[string]time.Duration{}
			}
			o.Latency[key] = d
		default:
			return Objective{}, unknownKey(key, append(Quantiles(), errorsKey))
		}
	}
	return o, nil
}

const errorsKey = "errors"

// Flag is the objective as ParseObjective reads it.
func (o Objective) Flag() string {
	text := strings.ReplaceAll(strings.ReplaceAll(o.String(), " <= ", "="), ", ", ",")
	if o.Errors == nil {
		return text
	}
	rounded := percent(*o.Errors)
	if share, err := parseErrors(rounded); err == nil && share == *o.Errors {
		return text
	}
	return strings.TrimSuffix(text, rounded) + strconv.FormatFloat(*o.Errors, 'f', -1, 64)
}

// ParseRate reads requests per second: a number, or per second, minute or hour as in 18000/m.
func ParseRate(text string) (float64, error) {
	count, unit, hasUnit := strings.Cut(text, "/")
	seconds := map[string]float64{"s": 1, "m": 60, "h": 3600}[strings.TrimSpace(unit)]
	if !hasUnit {
		seconds = 1
	}
	rate, ok := decimal(strings.TrimSpace(count))
	if !ok || seconds == 0 {
		return 0, errors.New("rate has to be requests per second, such as 300 or 300/s, or with /m or /h per minute or hour")
	}
	rate /= seconds
	return rate, checkRate(rate)
}

// ParseConnections reads a number of connections.
func ParseConnections(text string) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || text[0] == '+' {
		return 0, fmt.Errorf("connections has to be a whole number from 1 to %d", MaxConnections)
	}
	return n, checkConnections(n)
}

func parseLatency(quantile, text string) (time.Duration, error) {
	if _, number := decimal(text); number {
		return 0, fmt.Errorf("%s has no unit: write %sms or %ss", quantile, text, text)
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("%s has to be a duration such as 200ms or 1.5s", quantile)
	}
	return d, checkLatency(quantile, d)
}

func parseErrors(text string) (float64, error) {
	if percent, ok := strings.CutSuffix(text, "%"); ok && !strings.ContainsAny(percent, "eE") {
		text = strings.TrimSpace(percent) + "e-2" // exact, where a division by 100 would round twice
	}
	share, ok := decimal(text)
	if !ok {
		return 0, errors.New("errors has to be a percentage such as 0.1% or a share such as 0.001")
	}
	return share, checkErrors(share)
}

// decimal parses a number the way people read it: 010 is ten, and inf, nan and 0x10 are none.
func decimal(s string) (float64, bool) {
	if strings.ContainsAny(s, "xXpPnN_") {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil
}
