package routing

import (
	"context"
	"errors"
	"fmt"
	"time"

	"callhall/call"
)

// ticket is a call of this node that stands in line. It is guarded by its city's mutex.
type ticket struct {
	place Place
	in    *call.Inbox
	stop  func() bool // the end of the call's ctx no longer matters; false: it is being acted on
	offer Claim       // open and told to the call; zero: none
	news  int         // the place last told, from 1; 0: none yet
	told  time.Time
}

// Admit tells whether the queue takes a call now. Errors: call.ErrUnknownQueue, call.ErrQueueFull, call.ErrUnavailable.
func (s *Service) Admit(_ context.Context, cityID call.CityID, queue call.QueueID) error {
	c, q, err := s.queue(cityID, queue)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closed:
		return fmt.Errorf("queue %s: %w", queue, call.ErrUnavailable)
	case q.MaxLength > 0 && c.board.lines[queue].order.size() >= q.MaxLength:
		return fmt.Errorf("queue %s: %w", queue, call.ErrQueueFull)
	}
	return nil
}

// queue finds a queue of a city.
func (s *Service) queue(cityID call.CityID, queue call.QueueID) (*city, Queue, error) {
	c := s.cities[cityID]
	if c == nil {
		return nil, Queue{}, fmt.Errorf("city %q, queue %q: %w", cityID, queue, call.ErrUnknownQueue)
	}
	q, ok := c.conf.queues[queue]
	if !ok {
		return nil, Queue{}, fmt.Errorf("city %q, queue %q: %w", cityID, queue, call.ErrUnknownQueue)
	}
	return c, q, nil
}

// priorityOnly is that of a call which one agent alone may have. Behind the calls that others may have as well it would
// wait for as long as the queue is never empty.
const priorityOnly = 1

// Enqueue is call.Queues'. A call for an agent whom the city does not have is refused with ErrUnknownAgent. A queue is full for those calls before which MaxLength others stand, so one that is put back
// with its old Since is not refused. Enqueue does not keep a goroutine.
func (s *Service) Enqueue(ctx context.Context, w call.Waiting, in *call.Inbox) error {
	c, q, err := s.queue(w.City, w.Queue)
	if err != nil {
		return err
	}
	if _, ok := c.conf.agents[w.Agent]; w.Agent != "" && !ok {
		return fmt.Errorf("queue %s: place call %s for agent %q: %w", w.Queue, w.Call, w.Agent, ErrUnknownAgent)
	}
	t := &ticket{in: in, place: Place{City: w.City, Call: w.Call, Queue: w.Queue, Only: w.Agent, Node: c.node,
		Since: w.Since.Round(0).UTC()}}
	if w.Agent != "" {
		t.place.Priority = priorityOnly
	}
	if err := c.issue(ctx, t); err != nil {
		return err
	}
	step, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	err = c.store.Put(step, t.place, q.MaxLength)
	if err == nil {
		return c.stillWaits(step, t)
	}
	c.withdraw(t)
	if errors.Is(err, call.ErrQueueFull) {
		return fmt.Errorf("queue %s: place call %s: %w", w.Queue, w.Call, err)
	}
	return fmt.Errorf("queue %s: place call %s: %w: %w", w.Queue, w.Call, call.ErrUnavailable, err)
}

// stillWaits sees to it that a call which left while its place was being put does not stay in line.
func (c *city) stillWaits(ctx context.Context, t *ticket) error {
	c.mu.Lock()
	_, waits := c.tickets[t.place.Call]
	c.mu.Unlock()
	if waits {
		return nil
	}
	if _, err := c.store.Drop(ctx, c.conf.ID, t.place.Call); err != nil {
		c.log.Error("place not given up, the reconciler will", "call", t.place.Call, "err", err)
	}
	return nil
}

// issue keeps the ticket until ctx ends. A call that stands in line already keeps its open offer.
func (c *city) issue(ctx context.Context, t *ticket) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return fmt.Errorf("queue %s: %w", t.place.Queue, call.ErrUnavailable)
	}
	if old := c.tickets[t.place.Call]; old != nil {
		t.offer = old.offer
		c.void(old)
	}
	c.tickets[t.place.Call] = t
	c.leaving.Add(1)
	t.stop = context.AfterFunc(ctx, func() { c.leave(context.WithoutCancel(ctx), t) })
	return nil
}

// void lets go of a ticket: the end of its ctx no longer matters.
func (c *city) void(t *ticket) {
	if t.stop() {
		c.leaving.Done()
	}
	if c.tickets[t.place.Call] == t {
		delete(c.tickets, t.place.Call)
	}
}

// withdraw takes back a ticket that got no place.
func (c *city) withdraw(t *ticket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.void(t)
}

