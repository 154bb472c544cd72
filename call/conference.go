package call

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// A guest is somebody outside who is on the call.
type guest struct {
	Leg
	*transfer // how they came to be here
}

// host is the guest to whom the caller was handed over, or nil. An interpreter is nobody's host.
func (c *Call) host() *guest {
	for i := range c.guests {
		if c.guests[i].partner.Kind != PartnerInterpreter {
			return &c.guests[i]
		}
	}
	return nil
}

// invited tells whether that partner is on the call.
func (c *Call) invited(id PartnerID) bool {
	return slices.ContainsFunc(c.guests, func(g guest) bool { return g.partner.ID == id })
}

// welcome lets a guest in.
func (c *Call) welcome(g guest) {
	c.guests = append(c.guests, g)
	if c.agent != nil {
		c.note(Moment{What: WhatThirdParty, Leg: g.ID(), Detail: g.to()})
	}
	c.arrangeSound()
}

// stuck says that a notice has not been heard to its end in time.
type stuck struct{ leg LegID }

func (stuck) event() {}

// stuckAfter tells the call when a notice of that length takes too long on a leg.
func (c *Call) stuckAfter(length time.Duration, leg LegID) *time.Timer {
	return time.AfterFunc(length+noticeSlack, func() { c.inbox.Put(stuck{leg}) })
}

// errUntold is why an interpreter is not let in.
var errUntold = errors.New("could not be told that the call is recorded")

// greet tells an interpreter who has answered that the call is recorded, where it is, and lets them in after that.
func (c *Call) greet(ctx context.Context, party Leg) phase {
	t := c.transfer
	party.Attach(c.inbox)
	if c.notice.HeardAt.IsZero() || !c.record.TransferredAt.IsZero() { // not recorded, or no more
		t.stop()
		c.transfer = nil
		c.welcome(guest{party, t})
		return c.company(ctx)
	}
	sound, err := c.Prompts.Notice(c.arrival.City, c.arrival.Language)
	t.party, t.stuck = party, c.stuckAfter(sound.Length, t.leg)
	if err == nil {
		err = party.Play(sound.Prompt)
	}
	if err != nil {
		c.log.Error("interpreter not told of the recording", "partner", t.partner.ID, "err", err)
		return c.transferFailed(ctx, errUntold.Error(), err)
	}
	return c.company(ctx)
}

// greeted lets in an interpreter who has heard the notice to its end.
func (c *Call) greeted(ev Played) {
	t := c.transfer
	if t == nil || t.party == nil || ev.Leg != t.leg {
		return
	}
	c.note(Moment{What: WhatNotice, Leg: t.leg, Detail: ev.Prompt.Name + " in " + ev.Prompt.Language})
	t.stop()
	t.stuck.Stop()
	c.transfer = nil
	party := t.party
	t.party = nil
	c.welcome(guest{party, t})
}

// notGreeted goes on without an interpreter who has not heard the notice in time.
func (c *Call) notGreeted(ctx context.Context, ev stuck) phase {
	if t := c.transfer; t != nil && t.party != nil && t.leg == ev.leg {
		return c.transferFailed(ctx, "did not hear the notice", nil)
	}
	return c.company(ctx)
}

// guestLeft goes on without a guest. When it is the one to whom the caller was handed over, the call ends with them,
// or goes back to where it can be carried on if they did not mean to leave.
func (c *Call) guestLeft(ctx context.Context, i int, cause Cause) phase {
	g := c.guests[i]
	c.part()
	c.guests = slices.Delete(c.guests, i, i+1)
	c.letGo(g, cause)
	host := g.partner.Kind != PartnerInterpreter
	if host && c.agent == nil && cause == CauseNormal {
		return c.over(EndTransferred, g.ID(), cause)
	}
	c.note(Moment{What: WhatLeft, Leg: g.ID(), Detail: g.to() + ": " + string(cause)})
	if g.partner.Kind == PartnerPSAP && cause != CauseNormal {
		c.dropTransfer() // whatever it is, it gives way
		c.transfer = g.transfer
		c.arrangeSound()
		return c.transferFailed(ctx, "lost: "+string(cause), fmt.Errorf("leg lost: %s", cause))
	}
	c.arrangeSound()
	return c.company(ctx)
}

// dropGuests sends everybody from outside home.
func (c *Call) dropGuests() {
	if len(c.guests) == 0 {
		return
	}
	c.part()
	for _, g := range c.guests {
		c.letGo(g, CauseNormal)
	}
	c.guests = nil
}

// letGo hangs up a leg and keeps what its sound was like.
func (c *Call) letGo(l Leg, cause Cause) {
	delete(c.heldBy, l.ID())
	l.Listen(nil)
	c.record.Quality[l.ID()] = l.Quality()
	l.HangUp(cause)
}

// parties are those who are on the call and may hear each other, the caller first.
func (c *Call) parties() []Leg {
	var on []Leg
	if c.callerHere() {
		on = append(on, c.caller)
	}
	if c.agent != nil {
		on = append(on, c.agent)
	}
	for _, g := range c.guests {
		on = append(on, g.Leg)
	}
	return on
}

