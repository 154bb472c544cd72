package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// suite is one Go benchmark that is run, on a number of cores (0: all), and the figures of it that are of interest.
type suite struct {
	pkg, name string // the benchmark without "Benchmark"
	cores     int
	figures   []figure
}

// figure is one measurement out of what a benchmark prints, and what it should be at least or at most.
type figure struct {
	what  string  // as the table calls it
	bench string  // which part of the benchmark; empty is the benchmark itself
	unit  string  // as go test prints it
	per   float64 // how many of those are one of shown; 0 is 1
	shown string
	goal  goal
}

// goal is a bound of a figure. The zero goal is none.
type goal struct {
	op    string // ">", "<" or "="
	bound float64
}

func (g goal) met(v float64) bool {
	return g.op == ">" && v > g.bound || g.op == "<" && v < g.bound || g.op == "=" && v == g.bound
}

// The units that benchmarks print.
const (
	perOp  = "ns/op"
	allocs = "allocs/op"
	perSec = "per-s"
	p99    = "p99-ms"
)

// How many nanoseconds there are in what a table shows.
const (
	inMicros  = 1e3
	inMillis  = 1e6
	inSeconds = 1e9
)

// callerNumbers are the title of the table and what is in it: what caller numbers under the terms cost.
const callerNumbers = "caller numbers"

// suites are made in this order. A figure of one core is CPU time, where nothing waits.
var suites = []suite{
	{pkg: "./ani", name: "Decide", cores: 1, figures: []figure{
		{what: "decisions under the terms", unit: "decisions/s", shown: "/s", goal: goal{">", 2_000_000}},
		{what: "allocations of a decision", unit: allocs, goal: goal{"=", 0}}}},
	{pkg: "./ani", name: "ParseIdentity", cores: 1, figures: []figure{
		{what: "read the headers that an INVITE has as a rule", bench: "typical", unit: perOp, per: inMicros, shown: "us"},
		{what: "read every identity header there is", bench: "everything", unit: perOp, per: inMicros, shown: "us"}}},
	{pkg: "./ani", name: "CaptureInMemory", cores: 1, figures: []figure{
		{what: "read, normalise and seal a caller's number", unit: perOp, per: inMicros, shown: "us", goal: goal{"<", 20}}}},
	{pkg: "./ani", name: "CaptureSigned", cores: 1, figures: []figure{
		{what: "the same, with a signature whose certificate is known", unit: perOp, per: inMicros, shown: "us", goal: goal{"<", 250}}}},
	{pkg: "./ani/stir", name: "Verify", cores: 1, figures: []figure{
		{what: "verify a signature, full form", bench: "full", unit: perOp, per: inMicros, shown: "us"},
		{what: "verify a signature, compact form", bench: "compact", unit: perOp, per: inMicros, shown: "us"}}},
	{pkg: "./cmd/callhall", name: "Capture", figures: []figure{
		{what: "calls captured, row and leaf on disk", unit: perSec, shown: "/s"},
		{what: "capture of one, p99", unit: p99, shown: "ms"}}},
	{pkg: "./cmd/callhall", name: "Release", figures: []figure{
		{what: "releases on disk, call going on", bench: "live", unit: perSec, shown: "/s", goal: goal{">", 5_000}},
		{what: "release of one, call going on, p99", bench: "live", unit: p99, shown: "ms", goal: goal{"<", 10}},
		{what: "releases on disk, call over", bench: "stored", unit: perSec, shown: "/s", goal: goal{">", 5_000}},
		{what: "release of one, call over, p99", bench: "stored", unit: p99, shown: "ms", goal: goal{"<", 10}}}},
	{pkg: "./ledger", name: "Million", figures: []figure{
		{what: "proof of one leaf among a million", bench: "proof", unit: perOp, per: inMillis, shown: "ms", goal: goal{"<", 1}},
		{what: "check of that proof", bench: "checkproof", unit: perOp, per: inMillis, shown: "ms"},
		{what: "proof of consistency of two checkpoints", bench: "consistency", unit: perOp, per: inMillis, shown: "ms"},
		{what: "verify an export of a million leaves", bench: "verify", unit: perOp, per: inSeconds, shown: "s", goal: goal{"<", 10}}}},
}

