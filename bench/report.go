package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// row is one measurement.
type row struct {
	What   string
	Server string
	N      int // calls held, or calls a second
	Values []value
}

// value is one figure with its unit, or a word.
type value struct {
	Name string
	Unit string
	V    float64
	Text string // set instead of V
}

func number(name, unit string, v float64) value { return value{Name: name, Unit: unit, V: v} }
func text(name, s string) value                 { return value{Name: name, Text: s} }

// String is the figure without its name, to four digits that count.
func (v value) String() string {
	if v.Text != "" {
		return v.Text
	}
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(v.V, 'g', 4, 64), 64)
	if err != nil {
		return strconv.FormatFloat(v.V, 'g', 4, 64)
	}
	return strconv.FormatFloat(rounded, 'f', -1, 64)
}

// withUnit is the figure as it stands where no column names its unit; "/s" and the like follow at once.
func (v value) withUnit() string {
	if v.Unit == "" || v.Text != "" {
		return v.String()
	}
	if strings.HasPrefix(v.Unit, "/") {
		return v.String() + v.Unit
	}
	return v.String() + " " + v.Unit
}

// title is the head of a column.
func (v value) title() string {
	if v.Unit == "" {
		return v.Name
	}
	return v.Name + " " + v.Unit
}

// report prints each row as it comes, keeps it as CSV, one line a figure, and prints tables at the end.
type report struct {
	out  io.Writer
	file *os.File
	csv  *csv.Writer
	rows []row
}

// unitOfText stands in the CSV where a value is a word.
const unitOfText = "text"

var csvHead = []string{"what", "server", "n", "figure", "unit", "value"}

func newReport(path string, out io.Writer) (*report, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("open the results: %w", err)
	}
	r := &report{out: out, file: f, csv: csv.NewWriter(f)}
	return r, r.csv.Write(csvHead)
}

func (r *report) add(w row) error {
	r.rows = append(r.rows, w)
	fmt.Fprintf(r.out, "%s %s", w.What, w.Server)
	if w.N > 0 {
		fmt.Fprintf(r.out, " %d", w.N)
	}
	for _, v := range w.Values {
		fmt.Fprintf(r.out, "; %s %s", v.title(), v)
		unit, shown := v.Unit, strconv.FormatFloat(v.V, 'g', 6, 64)
		if v.Text != "" {
			unit, shown = unitOfText, v.Text
		}
		if err := r.csv.Write([]string{w.What, w.Server, strconv.Itoa(w.N), v.Name, unit, shown}); err != nil {
			return fmt.Errorf("write results: %w", err)
		}
	}
	fmt.Fprintln(r.out)
	r.csv.Flush()
	return r.csv.Error()
}

// memoryInAll is the figure of a server's whole memory.
const memoryInAll = "memory in all"

// furtherCalls adds what a call more takes of memory: the slope from the fewest calls held to the most. What a server
// has got and not given back before the first call, which the first calls then use, is not in it.
func (r *report) furtherCalls() error {
	for i, few := range r.rows {
		less, ok := few.figure(memoryInAll)
		same := func(w row) bool { return w.What == few.What && w.Server == few.Server }
		if !ok || slices.ContainsFunc(r.rows[:i], same) {
			continue
		}
		many := few
		for _, w := range r.rows[i:] {
			if same(w) && w.N > many.N {
				many = w
			}
		}
		more, _ := many.figure(memoryInAll)
		if many.N == few.N {
			continue
		}
		slope := number("memory", "KiB/call", (more.V-less.V)/float64(many.N-few.N))
		if err := r.add(row{"each further call", few.Server, many.N, []value{number("counted from", "", float64(few.N)), slope}}); err != nil {
			return err
		}
	}
	return nil
}

// ratios adds what Callhall's figures are to the others', for the same load of the same run.
func (r *report) ratios() error {
	for _, what := range []struct{ kind, figure string }{{"held calls", "CPU per packet"}, {"each further call", "memory"}, {"held calls", "delay p99"}, {"call rate", "CPU"}} {
		for _, ours := range slices.Clone(r.rows) {
			if ours.What != what.kind || ours.Server != "callhall" {
				continue
			}
			var values []value
			for _, theirs := range r.rows {
				if theirs.What == what.kind && theirs.Server != "callhall" && theirs.N == ours.N {
					values = append(values, ratio(ours, theirs, what.figure)...)
				}
			}
			if len(values) == 0 {
				continue
			}
			if err := r.add(row{"ratio of " + what.kind, "callhall, " + what.figure, ours.N, values}); err != nil {
				return err
			}
		}
	}
	return nil
}

// ratio is nothing where one of the two lacks the figure.
func ratio(ours, theirs row, figure string) []value {
	a, okA := ours.figure(figure)
	b, okB := theirs.figure(figure)
	if !okA || !okB || b.V == 0 {
		return nil
	}
	return []value{number("to "+theirs.Server, "", a.V/b.V)}
}

func (w row) figure(name string) (value, bool) {
	i := slices.IndexFunc(w.Values, func(v value) bool { return v.Name == name })
	if i < 0 {
		return value{}, false
	}
	return w.Values[i], true
}

// close prints the tables and closes the file.
func (r *report) close() error {
	for _, t := range tables(r.rows) {
		fmt.Fprintf(r.out, "\n%s\n", t.title)
		w := tabwriter.NewWriter(r.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, strings.Join(t.head, "\t"))
		for _, line := range t.lines {
			fmt.Fprintln(w, strings.Join(line, "\t"))
		}
		w.Flush()
	}
	r.csv.Flush()
	return errors.Join(r.csv.Error(), r.file.Close())
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
