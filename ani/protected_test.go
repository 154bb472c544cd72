package ani_test

import (
	"fmt"
	"testing"
	"time"

	"callhall/ani"
	"callhall/call"
)

func (p *privacyOffice) seal(t testing.TB) ani.NewProtection {
	return ani.NewProtection{Number: typed(t, "(212) 555-0142"), Ground: ani.GroundSeal, Reference: "order 42", Until: p.now.Add(1000 * time.Hour)}
}

// toPSAP is the hand-over to 911.
func (p *privacyOffice) toPSAP(t *testing.T, id call.ID) string {
	t.Helper()
	shown := ok(p.Egress(t.Context(), ani.Outgoing{City: city, Call: id, To: ani.PartyPSAP, Whom: "psap", Trusted: true, Secured: true, By: "agent:ana"}))(t)
	return shown.Number.Reveal()
}

func TestProtectedSubject(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	id, neighbour := p.caller(t, present), p.caller(t, ani.Headers{Asserted: []string{"<sip:+12125550143@carrier.invalid>"}})
	e := ok(p.Protect(t.Context(), city, p.seal(t), dana))(t)
	if hasNumber(fmt.Sprintf("%+v", e)) {
		t.Error(e)
	}
	p.said(t, ani.KindProtected, map[string]string{"entry": e.ID, "act": "entered", "ground": "court-seal", "reference": "order 42"})
	for range 2 {
		if g := p.release(t, live(city, id)); g.Row.ID != "LAW" {
			t.Errorf("%s by %s", g.Decision, g.Row.ID)
		}
		if g := p.release(t, live(city, neighbour)); g.Row.ID != "D08" {
			t.Errorf("a neighbour: %s by %s", g.Decision, g.Row.ID)
		}
		if g := p.release(t, engine(city, id)); g.Denied() {
			t.Errorf("routing: %s by %s", g.Decision, g.Row.ID)
		}
		if got := p.toPSAP(t, id); got != "+12125550142" {
			t.Errorf("911 got %q", got)
		}
		p.restart(t)
	}
	// A verified paper does not go before a seal.
	paper := ok(p.TakePaper(t.Context(), city, warrant(p, id), dana))(t)
	ok(p.VerifyPaper(t.Context(), city, paper.ID, rita))(t)
	if a := ok(p.Ask(t.Context(), city, toPolice(id, paper.ID), dana))(t); a.State != ani.AskDenied || a.Row != "LAW" {
		t.Errorf("%s by %s", a.State, a.Row)
	}
	p.now = p.now.Add(1000 * time.Hour)
	if got := ok(p.Protections(t.Context(), city, "", 9))(t); got[0].State != "expired" {
		t.Errorf("shown %+v", got)
	}
	if g := p.release(t, live(city, p.caller(t, present))); g.Row.ID != "D08" {
		t.Errorf("after its time: %s by %s", g.Decision, g.Row.ID)
	}
}

func TestLiftingAProtectionTakesTwoPeople(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	id := p.caller(t, present)
	e := ok(p.Protect(t.Context(), city, p.seal(t), dana))(t)
	if got := ok(p.LiftProtection(t.Context(), city, e.ID, dana))(t); got.State != "lifting" {
		t.Errorf("it is %s", got.State)
	}
	for _, by := range []ani.Person{dana, danaAgain} {
		_, err := p.LiftProtection(t.Context(), city, e.ID, by)
		fails(t, by.Actor, err, ani.ErrSecondPerson)
	}
	if g := p.release(t, live(city, id)); g.Row.ID != "LAW" {
		t.Errorf("proposed: %s by %s", g.Decision, g.Row.ID)
	}
	ok(p.LiftProtection(t.Context(), city, e.ID, paul))(t)
	if g := p.release(t, live(city, id)); g.Row.ID != "D08" {
		t.Errorf("lifted: %s by %s", g.Decision, g.Row.ID)
	}
	p.told(t, ani.NoticeProtected, e.ID)
	_, err := p.LiftProtection(t.Context(), city, e.ID, rita)
	fails(t, "lift it again", err, ani.ErrState)
	_, err = p.LiftProtection(t.Context(), other, e.ID, dana)
	fails(t, "another city", err, ani.ErrNotFound)
}

func TestProtectingIsChecked(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	for name, c := range map[string]struct {
		change func(*ani.NewProtection)
		by     ani.Person
		want   error
	}{
		"no number":    {func(n *ani.NewProtection) { n.Number = ani.Entered{} }, dana, ani.ErrIncomplete},
		"no ground":    {func(n *ani.NewProtection) { n.Ground = "wish" }, dana, ani.ErrIncomplete},
		"no reference": {func(n *ani.NewProtection) { n.Reference = "" }, dana, ani.ErrIncomplete},
		"over":         {func(n *ani.NewProtection) { n.Until = p.now }, dana, ani.ErrIncomplete},
		"reference":    {func(n *ani.NewProtection) { n.Reference = "212-555-0142" }, dana, ani.ErrCase},
		"a supervisor": {func(*ani.NewProtection) {}, sam, ani.ErrNotPermitted},
	} {
		n := p.seal(t)
		c.change(&n)
		_, err := p.Protect(t.Context(), city, n, c.by)
		fails(t, name, err, c.want)
	}
}
