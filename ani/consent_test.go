package ani_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"callhall/ani"
	"callhall/call"
)

// disclose is what a privacy officer asks for under a written consent.
func toGasWorks(id call.ID) ani.NewAsk {
	return ani.NewAsk{Call: id, Purpose: ani.PurposeDisclosure, Recipient: ani.RecipientPrivate, To: "gas works", Why: "they asked at 212 555 0142"}
}

func TestWrittenConsentFromEntryToRecall(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	p.wide(t)
	id := p.caller(t, present)
	c := ok(p.EnterConsent(t.Context(), city, p.written(t, ani.PurposeDisclosure), dana))(t)
	p.said(t, ani.KindConsent, map[string]string{"entry": c.ID, "act": "entered", "kind": "written", "evidence": evidence})

	a := ok(p.Ask(t.Context(), city, toGasWorks(id), dana))(t)
	if a.State != ani.AskGranted || a.Row != "D38" || hasNumber(a.Why) {
		t.Fatalf("ask %+v", a)
	}
	waiting := ok(p.Ask(t.Context(), city, toGasWorks(id), paul))(t)
	r := ok(p.Reveal(t.Context(), city, a.ID, dana))(t)
	if r.Value.Reveal() != "+12125550142" || r.Statement == "" || r.CloseAfter != 0 {
		t.Errorf("revealed %+v", r)
	}
	p.said(t, ani.KindRelease, map[string]string{"row": "D38", "result": "FULL", "consent": "written", "ref": c.ID, "release": string(r.Release)})

	ok(p.WithdrawConsent(t.Context(), city, c.ID, dana))(t)
	recalls := ok(p.Recalls(t.Context(), city, "", 9))(t)
	if len(recalls) != 1 || recalls[0].Release != r.Release || recalls[0].To != "gas works" || recalls[0].State != "open" || recalls[0].Message == "" {
		t.Fatalf("recalls %+v", recalls)
	}
	p.said(t, ani.KindRecall, map[string]string{"act": "made", "release": string(r.Release), "because": "withdrawn"})
	if a := ok(p.AskOf(t.Context(), city, waiting.ID))(t); a.State != ani.AskRecalled {
		t.Errorf("what was granted and not revealed is %s", a.State)
	}
	_, err := p.Reveal(t.Context(), city, waiting.ID, paul)
	fails(t, "reveal after the recall", err, ani.ErrState)
	p.told(t, ani.NoticeRecall, recalls[0].ID)
	// To withdraw again finishes what was begun, and makes nothing twice.
	ok(p.WithdrawConsent(t.Context(), city, c.ID, dana))(t)
	if again := ok(p.Recalls(t.Context(), city, "", 9))(t); len(again) != 1 {
		t.Errorf("%d recalls", len(again))
	}
	if a := ok(p.Ask(t.Context(), city, toGasWorks(id), dana))(t); a.State != ani.AskDenied {
		t.Errorf("asked after the withdrawal: %s", a.State)
	}
	d := ok(p.RecallDelivered(t.Context(), city, recalls[0].ID, rita))(t)
	if d.State != "delivered" || d.Delivered.Actor != rita.Actor {
		t.Errorf("delivered %+v", d)
	}
}

// The nearest neighbours of a consent that holds.
func TestConsentCoversNothingElse(t *testing.T) {
	for name, change := range map[string]func(*privacyOffice, *ani.NewConsent, *ani.NewAsk){
		"another purpose": func(_ *privacyOffice, c *ani.NewConsent, _ *ani.NewAsk) {
			c.Purposes = []ani.Purpose{ani.PurposeMarketing}
		},
		"another recipient": func(_ *privacyOffice, c *ani.NewConsent, _ *ani.NewAsk) {
			c.Recipients = []ani.Recipient{ani.RecipientGateway}
		},
		"another party":  func(_ *privacyOffice, _ *ani.NewConsent, a *ani.NewAsk) { a.To = "Water Works" },
		"no party":       func(_ *privacyOffice, _ *ani.NewConsent, a *ani.NewAsk) { a.To = "" },
		"another number": func(_ *privacyOffice, c *ani.NewConsent, _ *ani.NewAsk) { c.Number = typed(t, "+1 212 555 0143") },
		"not yet":        func(_ *privacyOffice, c *ani.NewConsent, _ *ani.NewAsk) { c.From = c.From.Add(time.Hour) },
		"over": func(p *privacyOffice, c *ani.NewConsent, _ *ani.NewAsk) {
			c.From = p.now.Add(-2 * time.Hour)
			c.Until = p.now
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPrivacyOffice(t, ani.OfficeConfig{})
			p.wide(t)
			id := p.caller(t, present)
			c, a := p.written(t, ani.PurposeDisclosure), toGasWorks(id)
			change(p, &c, &a)
			ok(p.EnterConsent(t.Context(), city, c, dana))(t)
			if got := ok(p.Ask(t.Context(), city, a, dana))(t); got.State != ani.AskDenied {
				t.Errorf("%s by %s", got.State, got.Row)
			}
			p.said(t, ani.KindRelease, map[string]string{"result": "DENY"})
		})
	}
}

