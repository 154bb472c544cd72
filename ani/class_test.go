package ani

import (
	"errors"
	"slices"
	"testing"
	"time"

	"callhall/call"
)

// Where nobody is listed and nobody was dropped, nothing is compared: one leaf, for routing.
func TestNothingIsComparedWithoutALeaf(t *testing.T) {
	f := newInside(t, func(c *Config) {
		c.Areas = map[call.CityID]map[string]string{"a": {"212": "Manhattan"}}
	})
	f.desk = &stubDesk{}
	c := f.arrive(t, "a", hiddenHeaders)
	if c.Class != (call.CallerClass{Area: "Manhattan"}) {
		t.Errorf("%+v", c.Class)
	}
	if got := rowsOf(t, f.book.take("a")); !slices.Equal(got, []string{"D01 FULL"}) {
		t.Errorf("leaves %v", got)
	}
	if c := f.arrive(t, "b", presentHeaders); c.Class.Area != "" {
		t.Errorf("another city's names for areas: %+v", c.Class)
	}
	if c := f.arrive(t, "a", noHeaders); c.Class.Area != "" {
		t.Errorf("an area without a number: %+v", c.Class)
	}
}

func TestScreeningIsItsOwnDecision(t *testing.T) {
	f := newInside(t, nil)
	listed, _, err := f.token(t.Context(), "a", tokenUse(PurposeScreening), seal("12125550142"))
	if err != nil {
		t.Fatal(err)
	}
	f.desk = &stubDesk{list: map[string]time.Time{string(listed): f.now.Add(31 * day)}}
	other := Headers{Asserted: []string{"<tel:+12125550143>"}}
	for name, c := range map[string]struct {
		city     call.CityID
		from     Headers
		screened bool
		leaves   []string
	}{
		"listed":          {"a", presentHeaders, true, []string{"D01 FULL", "D15 FULL"}},
		"listed, private": {"a", hiddenHeaders, true, []string{"D01 FULL", "D15 FULL"}},
		"another":         {"a", other, false, []string{"D01 FULL", "D15 FULL"}},
		"no number":       {"a", noHeaders, false, []string{"D42 DENY"}},
		"another city":    {"b", presentHeaders, false, []string{"D01 FULL"}},
	} {
		if got := f.arrive(t, c.city, c.from); got.Class.Screened != c.screened {
			t.Errorf("%s: %+v", name, got.Class)
		}
		leaves := f.book.take(c.city)
		if got := rowsOf(t, leaves); !slices.Equal(got, c.leaves) {
			t.Errorf("%s: leaves %v, want %v", name, got, c.leaves)
		}
		for _, leaf := range leaves {
			if named := leaf.Facts["token"] != ""; leaf.Facts["row"] == "D15" && named != c.screened {
				t.Errorf("%s: the leaf of the comparison has a token: %v", name, named)
			}
		}
	}
	f.mem.reads = 0
	f.arrive(t, "a", presentHeaders)
	if f.mem.reads != 0 {
		t.Errorf("%d reads of the store for one call", f.mem.reads)
	}
	f.now = f.now.Truncate(day).Add(30*day - 1) // the token's key is an old one now
	if got := f.arrive(t, "a", presentHeaders); !got.Class.Screened {
		t.Error("not matched over the change of keys")
	}
}

