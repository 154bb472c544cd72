package anitest

import (
	"bytes"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"callhall/ani"
	"callhall/call"
)

func entry(city call.CityID, kind ani.Kind, id string, at time.Time) ani.Entry {
	return ani.Entry{City: city, Kind: kind, ID: id, Version: 1, Call: "cl_of_" + call.ID(id), Token: []byte("\x00token of " + id), State: "open",
		At: at, DueAt: at.Add(time.Hour), Sealed: []byte("\xffsealed in " + string(city))}
}

func sameEntry(a, b ani.Entry) bool {
	bytesSame := bytes.Equal(a.Sealed, b.Sealed) && bytes.Equal(a.Token, b.Token) && (a.Token == nil) == (b.Token == nil)
	return bytesSame && a.At.Equal(b.At) && a.DueAt.Equal(b.DueAt) && a.City == b.City && a.Kind == b.Kind && a.ID == b.ID &&
		a.Version == b.Version && a.Call == b.Call && a.State == b.State
}

func entryIDs(entries []ani.Entry) (ids []string) {
	for _, e := range entries {
		ids = append(ids, string(e.Kind)+"/"+e.ID)
	}
	return ids
}

func wantEntries(t *testing.T, what string, got []ani.Entry, err error, want ...string) {
	t.Helper()
	must(t, err)
	if ids := entryIDs(got); !slices.Equal(ids, want) {
		t.Errorf("%s: %v, want %v", what, ids, want)
	}
}

