package ani_test

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"callhall/ani"
	"callhall/call"
)

func (p *privacyOffice) dial(t *testing.T, handle string, by string) (string, error) {
	t.Helper()
	v, err := p.Destination(t.Context(), city, handle, call.NewID(), by, "carrier-1")
	return v.Reveal(), err
}

func TestHandleOfADroppedCall(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	id := p.caller(t, present)
	p.drop(id)
	p.now = p.now.Add(10 * time.Minute)
	h := ok(p.GiveHandle(t.Context(), city, id, ana))(t)
	if !call.ValidID("hdl", h.Handle) || h.Row != "D09" || !h.Until.Equal(p.now.Add(20*time.Minute)) || h.Agent != "ana" {
		t.Fatalf("handle %+v", h)
	}
	if again := ok(p.GiveHandle(t.Context(), city, id, ana))(t); again.Handle != h.Handle {
		t.Error("asked again, another handle")
	}
	if l := p.leaves(t, ani.KindHandle); len(l) != 1 || l[0].Facts["act"] != "given" {
		t.Errorf("leaves %v", l)
	}
	for name, by := range map[string]string{"another agent": "agent:ben", "the engine": "engine", "nobody": ""} {
		got, err := p.dial(t, h.Handle, by)
		fails(t, name, err, ani.ErrHandle)
		if got != "" {
			t.Errorf("%s got %s", name, got)
		}
	}
	_, err := p.Destination(t.Context(), other, h.Handle, call.NewID(), "agent:ana", "carrier-1")
	fails(t, "another city", err, ani.ErrHandle)
	p.restart(t)
	if got := ok(p.dial(t, h.Handle, "agent:ana"))(t); got != "+12125550142" {
		t.Errorf("dialled %q", got)
	}
	p.said(t, ani.KindRelease, map[string]string{"row": "D09", "result": "HANDLE"})
	ok(p.dial(t, h.Handle, "agent:ana"))(t)
	ok(p.dial(t, h.Handle, "agent:ana"))(t)
	_, err = p.dial(t, h.Handle, "agent:ana")
	fails(t, "a fourth try", err, ani.ErrHandle)
}

func TestHandleDies(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	id := p.caller(t, present)
	p.drop(id)
	h := ok(p.GiveHandle(t.Context(), city, id, ana))(t)
	p.now = p.now.Add(30*time.Minute - 1)
	ok(p.dial(t, h.Handle, "agent:ana"))(t)
	p.now = p.now.Add(1)
	_, err := p.dial(t, h.Handle, "agent:ana")
	fails(t, "after its window", err, ani.ErrHandle)

	next := p.caller(t, present)
	p.drop(next)
	h = ok(p.GiveHandle(t.Context(), city, next, ana))(t)
	ok(0, p.HandleDone(t.Context(), city, h.Handle))(t)
	_, err = p.dial(t, h.Handle, "agent:ana")
	fails(t, "after the caller was reached", err, ani.ErrHandle)
	if again := ok(p.GiveHandle(t.Context(), city, next, ana))(t); again.Handle == h.Handle {
		t.Error("a handle that is done with was given again")
	}
}

// A handle of a call that is going on is for its being cut off, and for nothing else.
func TestHandleOfALiveCall(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	id := p.caller(t, present)
	h := ok(p.GiveHandle(t.Context(), city, id, ana))(t)
	if h.Row != "D08" {
		t.Errorf("handle %+v", h)
	}
	_, err := p.dial(t, h.Handle, "agent:ana")
	fails(t, "while it goes on", err, ani.ErrHandle)
	p.drop(id)
	ok(p.dial(t, h.Handle, "agent:ana"))(t)
	p.said(t, ani.KindRelease, map[string]string{"row": "D09", "result": "HANDLE", "relation": "dropped"})

	well := p.caller(t, present)
	h = ok(p.GiveHandle(t.Context(), city, well, ana))(t)
	p.drop(well)
	ended := p.calls.of[well]
	ended.Dropped = false
	p.calls.of[well] = ended
	_, err = p.dial(t, h.Handle, "agent:ana")
	fails(t, "after it ended well", err, ani.ErrHandle)
}

