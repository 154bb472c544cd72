package main

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"callhall/call"
	"callhall/ledger"
	ledgersql "callhall/ledger/sqlstore"
	"callhall/sqldb"
)

// Leaves are found behind more than a page of younger ones, by either fact, in their own city, and not before their time.
func TestWrittenFindsLeavesOfThatTime(t *testing.T) {
	t.Chdir(t.TempDir())
	db, err := sqldb.Open(t.Context(), "sealed.db", sqldb.Durable)
	must(t, err)
	store, err := ledgersql.Open(t.Context(), db)
	must(t, err)
	log, err := ledger.Open(t.Context(), store, ledger.KeyDir("keys"), ledger.WitnessDir("witness"), ledger.Config{})
	must(t, err)
	t.Cleanup(func() { must(t, log.Close()); must(t, db.Close()) })
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	add := func(city call.CityID, at time.Time, name, id string) {
		must(t, log.Append(t.Context(), city, call.Leaf{Kind: "test.act/1", At: at, Actor: "engine", Facts: map[string]string{name: id}}))
	}
	var adding sync.WaitGroup
	for i := range writtenPage + 5 {
		adding.Go(func() { add("a", noon.Add(-time.Hour), "release", fmt.Sprint("old", i)) })
	}
	adding.Wait()
	add("a", noon, "release", "rel_x")
	add("a", noon.Add(-time.Hour), "erasure", "ers_x") // spooled an hour ago
	add("a", noon, "other", "rel_y")
	add("b", noon, "release", "rel_y")
	for i := range writtenPage {
		adding.Go(func() { add("a", noon.Add(time.Hour), "release", fmt.Sprint("new", i)) })
	}
	adding.Wait()
	got, err := written(t.Context(), log, "a", noon, []string{"rel_x", "ers_x", "rel_y", "old0"})
	must(t, err)
	if slices.Sort(got); !slices.Contains(got, "rel_x") || !slices.Contains(got, "ers_x") || slices.Contains(got, "rel_y") {
		t.Errorf("found %v", got)
	}
	if got, err := written(t.Context(), log, "b", noon, []string{"rel_x"}); err != nil || len(got) != 0 {
		t.Errorf("in another city %v, %v", got, err)
	}
}
