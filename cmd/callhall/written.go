package main

import (
	"context"
	"fmt"
	"time"

	"callhall/call"
	"callhall/ledger"
)

// writtenPage is how many leaves are looked at together, and writtenSlack how far the times of leaves may be out of the
// order in which they were appended.
const (
	writtenPage  = 1000
	writtenSlack = time.Minute
)

// written finds out which leaves, by their fact "release", "erasure" or "batch", were appended since then. It reads from the end
// back to a page on which every leaf is older. A leaf that was spooled keeps its own time, which is why one alone does not
// end the search.
func written(ctx context.Context, l *ledger.Ledger, city call.CityID, since time.Time, ids []string) (there []string, err error) {
	size, err := l.Size(ctx, city)
	if err != nil {
		return nil, fmt.Errorf("look for leaves of %s: %w", city, err)
	}
	wanted := make(map[string]bool, len(ids))
	for _, id := range ids {
		wanted[id] = true
	}
	for end := size; end > 0; {
		from := max(end-writtenPage, 0)
		page, _, err := l.List(ctx, city, from, int(end-from))
		if err != nil {
			return nil, fmt.Errorf("look for leaves of %s: %w", city, err)
		}
		older := true
		for _, e := range page {
			older = older && e.Leaf.At.Before(since.Add(-writtenSlack))
			for _, name := range []string{"release", "erasure", "batch"} {
				if id := e.Leaf.Facts[name]; wanted[id] {
					there = append(there, id)
				}
			}
		}
		if older {
			break
		}
		end = from
	}
	return there, nil
}
