package routing

import (
	"context"
	"errors"
	"time"

	"callhall/call"
)

// suspect is a difference between the store and this node's calls. One look may fall between two steps that belong
// together; what is there at two looks in a row is mended.
type suspect struct {
	what  string
	call  call.ID
	agent call.AgentID
	fence call.Fence
}

// What may differ. The words stand in the log.
const (
	orphanClaim  = "a claim of this node without a call"
	orphanPlace  = "a place of this node without a call"
	missingPlace = "a waiting call without a place"
)

// reconcile compares what the store has of this node with the calls that are here, mends what differs and counts it.
// It also looks at every free agent again: one for whom a call waits was missed by the matcher.
func (c *city) reconcile(ctx context.Context, now time.Time) {
	if now.Before(c.reconcileAt) {
		return
	}
	c.reconcileAt = now.Add(reconcileEvery)
	before := c.suspects
	c.suspects = map[suspect]bool{}
	for _, s := range c.differences() {
		if c.suspects[s] = true; before[s] {
			c.mend(ctx, s)
		}
	}
	if c.leading {
		c.lapse(ctx)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.board.lookAll()
}

// lookAll makes every free agent fresh.
func (b *board) lookAll() {
	for _, cand := range b.lineup.agents {
		b.lineup.look(cand)
	}
}

// differences compares the board with this node's calls.
func (c *city) differences() (found []suspect) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, d := range c.board.desks {
		if claim := d.Claim; claim.Call != "" && claim.Node == c.node && !c.known(claim) {
			found = append(found, suspect{orphanClaim, claim.Call, claim.Agent, claim.Fence})
		}
	}
	for id, s := range c.board.seats {
		if s.Node == c.node && c.tickets[id] == nil {
			found = append(found, suspect{what: orphanPlace, call: id})
		}
	}
	for id := range c.tickets {
		if c.board.seats[id] == nil {
			found = append(found, suspect{what: missingPlace, call: id})
		}
	}
	return found
}

// known tells whether a claim is one of this node's offers or conversations. The mutex is held.
func (c *city) known(claim Claim) bool {
	if t := c.tickets[claim.Call]; t != nil && t.offer.Fence == claim.Fence && t.offer.Agent == claim.Agent {
		return true
	}
	return c.talks[claim.Agent].Fence == claim.Fence
}

// mend makes the store agree with this node's calls.
func (c *city) mend(ctx context.Context, s suspect) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	c.mu.Lock()
	t, phase := c.tickets[s.call], PhaseOffered
	if d := c.board.desks[s.agent]; d != nil {
		phase = d.Claim.Phase
	}
	c.mu.Unlock()
	var err error
	switch s.what {
	case orphanClaim:
		claim := Claim{City: c.conf.ID, Call: s.call, Agent: s.agent, Fence: s.fence}
		if err = c.store.Release(ctx, claim, After{Back: t != nil}); err == nil {
			c.metrics.reaped.WithLabelValues(string(c.conf.ID), string(phase)).Inc()
		}
	case orphanPlace:
		if t == nil {
			_, err = c.store.Drop(ctx, c.conf.ID, s.call)
		}
	case missingPlace:
		if t != nil {
			err = c.store.Put(ctx, t.place, 0)
		}
	}
	if err != nil && !errors.Is(err, call.ErrStale) {
		c.log.Error("difference not mended, trying again", "what", s.what, "call", s.call, "agent", s.agent, "err", err)
		return
	}
	c.log.Warn("difference mended", "what", s.what, "call", s.call, "agent", s.agent)
}
