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
				if ev.Offer.Fence == o.Fence && ev.Offer.Agent == o.Agent {
					return c.rang(ctx, o, ev)
				}
				c.discard(ctx, ev) // of an earlier offer
			case Rescinded:
				if ev.Offer.Fence == o.Fence {
					c.offer = nil // no longer ours to settle; the ringing ends with an error
					stopRinging()
				}
			case LegEnded:
				if ev.Leg == callerLeg {
					return c.callerLeft(ev.Cause)
				}
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
			breathe(ctx, shortage)
		}
		if !c.inbox.Put(Rang{Offer: o, Leg: answered, Err: err}) && answered != nil {
			answered.HangUp(CauseNormal)
		}
	})
	return stop
}

// shortage is how long a call waits before it offers itself again when we lacked something to ring with.
const shortage = 2 * time.Second

// breathe waits that long, or for ctx.
func breathe(ctx context.Context, pause time.Duration) {
	t := time.NewTimer(pause)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// rang acts on the end of the offer's ringing: to talk, or back in line.
func (c *Call) rang(ctx context.Context, o Offer, ev Rang) phase {
	switch {
	case c.offer == nil: // rescinded meanwhile; an answer that crossed it is hung up
		c.note(Moment{What: WhatOfferOver, Agent: o.Agent, Detail: string(OfferRescinded)})
		c.discard(ctx, ev)
		return queued
	case ev.Err != nil:
		return c.unanswered(ctx, o, ev.Err)
	case !c.settle(ctx, OfferAccepted): // the claim lapsed while it rang: this agent may be another's by now
		c.discard(ctx, ev)
		return queued
	}
	c.seat(ev.Leg)
	if !c.callerHere() {
		return c.dialCaller(ctx)
	}
	return c.join(ctx)
}

// unanswered goes on after an offer that was not taken.
func (c *Call) unanswered(ctx context.Context, o Offer, err error) phase {
	if ctx.Err() != nil {
		return c.stopped(ctx)
	}
	if errors.Is(err, ErrUnavailable) {
		c.log.Error("agent not rung", "agent", o.Agent, "err", err)
	}
	c.settle(ctx, outcome(err))
	if !c.callerHere() && errors.Is(err, ErrRejected) {
		return c.over(EndNoCallbackAgent, "", CauseRejected)
	}
	return queued
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
