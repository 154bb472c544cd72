package ani_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"callhall/ani"
	"callhall/call"
)

// Whatever one city does, another has nothing of it: every verb of the vault, tried across, on a real store.
func TestNoVerbReachesAcrossCities(t *testing.T) {
	f := newFixture(t)
	number, err := ani.ParseNumber("+1 212 555 0142")
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		id := f.capture(t, city, present)
		if rapid.Bool().Draw(rt, "over") {
			f.Over(city, id)
		}
		if rapid.Bool().Draw(rt, "dropped") {
			if err := f.Dropped(t.Context(), city, id, f.now); err != nil {
				rt.Fatal(err)
			}
		}
		f.Over(other, id) // is no word about this city's call
		f.book.take(city)
		r := ani.Request{City: other, Call: id, Actor: "x", Relation: rapid.SampledFrom(ani.Relations()).Draw(rt, "relation"),
			Purpose:   rapid.SampledFrom(ani.Purposes()).Draw(rt, "purpose"),
			Recipient: rapid.SampledFrom(ani.Recipients()).Draw(rt, "recipient")}
		if g, _ := f.Release(t.Context(), r); g.Value.Reveal() != "" || g.Token != "" || g.Decision != ani.Deny && g.Decision != ani.Aggregate {
			rt.Errorf("released: %+v", g)
		}
		to := rapid.SampledFrom([]ani.Party{ani.PartyAgent, ani.PartySupervisor, ani.PartyCity, ani.PartyPrivate, ani.PartyPSAP, ani.PartyInterpreter}).Draw(rt, "to")
		shown, err := f.Egress(t.Context(), ani.Outgoing{City: other, Call: id, To: to, Trusted: true, Secured: true, Spoken: true})
		if err != nil || shown.Number.Reveal() != "" || shown.Mask.Reveal() != "" || shown.Status != call.CallerUnavailable {
			rt.Errorf("shown: %+v, %v", shown, err)
		}
		if err := f.Dropped(t.Context(), other, id, f.now); err != nil {
			rt.Errorf("dropped: %v", err)
		}
		found, err := f.Search(t.Context(), ani.Query{City: other, Number: number, Actor: "privacy:eve", Case: "SR-7", For: ani.PurposeLegalProcess})
		if err != nil || len(found.Calls) != 0 {
			rt.Errorf("found: %+v, %v", found, err)
		}
		if value, err := f.Destination(t.Context(), other, "hdl_1", id, "agent:ana", "carrier-1"); !errors.Is(err, ani.ErrHandle) || value.Reveal() != "" {
			rt.Errorf("destination: %v", err)
		}
		elsewhere, err := f.Capture(t.Context(), incoming(other, call.NewID(), ani.Headers{Asserted: []string{"<tel:+12125550142>"}}))
		if err != nil || elsewhere.Class != (call.CallerClass{}) {
			rt.Errorf("class: %+v, %v", elsewhere.Class, err)
		}
		if leaves := f.book.take(city); len(leaves) != 0 {
			rt.Errorf("%d leaves in the city whose call it is", len(leaves))
		}
		g, err := f.Release(t.Context(), engine(city, id))
		if err != nil || g.Value.Reveal() != "+12125550142" {
			rt.Errorf("the city itself: %+v, %v", g, err)
		}
		if err := f.store.Erase(t.Context(), other, []call.ID{elsewhere.Call}); err != nil { // the next round finds nothing there
			rt.Fatal(err)
		}
		f.Over(other, elsewhere.Call)
	})
}

// Everything that the vault writes beside the rows is sealed too: no digits, no names, in any file, in any spelling.
func TestNothingPlainAtRestAfterEveryVerb(t *testing.T) {
	f := newFixture(t)
	for _, h := range []ani.Headers{present, {Asserted: present.Asserted, Privacy: []string{"id"}}} {
		id := f.capture(t, city, h)
		if err := f.Dropped(t.Context(), city, id, f.now.Add(-time.Minute)); err != nil {
			t.Fatal(err)
		}
		for _, to := range []ani.Party{ani.PartyAgent, ani.PartyCity, ani.PartyPSAP} {
			if _, err := f.Egress(t.Context(), ani.Outgoing{City: city, Call: id, To: to, Trusted: true, Secured: true}); err != nil {
				t.Fatal(err)
			}
		}
		f.capture(t, city, h)
	}
	leaves := f.book.take(city)
	if i := slices.IndexFunc(leaves, func(l call.Leaf) bool { return ani.CheckLeaf(l) != nil }); i >= 0 {
		t.Errorf("a leaf does not come out of the terms: %+v", leaves[i])
	}
	f.nothingPlain(t)
}
