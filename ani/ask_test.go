package ani_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"callhall/ani"
	"callhall/call"
)

var withheld = ani.Headers{Asserted: present.Asserted, Privacy: []string{"id"}}

// cutOff is what an agent asks for after a call that was cut off.
func cutOff(id call.ID) ani.NewAsk {
	return ani.NewAsk{Call: id, Purpose: ani.PurposeDropped, Recipient: ani.RecipientAgent, Reason: ani.ReasonRelay, Case: "SR-22"}
}

func TestDroppedCallIsRevealedOnceToItsAgent(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	id := p.caller(t, present)
	p.drop(id)
	p.now = p.now.Add(10 * time.Minute)
	a := ok(p.Ask(t.Context(), city, cutOff(id), ana))(t)
	if a.State != ani.AskGranted || a.Row != "D09" || !a.ExpiresAt.Equal(p.now.Add(20*time.Minute)) {
		t.Fatalf("ask %+v", a)
	}
	if l := p.leaves(t, ani.KindRelease); len(l) != 0 {
		t.Errorf("asking released: %v", l)
	}
	_, err := p.Reveal(t.Context(), city, a.ID, ben)
	fails(t, "another agent's reveal", err, ani.ErrNotPermitted)
	p.said(t, ani.KindAsk, map[string]string{"entry": a.ID, "act": "not-theirs"})
	_, err = p.Deliver(t.Context(), city, a.ID, ana)
	fails(t, "delivered instead of shown", err, ani.ErrNotPermitted)
	r := ok(p.Reveal(t.Context(), city, a.ID, ana))(t)
	if r.Value.Reveal() != "+12125550142" || r.CloseAfter != 30000 || !strings.Contains(r.Statement, "passed on") || !r.Unverified || !r.Until.Equal(a.ExpiresAt) {
		t.Errorf("revealed %+v", r)
	}
	p.said(t, ani.KindRelease, map[string]string{"row": "D09", "result": "FULL", "reason": "relay", "case": "SR-22", "relation": "dropped",
		"process": "reason", "release": string(r.Release)})
	_, err = p.Reveal(t.Context(), city, a.ID, ana)
	fails(t, "a second reveal", err, ani.ErrState)
	p.said(t, ani.KindRelease, map[string]string{"row": "D09", "result": "DENY", "stopped": "reuse"})
}

func TestDroppedCallNeighbours(t *testing.T) {
	for name, c := range map[string]struct {
		headers ani.Headers
		row     string
		by      ani.Person
		before  func(*privacyOffice, call.ID)
	}{
		"still going on":  {present, "D47", ana, func(*privacyOffice, call.ID) {}},
		"another agent's": {present, "D47", ben, func(p *privacyOffice, id call.ID) { p.drop(id) }},
		"ended well": {present, "D47", ana, func(p *privacyOffice, id call.ID) {
			p.drop(id)
			h := p.calls.of[id]
			h.Dropped = false
			p.calls.of[id] = h
		}},
		"half an hour ago":  {present, "D47", ana, func(p *privacyOffice, id call.ID) { p.drop(id); p.now = p.now.Add(30 * time.Minute) }},
		"withheld":          {withheld, "D11", ana, func(p *privacyOffice, id call.ID) { p.drop(id) }},
		"no number":         {ani.Headers{}, "D42", ana, func(p *privacyOffice, id call.ID) { p.drop(id) }},
		"a supervisor asks": {present, "D47", sam, func(p *privacyOffice, id call.ID) { p.drop(id) }},
		"unknown call":      {present, "D47", ana, func(p *privacyOffice, id call.ID) { delete(p.calls.of, id) }},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPrivacyOffice(t, ani.OfficeConfig{})
			id := p.caller(t, c.headers)
			c.before(p, id)
			a := ok(p.Ask(t.Context(), city, cutOff(id), c.by))(t)
			if a.State != ani.AskDenied || a.Row != c.row {
				t.Errorf("%s by %s, want %s", a.State, a.Row, c.row)
			}
			p.said(t, ani.KindRelease, map[string]string{"result": "DENY", "row": c.row})
			if _, err := p.Reveal(t.Context(), city, a.ID, c.by); !errors.Is(err, ani.ErrState) {
				t.Errorf("revealed: %v", err)
			}
		})
	}
}