// accompanied tells whether somebody is with the caller, or was and a transfer goes on.
func (c *Call) accompanied() bool {
	return c.agent != nil && !c.joinedAt.IsZero() || len(c.guests) > 0 || c.transfer != nil
}

// arrangeSound lets everybody hear everybody. Who holds is out of it; somebody who is left with nobody to hear gets
// music, or a ringing tone where somebody is being called.
func (c *Call) arrangeSound() {
	c.part()
	all := c.parties()
	hear := slices.DeleteFunc(slices.Clone(all), func(l Leg) bool { return c.heldBy[l.ID()] })
	c.countHold(len(hear) < len(all))
	for _, l := range all {
		if c.heldBy[l.ID()] {
			c.playTo(l, Prompt{})
		}
	}
	switch {
	case len(hear) > 1:
		c.connect(hear)
	case len(hear) == 1 && len(all) == 1:
		c.playRinging(hear[0])
	case len(hear) == 1:
		c.playTo(hear[0], c.music())
	}
}

// connect lets these hear each other. Where more than two cannot be, the caller and who came last hear each other: it is
// for the caller that somebody came. Legs that cannot be joined at all stay up, and the log says why.
func (c *Call) connect(hear []Leg) {
	if c.mixed = hear; len(hear) > 2 {
		err := confer(hear)
		if err == nil {
			return
		}
		c.noSound("no conference, caller and last party joined", err, "legs", len(hear))
		c.part()
		c.mixed = []Leg{hear[0], hear[len(hear)-1]}
	}
	if err := c.mixed[0].Join(c.mixed[1]); err != nil {
		c.noSound("legs not joined", err)
	}
}

// noSound logs that a party hears less than it should, which is the operator's to mend. A leg that has ended in the
// meantime is no fault: its LegEnded is on the way.
func (c *Call) noSound(what string, err error, args ...any) {
	if !errors.Is(err, ErrLegGone) {
		c.log.Error(what, append(args, "err", err)...)
	}
}

// errNoConference is why legs cannot be connected with more than one other.
var errNoConference = errors.New("this leg can be joined with one other only")

func confer(legs []Leg) error {
	first, can := legs[0].(Conferrer)
	if !can {
		return errNoConference
	}
	return first.Confer(legs[1:]...)
}

// part lets nobody hear anybody.
func (c *Call) part() {
	for _, l := range c.mixed {
		l.Part()
	}
	c.mixed = nil
}

// music is what somebody hears who waits.
func (c *Call) music() Prompt {
	return Prompt{Name: promptHold, Language: c.arrival.Language, Loop: true}
}

// playTo plays p to a party. A sound that cannot be played leaves silence.
func (c *Call) playTo(l Leg, p Prompt) {
	if err := l.Play(p); err != nil {
		c.noSound("prompt not played", err, "leg", l.ID(), "prompt", p.Name, "language", p.Language)
	}
}

// playRinging plays a ringing tone to a party, or music where there is none: never nothing.
func (c *Call) playRinging(l Leg) {
	if err := l.Play(Prompt{Name: promptRinging, Language: c.arrival.Language, Loop: true}); err != nil {
		c.playTo(l, c.music())
	}
}

// held acts on a hold or its end, by anybody and at any time.
func (c *Call) held(ev LegHeld) {
	if c.heldBy[ev.Leg] == ev.Held || !c.known(ev.Leg) {
		return // a session refresh says it again, or a leg that is gone
	}
	what := WhatResumed
	if ev.Held {
		what = WhatHeld
		c.heldBy[ev.Leg] = true
	} else {
		delete(c.heldBy, ev.Leg)
	}
	c.note(Moment{What: what, Leg: ev.Leg})
	if c.accompanied() {
		c.arrangeSound()
	}
}

// known tells whether a leg is a party, or about to be one.
func (c *Call) known(leg LegID) bool {
	if c.transfer != nil && c.transfer.leg == leg {
		return true
	}
	return slices.ContainsFunc(c.parties(), func(l Leg) bool { return l.ID() == leg })
}

// countHold counts the time during which somebody holds while caller and agent talk, and leaves it out of the recording.
func (c *Call) countHold(held bool) {
	if held && c.agent != nil {
		c.startHold()
	} else {
		c.endHold()
	}
}

// startHold begins to count a hold, unless one is being counted.
func (c *Call) startHold() {
	if !c.heldAt.IsZero() {
		return
	}
	c.heldAt = time.Now()
	if c.recording != nil {
		c.recording.Pause()
	}
}

// endHold counts the time that a hold took, if there was one.
func (c *Call) endHold() {
	if c.heldAt.IsZero() {
		return
	}
	c.record.Holding += time.Since(c.heldAt)
	c.heldAt = time.Time{}
	if c.recording != nil {
		c.recording.Resume()
	}
}
