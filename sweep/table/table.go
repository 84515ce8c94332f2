// Package table reads measurements that somebody already has: a text table with one row for each
// measurement and a header that names the columns.
package table

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"advise/model"
)

// What is taken for a table that somebody measured.
const (
	// MostBytes and MostRows bound a table.
	MostBytes = 8 << 20
	MostRows  = 100_000
	// MostWorkers bounds a count.
	MostWorkers = 10_000
	// LeastCounts is the fewest distinct counts that make a curve.
	LeastCounts = 3
)

// A Table is what was read, row by row.
type Table struct {
	// SHA256 of the text, in hexadecimal.
	SHA256 string
	// Counts is the name that the column of counts has in the header.
	Counts string
	// Ignored are the titles of the columns that were left out, because they are no figure that is known
	// here; a column with neither a title nor a figure is not among them.
	Ignored []string
	Rows    []Row
}

// A Row is one measurement. Zero is not known, except for Throughput.
type Row struct {
	// Line of the input, from 1.
	Line int
	// Workers is the count, whatever its column is called.
	Workers int
	// Throughput in requests per second; 0 is a count that answered nothing.
	Throughput float64
	// Latency in seconds, Memory of the whole server in bytes, CPU time of one request in seconds.
	Latency, Memory, CPU float64
	// Repeat numbers the measurements of one count; 0 without that column.
	Repeat int
}

// A RefusedError says what is wrong with a table, and in which line.
type RefusedError struct {
	// Line from 1; 0 when it is the table as a whole.
	Line   int
	Reason string
}

func (e *RefusedError) Error() string {
	if e.Line == 0 {
		return e.Reason
	}
	return fmt.Sprintf("line %d: %s", e.Line, e.Reason)
}

func refuse(line int, format string, args ...any) error {
	for i, a := range args {
		switch a := a.(type) {
		case string:
			args[i] = shortened(a)
		case error:
			args[i] = shortened(a.Error())
		}
	}
	return &RefusedError{Line: line, Reason: fmt.Sprintf(format, args...)}
}

// longestCell of a table is told; what is longer is cut.
const longestCell = 200

func shortened(cell string) string {
	if r := []rune(cell); len(r) > longestCell {
		return string(r[:longestCell]) + "..."
	}
	return cell
}

// Read reads a table of columns separated by commas, semicolons or tabs, whichever the header has most
// of. Lines that begin with # are left out. A table that does not say what it has to is a
// [*RefusedError]; any other error is the reader's.
func Read(r io.Reader) (*Table, error) {
	data, err := io.ReadAll(io.LimitReader(r, MostBytes+1))
	if err != nil {
		return nil, err
	}
	if len(data) > MostBytes {
		return nil, refuse(0, "more than %s: want a table of measurements", humanize.IBytes(MostBytes))
	}
	sum := sha256.Sum256(data)
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")) // the byte order mark of spreadsheets
	lines := csv.NewReader(bytes.NewReader(data))
	lines.Comma, lines.Comment = separator(data), '#'
	lines.TrimLeadingSpace = lines.Comma != '\t' // it would swallow empty cells
	header, err := next(lines)
	if errors.Is(err, io.EOF) {
		return nil, refuse(0, "it is empty: want a header and a row for each measurement")
	}
	if err != nil {
		return nil, err
	}
	line, _ := lines.FieldPos(0)
	columns, err := columnsOf(header, line)
	if err != nil {
		return nil, err
	}
	t := &Table{SHA256: hex.EncodeToString(sum[:]), Counts: columns.counts}
	for {
		fields, err := next(lines)
		if errors.Is(err, io.EOF) {
			t.Ignored = columns.ignored()
			return t, t.check()
		}
		if err != nil {
			return nil, err
		}
		line, _ := lines.FieldPos(0)
		if len(t.Rows) == MostRows {
			return nil, refuse(line, "more than %d measurements", MostRows)
		}
		row, err := columns.row(fields, line)
		if err != nil {
			return nil, err
		}
		t.Rows = append(t.Rows, row)
	}
}

// next is the next record; what the format does not allow is refused with its line.
func next(lines *csv.Reader) ([]string, error) {
	fields, err := lines.Read()
	var bad *csv.ParseError
	if !errors.As(err, &bad) {
		return fields, err
	}
	if errors.Is(bad.Err, csv.ErrFieldCount) {
		return nil, refuse(bad.Line, "%d %s, and the header has %d", len(fields), plural(len(fields), "column"), lines.FieldsPerRecord)
	}
	return nil, refuse(bad.Line, "%v", bad.Err)
}

