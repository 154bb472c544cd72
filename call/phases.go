package call

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Prompts that a call plays, by name.
const (
	promptWait    = "wait"    // once, when the place in line is taken
	promptHold    = "hold"    // looped: music
	promptResume  = "resume"  // the agent was lost and the caller is back in line
	promptRinging = "ringing" // looped: the tone of somebody who is being called
)

// noticeSlack is how much longer than itself a notice may take before the caller's phone is given up on.
const noticeSlack = 10 * time.Second

// arriving answers the call and sees that the caller has heard that the line is recorded.
func arriving(ctx context.Context, c *Call) phase {
	c.note(Moment{What: WhatArrived, Leg: callerLeg, Detail: "dialled " + c.arrival.Entry})
	if c.since != c.arrival.At {
		c.note(Moment{What: WhatRedial, Leg: callerLeg, Detail: "cut off from " + string(c.record.Redial) + ", keeps the place"})
	}
	c.log.Info("call arrived", "trunk", c.arrival.Trunk, "queue", c.arrival.Queue, "caller", c.arrival.Caller)
	c.caller.Attach(c.inbox)
	switch err := c.Queues.Admit(ctx, c.arrival.City, c.arrival.Queue); {
	case errors.Is(err, ErrQueueFull):
		return c.over(EndQueueFull, "", CauseBusy)
	case err != nil:
		c.log.Error("call not admitted", "queue", c.arrival.Queue, "err", err)
		return c.over(EndFailed, "", CauseInternal)
	}
	switch err := c.caller.Answer(ctx); {
	case errors.Is(err, ErrLegGone):
		return c.callerLeft(c.whyGone(ctx))
	case errors.Is(err, ErrNoMedia):
		return c.over(EndNoMedia, "", CauseNoMedia)
	case errors.Is(err, ErrUnavailable):
		return c.over(EndOverloaded, "", CauseUnavailable)
	case ctx.Err() != nil:
		return c.stopped(ctx)
	case err != nil:
		c.log.Error("call not answered", "err", err)
		return c.over(EndFailed, "", CauseInternal)
	}
	c.record.AnsweredAt = time.Now()
	c.note(Moment{What: WhatAnswered, Leg: callerLeg})
	c.caller.Tell(News{Call: c.arrival.ID})
	return noticing
}

// whyGone is the cause that a leg has left in the inbox; a leg that says nothing was cancelled.
func (c *Call) whyGone(ctx context.Context) Cause {
	for {
		select {
		case ev := <-c.inbox.Events():
			if ended, ok := ev.(LegEnded); ok {
				return ended.Cause
			}
			c.discard(ctx, ev)
		default:
			return CauseCancelled
		}
	}
}

// noticing plays the notice to its end. Its first sound does not wait for the disk; the open entry is written meanwhile.
func noticing(ctx context.Context, c *Call) phase {
	length, playing := c.playNotice()
	if err := c.Records.Open(ctx, c.record); err != nil {
		c.log.Error("open entry not written", "err", err) // the call goes on: only a crash now would lose its record
	}
	if !playing {
		return queued
	}
	c.listens = c.stuckAfter(length, callerLeg)
	return listening
}

// listening lasts until the notice has been heard.
func listening(ctx context.Context, c *Call) phase {
	switch ev := c.next(ctx).(type) {
	case nil:
		return nil
	case LegEnded:
		return c.callerLeft(ev.Cause)
	case stuck:
		return c.over(EndCallerLost, callerLeg, CauseSilent)
	case Played:
		c.noticeHeard()
		return queued
	default:
		c.discard(ctx, ev)
	}
	return listening
}

// playNotice begins the notice and says how long it is. It reports false where there is none to hear: the call is then
// not recorded.
func (c *Call) playNotice() (time.Duration, bool) {
	if !c.terms.Record {
		return 0, false
	}
	sound, err := c.Prompts.Notice(c.arrival.City, c.arrival.Language)
	if err == nil {
		err = c.caller.Play(sound.Prompt)
	}
	if err != nil {
		c.log.Error("no notice, so no recording", "language", c.arrival.Language, "err", err)
		return 0, false
	}
	c.notice = sound.Proof
	return sound.Length, true
}

