package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"callhall/ani"
	"callhall/ledger"
)

// ledgerVerify is callhall ledger verify.
type ledgerVerify struct {
	File  string `arg:"" help:"The export or the proof; - is standard input."`
	Since string `placeholder:"CHECKPOINT" help:"File with a checkpoint kept earlier. Without one, a ledger that was written anew as a whole looks good."`
	Held  bool   `name:"require-since" help:"Fail unless the file was held against an earlier checkpoint that covers some of its entries: for a job that must not take self-consistent for verified."`
	Key   string `placeholder:"KEY" help:"The city's verifier key or a file with it, got another way than with the export. An older one will do: what leads from it to the newest is in the file."`
}

// Run verifies the file and says how far that reaches.
func (c ledgerVerify) Run(term *terminal) error {
	key, err := keyOf(c.Key)
	if err != nil {
		return err
	}
	opts := ledger.Options{Key: key, Check: ani.CheckLeaf, Decides: []string{ani.KindRelease}, Unknown: ani.ErrPolicyUnknown}
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
	if err == nil && c.Held && !report.Held() {
		err = errors.New("self-consistent only: it was not held against an earlier checkpoint of this ledger that covers any entry (--since)")
	}
	if werr := writeReport(term, report, err); werr != nil {
		return fmt.Errorf("write the result: %w", werr)
	}
	return err
}

// keyOf is a verifier key that was given, or that is in the file that was named.
func keyOf(given string) (string, error) {
	text, err := os.ReadFile(given)
	if errors.Is(err, fs.ErrNotExist) || given == "" {
		return given, nil
	}
	if err != nil {
		return "", fmt.Errorf("read the key: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
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
	if !r.Newest.IsZero() {
		fmt.Fprintf(term.Out, "newest entry of %s\n", local(r.Newest))
	}
	if !r.SinceNewest.IsZero() {
		fmt.Fprintf(term.Out, "newest entry that the earlier checkpoint covers of %s\n", local(r.SinceNewest))
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
