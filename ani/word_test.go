package ani_test

import (
	"errors"
	"testing"

	"callhall/ani"
	"callhall/call"
)

// toPower is the leg that carries a caller on to a private partner by a way that may carry a number.
func toPower(id call.ID) ani.Outgoing {
	return ani.Outgoing{City: city, Call: id, To: ani.PartyPrivate, Whom: "power", Trusted: true, Secured: true, Spoken: true, By: ana.Actor}
}

func sayForTransfer(id call.ID) ani.NewVerbalConsent {
	return ani.NewVerbalConsent{Key: "transfer " + string(id), Call: id, Purposes: []ani.Purpose{ani.PurposeTransfer}, Recipients: []ani.Recipient{ani.RecipientPrivate}}
}

// The number goes to a utility by the entry in which the caller's word stands, which the leaf names, for as long as that
// holds: not by what somebody says of it, not by a word for something else or of another call, and not once it is withdrawn.
func TestNumberGoesByTheWordInTheRegister(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	id, next := p.caller(t, present), p.caller(t, present)
	shows := func(id call.ID, want string) {
		t.Helper()
		if s := ok(p.Egress(t.Context(), toPower(id)))(t); s.Number.Reveal() != want {
			t.Errorf("shown %q, want %q", s.Number.Reveal(), want)
		}
	}
	shows(id, "")
	p.said(t, ani.KindRelease, map[string]string{"row": "D47", "consent": "none", "ref": ""})
	other := sayForTransfer(id)
	other.Key, other.Purposes = "", []ani.Purpose{ani.PurposeServiceRequest}
	ok(p.EnterVerbalConsent(t.Context(), city, other, ana))(t)
	shows(id, "")

	word := ok(p.EnterVerbalConsent(t.Context(), city, sayForTransfer(id), ana))(t)
	p.book.take(city)
	shows(id, "+12125550142")
	shows(id, "+12125550142")
	shows(next, "")
	all := p.leaves(t, ani.KindRelease)
	if len(all) != 3 || all[0].Facts["row"]+all[1].Facts["row"] != "D14D02" && all[0].Facts["row"]+all[1].Facts["row"] != "D02D14" {
		t.Fatalf("leaves %v", all)
	}
	for _, l := range all {
		if l.Facts["row"] == "D14" && l.Facts["ref"] != word.ID {
			t.Errorf("rests on %q, want %s", l.Facts["ref"], word.ID)
		}
	}

	ok(p.WithdrawConsent(t.Context(), city, word.ID, ana))(t)
	shows(id, "")
	if recalls := ok(p.Recalls(t.Context(), city, "", 9))(t); len(recalls) != 1 || recalls[0].Consent != word.ID || recalls[0].To != "power" {
		t.Errorf("recalls %+v", recalls)
	}
	if _, err := p.EnterVerbalConsent(t.Context(), city, sayForTransfer(id), ana); !errors.Is(err, ani.ErrState) {
		t.Errorf("the withdrawn word again: %v", err)
	}
	shows(id, "")
	p.leaves(t, "")
}