// noticeHeard is the moment from which a recording may begin.
func (c *Call) noticeHeard() {
	c.listens.Stop()
	c.notice.HeardAt = time.Now()
	c.note(Moment{What: WhatNotice, Leg: callerLeg, Detail: c.notice.Prompt + " in " + c.notice.Language})
}

// queued keeps the caller company until an agent is offered or the caller leaves.
func queued(ctx context.Context, c *Call) phase {
	if err := c.takePlace(ctx, promptWait); err != nil {
		return c.placeRefused(err)
	}
	waited, cancel := c.maxWait()
	defer cancel()
	for {
		select {
		case ev := <-c.inbox.Events():
			switch ev := ev.(type) {
			case Offered:
				c.offer = &ev.Offer
				return offering
			case LegEnded:
				if ev.Leg == callerLeg {
					return c.callerLeft(ev.Cause)
				}
			default:
				c.whileWaiting(ctx, ev)
			}
		case <-waited:
			return c.waitedOut()
		case <-c.tooLong:
			return c.over(EndMaxLength, "", CauseNormal)
		case <-ctx.Done():
			return c.stopped(ctx)
		}
	}
}

// takePlace puts the call in line by the time its wait began and tells the caller so, unless it is there already.
func (c *Call) takePlace(ctx context.Context, prompt string) error {
	if c.placed {
		return nil
	}
	var place context.Context
	place, c.leave = context.WithCancel(ctx)
	w := Waiting{City: c.arrival.City, Call: c.arrival.ID, Queue: c.arrival.Queue, Since: c.since, Agent: c.awaited()}
	if err := c.Queues.Enqueue(place, w, c.inbox); err != nil {
		c.leave()
		return fmt.Errorf("take a place in queue %s: %w", w.Queue, err)
	}
	c.placed = true
	c.note(Moment{What: WhatQueued, Detail: string(w.Queue)})
	c.playTo(c.caller, Prompt{Name: prompt, Language: c.arrival.Language})
	return nil
}

// placeRefused ends a call that was answered but got no place, because the queue filled up meanwhile or is gone.
func (c *Call) placeRefused(err error) phase {
	if errors.Is(err, ErrQueueFull) {
		return c.over(EndQueueFull, "", CauseBusy)
	}
	c.log.Error("no place in line", "err", err)
	return c.over(EndFailed, "", CauseInternal)
}

// maxWait fires when the caller has waited as long as the queue allows, counted from the start of this wait.
func (c *Call) maxWait() (<-chan time.Time, func()) {
	limit := c.terms.MaxWait
	if !c.callerHere() && (limit == 0 || limit > callbackWait) {
		limit = callbackWait
	}
	if limit == 0 {
		return nil, func() {}
	}
	t := time.NewTimer(time.Until(c.waitFrom.Add(limit)))
	return t.C, func() { t.Stop() }
}

// whileWaiting acts on what may happen to a caller in line that changes nothing about the wait.
func (c *Call) whileWaiting(ctx context.Context, ev Event) {
	switch ev := ev.(type) {
	case Played: // whatever was said, music follows
		c.playTo(c.caller, c.music())
	case Placed:
		c.caller.Tell(News{Queue: ev.Queue, Place: ev.Place})
	default:
		c.discard(ctx, ev)
	}
}

// discard answers an event that this phase has no use for, giving back whatever it carries.
func (c *Call) discard(ctx context.Context, ev Event) {
	switch ev := ev.(type) {
	case Rang:
		if ev.Leg != nil {
			ev.Leg.HangUp(CauseNormal)
		}
	case dialled:
		if ev.party != nil {
			ev.party.HangUp(CauseNormal)
		}
	case transferAsked:
		ev.answer <- ErrNotTalking
	case cancelAsked:
		ev.answer <- ErrNotTalking
	case lookAsked:
		c.show(ev)
	case Offered:
		if err := c.Queues.Settle(ctx, ev.Offer, OfferCanceled); err != nil && !errors.Is(err, ErrStale) {
			c.log.Error("offer not given back", "agent", ev.Offer.Agent, "err", err)
		}
	case recordingOpened:
		c.recordingIsOpen(ctx, ev)
	case LegHeld:
		c.held(ev)
	}
}
