package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"callhall/console"
)

// ledgerCmd reads what was done with callers' data. Verify needs no server and no trust in one.
type ledgerCmd struct {
	List        ledgerList        `cmd:"" help:"List entries, newest first."`
	Export      ledgerExport      `cmd:"" help:"Write the whole ledger of the city as one file that anybody can verify."`
	Checkpoint  ledgerCheckpoint  `cmd:"" help:"Fetch the newest signed checkpoint, to be kept where the operator cannot change it."`
	Key         ledgerKey         `cmd:"" help:"Fetch the city's verifier key, to be published: whoever verifies needs it from elsewhere than the export."`
	Proof       ledgerProof       `cmd:"" help:"Fetch the proof that one entry is in the ledger, without the others."`
	Consistency ledgerConsistency `cmd:"" help:"Fetch the proof that the ledger only grew since an earlier checkpoint."`
	Verify      ledgerVerify      `cmd:"" help:"Verify an export or a proof, offline, and decide every release in an export again."`
	Rotate      ledgerRotate      `cmd:"" help:"Give the city's ledger a new signing key and destroy the old one. Publish the new verifier key."`
	Succeed     ledgerSucceed     `cmd:"" help:"Open a new ledger in the place of a frozen one, which stays as it is."`
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
	Limit int    `default:"50" help:"At most so many entries; 0 is all."`
	Call  string `placeholder:"cl_…" help:"Only entries about this call."`
	Kind  string `placeholder:"KIND" help:"Only entries of this kind: ani.release/1, recording.played/1, …"`
}

// wants tells whether an entry is among those that were asked for.
func (c ledgerList) wants(e console.LedgerEntry) bool {
	return (c.Call == "" || c.Call == string(e.Call)) && (c.Kind == "" || c.Kind == e.Kind)
}

// page is how many entries to ask for when so many are shown: as many as are wanted, or many where most may not fit.
func (c ledgerList) page(shown int) int {
	if c.Call != "" || c.Kind != "" {
		return pageSize
	}
	return nextLimit(c.Limit, shown)
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
		query.Set("limit", strconv.Itoa(c.page(shown)))
		var page ledgerPage
		if err := server.getJSON(ctx, "ledger", query, &page); err != nil {
			return err
		}
		n, err := c.write(term, out, page.Data, shown)
		if err != nil {
			return err
		}
		shown += n
		if page.Next == "" || len(page.Data) == 0 || c.Limit > 0 && shown >= c.Limit {
			return out.Flush()
		}
		query.Set("cursor", page.Next)
	}
}

// write writes the entries of a page that were asked for, and returns how many there were. None is over the limit.
func (c ledgerList) write(term *terminal, out io.Writer, page []json.RawMessage, shown int) (n int, err error) {
	for _, raw := range page {
		var e console.LedgerEntry
		if err := json.Unmarshal(raw, &e); err != nil {
			return n, fmt.Errorf("read an entry: %w", err)
		}
		if !c.wants(e) {
			continue
		}
		if c.Limit > 0 && shown+n == c.Limit {
			return n, nil
		}
		if err := writeEntry(term, out, e, raw); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

// writeEntry writes one entry as a line of the table, or as it came.
func writeEntry(term *terminal, out io.Writer, e console.LedgerEntry, raw json.RawMessage) error {
	if term.JSON {
		return writeRaw(term.Out, raw)
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

// ledgerConsistency is callhall ledger consistency.
type ledgerConsistency struct {
	access
	From   int64  `required:"" help:"Entries that the earlier checkpoint covers: the number on its second line."`
	To     int64  `help:"Entries of the later ledger. Default: all."`
	Output string `short:"o" default:"-" placeholder:"FILE" help:"New file to write to; - is standard output."`
}

// Run fetches the proof.
func (c ledgerConsistency) Run(ctx context.Context, term *terminal) error {
	if c.From < 1 || c.To < 0 || c.To > 0 && c.To < c.From {
		return badUsage{fmt.Errorf("--from, --to: a ledger does not grow from %d to %d entries", c.From, c.To)}
	}
	server, err := c.dial(term, ledgerRole)
	if err != nil {
		return err
	}
	query := url.Values{"from": {strconv.FormatInt(c.From, 10)}}
	if c.To > 0 {
		query.Set("to", strconv.FormatInt(c.To, 10))
	}
	return server.copyToFile(ctx, term, c.Output, "ledger/consistency", query)
}

// ledgerRotate is callhall ledger rotate.
type ledgerRotate struct {
	access
	Yes bool `required:"" help:"Say that it is meant: the old key is destroyed."`
}

// Run rotates the key and prints the new verifier key.
func (c ledgerRotate) Run(ctx context.Context, term *terminal) error {
	return c.change(ctx, term, "ledger/keys/rotate", nil, "key")
}

// ledgerSucceed is callhall ledger succeed.
type ledgerSucceed struct {
	access
	Reason string `required:"" help:"What happened, in words, for the new ledger's first entry. No long rows of digits."`
}

// Run opens the new log and prints its name.
func (c ledgerSucceed) Run(ctx context.Context, term *terminal) error {
	return c.change(ctx, term, "ledger/succeed", struct {
		Reason string `json:"reason"`
	}{c.Reason}, "log")
}

// change asks for a change of the ledger and prints one member of the answer.
func (a access) change(ctx context.Context, term *terminal, path string, body any, member string) error {
	server, err := a.dial(term, ledgerRole)
	if err != nil {
		return err
	}
	raw, err := server.sendJSON(ctx, http.MethodPost, path, body)
	if err != nil {
		return err
	}
	if term.JSON {
		return writeRaw(term.Out, raw)
	}
	_, err = fmt.Fprintln(term.Out, said(at(raw, member)))
	return err
}
