package ani

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"callhall/call"
)

var (
	purposes = []Purpose{PurposeRouting, PurposeLiveCall, PurposeQuality, PurposeConference, PurposeIntegration, PurposeUnlisted, "", "marketing"}
	kinds    = []Recipient{RecipientEngine, RecipientAgent, RecipientSupervisor, RecipientCity, RecipientTrunk, RecipientPSAP,
		RecipientPolice, RecipientPublic, RecipientSubject, RecipientVendor, RecipientPrivate, RecipientOtherCity, RecipientUnlisted, "", "me"}
	consents  = []Consent{ConsentNone, ConsentVerbal, ConsentAffirmative, ConsentWritten} // weakest first
	profiles  = []Profile{ProfileNoThirdParty, ProfileCard, ProfileNYC}                   // narrowest first
	relations = []Relation{RelationNone, RelationHandling, "", "friend"}
	verstats  = []call.Verstat{call.VerstatPassed, call.VerstatFailed, call.VerstatNone, ""}
)

func anyTuple(t *rapid.T) Tuple {
	return Tuple{Purpose: rapid.SampledFrom(purposes).Draw(t, "purpose"), Recipient: rapid.SampledFrom(kinds).Draw(t, "recipient"),
		Open: rapid.Bool().Draw(t, "open"), Held: rapid.Bool().Draw(t, "held"), Consent: rapid.SampledFrom(consents).Draw(t, "consent"),
		Profile: rapid.SampledFrom(profiles).Draw(t, "profile"), Relation: rapid.SampledFrom(relations).Draw(t, "relation"),
		Verstat: rapid.SampledFrom(verstats).Draw(t, "verstat")}
}

func TestTermsAreTotalAndPure(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := anyTuple(t)
		first := Decide(x)
		if first.Row == nil || first.Decision != first.Row.Decision || !slices.Contains([]Decision{Deny, Token, Mask, Full}, first.Decision) {
			t.Fatalf("%+v: %+v", x, first)
		}
		if again := Decide(x); again != first {
			t.Fatalf("%+v: %+v, then %+v", x, first, again)
		}
	})
}

// width orders decisions: 0 for Deny, and for what is not a decision, up to 3 for Full.
func width(d Decision) int {
	return max(0, slices.Index([]Decision{Deny, Token, Mask, Full}, d))
}

func TestTermsAreMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := anyTuple(t)
		known := width(Decide(x).Decision)
		wider := func(why string, y Tuple) {
			if w := width(Decide(y).Decision); w > known {
				t.Fatalf("%s widens %+v from %d to %d", why, x, known, w)
			}
		}
		private, less, narrower, gone, stranger := x, x, x, x, x
		private.Open = false
		wider("asking for privacy", private)
		less.Consent = consents[rapid.IntRange(0, slices.Index(consents, x.Consent)).Draw(t, "less consent")]
		wider("removing consent", less)
		narrower.Profile = profiles[rapid.IntRange(0, slices.Index(profiles, x.Profile)).Draw(t, "narrower profile")]
		wider("a narrower profile", narrower)
		gone.Held = false
		wider("having no number", gone)
		stranger.Relation = RelationNone
		wider("having nothing to do with the call", stranger)
	})
}

func TestNothingButFullHasTheDigits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.StringMatching(`1[2-9][0-9]{2}[2-9][0-9]{6}|4420[0-9]{8}`).Draw(t, "number")
		d := Decide(anyTuple(t)).Decision
		shown := valueOf(seal(number), d).Reveal()
		plain, _, _ := strip(shown)
		if d != Full && (plain != "" && len(plain) >= minDigits || d != Mask && shown != "") {
			t.Fatalf("%s shows %q of %s", d, shown, number)
		}
		if d == Full && shown != "+"+number {
			t.Fatalf("FULL shows %q of %s", shown, number)
		}
	})
}

