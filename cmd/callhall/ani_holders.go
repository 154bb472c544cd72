package main

import "context"

// aniHolders is callhall ani holders: who is let in, as the server has it. callhall user list reads the data directory.
type aniHolders struct{ aniList }

// Run lists.
func (c aniHolders) Run(ctx context.Context, term *terminal) error {
	return c.list(ctx, term, "tokens", nil, []column{{"SINCE", "created_at"}, {"NAME", "name"}, {"ROLE", "role"}, {"AGENT", "agent"},
		{"UNTIL", "expires_at"}, {"TOKEN", "id"}})
}
