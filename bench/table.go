package main

import (
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
)

// grid is the rows of one kind as a table: a line a row, a column a figure.
type grid struct {
	title string
	head  []string
	lines [][]string
}

// tables groups rows by what they measure, in the order in which they came. The machine's facts stand one to a line.
func tables(rows []row) []grid {
	var all []grid
	for _, w := range rows {
		if w.What == "machine" {
			all = append(all, facts(w))
			continue
		}
		i := slices.IndexFunc(all, func(t grid) bool { return t.title == w.What })
		if i < 0 {
			i = len(all)
			all = append(all, grid{title: w.What, head: []string{"server", "n"}})
		}
		all[i].add(w)
	}
	for i := range all {
		all[i].pad()
	}
	return all
}

func facts(w row) grid {
	t := grid{title: w.What, head: []string{"", ""}}
	for _, v := range w.Values {
		shown := v.String()
		if v.Unit != "" {
			shown += " " + v.Unit
		}
		t.lines = append(t.lines, []string{v.Name, shown})
	}
	return t
}

func (t *grid) add(w row) {
	line := []string{w.Server, strconv.Itoa(w.N)}
	for _, v := range w.Values {
		i := slices.Index(t.head, v.title())
		if i < 0 {
			i = len(t.head)
			t.head = append(t.head, v.title())
		}
		for len(line) <= i {
			line = append(line, "")
		}
		line[i] = v.String()
	}
	t.lines = append(t.lines, line)
}

// pad fills what a line has no figure for.
func (t *grid) pad() {
	for i, line := range t.lines {
		for len(line) < len(t.head) {
			line = append(line, "")
		}
		for j := range line {
			if line[j] == "" {
				line[j] = "-"
			}
		}
		t.lines[i] = line
	}
}

func (t grid) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n\n| %s |\n|%s\n", strings.ToUpper(t.title[:1])+t.title[1:], strings.Join(t.head, " | "), strings.Repeat(" --- |", len(t.head)))
	for _, line := range t.lines {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(line, " | "))
	}
	return b.String()
}

// The lines of a document between which the tables stand.
const (
	tablesBegin = "<!-- bench: begin -->"
	tablesEnd   = "<!-- bench: end -->"
)

// table turns the figures of a run into Markdown: printed, or put into a document in place of those of an earlier run.
func table(args []string) error {
	flags := flag.NewFlagSet("bench table", flag.ContinueOnError)
	from := flags.String("csv", "bench/results.csv", "the figures")
	into := flags.String("into", "", "document with the lines "+tablesBegin+" and "+tablesEnd+"; empty prints")
	if err := flags.Parse(args); err != nil {
		return err
	}
	f, err := os.Open(*from)
	if err != nil {
		return fmt.Errorf("read the figures: %w", err)
	}
	defer f.Close()
	rows, err := readRows(f)
	if err != nil {
		return fmt.Errorf("read the figures: %w", err)
	}
	var parts []string
	for _, t := range tables(rows) {
		parts = append(parts, t.markdown())
	}
	text := strings.Join(parts, "\n")
	if *into == "" {
		fmt.Print(text)
		return nil
	}
	document, err := os.ReadFile(*into)
	if err != nil {
		return fmt.Errorf("put the tables into %s: %w", *into, err)
	}
	changed, err := replaceTables(string(document), text)
	if err != nil {
		return fmt.Errorf("put the tables into %s: %w", *into, err)
	}
	return os.WriteFile(*into, []byte(changed), 0o644)
}

func replaceTables(document, text string) (string, error) {
	before, rest, ok1 := strings.Cut(document, tablesBegin)
	_, after, ok2 := strings.Cut(rest, tablesEnd)
	if !ok1 || !ok2 {
		return "", errors.New("the lines " + tablesBegin + " and " + tablesEnd + " are not there")
	}
	return before + tablesBegin + "\n" + text + tablesEnd + after, nil
}

// readRows reads back what a report has written.
func readRows(r io.Reader) ([]row, error) {
	lines, err := csv.NewReader(r).ReadAll()
	if err != nil {
		return nil, err
	}
	if len(lines) == 0 || !slices.Equal(lines[0], csvHead) {
		return nil, errors.New("not a file of bench's")
	}
	var rows []row
	for _, l := range lines[1:] {
		n, err := strconv.Atoi(l[2])
		if err != nil {
			return nil, fmt.Errorf("n: %w", err)
		}
		v, err := readValue(l[3], l[4], l[5])
		if err != nil {
			return nil, err
		}
		if last := len(rows) - 1; last >= 0 && rows[last].What == l[0] && rows[last].Server == l[1] && rows[last].N == n {
			rows[last].Values = append(rows[last].Values, v)
			continue
		}
		rows = append(rows, row{l[0], l[1], n, []value{v}})
	}
	return rows, nil
}

func readValue(name, unit, shown string) (value, error) {
	if unit == unitOfText {
		return text(name, shown), nil
	}
	v, err := strconv.ParseFloat(shown, 64)
	if err != nil {
		return value{}, fmt.Errorf("%s: %w", name, err)
	}
	return number(name, unit, v), nil
}
