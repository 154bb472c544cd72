package main

import (
	"context"
	"fmt"
	"net/http"
)

// aniHandleCmd calls callers back without showing their number. It is for agents.
type aniHandleCmd struct {
	Give aniHandleGive `cmd:"" help:"Get a handle to call a caller back with: of your call, for when it is cut off, or of one that was."`
	Dial aniHandleDial `cmd:"" help:"Call the caller of a handle back: your phone rings first."`
}

// handleID is how the ids of handles begin.
const handleID = "hdl"

// aniHandleGive is callhall ani handle give.
type aniHandleGive struct {
	aniAccess
	Call string `arg:"" name:"call" help:"The call: cl_…"`
}

// Run gets a handle.
func (c aniHandleGive) Run(ctx context.Context, term *terminal) error {
	if err := callsOf(c.Call); err != nil {
		return err
	}
	return c.enter(ctx, term, agentRole, "calls/"+c.Call+"/handles", nil)
}

// aniHandleDial is callhall ani handle dial.
type aniHandleDial struct {
	aniAccess
	Handle string `arg:"" name:"handle" help:"The handle: hdl_…"`
}

// Run dials.
func (c aniHandleDial) Run(ctx context.Context, term *terminal) error {
	if err := idOf(handleID, c.Handle); err != nil {
		return err
	}
	return c.enter(ctx, term, agentRole, "handles/"+c.Handle+"/dial", nil)
}

// aniTransferCmd carries a call on to somebody outside.
type aniTransferCmd struct {
	Partners aniTransferPartners `cmd:"" help:"List whom calls may be carried on to."`
	Start    aniTransferStart    `cmd:"" help:"Carry your call on to a partner."`
	Cancel   aniTransferCancel   `cmd:"" help:"Give up the transfer that is on its way."`
}

// aniTransferPartners is callhall ani transfer partners.
type aniTransferPartners struct{ aniAccess }

// Run lists them all: a city has a few.
func (c aniTransferPartners) Run(ctx context.Context, term *terminal) error {
	server, err := c.open(term, agentRole)
	if err != nil {
		return err
	}
	var page registerPage
	if err := server.getJSON(ctx, "partners", nil, &page); err != nil {
		return err
	}
	columns := []column{{"PARTNER", "id"}, {"KIND", "kind"}, {"NAME", "name"}}
	out := tableOn(term)
	writeHeadings(term, out, columns)
	if err := writeRows(term, out, page.Data, columns); err != nil {
		return err
	}
	return endOfList(term, out, len(page.Data), false)
}

// aniTransferStart is callhall ani transfer start.
type aniTransferStart struct {
	aniAccess
	Call   string `arg:"" name:"call" help:"Your call that goes on: cl_…"`
	To     string `required:"" placeholder:"PARTNER" help:"The partner, as ani transfer partners lists them."`
	Spoken bool   `name:"spoken-consent" help:"The caller has just said that their number may go with the call."`
}

// Run orders the transfer.
func (c aniTransferStart) Run(ctx context.Context, term *terminal) error {
	err := c.order(ctx, term, http.MethodPost, c.Call, struct {
		To     string `json:"to"`
		Spoken bool   `json:"spoken_consent,omitempty"`
	}{c.To, c.Spoken})
	if err != nil || term.JSON {
		return err
	}
	_, err = fmt.Fprintf(term.Out, "ordered: %s goes on to %s; records show %s tells what becomes of it\n", c.Call, plain(c.To), c.Call)
	return err
}

// aniTransferCancel is callhall ani transfer cancel.
type aniTransferCancel struct {
	aniAccess
	Call string `arg:"" name:"call" help:"Your call: cl_…"`
}

// Run gives the transfer up.
func (c aniTransferCancel) Run(ctx context.Context, term *terminal) error {
	err := c.order(ctx, term, http.MethodDelete, c.Call, nil)
	if err != nil || term.JSON {
		return err
	}
	_, err = fmt.Fprintf(term.Out, "ordered: the transfer of %s is given up, and the caller stays with you\n", c.Call)
	return err
}

// order sends an order about a transfer. What becomes of it is in the call's timeline.
func (o aniAccess) order(ctx context.Context, term *terminal, method, id string, body any) error {
	if err := callsOf(id); err != nil {
		return err
	}
	server, err := o.open(term, agentRole)
	if err != nil {
		return err
	}
	answer, err := server.send(ctx, method, "calls/"+id+"/transfers", body)
	if err != nil {
		return err
	}
	return answer.Body.Close()
}
