package ani_test

import (
	"testing"

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