func TestHandleOfAWithheldCaller(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	silent, spoken := p.caller(t, withheld), p.caller(t, withheld)
	c := ok(p.EnterVerbalConsent(t.Context(), city, ani.NewVerbalConsent{Call: spoken, Purposes: []ani.Purpose{ani.PurposeDropped},
		Recipients: []ani.Recipient{ani.RecipientAgent}}, ana))(t)
	_, err := p.GiveHandle(t.Context(), city, silent, ana)
	fails(t, "while it goes on", err, ani.ErrNotPermitted)
	p.drop(silent)
	p.drop(spoken)
	p.book.take(city)
	_, err = p.GiveHandle(t.Context(), city, silent, ana)
	fails(t, "without their word", err, ani.ErrNotPermitted)
	p.said(t, ani.KindRelease, map[string]string{"row": "D11", "result": "DENY"})
	h := ok(p.GiveHandle(t.Context(), city, spoken, ana))(t)
	if h.Row != "D10" || !h.Until.Equal(p.now.Add(24*time.Hour)) {
		t.Errorf("handle %+v", h)
	}
	p.now = p.now.Add(23 * time.Hour)
	if got := ok(p.dial(t, h.Handle, "agent:ana"))(t); got != "+12125550142" {
		t.Errorf("dialled %q", got)
	}
	p.said(t, ani.KindRelease, map[string]string{"row": "D10", "consent": "verbal", "ref": c.ID})
	ok(p.WithdrawConsent(t.Context(), city, c.ID, dana))(t)
	p.book.take(city)
	got, err := p.dial(t, h.Handle, "agent:ana")
	if err == nil || got != "" {
		t.Errorf("dialled %q after the withdrawal, %v", got, err)
	}
	p.said(t, ani.KindRelease, map[string]string{"row": "D11", "result": "DENY"})
}

// A callback that the caller asked for by a key.
func TestHandleOfACallback(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	id := p.caller(t, withheld)
	h := ok(p.GiveCallback(t.Context(), city, id, "general"))(t)
	again := ok(p.GiveCallback(t.Context(), city, id, "general"))(t)
	if h.Handle != again.Handle || h.Row != "D49" || h.Queue != "general" || h.Agent != "" {
		t.Fatalf("handles %+v, %+v", h, again)
	}
	p.said(t, ani.KindConsent, map[string]string{"act": "entered", "kind": "verbal", "purposes": "completion-callback"})
	delete(p.calls.of, id)
	p.Over(city, id)
	if got := ok(p.dial(t, h.Handle, "agent:ben"))(t); got != "+12125550142" {
		t.Errorf("dialled %q", got)
	}
	p.said(t, ani.KindRelease, map[string]string{"row": "D49", "result": "HANDLE", "recipient": "ENG", "consent": "verbal"})
	for name, by := range map[string]ani.Person{"an agent who had nothing to do with it": ben, "a supervisor": sam} {
		_, err := p.GiveHandle(t.Context(), city, id, by)
		fails(t, name, err, ani.ErrNotPermitted)
	}
}

// However many dial at once, a handle is good for three tries, and none without the ledger.
func TestTriesOfAHandle(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	id := p.caller(t, present)
	p.drop(id)
	h := ok(p.GiveHandle(t.Context(), city, id, ana))(t)
	p.book.broken = errors.New("disk full")
	if got, err := p.dial(t, h.Handle, "agent:ana"); got != "" || err == nil {
		t.Errorf("dialled %q without a leaf", got)
	}
	p.book.broken = nil
	var dialled atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if v, err := p.Destination(t.Context(), city, h.Handle, call.NewID(), "agent:ana", "carrier-1"); err == nil && v.Reveal() != "" {
				dialled.Add(1)
			}
		})
	}
	all.Wait()
	if n := dialled.Load(); n != 3 {
		t.Errorf("%d dialled", n)
	}
}

// The number because the handle failed is for who has dialled one and reached nobody.
func TestHandleFailedNeedsAHandleThatFailed(t *testing.T) {
	for name, c := range map[string]struct {
		dial, done, live bool
		want             ani.AskState
	}{"never dialled": {want: ani.AskDenied}, "not reached": {dial: true, want: ani.AskGranted}, "reached": {dial: true, done: true, want: ani.AskDenied},
		"still on it": {dial: true, live: true, want: ani.AskDenied}} {
		p := newPrivacyOffice(t, ani.OfficeConfig{})
		id, back := p.caller(t, present), call.NewID()
		p.drop(id)
		h := ok(p.GiveHandle(t.Context(), city, id, ana))(t)
		if c.dial {
			ok(p.Destination(t.Context(), city, h.Handle, back, ana.Actor, "carrier-1"))(t)
		}
		if c.done {
			ok(0, p.HandleDone(t.Context(), city, h.Handle))(t)
		}
		p.calls.of[back] = ani.Handling{Live: c.live}
		ask := cutOff(id)
		ask.Reason = ani.ReasonHandleFailed
		if a := ok(p.Ask(t.Context(), city, ask, ana))(t); a.State != c.want || a.Row != "D09" {
			t.Errorf("%s: %s by %s", name, a.State, a.Row)
		}
	}
}

// The handle of a live call says how long it is good for, and is good for no longer.
func TestHandleOfALiveCallEndsSoonAfterIt(t *testing.T) {
	p := newPrivacyOffice(t, ani.OfficeConfig{})
	id := p.caller(t, present)
	h := ok(p.GiveHandle(t.Context(), city, id, ana))(t)
	if !h.Until.IsZero() || !strings.Contains(h.Ends, "30 minutes after") {
		t.Errorf("handle %+v", h)
	}
	p.drop(id)
	ok(p.dial(t, h.Handle, ana.Actor))(t)
	p.now = p.now.Add(30 * time.Minute)
	_, err := p.dial(t, h.Handle, ana.Actor)
	fails(t, "half an hour later", err, ani.ErrHandle)
}
