package call

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// offering rings one agent while the caller goes on waiting.
func offering(ctx context.Context, c *Call) phase {
	o := *c.offer
	stopRinging := c.ring(ctx, o)
	defer stopRinging()
	for {
		select {
		case ev := <-c.inbox.Events():
			switch ev := ev.(type) {
			case Rang:
				if next := c.rang(ctx, o, ev); next != nil {
					return next
				}
			case Rescinded:
				if ev.Offer.Fence == o.Fence {
					c.offer = nil // no longer ours to settle; the ringing ends with an error
					stopRinging()
				}
			case LegEnded:
				return c.callerLeft(ev.Cause)
			default:
				c.whileWaiting(ctx, ev)
			}
		case <-c.tooLong:
			return c.over(EndMaxLength, "", CauseNormal)
		case <-ctx.Done():
			return c.stopped(ctx)
		}
	}
}

// ring begins to ring the offer's agent beside the call. The answer is a Rang event. The function returned stops it.
func (c *Call) ring(ctx context.Context, o Offer) (stop context.CancelFunc) {
	c.rings++
	c.record.Offers++
	c.note(Moment{What: WhatOffered, Agent: o.Agent, Detail: o.Why})
	c.openRecording(ctx)
	leg := LegID(fmt.Sprintf("agent-%d", c.rings))
	show := Showing{Call: c.arrival.ID, Queue: o.Queue, Language: c.arrival.Language, Caller: c.arrival.Caller,
		Verstat: c.arrival.Verstat, Near: c.caller}
	ctx, stop = context.WithCancel(ctx)
	c.runBeside(func() {
		answered, err := c.Phones.Ring(ctx, o, leg, show)
		if errors.Is(err, ErrUnavailable) {
			breathe(ctx)
		}
		if !c.inbox.Put(Rang{Offer: o, Leg: answered, Err: err}) && answered != nil {
			answered.HangUp(CauseNormal)
		}
	})
	return stop
}

// shortage is how long a call waits before it offers itself again when we lacked something to ring with.
const shortage = 2 * time.Second

