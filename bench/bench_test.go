package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"callhall/bench/load"
)

// TestReportKeepsFigures: what is read back from the CSV is what was measured, and the tables have every figure once.
func TestReportKeepsFigures(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "results.csv")
	var out bytes.Buffer
	r, err := newReport(path, &out)
	if err != nil {
		t.Fatal(err)
	}
	rows := []row{
		{"machine", "", 0, []value{text("kernel", "6.1"), number("fsync p50", "ms", 0.25)}},
		{"held calls", "floor", 100, []value{number("CPU per packet", "us", 8)}},
		{"held calls", "callhall", 100, []value{number("CPU per packet", "us", 12), number("memory", "KiB/call", 50)}},
		{"held calls", "other", 100, []value{number("CPU per packet", "us", 24), number("memory", "KiB/call", 0)}},
		{"held calls", "callhall", 200, []value{number("CPU per packet", "us", 11)}},
	}
	for _, w := range rows {
		if err := r.add(w); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.ratios(); err != nil {
		t.Fatal(err)
	}
	if err := r.close(); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := readRows(f)
	if err != nil {
		t.Fatal(err)
	}
	want := append(slices.Clone(rows), row{"ratio of held calls", "callhall, CPU per packet", 100, []value{number("to floor", "", 1.5), number("to other", "", 0.5)}})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	md := ""
	for _, g := range tables(got) {
		md += g.markdown()
	}
	for _, line := range []string{"| kernel | 6.1 |", "| fsync p50 | 0.25 ms |", "| server | n | CPU per packet us | memory KiB/call |", "| floor | 100 | 8 | - |",
		"| callhall | 100 | 12 | 50 |", "| callhall, CPU per packet | 100 | 1.5 | 0.5 |"} {
		if strings.Count(md, line+"\n") != 1 {
			t.Errorf("%q is not there once in\n%s", line, md)
		}
	}
}

// TestFurtherCalls: the slope is from the fewest calls to the most, once for each server that has a figure of its memory.
func TestFurtherCalls(t *testing.T) {
	t.Parallel()
	r, err := newReport(filepath.Join(t.TempDir(), "results.csv"), &bytes.Buffer{})
	if err != nil {
		t.Fatal(err)
	}
	in := func(n int, server string, kib float64) row {
		return row{"held calls", server, n, []value{number(memoryInAll, "KiB", kib)}}
	}
	r.rows = []row{{"held calls", "floor", 100, nil}, in(100, "a", 1000), in(200, "a", 5000), in(300, "a", 3000), in(100, "b", 10)}
	if err := r.furtherCalls(); err != nil {
		t.Fatal(err)
	}
	want := []row{{"each further call", "a", 300, []value{number("counted from", "", 100), number("memory", "KiB/call", 10)}}}
	if diff := cmp.Diff(want, r.rows[5:]); diff != "" {
		t.Error(diff)
	}
	if err := r.close(); err != nil {
		t.Error(err)
	}
}

func TestReadRowsRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "a,b\n", "what,server,n,figure,unit,value\nx,y,many,z,,1\n"} {
		if _, err := readRows(strings.NewReader(text)); err == nil {
			t.Errorf("took %q", text)
		}
	}
}

func TestReplaceTables(t *testing.T) {
	t.Parallel()
	p := part{partServers, "new\n"}
	document := "before\n" + p.begin() + "\nold\n" + p.end() + "\nafter\n" + part{name: partNumbers}.begin() + "\nold\n"
	got, err := p.replace(document)
	if want := strings.Replace(document, "old", "new", 1); err != nil || got != want {
		t.Errorf("%q, %v", got, err)
	}
	if again, _ := p.replace(got); again != got {
		t.Errorf("not the same the second time: %q", again)
	}
	if _, err := p.replace("no such lines"); err == nil {
		t.Error("took a document without the lines")
	}
}

// TestDocumentHasPlaceForTables: bench table -into docs/performance.md works.
func TestDocumentHasPlaceForTables(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("../docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{partServers, partNumbers} {
		if _, err := (part{name, "x"}).replace(string(b)); err != nil {
			t.Error(err)
		}
	}
}

func TestSums(t *testing.T) {
	t.Parallel()
	got, err := sums(strings.NewReader("# HELP a b\n# TYPE a counter\na{x=\"1 2\"} 3\na{x=\"4\"} 4.5\nb 1e2\n"))
	if diff := cmp.Diff(map[string]float64{"a": 7.5, "b": 100}, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if _, err := sums(strings.NewReader("a nonsense\n")); err == nil {
		t.Error("took nonsense")
	}
}

func TestHolds(t *testing.T) {
	t.Parallel()
	good := func() load.Result {
		return load.Result{Placed: 1000, Connected: 1000, PostDial: []time.Duration{time.Millisecond}}
	}
	for name, test := range map[string]struct {
		change  func(r *load.Result)
		placing time.Duration
		held    bool
	}{
		"all well":        {func(*load.Result) {}, 10 * time.Second, true},
		"one call failed": {func(r *load.Result) { r.Connected-- }, 10 * time.Second, false},
		"a BYE lost":      {func(r *load.Result) { r.NoBye = 1 }, 10 * time.Second, false},
		"placed late":     {func(*load.Result) {}, 10300 * time.Millisecond, false},
		"slow":            {func(r *load.Result) { r.PostDial = []time.Duration{time.Second} }, 10 * time.Second, false},
	} {
		r := good()
		test.change(&r)
		if got := holds(r, 100, test.placing); got != test.held {
			t.Errorf("%s: held %v", name, got)
		}
	}
}

// TestSilence: the notice is a WAV file of the length that its head says.
func TestSilence(t *testing.T) {
	t.Parallel()
	wav := silence(200 * time.Millisecond)
	if len(wav) != 46+1600 || string(wav[38:42]) != "data" || int(wav[42])|int(wav[43])<<8 != 1600 || int(wav[4])|int(wav[5])<<8 != len(wav)-8 {
		t.Errorf("%d bytes, head % x", len(wav), wav[:46])
	}
}

// TestEndLeavesNobody: a program that is ended takes its children with it, also those that do not hear the request.
func TestEndLeavesNobody(t *testing.T) {
	t.Parallel()
	at := place{dir: t.TempDir()}
	p, err := launch(at, "sh", "-c", `trap 'exit 0' TERM; sh -c 'trap "" TERM; while :; do sleep 1; done' >/dev/null & echo up; wait`)
	if err != nil {
		t.Skipf("no shell: %v", err)
	}
	var said string
	if _, err := fmt.Fscan(p.out, &said); err != nil {
		t.Fatal(err)
	}
	family := familyOf(p.Process.Pid)
	if len(family) < 2 {
		t.Fatalf("family %v", family)
	}
	before, err := cpuOf(family[1])
	if err != nil || before < 0 {
		t.Fatalf("CPU %v, %v", before, err)
	}
	if n, err := memoryOf(family[0]); err != nil || n < 4096 {
		t.Errorf("memory %d, %v", n, err)
	}
	var none sync.WaitGroup
	if err := p.end(&none); err != nil {
		t.Error(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for _, pid := range family {
		for {
			f, err := statOf(pid)
			if err != nil || f[0] == "Z" {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("process %d is still there, state %s", pid, f[0])
			}
		}
	}
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	if got, err := numbers("100, 200"); err != nil || !slices.Equal(got, []int{100, 200}) {
		t.Errorf("%v, %v", got, err)
	}
	for _, s := range []string{"", "a", "0", "1,,2"} {
		if _, err := numbers(s); err == nil {
			t.Errorf("took %q", s)
		}
	}
}
