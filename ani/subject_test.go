package ani_test

import (
	"testing"
	"time"

	"callhall/ani"
)

var proofs = []ani.Proof{{Kind: ani.ProofDocument, Evidence: "passport, desk 4"}, {Kind: ani.ProofLetter, Evidence: "code 17"}}

func mine(t testing.TB) ani.NewSubjectRequest {
	return ani.NewSubjectRequest{Name: "Ana Gray", Number: typed(t, "+1 212 555 0142"), Proofs: proofs}
}

// answer takes a request in, approves it and answers it.
func (p *privacyOffice) answer(t *testing.T, n ani.NewSubjectRequest) ani.Account {
	t.Helper()
	r := ok(p.AskAccount(t.Context(), city, n, rita))(t)
	ok(p.ApproveAccount(t.Context(), city, r.ID, dana))(t)
	return ok(p.Accounting(t.Context(), city, r.ID, rita))(t)
}

func TestSubjectsAccounting(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	id := p.caller(t, present)
	p.caller(t, ani.Headers{Asserted: []string{"<sip:+12125550143@carrier.invalid>"}})
	mask := p.release(t, live(city, id)) // D08: to an agent
	p.release(t, engine(city, id))       // D01: stays inside
	p.toPSAP(t, id)                      // D25
	network := engine(city, id)
	network.Purpose = ani.PurposeNetwork // D17: inside too
	p.release(t, network)
	p.drop(id)
	a := ok(p.Ask(t.Context(), city, cutOff(id), ana))(t)
	reveal := ok(p.Reveal(t.Context(), city, a.ID, ana))(t)
	p.book.take(city)

	r := ok(p.AskAccount(t.Context(), city, mine(t), rita))(t)
	if r.State != "asked" || r.NeedsDecision {
		t.Fatalf("request %+v", r)
	}
	_, err := p.Accounting(t.Context(), city, r.ID, rita)
	fails(t, "before the city's approval", err, ani.ErrState)
	_, err = p.ApproveAccount(t.Context(), city, r.ID, rita)
	fails(t, "approved by who took it in", err, ani.ErrSecondPerson)
	_, err = p.ApproveAccount(t.Context(), city, r.ID, omar)
	fails(t, "approved by the vendor", err, ani.ErrNotPermitted)
	approved := ok(p.ApproveAccount(t.Context(), city, r.ID, dana))(t)
	if !approved.AnswerBy.Equal(p.now.Add(45 * 24 * time.Hour)) {
		t.Errorf("answer by %v", approved.AnswerBy)
	}
	p.restart(t)
	p.book.take(city)
	got := ok(p.Accounting(t.Context(), city, r.ID, rita))(t)
	if got.Number.Reveal() != "+12125550142" || got.Row != "D30" || len(got.Disclosures) != 3 {
		t.Fatalf("account %+v", got)
	}
	byRow := map[string]ani.Disclosure{}
	for _, d := range got.Disclosures {
		byRow[d.Row] = d
	}
	if byRow["D08"].Release != mask.Release || byRow["D09"].Release != reveal.Release || byRow["D25"].Recipient != ani.RecipientPSAP ||
		byRow["D09"].Citation == "" || byRow["D09"].Call != id || !byRow["D09"].At.Equal(p.now) {
		t.Errorf("disclosures %+v", got.Disclosures)
	}
	p.said(t, ani.KindAccounting, map[string]string{"act": "answered", "row": "D30", "result": "FULL", "process": "verified", "second": dana.Actor,
		"disclosure_count": "3"})
	_, err = p.Accounting(t.Context(), city, r.ID, rita)
	fails(t, "answered twice", err, ani.ErrState)
	_, err = p.Accounting(t.Context(), other, r.ID, rita)
	fails(t, "another city", err, ani.ErrNotFound)
}

// To call from a number proves nothing, and neither do two proofs of one kind.
func TestUnverifiedSubjectIsDenied(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	for name, proofs := range map[string][]ani.Proof{
		"none":               nil,
		"one":                proofs[:1],
		"one and the number": {proofs[0], {Kind: ani.ProofNumber, Evidence: "rang"}},
		"the same twice":     {proofs[0], proofs[0]},
		"without evidence":   {proofs[0], {Kind: ani.ProofLetter}},
	} {
		n := mine(t)
		n.Proofs = proofs
		r := ok(p.AskAccount(t.Context(), city, n, rita))(t)
		if r.State != "denied" {
			t.Errorf("%s: %s", name, r.State)
		}
		p.said(t, ani.KindAccounting, map[string]string{"act": "denied", "row": "D32"})
		_, err := p.ApproveAccount(t.Context(), city, r.ID, dana)
		fails(t, name+": approved", err, ani.ErrState)
	}
	n := mine(t)
	n.Proofs = []ani.Proof{{Kind: "vibes", Evidence: "x"}}
	_, err := p.AskAccount(t.Context(), city, n, rita)
	fails(t, "an unknown proof", err, ani.ErrIncomplete)
	n.Proofs = []ani.Proof{{Kind: ani.ProofLetter, Evidence: "2125550142"}}
	_, err = p.AskAccount(t.Context(), city, n, rita)
	fails(t, "a number as evidence", err, ani.ErrCase)
	for _, by := range []ani.Person{ana, sam, omar} {
		_, err := p.AskAccount(t.Context(), city, mine(t), by)
		fails(t, by.Actor, err, ani.ErrNotPermitted)
	}
}

