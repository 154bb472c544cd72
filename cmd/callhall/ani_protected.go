package main

import (
	"context"

	"callhall/ani"
)

// aniProtectedCmd is the register of subjects whom a law protects.
type aniProtectedCmd struct {
	List aniProtectedList `cmd:"" help:"List protections, newest first, without any number."`
	Add  aniProtectedAdd  `cmd:"" help:"Protect the callers from one number, at once. The number is asked for, and not shown."`
	Lift aniProtectedLift `cmd:"" help:"Lift a protection: the first person proposes it, another one lifts it."`
}

// protectedPath is the register of protected subjects, and protectedID how its ids begin.
const (
	protectedPath = "protected"
	protectedID   = "ptd"
)

// aniProtectedList is callhall ani protected list.
type aniProtectedList struct{ aniList }

// Run lists.
func (c aniProtectedList) Run(ctx context.Context, term *terminal) error {
	return c.list(ctx, term, protectedPath, nil, []column{{"ENTERED", "entered.at"}, {"ID", "id"}, {"STATE", "state"}, {"GROUND", "ground"},
		{"REFERENCE", "reference"}, {"UNTIL", "until"}, {"BY", "entered.actor"}, {"LIFTING", "lifting.actor"}})
}

// aniProtectedAdd is callhall ani protected add.
type aniProtectedAdd struct {
	aniAccess
	numberFlags
	Ground    ani.Ground `required:"" enum:"court-seal,address-confidentiality" help:"court-seal or address-confidentiality."`
	Reference string     `required:"" help:"The order or the certificate; at most six digits."`
	Until     deadline   `required:"" placeholder:"TIME" help:"Until when: 2027-01-31, or a time from now as 365d."`
}

// newProtection is a protection with the number as it was typed.
type newProtection struct {
	ani.NewProtection
	Number typed `json:"number"`
}

// Run protects.
func (c aniProtectedAdd) Run(ctx context.Context, term *terminal) error {
	protection := ani.NewProtection{Ground: c.Ground, Reference: c.Reference, Until: c.Until.UTC()}
	raw, err := c.enterNumber(ctx, term, protectedPath, c.numberFlags, func(n typed) any { return newProtection{protection, n} })
	if err != nil {
		return err
	}
	return writeEntryOf(term, raw)
}

// aniProtectedLift is callhall ani protected lift.
type aniProtectedLift struct{ aniEntry }

// Run proposes to lift, or lifts.
func (c aniProtectedLift) Run(ctx context.Context, term *terminal) error {
	return c.remove(ctx, term, protectedPath, protectedID)
}
