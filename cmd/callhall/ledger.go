package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"callhall/ani"
	"callhall/console"
	"callhall/ledger"
)

// ledgerCmd reads what was done with callers' data. Verify needs no server and no trust in one.
type ledgerCmd struct {
	List       ledgerList       `cmd:"" help:"List entries, newest first."`
	Export     ledgerExport     `cmd:"" help:"Write the whole ledger of the city as one file that anybody can verify."`
	Checkpoint ledgerCheckpoint `cmd:"" help:"Fetch the newest signed checkpoint, to be kept where the operator cannot change it."`
	Key        ledgerKey        `cmd:"" help:"Fetch the city's verifier key, to be published: whoever verifies needs it from elsewhere than the export."`
	Proof      ledgerProof      `cmd:"" help:"Fetch the proof that one entry is in the ledger, without the others."`
	Verify     ledgerVerify     `cmd:"" help:"Verify an export or a proof, offline, and decide every release in an export again."`
}

// ledgerRole is the role whose token the ledger verbs show when none is given.
const ledgerRole = string(console.RolePrivacy)

// ledgerPage is one page of the API's list, with entries as they came.
type ledgerPage struct {
	Data []json.RawMessage `json:"data"`
	Next string            `json:"next_cursor"`
}

// ledgerList is callhall ledger list.
type ledgerList struct {
	access
	Limit int `default:"50" help:"At most so many entries; 0 is all."`
}

// Run writes a table, or one JSON object a line.
func (c ledgerList) Run(ctx context.Context, term *terminal) error {
	if c.Limit < 0 {
		return badUsage{fmt.Errorf("--limit: %d is less than none", c.Limit)}
	}
	server, err := c.dial(term, ledgerRole)
	if err != nil {
		return err
	}
	out := tabwriter.NewWriter(term.Out, 0, 8, 2, ' ', 0)
	if !term.JSON {
		fmt.Fprintln(out, "INDEX\tAT\tKIND\tACTOR\tCALL\tFACTS")
	}
	query := url.Values{}
	for shown := 0; ; {
		query.Set("limit", strconv.Itoa(nextLimit(c.Limit, shown)))
		var page ledgerPage
		if err := server.getJSON(ctx, "ledger", query, &page); err != nil {
			return err
		}
		for _, raw := range page.Data {
			if err := writeEntry(term, out, raw); err != nil {
				return err
			}
		}
		shown += len(page.Data)
		if page.Next == "" || len(page.Data) == 0 || c.Limit > 0 && shown >= c.Limit {
			return out.Flush()
		}
		query.Set("cursor", page.Next)
	}
}

// writeEntry writes one entry as a line of the table, or as it came.
func writeEntry(term *terminal, out io.Writer, raw json.RawMessage) error {
	if term.JSON {
		return writeRaw(term.Out, raw)
	}
	var e console.LedgerEntry
	if err := json.Unmarshal(raw, &e); err != nil {
		return fmt.Errorf("read an entry: %w", err)
	}
	if e.Erased {
		_, err := fmt.Fprintf(out, "%d\t-\terased\t-\t-\t\n", e.Index)
		return err
	}
	var facts []string
	for _, name := range slices.Sorted(maps.Keys(e.Facts)) {
		facts = append(facts, plain(name)+"="+plain(e.Facts[name]))
	}
	_, err := fmt.Fprintf(out, "%d\t%s\t%s\t%s\t%s\t%s\n", e.Index, local(e.At), plain(e.Kind), plain(e.Actor),
		orDash(plain(e.Call)), strings.Join(facts, " "))
	return err
}

// ledgerExport is callhall ledger export.
type ledgerExport struct {
	access
	Output string `short:"o" default:"-" placeholder:"FILE" help:"New file to write to; - is standard output."`
}

// Run streams the export.
func (c ledgerExport) Run(ctx context.Context, term *terminal) error {
	server, err := c.dial(term, ledgerRole)
	if err != nil {
		return err
	}
	return server.copyToFile(ctx, term, c.Output, "ledger/export", nil)
}

// ledgerCheckpoint is callhall ledger checkpoint.
type ledgerCheckpoint struct {
	access
	Output string `short:"o" default:"-" placeholder:"FILE" help:"New file to write to; - is standard output."`
}

// Run fetches the checkpoint.
func (c ledgerCheckpoint) Run(ctx context.Context, term *terminal) error {
	server, err := c.dial(term, ledgerRole)
	if err != nil {
		return err
	}
	return server.copyToFile(ctx, term, c.Output, "ledger/checkpoint", nil)
}

