package main

import (
	"context"
	"net/http"
	"time"

	"callhall/ani"
)

// aniScreeningCmd is the list of callers who are screened for harassment or floods of calls.
type aniScreeningCmd struct {
	List    aniScreeningList    `cmd:"" help:"List lines, newest first, without any number."`
	Propose aniScreeningPropose `cmd:"" help:"Propose to screen the caller of a call. A number that somebody types cannot be screened."`
	Confirm aniScreeningConfirm `cmd:"" help:"Confirm a line, as the second person."`
	Review  aniScreeningReview  `cmd:"" help:"See who is screened, as far as the terms of the city allow: a token or a mask. The ledger keeps that you did."`
	End     aniScreeningEnd     `cmd:"" help:"Take a line off the list."`
}

// screeningPath is the screening list, and screenID how its ids begin.
const (
	screeningPath = "screening"
	screenID      = "scr"
)

// aniScreeningList is callhall ani screening list.
type aniScreeningList struct{ aniList }

// Run lists.
func (c aniScreeningList) Run(ctx context.Context, term *terminal) error {
	return c.list(ctx, term, screeningPath, nil, []column{{"PROPOSED", "proposed.at"}, {"ID", "id"}, {"STATE", "state"}, {"CALL", "call"},
		{"REASON", "reason"}, {"UNTIL", "until"}, {"BY", "proposed.actor"}, {"CONFIRMED", "confirmed.actor"}})
}

// aniScreeningPropose is callhall ani screening propose.
type aniScreeningPropose struct {
	aniAccess
	Call   string           `arg:"" name:"call" help:"Whose caller: cl_…"`
	Reason ani.ScreenReason `required:"" enum:"harassment,flood,spam" help:"harassment, flood or spam."`
	Why    string           `help:"Why, in words. No number in it."`
	Until  deadline         `default:"30d" placeholder:"TIME" help:"Until when, at most 30 days from now: 2026-01-31, or a time from now as 7d."`
}

// Run proposes.
func (c aniScreeningPropose) Run(ctx context.Context, term *terminal) error {
	if err := callsOf(c.Call); err != nil {
		return err
	}
	return c.enter(ctx, term, aniRole, screeningPath, struct {
		Call   string           `json:"call"`
		Reason ani.ScreenReason `json:"reason"`
		Why    string           `json:"why,omitempty"`
		Until  time.Time        `json:"until"`
	}{c.Call, c.Reason, c.Why, c.Until.UTC()})
}

// aniScreeningConfirm is callhall ani screening confirm.
type aniScreeningConfirm struct{ aniEntry }

// Run confirms.
func (c aniScreeningConfirm) Run(ctx context.Context, term *terminal) error {
	return c.act(ctx, term, screeningPath, screenID, "confirm")
}

// aniScreeningReview is callhall ani screening review.
type aniScreeningReview struct{ aniEntry }

// Run prints the mask or the token alone on standard output.
func (c aniScreeningReview) Run(ctx context.Context, term *terminal) error {
	if err := idOf(screenID, c.ID); err != nil {
		return err
	}
	server, err := c.open(term, aniRole)
	if err != nil {
		return err
	}
	raw, err := server.sendJSON(ctx, http.MethodPost, screeningPath+"/"+c.ID+"/review", nil)
	if err != nil {
		return err
	}
	return writeShown(ctx, term, raw)
}

// aniScreeningEnd is callhall ani screening end.
type aniScreeningEnd struct{ aniEntry }

// Run ends the line.
func (c aniScreeningEnd) Run(ctx context.Context, term *terminal) error {
	return c.remove(ctx, term, screeningPath, screenID)
}