// A caller who withholds, and says on the call that they may be called back, is dialled and not shown.
func TestWithheldCallerIsDialledNotShown(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	id := p.caller(t, withheld)
	ok(p.EnterVerbalConsent(t.Context(), city, ani.NewVerbalConsent{Call: id, Purposes: []ani.Purpose{ani.PurposeDropped},
		Recipients: []ani.Recipient{ani.RecipientAgent}}, ana))(t)
	p.drop(id)
	a := ok(p.Ask(t.Context(), city, cutOff(id), ana))(t)
	if a.State != ani.AskDenied || a.Row != "D10" || a.Decision != ani.Handle {
		t.Errorf("%s %s %s", a.State, a.Row, a.Decision)
	}
}

// What the engine may use, nobody can ask for in its name.
func TestNobodyAsksInTheNameOfTheEngine(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	p.wide(t)
	id := p.caller(t, present)
	for _, by := range []ani.Person{ana, sam, dana, rita, omar, {Actor: "x", Role: "owner"}} {
		for _, purpose := range ani.Purposes() {
			for _, to := range []ani.Recipient{ani.RecipientEngine, ani.RecipientPSAP, ani.RecipientOtherCity, ani.RecipientSubject, "me"} {
				a := ani.NewAsk{Call: id, Purpose: purpose, Recipient: to}
				if purpose == ani.PurposeDropped {
					a.Reason = ani.ReasonRelay
				}
				if got := ok(p.Ask(t.Context(), city, a, by))(t); got.State != ani.AskDenied {
					t.Errorf("%s asks for %s to %s: %s by %s", by.Actor, purpose, to, got.State, got.Row)
				}
			}
		}
	}
	p.leaves(t, "")
}

func TestAskingIsChecked(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	id := p.caller(t, present)
	for name, c := range map[string]struct {
		change func(*ani.NewAsk)
		want   error
	}{
		"no reason":        {func(a *ani.NewAsk) { a.Reason = "" }, ani.ErrIncomplete},
		"another reason":   {func(a *ani.NewAsk) { a.Reason = "curious" }, ani.ErrIncomplete},
		"reason elsewhere": {func(a *ani.NewAsk) { a.Purpose = ani.PurposeTrouble }, ani.ErrIncomplete},
		"no call":          {func(a *ani.NewAsk) { a.Call = "2125550142" }, ani.ErrIncomplete},
		"case":             {func(a *ani.NewAsk) { a.Case = "212-555-0142" }, ani.ErrCase},
		"ref":              {func(a *ani.NewAsk) { a.Ref = "2125550142" }, ani.ErrIncomplete},
		"long why":         {func(a *ani.NewAsk) { a.Why = strings.Repeat("x", 1001) }, ani.ErrIncomplete},
	} {
		a := cutOff(id)
		c.change(&a)
		_, err := p.Ask(t.Context(), city, a, ana)
		fails(t, name, err, c.want)
		if err != nil && hasNumber(err.Error()) {
			t.Errorf("%s: the error has the number: %v", name, err)
		}
	}
	_, err := p.Ask(t.Context(), city, cutOff(id), ani.Person{})
	fails(t, "nobody", err, ani.ErrNotPermitted)
}

func TestAskIsMadeOnce(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	id := p.caller(t, present)
	p.drop(id)
	a := cutOff(id)
	a.Key = "retry"
	first := ok(p.Ask(t.Context(), city, a, ana))(t)
	ok(p.Reveal(t.Context(), city, first.ID, ana))(t)
	p.restart(t)
	if again := ok(p.Ask(t.Context(), city, a, ana))(t); again.ID != first.ID || again.State != ani.AskRevealed {
		t.Errorf("again %+v", again)
	}
	a.Case = "SR-23"
	_, err := p.Ask(t.Context(), city, a, ana)
	fails(t, "another case under the key", err, ani.ErrReused)
	_, err = p.AskOf(t.Context(), other, first.ID)
	fails(t, "another city", err, ani.ErrNotFound)
	_, err = p.Reveal(t.Context(), other, first.ID, ana)
	fails(t, "another city's reveal", err, ani.ErrNotFound)
}