func TestConsentOfOneCityIsNoneOfAnother(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	p.wide(t)
	id := p.caller(t, present)
	c := ok(p.EnterConsent(t.Context(), other, p.written(t, ani.PurposeDisclosure), dana))(t)
	if a := ok(p.Ask(t.Context(), city, toGasWorks(id), dana))(t); a.State != ani.AskDenied {
		t.Errorf("another city's consent: %s", a.State)
	}
	_, err := p.Consent(t.Context(), city, c.ID)
	fails(t, "read across", err, ani.ErrNotFound)
	_, err = p.WithdrawConsent(t.Context(), city, c.ID, dana)
	fails(t, "withdraw across", err, ani.ErrNotFound)
}

func TestEnteringAConsentIsChecked(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	for name, change := range map[string]func(*ani.NewConsent){
		"continued use": func(c *ani.NewConsent) { c.Kind = "use" },
		"verbal": func(c *ani.NewConsent) {
			c.Kind, c.Purposes = ani.ConsentVerbal, []ani.Purpose{ani.PurposeServiceRequest}
		},
		"none":           func(c *ani.NewConsent) { c.Kind = ani.ConsentNone },
		"no number":      func(c *ani.NewConsent) { c.Number = ani.Entered{} },
		"no subscriber":  func(c *ani.NewConsent) { c.Subscriber = "" },
		"any purpose":    func(c *ani.NewConsent) { c.Purposes = []ani.Purpose{ani.PurposeRouting} },
		"no purpose":     func(c *ani.NewConsent) { c.Purposes = nil },
		"no recipient":   func(c *ani.NewConsent) { c.Recipients = nil },
		"no evidence":    func(c *ani.NewConsent) { c.Evidence.SHA256 = "yes" },
		"kept nowhere":   func(c *ani.NewConsent) { c.Evidence.Kept = "" },
		"no end":         func(c *ani.NewConsent) { c.Until = time.Time{} },
		"eleven years":   func(c *ani.NewConsent) { c.Until = c.From.Add(11 * 366 * 24 * time.Hour) },
		"without notice": func(c *ani.NewConsent) { c.Kind, c.Purposes = ani.ConsentAffirmative, []ani.Purpose{ani.PurposeLookup} },
		"for anybody":    func(c *ani.NewConsent) { c.Parties = nil },
		"for anybody to sell": func(c *ani.NewConsent) {
			c.Purposes, c.Parties = []ani.Purpose{ani.PurposeNotice, ani.PurposeMarketing}, nil
		},
		"for any who act for the subject": func(c *ani.NewConsent) {
			c.Purposes, c.Parties = []ani.Purpose{ani.PurposeSubjectRights}, nil
		},
		"for a blank": func(c *ani.NewConsent) { c.Parties = []string{"Gas Works", " "} },
		"a long name": func(c *ani.NewConsent) { c.Subscriber = strings.Repeat("a", 1001) },
	} {
		c := p.written(t, ani.PurposeDisclosure)
		change(&c)
		_, err := p.EnterConsent(t.Context(), city, c, dana)
		fails(t, name, err, ani.ErrIncomplete)
	}
	for _, by := range []ani.Person{ana, sam, rita, omar, {}} {
		_, err := p.EnterConsent(t.Context(), city, p.written(t, ani.PurposeDisclosure), by)
		fails(t, string(by.Role), err, ani.ErrNotPermitted)
	}
	if l := p.book.take(city); len(l) != 0 {
		t.Errorf("leaves %v", l)
	}
}

// A retried request enters nothing twice; the same key for another request is refused.
func TestConsentIsEnteredOnce(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	c := p.written(t, ani.PurposeDisclosure)
	c.Key = "k1"
	first := ok(p.EnterConsent(t.Context(), city, c, dana))(t)
	p.restart(t)
	again := ok(p.EnterConsent(t.Context(), city, c, dana))(t)
	if again.ID != first.ID || len(p.leaves(t, ani.KindConsent)) != 1 || len(ok(p.Consents(t.Context(), city, "", 9))(t)) != 1 {
		t.Errorf("%s and %s", first.ID, again.ID)
	}
	c.Number = typed(t, "+1 212 555 0143")
	_, err := p.EnterConsent(t.Context(), city, c, dana)
	fails(t, "another number under the key", err, ani.ErrReused)
	if paul := ok(p.EnterConsent(t.Context(), city, c, paul))(t); paul.ID == first.ID {
		t.Error("a key of one person is another's too")
	}
}

