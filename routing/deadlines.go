package routing

import (
	"context"
	"errors"
	"time"

	"callhall/call"
)

// mind acts on deadlines that have come: states that end by themselves, and what must be ended because nobody did.
func (c *city) mind(ctx context.Context, now time.Time) {
	overdue, forgiven := c.dueNow(now)
	if !c.leading {
		return
	}
	lapse := false
	for _, r := range overdue {
		switch claim := r.Claim; {
		case !now.Before(claim.Until):
			lapse = true
		case claim.Phase == PhaseOffered && !r.Facts.onDuty(now):
			c.takeBack(ctx, claim, After{Back: true}, "offer taken back: the agent has gone")
		case claim.Phase == PhaseOffered && !now.Before(ringEnds(claim)):
			after := After{Back: true, Exclude: true, At: now}
			if c.takeBack(ctx, claim, after, "offer taken back: nobody settled it") {
				c.metrics.reaped.WithLabelValues(string(c.conf.ID), string(StateOffered)).Inc()
			}
		}
	}
	if lapse {
		c.lapse(ctx)
	}
	for _, id := range forgiven {
		c.forgive(ctx, id)
	}
}

// dueNow sees again to those whose deadline has come, and returns agents with a claim and calls to be forgiven. What
// is still overdue after that is looked at again a little later, should mind fail to end it.
func (c *city) dueNow(now time.Time) (overdue []Row, forgiven []call.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	desks, seats := c.board.due(now)
	for _, d := range desks {
		was := d.state
		c.board.seeAgent(d, now)
		if was == StateWrapUp && d.state != StateWrapUp {
			c.wrapped(d.Facts.Wrap, d.Facts.Wrap.Until)
		}
		if d.Claim.Call != "" {
			overdue = append(overdue, d.Row)
		}
		c.board.postpone(d, now.Add(retryAfter))
	}
	for _, s := range seats {
		c.board.seeCall(s, now)
		if c.board.forgivable(s, now) {
			forgiven = append(forgiven, s.Call)
		}
	}
	return overdue, forgiven
}

// postpone moves a deadline that has passed to a later time.
func (b *board) postpone(d *desk, to time.Time) {
	if d.wake.at == 0 || d.wake.at >= b.mark(to) {
		return
	}
	if d.wake.at > b.mark(to.Add(-retryAfter)) {
		return // still ahead
	}
	b.deadlines.remove(d.wake)
	d.wake.at = b.mark(to)
	b.deadlines.add(d.wake)
}

// takeBack ends an unanswered claim; the call hears of it from the change. It tells whether there was one to end.
func (c *city) takeBack(ctx context.Context, claim Claim, after After, why string) bool {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	err := c.store.Release(ctx, claim, after)
	switch {
	case err == nil:
		c.log.Info(why, "call", claim.Call, "agent", claim.Agent)
	case !errors.Is(err, call.ErrStale):
		c.log.Error("offer not taken back, trying again", "call", claim.Call, "agent", claim.Agent, "err", err)
	}
	return err == nil
}

// lapse ends every claim whose lease ran out, and counts them: a lease runs out only when its node has stopped.
func (c *city) lapse(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	lapsed, err := c.store.Lapse(ctx, c.conf.ID)
	if err != nil {
		c.log.Error("lapsed claims not ended, trying again", "err", err)
	}
	for _, claim := range lapsed {
		c.metrics.reaped.WithLabelValues(string(c.conf.ID), string(claim.Phase)).Inc()
		c.log.Warn("claim lapsed", "call", claim.Call, "agent", claim.Agent, "phase", claim.Phase, "node", claim.Node)
	}
}

// forgive lets a call be offered again to those who turned it down.
func (c *city) forgive(ctx context.Context, id call.ID) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if err := c.store.Forgive(ctx, c.conf.ID, id); err != nil {
		c.log.Error("exclusions not cleared, trying again", "call", id, "err", err)
	}
}
