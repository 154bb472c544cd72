package main

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"

	"callhall/ani"
)

// aniReleaseCmd is a request for a number from its first word to its one reveal.
type aniReleaseCmd struct {
	Ask     aniReleaseAsk     `cmd:"" help:"Ask for the number of a call's caller. The terms decide at once; a denial is an answer."`
	Approve aniReleaseApprove `cmd:"" help:"Approve a request, as the second person."`
	Refuse  aniReleaseRefuse  `cmd:"" help:"Refuse a request, as the second person."`
	Reveal  aniReleaseReveal  `cmd:"" help:"See the number, once. Only for who asked."`
	List    aniReleaseList    `cmd:"" help:"List requests, newest first."`
	Show    aniReleaseShow    `cmd:"" help:"Tell one request."`
}

// releasesPath is the register of requests, and releaseID how its ids begin.
const (
	releasesPath = "ani-releases"
	releaseID    = "rel"
)

// releaseAsk is what a person asks for. On what consent or paper it rests, the office looks up.
type releaseAsk struct {
	Purpose   ani.Purpose    `json:"purpose"`
	Recipient ani.Recipient  `json:"recipient"`
	To        string         `json:"to,omitempty"`
	Case      string         `json:"case,omitempty"`
	Reason    ani.ReasonCode `json:"reason,omitempty"`
	Ref       string         `json:"ref,omitempty"`
	Why       string         `json:"why,omitempty"`
}

// aniReleaseAsk is callhall ani release ask.
type aniReleaseAsk struct {
	aniAccess
	Call      string         `arg:"" name:"call" help:"The call: cl_…"`
	Purpose   ani.Purpose    `required:"" help:"What for: completion-dropped, legal-process, public-records, … ani policy table has them."`
	Recipient ani.Recipient  `required:"" help:"Who gets it: AGT, SUP, LE, PUB, …"`
	To        string         `help:"Who gets it, by name, as a consent names them."`
	Case      string         `help:"The case it is for; at most six digits."`
	Reason    ani.ReasonCode `help:"Why a call back by handle will not do, of a call that was cut off: handle-failed, relay, other-line."`
	Ref       string         `placeholder:"prc_…" help:"The paper behind it."`
	Why       string         `help:"Why, in words. No number in it."`
}

// Run asks.
func (c aniReleaseAsk) Run(ctx context.Context, term *terminal) error {
	if err := cmp.Or(callsOf(c.Call), c.check()); err != nil {
		return err
	}
	server, err := c.open(term, aniRole)
	if err != nil {
		return err
	}
	raw, err := server.sendJSON(ctx, http.MethodPost, "calls/"+c.Call+"/"+releasesPath,
		releaseAsk{c.Purpose, c.Recipient, c.To, c.Case, c.Reason, c.Ref, c.Why})
	if err == nil {
		err = writeEntryOf(term, raw)
	}
	if err != nil || term.JSON || said(at(raw, "state")) != string(ani.AskDenied) {
		return err
	}
	return writeRow(term, said(at(raw, "row")))
}

// writeRow tells what a row of the terms is and where it stands. It is left out where this program does not know the row.
func writeRow(term *terminal, id string) error {
	rows := ani.Terms()
	i := slices.IndexFunc(rows, func(r ani.Row) bool { return r.ID == id })
	if i < 0 {
		return nil
	}
	_, err := fmt.Fprintf(term.Out, "%-15s%s\n%-15s%s\n", "what it is", plain(rows[i].What), "citation", plain(rows[i].Citation))
	return err
}

// check refuses words that are not in the terms; what a server may make of them is a denial nobody wanted.
func (c aniReleaseAsk) check() error {
	err := cmp.Or(wordOf("--purpose", c.Purpose, ani.Purposes()), wordOf("--recipient", c.Recipient, ani.Recipients()))
	if err == nil && c.Reason != "" {
		err = wordOf("--reason", c.Reason, ani.ReasonCodes())
	}
	if err != nil {
		return badUsage{err}
	}
	return nil
}

// aniReleaseApprove is callhall ani release approve.
type aniReleaseApprove struct{ aniEntry }

// Run approves.
func (c aniReleaseApprove) Run(ctx context.Context, term *terminal) error {
	return c.act(ctx, term, releasesPath, releaseID, "approve")
}

// aniReleaseRefuse is callhall ani release refuse.
type aniReleaseRefuse struct{ aniEntry }

// Run refuses.
func (c aniReleaseRefuse) Run(ctx context.Context, term *terminal) error {
	return c.act(ctx, term, releasesPath, releaseID, "refuse")
}

// aniReleaseReveal is callhall ani release reveal.
type aniReleaseReveal struct{ aniEntry }

// Run prints the number alone on standard output.
func (c aniReleaseReveal) Run(ctx context.Context, term *terminal) error {
	raw, err := c.answerOnce(ctx, term, releaseID, releasesPath, "reveal")
	if err != nil {
		return err
	}
	return writeShown(ctx, term, raw)
}

// aniReleaseList is callhall ani release list.
type aniReleaseList struct {
	aniList
	State string `placeholder:"STATE" enum:",asked,pending,granted,revealed,refused,denied,expired,recalled" default:"" help:"Only those that stand so: pending, granted, revealed, denied, …"`
}

// Run lists.
func (c aniReleaseList) Run(ctx context.Context, term *terminal) error {
	return c.list(ctx, term, releasesPath, stateQuery(c.State), []column{{"ASKED", "asked.at"}, {"ID", "id"}, {"STATE", "state"}, {"CALL", "call"},
		{"PURPOSE", "purpose"}, {"RECIPIENT", "recipient"}, {"ROW", "row"}, {"DECISION", "decision"}, {"BY", "asked.actor"}, {"SECOND", "second.actor"}, {"RELEASE", "release"}})
}

// aniReleaseShow is callhall ani release show.
type aniReleaseShow struct{ aniEntry }

// Run shows.
func (c aniReleaseShow) Run(ctx context.Context, term *terminal) error {
	return c.show(ctx, term, releasesPath, releaseID)
}
