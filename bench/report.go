package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// row is one measurement.
type row struct {
	What   string
	Server string
	N      int // calls held, or calls a second
	Values []value
}

// value is one figure with its unit.
type value struct {
	Name string
	Unit string
	V    float64
}

// report prints each row as it comes and keeps it as CSV: one line a figure.
type report struct {
	file *os.File
	csv  *csv.Writer
}

func newReport(path string) (*report, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, fmt.Errorf("open the results: %w", err)
	}
	r := &report{file: f, csv: csv.NewWriter(f)}
	return r, r.csv.Write([]string{"what", "server", "n", "figure", "unit", "value"})
}

func (r *report) add(w row) error {
	fmt.Printf("%-8s %-20s %5d ", w.What, w.Server, w.N)
	for _, v := range w.Values {
		fmt.Printf("  %s %.4g %s", v.Name, v.V, v.Unit)
		line := []string{w.What, w.Server, fmt.Sprint(w.N), v.Name, v.Unit, fmt.Sprintf("%.6g", v.V)}
		if err := r.csv.Write(line); err != nil {
			return fmt.Errorf("write results: %w", err)
		}
	}
	fmt.Println()
	r.csv.Flush()
	return r.csv.Error()
}

func (r *report) close() error {
	r.csv.Flush()
	return errors.Join(r.csv.Error(), r.file.Close())
}

// percentile is the q-th part of ds, 0 of none. It sorts ds.
func percentile(ds []time.Duration, q float64) time.Duration {
	if len(ds) == 0 {
		return 0
	}
	slices.Sort(ds)
	return ds[min(int(q*float64(len(ds))), len(ds)-1)]
}

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