// ledgerKey is callhall ledger key.
type ledgerKey struct {
	access
	Output string `short:"o" default:"-" placeholder:"FILE" help:"New file to write to; - is standard output."`
}

// Run fetches the key.
func (c ledgerKey) Run(ctx context.Context, term *terminal) error {
	server, err := c.dial(term, ledgerRole)
	if err != nil {
		return err
	}
	return server.copyToFile(ctx, term, c.Output, "ledger/key", nil)
}

// ledgerProof is callhall ledger proof.
type ledgerProof struct {
	access
	Index  int64  `arg:"" help:"The entry, as ledger list numbers it."`
	Output string `short:"o" default:"-" placeholder:"FILE" help:"New file to write to; - is standard output."`
}

// Run fetches the proof.
func (c ledgerProof) Run(ctx context.Context, term *terminal) error {
	server, err := c.dial(term, ledgerRole)
	if err != nil {
		return err
	}
	return server.copyToFile(ctx, term, c.Output, fmt.Sprintf("ledger/entries/%d/proof", c.Index), nil)
}

// ledgerVerify is callhall ledger verify.
type ledgerVerify struct {
	File  string `arg:"" help:"The export or the proof; - is standard input."`
	Since string `placeholder:"CHECKPOINT" help:"File with a checkpoint kept earlier. Without one, a ledger that was written anew as a whole looks good."`
	Key   string `placeholder:"KEY" help:"The city's verifier key, got another way than with the export. An older one will do: what leads from it to the newest is in the file."`
}

// Run verifies the file and says how far that reaches.
func (c ledgerVerify) Run(term *terminal) error {
	opts := ledger.Options{Key: c.Key, Check: ani.CheckLeaf, Decides: []string{ani.KindRelease}, Unknown: ani.ErrPolicyUnknown}
	if c.Since != "" {
		text, err := os.ReadFile(c.Since)
		if err != nil {
			return fmt.Errorf("read the earlier checkpoint: %w", err)
		}
		opts.Since = text
	}
	report, err := c.verify(term.In, opts)
	if err != nil && !errors.Is(err, ledger.ErrInvalid) {
		return fmt.Errorf("verify %s: %w", c.File, err)
	}
	if err == nil && report.Unexplained > 0 {
		err = fmt.Errorf("%w: %d of %d erased entries are explained by no entry that says so", ledger.ErrInvalid, report.Unexplained, report.Erased)
	}
	if werr := writeReport(term, report, err); werr != nil {
		return fmt.Errorf("write the result: %w", werr)
	}
	return err
}

// verify reads the export from its file or from stdin.
func (c ledgerVerify) verify(stdin io.Reader, opts ledger.Options) (ledger.Report, error) {
	if c.File == "-" {
		return ledger.Verify(stdin, opts)
	}
	f, err := os.Open(c.File)
	if err != nil {
		return ledger.Report{}, err
	}
	report, err := ledger.Verify(f, opts)
	return report, errors.Join(err, f.Close())
}

// writeReport tells what was verified. A failure is told in words by whoever called the verb.
func writeReport(term *terminal, r ledger.Report, failure error) error {
	if term.JSON {
		return json.NewEncoder(term.Out).Encode(struct {
			OK bool `json:"ok"`
			ledger.Report
		}{failure == nil, r})
	}
	if failure != nil {
		return nil
	}
	fmt.Fprintf(term.Out, "%s\nroot %s\n", r, r.Root)
	if r.Proof != nil {
		return nil
	}
	fmt.Fprintf(term.Out, "releases %d decided again and alike, %d under terms unknown to this program\n", r.Decided, r.Undecided)
	fmt.Fprintf(term.Out, "key %s, changed %s\n", keyWord(r), count(r.Rotations, "time", "times"))
	for _, kind := range slices.Sorted(maps.Keys(r.Kinds)) {
		fmt.Fprintf(term.Out, "%8d %s\n", r.Kinds[kind], plain(kind))
	}
	if r.Undecided > 0 {
		fmt.Fprintln(term.Err, "a newer callhall may know the terms of the others: verify with that one too")
	}
	return nil
}

// keyWord says whose word it is that the signatures are the city's.
func keyWord(r ledger.Report) string {
	if r.KeyKnown {
		return "as given, or one that it leads to"
	}
	return "as the export says itself (give the city's with --key)"
}
