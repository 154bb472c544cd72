package ani_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"callhall/ani"
	"callhall/call"
)

func warrant(p *privacyOffice, calls ...call.ID) ani.NewPaper {
	return ani.NewPaper{Form: ani.PaperWarrant, Issuer: "County Court, 212 555 0143", Reference: "CV-1042", ServedOn: ani.ServedOnCity, Calls: calls,
		Until: p.now.Add(72 * time.Hour), Copy: []byte("a scan of the warrant")}
}

func toPolice(id call.ID, paper string) ani.NewAsk {
	return ani.NewAsk{Call: id, Purpose: ani.PurposeLegalProcess, Recipient: ani.RecipientPolice, To: "Detective Gray", Ref: paper}
}

func TestWarrantFromIntakeToReveal(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	id := p.caller(t, withheld) // a court's paper reaches a withheld number too
	paper := ok(p.TakePaper(t.Context(), city, warrant(p, id), dana))(t)
	if paper.State != "taken" || hasNumber(paper.Issuer) || paper.CopySize != 21 {
		t.Fatalf("paper %+v", paper)
	}
	p.said(t, ani.KindProcess, map[string]string{"entry": paper.ID, "act": "taken", "form": "warrant", "copy": paper.CopySHA256, "reference": "CV-1042"})
	if a := ok(p.Ask(t.Context(), city, toPolice(id, paper.ID), dana))(t); a.State != ani.AskDenied || a.Row != "D28" {
		t.Errorf("before it is verified: %s by %s", a.State, a.Row)
	}
	for name, by := range map[string]ani.Person{"who took it": dana, "her other token": danaAgain} {
		_, err := p.VerifyPaper(t.Context(), city, paper.ID, by)
		fails(t, name, err, ani.ErrSecondPerson)
	}
	_, err := p.VerifyPaper(t.Context(), city, paper.ID, sam)
	fails(t, "a supervisor", err, ani.ErrNotPermitted)
	ok(p.VerifyPaper(t.Context(), city, paper.ID, rita))(t)
	p.said(t, ani.KindProcess, map[string]string{"entry": paper.ID, "act": "verified"})

	a := ok(p.Ask(t.Context(), city, toPolice(id, paper.ID), dana))(t)
	if a.State != ani.AskPending || a.Row != "D27" {
		t.Fatalf("ask %+v", a)
	}
	_, err = p.Reveal(t.Context(), city, a.ID, dana)
	fails(t, "reveal before the second person", err, ani.ErrState)
	p.said(t, ani.KindRelease, map[string]string{"row": "D27", "result": "DENY", "stopped": "second-person"})
	for name, by := range map[string]ani.Person{"who asked": dana, "her other token": danaAgain} {
		_, err := p.Approve(t.Context(), city, a.ID, by)
		fails(t, name, err, ani.ErrSecondPerson)
	}
	for _, by := range []ani.Person{sam, ana, omar} {
		_, err := p.Approve(t.Context(), city, a.ID, by)
		fails(t, by.Actor, err, ani.ErrNotPermitted)
	}
	p.restart(t)
	approved := ok(p.Approve(t.Context(), city, a.ID, paul))(t)
	if approved.State != ani.AskGranted || approved.Second.Actor != paul.Actor || !approved.ExpiresAt.Equal(p.now.Add(24*time.Hour)) {
		t.Errorf("approved %+v", approved)
	}
	_, err = p.Refuse(t.Context(), city, a.ID, rita)
	fails(t, "refuse after the approval", err, ani.ErrState)
	r := ok(p.Reveal(t.Context(), city, a.ID, dana))(t)
	if r.Value.Reveal() != "+12125550142" {
		t.Errorf("revealed %+v", r)
	}
	p.said(t, ani.KindRelease, map[string]string{"row": "D27", "result": "FULL", "process": "paper", "relation": "named", "ref": paper.ID, "second": paul.Actor})
	told := p.told(t, ani.NoticeRelease, a.ID)
	if told.Row != "D27" || !told.TellSubject || told.At != p.now {
		t.Errorf("the owner was told %+v", told)
	}
	n := ok(p.Acknowledge(t.Context(), city, told.ID, paul))(t)
	if n.State != "acknowledged" || n.Acknowledged.Actor != paul.Actor {
		t.Errorf("acknowledged %+v", n)
	}
	_, err = p.Acknowledge(t.Context(), city, told.ID, omar)
	fails(t, "the operator acknowledges", err, ani.ErrNotPermitted)
}