// A dropped caller who calls again finds the place that was kept, once, within half an hour, in the same city.
func TestRedialFindsItsPlaceOnce(t *testing.T) {
	f := newInside(t, func(c *Config) { c.Cities = []call.CityID{"a", "b"} })
	since := f.now.Add(-7 * time.Minute)
	drop := func() call.ID {
		t.Helper()
		id := f.arrive(t, "a", hiddenHeaders).Call
		if err := f.Dropped(t.Context(), "a", id, since); err != nil {
			t.Fatal(err)
		}
		f.Over("a", id)
		return id
	}
	first := drop()
	if got := rowsOf(t, f.book.take("a")); !slices.Equal(got, []string{"D01 FULL", "D48 TOKEN"}) {
		t.Errorf("leaves of dropping %v", got)
	}
	if c := f.arrive(t, "b", presentHeaders); c.Class.Redial != "" {
		t.Error("found in another city")
	}
	if c := f.arrive(t, "a", Headers{Asserted: []string{"<tel:+12125550143>"}}); c.Class.Redial != "" {
		t.Error("another caller took the place")
	}
	f.book.take("a")
	c := f.arrive(t, "a", presentHeaders)
	if c.Class.Redial != first || !c.Class.Since.Equal(since) {
		t.Errorf("%+v, want %s", c.Class, first)
	}
	if got := rowsOf(t, f.book.take("a")); !slices.Equal(got, []string{"D01 FULL", "D48 TOKEN"}) {
		t.Errorf("leaves of the redial %v", got)
	}
	if err := f.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c := f.arrive(t, "a", presentHeaders); c.Class.Redial != "" {
		t.Error("found twice")
	}
	if got := rowsOf(t, f.book.take("a")); !slices.Equal(got, []string{"D01 FULL"}) {
		t.Errorf("leaves where nobody is remembered %v", got)
	}

	second := drop()
	f.open(t, func(c *Config) { c.Cities = []call.CityID{"a"} }) // a restart
	if err := f.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.now = f.now.Add(redialFor - 1)
	if c := f.arrive(t, "a", presentHeaders); c.Class.Redial != second {
		t.Errorf("after a restart: %+v", c.Class)
	}
	drop()
	f.now = f.now.Add(redialFor - time.Minute)
	another := f.arrive(t, "a", Headers{Asserted: []string{"<tel:+12125550143>"}}).Call
	if err := f.Dropped(t.Context(), "a", another, f.now); err != nil { // so that somebody is remembered
		t.Fatal(err)
	}
	f.now = f.now.Add(time.Minute)
	if c := f.arrive(t, "a", presentHeaders); c.Class.Redial != "" {
		t.Error("found after half an hour")
	}
}

// Two nodes that hear the same caller give the place once.
func TestRedialIsTakenByOneNode(t *testing.T) {
	f := newInside(t, func(c *Config) { c.Cities = []call.CityID{"a"} })
	id := f.arrive(t, "a", presentHeaders).Call
	if err := f.Dropped(t.Context(), "a", id, f.now); err != nil {
		t.Fatal(err)
	}
	second, err := NewVault(f.mem, f.book, f.keys, Config{Now: func() time.Time { return f.now }, Cities: []call.CityID{"a"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	one := f.arrive(t, "a", presentHeaders)
	two, err := second.Capture(t.Context(), f.incoming("a", presentHeaders))
	if err != nil || one.Class.Redial != id || two.Class.Redial != "" || !two.Class.Since.IsZero() {
		t.Errorf("%+v and %+v, %v", one.Class, two.Class, err)
	}
}

func TestDroppedWithoutNumberOrLedgerIsNotRemembered(t *testing.T) {
	f := newInside(t, nil)
	none := f.arrive(t, "a", noHeaders).Call
	f.book.take("a")
	if err := f.Dropped(t.Context(), "a", none, f.now); err != nil || len(f.book.take("a")) != 0 || f.dropped.any("a", f.now) {
		t.Errorf("without a number: %v", err)
	}
	id := f.arrive(t, "a", presentHeaders).Call
	f.book.broken = errTestDisk
	if err := f.Dropped(t.Context(), "a", id, f.now); !errors.Is(err, errTestDisk) || f.dropped.any("a", f.now) {
		t.Errorf("without a ledger: %v", err)
	}
}

// No class decides anything before its leaf is durable; the caller is served, and 911 gets the number.
func TestCaptureWithoutStoreOrLedger(t *testing.T) {
	f := newInside(t, func(c *Config) {
		c.Areas = map[call.CityID]map[string]string{"a": {"212": "Manhattan"}}
	})
	f.arrive(t, "a", presentHeaders) // the key of routing's tokens is in memory
	for name, breaks := range map[string]*error{"store": &f.mem.broken, "ledger": &f.book.broken} {
		*breaks = errTestDisk
		in := f.incoming("a", hiddenHeaders)
		c, err := f.Capture(t.Context(), in)
		if !errors.Is(err, errTestDisk) || c.Status != call.CallerWithheld || c.Class != (call.CallerClass{}) || c.Call != in.Call {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
		if f.live.find("a", in.Call) == nil {
			t.Errorf("%s: the call is not in memory", name)
		}
		*breaks = nil
		f.Over("a", in.Call)
	}
	if n := f.live.len(); n != 1 {
		t.Errorf("%d calls in memory", n)
	}
}