// breathe waits for a shortage to pass, or for ctx.
func breathe(ctx context.Context) {
	t := time.NewTimer(shortage)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// rang acts on the end of a ringing: to talk, or back in line. A ringing of an earlier offer has no next phase.
func (c *Call) rang(ctx context.Context, o Offer, ev Rang) phase {
	if ev.Offer.Fence != o.Fence || ev.Offer.Agent != o.Agent {
		c.discard(ctx, ev)
		return nil
	}
	if c.offer == nil { // rescinded meanwhile; an answer that crossed it is hung up
		c.note(Moment{What: WhatOfferOver, Agent: o.Agent, Detail: string(OfferRescinded)})
		c.discard(ctx, ev)
		return queued
	}
	if ev.Err != nil {
		if ctx.Err() != nil {
			return c.stopped(ctx)
		}
		if errors.Is(ev.Err, ErrUnavailable) {
			c.log.Error("agent not rung", "agent", o.Agent, "err", ev.Err)
		}
		c.settle(ctx, outcome(ev.Err))
		return queued
	}
	if !c.settle(ctx, OfferAccepted) { // the claim lapsed while it rang: this agent may be another's by now
		c.discard(ctx, ev)
		return queued
	}
	c.join(ctx, ev.Leg)
	return talking
}

// outcome is the word for an offer that ended without an answer.
func outcome(err error) OfferOutcome {
	switch {
	case errors.Is(err, ErrNoAnswer):
		return OfferTimeout
	case errors.Is(err, ErrRejected):
		return OfferRejected
	case errors.Is(err, ErrUnavailable): // our fault: the agent has missed nothing
		return OfferCanceled
	default:
		return OfferRescinded
	}
}

// join connects caller and agent. From here on the caller is no longer in line.
func (c *Call) join(ctx context.Context, agent Leg) {
	now := time.Now()
	c.placed = false
	c.leave()
	c.agent, c.joinedAt = agent, now
	c.record.Agent = c.offer.Agent
	if c.record.ConnectedAt.IsZero() {
		c.record.ConnectedAt, c.record.Waiting = now, now.Sub(c.record.ArrivedAt)
	}
	c.note(Moment{What: WhatJoined, Leg: agent.ID(), Agent: c.offer.Agent})
	agent.Attach(c.inbox)
	c.caller.Tell(News{Agent: c.offer.Agent})
	c.tap()
	c.arrangeSound()
	c.keepOpenEntry(ctx)
}

// keepOpenEntry lets the open entry know who has answered, beside the call: if this node dies, the record can say so.
func (c *Call) keepOpenEntry(ctx context.Context) {
	r := c.record
	r.Quality = nil // still written to; the timeline only grows
	c.runBeside(func() {
		if err := c.Records.Open(ctx, r); err != nil && ctx.Err() == nil {
			c.log.Warn("open entry does not know the agent", "agent", r.Agent, "err", err)
		}
	})
}

// joinSound lets the two hear each other. A failure is a fault of ours; the legs stay up and the log says why.
func (c *Call) joinSound() {
	if err := c.caller.Join(c.agent); err != nil {
		c.log.Error("legs not joined", "err", err)
	}
}

// tap lets the recording hear both sides, once there is a recording and somebody to hear.
func (c *Call) tap() {
	if c.recording == nil || c.agent == nil {
		return
	}
	c.caller.Listen(c.recording.Caller())
	c.agent.Listen(c.recording.Agent())
	c.note(Moment{What: WhatRecording, Detail: string(c.recording.ID())})
	c.caller.Tell(News{Recorded: true})
}

// talking lasts until either side leaves.
func talking(ctx context.Context, c *Call) phase {
	for {
		select {
		case ev := <-c.inbox.Events():
			switch ev := ev.(type) {
			case LegEnded:
				if ev.Leg == callerLeg {
					return c.callerLeft(ev.Cause)
				}
				if c.agent != nil && ev.Leg == c.agent.ID() {
					return c.agentLeft(ctx, ev.Cause)
				}
			case recordingOpened:
				c.recordingIsOpen(ev)
				c.tap()
			default:
				c.discard(ctx, ev)
			}
		case <-c.tooLong:
			return c.over(EndMaxLength, "", CauseNormal)
		case <-ctx.Done():
			return c.stopped(ctx)
		}
	}
}

// agentLeft ends the call when the agent hung up. An agent whose phone was lost is another matter: the caller did
// nothing wrong and goes back to the place they had.
func (c *Call) agentLeft(ctx context.Context, cause Cause) phase {
	if cause == CauseNormal {
		return c.over(EndAgentHungUp, c.agent.ID(), cause)
	}
	lost := c.record.Agent
	c.endTalk(cause)
	c.settle(ctx, OfferCompleted)
	c.note(Moment{What: WhatPutBack, Agent: lost, Detail: "agent's phone lost: " + string(cause)})
	c.waitFrom = time.Now()
	if err := c.takePlace(ctx, promptResume); err != nil {
		return c.placeRefused(err)
	}
	return queued
}

// maxLength fires when the call has lasted as long as the city allows.
func (c *Call) maxLength() (<-chan time.Time, func()) {
	if c.terms.MaxLength == 0 {
		return nil, func() {}
	}
	t := time.NewTimer(time.Until(c.arrival.At.Add(c.terms.MaxLength)))
	return t.C, func() { t.Stop() }
}

// held acts on a hold or its end, by either side and at any time.
func (c *Call) held(ev LegHeld) {
	if c.heldBy[ev.Leg] == ev.Held {
		return // a session refresh says it again
	}
	what := WhatResumed
	if ev.Held {
		what = WhatHeld
		c.heldBy[ev.Leg] = true
	} else {
		delete(c.heldBy, ev.Leg)
	}
	c.note(Moment{What: what, Leg: ev.Leg})
	if c.agent != nil {
		c.arrangeSound()
	}
}

// arrangeSound lets the two hear each other, or, while either holds, gives the other music and the recording a gap.
func (c *Call) arrangeSound() {
	if len(c.heldBy) == 0 {
		c.endHold()
		c.joinSound()
		return
	}
	c.startHold()
	c.caller.Part()
	c.holdMusic(c.caller)
	c.holdMusic(c.agent)
}

// holdMusic gives a party music if it is the other one who holds, and silence if it holds itself.
func (c *Call) holdMusic(l Leg) {
	music := Prompt{Name: promptHold, Language: c.arrival.Language, Loop: true}
	if c.heldBy[l.ID()] {
		music = Prompt{}
	}
	if err := l.Play(music); err != nil {
		c.log.Error("hold music not played", "leg", l.ID(), "err", err)
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
