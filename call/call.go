package call

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"
)

// A Call is one caller's visit while it goes on. Its fields belong to the goroutine in run.
type Call struct {
	*Switchboard
	arrival Arrival
	terms   Terms
	log     *slog.Logger
	inbox   *Inbox
	stop    context.CancelCauseFunc
	beside  sync.WaitGroup // slow acts that run beside the call: ringing, opening a recording

	caller   Leg
	back     *CallBackOrder   // a call that we place; nil for a caller's
	tooLong  <-chan time.Time // the call is as long as the city allows; nil never
	limit    *time.Timer      // of tooLong; nil: none
	listens  *time.Timer      // until the caller must have heard the notice
	since    time.Time        // when the first wait began: the call's place in line, kept when it is put back
	waitFrom time.Time        // when this wait began
	placed   bool             // in line now
	leave    context.CancelFunc

	offer    *Offer    // the claim this call holds: ringing or talking
	rings    int       // agents rung so far, for leg names
	agent    Leg       // nil but while they are on the call
	joinedAt time.Time // since when caller and agent talk; zero while they do not
	dials    int       // somebody outside dialled so far, for leg names
	transfer *transfer // on its way; nil: none
	guests   []guest   // who else is on the call
	mixed    []Leg     // who hear each other
	heldBy   map[LegID]bool
	heldAt   time.Time

	notice    Notice
	recording Recording // nil until it is open, and after a hand-over
	recAsked  bool
	tapped    bool
	late      Recording         // opened after the call was over; written beside the call, read once that has ended
	sealed    *RecordingSummary // of a recording that is over; also written beside the call

	record Record
}

// phase is one part of a call's life. It returns the next, or nil when the call is over.
type phase func(ctx context.Context, c *Call) phase

// callerLeg is the caller's name within the call.
const callerLeg LegID = "caller"

// newCall prepares a call to be run. It takes nothing yet.
func newCall(s *Switchboard, a Arrival) *Call {
	return &Call{
		Switchboard: s,
		arrival:     a,
		terms:       s.Terms(a.City, a.Queue),
		log:         s.Log.With("call", a.ID),
		inbox:       NewInbox(),
		caller:      a.Leg,
		since:       lineFrom(a),
		waitFrom:    a.At,
		heldBy:      make(map[LegID]bool),
		record: Record{
			ID: a.ID, City: a.City, Node: s.Node, Trunk: a.Trunk, Entry: a.Entry, Queue: a.Queue, Language: a.Language,
			Caller: a.Caller, Verstat: a.Verstat, Attest: a.Attest, Direction: DirectionIn, Redial: a.Class.Redial,
			ArrivedAt: a.At, Quality: make(map[LegID]Quality),
			Recording: RecordingSummary{State: RecordingNone},
		},
	}
}

// lineFrom is when the wait of a caller began: with the call we cut off, where this is the same caller again.
func lineFrom(a Arrival) time.Time {
	if was := a.Class.Since; a.Class.Redial != "" && !was.IsZero() && was.Before(a.At) {
		return was
	}
	return a.At
}

// over ends the call: how, by whose doing (empty for ours) and the cause given to the legs. It returns no next phase.
func (c *Call) over(end End, by LegID, cause Cause) phase {
	now := time.Now()
	c.record.End, c.record.EndedBy, c.record.Q850, c.record.EndedAt = end, by, cause.Q850(), now
	if c.record.ConnectedAt.IsZero() {
		c.record.Waiting = now.Sub(c.record.ArrivedAt)
	}
	c.note(Moment{What: WhatEnded, Leg: by, Detail: string(end)})
	return nil
}

// note adds a line to the record's timeline, at this moment.
func (c *Call) note(m Moment) {
	m.At = time.Now()
	c.record.Timeline = append(c.record.Timeline, m)
}