// No view has digits, in whatever text they were written.
func TestConsentIsShownWithoutNumbers(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	c := p.written(t, ani.PurposeDisclosure)
	c.Subscriber, c.Evidence.Kept, c.Parties = "Ana (212) 555-0142", "under +1 212.555.0142", []string{"2125550142 Ltd."}
	e := ok(p.EnterConsent(t.Context(), city, c, dana))(t)
	text, err := json.Marshal(e)
	if err != nil || hasNumber(string(text)+fmt.Sprintf("%+v", e)) || !strings.Contains(e.Subscriber, "Ana") {
		t.Errorf("%s, %v", text, err)
	}
	p.leaves(t, "")
}

func TestVerbalConsentIsOfTheCallAndItsAgent(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	p.wide(t)
	id, next := p.caller(t, present), p.caller(t, present)
	word := ani.NewVerbalConsent{Call: id, Purposes: []ani.Purpose{ani.PurposeServiceRequest}, Recipients: []ani.Recipient{ani.RecipientCRM}}
	for _, by := range []ani.Person{ben, sam, dana} {
		_, err := p.EnterVerbalConsent(t.Context(), city, word, by)
		fails(t, by.Actor, err, ani.ErrNotPermitted)
	}
	ok(p.EnterVerbalConsent(t.Context(), city, word, ana))(t)
	p.said(t, ani.KindConsent, map[string]string{"act": "entered", "kind": "verbal"})
	ask := ani.NewAsk{Call: id, Purpose: ani.PurposeServiceRequest, Recipient: ani.RecipientCRM}
	a := ok(p.Ask(t.Context(), city, ask, ana))(t)
	if a.State != ani.AskGranted || a.Row != "D22" || a.ExpiresAt.IsZero() {
		t.Errorf("of the call: %+v", a)
	}
	// It is for the city's system, not for the agent's eyes.
	_, err := p.Reveal(t.Context(), city, a.ID, ana)
	fails(t, "shown to the agent", err, ani.ErrNotPermitted)
	if r := ok(p.Deliver(t.Context(), city, a.ID, ana))(t); r.Value.Reveal() != "+12125550142" {
		t.Errorf("delivered %+v", r)
	}
	ask.Call = next
	if a := ok(p.Ask(t.Context(), city, ask, ana))(t); a.State != ani.AskDenied || a.Row != "D23" {
		t.Errorf("the same caller's next call: %+v", a)
	}
	// Whoever has hung up says nothing any more.
	p.drop(next)
	word.Call = next
	_, err = p.EnterVerbalConsent(t.Context(), city, word, ana)
	fails(t, "after the call", err, ani.ErrNotPermitted)
	// Verbal consent is never enough for disclosure.
	word.Purposes = []ani.Purpose{ani.PurposeDisclosure}
	_, err = p.EnterVerbalConsent(t.Context(), city, word, ana)
	fails(t, "disclosure", err, ani.ErrIncomplete)
}

// What was collected before a notice and an affirmative consent was collected without.
func TestAffirmativeConsentIsForLaterCalls(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	early := p.caller(t, present)
	p.now = p.now.Add(time.Minute)
	c := p.written(t, ani.PurposeNotice)
	c.Kind, c.Notice, c.Parties = ani.ConsentAffirmative, "2026-a", nil
	ok(p.EnterConsent(t.Context(), city, c, dana))(t)
	p.now = p.now.Add(time.Minute)
	late := p.caller(t, present)
	for id, want := range map[call.ID]ani.AskState{early: ani.AskDenied, late: ani.AskGranted} {
		a := ok(p.Ask(t.Context(), city, ani.NewAsk{Call: id, Purpose: ani.PurposeNotice, Recipient: ani.RecipientGateway}, sam))(t)
		if a.State != want {
			t.Errorf("%s by %s, want %s", a.State, a.Row, want)
		}
	}
}

// What was released by consent is recalled when the number is erased too (O10), and erased it is.
func TestErasedNumberIsRecalled(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	p.wide(t)
	id, unasked := p.caller(t, present), p.caller(t, present)
	p.Over(city, id)
	p.release(t, live(city, unasked))
	ok(p.EnterConsent(t.Context(), city, p.written(t, ani.PurposeDisclosure), dana))(t)
	a := ok(p.Ask(t.Context(), city, toGasWorks(id), dana))(t)
	r := ok(p.Reveal(t.Context(), city, a.ID, dana))(t)
	p.now = p.now.Add(ani.KeepFor)
	for range 2 {
		ok(p.Expire(t.Context()))(t)
		recalls := ok(p.Recalls(t.Context(), city, "", 9))(t)
		if len(recalls) != 1 || recalls[0].Release != r.Release || recalls[0].Because != ani.RecallErased {
			t.Errorf("recalls %+v", recalls)
		}
	}
	p.leaves(t, "")
}