// leave takes a call out of line, because its ctx has ended. An open offer ends with it, whoever has heard of it.
func (c *city) leave(ctx context.Context, t *ticket) {
	defer c.leaving.Done()
	c.mu.Lock()
	current := c.tickets[t.place.Call] == t
	if current {
		delete(c.tickets, t.place.Call)
	}
	c.mu.Unlock()
	if !current {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	claim, err := c.store.Drop(ctx, c.conf.ID, t.place.Call)
	if err != nil {
		c.log.Error("place not given up, the reconciler will", "call", t.place.Call, "err", err)
	}
	if claim.Call != "" {
		c.count(call.OfferCanceled)
	}
}

// Settle is call.Queues'. A call that is no longer in line does not come back by it.
func (s *Service) Settle(ctx context.Context, o call.Offer, outcome call.OfferOutcome) error {
	c, err := s.city(o.City)
	if err != nil {
		return fmt.Errorf("settle offer of call %s: %w", o.Call, err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	claim := Claim{City: o.City, Call: o.Call, Queue: o.Queue, Agent: o.Agent, Fence: o.Fence, Node: c.node}
	switch outcome {
	case call.OfferAccepted:
		err = c.accept(ctx, claim)
	case call.OfferCompleted:
		err = c.complete(ctx, claim)
	case call.OfferRejected, call.OfferTimeout, call.OfferRescinded, call.OfferCanceled:
		err = c.decline(ctx, claim, outcome)
	default:
		err = fmt.Errorf("unknown outcome %q", outcome)
	}
	if err != nil {
		return fmt.Errorf("settle offer of call %s to agent %s as %s: %w", o.Call, o.Agent, outcome, err)
	}
	return nil
}

// accept turns the open offer into a conversation and gives the place up.
func (c *city) accept(ctx context.Context, claim Claim) error {
	t := c.open(claim)
	if t == nil {
		return call.ErrStale
	}
	if err := c.store.Accept(ctx, claim, lease); err != nil {
		return err
	}
	c.mu.Lock()
	c.talks[claim.Agent] = talkOf(claim, c.now())
	c.void(t)
	c.mu.Unlock()
	c.count(call.OfferAccepted)
	return nil
}

func talkOf(claim Claim, now time.Time) Claim {
	claim.Phase, claim.Since = PhaseTalking, now
	return claim
}

// open is the ticket whose open offer this claim is.
func (c *city) open(claim Claim) *ticket {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.tickets[claim.Call]
	if t == nil || t.offer.Agent != claim.Agent || t.offer.Fence != claim.Fence {
		return nil
	}
	return t
}

// decline ends an offer that was not answered. The call is back in line at once unless it has left.
func (c *city) decline(ctx context.Context, claim Claim, outcome call.OfferOutcome) error {
	c.mu.Lock()
	t := c.tickets[claim.Call]
	if t != nil && t.offer.Agent == claim.Agent && t.offer.Fence == claim.Fence {
		t.offer = Claim{} // settled by the call: it need not be told
	}
	var missed int
	if d := c.board.desks[claim.Agent]; d != nil {
		missed = d.Facts.Missed
	}
	c.mu.Unlock()
	after := c.afterDecline(outcome, missed)
	after.Back = t != nil
	if err := c.store.Release(ctx, claim, after); err != nil {
		return err
	}
	c.count(outcome)
	if after.Agent.Pause != nil {
		c.log.Warn("agent paused", "agent", claim.Agent, "reason", after.Agent.Pause.Why)
	}
	return nil
}

// afterDecline is what an unanswered offer does to its agent. One who declined or did not answer goes to the end of the
// line of free agents, so that the next call goes to somebody else first. An offer that a call rescinds had no phone to
// ring: for the agent's standing that is the same as no answer.
func (c *city) afterDecline(outcome call.OfferOutcome, missed int) After {
	now := c.now()
	switch outcome {
	case call.OfferCanceled:
		return After{}
	case call.OfferRejected:
		missed = 0
	default:
		missed++
	}
	after := After{Exclude: true, At: now, Agent: Amendment{Idle: &now, Missed: &missed}}
	if missed >= c.missed {
		after.Agent.Pause = &Pause{On: true, At: now, By: byEngine,
			Why: fmt.Sprintf("missed-calls: %d in a row not answered", missed)}
		missed = 0
	}
	return after
}

// complete ends a conversation and begins the agent's wrap-up.
func (c *city) complete(ctx context.Context, claim Claim) error {
	now := c.now()
	c.mu.Lock()
	if c.talks[claim.Agent].Fence == claim.Fence {
		delete(c.talks, claim.Agent)
	}
	c.mu.Unlock()
	until := now.Add(c.conf.queues[claim.Queue].WrapUp)
	wrap := Wrap{From: now, Until: until, Queue: claim.Queue}
	return c.store.Release(ctx, claim, After{Agent: Amendment{Wrap: &wrap, Idle: &until}})
}

// claimed hears of every claim on an agent that begins or ends, and tells this node's calls. The mutex is held.
func (c *city) claimed(was, is Claim) {
	if t := c.tickets[was.Call]; t != nil && t.offer.Agent == was.Agent && t.offer.Fence == was.Fence {
		t.offer = Claim{}
		c.count(call.OfferRescinded)
		t.in.TryPut(call.Rescinded{Offer: offerOf(was)}) // if there is no room, Settle tells: call.ErrStale
	}
	if is.Phase != PhaseOffered || is.Node != c.node {
		return
	}
	t := c.tickets[is.Call]
	if t == nil || !t.in.TryPut(call.Offered{Offer: offerOf(is)}) {
		c.returns = append(c.returns, is) // the call has left, or is not listening
		return
	}
	t.offer = is
}

func offerOf(c Claim) call.Offer {
	return call.Offer{City: c.City, Call: c.Call, Queue: c.Queue, Agent: c.Agent, Fence: c.Fence, Ring: c.Ring, Why: c.Why}
}

// giveBack ends offers that no call has taken.
func (c *city) giveBack(ctx context.Context) {
	c.mu.Lock()
	returns := c.returns
	c.returns = nil
	c.mu.Unlock()
	for _, claim := range returns {
		if err := c.decline(ctx, claim, call.OfferCanceled); err != nil && !errors.Is(err, call.ErrStale) {
			c.log.Error("offer not given back, its deadline will", "call", claim.Call, "agent", claim.Agent, "err", err)
		}
	}
}
