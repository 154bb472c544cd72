// Package anitest is the contract that every ani.Store passes unchanged.
package anitest

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"callhall/ani"
	"callhall/call"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)

// TestStore runs the contract. open returns an empty store; what it needs closed, it registers with t.Cleanup.
func TestStore(t *testing.T, open func(*testing.T) ani.Store) {
	for name, f := range map[string]func(*testing.T, ani.Store){
		"put and get": putAndGet, "put once": putOnce, "cities": cities, "due": due, "rows": rows, "erase": erase,
		"entries, add and read": entryAddAndRead, "entries, replace": entryReplace, "entries, pages": entryPages, "entries, of a call": entriesOf,
		"entries, with tokens": entriesWith, "entries, due": entriesDue, "entries, erase": entriesErase, "entries, every one": entriesEvery, "entries, two at once": entryRace,
	} {
		t.Run(name, func(t *testing.T) { f(t, open(t)) })
	}
}

func row(city call.CityID, id call.ID, due time.Time) ani.VaultRow {
	return ani.VaultRow{City: city, Call: id, Sealed: []byte("\x00sealed of " + string(city)), Private: true, Status: call.CallerWithheld,
		Verstat: call.VerstatPassed, Source: ani.SourceAsserted, CapturedAt: noon, DueAt: due}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func same(a, b ani.VaultRow) bool {
	sealed := bytes.Equal(a.Sealed, b.Sealed)
	times := a.CapturedAt.Equal(b.CapturedAt) && a.DueAt.Equal(b.DueAt)
	return sealed && times && a.City == b.City && a.Call == b.Call && a.Private == b.Private && a.Status == b.Status &&
		a.Verstat == b.Verstat && a.Source == b.Source
}

func putAndGet(t *testing.T, s ani.Store) {
	want := row("a", "cl_1", noon.Add(time.Hour))
	must(t, s.Put(t.Context(), want))
	open := row("a", "cl_2", noon)
	open.Private = false
	must(t, s.Put(t.Context(), open))
	for _, want := range []ani.VaultRow{want, open} {
		got, err := s.Get(t.Context(), "a", want.Call)
		must(t, err)
		if !same(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	if _, err := s.Get(t.Context(), "a", "cl_3"); !errors.Is(err, ani.ErrNotFound) {
		t.Errorf("a call that is not there: %v", err)
	}
}

func putOnce(t *testing.T, s ani.Store) {
	must(t, s.Put(t.Context(), row("a", "cl_1", noon)))
	again := row("a", "cl_1", noon)
	again.Sealed = []byte("another")
	if err := s.Put(t.Context(), again); !errors.Is(err, ani.ErrExists) {
		t.Errorf("second put: %v", err)
	}
	got, err := s.Get(t.Context(), "a", "cl_1")
	must(t, err)
	if string(got.Sealed) == "another" {
		t.Error("the second put replaced the first")
	}
}

func cities(t *testing.T, s ani.Store) {
	must(t, s.Put(t.Context(), row("a", "cl_1", noon)))
	if _, err := s.Get(t.Context(), "b", "cl_1"); !errors.Is(err, ani.ErrNotFound) {
		t.Errorf("another city's call: %v", err)
	}
	must(t, s.Put(t.Context(), row("b", "cl_1", noon)))
	must(t, s.Put(t.Context(), row("c", "cl_1", noon.Add(time.Hour))))
	list, err := s.Cities(t.Context(), noon)
	must(t, err)
	if !slices.Equal(list, []call.CityID{"a", "b"}) {
		t.Errorf("cities with due rows: %v", list)
	}
	must(t, s.Erase(t.Context(), "b", []call.ID{"cl_1"}))
	got, err := s.Get(t.Context(), "a", "cl_1")
	must(t, err)
	if string(got.Sealed) != "\x00sealed of a" {
		t.Errorf("city a has %q", got.Sealed)
	}
}

func due(t *testing.T, s ani.Store) {
	must(t, s.Put(t.Context(), row("a", "cl_late", noon)))
	must(t, s.Put(t.Context(), row("a", "cl_first", noon.Add(-time.Hour))))
	must(t, s.Put(t.Context(), row("a", "cl_notyet", noon.Add(1))))
	must(t, s.Put(t.Context(), row("b", "cl_other", noon.Add(-2*time.Hour))))
	for limit, want := range map[int][]call.ID{1: {"cl_first"}, 9: {"cl_first", "cl_late"}} {
		rows, err := s.Due(t.Context(), "a", noon, limit)
		must(t, err)
		var got []call.ID
		for _, r := range rows {
			got = append(got, r.Call)
		}
		if !slices.Equal(got, want) {
			t.Errorf("due, at most %d: %v, want %v", limit, got, want)
		}
	}
}

func rows(t *testing.T, s ani.Store) {
	for i, id := range []call.ID{"cl_c", "cl_a", "cl_d", "cl_b"} {
		must(t, s.Put(t.Context(), row("a", id, noon.Add(time.Duration(i)))))
	}
	must(t, s.Put(t.Context(), row("b", "cl_b2", noon)))
	for after, want := range map[call.ID][]call.ID{"": {"cl_a", "cl_b"}, "cl_b": {"cl_c", "cl_d"}, "cl_bb": {"cl_c", "cl_d"}, "cl_d": nil} {
		page, err := s.Rows(t.Context(), "a", after, 2)
		must(t, err)
		var got []call.ID
		for _, r := range page {
			got = append(got, r.Call)
		}
		if !slices.Equal(got, want) {
			t.Errorf("rows after %q: %v, want %v", after, got, want)
		}
	}
}

func erase(t *testing.T, s ani.Store) {
	must(t, s.Put(t.Context(), row("a", "cl_1", noon)))
	must(t, s.Put(t.Context(), row("a", "cl_2", noon)))
	must(t, s.Erase(t.Context(), "a", []call.ID{"cl_1", "cl_none"}))
	if _, err := s.Get(t.Context(), "a", "cl_1"); !errors.Is(err, ani.ErrNotFound) {
		t.Errorf("an erased call: %v", err)
	}
	_, err := s.Get(t.Context(), "a", "cl_2")
	must(t, err)
}
