package main

import (
	"context"
	"fmt"
	"slices"

	"callhall/call"
	"callhall/console"
	"callhall/ledger"
)

var _ console.Book = leaves{}

// Append implements console.Book.
func (l leaves) Append(ctx context.Context, city call.CityID, leaf call.Leaf) error {
	return l.ledger.Append(ctx, city, leaf)
}

// Place implements console.Book: how many leaves the city's newest log has, and its name.
func (l leaves) Place(ctx context.Context, city call.CityID) (string, error) {
	logs := l.ledger.Logs(city)
	size, err := l.ledger.Size(ctx, city)
	if err != nil || len(logs) == 0 {
		return fmt.Sprintf("%d %s", size, city), err
	}
	return fmt.Sprintf("%d %s", size, logs[len(logs)-1]), nil
}

// Holds implements console.Book. The log of the place may have been succeeded since: those after it are read whole.
func (l leaves) Holds(ctx context.Context, city call.CityID, place, kind, name, value string) (bool, error) {
	var from int64
	var log ledger.LogID
	if _, err := fmt.Sscanf(place, "%d %s", &from, &log); err != nil {
		return false, fmt.Errorf("place %q in the ledger of %s: %w", place, city, err)
	}
	logs := l.ledger.Logs(city)
	for _, log := range logs[max(0, slices.Index(logs, log)):] {
		there, err := l.logHolds(ctx, log, from, func(leaf call.Leaf) bool { return leaf.Kind == kind && leaf.Facts[name] == value })
		if there || err != nil {
			return there, err
		}
		from = 0
	}
	return false, nil
}

// logHolds looks through one log from an index on.
func (l leaves) logHolds(ctx context.Context, log ledger.LogID, from int64, fits func(call.Leaf) bool) (bool, error) {
	for {
		entries, next, err := l.ledger.ListLog(ctx, log, from, 1000)
		if err != nil {
			return false, err
		}
		if slices.ContainsFunc(entries, func(e ledger.Entry) bool { return fits(e.Leaf) }) {
			return true, nil
		}
		if len(entries) == 0 || next <= from {
			return false, nil
		}
		from = next
	}
}
