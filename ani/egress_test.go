package ani

import (
	"errors"
	"slices"
	"sync"
	"testing"

	"callhall/call"
)

// What each leg may show: one row for each kind of party, wish, carrier and way, with the leaves that it leaves.
func TestEgress(t *testing.T) {
	const number, mask = "+12125550142", "+1 212 ***-**42"
	for name, c := range map[string]struct {
		from      Headers
		to        Outgoing
		terms     Profile
		number    string
		mask      string
		privacy   []string
		anonymous bool
		leaves    []string
	}{
		"agent":                       {from: presentHeaders, to: Outgoing{To: PartyAgent, Secured: true}, mask: mask, anonymous: true, leaves: []string{"D08 MASK"}},
		"agent, plain link":           {from: presentHeaders, to: Outgoing{To: PartyAgent}, mask: mask, anonymous: true, leaves: []string{"D08 MASK"}},
		"agent, private caller":       {from: hiddenHeaders, to: Outgoing{To: PartyAgent, Secured: true}, anonymous: true, leaves: []string{"D47 DENY"}},
		"agent, no number":            {from: noHeaders, to: Outgoing{To: PartyAgent, Secured: true}, anonymous: true, leaves: []string{"D42 DENY"}},
		"supervisor":                  {from: presentHeaders, to: Outgoing{To: PartySupervisor, Secured: true}, anonymous: true, leaves: []string{"D44 DENY"}},
		"interpreter":                 {from: presentHeaders, to: Outgoing{To: PartyInterpreter, Trusted: true, Secured: true, Spoken: true}, anonymous: true, leaves: []string{"D44 DENY"}},
		"nobody we know":              {from: presentHeaders, to: Outgoing{To: "friend", Trusted: true, Secured: true, Spoken: true}, anonymous: true, leaves: []string{"D44 DENY"}},
		"city":                        {from: presentHeaders, to: Outgoing{To: PartyCity, Trusted: true, Secured: true}, number: number, leaves: []string{"D02 FULL", "D12 FULL"}},
		"city by a stranger":          {from: presentHeaders, to: Outgoing{To: PartyCity, Secured: true}, anonymous: true, leaves: []string{"D04 DENY", "D12 DENY"}},
		"city, plain link":            {from: presentHeaders, to: Outgoing{To: PartyCity, Trusted: true}, anonymous: true, leaves: []string{"D12 DENY"}},
		"city, private":               {from: hiddenHeaders, to: Outgoing{To: PartyCity, Trusted: true, Secured: true}, number: number, privacy: []string{"critical", "id"}, anonymous: true, leaves: []string{"D03 FULL", "D13 DENY"}},
		"city, private, by stranger":  {from: hiddenHeaders, to: Outgoing{To: PartyCity, Secured: true}, anonymous: true, leaves: []string{"D04 DENY", "D13 DENY"}},
		"city, private, plain link":   {from: hiddenHeaders, to: Outgoing{To: PartyCity, Trusted: true}, anonymous: true, leaves: []string{"D03 DENY", "D13 DENY"}},
		"city, no number":             {from: noHeaders, to: Outgoing{To: PartyCity, Trusted: true, Secured: true}, anonymous: true, leaves: []string{"D42 DENY"}},
		"utility, spoken":             {from: presentHeaders, to: Outgoing{To: PartyPrivate, Trusted: true, Secured: true, Spoken: true}, number: number, leaves: []string{"D02 FULL", "D14 FULL"}},
		"utility, not asked":          {from: presentHeaders, to: Outgoing{To: PartyPrivate, Trusted: true, Secured: true}, anonymous: true, leaves: []string{"D47 DENY"}},
		"utility, private":            {from: hiddenHeaders, to: Outgoing{To: PartyPrivate, Trusted: true, Secured: true, Spoken: true}, number: number, privacy: []string{"critical", "id"}, anonymous: true, leaves: []string{"D03 FULL", "D13 DENY"}},
		"utility, private, not asked": {from: hiddenHeaders, to: Outgoing{To: PartyPrivate, Trusted: true, Secured: true}, anonymous: true, leaves: []string{"D13 DENY"}},
		"utility, Helena":             {from: presentHeaders, to: Outgoing{To: PartyPrivate, Trusted: true, Secured: true, Spoken: true}, terms: ProfileNoThirdParty, anonymous: true, leaves: []string{"PROFILE DENY"}},
		"911":                         {from: presentHeaders, to: Outgoing{To: PartyPSAP}, number: number, leaves: []string{"D25 FULL"}},
		"911, private":                {from: hiddenHeaders, to: Outgoing{To: PartyPSAP}, number: number, privacy: []string{"critical", "id"}, anonymous: true, leaves: []string{"D25 FULL"}},
		"911, Helena":                 {from: presentHeaders, to: Outgoing{To: PartyPSAP}, terms: ProfileNoThirdParty, number: number, leaves: []string{"D25 FULL"}},
	} {
		f := newInside(t, nil)
		f.desk = &stubDesk{terms: c.terms, said: "cns_word"}
		o := c.to
		o.City, o.Call, o.By = "a", f.arrive(t, "a", c.from).Call, "agent:ana"
		f.book.take("a")
		shown, err := f.Egress(t.Context(), o)
		if err != nil {
			t.Fatal(name, err)
		}
		if got := shown.Number.Reveal(); got != c.number {
			t.Errorf("%s: number %q, want %q", name, got, c.number)
		}
		if got := shown.Mask.Reveal(); got != c.mask {
			t.Errorf("%s: mask %q, want %q", name, got, c.mask)
		}
		if !slices.Equal(shown.Privacy, c.privacy) || shown.Anonymous != c.anonymous || shown.Verified {
			t.Errorf("%s: %+v", name, shown)
		}
		if got := rowsOf(t, f.book.take("a")); !slices.Equal(got, c.leaves) {
			t.Errorf("%s: leaves %v, want %v", name, got, c.leaves)
		}
	}
}