// callerLeft turns the end of the caller's leg into the call's.
func (c *Call) callerLeft(cause Cause) phase {
	switch {
	case cause == CauseCancelled:
		return c.over(EndCancelled, callerLeg, cause)
	case cause == CauseNoAck:
		return c.over(EndNoAck, callerLeg, cause)
	case cause != CauseNormal:
		return c.over(EndCallerLost, callerLeg, cause)
	case c.host() != nil:
		return c.over(EndTransferred, callerLeg, cause)
	case c.joinedAt.IsZero(): // also after an agent was lost: nobody was there when the caller left
		return c.over(EndAbandoned, callerLeg, cause)
	default:
		return c.over(EndCallerHungUp, callerLeg, cause)
	}
}

// errBroke ends the context of a call in which something beside it broke.
var errBroke = errors.New("broke beside the call")

// stopped ends a call whose context ended: its node stops, or something beside it broke.
func (c *Call) stopped(ctx context.Context) phase {
	if errors.Is(context.Cause(ctx), errBroke) {
		return c.over(EndFailed, "", CauseInternal)
	}
	return c.over(EndShutdown, "", CauseUnavailable)
}

// runBeside runs a slow act beside the call; release waits for it. A panic in it ends this call and no other.
func (c *Call) runBeside(act func()) {
	c.beside.Go(func() {
		defer func() {
			if fault := recover(); fault != nil {
				c.broke(fault)
				c.stop(errBroke)
			}
		}()
		act()
	})
}

// broke logs a fault of ours with the place where it happened.
func (c *Call) broke(fault any) {
	c.log.Error("call broke", "fault", fmt.Sprint(fault), "stack", string(debug.Stack()))
}

// cause is what the legs are told when the call is over.
func (c *Call) cause() Cause {
	switch c.record.End {
	case EndQueueFull:
		return CauseBusy
	case EndShutdown, EndOverloaded:
		return CauseUnavailable
	case EndNoMedia:
		return CauseNoMedia
	case EndFailed:
		return CauseInternal
	default:
		return CauseNormal
	}
}

// dropCaller hangs the caller's leg up and keeps what its sound was like.
func (c *Call) dropCaller() {
	if !c.callerHere() {
		return
	}
	c.caller.Listen(nil)
	c.record.Quality[callerLeg] = c.caller.Quality()
	if c.record.AnsweredAt.IsZero() {
		c.caller.Refuse(c.cause())
		return
	}
	c.caller.HangUp(c.cause())
}

// dropAgent ends the claim this call holds, if any: a conversation begins the agent's wrap-up, a ringing is cancelled.
func (c *Call) dropAgent(ctx context.Context) {
	if c.agent != nil {
		c.endTalk(CauseNormal)
		c.settle(ctx, OfferCompleted)
	}
	if c.offer != nil {
		c.settle(ctx, OfferCanceled)
	}
}

// endTalk parts the legs, hangs the agent's up and adds what was said to the record.
func (c *Call) endTalk(cause Cause) {
	now := time.Now()
	c.endHold()
	c.part()
	c.caller.Listen(nil)
	c.letGo(c.agent, cause)
	if !c.joinedAt.IsZero() {
		c.record.Talking += now.Sub(c.joinedAt)
	}
	c.agent, c.joinedAt, c.tapped = nil, time.Time{}, false
}

// settle tells routing what became of the offer and forgets it. It reports whether the claim was still ours.
func (c *Call) settle(ctx context.Context, outcome OfferOutcome) bool {
	o := *c.offer
	if outcome != OfferAccepted {
		c.offer = nil
	}
	err := c.Queues.Settle(ctx, o, outcome)
	if outcome != OfferAccepted && outcome != OfferCompleted {
		c.note(Moment{What: WhatOfferOver, Agent: o.Agent, Detail: string(outcome)})
	}
	if err == nil {
		return true
	}
	if !errors.Is(err, ErrStale) {
		c.log.Error("offer not settled", "agent", o.Agent, "outcome", outcome, "err", err)
	}
	if outcome == OfferAccepted {
		c.offer = nil
	}
	return false
}
