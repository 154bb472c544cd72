package call

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// CallBackOrder is the wish that a caller be called back by one agent.
type CallBackOrder struct {
	City     CityID
	Of       ID      // the caller's call because of which we call
	Handle   string  // of its caller: the number stays inside ani
	Agent    AgentID // who will speak with them
	Queue    QueueID // whose terms hold for the call
	Language string  // BCP 47, of the notice
	By       string  // who asked: "agent:ana"
}

const (
	callbackWait = 30 * time.Minute // how long a call back waits for its agent: as long as a handle is good (RULES D09)
	callbackRing = 45 * time.Second // how long the caller's phone rings
)

// Run carries the calls that we place, until ctx ends; these then end too, and Run returns when the last is over. While
// it does not run, CallBack refuses. It may be called once.
func (s *Switchboard) Run(ctx context.Context) {
	var calls sync.WaitGroup
	s.live.beginBy(func(c *Call) { calls.Go(func() { c.run(ctx, ordered) }) })
	<-ctx.Done()
	s.live.beginBy(nil)
	calls.Wait()
}

// CallBack orders that a caller be called back, and returns the id of the call that does it: a call of its own, with a
// record of its own, carried by Run. It waits for the agent, who goes first to it when they are free; then the agent is
// rung and the caller dialled. What becomes of it is in its timeline (Look) and its record. Errors: ErrUnknownQueue,
// ErrUnavailable.
func (s *Switchboard) CallBack(ctx context.Context, o CallBackOrder) (ID, error) {
	if err := s.Queues.Admit(ctx, o.City, o.Queue); err != nil && !errors.Is(err, ErrQueueFull) {
		return "", fmt.Errorf("call back the caller of call %s: %w", o.Of, err)
	}
	c := newCallBack(s, o)
	if !s.live.start(c) {
		return "", fmt.Errorf("call back the caller of call %s: %w", o.Of, ErrUnavailable)
	}
	return c.arrival.ID, nil
}

func newCallBack(s *Switchboard, o CallBackOrder) *Call {
	c := newCall(s, Arrival{ID: NewID(), City: o.City, Queue: o.Queue, Language: o.Language, At: time.Now(), Leg: nobody{}})
	c.back = &o
	c.record.Direction, c.record.Of = DirectionOut, o.Of
	return c
}

// ordered begins a call back: it waits for its agent.
func ordered(ctx context.Context, c *Call) phase {
	c.note(Moment{What: WhatOrdered, Agent: c.back.Agent, Detail: "by " + c.back.By})
	c.log.Info("call back ordered", "of", c.back.Of, "queue", c.back.Queue, "agent", c.back.Agent)
	if err := c.Records.Open(ctx, c.record); err != nil {
		c.log.Error("open entry not written", "err", err)
	}
	return queued
}

// awaited is the one agent for whom the call waits; a caller who is there waits for anybody.
func (c *Call) awaited() AgentID {
	if c.callerHere() {
		return ""
	}
	return c.back.Agent
}

// waitedOut ends a call for which nobody came in time.
func (c *Call) waitedOut() phase {
	if c.callerHere() {
		return c.over(EndMaxWait, "", CauseNormal)
	}
	return c.over(EndNoCallbackAgent, "", CauseNoAnswer)
}

// dialCaller calls the caller, for the agent who has answered.
func (c *Call) dialCaller(ctx context.Context) phase {
	c.note(Moment{What: WhatCalled, Leg: callerLeg, Agent: c.record.Agent})
	c.playRinging(c.agent)
	c.dial(ctx, callerLeg, 0, Outward{City: c.arrival.City, Call: c.arrival.ID, Handle: c.back.Handle, By: c.back.By,
		Ring: callbackRing, Near: c.agent})
	return calling
}

// calling lasts while the agent hears the caller's phone ring.
func calling(ctx context.Context, c *Call) phase {
	switch ev := c.next(ctx).(type) {
	case nil:
		return nil
	case dialled:
		return c.called(ctx, ev)
	case LegEnded: // the caller has no leg yet
		return c.over(EndNoCallbackAgent, ev.Leg, ev.Cause)
	default:
		c.discard(ctx, ev)
	}
	return calling
}

// called acts on the caller's answer. They hear that the line is recorded before they hear the agent.
func (c *Call) called(ctx context.Context, ev dialled) phase {
	switch {
	case ctx.Err() != nil:
		c.discard(ctx, ev)
		return c.stopped(ctx)
	case ev.err != nil:
		c.log.Warn("caller not called back", "err", ev.err)
		c.note(Moment{What: WhatCalled, Leg: callerLeg, Detail: failure(ev.err)})
		return c.over(EndNoCallbackAnswer, "", causeOf(ev.err))
	}
	c.caller = ev.party
	c.caller.Attach(c.inbox)
	c.record.AnsweredAt = time.Now()
	c.startLimit(c.record.AnsweredAt)
	c.note(Moment{What: WhatAnswered, Leg: callerLeg})
	c.caller.Tell(News{Call: c.arrival.ID})
	c.keepOpenEntry(ctx)
	length, playing := c.playNotice()
	if !playing {
		return c.join(ctx)
	}
	c.listens = c.stuckAfter(length, callerLeg)
	return informing
}

// causeOf is the cause that says why nobody answered.
func causeOf(err error) Cause {
	switch {
	case errors.Is(err, ErrNoAnswer):
		return CauseNoAnswer
	case errors.Is(err, ErrRejected):
		return CauseRejected
	case errors.Is(err, ErrNoMedia):
		return CauseNoMedia
	case errors.Is(err, ErrUnreachable):
		return CauseUnreachable
	default:
		return CauseUnavailable
	}
}

// informing lasts while the caller hears the notice and the agent waits.
func informing(ctx context.Context, c *Call) phase {
	switch ev := c.next(ctx).(type) {
	case nil:
		return nil
	case LegEnded:
		return c.left(ctx, ev)
	case stuck:
		return c.over(EndCallerLost, callerLeg, CauseSilent)
	case Played:
		c.noticeHeard()
		c.openRecording(ctx)
		return c.join(ctx)
	default:
		c.discard(ctx, ev)
	}
	return informing
}

// callerHere tells whether the caller is on the line, as they are from the start on a call of theirs.
func (c *Call) callerHere() bool { return c.caller != Leg(nobody{}) }

// nobody is the caller while we have not reached them.
type nobody struct{}

func (nobody) ID() LegID                    { return callerLeg }
func (nobody) Attach(*Inbox)                {}
func (nobody) Answer(context.Context) error { return nil }
func (nobody) Refuse(Cause)                 {}
func (nobody) HangUp(Cause)                 {}
func (nobody) Play(Prompt) error            { return nil }
func (nobody) Join(Leg) error               { return nil }
func (nobody) Part()                        {}
func (nobody) Listen(Tap)                   {}
func (nobody) Tell(News)                    {}
func (nobody) Quality() Quality             { return Quality{} }
