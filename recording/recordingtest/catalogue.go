package recordingtest

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"callhall/call"
	"callhall/recording"
)

// TestCatalogue runs the contract of recording.Catalogue. open gives an empty one.
func TestCatalogue(t *testing.T, open func(*testing.T) recording.Catalogue) {
	t.Run("a recording's life", func(t *testing.T) { life(t, open(t)) })
	t.Run("nothing goes back", func(t *testing.T) { forward(t, open(t)) })
	t.Run("one city does not see another's", func(t *testing.T) { cities(t, open(t)) })
	t.Run("due in order, keys and bytes", func(t *testing.T) { due(t, open(t)) })
	t.Run("counts of what is due", func(t *testing.T) { dueCounts(t, open(t)) })
	t.Run("found by call", func(t *testing.T) { ofCall(t, open(t)) })
	t.Run("counted by place", func(t *testing.T) { places(t, open(t)) })
	t.Run("unfinished by node", func(t *testing.T) { unfinished(t, open(t)) })
}

// began is when the recordings of these tests begin.
var began = time.Date(2026, 3, 1, 9, 30, 0, 123_456_000, time.UTC)

func opened(city call.CityID) recording.Entry {
	return recording.Entry{City: city, ID: call.NewRecordingID(), Call: call.NewID(), Node: "n1", State: recording.StateOpen,
		StartedAt: began, Notice: call.Notice{Prompt: "notice", Language: "es", SHA256: "ab12", HeardAt: began.Add(-time.Second)}}
}

func sealed(e recording.Entry, ended time.Time) recording.Entry {
	e.State = recording.StateSealed
	e.EndedAt, e.DueAt = ended, ended.Add(recording.Retention)
	e.Samples, e.Wrapped = 123_456, []byte("sixty bytes of a wrapped key")
	return e
}

// must fails the test on err.
func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, c recording.Catalogue, e recording.Entry) {
	t.Helper()
	got, err := c.Get(t.Context(), e.City, e.ID)
	must(t, err)
	if diff := cmp.Diff(e, got); diff != "" {
		t.Errorf("entry (-want +got):\n%s", diff)
	}
}

func life(t *testing.T, c recording.Catalogue) {
	ctx, e := t.Context(), opened("aspen")
	e = sealed(e, began.Add(time.Minute))
	must(t, c.Seal(ctx, e))
	want(t, c, e)
	must(t, c.Store(ctx, e.City, e.ID, "dir:/one", 999))
	e.State, e.Size, e.Place = recording.StateStored, 999, "dir:/one"
	want(t, c, e)
	must(t, c.DestroyKey(ctx, e.City, e.ID, e.DueAt))
	must(t, c.DestroyKey(ctx, e.City, e.ID, e.DueAt.Add(time.Hour))) // the first time stands
	e.Wrapped, e.KeyDestroyedAt = nil, e.DueAt
	want(t, c, e)
	must(t, c.Bury(ctx, e.City, e.ID, e.DueAt.Add(time.Second), "cert_1"))
	must(t, c.Bury(ctx, e.City, e.ID, e.DueAt.Add(time.Hour), "cert_2"))
	e.State, e.ErasedAt, e.Certificate = recording.StateErased, e.DueAt.Add(time.Second), "cert_1"
	want(t, c, e)
	found, err := c.Find(ctx, e.ID)
	if err != nil || found.City != "aspen" {
		t.Errorf("find: %+v, %v", found, err)
	}
}

func forward(t *testing.T, c recording.Catalogue) {
	ctx := t.Context()
	e := sealed(opened("aspen"), began.Add(time.Minute))
	must(t, c.Seal(ctx, e))
	later := e
	later.DueAt, later.Wrapped = e.DueAt.Add(time.Hour), []byte("another")
	must(t, c.Seal(ctx, later)) // the due time is fixed once
	want(t, c, e)
	must(t, c.DestroyKey(ctx, e.City, e.ID, e.DueAt))
	if err := c.Store(ctx, e.City, e.ID, "dir:/one", 1); !errors.Is(err, recording.ErrErased) {
		t.Errorf("store without a key: %v", err)
	}
	must(t, c.Bury(ctx, e.City, e.ID, e.DueAt, "cert"))
	if err := c.Seal(ctx, e); !errors.Is(err, recording.ErrErased) {
		t.Errorf("seal of the buried: %v", err)
	}
	if err := c.Store(ctx, e.City, e.ID, "dir:/one", 1); !errors.Is(err, recording.ErrErased) {
		t.Errorf("store of the buried: %v", err)
	}
	got, err := c.Get(ctx, e.City, e.ID)
	if err != nil || got.State != recording.StateErased || got.Wrapped != nil {
		t.Errorf("%+v, %v", got, err)
	}
}

