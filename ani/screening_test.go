package ani_test

import (
	"strings"
	"testing"
	"time"

	"callhall/ani"
	"callhall/call"
)

func flood(p *privacyOffice, id call.ID) ani.NewScreen {
	return ani.NewScreen{Call: id, Reason: ani.ScreenFlood, Why: "calls from 212 555 0142 every second", Until: p.now.Add(24 * time.Hour)}
}

// screened captures another call of the caller and tells whether routing hears of a screened one.
func (p *privacyOffice) screened(t *testing.T, c call.CityID, h ani.Headers) bool {
	t.Helper()
	id := call.NewID()
	who := ok(p.Capture(t.Context(), incoming(c, id, h)))(t)
	p.Over(c, id)
	return who.Class.Screened
}

func TestScreeningTakesTwoPeople(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	id := p.caller(t, withheld)
	stranger := ani.Headers{Asserted: []string{"<sip:+12125550143@carrier.invalid>"}}
	s := ok(p.ProposeScreen(t.Context(), city, flood(p, id), sam))(t)
	if s.State != "proposed" || hasNumber(s.Why) || p.screened(t, city, present) {
		t.Errorf("proposed %+v", s)
	}
	p.said(t, ani.KindScreening, map[string]string{"entry": s.ID, "act": "proposed", "reason": "flood"})
	p.restart(t)
	if p.screened(t, city, present) {
		t.Error("screened when it was only proposed")
	}
	_, err := p.ConfirmScreen(t.Context(), city, s.ID, sam)
	fails(t, "the proposer confirms", err, ani.ErrSecondPerson)
	_, err = p.ConfirmScreen(t.Context(), city, s.ID, ana)
	fails(t, "an agent confirms", err, ani.ErrNotPermitted)
	ok(p.ConfirmScreen(t.Context(), city, s.ID, sue))(t)
	p.said(t, ani.KindScreening, map[string]string{"entry": s.ID, "act": "confirmed"})
	for range 2 {
		if !p.screened(t, city, present) || p.screened(t, city, stranger) || p.screened(t, other, present) {
			t.Error("the list screens another caller, another city, or not the one it names")
		}
		p.restart(t)
	}
	p.now = p.now.Add(24 * time.Hour)
	if p.screened(t, city, present) {
		t.Error("screened after its time")
	}
	if got := ok(p.Screens(t.Context(), city, "", 9))(t); len(got) != 1 || got[0].State != "expired" {
		t.Errorf("shown %+v", got)
	}
}

func TestEndedScreenScreensNobody(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	s := ok(p.ProposeScreen(t.Context(), city, flood(p, p.caller(t, present)), sam))(t)
	ok(p.ConfirmScreen(t.Context(), city, s.ID, dana))(t)
	ok(p.EndScreen(t.Context(), city, s.ID, sam))(t)
	if p.screened(t, city, present) {
		t.Error("screened after its end")
	}
	_, err := p.ConfirmScreen(t.Context(), city, s.ID, sue)
	fails(t, "confirm it again", err, ani.ErrState)
}

func TestProposingAScreenIsChecked(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	id := p.caller(t, present)
	for name, c := range map[string]struct {
		change func(*ani.NewScreen)
		by     ani.Person
		want   error
	}{
		"reason":         {func(n *ani.NewScreen) { n.Reason = "rude" }, sam, ani.ErrIncomplete},
		"31 days":        {func(n *ani.NewScreen) { n.Until = p.now.Add(31 * 24 * time.Hour) }, sam, ani.ErrIncomplete},
		"over":           {func(n *ani.NewScreen) { n.Until = p.now }, sam, ani.ErrIncomplete},
		"a typed number": {func(n *ani.NewScreen) { n.Call = "2125550142" }, sam, ani.ErrIncomplete},
		"another call":   {func(n *ani.NewScreen) { n.Call = call.NewID() }, sam, ani.ErrNotFound},
		"an agent":       {func(*ani.NewScreen) {}, ana, ani.ErrNotPermitted},
		"the operator":   {func(*ani.NewScreen) {}, omar, ani.ErrNotPermitted},
	} {
		n := flood(p, id)
		c.change(&n)
		_, err := p.ProposeScreen(t.Context(), city, n, c.by)
		fails(t, name, err, c.want)
	}
	_, err := p.ProposeScreen(t.Context(), other, flood(p, id), sam)
	fails(t, "another city's call", err, ani.ErrNotFound)
}

// Who looks after the list sees a token; in New York a mask too, where the caller asked for no restriction.
func TestReviewOfAScreen(t *testing.T) {
	for name, c := range map[string]struct {
		headers ani.Headers
		wide    bool
		mask    string
	}{"card": {present, false, ""}, "nyc": {present, true, "+1 212 ***-**42"}, "nyc, withheld": {withheld, true, ""}} {
		t.Run(name, func(t *testing.T) {
			p := newPrivacyOffice(t, ani.OfficeConfig{})
			if c.wide {
				p.wide(t)
			}
			id := p.caller(t, c.headers)
			s := ok(p.ProposeScreen(t.Context(), city, flood(p, id), sam))(t)
			again := ok(p.ProposeScreen(t.Context(), city, flood(p, p.caller(t, c.headers)), sue))(t)
			p.book.take(city)
			r := ok(p.ReviewScreen(t.Context(), city, s.ID, sam))(t)
			p.said(t, ani.KindRelease, map[string]string{"row": "D16", "ref": s.ID, "release": string(r.Release)})
			if r.Row != "D16" || r.Mask.Reveal() != c.mask || len(r.Token) != 32 || strings.Trim(r.Token, "0123456789abcdef") != "" {
				t.Errorf("review %+v, mask %q", r, r.Mask.Reveal())
			}
			if r2 := ok(p.ReviewScreen(t.Context(), city, again.ID, sam))(t); r2.Token != r.Token {
				t.Error("the same caller has two tokens")
			}
			_, err := p.ReviewScreen(t.Context(), city, s.ID, rita)
			fails(t, "the records officer", err, ani.ErrNotPermitted)
		})
	}
}
