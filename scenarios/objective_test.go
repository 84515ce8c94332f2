package scenarios

import (
	"math"
	"reflect"
	"strings"
	"testing"
)

// A flag means what the same lines in a file mean.
func TestParseObjective(t *testing.T) {
	file, err := Parse("shop.yaml", []byte("requests: [/]\nrate: 10\nobjective: {p95: 200ms, max: 1.5s, errors: 0.1%}\n"))
	if err != nil {
		t.Fatal(err)
	}
	flag, err := ParseObjective("p95=200ms, max = 1.5s,errors=0.1%")
	if err != nil || !reflect.DeepEqual(flag, file.Objective) {
		t.Errorf("got %v, %v, want %v", flag, err, file.Objective)
	}
	if got := flag.Flag(); got != "p95=200ms,max=1.5s,errors=0.1%" {
		t.Errorf("written %q", got)
	}
	for text, want := range map[string]string{
		"":                    "such as p95=200ms",
		"p95":                 "such as p95=200ms",
		"p95=":                "such as p95=200ms",
		"p95=200":             "write 200ms or 200s",
		"p95=soon":            "has to be a duration",
		"p95=-1s":             "has to be above 0",
		"p95=1s,p95=2s":       "p95 is given twice",
		"errors=1%,errors=2%": "errors is given twice",
		"errors=few":          "has to be a percentage",
		"errors=101%":         "share from 0 to 1",
		"p999=1s":             "did you mean \"p99\"",
		"latency=1s":          "unknown key",
		"p95=1s,":             "such as p95=200ms",
	} {
		if _, err := ParseObjective(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestParseRateOfAFlag(t *testing.T) {
	for text, want := range map[string]float64{"300": 300, "300/s": 300, "18000/m": 300, "1080000 / h": 300, "0.5": 0.5} {
		if got, err := ParseRate(text); err != nil || got != want {
			t.Errorf("%q: %g, %v, want %g", text, got, err, want)
		}
	}
	for _, text := range []string{"", "fast", "0", "-1", "nan", "inf", "300/d", "1e9"} {
		if _, err := ParseRate(text); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}

func TestParseConnections(t *testing.T) {
	for text, want := range map[string]int{"1": 1, "50": 50, "8192": MaxConnections} {
		if got, err := ParseConnections(text); err != nil || got != want {
			t.Errorf("%q: %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "0", "-1", "+5", "8193", "many", "1e2", "0x10", "5.0", "1_000", "99999999999999999999"} {
		if _, err := ParseConnections(text); err == nil || !strings.HasPrefix(err.Error(), "connections ") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// How many clients there are is no part of what each of them sends.
func TestConnectionsAreOfTheScenario(t *testing.T) {
	pool, err := Parse("shop.yaml", []byte("requests: [/]\nconnections: 50\n"))
	if err != nil || pool.Connections != 50 {
		t.Fatalf("got %+v, %v", pool, err)
	}
	open, err := Parse("shop.yaml", []byte("requests: [/]\n"))
	if err != nil || open.Connections != 0 || open.SHA256() != pool.SHA256() {
		t.Errorf("got %+v, %v, or another hash", open, err)
	}
	for _, text := range []string{"0", "-1", "many", "[1]", "9000"} {
		if _, err := Parse("shop.yaml", []byte("requests: [/]\nconnections: "+text+"\n")); err == nil || !strings.Contains(err.Error(), "line 2, column 14: connections ") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// What is read is valid, and says the same when it is written and read again. A share of errors is
// written with six digits.
func FuzzParseObjective(f *testing.F) {
	for _, text := range []string{"p95=200ms,errors=0.1%", "max=1.5s", "errors=0", "p50=1ns, p90=1h", "p95=,=", "errors=1e-9"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		o, err := ParseObjective(text)
		if err != nil {
			return
		}
		if err := o.validate(); err != nil || o.Empty() {
			t.Fatalf("%q is not valid: %v", text, err)
		}
		again, err := ParseObjective(o.Flag())
		if err != nil || !reflect.DeepEqual(again.Latency, o.Latency) || (again.Errors == nil) != (o.Errors == nil) {
			t.Fatalf("%q, written %q, is %v, %v", text, o.Flag(), again, err)
		}
		if o.Errors != nil && math.Abs(*again.Errors-*o.Errors) > 1e-5**o.Errors {
			t.Errorf("%q, written %q, allows %g of errors", text, o.Flag(), *again.Errors)
		}
	})
}
