package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"callhall/ani"
	"callhall/call"
)

// aniProcessCmd is the register of papers: subpoenas, orders, forms of exigency, requests for records, tickets.
type aniProcessCmd struct {
	Add    aniProcessAdd    `cmd:"" help:"Take in a paper, with its copy."`
	List   aniProcessList   `cmd:"" help:"List papers, newest first."`
	Show   aniProcessShow   `cmd:"" help:"Tell one paper."`
	Verify aniProcessVerify `cmd:"" help:"Verify a paper, as the second person."`
	Close  aniProcessClose  `cmd:"" help:"Close a paper: nothing more is released under it."`
	Paper  aniProcessPaper  `cmd:"" help:"Fetch the copy of a paper. The ledger keeps that you did."`
}

// processesPath is the register of papers, and processID how its ids begin.
const (
	processesPath = "processes"
	processID     = "prc"
)

// deadline is a time on the command line that is to come.
type deadline struct{ moment }

// UnmarshalText reads a day or an instant, or a length of time from now.
func (d *deadline) UnmarshalText(text []byte) error {
	if ahead, err := parseDuration(string(text)); err == nil {
		d.Time = time.Now().Add(ahead)
		return nil
	}
	return d.moment.UnmarshalText(text)
}

// aniProcessAdd is callhall ani process add.
type aniProcessAdd struct {
	aniAccess
	Form          ani.PaperForm `required:"" enum:"subpoena,order,warrant,exigency,informal,records,ticket,dispute" help:"subpoena, order, warrant, exigency, informal, records, ticket or dispute."`
	Issuer        string        `required:"" help:"The body that issued it."`
	Reference     string        `required:"" help:"Its reference there; at most six digits."`
	ServedOn      ani.ServedOn  `enum:"city,vendor" default:"city" help:"On whom it was served: city, or vendor, who may answer nothing."`
	Calls         []string      `name:"call" placeholder:"cl_…" help:"A call that it names; may be given more than once."`
	From          moment        `placeholder:"TIME" help:"It names calls that came from then,"`
	To            moment        `placeholder:"TIME" help:"to before then."`
	Trunk         string        `placeholder:"ID" help:"The carrier, of a ticket or a dispute."`
	Until         deadline      `required:"" placeholder:"TIME" help:"Nothing is released under it from then on: 2027-01-31, or a time from now as 30d."`
	Nondisclosure bool          `help:"The subject may not be told."`
	File          string        `placeholder:"FILE" type:"existingfile" help:"A copy of it, at most 10 MiB; kept sealed. A subpoena, an order and a warrant need one."`
}

// newPaper is a paper with its copy, which travels in base64 (RFC 4648 §4).
type newPaper struct {
	ani.NewPaper
	Copy []byte `json:"copy,omitempty"`
}

// Run takes the paper in.
func (c aniProcessAdd) Run(ctx context.Context, term *terminal) error {
	if err := callsOf(c.Calls...); err != nil {
		return err
	}
	var paper newPaper
	paper.NewPaper = ani.NewPaper{Form: c.Form, Issuer: c.Issuer, Reference: c.Reference, ServedOn: c.ServedOn, From: c.From.UTC(), To: c.To.UTC(),
		Trunk: call.TrunkID(c.Trunk), Until: c.Until.UTC(), Nondisclosure: c.Nondisclosure}
	for _, id := range c.Calls {
		paper.Calls = append(paper.Calls, call.ID(id))
	}
	var err error
	if paper.Copy, err = paperCopy(c.File); err != nil {
		return err
	}
	return c.enter(ctx, term, aniRole, processesPath, paper)
}

// paperCopy reads the copy of a paper, and no more than may be kept.
func paperCopy(name string) ([]byte, error) {
	if name == "" {
		return nil, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("read the copy: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, ani.MaxCopy+1))
	if err != nil {
		return nil, fmt.Errorf("read the copy: %w", err)
	}
	if len(text) > ani.MaxCopy {
		return nil, badUsage{fmt.Errorf("--file: %s has more than %d MiB", name, ani.MaxCopy>>20)}
	}
	return text, nil
}

// aniProcessList is callhall ani process list.
type aniProcessList struct{ aniList }

// Run lists.
func (c aniProcessList) Run(ctx context.Context, term *terminal) error {
	return c.list(ctx, term, processesPath, nil, []column{{"TAKEN", "taken.at"}, {"ID", "id"}, {"STATE", "state"}, {"FORM", "form"},
		{"ISSUER", "issuer"}, {"REFERENCE", "reference"}, {"UNTIL", "until"}, {"BY", "taken.actor"}, {"VERIFIED", "verified.actor"}})
}

// aniProcessShow is callhall ani process show.
type aniProcessShow struct{ aniEntry }

// Run shows.
func (c aniProcessShow) Run(ctx context.Context, term *terminal) error {
	return c.show(ctx, term, processesPath, processID)
}

// aniProcessVerify is callhall ani process verify.
type aniProcessVerify struct{ aniEntry }

// Run verifies.
func (c aniProcessVerify) Run(ctx context.Context, term *terminal) error {
	return c.act(ctx, term, processesPath, processID, "verify")
}

// aniProcessClose is callhall ani process close.
type aniProcessClose struct{ aniEntry }

// Run closes.
func (c aniProcessClose) Run(ctx context.Context, term *terminal) error {
	return c.act(ctx, term, processesPath, processID, "close")
}

// aniProcessPaper is callhall ani process paper.
type aniProcessPaper struct {
	aniEntry
	Output string `short:"o" required:"" placeholder:"FILE" help:"New file for the copy, for its owner only; - is standard output."`
}

// Run fetches the copy.
func (c aniProcessPaper) Run(ctx context.Context, term *terminal) error {
	if err := idOf(processID, c.ID); err != nil {
		return err
	}
	server, err := c.open(term, aniRole)
	if err != nil {
		return err
	}
	return server.copyToFile(ctx, term, c.Output, processesPath+"/"+c.ID+"/paper", nil)
}
