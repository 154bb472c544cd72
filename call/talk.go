package call

import (
	"context"
	"time"
)

// seat takes in the agent who has answered. From here on the call is no longer in line.
func (c *Call) seat(agent Leg) {
	c.placed = false
	c.leave()
	c.agent, c.record.Agent = agent, c.offer.Agent
	agent.Attach(c.inbox)
}

// join connects caller and agent.
func (c *Call) join(ctx context.Context) phase {
	now := time.Now()
	c.joinedAt = now
	if c.record.ConnectedAt.IsZero() {
		c.record.ConnectedAt, c.record.Waiting = now, now.Sub(c.record.ArrivedAt)
	}
	c.note(Moment{What: WhatJoined, Leg: c.agent.ID(), Agent: c.offer.Agent})
	c.caller.Tell(News{Agent: c.offer.Agent})
	c.tap()
	c.arrangeSound()
	c.keepOpenEntry(ctx)
	return talking
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

// tap lets the recording hear both sides, once there is a recording and caller and agent hear each other.
func (c *Call) tap() {
	if c.tapped || c.recording == nil || c.joinedAt.IsZero() {
		return
	}
	c.tapped = true
	c.caller.Listen(c.recording.Caller())
	c.agent.Listen(c.recording.Agent())
	c.note(Moment{What: WhatRecording, Detail: string(c.recording.ID())})
	c.caller.Tell(News{Recorded: true})
}

// talking lasts while the agent is on the call, whoever else is.
func talking(ctx context.Context, c *Call) phase {
	switch ev := c.next(ctx).(type) {
	case transferAsked:
		c.transferAsked(ctx, ev)
		return talking
	case cancelAsked:
		c.cancelAsked(ev)
		return talking
	default:
		return c.onCall(ctx, ev)
	}
}

// following lasts while a transfer goes on whose agent has left.
func following(ctx context.Context, c *Call) phase { return c.onCall(ctx, c.next(ctx)) }

// relaying lasts while the caller is with a partner to whom they were handed over, and the agent has left.
func relaying(ctx context.Context, c *Call) phase { return c.onCall(ctx, c.next(ctx)) }

// next is what happens next, or nil when the call is over because of its length or its node.
func (c *Call) next(ctx context.Context) Event {
	select {
	case ev := <-c.inbox.Events():
		return ev
	case <-c.tooLong:
		c.over(EndMaxLength, "", CauseNormal)
	case <-ctx.Done():
		c.stopped(ctx)
	}
	return nil
}

// onCall acts on what may happen to a caller who is with somebody.
func (c *Call) onCall(ctx context.Context, ev Event) phase {
	switch ev := ev.(type) {
	case nil:
		return nil
	case LegEnded:
		return c.left(ctx, ev)
	case dialled:
		return c.dialled(ctx, ev)
	case stuck:
		return c.notGreeted(ctx, ev)
	case Played:
		c.greeted(ev)
	default:
		c.discard(ctx, ev)
		c.tap()
	}
	return c.company(ctx)
}

// company is the phase that those who are on the call make.
func (c *Call) company(ctx context.Context) phase {
	switch {
	case c.agent != nil:
		return talking
	case c.host() != nil:
		return relaying
	case c.transfer != nil:
		return following
	default:
		return c.putBack(ctx, "nobody is left on the call")
	}
}

// left acts on a party's leaving.
func (c *Call) left(ctx context.Context, ev LegEnded) phase {
	switch {
	case ev.Leg == callerLeg:
		return c.callerLeft(ev.Cause)
	case c.agent != nil && ev.Leg == c.agent.ID():
		return c.agentLeft(ctx, ev.Cause)
	case c.transfer != nil && c.transfer.party != nil && ev.Leg == c.transfer.leg:
		return c.transferFailed(ctx, "left during the notice: "+string(ev.Cause), nil)
	}
	for i, g := range c.guests {
		if ev.Leg == g.ID() {
			return c.guestLeft(ctx, i, ev.Cause)
		}
	}
	return c.company(ctx) // somebody whom we have hung up ourselves
}

// agentLeft ends the call when the agent hung up, unless a partner has it or is being rung for it. An agent whose phone
// was lost is another matter: the caller did nothing wrong and goes back to the place they had.
func (c *Call) agentLeft(ctx context.Context, cause Cause) phase {
	leg, alone := c.agent.ID(), c.host() == nil && !c.handingOver()
	if alone && cause == CauseNormal {
		return c.over(EndAgentHungUp, leg, cause)
	}
	c.endTalk(cause)
	c.settle(ctx, OfferCompleted)
	if alone {
		return c.putBack(ctx, "agent's phone lost: "+string(cause))
	}
	c.note(Moment{What: WhatLeft, Leg: leg, Agent: c.record.Agent, Detail: string(cause)})
	c.arrangeSound()
	return c.company(ctx)
}

// handingOver tells whether somebody is on the way who will have the call.
func (c *Call) handingOver() bool {
	return c.transfer != nil && c.transfer.partner.Kind != PartnerInterpreter
}

// putBack gives a caller whom nobody serves any more the place that they had.
func (c *Call) putBack(ctx context.Context, why string) phase {
	c.dropTransfer()
	c.dropGuests()
	c.note(Moment{What: WhatPutBack, Agent: c.record.Agent, Detail: why})
	c.waitFrom = time.Now()
	if err := c.takePlace(ctx, promptResume); err != nil {
		return c.placeRefused(err)
	}
	return queued
}

// startLimit lets the call end when it has lasted, from then on, as long as the city allows.
func (c *Call) startLimit(from time.Time) {
	c.stopLimit()
	if c.terms.MaxLength == 0 {
		return
	}
	c.limit = time.NewTimer(time.Until(from.Add(c.terms.MaxLength)))
	c.tooLong = c.limit.C
}

// stopLimit lets the call last as long as it may.
func (c *Call) stopLimit() {
	if c.limit != nil {
		c.limit.Stop()
	}
	c.tooLong = nil
}