// To ask for privacy never has more sent than to ask for nothing: on every way, to everybody but 911.
func TestPrivacyNeverWidensALeg(t *testing.T) {
	f := newInside(t, nil)
	for _, terms := range Profiles() {
		f.desk = &stubDesk{terms: terms, said: "cns_word"}
		for _, to := range []Party{PartyAgent, PartySupervisor, PartyCity, PartyPrivate, PartyInterpreter, "friend"} {
			for way := range 8 {
				leg := Outgoing{City: "a", To: to, Whom: "w", Trusted: way&1 != 0, Secured: way&2 != 0, Spoken: way&4 != 0, By: "agent:ana"}
				shown := func(h Headers) Shown {
					leg.Call = f.arrive(t, "a", h).Call
					s, err := f.Egress(t.Context(), leg)
					if err != nil {
						t.Fatal(err)
					}
					return s
				}
				open, hidden := shown(presentHeaders), shown(hiddenHeaders)
				if more(hidden.Number, open.Number) || more(hidden.Mask, open.Mask) || open.Anonymous && !hidden.Anonymous {
					t.Errorf("%s, %s, trusted %t, secured %t, spoken %t: an open caller shows %+v, a private one %+v", terms, to, leg.Trusted, leg.Secured,
						leg.Spoken, open, hidden)
				}
			}
		}
	}
}

func more(a, b Value) bool { return a.Reveal() != "" && b.Reveal() == "" }

// A leg is decided once in a call, however often it rings and whoever asks at the same moment; another agent anew.
func TestEgressIsDecidedOnceForEachLeg(t *testing.T) {
	f := newInside(t, nil)
	id := f.arrive(t, "a", presentHeaders).Call
	f.book.take("a")
	leg := Outgoing{City: "a", Call: id, To: PartyAgent, Whom: "ana", Secured: true, By: "engine"}
	var wait sync.WaitGroup
	for range 20 {
		wait.Go(func() {
			if shown, err := f.Egress(t.Context(), leg); err != nil || shown.Mask.Reveal() == "" {
				t.Errorf("%+v, %v", shown, err)
			}
		})
	}
	wait.Wait()
	if n := len(f.book.take("a")); n != 1 {
		t.Errorf("%d leaves for one leg", n)
	}
	leg.Whom = "ben"
	if _, err := f.Egress(t.Context(), leg); err != nil || len(f.book.take("a")) != 1 {
		t.Errorf("another agent: %v", err)
	}
	leg.City = "b"
	if shown, err := f.Egress(t.Context(), leg); err != nil || shown.Mask.Reveal() != "" || shown.Status != call.CallerUnavailable {
		t.Errorf("through another city: %+v, %v", shown, err)
	}
	f.Over("a", id)
	leg.City = "a"
	if shown, err := f.Egress(t.Context(), leg); err != nil || shown.Mask.Reveal() == "" {
		t.Errorf("from the store: %+v, %v", shown, err)
	}
}

