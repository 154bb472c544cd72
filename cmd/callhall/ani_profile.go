package main

import (
	"context"
	"encoding/json"
	"fmt"

	"callhall/ani"
)

// policyPath is the terms of the city, proposalsPath the register of what was proposed, and profileID how its ids begin.
const (
	policyPath    = "policy"
	proposalsPath = "policy/proposals"
	profileID     = "pfl"
)

// aniPolicyShow is callhall ani policy show.
type aniPolicyShow struct{ aniList }

// Run tells the terms in force, and below them the proposals.
func (c aniPolicyShow) Run(ctx context.Context, term *terminal) error {
	server, err := c.open(term, aniRole)
	if err != nil {
		return err
	}
	var raw json.RawMessage
	if err := server.getJSON(ctx, policyPath, nil, &raw); err != nil {
		return err
	}
	if err := writeEntryOf(term, raw); err != nil {
		return err
	}
	if !term.JSON {
		fmt.Fprintln(term.Out)
	}
	return c.list(ctx, term, proposalsPath, nil, []column{{"PROPOSED", "proposed.at"}, {"ID", "id"}, {"STATE", "state"}, {"PROFILE", "profile"},
		{"BY", "proposed.actor"}, {"SECOND", "second.actor"}})
}

// aniPolicyPropose is callhall ani policy propose.
type aniPolicyPropose struct {
	aniAccess
	Profile ani.Profile `arg:"" enum:"no-third-party,card,nyc-3.3" help:"no-third-party, card or nyc-3.3."`
}

// Run proposes.
func (c aniPolicyPropose) Run(ctx context.Context, term *terminal) error {
	return c.enter(ctx, term, aniRole, proposalsPath, struct {
		Profile ani.Profile `json:"profile"`
	}{c.Profile})
}

// aniPolicyApprove is callhall ani policy approve.
type aniPolicyApprove struct{ aniEntry }

// Run approves.
func (c aniPolicyApprove) Run(ctx context.Context, term *terminal) error {
	return c.act(ctx, term, proposalsPath, profileID, "approve")
}

// aniPolicyRefuse is callhall ani policy refuse.
type aniPolicyRefuse struct{ aniEntry }

// Run refuses.
func (c aniPolicyRefuse) Run(ctx context.Context, term *terminal) error {
	return c.act(ctx, term, proposalsPath, profileID, "refuse")
}
