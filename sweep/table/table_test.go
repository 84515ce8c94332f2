package table

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"advise/model"
)

func TestRead(t *testing.T) {
	want := []Row{
		{Line: 2, Workers: 1, Throughput: 100.5, Latency: 0.012, Memory: 50e6, Repeat: 1},
		{Line: 3, Workers: 2, Throughput: 190, Repeat: 1},
		{Line: 4, Workers: 4, Throughput: 0, Latency: 0.5, Memory: 1 << 20, Repeat: 2},
	}
	for name, text := range map[string]string{
		"commas":                     "workers,throughput,latency,memory,repeat\n1,100.5,12ms,50M,1\n2,190,,,1\n4,0,0.5,1Mi,2\n",
		"semicolons":                 "workers;throughput;latency;memory;repeat\n1;100.5;0.012;50000000;1\n2;190;;;1\n4;0;500ms;1048576;2\n",
		"tabs":                       "workers\tthroughput\tlatency\tmemory\trepeat\n1\t100.5\t12ms\t50MB\t1\n2\t190\t\t\t1\n4\t0\t.5\t1MiB\t2\n",
		"Windows":                    "\xef\xbb\xbfWorkers,Throughput,Latency,Memory,Repeat\r\n1,100.5,12ms,50M,1\r\n2,190,,,1\r\n4,0,0.5,1Mi,2\r\n",
		"spaces":                     "workers , throughput, latency , memory, repeat\n 1, 100.5 , 12ms, 50 MB, 1\n2, 190, , ,1\n4 ,0, 5e-1,1Mi,2",
		"quotes":                     "\"workers\",\"throughput\",\"latency\",\"memory\",\"repeat\"\n\"1\",\"100.5\",12ms,50M,1\n2,190,,,1\n4,0,0.5,1Mi,2\n",
		"other names, another order": "repeat,rps,latency_ms,memory_bytes,workers\n1,100.5,12,50e6,1\n1,190,,,2\n2,0,500,1048576,4\n",
	} {
		got, err := Read(strings.NewReader(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if d := cmp.Diff(want, got.Rows); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

func TestReadComments(t *testing.T) {
	got, err := Read(strings.NewReader("# from the wiki, semicolons; everywhere;\n\nclients,x,cpu\n# the first\n1,10,2ms\n\n2,20,0.003\n3,30,\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := &Table{SHA256: got.SHA256, Counts: "clients", Rows: []Row{
		{Line: 5, Workers: 1, Throughput: 10, CPU: 0.002},
		{Line: 7, Workers: 2, Throughput: 20, CPU: 0.003},
		{Line: 8, Workers: 3, Throughput: 30},
	}}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// What is not known here is left out by name; a spreadsheet's empty column has none.
func TestReadIgnores(t *testing.T) {
	for text, want := range map[string][]string{
		"Date,workers,throughput,colour\n2026-11-21,1,10,red\n,2,20,\n,3,30,\n": {"date", "colour"},
		"workers,throughput,\n1,10,\n2,20,\n3,30, \n":                           nil,
		"workers,throughput,,\n1,10,,\n2,20,,late\n3,30,,\n":                    {"number 4 without a title"},
	} {
		got, err := Read(strings.NewReader(text))
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if d := cmp.Diff(want, got.Ignored); d != "" {
			t.Errorf("%q: %s", text, d)
		}
		if r := got.Rows[2]; r != (Row{Line: 4, Workers: 3, Throughput: 30}) {
			t.Errorf("%q: got %+v", text, r)
		}
	}
}

// A tool that writes zeros where nothing worked says that nothing is known, not that it took no time.
func TestReadZeros(t *testing.T) {
	got, err := Read(strings.NewReader("workers,throughput,latency,memory,cpu\n1,1e3,10ms,50M,2ms\n2,190,0,0,0\n8,0,0,0,0.0\n4,0,0ms,0M,-0\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []model.Observation{
		{Workers: 1, Throughput: 1000, Memory: 50e6, CPUPerRequest: 0.002},
		{Workers: 2, Throughput: 190},
		{Workers: 8, Failed: true, Why: "the throughput is 0"},
		{Workers: 4, Failed: true, Why: "the throughput is 0"},
	}
	if d := cmp.Diff(want, got.Observations()); d != "" {
		t.Error(d)
	}
	if got := got.Latencies(); len(got) != 1 || len(got[1]) != 1 {
		t.Errorf("got latencies %v, want that of 1 worker alone", got)
	}
}

func TestReadRefuses(t *testing.T) {
	const rows = "1,10\n2,20\n3,30\n"
	for name, c := range map[string]struct {
		text   string
		line   int
		reason string
	}{
		"nothing":               {"", 0, "it is empty"},
		"comments alone":        {"# nothing\n\n", 0, "it is empty"},
		"a header alone":        {"workers,throughput\n", 0, "no measurement"},
		"no header":             {rows, 1, `no column is called "1": want workers, throughput, latency`},
		"no known column":       {"colour,taste\n1,10\n", 1, `no column is called "colour": want workers`},
		"an unknown one twice":  {"workers,date,throughput,Date\n1,1,10,1\n", 1, `two columns are called "date"`},
		"a slip in a title":     {"workers,troughput\n1,10\n", 1, "there is no column throughput"},
		"no counts":             {"throughput\n10\n", 1, "there is no column workers (or concurrency, clients, n)"},
		"no throughput":         {"# x\nworkers,memory\n1,10\n", 2, "there is no column throughput"},
		"a column twice":        {"workers,throughput,workers\n1,10,1\n", 1, `"workers" and "workers" say the same`},
		"a column by two names": {"workers,rps,throughput\n1,10,10\n", 1, `"rps" and "throughput" say the same`},
		"two units":             {"workers,rps,latency,latency_ms\n1,10,1,1\n", 1, `"latency" and "latency_ms" say the same`},
		"two counts":            {"workers,throughput\n1,10\n2,20\n2,21\n", 0, "2 distinct counts: a curve takes 3 or more"},
		"one count":             {"workers,throughput\n2,20\n2,21\n", 0, "1 distinct count: "},
		"a short row":           {"workers,throughput\n" + rows + "4\n", 5, "1 column, and the header has 2"},
		"a long row":            {"workers,throughput\n" + rows + "\n#\n4,40,1\n", 7, "3 columns, and the header has 2"},
		"a negative count":      {"workers,throughput\n-1,10\n", 2, "workers: -1: want a whole number from 1 to 10000"},
		"count zero":            {"workers,throughput\n" + rows + "0,10\n", 5, "workers: 0: want a whole number from 1"},
		"half a worker":         {"n,throughput\n1.5,10\n", 2, "n: 1.5: want a whole number"},
		"too many workers":      {"workers,throughput\n1e9,10\n", 2, "want a whole number from 1 to 10000"},
		"negative throughput":   {"workers,throughput\n1,-10\n", 2, "throughput: -10 is negative"},
		"NaN":                   {"workers,throughput\n1,10\n2,NaN\n", 3, `throughput: "NaN" is not a number`},
		"infinite":              {"workers,throughput\n1,10\n2,inf\n", 3, `throughput: "inf" is not finite`},
		"beyond a float":        {"workers,throughput\n1,1e999\n", 2, `"1e999" is not finite`},
		"NaN workers":           {"workers,throughput\nnan,1\n", 2, `workers: "nan" is not a number`},
		"a word":                {"workers,throughput\n1,fast\n", 2, `throughput: "fast" is not a number`},
		"a decimal comma":       {"workers;throughput\n1;10,5\n", 2, "decimals are written with a point"},
		"thousands":             {"workers;throughput\n1;1,000\n", 2, "thousands without anything between"},
		"millions":              {"workers;throughput\n1;1,000,000\n", 2, "thousands without anything between"},
		"memory with a comma":   {"workers;throughput;memory\n1;10;1,5G\n", 2, "decimals are written with a point"},
		"underscores":           {"workers,throughput\n1,1_000\n", 2, `"1_000" is not a number: digits, a point and an exponent make one`},
		"hexadecimal":           {"workers,throughput\n1,0x10p0\n", 2, `"0x10p0" is not a number`},
		"hexadecimal workers":   {"workers,throughput\n0X2p0,10\n", 2, `"0X2p0" is not a number`},
		"underscores in memory": {"workers,throughput,memory\n1,10,1_000M\n", 2, `"1_000M" is not a number`},
		"no figure":             {"workers,throughput\n1,\n", 2, "throughput: it is empty"},
		"no count":              {"workers,throughput\n,1\n", 2, "workers: it is empty"},
		"absurd throughput":     {"workers,throughput\n1,1e15\n", 2, "want 1e-06 to 1e+12"},
		"negative latency":      {"workers,throughput,latency\n1,10,-1ms\n", 2, "latency: -1ms is negative"},
		"a latency of words":    {"workers,throughput,latency\n1,10,long\n", 2, `latency: "long" is not a number`},
		"negative memory":       {"workers,throughput,memory\n1,10,-5M\n", 2, `memory: "-5M" is not a number`},
		"absurd memory":         {"workers,throughput,memory\n1,10,1e30\n", 2, "memory: 1e30: want"},
		"absurd CPU time":       {"workers,throughput,cpu\n1,10,1e-12\n", 2, "cpu: 1e-12: want"},
		"repeat zero":           {"workers,throughput,repeat\n1,10,0\n", 2, `repeat: "0": want a whole number from 1`},
		"a repeat twice":        {"workers,throughput,repeat\n1,10,1\n2,20,1\n1,11,1\n", 4, "repeat 1 of workers 1 stands in line 2 already"},
		"a quote left open":     {"workers,throughput\n1,\"10\n", 2, "quote"},
		"no table":              {"\x7fELF\x02\x01\x01\x00\x00", 1, "no column is called"},
	} {
		got, err := Read(strings.NewReader(c.text))
		var refused *RefusedError
		if !errors.As(err, &refused) {
			t.Errorf("%s: got %+v, %v", name, got, err)
			continue
		}
		if refused.Line != c.line || !strings.Contains(refused.Reason, c.reason) {
			t.Errorf("%s: got line %d, %q, want line %d, %q", name, refused.Line, refused.Reason, c.line, c.reason)
		}
		if numbered := strings.HasPrefix(err.Error(), "line "); numbered != (c.line > 0) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestReadBounds(t *testing.T) {
	var refused *RefusedError
	// A file without end is not read to its end.
	endless := iotest.OneByteReader(neverEnding('1'))
	if _, err := Read(endless); !errors.As(err, &refused) || !strings.Contains(refused.Reason, "more than 8.0 MiB") {
		t.Errorf("endless: got %v", err)
	}
	many := "n,x\n" + strings.Repeat("1,1\n", MostRows) + "1,1\n"
	if _, err := Read(strings.NewReader(many)); !errors.As(err, &refused) || refused.Line != MostRows+2 {
		t.Errorf("many rows: got %v", err)
	}
	broken := errors.New("the disk is gone")
	if _, err := Read(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("a reader that fails: got %v", err)
	}
}

// neverEnding reads as one byte again and again.
type neverEnding byte

func (b neverEnding) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(b)
	}
	return len(p), nil
}

// A count that answered nothing is a result, as it is in a sweep.
func TestObservations(t *testing.T) {
	got, err := Read(strings.NewReader("workers,throughput,memory,cpu\n1,10,1M,5ms\n2,20,,\n3,0,,\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := []model.Observation{
		{Workers: 1, Throughput: 10, Memory: 1e6, CPUPerRequest: 0.005},
		{Workers: 2, Throughput: 20},
		{Workers: 3, Failed: true, Why: "the throughput is 0"},
	}
	if d := cmp.Diff(want, got.Observations()); d != "" {
		t.Error(d)
	}
}

func FuzzRead(f *testing.F) {
	f.Add("workers,throughput\n1,10\n2,20\n3,30\n")
	f.Add("# c\nclients;x;latency;memory;repeat;cpu\n1;10;1ms;5M;1;0.2\n2;20;;;1;\n4;0;.5;1Gi;1;2ms\n")
	f.Add("\xef\xbb\xbfn\trps\tlatency_ms\r\n1\t1e3\t5\r\n2\tNaN\t\r\n")
	f.Add("workers,throughput\n\"1\n\",2\n")
	f.Fuzz(func(t *testing.T, text string) {
		table, err := Read(strings.NewReader(text))
		if err != nil {
			var refused *RefusedError
			if !errors.As(err, &refused) || refused.Reason == "" || table != nil && refused.Line > strings.Count(text, "\n")+2 {
				t.Fatalf("%v", err)
			}
			return
		}
		lines := strings.Count(text, "\n") + 1
		distinct := map[int]bool{}
		for _, r := range table.Rows {
			distinct[r.Workers] = true
			for _, v := range []float64{r.Throughput, r.Latency, r.Memory, r.CPU} {
				if math.IsNaN(v) || math.IsInf(v, 0) || v < 0 {
					t.Fatalf("%+v", r)
				}
			}
			if r.Workers < 1 || r.Workers > MostWorkers || r.Line < 2 || r.Line > lines {
				t.Fatalf("%+v of %d lines", r, lines)
			}
		}
		if len(distinct) < LeastCounts {
			t.Fatalf("%d distinct counts passed", len(distinct))
		}
		// What the reader lets through the model takes for measurements.
		for _, c := range model.Advise(table.Observations(), model.Question{SpreadFromNeighbours: true}).Caveats {
			if c.Code == model.CaveatIgnored {
				t.Fatalf("%s: %q", c.Message, text)
			}
		}
	})
}

// What is wrong is told, however long it is, in a line.
func TestLongCellsAreCut(t *testing.T) {
	long := strings.Repeat("9x", 1<<19)
	for _, text := range []string{
		"workers,throughput\n1," + long + "\n", "workers,throughput\n" + long + ",1\n", long + "\n1\n", "workers,throughput," + long + "," + long + "\n",
		"workers,throughput,memory\n1,1," + long + "\n",
	} {
		if _, err := Read(strings.NewReader(text)); err == nil || len(err.Error()) > 1000 {
			t.Errorf("%.20s: an error of %d bytes", text, len(fmt.Sprint(err)))
		}
	}
	got, err := Read(strings.NewReader("workers,throughput," + long + "\n1,10,1\n2,20,1\n3,30,1\n4,40,1\n"))
	if err != nil || len(got.Ignored) != 1 || len(got.Ignored[0]) > 1000 {
		t.Errorf("%v: the column left out has a title of %d bytes", err, len(fmt.Sprint(got)))
	}
}