// Who acts for a subject needs the subject's written word, and both are verified.
func TestSubjectsAgent(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	c := p.written(t, ani.PurposeSubjectRights)
	c.Recipients, c.Parties = []ani.Recipient{ani.RecipientSubjectAgent}, []string{"Lee Law"}
	word := ok(p.EnterConsent(t.Context(), city, c, dana))(t)
	n := mine(t)
	n.Agent, n.AgentProofs, n.Permission = "Lee Law", proofs, word.ID
	if a := p.answer(t, n); a.Row != "D31" || a.Number.Reveal() == "" {
		t.Errorf("account %+v", a)
	}
	for name, change := range map[string]func(*ani.NewSubjectRequest){
		"no permission":      func(n *ani.NewSubjectRequest) { n.Permission = "" },
		"another agent":      func(n *ani.NewSubjectRequest) { n.Agent = "Kay Law" },
		"agent not verified": func(n *ani.NewSubjectRequest) { n.AgentProofs = proofs[:1] },
		"another number":     func(n *ani.NewSubjectRequest) { n.Number = typed(t, "+12125550143") },
	} {
		n := n
		change(&n)
		if r := ok(p.AskAccount(t.Context(), city, n, rita))(t); r.State != "denied" {
			t.Errorf("%s: %s", name, r.State)
		}
	}
	// A permission that is withdrawn before the answer is none.
	r := ok(p.AskAccount(t.Context(), city, n, rita))(t)
	ok(p.ApproveAccount(t.Context(), city, r.ID, dana))(t)
	ok(p.WithdrawConsent(t.Context(), city, word.ID, dana))(t)
	_, err := p.Accounting(t.Context(), city, r.ID, rita)
	fails(t, "after the withdrawal", err, ani.ErrState)
}

func TestThirdRequestNeedsADecision(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	for i := range 3 {
		r := ok(p.AskAccount(t.Context(), city, mine(t), rita))(t)
		if r.NeedsDecision != (i == 2) {
			t.Errorf("request %d: %+v", i+1, r)
		}
		p.now = p.now.Add(40 * 24 * time.Hour) // under other keys of the token
	}
	r := ok(p.AskAccount(t.Context(), city, mine(t), rita))(t)
	_, err := p.RefuseAccount(t.Context(), city, r.ID, "", dana)
	fails(t, "refused without a code", err, ani.ErrIncomplete)
	if got := ok(p.RefuseAccount(t.Context(), city, r.ID, "baseless", dana))(t); got.State != "refused" || got.Code != "baseless" {
		t.Errorf("refused %+v", got)
	}
}

// The accounting reaches twelve months back and no further, and says nothing that a paper forbids to tell.
func TestAccountingReachesTwelveMonths(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	id := p.caller(t, present)
	p.release(t, live(city, id))
	n := warrant(p, id)
	n.Nondisclosure = true
	paper := ok(p.TakePaper(t.Context(), city, n, dana))(t)
	ok(p.VerifyPaper(t.Context(), city, paper.ID, rita))(t)
	a := ok(p.Ask(t.Context(), city, toPolice(id, paper.ID), dana))(t)
	ok(p.Approve(t.Context(), city, a.ID, paul))(t)
	ok(p.Reveal(t.Context(), city, a.ID, dana))(t)
	if p.told(t, ani.NoticeRelease, a.ID).TellSubject {
		t.Error("the owner is told that the subject may be told")
	}
	for _, c := range []struct {
		after time.Duration
		want  int
	}{{0, 1}, {365 * 24 * time.Hour, 1}, {2 * 24 * time.Hour, 0}} {
		p.now = p.now.Add(c.after)
		ok(p.Expire(t.Context()))(t)
		if got := p.answer(t, mine(t)); len(got.Disclosures) != c.want || got.Disclosures == nil {
			t.Errorf("after %v: %+v", c.after, got.Disclosures)
		}
	}
}
