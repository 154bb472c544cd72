package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"callhall/ani"
	"callhall/call"
	"callhall/cdr"
)

// handlings tells the privacy office who has to do with a call, from the engine while it goes on and from its record then.
// It is an ani.Calls. The switchboard is there from the first call on.
type handlings struct{ app *app }

// cutOff are the ends that neither side meant.
var cutOff = []call.End{call.EndCallerLost, call.EndMaxLength, call.EndShutdown, call.EndNodeLost, call.EndFailed}

// Handling implements ani.Calls.
func (h handlings) Handling(ctx context.Context, city call.CityID, id call.ID) (ani.Handling, error) {
	r, err := h.app.board.Look(ctx, city, id)
	live := err == nil
	if errors.Is(err, call.ErrUnknownCall) || errors.Is(err, call.ErrUnavailable) {
		r, err = h.app.cdr.Get(ctx, city, id)
	}
	if errors.Is(err, cdr.ErrNotFound) {
		err = fmt.Errorf("%w: %w", ani.ErrNotFound, err)
	}
	if err != nil {
		return ani.Handling{}, fmt.Errorf("who handles call %s: %w", id, err)
	}
	handling := ani.Handling{Queue: r.Queue, Trunk: r.Trunk, Live: live, Dropped: !live && slices.Contains(cutOff, r.End), EndedAt: r.EndedAt}
	if agent := onCall(r); agent != "" {
		handling.Agents = []call.AgentID{agent}
	}
	return handling, nil
}

// onCall is the agent who is with the caller, or was when the call ended: not one who has left it, or has handed it over.
// Only in an emergency the agent stays beside the partner.
func onCall(r call.Record) (agent call.AgentID) {
	for _, m := range r.Timeline {
		switch {
		case m.What == call.WhatJoined || m.What == call.WhatCalled:
			agent = m.Agent
		case m.What == call.WhatPutBack, m.What == call.WhatLeft && m.Agent != "":
			agent = ""
		case m.What == call.WhatTransferred && !strings.HasSuffix(m.Detail, "("+string(call.PartnerPSAP)+")"):
			agent = ""
		}
	}
	return agent
}
