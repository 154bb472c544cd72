package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const printed = `goos: linux
pkg: callhall/cmd/callhall
BenchmarkRelease/live-2   	    4000	    130000 ns/op	         8.250 p99-ms	      7600 per-s	    9000 B/op	     100 allocs/op
BenchmarkRelease/stored-2 	    3000	    230000 ns/op	        12.00 p99-ms	      4300 per-s	    9000 B/op	     100 allocs/op
BenchmarkDecide 	10000000	       104.5 ns/op	   9500000 decisions/s	       0 B/op	       0 allocs/op
BenchmarkBroken --- FAIL
PASS
`

func TestParseBenchmarks(t *testing.T) {
	t.Parallel()
	want := map[string]map[string]float64{
		"Release/live":   {"ns/op": 130000, "p99-ms": 8.25, "per-s": 7600, "B/op": 9000, "allocs/op": 100},
		"Release/stored": {"ns/op": 230000, "p99-ms": 12, "per-s": 4300, "B/op": 9000, "allocs/op": 100},
		"Decide":         {"ns/op": 104.5, "decisions/s": 9500000, "B/op": 0, "allocs/op": 0},
	}
	if diff := cmp.Diff(want, parseBenchmarks(printed)); diff != "" {
		t.Error(diff)
	}
}

// TestRowsOfSuite: each figure comes with its goal and whether it is met, and a figure that is not there is an error.
func TestRowsOfSuite(t *testing.T) {
	t.Parallel()
	s := suite{pkg: "./x", name: "Release", cores: 1, figures: []figure{
		{what: "fast", bench: "live", unit: perSec, shown: "/s", goal: goal{">", 5000}},
		{what: "slow", bench: "stored", unit: perSec, shown: "/s", goal: goal{">", 5000}},
		{what: "time", bench: "live", unit: perOp, per: inMicros, shown: "us", goal: goal{"<", 130}},
		{what: "free", bench: "live", unit: allocs},
	}}
	rows, err := s.rows(parseBenchmarks(printed))
	if err != nil {
		t.Fatal(err)
	}
	md := ""
	for _, g := range tables(rows) {
		md += g.markdown()
	}
	const command = " `go test -run ^$ -bench ^BenchmarkRelease$ -cpu 1 ./x` |\n"
	want := "### Caller numbers\n\n| what | cores | figure | goal | met | command |\n| --- | --- | --- | --- | --- | --- |\n" +
		"| fast | 1 | 7600/s | > 5000/s | yes |" + command + "| slow | 1 | 4300/s | > 5000/s | no |" + command +
		"| time | 1 | 130 us | < 130 us | no |" + command + "| free | 1 | 100 | - | - |" + command
	if diff := cmp.Diff(want, md); diff != "" {
		t.Error(diff)
	}
	s.figures = append(s.figures, figure{what: "gone", bench: "gone", unit: perOp})
	if rows, err := s.rows(parseBenchmarks(printed)); err == nil || len(rows) != 4 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
}

func TestGoals(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		goal goal
		v    float64
		met  bool
	}{{goal{">", 5}, 5, false}, {goal{">", 5}, 6, true}, {goal{"<", 5}, 5, false}, {goal{"<", 5}, 4, true}, {goal{"=", 0}, 0, true}, {goal{"=", 0}, 1, false}, {goal{}, 0, false}} {
		if got := test.goal.met(test.v); got != test.met {
			t.Errorf("%v of %v: %v", test.goal, test.v, got)
		}
	}
}

// TestParts: a run of one part leaves the tables of the other alone.
func TestParts(t *testing.T) {
	t.Parallel()
	machine := row{machineRow, "", 0, []value{text("measured", "today"), text("kernel", "6.1"), number("fsync p50", "ms", 0.2)}}
	held := row{"held calls", "callhall", 100, []value{number("cores", "", 12345.6)}}
	numbers := row{callerNumbers, "fast", 1, []value{number("figure", "/s", 7600), text("met", "yes")}}
	names := func(rows ...row) (all []string) {
		for _, p := range parts(rows) {
			all = append(all, p.name)
		}
		return all
	}
	for _, test := range []struct{ got, want []string }{
		{names(machine, held, numbers), []string{partServers, partNumbers}},
		{names(machine, held), []string{partServers}}, {names(machine, numbers), []string{partNumbers}}, {names(machine), nil},
	} {
		if !slices.Equal(test.got, test.want) {
			t.Errorf("parts %q, want %q", test.got, test.want)
		}
	}
	all := parts([]row{machine, held, numbers})
	if strings.Contains(all[0].text, "7600") || !strings.Contains(all[0].text, "| 12350 |") {
		t.Errorf("servers:\n%s", all[0].text)
	}
	if strings.Contains(all[1].text, "12350") || !strings.HasPrefix(all[1].text, "Measured: today, fsync p50 0.2 ms.\n\n### Caller numbers\n") {
		t.Errorf("caller numbers:\n%s", all[1].text)
	}
}

// TestSuitesExist: each benchmark that is asked for is in its package.
func TestSuitesExist(t *testing.T) {
	t.Parallel()
	for _, s := range suites {
		if found := functions(t, filepath.Join("..", s.pkg)); !found["Benchmark"+s.name] {
			t.Errorf("%s has no Benchmark%s but %q", s.pkg, s.name, slices.Sorted(maps.Keys(found)))
		}
	}
}

// functions are the benchmarks of a folder.
func functions(t *testing.T, dir string) map[string]bool {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s: %d tests, %v", dir, len(paths), err)
	}
	found := map[string]bool{}
	for _, path := range paths {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && strings.HasPrefix(f.Name.Name, "Benchmark") {
				found[f.Name.Name] = true
			}
		}
	}
	return found
}