func TestGrantedAskExpires(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	id := p.caller(t, present)
	p.drop(id)
	a := ok(p.Ask(t.Context(), city, cutOff(id), ana))(t)
	p.restart(t) // what was granted outlives a restart, and its time does too
	p.now = p.now.Add(30*time.Minute - 1)
	late := ok(p.Ask(t.Context(), city, cutOff(id), ana))(t)
	ok(p.Reveal(t.Context(), city, late.ID, ana))(t)
	p.now = p.now.Add(1)
	if got := ok(p.AskOf(t.Context(), city, a.ID))(t); got.State != ani.AskExpired {
		t.Errorf("it is %s", got.State)
	}
	_, err := p.Reveal(t.Context(), city, a.ID, ana)
	fails(t, "after its time", err, ani.ErrState)
}

// When the ledger cannot take the leaf nothing is shown, and the reveal can be tried again.
func TestRevealWaitsForTheLedger(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	id := p.caller(t, present)
	p.drop(id)
	a := ok(p.Ask(t.Context(), city, cutOff(id), ana))(t)
	p.book.broken = errors.New("disk full")
	r, err := p.Reveal(t.Context(), city, a.ID, ana)
	if !errors.Is(err, p.book.broken) || r.Value.Reveal() != "" {
		t.Fatalf("%+v, %v", r, err)
	}
	if _, err := p.Ask(t.Context(), city, cutOff(id), ana); !errors.Is(err, p.book.broken) {
		t.Errorf("asked without a ledger: %v", err)
	}
	p.book.broken = nil
	if r := ok(p.Reveal(t.Context(), city, a.ID, ana))(t); r.Value.Reveal() == "" {
		t.Error("nothing was revealed after the ledger was back")
	}
}

// Of many reveals at once, in one process and in two, one shows the number.
func TestTwoRevealsShowOne(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	id := p.caller(t, present)
	p.drop(id)
	node := *p
	node.restart(t) // a second process over the same store, ledger and clock
	for range 5 {
		a := ok(p.Ask(t.Context(), city, cutOff(id), ana))(t)
		p.book.take(city)
		var mu sync.Mutex
		shown, all := 0, sync.WaitGroup{}
		for i := range 8 {
			office := []*ani.Office{p.Office, node.Office}[i%2]
			all.Go(func() {
				r, err := office.Reveal(t.Context(), city, a.ID, ana)
				if err != nil && !errors.Is(err, ani.ErrState) {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				if r.Value.Reveal() != "" {
					shown++
				}
			})
		}
		all.Wait()
		full := 0
		for _, l := range p.leaves(t, ani.KindRelease) {
			if l.Facts["result"] == "FULL" {
				full++
			}
		}
		if shown != 1 || full != 1 {
			t.Fatalf("%d shown, %d leaves of it", shown, full)
		}
	}
}

func TestCapOnReveals(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{Caps: map[call.CityID]ani.Caps{city: {PerActor: 2, PerCity: 3}}})
	id := p.caller(t, present)
	h := p.calls.of[id]
	h.Agents = []call.AgentID{"ana", "ben"}
	p.calls.of[id] = h
	p.drop(id)
	reveal := func(by ani.Person) error {
		a := ok(p.Ask(t.Context(), city, cutOff(id), by))(t)
		_, err := p.Reveal(t.Context(), city, a.ID, by)
		return err
	}
	ok(0, errors.Join(reveal(ana), reveal(ana)))(t)
	p.book.take(city)
	fails(t, "her third", reveal(ana), ani.ErrTooMany)
	p.said(t, ani.KindRelease, map[string]string{"row": "D09", "result": "DENY", "stopped": "cap"})
	fails(t, "her fourth", reveal(ana), ani.ErrTooMany)
	if n := ok(p.Notices(t.Context(), city, "", 9))(t); len(n) != 1 || n[0].About != ani.NoticeCap || n[0].Ref != "actor "+p.now.UTC().Truncate(time.Hour).Format(time.RFC3339Nano) {
		t.Errorf("the owner was told %+v", n)
	}
	if !strings.Contains(p.log.String(), "level=ERROR") || hasNumber(p.log.String()) {
		t.Errorf("log %s", p.log)
	}
	if n := alarms(t, p); n != 2 {
		t.Errorf("%v alarms", n)
	}
	p.restart(t)
	fails(t, "after a restart", reveal(ana), ani.ErrTooMany)
	ok(0, reveal(ben))(t)
	fails(t, "the city's fourth", reveal(ben), ani.ErrTooMany)

	next := p.caller(t, present)
	p.now = p.now.Add(time.Hour)
	p.drop(next)
	id = next
	ok(0, reveal(ana))(t)
}

