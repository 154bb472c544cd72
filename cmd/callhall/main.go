// Callhall answers a city's 311 calls: it takes them from the carrier, finds an agent, records what is said and keeps
// callers' numbers to itself. This command is all of it: the server, a test caller and agent, and the tools for its
// records, ledger and users.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// Exit codes. 78 is EX_CONFIG of sysexits.h: systemd is told not to start us again on it.
const (
	exitFailed    = 1
	exitUsage     = 2
	exitBadConfig = 78
)

// cli is the command line: flags that every verb has, and the verbs.
type cli struct {
	Config  string `placeholder:"FILE" env:"CALLHALL_CONFIG" help:"Configuration file. Without one: development, loopback only."`
	JSON    bool   `name:"json" help:"Write JSON for programs instead of text for people."`
	NoColor bool   `help:"Write no colour codes. NO_COLOR in the environment says the same."`

	Serve       serveCmd   `cmd:"" help:"Run the server."`
	Call        callCmd    `cmd:"" help:"Place a test call at any SIP server."`
	Agent       agentCmd   `cmd:"" help:"Answer calls as a headless agent at any SIP server."`
	CheckConfig checkCmd   `cmd:"" help:"Check a configuration file and tell every fault in it."`
	Records     recordsCmd `cmd:"" help:"Read call records and recordings of a running server."`
	Ledger      ledgerCmd  `cmd:"" help:"Read the ledger of what was done with callers' data, or verify an export of it."`
	Ani         aniCmd     `cmd:"" help:"Decide who may have a caller's number, and tell who had it."`
	User        userCmd    `cmd:"" help:"Manage who may use the API."`
	Version     versionCmd `cmd:"" help:"Tell which version this is."`
}

// terminal is where a verb reads and writes, and how it was asked to.
type terminal struct {
	In       io.Reader
	Out, Err io.Writer
	Env      []string // "NAME=value"
	Config   string   // the file of --config, or empty
	JSON     bool
	NoColor  bool
}

// badUsage is a command line that kong takes and we do not.
type badUsage struct{ error }

// badConfig is a configuration with faults. They have been told when it is returned.
type badConfig struct{ faults []Fault }

func (e badConfig) Error() string {
	if len(e.faults) == 1 {
		return "the configuration has a fault"
	}
	return fmt.Sprintf("the configuration has %d faults", len(e.faults))
}

func main() {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // ours is passed around; what libraries say past it is not for terminals
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	code := run(ctx, os.Args[1:], terminal{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Environ()})
	stop()
	os.Exit(code)
}

// run is the program without the process around it. It returns the exit code.
func run(ctx context.Context, args []string, term terminal) int {
	var line cli
	parser, err := kong.New(&line, kong.Name("callhall"), kong.UsageOnError(), kong.Writers(term.Out, term.Err),
		kong.Description("The telephone side of a city's 311: calls, queues, recordings, and callers' numbers kept safe."),
		kong.BindTo(ctx, (*context.Context)(nil)), kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true}))
	if err != nil {
		fmt.Fprintln(term.Err, "callhall:", err)
		return exitFailed
	}
	verb, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(term.Err, "callhall: %v\ntry: callhall --help\n", err)
		return exitUsage
	}
	term.Config, term.JSON, term.NoColor = line.Config, line.JSON, line.NoColor || os.Getenv("NO_COLOR") != ""
	return exitCode(verb.Run(&term), term.Err)
}

// exitCode tells the operator of err and turns it into the process's exit code.
func exitCode(err error, to io.Writer) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(to, "callhall:", err)
	var usage badUsage
	var config badConfig
	switch {
	case errors.As(err, &config):
		return exitBadConfig
	case errors.As(err, &usage):
		return exitUsage
	default:
		return exitFailed
	}
}
