package ani

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"callhall/call"
)

func paper(id call.ID, second string) Request {
	return Request{City: "a", Call: id, Purpose: PurposeLegalProcess, Recipient: RecipientPolice, Relation: RelationNamed, Actor: "privacy:eve",
		Case: "docket 12", To: "county court", grounds: grounds{process: ProcessPaper, ref: "prc_1", second: second}}
}

// What needs two persons goes to nobody on the word of one (O6), and the refusal is in the ledger with what it stopped.
func TestReleaseWantsASecondPerson(t *testing.T) {
	f := newInside(t, nil)
	id := f.arrive(t, "a", hiddenHeaders).Call
	f.book.take("a")
	for _, second := range []string{"", "privacy:eve"} {
		g, err := f.Release(t.Context(), paper(id, second))
		if !errors.Is(err, ErrSecondPerson) || !g.Denied() || g.Value.Reveal() != "" || g.Words != "" {
			t.Errorf("second %q: %+v, %v", second, g, err)
		}
		leaves := f.book.take("a")
		if got := rowsOf(t, leaves); !slices.Equal(got, []string{"D27 DENY"}) || leaves[0].Facts["stopped"] != string(StopPersons) {
			t.Errorf("second %q: %v", second, leaves)
		}
	}
	g, err := f.Release(t.Context(), paper(id, "privacy:max"))
	if err != nil || g.Value.Reveal() != "+12125550142" {
		t.Fatalf("%+v, %v", g, err)
	}
	leaf := f.book.take("a")[0]
	for name, want := range map[string]string{"row": "D27", "result": "FULL", "process": "paper", "ref": "prc_1", "second": "privacy:max",
		"case": "docket 12", "to": "county court", "release": string(g.Release), "status": "withheld", "source": "p-asserted-identity"} {
		if got := leaf.Facts[name]; got != want {
			t.Errorf("fact %s is %q, want %q", name, got, want)
		}
	}
	if len(leaf.Facts["token"]) != 32 || !strings.HasPrefix(leaf.Facts["token_key"], "legal-process@") {
		t.Errorf("%v", leaf.Facts)
	}
}

// Every way of stopping what the terms allow: nothing goes, and the leaf says what stopped it.
func TestWhatStopsARelease(t *testing.T) {
	full := func(id call.ID) Request {
		return Request{City: "a", Call: id, Purpose: PurposeTransfer, Recipient: RecipientCity, Actor: "engine"}
	}
	for name, c := range map[string]struct {
		change func(*Request)
		stop   Stop
		err    error
	}{
		"nothing":            {func(*Request) {}, "", nil},
		"an open link":       {func(r *Request) { r.open = true }, StopLink, nil},
		"a cap":              {func(r *Request) { r.halt = StopCap }, StopCap, nil},
		"a case as number":   {func(r *Request) { r.Case = "(212) 555-0142" }, StopCase, ErrCase},
		"a reason as number": {func(r *Request) { r.reason = "212.555.0142" }, StopCase, ErrCase},
		"a name as number":   {func(r *Request) { r.To = "+12125550142" }, StopCase, ErrCase},
	} {
		f := newInside(t, nil)
		id := f.arrive(t, "a", presentHeaders).Call
		f.book.take("a")
		r := full(id)
		c.change(&r)
		g, err := f.Release(t.Context(), r)
		if !errors.Is(err, c.err) || c.err == nil && err != nil || g.Stop != c.stop || g.Denied() != (c.stop != "") ||
			(g.Value.Reveal() == "") != (c.stop != "") {
			t.Errorf("%s: %+v, %v", name, g, err)
		}
		leaves := f.book.take("a")
		rowsOf(t, leaves)
		if len(leaves) != 1 || leaves[0].Facts["stopped"] != string(c.stop) {
			t.Errorf("%s: %v", name, leaves)
		}
		for _, fact := range []string{"case", "reason", "to"} {
			if value := leaves[0].Facts[fact]; value != "" && value != "refused" {
				t.Errorf("%s: fact %s is %q", name, fact, value)
			}
		}
		r.Purpose, r.Recipient = PurposeEmergency, RecipientPSAP
		if g, err := f.Release(t.Context(), r); err != nil || g.Value.Reveal() != "+12125550142" {
			t.Errorf("%s stopped an emergency: %+v, %v", name, g, err)
		}
	}
}

