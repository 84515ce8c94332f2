package scenarios

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/agnivade/levenshtein"
)

var (
	errNoRequests = errors.New("requests has no entry: give at least one, such as /")
	errNoWeight   = errors.New("every weight is 0: nothing would be sent")
)

// Methods are the request methods a scenario can use.
func methods() []string {
	return []string{
		http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut,
		http.MethodPatch, http.MethodDelete, http.MethodOptions,
	}
}

func checkMethod(method string) error {
	if slices.Contains(methods(), method) {
		return nil
	}
	if near, ok := nearest(strings.ToUpper(method), methods()); ok {
		return fmt.Errorf("unknown method %q, did you mean %s?", method, near)
	}
	return fmt.Errorf("unknown method %q: known are %s", method, strings.Join(methods(), ", "))
}

// checkName refuses what would disturb a terminal or a table.
func checkName(name string) error {
	if strings.TrimSpace(name) == "" {
		return errors.New("the name is empty")
	}
	if !utf8.ValidString(name) || strings.ContainsFunc(name, func(c rune) bool { return !unicode.IsPrint(c) }) {
		return fmt.Errorf("the name %q has characters that can't be printed", name)
	}
	return nil
}

func checkPath(path string) error {
	switch {
	case path == "":
		return errors.New("the path is empty: write / for the root")
	case strings.Contains(path, "://") && !strings.HasPrefix(path, "/"):
		return fmt.Errorf("path %q is a full URL, and only the server that advise starts is driven: write %q", path, pathOf(path))
	case strings.HasPrefix(path, "//"):
		return fmt.Errorf("path %q starts with two slashes, which names another host: write one", path)
	case !strings.HasPrefix(path, "/"):
		return fmt.Errorf("path %q does not start with a slash: write %q", path, "/"+path)
	case strings.Contains(path, "#"):
		return fmt.Errorf("path %q has a fragment, which is never sent: drop it, or write %%23 for a #", path)
	case strings.ContainsFunc(path, func(c rune) bool { return c <= ' ' || c >= unicode.MaxASCII }):
		return fmt.Errorf("path %q has characters that must be percent-encoded: write %q", path, encoded(path))
	}
	if _, err := url.ParseRequestURI(path); err != nil {
		var cause *url.Error
		if errors.As(err, &cause) {
			err = cause.Err
		}
		return fmt.Errorf("path %q: %w", path, err)
	}
	return nil
}

// pathOf is the path and query of a full URL.
func pathOf(full string) string {
	u, err := url.Parse(full)
	if err != nil || u.Path == "" {
		return "/"
	}
	return u.RequestURI()
}

func encoded(path string) string {
	var b strings.Builder
	for i := range len(path) {
		if c := path[i]; c <= ' ' || c >= unicode.MaxASCII {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// connectionHeaders belong to the connection and the framing of a message, which are the generator's.
func connectionHeaders() []string {
	return []string{"Connection", "Content-Length", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}
}

func checkHeader(name string, values []string) error {
	if name == "" || strings.ContainsFunc(name, notToken) {
		return fmt.Errorf("header name %q is not allowed by HTTP", name)
	}
	canonical := textproto.CanonicalMIMEHeaderKey(name)
	if slices.Contains(connectionHeaders(), canonical) {
		return fmt.Errorf("header %s belongs to the connection: advise sets it itself", canonical)
	}
	for _, value := range values {
		if strings.ContainsFunc(value, isControl) {
			return fmt.Errorf("header %s: %s", canonical, badValue(value))
		}
	}
	if canonical == "Host" {
		return checkHost(values)
	}
	return nil
}

func isControl(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }

// badValue says what is wrong with a header's value, and not what the value is: it may be secret.
func badValue(value string) string {
	if trimmed := strings.TrimRight(value, "\r\n"); !strings.ContainsFunc(trimmed, isControl) {
		return "its value ends in a line break, as a block behind | does: write it on the line of its name"
	}
	return "its value has a line break or another control character"
}

// notToken is the complement of the characters of a token, RFC 9110 section 5.6.2.
func notToken(c rune) bool {
	letterOrDigit := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
	return !letterOrDigit && !strings.ContainsRune("!#$%&'*+-.^_`|~", c)
}

func checkHost(values []string) error {
	if len(values) != 1 {
		return fmt.Errorf("header Host has %d values: give one", len(values))
	}
	u, err := url.Parse("http://" + values[0])
	if err != nil || values[0] == "" || u.Host != values[0] {
		return fmt.Errorf("header Host: value %q is not a host name, with or without a port", values[0])
	}
	return nil
}

func checkStatus(status int) error {
	if status < 200 || status > 599 {
		return fmt.Errorf("expect: %d is not the status of an answer: those are from 200 to 599", status)
	}
	return nil
}

func checkWeight(weight float64) error {
	if !(weight >= 0 && weight <= MaxWeight) {
		return fmt.Errorf("weight is %v: it goes from 0 to %.0f", weight, MaxWeight)
	}
	return nil
}

func checkRate(rate float64) error {
	if !(rate > 0 && rate <= MaxRate) {
		return fmt.Errorf("rate is %v requests per second: it has to be above 0 and at most %.0f", rate, MaxRate)
	}
	return nil
}

func checkConnections(n int) error {
	if n < 1 || n > MaxConnections {
		return fmt.Errorf("connections is %d: it goes from 1 to %d", n, MaxConnections)
	}
	return nil
}

func checkLatency(quantile string, d time.Duration) error {
	if d <= 0 {
		return fmt.Errorf("%s is %s: it has to be above 0", quantile, d)
	}
	return nil
}

func checkErrors(share float64) error {
	if math.IsNaN(share) || share < 0 || share > 1 {
		return fmt.Errorf("errors is %v: it is a share from 0 to 1, or a percentage such as 0.1%%", share)
	}
	return nil
}

func unknownKey(key string, known []string) error {
	if near, ok := nearest(key, known); ok {
		return fmt.Errorf("unknown key %q, did you mean %q?", key, near)
	}
	return fmt.Errorf("unknown key %q: known are %s", key, strings.Join(known, ", "))
}

// nearest finds the one word that a slip of the hand turns into the word typed. Two words equally
// near are no answer: p97 is as far from p90 as from p99.
func nearest(typed string, known []string) (string, bool) {
	best, distance, alone := "", max(2, len(typed)/2), false
	for _, word := range known {
		switch d := levenshtein.ComputeDistance(strings.ToLower(typed), strings.ToLower(word)); {
		case d < distance:
			best, distance, alone = word, d, true
		case d == distance:
			alone = false
		}
	}
	return best, alone
}