// The scope of the paper only: every neighbour is denied, and the owner hears of it.
func TestPaperCoversNothingElse(t *testing.T) {
	for name, change := range map[string]func(*privacyOffice, *ani.NewPaper, *ani.NewAsk){
		"another call": func(p *privacyOffice, n *ani.NewPaper, _ *ani.NewAsk) { n.Calls = []call.ID{call.NewID()} },
		"an hour later": func(p *privacyOffice, n *ani.NewPaper, _ *ani.NewAsk) {
			n.Calls, n.From, n.To = nil, p.now.Add(time.Hour), p.now.Add(2*time.Hour)
		},
		"until it came": func(p *privacyOffice, n *ani.NewPaper, _ *ani.NewAsk) {
			n.Calls, n.From, n.To = nil, p.now.Add(-time.Hour), p.now
		},
		"it is over":      func(p *privacyOffice, n *ani.NewPaper, _ *ani.NewAsk) { n.Until = p.now.Add(time.Second) },
		"another purpose": func(_ *privacyOffice, _ *ani.NewPaper, a *ani.NewAsk) { a.Purpose = ani.PurposeExigency },
		"no paper": func(_ *privacyOffice, _ *ani.NewPaper, a *ani.NewAsk) {
			a.Ref = "prc_" + strings.TrimPrefix(string(call.NewID()), "cl_")
		},
		"on the vendor":    func(_ *privacyOffice, n *ani.NewPaper, _ *ani.NewAsk) { n.ServedOn = ani.ServedOnVendor },
		"informal":         func(_ *privacyOffice, n *ani.NewPaper, _ *ani.NewAsk) { n.Form = ani.PaperInformal },
		"to somebody else": func(_ *privacyOffice, _ *ani.NewPaper, a *ani.NewAsk) { a.Recipient = ani.RecipientPrivate },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPrivacyOffice(t, ani.OfficeConfig{})
			id := p.caller(t, present)
			n, a := warrant(p, id), toPolice(id, "")
			change(p, &n, &a)
			paper := ok(p.TakePaper(t.Context(), city, n, dana))(t)
			if _, err := p.VerifyPaper(t.Context(), city, paper.ID, rita); (err != nil) != (paper.State == "misserved") {
				t.Fatal(err)
			}
			if a.Ref == "" {
				a.Ref = paper.ID
			}
			p.now = p.now.Add(time.Minute)
			got := ok(p.Ask(t.Context(), city, a, dana))(t)
			if got.State != ani.AskDenied {
				t.Errorf("%s by %s", got.State, got.Row)
			}
			if got.Row == "D28" {
				p.told(t, ani.NoticeDenied, got.ID)
			}
			p.leaves(t, "")
		})
	}
}

// A window of time covers what came in it, and a paper that was closed covers nothing.
func TestPaperOfAWindow(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	n := warrant(p)
	n.From, n.To = p.now.Add(-time.Minute), p.now.Add(time.Minute)
	id := p.caller(t, present)
	p.Over(city, id)
	paper := ok(p.TakePaper(t.Context(), city, n, dana))(t)
	ok(p.VerifyPaper(t.Context(), city, paper.ID, rita))(t)
	a := ok(p.Ask(t.Context(), city, toPolice(id, paper.ID), dana))(t)
	if a.State != ani.AskPending {
		t.Fatalf("%s by %s", a.State, a.Row)
	}
	ok(p.Approve(t.Context(), city, a.ID, paul))(t)
	ok(p.ClosePaper(t.Context(), city, paper.ID, rita))(t)
	_, err := p.Reveal(t.Context(), city, a.ID, dana)
	fails(t, "after it was closed", err, ani.ErrState)
	if got := ok(p.AskOf(t.Context(), city, a.ID))(t); got.State != ani.AskDenied || got.Row != "D28" {
		t.Errorf("it is %s by %s", got.State, got.Row)
	}
	_, err = p.Paper(t.Context(), other, paper.ID)
	fails(t, "another city", err, ani.ErrNotFound)
}