// TestRows has, for each row, a tuple that it decides and its nearest neighbour that it does not.
func TestRows(t *testing.T) {
	routing := Tuple{Purpose: PurposeRouting, Recipient: RecipientEngine, Held: true, Open: false}
	live := Tuple{Open: true, Purpose: PurposeLiveCall, Recipient: RecipientAgent, Held: true, Relation: RelationHandling, Verstat: call.VerstatPassed}
	with := func(t Tuple, change func(*Tuple)) Tuple { change(&t); return t }
	for _, c := range []struct {
		name string
		x    Tuple
		row  string
		want Decision
	}{
		{"routing", routing, "D01", Full},
		{"routing, for an agent", with(routing, func(x *Tuple) { x.Recipient = RecipientAgent }), "D47", Deny},
		{"routing, no number", with(routing, func(x *Tuple) { x.Held = false }), "D42", Deny},
		{"live call", live, "D08", Mask},
		{"live call, withheld", with(live, func(x *Tuple) { x.Open = false }), "D47", Deny},
		{"live call, not theirs", with(live, func(x *Tuple) { x.Relation = RelationNone }), "D47", Deny},
		{"live call, supervisor", with(live, func(x *Tuple) { x.Recipient = RecipientSupervisor }), "D47", Deny},
		{"live call, no number", with(live, func(x *Tuple) { x.Held = false }), "D42", Deny},
		{"live call, written consent of a withheld caller", with(live, func(x *Tuple) { x.Open, x.Consent = false, ConsentWritten }), "D47", Deny},
		{"quality", Tuple{Purpose: PurposeQuality, Recipient: RecipientSupervisor, Held: true}, "D34", Deny},
		{"another city", with(live, func(x *Tuple) { x.Recipient = RecipientOtherCity }), "D40", Deny},
		{"another city, routing", with(routing, func(x *Tuple) { x.Recipient = RecipientOtherCity }), "D40", Deny},
		{"interpreter", Tuple{Purpose: PurposeConference, Recipient: RecipientPrivate, Held: true}, "D44", Deny},
		{"barge", Tuple{Purpose: PurposeConference, Recipient: RecipientSupervisor, Held: true}, "D44", Deny},
		{"conference, agent", Tuple{Purpose: PurposeConference, Recipient: RecipientAgent, Held: true}, "D47", Deny},
		{"webhook", Tuple{Purpose: PurposeIntegration, Recipient: RecipientVendor, Held: true}, "D45", Deny},
		{"CRM pop", Tuple{Purpose: PurposeIntegration, Recipient: RecipientCity, Held: true}, "D45", Deny},
		{"no purpose", with(live, func(x *Tuple) { x.Purpose = "" }), "D47", Deny},
		{"free text", with(live, func(x *Tuple) { x.Purpose = "the mayor asked" }), "D47", Deny},
	} {
		if got := Decide(c.x); got.Row.ID != c.row || got.Decision != c.want {
			t.Errorf("%s: %s %s, want %s %s", c.name, got.Row.ID, got.Decision, c.row, c.want)
		}
	}
	if Decide(live).Unverified || !Decide(with(live, func(x *Tuple) { x.Verstat = call.VerstatFailed })).Unverified {
		t.Error("a masked number is marked unverified where the carrier vouches for it, or not where it does not (D41)")
	}
	for _, r := range Terms() {
		if r.ID == "" || r.Citation == "" || r.What == "" || r.Decision != Deny && len(r.Obligations) == 0 {
			t.Errorf("row %+v lacks something", r)
		}
	}
}

func BenchmarkDecide(b *testing.B) {
	x := Tuple{Purpose: PurposeLiveCall, Recipient: RecipientAgent, Held: true, Relation: RelationHandling, Profile: ProfileCard}
	b.ReportAllocs()
	for b.Loop() {
		if Decide(x).Decision != Mask {
			b.Fatal("denied")
		}
	}
}
