package ani_test

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"callhall/ani"
)

// account is the subject's account by the ids of its releases, and the leaves that were written until now.
func (p *privacyOffice) account(t *testing.T) (map[string]ani.Disclosure, []map[string]string) {
	t.Helper()
	var facts []map[string]string
	for _, l := range p.leaves(t, ani.KindRelease) {
		facts = append(facts, l.Facts)
	}
	lines := map[string]ani.Disclosure{}
	for _, d := range p.answer(t, mine(t)).Disclosures {
		lines[string(d.Release)] = d
	}
	return lines, facts
}

// whole holds an account against the ledger as docs/caller-numbers.md tells the privacy officer to do, and returns who
// had something by each row.
func (p *privacyOffice) whole(t *testing.T) map[string]string {
	t.Helper()
	lines, facts := p.account(t)
	to := map[string]string{}
	for _, f := range facts {
		line, found := lines[f["release"]]
		if want := f["result"] != "DENY" && f["recipient"] != "ENG"; found != want {
			t.Errorf("in the account: %t, of %v", found, f)
		}
		if found {
			to[line.Row+" "+string(line.Decision)] = line.To
		}
		delete(lines, f["release"])
	}
	if len(lines) != 0 {
		t.Errorf("in the account and not in the ledger: %v", lines)
	}
	return to
}

// A number that was dialled for an agent went to a carrier: the account says to which.
func TestAccountHasTheHandlesThatWereDialled(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	id := p.caller(t, present)
	p.drop(id)
	h := ok(p.GiveHandle(t.Context(), city, id, ana))(t)
	ok(p.dial(t, h.Handle, "agent:ana"))(t)
	if to := p.whole(t); to["D09 HANDLE"] != "carrier-1" {
		t.Errorf("to %v", to)
	}
}

// Whoever has read a number or its mask, or carried it, stands in the account by name.
func TestAccountNamesWhoHadIt(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	p.wide(t)
	id := p.caller(t, present)
	ok(p.Egress(t.Context(), ani.Outgoing{City: city, Call: id, To: ani.PartyCity, Whom: "parks", Trunk: "carrier-1", Trusted: true, Secured: true, By: ana.Actor}))(t)
	p.drop(id)
	a := ok(p.Ask(t.Context(), city, ani.NewAsk{Call: id, Purpose: ani.PurposeDropped, Recipient: ani.RecipientAgent, Reason: ani.ReasonRelay}, ana))(t)
	ok(p.Reveal(t.Context(), city, a.ID, ana))(t)
	ok(p.Search(t.Context(), ani.Query{City: city, Number: typed(t, "+1 212 555 0142").Number(), Actor: dana.Actor, Case: "SR-7", For: ani.PurposeLegalProcess}, dana))(t)
	screen := ok(p.ProposeScreen(t.Context(), city, ani.NewScreen{Call: id, Reason: ani.ScreenSpam, Until: p.now.Add(time.Hour)}, sam))(t)
	ok(p.ReviewScreen(t.Context(), city, screen.ID, sue))(t)
	want := map[string]string{"D02 FULL": "carrier-1", "D12 FULL": "parks", "D09 FULL": "ana", "D35 MASK": "Dana", "D16 MASK": "Sue"}
	if to := p.whole(t); !maps.Equal(to, want) {
		t.Errorf("to %v, want %v", to, want)
	}
}

// What no carrier on the way may have was given to nobody: the partner behind it stands in no account.
func TestPartnerBehindAStrangerHadNothing(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	id := p.caller(t, present)
	shown := ok(p.Egress(t.Context(), ani.Outgoing{City: city, Call: id, To: ani.PartyCity, Whom: "parks", Trunk: "carrier-1", Secured: true, By: ana.Actor}))(t)
	if shown.Number.Reveal() != "" || !shown.Anonymous {
		t.Errorf("%+v", shown)
	}
	lines, facts := p.account(t)
	if len(lines) != 0 {
		t.Errorf("account %v", lines)
	}
	stopped := slices.ContainsFunc(facts, func(f map[string]string) bool {
		return f["row"] == "D12" && f["result"] == "DENY" && f["stopped"] == "carrier" && f["to"] == "parks"
	})
	denied := slices.ContainsFunc(facts, func(f map[string]string) bool { return f["row"] == "D04" && f["to"] == "carrier-1" })
	if !stopped || !denied {
		t.Errorf("leaves %v", facts)
	}
}

// One person may search sixty times an hour; the next try is an alarm and no search.
func TestSearchesAreCounted(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	search := func() error {
		_, err := p.Search(t.Context(), ani.Query{City: city, Number: typed(t, "+1 212 555 0142").Number(), Actor: dana.Actor, Case: "SR-7", For: ani.PurposeLegalProcess}, dana)
		return err
	}
	for i := range 60 {
		if err := search(); err != nil {
			t.Fatalf("search %d: %v", i+1, err)
		}
	}
	if err := search(); !errors.Is(err, ani.ErrTooMany) {
		t.Errorf("the sixty-first search: %v", err)
	}
}
