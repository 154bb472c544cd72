package ani

import (
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"callhall/call"
)

func TestSearch(t *testing.T) {
	f := newInside(t, nil)
	var mine []call.ID
	for i := range 3 {
		f.now = f.now.Add(time.Minute)
		h := presentHeaders
		if i == 1 {
			h = hiddenHeaders
		}
		mine = append([]call.ID{f.arrive(t, "a", h).Call}, mine...)
		f.arrive(t, "a", Headers{Asserted: []string{"<tel:+12125550143>"}})
		f.arrive(t, "a", noHeaders)
		f.arrive(t, "b", presentHeaders)
	}
	f.book.take("a")
	whole := seal("12125550142")
	ask := func(change func(*Query)) Query {
		q := Query{City: "a", Number: whole, Actor: "privacy:eve", Case: "SR-7", For: PurposeSubjectRights}
		if change != nil {
			change(&q)
		}
		return q
	}
	for name, c := range map[string]struct {
		q      Query
		calls  []call.ID
		leaves []string
		err    error
	}{
		"whole":            {ask(nil), mine, []string{"D35 MASK"}, nil},
		"nobody's":         {ask(func(q *Query) { q.Number = seal("13035550199") }), nil, []string{"D35 MASK"}, nil},
		"part of a number": {ask(func(q *Query) { q.Number = Number{} }), nil, []string{"D36 DENY"}, nil},
		"no case":          {ask(func(q *Query) { q.Case = "" }), nil, []string{"D36 DENY"}, nil},
		"no purpose":       {ask(func(q *Query) { q.For = "" }), nil, []string{"D36 DENY"}, nil},
		"a look-up":        {ask(func(q *Query) { q.For = PurposeLookup }), nil, []string{"D36 DENY"}, nil},
		"case a number":    {ask(func(q *Query) { q.Case = "212-555-0142" }), nil, []string{"D35 DENY"}, ErrCase},
	} {
		got, err := f.Search(t.Context(), c.q)
		if !errors.Is(err, c.err) || c.err == nil && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var calls []call.ID
		for _, found := range got.Calls {
			calls = append(calls, found.Call)
			if found.Mask.Reveal() != "+1 212 ***-**42" {
				t.Errorf("%s: shows %q", name, found.Mask.Reveal())
			}
		}
		if !slices.Equal(calls, c.calls) {
			t.Errorf("%s: %v, want %v", name, calls, c.calls)
		}
		leaves := f.book.take("a")
		if rows := rowsOf(t, leaves); !slices.Equal(rows, c.leaves) {
			t.Errorf("%s: leaves %v", name, rows)
		}
		if row := leaves[0].Facts["row"]; (row == "D35") != (leaves[0].Facts["token"] != "") || (c.leaves[0] == "D35 MASK") != (leaves[0].Facts["found_count"] != "") {
			t.Errorf("%s: facts %v", name, leaves[0].Facts)
		}
	}
}

func TestSearchWithoutStoreOrLedgerFindsNothing(t *testing.T) {
	f := newInside(t, nil)
	f.arrive(t, "a", presentHeaders)
	q := Query{City: "a", Number: seal("12125550142"), Actor: "privacy:eve", Case: "SR-7", For: PurposeLegalProcess}
	for name, breaks := range map[string]*error{"store": &f.mem.broken, "ledger": &f.book.broken} {
		*breaks = errTestDisk
		got, err := f.Search(t.Context(), q)
		if !errors.Is(err, errTestDisk) || len(got.Calls) != 0 || got.Decision != Deny {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		*breaks = nil
	}
	f.now = f.now.Add(KeepFor) // due, and not erased yet
	if got, err := f.Search(t.Context(), q); err != nil || len(got.Calls) != 0 {
		t.Errorf("past its due time: %+v, %v", got, err)
	}
}

func TestSearchShowsTheNewestWhereThereAreTooMany(t *testing.T) {
	f := newInside(t, nil)
	for range searchPage + 3 {
		f.now = f.now.Add(time.Second)
		f.arrive(t, "a", presentHeaders)
	}
	got, err := f.Search(t.Context(), Query{City: "a", Number: seal("12125550142"), Actor: "privacy:eve", Case: "SR-7", For: PurposeLegalProcess})
	if err != nil || len(got.Calls) != maxFound || !got.More || !got.Calls[0].At.Equal(f.now) {
		t.Errorf("%d calls, %v, %v", len(got.Calls), got.More, err)
	}
}

// Searching tells nobody whom the law protects: the answer is that of a number that never called, and only the leaf says why.
func TestSearchDoesNotTellWhoIsProtected(t *testing.T) {
	f := newInside(t, nil)
	f.arrive(t, "a", presentHeaders)
	ask := func(digits string) Found {
		t.Helper()
		got, err := f.Search(t.Context(), Query{City: "a", Number: seal(digits), Actor: "privacy:eve", Case: "SR-7", For: PurposeLegalProcess})
		if err != nil {
			t.Fatal(err)
		}
		got.Release = ""
		return got
	}
	nobody := ask("13035550199")
	f.desk = &stubDesk{protected: "12125550142"}
	f.book.take("a")
	if got := ask("12125550142"); !reflect.DeepEqual(got, nobody) {
		t.Errorf("a protected caller: %+v, nobody: %+v", got, nobody)
	}
	if rows := rowsOf(t, f.book.take("a")); !slices.Equal(rows, []string{"LAW DENY"}) {
		t.Errorf("leaves %v", rows)
	}
}