// What is served on somebody else than the city goes to its owner, and is never answered.
func TestMisservedPaperIsForwarded(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	id := p.caller(t, present)
	n := warrant(p, id)
	n.ServedOn, n.Key = ani.ServedOnVendor, "k"
	paper := ok(p.TakePaper(t.Context(), city, n, dana))(t)
	ok(p.TakePaper(t.Context(), city, n, dana))(t)
	told := ok(p.Notices(t.Context(), city, "", 9))(t)
	if paper.State != "misserved" || len(told) != 1 || told[0].About != ani.NoticeMisserved || told[0].Ref != paper.ID {
		t.Fatalf("%s; told %+v", paper.State, told)
	}
	_, err := p.VerifyPaper(t.Context(), city, paper.ID, rita)
	fails(t, "verify it", err, ani.ErrState)
	informal := ani.NewPaper{Form: ani.PaperInformal, Issuer: "an officer at the door", ServedOn: ani.ServedOnCity, Until: p.now.Add(time.Hour)}
	if got := ok(p.TakePaper(t.Context(), city, informal, omar))(t); got.State != "misserved" {
		t.Errorf("an informal request is %s", got.State)
	}
}

func TestTakingAPaperIsChecked(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	id := call.NewID()
	for name, c := range map[string]struct {
		change func(*ani.NewPaper)
		by     ani.Person
		want   error
	}{
		"form":               {func(n *ani.NewPaper) { n.Form = "badge" }, dana, ani.ErrIncomplete},
		"no copy":            {func(n *ani.NewPaper) { n.Copy = nil }, dana, ani.ErrIncomplete},
		"finding unwritten":  {func(n *ani.NewPaper) { n.Form, n.Copy = ani.PaperRecords, nil }, dana, ani.ErrIncomplete},
		"exigency unwritten": {func(n *ani.NewPaper) { n.Form, n.Copy = ani.PaperExigency, nil }, sam, ani.ErrIncomplete},
		"large copy":         {func(n *ani.NewPaper) { n.Copy = make([]byte, ani.MaxCopy+1) }, dana, ani.ErrIncomplete},
		"no scope":           {func(n *ani.NewPaper) { n.Calls = nil }, dana, ani.ErrIncomplete},
		"window":             {func(n *ani.NewPaper) { n.To = p.now }, dana, nil},
		"bad window":         {func(n *ani.NewPaper) { n.From, n.To = p.now, p.now }, dana, ani.ErrIncomplete},
		"no issuer":          {func(n *ani.NewPaper) { n.Issuer = "" }, dana, ani.ErrIncomplete},
		"no end":             {func(n *ani.NewPaper) { n.Until = time.Time{} }, dana, ani.ErrIncomplete},
		"served on":          {func(n *ani.NewPaper) { n.ServedOn = "" }, dana, ani.ErrIncomplete},
		"reference":          {func(n *ani.NewPaper) { n.Reference = "212 555 0142" }, dana, ani.ErrCase},
		"call":               {func(n *ani.NewPaper) { n.Calls = []call.ID{"2125550142"} }, dana, ani.ErrIncomplete},
		"exigency of many":   {func(n *ani.NewPaper) { n.Form, n.Calls = ani.PaperExigency, []call.ID{id, call.NewID()} }, dana, ani.ErrIncomplete},
		"ticket of time":     {func(n *ani.NewPaper) { n.Form, n.From, n.To = ani.PaperTicket, p.now, p.now.Add(1) }, dana, ani.ErrIncomplete},
		"ticket of 11":       {func(n *ani.NewPaper) { n.Form, n.Calls = ani.PaperTicket, manyCalls(11) }, dana, ani.ErrIncomplete},
		"dispute":            {func(n *ani.NewPaper) { n.Form = ani.PaperDispute }, dana, ani.ErrIncomplete},
		"an agent":           {func(*ani.NewPaper) {}, ana, ani.ErrNotPermitted},
		"the operator":       {func(*ani.NewPaper) {}, omar, ani.ErrNotPermitted},
		"a supervisor":       {func(*ani.NewPaper) {}, sam, ani.ErrNotPermitted},
	} {
		n := warrant(p, id)
		c.change(&n)
		if _, err := p.TakePaper(t.Context(), city, n, c.by); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func manyCalls(n int) (ids []call.ID) {
	for range n {
		ids = append(ids, call.NewID())
	}
	return ids
}

// A try that failed leaves nothing that a second one under its key takes for its own: another copy, or one that goes before
// the paper does.
func TestCopyIsOfTheTryThatEnteredThePaper(t *testing.T) {
	for name, change := range map[string]func(*ani.NewPaper){
		"scanned again": func(n *ani.NewPaper) { n.Copy = []byte("page one, well scanned") },
		"holds longer":  func(n *ani.NewPaper) { n.Until = n.Until.Add(1000 * 24 * time.Hour) },
	} {
		p := newPrivacyOffice(t, ani.OfficeConfig{})
		n := warrant(p, p.caller(t, present))
		n.Key, n.Copy = "k", []byte("page one, badly scanned")
		p.book.broken = errors.New("disk full")
		_, err := p.TakePaper(t.Context(), city, n, dana)
		fails(t, "the first try", err, p.book.broken)
		p.book.broken = nil
		change(&n)
		paper := ok(p.TakePaper(t.Context(), city, n, dana))(t)
		if name == "holds longer" {
			p.now = p.now.Add(500 * 24 * time.Hour) // when the first try's are due
			ok(p.Expire(t.Context()))(t)
		}
		if got, err := p.PaperCopy(t.Context(), city, paper.ID, rita); err != nil || !bytes.Equal(got, n.Copy) {
			t.Errorf("%s: the copy is %q, %v", name, got, err)
		}
	}
}

// A copy is kept in sealed pieces, and reading it is in the ledger.
func TestPaperCopy(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	n := warrant(p, call.NewID())
	n.Copy = bytes.Repeat([]byte("0123456789abcdef"), 160<<10) // 2.5 MiB
	paper := ok(p.TakePaper(t.Context(), city, n, dana))(t)
	p.book.take(city)
	p.restart(t)
	if got := ok(p.PaperCopy(t.Context(), city, paper.ID, rita))(t); !bytes.Equal(got, n.Copy) {
		t.Errorf("%d bytes came back", len(got))
	}
	p.said(t, ani.KindProcess, map[string]string{"entry": paper.ID, "act": "copy-read", "copy": paper.CopySHA256})
	_, err := p.PaperCopy(t.Context(), city, paper.ID, sam)
	fails(t, "a supervisor", err, ani.ErrNotPermitted)
	_, err = p.PaperCopy(t.Context(), other, paper.ID, rita)
	fails(t, "another city", err, ani.ErrNotFound)
	p.book.broken = errors.New("disk full")
	if data, err := p.PaperCopy(t.Context(), city, paper.ID, rita); data != nil || err == nil {
		t.Error("read without a leaf")
	}
}

// Of two approvals at once one counts.
func TestTwoApprovals(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	id := p.caller(t, present)
	paper := ok(p.TakePaper(t.Context(), city, warrant(p, id), dana))(t)
	ok(p.VerifyPaper(t.Context(), city, paper.ID, rita))(t)
	a := ok(p.Ask(t.Context(), city, toPolice(id, paper.ID), dana))(t)
	p.book.take(city)
	var mu sync.Mutex
	var all sync.WaitGroup
	won := 0
	for i := range 8 {
		by := []ani.Person{paul, rita}[i%2]
		by.Actor = fmt.Sprint(by.Actor, i)
		all.Go(func() {
			_, err := p.Approve(t.Context(), city, a.ID, by)
			if err != nil && !errors.Is(err, ani.ErrState) {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			}
		})
	}
	all.Wait()
	if leaves := p.leaves(t, ani.KindAsk); won != 1 || len(leaves) != 1 {
		t.Errorf("%d approvals, leaves %v", won, leaves)
	}
}

func TestRefusedAskShowsNothing(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	id := p.caller(t, present)
	ask := ani.NewAsk{Call: id, Purpose: ani.PurposeSupport, Recipient: ani.RecipientVendor, Why: "no sound"}
	a := ok(p.Ask(t.Context(), city, ask, omar))(t)
	if a.State != ani.AskPending || a.Row != "D19" {
		t.Fatalf("ask %+v", a)
	}
	_, err := p.Approve(t.Context(), city, a.ID, omar)
	fails(t, "the vendor approves itself", err, ani.ErrNotPermitted)
	if got := ok(p.Refuse(t.Context(), city, a.ID, dana))(t); got.State != ani.AskRefused {
		t.Errorf("it is %s", got.State)
	}
	_, err = p.Reveal(t.Context(), city, a.ID, omar)
	fails(t, "reveal what was refused", err, ani.ErrState)

	b := ok(p.Ask(t.Context(), city, ask, omar))(t)
	p.now = p.now.Add(72 * time.Hour)
	_, err = p.Approve(t.Context(), city, b.ID, dana)
	fails(t, "approve after three days", err, ani.ErrState)

	c := ok(p.Ask(t.Context(), city, ask, omar))(t)
	ok(p.Approve(t.Context(), city, c.ID, dana))(t)
	if r := ok(p.Reveal(t.Context(), city, c.ID, omar))(t); r.Value.Reveal() != "+12125550142" || r.Row != "D19" {
		t.Errorf("revealed %+v", r)
	}
}

// The other papers, each with its nearest neighbour.
func TestOtherPapers(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	p.wide(t)
	id, unnamed := p.caller(t, present), p.caller(t, present)
	take := func(form ani.PaperForm, verify bool) string {
		n := warrant(p, id)
		n.Form, n.Trunk, n.Nondisclosure = form, "carrier-a", true
		paper := ok(p.TakePaper(t.Context(), city, n, dana))(t)
		if verify {
			ok(p.VerifyPaper(t.Context(), city, paper.ID, rita))(t)
		}
		return paper.ID
	}
	forbidden := false
	for _, c := range []struct {
		purpose     ani.Purpose
		to          ani.Recipient
		paper       string
		row, denied string
		state       ani.AskState
	}{
		{ani.PurposeExigency, ani.RecipientPolice, take(ani.PaperExigency, false), "D26", "D28", ani.AskPending},
		{ani.PurposePublicRecords, ani.RecipientPublic, take(ani.PaperRecords, true), "D29", "D29", ani.AskPending},
		{ani.PurposeTrouble, ani.RecipientTrunk, take(ani.PaperTicket, true), "D18", "D18", ani.AskGranted},
	} {
		ask := ani.NewAsk{Call: id, Purpose: c.purpose, Recipient: c.to, Ref: c.paper}
		if a := ok(p.Ask(t.Context(), city, ask, dana))(t); a.Row != c.row || a.State != c.state {
			t.Errorf("%s: %s by %s, want %s by %s", c.purpose, a.State, a.Row, c.state, c.row)
		}
		ask.Call = unnamed
		if a := ok(p.Ask(t.Context(), city, ask, dana))(t); a.Row != c.denied || a.State != ani.AskDenied {
			t.Errorf("%s, a call that it does not name: %s by %s", c.purpose, a.State, a.Row)
		}
		ask.Call, ask.Ref = id, ""
		if a := ok(p.Ask(t.Context(), city, ask, dana))(t); a.State != ani.AskDenied {
			t.Errorf("%s without a paper: %s by %s", c.purpose, a.State, a.Row)
		}
	}
	// A finding that nobody else has signed is none, and neither is a carrier's ticket.
	for ask, by := range map[ani.NewAsk]ani.Person{
		{Call: id, Purpose: ani.PurposePublicRecords, Recipient: ani.RecipientPublic, Ref: take(ani.PaperRecords, false)}: rita,
		{Call: id, Purpose: ani.PurposeTrouble, Recipient: ani.RecipientTrunk, Ref: take(ani.PaperTicket, false)}:         dana,
	} {
		if a := ok(p.Ask(t.Context(), city, ask, by))(t); a.State != ani.AskDenied {
			t.Errorf("%s on an unsigned paper: %s by %s", ask.Purpose, a.State, a.Row)
		}
	}
	for _, n := range ok(p.Notices(t.Context(), city, "", 99))(t) {
		forbidden = forbidden || n.About == ani.NoticeDenied && !n.TellSubject
	}
	if !forbidden {
		t.Error("the subject may be told, against the paper")
	}
	p.leaves(t, "")
}

// A paper is for its own purpose and for those whose office it is: a warrant is no trouble ticket, and no agent's.
func TestPaperIsForItsOwnPurposeAndOffice(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	p.wide(t)
	id := p.caller(t, present)
	paper := ok(p.TakePaper(t.Context(), city, warrant(p, id), dana))(t)
	ok(p.VerifyPaper(t.Context(), city, paper.ID, rita))(t)
	ticket := ani.NewAsk{Call: id, Purpose: ani.PurposeTrouble, Recipient: ani.RecipientTrunk, Ref: paper.ID}
	if a := ok(p.Ask(t.Context(), city, ticket, dana))(t); a.State != ani.AskDenied {
		t.Errorf("a warrant as a ticket: %s by %s", a.State, a.Row)
	}
	for _, by := range []ani.Person{ana, sam, omar} {
		if a := ok(p.Ask(t.Context(), city, toPolice(id, paper.ID), by))(t); a.State != ani.AskDenied || a.Row != "D47" {
			t.Errorf("%s: %s by %s", by.Actor, a.State, a.Row)
		}
	}
}
