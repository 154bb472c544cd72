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
		if w.What == machineRow {
			all = append(all, facts(w))
			continue
		}
		i := slices.IndexFunc(all, func(t grid) bool { return t.title == w.What })
		if i < 0 {
			i = len(all)
			all = append(all, newGrid(w.What))
		}
		all[i].add(w)
	}
	for i := range all {
		all[i].pad()
	}
	return all
}

// newGrid is a table without lines. What has goals has a column of its own for each word, and one for all figures.
func newGrid(title string) grid {
	if title == callerNumbers {
		return grid{title: title, head: []string{"what", "cores", "figure", "goal", "met", "command"}}
	}
	return grid{title: title, head: []string{"server", "n"}}
}

func facts(w row) grid {
	t := grid{title: w.What, head: []string{"", ""}}
	for _, v := range w.Values {
		t.lines = append(t.lines, []string{v.Name, v.withUnit()})
	}
	return t
}

func (t *grid) add(w row) {
	line := []string{w.Server, strconv.Itoa(w.N)}
	for _, v := range w.Values {
		head, shown := v.title(), v.String()
		if slices.Contains(t.head, v.Name) {
			head, shown = v.Name, v.withUnit()
		}
		i := slices.Index(t.head, head)
		if i < 0 {
			i = len(t.head)
			t.head = append(t.head, head)
		}
		for len(line) <= i {
			line = append(line, "")
		}
		line[i] = shown
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

// A part is some tables of a run, between the two lines of a document that name it. Runs of a part alone leave the
// tables of the others as they are.
type part struct{ name, text string }

// The parts.
const (
	partServers = "bench"
	partNumbers = "bench ani"
)

func (p part) begin() string { return "<!-- " + p.name + ": begin -->" }
func (p part) end() string   { return "<!-- " + p.name + ": end -->" }

// parts are those of which something was measured.
func parts(rows []row) []part {
	numbers := func(w row) bool { return w.What == callerNumbers }
	servers := slices.DeleteFunc(slices.Clone(rows), numbers)
	var all []part
	if slices.ContainsFunc(servers, func(w row) bool { return w.What != machineRow }) {
		all = append(all, part{partServers, markdown(servers)})
	}
	if ani := slices.DeleteFunc(slices.Clone(rows), func(w row) bool { return !numbers(w) }); len(ani) > 0 {
		all = append(all, part{partNumbers, measuredOn(rows) + markdown(ani)})
	}
	return all
}

func markdown(rows []row) string {
	var texts []string
	for _, t := range tables(rows) {
		texts = append(texts, t.markdown())
	}
	return strings.Join(texts, "\n")
}

// measuredOn says in a line when and where, for a part that a run may consist of alone.
func measuredOn(rows []row) string {
	i := slices.IndexFunc(rows, func(w row) bool { return w.What == machineRow })
	if i < 0 {
		return ""
	}
	var said []string
	for _, v := range rows[i].Values {
		switch v.Name {
		case "measured", "processor", "go":
			said = append(said, v.withUnit())
		case "cores", "fsync p50":
			said = append(said, v.Name+" "+v.withUnit())
		}
	}
	return "Measured: " + strings.Join(said, ", ") + ".\n\n"
}

// table turns the figures of a run into Markdown: printed, or put into a document in place of those of an earlier run.
func table(args []string) error {
	flags := flag.NewFlagSet("bench table", flag.ContinueOnError)
	from := flags.String("csv", "bench/results.csv", "the figures")
	into := flags.String("into", "", "document with the lines "+part{name: partServers}.begin()+" and so on; empty prints")
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
	if *into == "" {
		fmt.Print(markdown(rows))
		return nil
	}
	if err := putInto(*into, parts(rows)); err != nil {
		return fmt.Errorf("put the tables into %s: %w", *into, err)
	}
	return nil
}

func putInto(path string, all []part) error {
	document, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	changed := string(document)
	for _, p := range all {
		if changed, err = p.replace(changed); err != nil {
			return err
		}
	}
	return os.WriteFile(path, []byte(changed), 0o644)
}

// replace puts the part into a document instead of what stands between its lines.
func (p part) replace(document string) (string, error) {
	before, rest, ok1 := strings.Cut(document, p.begin())
	_, after, ok2 := strings.Cut(rest, p.end())
	if !ok1 || !ok2 {
		return "", errors.New("the lines " + p.begin() + " and " + p.end() + " are not there")
	}
	return before + p.begin() + "\n" + p.text + p.end() + after, nil
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