// Without a leaf nothing is shown, and it is asked again the next time.
func TestEgressWithoutLedgerShowsNothing(t *testing.T) {
	f := newInside(t, nil)
	id := f.arrive(t, "a", presentHeaders).Call
	leg := Outgoing{City: "a", Call: id, To: PartyCity, Trusted: true, Secured: true}
	f.book.broken = errTestDisk
	shown, err := f.Egress(t.Context(), leg)
	if !errors.Is(err, errTestDisk) || shown.Number.Reveal() != "" || !shown.Anonymous || shown.Privacy != nil {
		t.Errorf("%+v, %v", shown, err)
	}
	f.book.broken = nil
	if shown, err := f.Egress(t.Context(), leg); err != nil || shown.Number.Reveal() == "" {
		t.Errorf("%+v, %v", shown, err)
	}
}

func TestCityNarrowsWhatAgentsSee(t *testing.T) {
	f := newInside(t, func(c *Config) {
		c.Narrow = map[call.CityID]Narrowing{"a": {Purposes: []Purpose{PurposeLiveCall}}}
	})
	for city, want := range map[call.CityID]string{"a": "CITY DENY", "b": "D08 MASK"} {
		id := f.arrive(t, city, presentHeaders).Call
		f.book.take(city)
		if _, err := f.Egress(t.Context(), Outgoing{City: city, Call: id, To: PartyAgent}); err != nil {
			t.Fatal(err)
		}
		if got := rowsOf(t, f.book.take(city)); !slices.Equal(got, []string{want}) {
			t.Errorf("%s: %v", city, got)
		}
	}
	if _, err := NewVault(f.mem, f.book, f.keys, Config{Narrow: map[call.CityID]Narrowing{"a": {Purposes: []Purpose{PurposeEmergency}}}}); err == nil {
		t.Error("a city forbade the emergency")
	}
}

// A handle dials what it stands for, in its own city, and leaves one leaf.
func TestDestination(t *testing.T) {
	f := newInside(t, nil)
	if _, err := f.Destination(t.Context(), "a", "hdl_1", "cl_new", "agent:ana", "carrier-1"); !errors.Is(err, ErrHandle) {
		t.Errorf("without an office: %v", err)
	}
	open, hidden := f.arrive(t, "a", presentHeaders).Call, f.arrive(t, "a", hiddenHeaders).Call
	f.Over("a", open)
	f.Over("a", hidden)
	dropped := func(id call.ID, c Consent) Request {
		return Request{City: "a", Call: id, Purpose: PurposeDropped, Recipient: RecipientAgent, Relation: RelationDropped, Actor: "agent:ana", grounds: grounds{consent: c}}
	}
	f.desk = &stubDesk{handles: map[string]Request{"hdl_open": dropped(open, ConsentNone), "hdl_hidden": dropped(hidden, ConsentNone),
		"hdl_word": dropped(hidden, ConsentVerbal)}}
	f.book.take("a")
	for _, c := range []struct {
		city   call.CityID
		handle string
		dials  bool
		leaves []string
	}{{"a", "hdl_open", true, []string{"D09 HANDLE"}}, {"a", "hdl_hidden", false, []string{"D11 DENY"}}, {"a", "hdl_word", true, []string{"D10 HANDLE"}},
		{"b", "hdl_open", false, nil}, {"a", "hdl_none", false, nil}} {
		value, err := f.Destination(t.Context(), c.city, c.handle, "cl_new", "agent:ana", "carrier-1")
		if c.dials != (err == nil) || c.dials != (value.Reveal() == "+12125550142") || !c.dials && !errors.Is(err, ErrHandle) {
			t.Errorf("%s of %s: %q, %v", c.handle, c.city, value.Reveal(), err)
		}
		if got := rowsOf(t, f.book.take("a")); !slices.Equal(got, c.leaves) {
			t.Errorf("%s: leaves %v, want %v", c.handle, got, c.leaves)
		}
	}
	f.book.broken = errTestDisk
	if value, err := f.Destination(t.Context(), "a", "hdl_open", "cl_new", "agent:ana", "carrier-1"); !errors.Is(err, errTestDisk) || value.Reveal() != "" {
		t.Errorf("without a ledger: %q, %v", value.Reveal(), err)
	}
}