// A grant says for how long and for what it is, and a token is of its purpose.
func TestGrantsCarryTheirTerms(t *testing.T) {
	f := newInside(t, nil)
	id := f.arrive(t, "a", presentHeaders).Call
	g, err := f.Release(t.Context(), Request{City: "a", Call: id, Purpose: PurposeScreeningReview, Recipient: RecipientSupervisor, Actor: "supervisor:sam"})
	if err != nil || g.Decision != Token || len(g.Token) != 32 || g.Value.Reveal() != "" || !g.Until.Equal(f.now.Add(30*day)) {
		t.Errorf("%+v, %v", g, err)
	}
	if !strings.Contains(g.Words, string(id)) || !strings.Contains(g.Words, "until 2026-03-31T12:00:00Z") {
		t.Errorf("words %q", g.Words)
	}
	leaves := f.book.take("a")
	if leaf := leaves[len(leaves)-1]; leaf.Facts["token"] != g.Token || leaf.Facts["until"] != "2026-03-31T12:00:00Z" {
		t.Errorf("%v", leaf.Facts)
	}
	other, err := f.Release(t.Context(), Request{City: "a", Call: id, Purpose: PurposeSupport, Recipient: RecipientVendor, Actor: "vendor:vic"})
	if err != nil || other.Token == g.Token || len(other.Token) != 32 {
		t.Errorf("%+v, %v", other, err)
	}
	live, err := f.Release(t.Context(), Request{City: "a", Call: id, Purpose: PurposeLiveCall, Recipient: RecipientAgent, Relation: RelationHandling, Actor: "agent:ana"})
	if err != nil || !live.Until.IsZero() || !strings.Contains(live.Words, "as long as the call lasts") {
		t.Errorf("%+v, %v", live, err)
	}
	inside, err := f.Release(t.Context(), Request{City: "a", Call: id, Purpose: PurposeRouting, Recipient: RecipientEngine, Actor: "engine"})
	if err != nil || inside.Words != "" {
		t.Errorf("%+v, %v", inside, err)
	}
	named := paper(id, "privacy:max")
	named.until = f.now.Add(time.Hour)
	if g, err := f.Release(t.Context(), named); err != nil || !g.Until.Equal(named.until) {
		t.Errorf("%+v, %v", g, err)
	}
}

// Whom a law protects is found by nobody but 911.
func TestTheLawComesBeforeTheTerms(t *testing.T) {
	f := newInside(t, nil)
	f.desk = &stubDesk{protected: "12125550142", terms: ProfileNYC}
	id := f.arrive(t, "a", presentHeaders).Call
	for _, c := range []struct {
		to     Outgoing
		number string
	}{{Outgoing{To: PartyAgent}, ""}, {Outgoing{To: PartyCity, Trusted: true, Secured: true}, ""}, {Outgoing{To: PartyPSAP}, "+12125550142"}} {
		c.to.City, c.to.Call = "a", id
		shown, err := f.Egress(t.Context(), c.to)
		if err != nil || shown.Number.Reveal() != c.number || shown.Mask.Reveal() != "" {
			t.Errorf("%s: %+v, %v", c.to.To, shown, err)
		}
	}
}

// A live call is released without the store; one that is over needs it, and a store that is away is an error.
func TestALiveCallNeedsNoStore(t *testing.T) {
	f := newInside(t, nil)
	live := f.arrive(t, "a", presentHeaders).Call
	over := f.arrive(t, "a", presentHeaders).Call
	f.Over("a", over)
	ask := func(city call.CityID, id call.ID) (Grant, error) {
		return f.Release(t.Context(), Request{City: city, Call: id, Purpose: PurposeRouting, Recipient: RecipientEngine, Actor: "engine"})
	}
	f.mem.broken = errTestDisk
	f.Over("b", live) // is no word about this city's call
	if g, err := ask("a", live); err != nil || g.Value.Reveal() == "" {
		t.Errorf("live: %+v, %v", g, err)
	}
	if g, err := ask("a", over); !errors.Is(err, errTestDisk) || !g.Denied() {
		t.Errorf("over: %+v, %v", g, err)
	}
	f.mem.broken = nil
	if g, err := ask("b", live); err != nil || !g.Denied() {
		t.Errorf("through another city: %+v, %v", g, err)
	}
	if g, err := ask("a", over); err != nil || g.Value.Reveal() == "" {
		t.Errorf("from the store: %+v, %v", g, err)
	}
}