// callerNumbers runs the Go benchmarks of caller numbers, their data in dir.
func (b *bench) callerNumbers(ctx context.Context, dir string) error {
	var failed error
	for _, s := range suites {
		if err := b.suite(ctx, dir, s); err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", s.command(), err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return failed
}

// command is what anybody may type to run it alone.
func (s suite) command() string {
	words := []string{"go test -run ^$ -bench ^Benchmark" + s.name + "$"}
	if s.cores > 0 {
		words = append(words, "-cpu", strconv.Itoa(s.cores))
	}
	return strings.Join(append(words, s.pkg), " ")
}

func (b *bench) suite(ctx context.Context, dir string, s suite) error {
	out, err := b.goTest(ctx, dir, strings.Fields(s.command())[1:])
	if err != nil {
		return err
	}
	rows, err := s.rows(parseBenchmarks(out))
	for _, w := range rows {
		err = errors.Join(err, b.report.add(w))
	}
	return err
}

// goTest runs the go command, and ends the test with it when ctx ends. Each part of a benchmark takes a fifth of a window.
func (b *bench) goTest(ctx context.Context, dir string, args []string) (string, error) {
	goTool := os.Getenv("GO")
	if goTool == "" {
		goTool = "go"
	}
	took := time.Duration(b.seconds) * time.Second / 5
	cmd := exec.CommandContext(ctx, goTool, append(args, "-benchtime", took.String(), "-timeout", "15m")...)
	cmd.Env = append(os.Environ(), "TMPDIR="+dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%w\n%s%s", err, stdout.Bytes(), stderr.Bytes())
	}
	return stdout.String(), nil
}

// parseBenchmarks reads what go test prints: the figures of each benchmark by unit. Names lack "Benchmark" and the
// number of cores behind them.
func parseBenchmarks(out string) map[string]map[string]float64 {
	all := map[string]map[string]float64{}
	for line := range strings.Lines(out) {
		words := strings.Fields(line)
		if len(words) < 4 || len(words)%2 != 0 || !strings.HasPrefix(words[0], "Benchmark") {
			continue
		}
		name := strings.TrimPrefix(words[0], "Benchmark")
		if i := strings.LastIndexByte(name, '-'); i > 0 {
			name = name[:i]
		}
		found := map[string]float64{}
		for pair := range slices.Chunk(words[2:], 2) {
			if v, err := strconv.ParseFloat(pair[0], 64); err == nil {
				found[pair[1]] = v
			}
		}
		all[name] = found
	}
	return all
}

// rows are the figures that a suite is run for. A figure that was not printed is an error: a benchmark may have got
// another name.
func (s suite) rows(found map[string]map[string]float64) ([]row, error) {
	cores := s.cores
	if cores == 0 {
		cores = runtime.GOMAXPROCS(0)
	}
	var rows []row
	var missing error
	for _, f := range s.figures {
		name := strings.TrimSuffix(s.name+"/"+f.bench, "/")
		v, ok := found[name][f.unit]
		if !ok {
			missing = errors.Join(missing, fmt.Errorf("no %s was printed by Benchmark%s", f.unit, name))
			continue
		}
		rows = append(rows, f.row(v, cores, s.command()))
	}
	return rows, missing
}

func (f figure) row(v float64, cores int, command string) row {
	if f.per != 0 {
		v /= f.per
	}
	values := []value{number("figure", f.shown, v)}
	if f.goal.op != "" {
		bound := number("", f.shown, f.goal.bound)
		values = append(values, text("goal", f.goal.op+" "+bound.withUnit()), text("met", map[bool]string{true: "yes", false: "no"}[f.goal.met(v)]))
	}
	return row{callerNumbers, f.what, cores, append(values, text("command", "`"+command+"`"))}
}