func alarms(t *testing.T, p *privacyOffice) float64 {
	t.Helper()
	all, err := p.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		if m.GetName() == "callhall_ani_alarms_total" {
			return m.GetMetric()[0].GetCounter().GetValue()
		}
	}
	return 0
}

// Whatever is asked, approved and revealed, in whatever order and with a ledger that fails now and then: each number that
// is shown was in the ledger before, under its release, and no request shows it twice.
func TestNothingIsShownWithoutItsLeaf(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	p.wide(t)
	people := []ani.Person{ana, ben, sam, dana, paul, rita, omar}
	broken := errors.New("disk full")
	rapid.Check(t, func(r *rapid.T) {
		id := p.caller(t, []ani.Headers{present, withheld, {}}[rapid.IntRange(0, 2).Draw(r, "caller")])
		if rapid.Bool().Draw(r, "dropped") {
			p.drop(id)
		}
		paper := ok(p.TakePaper(t.Context(), city, warrant(p, id), dana))(t)
		var asked []string
		shown := map[string]int{}
		for range rapid.IntRange(1, 12).Draw(r, "acts") {
			by := rapid.SampledFrom(people).Draw(r, "by")
			p.book.broken = nil
			if rapid.IntRange(0, 4).Draw(r, "ledger") == 0 {
				p.book.broken = broken
			}
			switch rapid.IntRange(0, 4).Draw(r, "act") {
			case 0, 1:
				purpose := rapid.SampledFrom(ani.Purposes()).Draw(r, "purpose")
				a := ani.NewAsk{Call: id, Purpose: purpose, Recipient: rapid.SampledFrom(ani.Recipients()).Draw(r, "to"), Ref: paper.ID}
				if rapid.Bool().Draw(r, "likely") {
					a.Purpose, a.Recipient = ani.PurposeLegalProcess, ani.RecipientPolice
				}
				if a.Purpose == ani.PurposeDropped {
					a.Reason = ani.ReasonRelay
				}
				if got, err := p.Ask(t.Context(), city, a, by); err == nil {
					asked = append(asked, got.ID)
				}
			case 2:
				_, _ = p.VerifyPaper(t.Context(), city, paper.ID, by)
			case 3:
				if len(asked) > 0 {
					_, _ = p.Approve(t.Context(), city, rapid.SampledFrom(asked).Draw(r, "ask"), by)
				}
			case 4:
				if len(asked) == 0 {
					continue
				}
				ask := rapid.SampledFrom(asked).Draw(r, "ask")
				got, err := p.Reveal(t.Context(), city, ask, by)
				if err != nil && got.Value.Reveal() != "" {
					r.Fatalf("an error and a value: %v", err)
				}
				if got.Value.Reveal() == "" {
					continue
				}
				if shown[ask]++; shown[ask] > 1 || !p.inBook(got.Release) {
					r.Fatalf("shown %d times, in the ledger: %v", shown[ask], p.inBook(got.Release))
				}
			}
		}
		p.book.broken = nil
		p.now = p.now.Add(time.Minute)
	})
	p.leaves(t, "")
}

func (p *privacyOffice) inBook(release call.ReleaseID) bool {
	p.book.mu.Lock()
	defer p.book.mu.Unlock()
	for _, l := range p.book.leaves[city] {
		if l.Kind == ani.KindRelease && l.Facts["release"] == string(release) && l.Facts["result"] != "DENY" {
			return true
		}
	}
	return false
}

// No view of a request has digits that somebody wrote.
func TestAskIsShownWithoutNumbers(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	id := p.caller(t, present)
	a := cutOff(id)
	a.Why, a.To = "call 212 555 0142 back", "+1-212-555-0142"
	got := ok(p.Ask(t.Context(), city, a, ana))(t)
	if text := fmt.Sprintf("%+v", got); hasNumber(text) {
		t.Error(text)
	}
	p.leaves(t, "")
}