func cities(t *testing.T, c recording.Catalogue) {
	ctx := t.Context()
	e := sealed(opened("aspen"), began)
	must(t, c.Seal(ctx, e))
	if _, err := c.Get(ctx, "helena", e.ID); !errors.Is(err, recording.ErrNotFound) {
		t.Errorf("get: %v", err)
	}
	if _, err := c.Find(ctx, call.NewRecordingID()); !errors.Is(err, recording.ErrNotFound) {
		t.Errorf("find: %v", err)
	}
	other := e
	other.City, other.Wrapped = "helena", []byte("theirs")
	for what, err := range map[string]error{
		"seal":    c.Seal(ctx, other),
		"store":   c.Store(ctx, "helena", e.ID, "dir:/one", 1),
		"destroy": c.DestroyKey(ctx, "helena", e.ID, began),
		"bury":    c.Bury(ctx, "helena", e.ID, began, ""),
	} {
		if !errors.Is(err, recording.ErrNotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
	want(t, c, e)
}

func due(t *testing.T, c recording.Catalogue) {
	ctx := t.Context()
	var entries []recording.Entry
	for i := range 6 {
		e := sealed(opened("aspen"), began.Add(time.Duration(i)*time.Microsecond))
		must(t, c.Seal(ctx, e))
		entries = append(entries, e)
	}
	must(t, c.Seal(ctx, sealed(opened("helena"), began.Add(-time.Hour)))) // another city's, longer due than all of them
	must(t, c.Store(ctx, "aspen", entries[5].ID, "dir:/one", 1))
	for _, i := range []int{0, 3, 5} {
		must(t, c.DestroyKey(ctx, "aspen", entries[i].ID, entries[i].DueAt))
	}
	must(t, c.Bury(ctx, "aspen", entries[1].ID, entries[1].DueAt, ""))
	for _, q := range []struct {
		at          int // due time of that entry
		limit       int
		keys, bytes []int
		one         []int // bytes in dir:/one
	}{
		{0, 10, nil, []int{0}, nil},
		{2, 10, []int{2}, []int{0}, nil},
		{5, 10, []int{2, 4}, []int{0, 3}, []int{5}},
		{5, 1, []int{2}, []int{0}, []int{5}},
	} {
		at := entries[q.at].DueAt
		keys, err := c.DueKeys(ctx, "aspen", at, q.limit)
		must(t, err)
		bytes, err := c.DueBytes(ctx, "aspen", "", at, q.limit)
		must(t, err)
		one, err := c.DueBytes(ctx, "aspen", "dir:/one", at, q.limit)
		must(t, err)
		for what, pair := range map[string][2][]call.RecordingID{"keys": {ids(keys), pick(entries, q.keys)},
			"bytes": {ids(bytes), pick(entries, q.bytes)}, "bytes in a place": {ids(one), pick(entries, q.one)}} {
			if !slices.Equal(pair[0], pair[1]) {
				t.Errorf("%s due with entry %d, %d at most: %d entries, want %+v", what, q.at, q.limit, len(pair[0]), q)
			}
		}
	}
	early, err := c.DueKeys(ctx, "aspen", entries[0].DueAt.Add(-time.Microsecond), 10)
	if err != nil || len(early) != 0 {
		t.Errorf("due before due: %d, %v", len(early), err)
	}
}

func ids(entries []recording.Entry) (ids []call.RecordingID) {
	for _, e := range entries {
		ids = append(ids, e.ID)
	}
	return ids
}

func pick(entries []recording.Entry, which []int) (picked []call.RecordingID) {
	for _, i := range which {
		picked = append(picked, entries[i].ID)
	}
	return picked
}

func dueCounts(t *testing.T, c recording.Catalogue) {
	ctx := t.Context()
	aspen := sealed(opened("aspen"), began.Add(time.Second))
	early, late, gone := sealed(opened("helena"), began), sealed(opened("helena"), began.Add(time.Minute)), sealed(opened("helena"), began)
	for _, e := range []recording.Entry{aspen, early, late, gone} {
		must(t, c.Seal(ctx, e))
	}
	must(t, c.Store(ctx, aspen.City, aspen.ID, "dir:/one", 1))
	must(t, c.DestroyKey(ctx, early.City, early.ID, early.DueAt)) // its bytes are still due
	must(t, c.Bury(ctx, gone.City, gone.ID, gone.DueAt, ""))
	for _, q := range []struct {
		at   time.Time
		want []recording.DueCount
	}{
		{early.DueAt.Add(-time.Microsecond), nil},
		{early.DueAt, []recording.DueCount{{City: "helena", Count: 1, Oldest: early.DueAt}}},
		{late.DueAt, []recording.DueCount{{City: "aspen", Place: "dir:/one", Count: 1, Oldest: aspen.DueAt},
			{City: "helena", Count: 2, Oldest: early.DueAt}}},
	} {
		got, err := c.DueCounts(ctx, q.at)
		must(t, err)
		slices.SortFunc(got, func(a, b recording.DueCount) int { return strings.Compare(string(a.City), string(b.City)) })
		if diff := cmp.Diff(q.want, got); diff != "" {
			t.Errorf("due at %v (-want +got):\n%s", q.at, diff)
		}
	}
}

func ofCall(t *testing.T, c recording.Catalogue) {
	ctx := t.Context()
	second := sealed(opened("aspen"), began.Add(time.Hour))
	second.StartedAt = began.Add(time.Minute)
	first, others := sealed(opened("aspen"), began.Add(time.Second)), sealed(opened("aspen"), began)
	first.Call = second.Call
	for _, e := range []recording.Entry{second, first, others} {
		must(t, c.Seal(ctx, e))
	}
	got, err := c.OfCall(ctx, "aspen", first.Call)
	must(t, err)
	if diff := cmp.Diff([]recording.Entry{first, second}, got); diff != "" {
		t.Errorf("of one call (-want +got):\n%s", diff)
	}
	if got, err := c.OfCall(ctx, "helena", first.Call); err != nil || len(got) != 0 {
		t.Errorf("for another city: %+v, %v", got, err)
	}
}

func places(t *testing.T, c recording.Catalogue) {
	ctx := t.Context()
	must(t, c.Seal(ctx, sealed(opened("aspen"), began))) // in no store yet
	for i, place := range []string{"dir:/one", "dir:/one", "dir:/two", "dir:/two"} {
		e := sealed(opened(call.CityID([]string{"aspen", "aspen", "aspen", "helena"}[i])), began)
		must(t, c.Seal(ctx, e))
		must(t, c.Store(ctx, e.City, e.ID, place, 1))
	}
	gone := sealed(opened("aspen"), began)
	must(t, c.Seal(ctx, gone))
	must(t, c.Store(ctx, gone.City, gone.ID, "dir:/one", 1))
	must(t, c.Bury(ctx, gone.City, gone.ID, gone.DueAt, "cert"))
	counts, err := c.Places(ctx)
	must(t, err)
	got := map[recording.PlaceCount]bool{}
	for _, n := range counts {
		got[n] = true
	}
	want := map[recording.PlaceCount]bool{{City: "aspen", Place: "dir:/one", Count: 2}: true,
		{City: "aspen", Place: "dir:/two", Count: 1}: true, {City: "helena", Place: "dir:/two", Count: 1}: true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("places (-want +got):\n%s", diff)
	}
}

func unfinished(t *testing.T, c recording.Catalogue) {
	ctx := t.Context()
	here, stored, elsewhere := sealed(opened("helena"), began), sealed(opened("aspen"), began), sealed(opened("aspen"), began)
	elsewhere.Node = "n2"
	for _, e := range []recording.Entry{here, stored, elsewhere} {
		must(t, c.Seal(ctx, e))
	}
	must(t, c.Store(ctx, stored.City, stored.ID, "dir:/one", 1))
	got, err := c.Unfinished(ctx, "n1")
	must(t, err)
	if len(got) != 1 || got[0].ID != here.ID {
		t.Errorf("%d entries: %v", len(got), got)
	}
}