func entryAddAndRead(t *testing.T, s ani.Store) {
	full, bare := entry("a", "k", "1", noon), entry("a", "k", "2", noon)
	bare.Call, bare.Token, bare.State = "", nil, ""
	for _, want := range []ani.Entry{full, bare} {
		must(t, s.Add(t.Context(), want))
		got, err := s.Entry(t.Context(), "a", "k", want.ID)
		must(t, err)
		if !sameEntry(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	again := full
	again.Sealed = []byte("another")
	if err := s.Add(t.Context(), again); !errors.Is(err, ani.ErrExists) {
		t.Errorf("added twice: %v", err)
	}
	if got, err := s.Entry(t.Context(), "a", "k", "1"); err != nil || !sameEntry(got, full) {
		t.Errorf("the second add changed the first: %+v, %v", got, err)
	}
	for _, at := range []struct {
		city call.CityID
		kind ani.Kind
		id   string
	}{{"b", "k", "1"}, {"a", "l", "1"}, {"a", "k", "3"}} {
		if _, err := s.Entry(t.Context(), at.city, at.kind, at.id); !errors.Is(err, ani.ErrNotFound) {
			t.Errorf("%v: %v", at, err)
		}
	}
	must(t, s.Add(t.Context(), entry("b", "k", "1", noon))) // another city's, of the same name
	must(t, s.Add(t.Context(), entry("a", "l", "1", noon)))
}

func entryReplace(t *testing.T, s ani.Store) {
	first, foreign := entry("a", "k", "1", noon), entry("b", "k", "1", noon)
	must(t, s.Add(t.Context(), first))
	must(t, s.Add(t.Context(), foreign))
	second := entry("a", "k", "1", noon.Add(time.Minute))
	second.Version, second.State, second.Call, second.Token, second.Sealed = 2, "closed", "cl_x", nil, []byte("new")
	must(t, s.Replace(t.Context(), second))
	if got, err := s.Entry(t.Context(), "a", "k", "1"); err != nil || !sameEntry(got, second) {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := s.Entry(t.Context(), "b", "k", "1"); err != nil || !sameEntry(got, foreign) {
		t.Errorf("another city's entry was changed: %+v, %v", got, err)
	}
	skipped, absent := second, entry("a", "k", "9", noon)
	skipped.Version, absent.Version = 4, 2
	for what, e := range map[string]ani.Entry{"the same version again": second, "a version too far": skipped, "one that is not there": absent} {
		if err := s.Replace(t.Context(), e); !errors.Is(err, ani.ErrConflict) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// entryRace lets many change one version at once: one of them wins.
func entryRace(t *testing.T, s ani.Store) {
	must(t, s.Add(t.Context(), entry("a", "k", "1", noon)))
	next := entry("a", "k", "1", noon)
	next.Version = 2
	errs := make([]error, 16)
	var wait sync.WaitGroup
	for i := range errs {
		wait.Go(func() { errs[i] = s.Replace(t.Context(), next) })
	}
	wait.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else if !errors.Is(err, ani.ErrConflict) {
			t.Error(err)
		}
	}
	if won != 1 {
		t.Errorf("%d changed the same version", won)
	}
}

func entryPages(t *testing.T, s ani.Store) {
	for i, id := range []string{"c", "a", "e", "b", "d"} { // two of the same time, two pairs around them
		must(t, s.Add(t.Context(), entry("a", "k", id, noon.Add(time.Duration(i/2)*time.Second))))
	}
	must(t, s.Add(t.Context(), entry("b", "k", "z", noon.Add(time.Hour))))
	must(t, s.Add(t.Context(), entry("a", "l", "z", noon.Add(time.Hour))))
	all, err := s.Entries(t.Context(), "a", "k", "", 9)
	wantEntries(t, "all", all, err, "k/d", "k/e", "k/b", "k/c", "k/a")
	page, err := s.Entries(t.Context(), "a", "k", "", 2)
	wantEntries(t, "first page", page, err, "k/d", "k/e")
	page, err = s.Entries(t.Context(), "a", "k", "e", 2)
	wantEntries(t, "second page", page, err, "k/b", "k/c")
	page, err = s.Entries(t.Context(), "a", "k", "a", 2)
	wantEntries(t, "after the last", page, err)
	if _, err := s.Entries(t.Context(), "a", "k", "gone", 2); !errors.Is(err, ani.ErrNotFound) {
		t.Errorf("below an entry that is not there: %v", err)
	}
}

func entriesOf(t *testing.T, s ani.Store) {
	for i, id := range []string{"2", "1", "3"} {
		e := entry("a", "k", id, noon.Add(time.Duration(i)*time.Second))
		e.Call = "cl_1"
		must(t, s.Add(t.Context(), e))
	}
	none := entry("a", "k", "4", noon)
	none.Call = ""
	for _, e := range []ani.Entry{none, entry("a", "k", "5", noon), entry("b", "k", "1", noon), entry("a", "l", "1", noon)} {
		must(t, s.Add(t.Context(), e))
	}
	got, err := s.EntriesOf(t.Context(), "a", "k", "cl_1")
	wantEntries(t, "of the call", got, err, "k/2", "k/1", "k/3")
	got, err = s.EntriesOf(t.Context(), "b", "k", "cl_1")
	wantEntries(t, "of the call in another city", got, err)
	got, err = s.EntriesOf(t.Context(), "a", "k", "")
	wantEntries(t, "of no call", got, err)
}

func entriesWith(t *testing.T, s ani.Store) {
	for i, token := range []string{"x", "y", "x", "z", ""} {
		e := entry("a", "k", string(rune('5'-i)), noon.Add(time.Duration(i)*time.Second))
		if e.Token = []byte(token); token == "" {
			e.Token = nil
		}
		must(t, s.Add(t.Context(), e))
	}
	foreign := entry("b", "k", "9", noon)
	foreign.Token = []byte("x")
	must(t, s.Add(t.Context(), foreign))
	for _, c := range []struct {
		tokens []string
		want   []string
	}{{[]string{"x"}, []string{"k/5", "k/3"}}, {[]string{"y", "x", "x"}, []string{"k/5", "k/4", "k/3"}}, {[]string{"w"}, nil}, {nil, nil}, {[]string{""}, nil}} {
		var tokens [][]byte
		for _, token := range c.tokens {
			tokens = append(tokens, []byte(token))
		}
		got, err := s.EntriesWith(t.Context(), "a", "k", tokens)
		wantEntries(t, "with tokens", got, err, c.want...)
	}
}

func entriesDue(t *testing.T, s ani.Store) {
	for id, due := range map[string]time.Time{"late": noon, "first": noon.Add(-time.Hour), "notyet": noon.Add(1)} {
		e := entry("a", "k", id, noon)
		e.DueAt = due
		must(t, s.Add(t.Context(), e))
	}
	second, foreign := entry("a", "l", "second", noon), entry("b", "k", "other", noon)
	second.DueAt, foreign.DueAt = noon.Add(-time.Minute), noon.Add(-time.Hour)
	must(t, s.Add(t.Context(), second))
	must(t, s.Add(t.Context(), foreign))
	must(t, s.Add(t.Context(), entry("c", "k", "young", noon)))
	got, err := s.EntriesDue(t.Context(), "a", noon, 9)
	wantEntries(t, "due", got, err, "k/first", "l/second", "k/late")
	got, err = s.EntriesDue(t.Context(), "a", noon, 1)
	wantEntries(t, "due, one", got, err, "k/first")
	list, err := s.RegisterCities(t.Context(), noon)
	must(t, err)
	if !slices.Equal(list, []call.CityID{"a", "b"}) {
		t.Errorf("cities with due entries: %v", list)
	}
}

func entriesErase(t *testing.T, s ani.Store) {
	for _, e := range []ani.Entry{entry("a", "k", "1", noon), entry("a", "k", "2", noon), entry("b", "k", "1", noon), entry("a", "l", "1", noon)} {
		must(t, s.Add(t.Context(), e))
	}
	must(t, s.EraseEntries(t.Context(), "a", "k", []string{"1", "none"}))
	if _, err := s.Entry(t.Context(), "a", "k", "1"); !errors.Is(err, ani.ErrNotFound) {
		t.Errorf("an erased entry: %v", err)
	}
	for _, left := range []ani.Entry{entry("a", "k", "2", noon), entry("b", "k", "1", noon), entry("a", "l", "1", noon)} {
		if _, err := s.Entry(t.Context(), left.City, left.Kind, left.ID); err != nil {
			t.Errorf("%s of %s went too: %v", left.ID, left.City, err)
		}
	}
	must(t, s.Add(t.Context(), entry("a", "k", "1", noon)))
}

func entriesEvery(t *testing.T, s ani.Store) {
	for _, e := range []ani.Entry{entry("a", "l", "1", noon), entry("a", "k", "2", noon), entry("a", "k", "1", noon), entry("b", "k", "3", noon)} {
		must(t, s.Add(t.Context(), e))
	}
	got, err := s.EveryEntry(t.Context(), "a", "", "", 2)
	wantEntries(t, "first page", got, err, "k/1", "k/2")
	got, err = s.EveryEntry(t.Context(), "a", "k", "2", 2)
	wantEntries(t, "second page", got, err, "l/1")
	got, err = s.EveryEntry(t.Context(), "a", "l", "1", 2)
	wantEntries(t, "after the last", got, err)
}
