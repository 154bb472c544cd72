package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"callhall/ani"
)

// aniBillingCmd is what was billed to carriers (docs/billing.md).
type aniBillingCmd struct {
	List  aniBillingList  `cmd:"" help:"List batches of charged calls, newest first."`
	Proof aniBillingProof `cmd:"" help:"Show that a call stands in a batch, and nothing of any other call."`
	Check aniBillingCheck `cmd:"" help:"Check a batch that was opened with age, for carriers. Needs no server."`
}

// aniBillingList is callhall ani billing list.
type aniBillingList struct{ aniList }

// Run lists.
func (c aniBillingList) Run(ctx context.Context, term *terminal) error {
	return c.list(ctx, term, "billing/batches", nil, []column{{"AT", "at"}, {"ID", "id"}, {"STATE", "state"}, {"CARRIER", "carrier"},
		{"TARIFF", "tariff"}, {"CALLS", "calls"}, {"ROOT", "root"}})
}

// aniBillingProof is callhall ani billing proof.
type aniBillingProof struct {
	aniAccess
	Call string `arg:"" name:"call" help:"The call: cl_…"`
}

// Run writes the proof as JSON, which is how a carrier needs it, once it has led to its root.
func (c aniBillingProof) Run(ctx context.Context, term *terminal) error {
	if err := callsOf(c.Call); err != nil {
		return err
	}
	server, err := c.open(term, aniRole)
	if err != nil {
		return err
	}
	if err := server.sealed(); err != nil {
		return err
	}
	var proof ani.BatchProof
	if err := server.getJSON(ctx, "calls/"+c.Call+"/billing-proof", nil, &proof); err != nil {
		return err
	}
	if err := proof.Check(nil); err != nil {
		return fmt.Errorf("proof of %s: %w", c.Call, err)
	}
	return json.NewEncoder(term.Out).Encode(proof)
}

// aniBillingCheck is callhall ani billing check.
type aniBillingCheck struct {
	File string `arg:"" optional:"" default:"-" help:"The opened batch; - is standard input."`
}

// Run checks every hash and the root, and shows no call.
func (c aniBillingCheck) Run(term *terminal) error {
	in := io.Reader(term.In)
	if c.File != "-" {
		f, err := os.Open(c.File)
		if err != nil {
			return fmt.Errorf("batch: %w", err)
		}
		defer f.Close()
		in = f
	}
	head, err := ani.CheckBatch(in)
	if errors.Is(err, ani.ErrBatch) {
		return fmt.Errorf("check the batch: %w; is it opened, and is it whole?", err)
	}
	if err != nil {
		return err
	}
	if term.JSON {
		return json.NewEncoder(term.Out).Encode(head)
	}
	_, err = fmt.Fprintf(term.Out, "batch %s of %s for %s: %d calls, tariff %s\nroot  %s\nCompare it with the leaf %s of this batch in an export of the city's ledger.\n",
		plain(head.Batch), plain(string(head.City)), plain(string(head.Carrier)), head.Calls, plain(head.Tariff), plain(head.Root), ani.KindBilled)
	return err
}