// separator is the one that the header, the first line with anything in it, has most of.
func separator(data []byte) rune {
	best, most := ',', 0
	for scanner := bufio.NewScanner(bytes.NewReader(data)); scanner.Scan(); {
		line := strings.TrimSpace(scanner.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		for _, s := range ",;\t" {
			if n := strings.Count(line, string(s)); n > most {
				best, most = s, n
			}
		}
		break
	}
	return best
}

// check refuses tables that no curve can be drawn through.
func (t *Table) check() error {
	type key struct{ workers, repeat int }
	distinct, lines := map[int]bool{}, map[key]int{}
	for _, r := range t.Rows {
		distinct[r.Workers] = true
		if r.Repeat == 0 {
			continue
		}
		k := key{r.Workers, r.Repeat}
		if before, twice := lines[k]; twice {
			return refuse(r.Line, "repeat %d of %s %d stands in line %d already", r.Repeat, t.Counts, r.Workers, before)
		}
		lines[k] = r.Line
	}
	if len(t.Rows) == 0 {
		return refuse(0, "there is a header and no measurement")
	}
	if n := len(distinct); n < LeastCounts {
		return refuse(0, "%d distinct %s: a curve takes %d or more", n, plural(n, "count"), LeastCounts)
	}
	return nil
}

func plural(n int, noun string) string {
	if n == 1 {
		return noun
	}
	return noun + "s"
}

// Observations are the rows as the model sees them: each is one restart.
func (t *Table) Observations() []model.Observation {
	observations := make([]model.Observation, 0, len(t.Rows))
	for _, r := range t.Rows {
		o := model.Observation{Workers: r.Workers, Throughput: r.Throughput, CPUPerRequest: r.CPU, Memory: r.Memory}
		if r.Throughput == 0 {
			o.Failed, o.Why = true, "the throughput is 0"
		}
		observations = append(observations, o)
	}
	return observations
}

// Latencies are those of each count, in seconds, without the rows that have none.
func (t *Table) Latencies() map[int][]float64 {
	latencies := map[int][]float64{}
	for _, r := range t.Rows {
		if r.Latency > 0 {
			latencies[r.Workers] = append(latencies[r.Workers], r.Latency)
		}
	}
	return latencies
}

// A column is one that a table may have.
type column struct {
	// names it may have in the header; the first is the one to tell people.
	names []string
	// required is true for those that make a table.
	required bool
	read     func(r *Row, cell string) error
}

// known are the columns, in the order people are told of them.
func known() []column {
	return []column{
		{names: []string{"workers", "concurrency", "clients", "n"}, required: true, read: readCount},
		{names: []string{"throughput", "throughput_rps", "rps", "x"}, required: true, read: readThroughput},
		{names: []string{"latency", "latency_seconds"}, read: func(r *Row, cell string) error { return readTime(&r.Latency, cell, 1) }},
		{names: []string{"latency_ms"}, read: func(r *Row, cell string) error { return readTime(&r.Latency, cell, 1e-3) }},
		{names: []string{"memory", "memory_bytes"}, read: readMemory},
		{names: []string{"cpu", "cpu_seconds_per_request"}, read: func(r *Row, cell string) error { return readTime(&r.CPU, cell, 1) }},
		{names: []string{"repeat"}, read: readRepeat},
	}
}

// columns say what each field of a row is. Those that are not known here read nothing.
type columns struct {
	titles []string
	fields []column
	counts string
	// filled is true for the columns with anything in them.
	filled []bool
}

func columnsOf(header []string, line int) (columns, error) {
	c := columns{filled: make([]bool, len(header))}
	for _, title := range header {
		title = strings.ToLower(strings.TrimSpace(title))
		i := slices.IndexFunc(known(), func(k column) bool { return slices.Contains(k.names, title) })
		if i < 0 {
			if title != "" && slices.Contains(c.titles, title) {
				return c, refuse(line, "two columns are called %q", title)
			}
			c.titles, c.fields = append(c.titles, title), append(c.fields, column{})
			continue
		}
		found := known()[i]
		if before := slices.IndexFunc(c.fields, func(k column) bool { return sameFigure(k, found) }); before >= 0 {
			return c, refuse(line, "the columns %q and %q say the same", c.titles[before], title)
		}
		if i == 0 {
			c.counts = title
		}
		c.titles, c.fields = append(c.titles, title), append(c.fields, found)
	}
	if !slices.ContainsFunc(c.fields, column.isKnown) {
		return c, refuse(line, "no column is called %q: want %s", c.titles[0], wanted())
	}
	for _, k := range known() {
		if k.required && !slices.ContainsFunc(c.fields, func(f column) bool { return sameFigure(f, k) }) {
			return c, refuse(line, "there is no column %s (or %s)", k.names[0], strings.Join(k.names[1:], ", "))
		}
	}
	return c, nil
}

func (c column) isKnown() bool { return c.read != nil }

// ignored are the titles of the columns that were left out.
func (c columns) ignored() []string {
	var titles []string
	for i, f := range c.fields {
		switch {
		case f.isKnown():
		case c.titles[i] != "":
			titles = append(titles, shortened(c.titles[i]))
		case c.filled[i]:
			titles = append(titles, fmt.Sprintf("number %d without a title", i+1))
		}
	}
	return titles
}

// sameFigure is true for two columns of one figure; latency has two, of two units.
func sameFigure(a, b column) bool {
	if !a.isKnown() || !b.isKnown() {
		return false
	}
	figure := func(c column) string {
		name, _, _ := strings.Cut(c.names[0], "_")
		return name
	}
	return figure(a) == figure(b)
}

func wanted() string {
	var names []string
	for _, c := range known() {
		names = append(names, c.names[0])
	}
	return strings.Join(names, ", ")
}

func (c columns) row(fields []string, line int) (Row, error) {
	r := Row{Line: line}
	for i, f := range c.fields {
		cell := strings.TrimSpace(fields[i])
		c.filled[i] = c.filled[i] || cell != ""
		if !f.isKnown() || cell == "" && !f.required {
			continue
		}
		if err := f.read(&r, cell); err != nil {
			return r, refuse(line, "%s: %v", c.titles[i], err)
		}
	}
	return r, nil
}

func readCount(r *Row, cell string) error {
	v, err := number(cell)
	if err != nil {
		return err
	}
	if v < 1 || v > MostWorkers || v != math.Trunc(v) {
		return fmt.Errorf("%s: want a whole number from 1 to %d", cell, MostWorkers)
	}
	r.Workers = int(v)
	return nil
}

// The figures that are taken for measured.
const (
	leastThroughput, mostThroughput = 1e-6, 1e12
	leastSeconds, mostSeconds       = 1e-9, 1e6
	mostMemory                      = 1 << 50
)

func readThroughput(r *Row, cell string) (err error) {
	r.Throughput, err = number(cell)
	if err == nil && r.Throughput != 0 {
		err = within(r.Throughput, leastThroughput, mostThroughput, cell)
	}
	return err
}

// readTime reads a time in the column's unit, or with a unit of its own: 12ms. 0 is not known, as where
// nothing was answered.
func readTime(seconds *float64, cell string, unit float64) error {
	v, err := number(cell)
	if err == nil {
		v *= unit
	} else {
		d, noDuration := time.ParseDuration(cell)
		if noDuration != nil {
			return err
		}
		v = d.Seconds()
	}
	*seconds = v
	if v == 0 {
		return nil
	}
	return within(v, leastSeconds, mostSeconds, cell)
}

// readMemory reads bytes, or a size with its unit: 512M, 512Mi. 0 is not known.
func readMemory(r *Row, cell string) error {
	v, err := number(cell)
	if err != nil {
		bytes, noSize := humanize.ParseBytes(cell)
		if noSize != nil || strings.ContainsAny(cell, "-,") { // which takes 1,5G for 15
			return err
		}
		v = float64(bytes)
	}
	r.Memory = v
	if v == 0 {
		return nil
	}
	return within(v, 1, mostMemory, cell)
}

func readRepeat(r *Row, cell string) error {
	n, err := strconv.Atoi(cell)
	if err != nil || n < 1 {
		return fmt.Errorf("%q: want a whole number from 1", cell)
	}
	r.Repeat = n
	return nil
}

func number(cell string) (float64, error) {
	v, err := strconv.ParseFloat(cell, 64)
	switch {
	case cell == "":
		return 0, errors.New("it is empty")
	case strings.Contains(cell, ","):
		return 0, fmt.Errorf("%q is not a number: decimals are written with a point, thousands without anything between", cell)
	case strings.ContainsAny(cell, "_xX"): // Go's own notations
		return 0, fmt.Errorf("%q is not a number: digits, a point and an exponent make one: 1000, 0.5, 1e3", cell)
	case errors.Is(err, strconv.ErrRange) || math.IsInf(v, 0):
		return 0, fmt.Errorf("%q is not finite", cell)
	case err != nil || math.IsNaN(v):
		return 0, fmt.Errorf("%q is not a number", cell)
	}
	return v, nil
}

func within(v, least, most float64, cell string) error {
	switch {
	case v < 0:
		return fmt.Errorf("%s is negative", cell)
	case v < least || v > most:
		return fmt.Errorf("%s: want %g to %g", cell, least, most)
	}
	return nil
}
