// Command bench measures what a call and a packet cost a running server, from outside: CPU time and memory out of
// /proc, delays and loss at both far ends. It prints tables and writes the same figures as CSV. bench/run.sh runs it.
//
//	bench -binary ./callhall             every measurement
//	bench -binary ./callhall -only rate  the call rates alone
//	bench -only ani                      the Go benchmarks of caller numbers, from the top of the source tree
//	bench table -into docs/performance.md  puts the last figures into the document
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

func main() {
	unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) // no server that is measured leaves a core file, which could hold calls
	err := run(os.Args[1:])
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// options is what the command line says.
type options struct {
	binary  string
	csv     string
	dir     string
	only    string
	calls   []int
	rates   []int
	seconds int
	peers   string
}

func run(args []string) error {
	if len(args) > 0 && args[0] == "floor" {
		return floor(args[1:])
	}
	if len(args) > 0 && args[0] == "table" {
		return table(args[1:])
	}
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	report, err := newReport(o.csv, os.Stdout)
	if err != nil {
		return err
	}
	b := bench{options: o, report: report}
	err = b.all(ctx)
	return errors.Join(err, report.close())
}

func parseOptions(args []string) (options, error) {
	var o options
	var calls, rates string
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&o.binary, "binary", "./callhall", "the server to measure")
	flags.StringVar(&o.csv, "csv", "bench/results.csv", "where the figures are written")
	flags.StringVar(&o.dir, "dir", "", "the servers' data are put into a new folder in here, on the disk to measure with; empty is the system's")
	flags.StringVar(&o.only, "only", "", "some of direct, floor, media, rate, peers, ani; empty is all")
	flags.StringVar(&calls, "calls", "100,200,400,600", "calls held with sound")
	flags.StringVar(&rates, "rates", "100,200,400,600,800,1200", "calls a second without sound, up to the first that is not held")
	flags.IntVar(&o.seconds, "window", 10, "seconds of each measurement")
	flags.StringVar(&o.peers, "peers", "bench/peers", "configurations of the servers to compare with")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	var err error
	if o.calls, err = numbers(calls); err != nil {
		return o, fmt.Errorf("-calls: %w", err)
	}
	if o.rates, err = numbers(rates); err != nil {
		return o, fmt.Errorf("-rates: %w", err)
	}
	return o, nil
}

// numbers reads "100,200".
func numbers(s string) ([]int, error) {
	var all []int
	for _, word := range strings.Split(s, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(word))
		if err != nil || n <= 0 {
			return nil, fmt.Errorf("%q is not a count", word)
		}
		all = append(all, n)
	}
	return all, nil
}
