package routing

import (
	"fmt"
	"slices"
	"time"

	"callhall/call"
)

// callKey is the one order of waiting calls.
type callKey struct {
	priority int
	since    int64 // Unix nanoseconds
	id       call.ID
}

func keyOf(p Place) callKey { return callKey{p.Priority, p.Since.UnixNano(), p.Call} }

func (k callKey) before(o callKey) bool {
	switch {
	case k.priority != o.priority:
		return k.priority > o.priority
	case k.since != o.since:
		return k.since < o.since
	default:
		return k.id < o.id
	}
}

// idleKey is the order of free agents: who has been free the longest comes first.
type idleKey struct {
	since int64 // Unix nanoseconds
	id    call.AgentID
}

func (k idleKey) before(o idleKey) bool {
	if k.since != o.since {
		return k.since < o.since
	}
	return k.id < o.id
}

// waiter is a call that may be matched.
type waiter struct {
	key      callKey
	queue    call.QueueID
	only     call.AgentID // nobody else; empty is anybody of the queue
	excluded []call.AgentID
}

// candidate is an agent who may be matched.
type candidate struct {
	key    idleKey
	queues []call.QueueID
	look   lookKey // noted in looks, if its agent is set
}

// pair is one decision: this call for this agent, and why in one line.
type pair struct {
	call  call.ID
	queue call.QueueID
	agent call.AgentID
	why   string
}

// lane is one queue: who waits in it and who is free for it, each in order.
type lane struct {
	waiting *ordered[callKey]
	idle    *ordered[idleKey]
}

// lookKey is something to look at: a fresh call, or a fresh agent under the key of the best call for them. Looking at
// the least key first is what makes the order of decisions that of the calls.
type lookKey struct {
	call  callKey
	agent call.AgentID // empty: the call itself is fresh
}

func (k lookKey) before(o lookKey) bool {
	if k.call != o.call {
		return k.call.before(o.call)
	}
	return k.agent < o.agent
}

// lineup chooses: waiting calls and free agents in, pairs out, no clock and no I/O. Calls go in their order, each takes
// the free agent of its queue who has been idle the longest and has not turned it down.
//
// When next has said that there is nothing more, no waiting call fits any free agent. So only what has come since needs
// a look, and the work for an event does not grow with calls and agents that it does not touch: it is logarithmic in
// the queue, and linear only in the queues of one agent and in the agents that one call excludes.
type lineup struct {
	lanes  map[call.QueueID]*lane
	own    map[call.AgentID]*ordered[callKey] // the calls that one agent alone may have
	calls  map[call.ID]*waiter
	agents map[call.AgentID]*candidate
	looks  *ordered[lookKey]
}

func newLineup() *lineup {
	return &lineup{map[call.QueueID]*lane{}, map[call.AgentID]*ordered[callKey]{}, map[call.ID]*waiter{},
		map[call.AgentID]*candidate{}, newOrdered[lookKey]()}
}

func (l *lineup) lane(q call.QueueID) *lane {
	if l.lanes[q] == nil {
		l.lanes[q] = &lane{newOrdered[callKey](), newOrdered[idleKey]()}
	}
	return l.lanes[q]
}

// among is where a call waits: in its queue's lane, or among those of the one agent who may have it.
func (l *lineup) among(w *waiter) *ordered[callKey] {
	if w.only == "" {
		return l.lane(w.queue).waiting
	}
	if l.own[w.only] == nil {
		l.own[w.only] = newOrdered[callKey]()
	}
	return l.own[w.only]
}

// addCall lets a call be matched. One of the same id is replaced.
func (l *lineup) addCall(w waiter) {
	l.removeCall(w.key.id)
	l.calls[w.key.id] = &w
	l.among(&w).add(w.key)
	l.looks.add(lookKey{call: w.key})
}

// removeCall takes a call out, if it is in.
func (l *lineup) removeCall(id call.ID) {
	w := l.calls[id]
	if w == nil {
		return
	}
	delete(l.calls, id)
	l.among(w).remove(w.key)
	l.looks.remove(lookKey{call: w.key})
}

// addAgent lets an agent be matched. One of the same id is replaced.
func (l *lineup) addAgent(c candidate) {
	l.removeAgent(c.key.id)
	l.agents[c.key.id] = &c
	for _, q := range c.queues {
		l.lane(q).idle.add(c.key)
	}
	l.look(&c)
}

// removeAgent takes an agent out, if they are in.
func (l *lineup) removeAgent(id call.AgentID) {
	c := l.agents[id]
	if c == nil {
		return
	}
	delete(l.agents, id)
	for _, q := range c.queues {
		l.lane(q).idle.remove(c.key)
	}
	l.looks.remove(c.look)
}

// look notes the best call for an agent as something to look at, in place of what was noted before.
func (l *lineup) look(c *candidate) {
	l.looks.remove(c.look)
	c.look = lookKey{}
	if w := l.bestCall(c); w != nil {
		c.look = lookKey{w.key, c.key.id}
		l.looks.add(c.look)
	}
}

// next takes the next pair out of the lineup, or says that there is none.
func (l *lineup) next(now time.Time) (pair, bool) {
	for {
		k, ok := l.looks.first()
		if !ok {
			return pair{}, false
		}
		l.looks.remove(k)
		if w := l.atLook(k); w != nil {
			if c, passed := l.longestIdle(w); c != nil {
				return l.take(w, c, passed, k.agent, now), true
			}
		}
	}
}

// atLook is the call that a look is about, if it is still the one. An agent whose call went to somebody else is looked
// at again under the next.
func (l *lineup) atLook(k lookKey) *waiter {
	if k.agent == "" {
		return l.calls[k.call.id]
	}
	c := l.agents[k.agent]
	w := l.bestCall(c)
	if w == nil || w.key == k.call {
		return w
	}
	// A better call than the noted one has a look of its own, ahead of this one; so this can only be a later one.
	l.look(c)
	return nil
}

// take removes the pair from the lineup. The agent who was looked at, if somebody else was idle longer, stays fresh.
func (l *lineup) take(w *waiter, c *candidate, passed int, looked call.AgentID, now time.Time) pair {
	p := pair{call: w.key.id, queue: w.queue, agent: c.key.id, why: l.reason(w, c.key, passed, now)}
	l.removeCall(w.key.id)
	l.removeAgent(c.key.id)
	if other := l.agents[looked]; other != nil {
		l.look(other)
	}
	return p
}

// bestCall is the first call in order that the agent may take.
func (l *lineup) bestCall(c *candidate) (best *waiter) {
	if own := l.own[c.key.id]; own != nil {
		best = l.better(best, own, c.key.id)
	}
	for _, q := range c.queues {
		best = l.better(best, l.lane(q).waiting, c.key.id)
	}
	return best
}

// better is the first of those who wait that goes before best and has not been turned down by the agent, or else best.
func (l *lineup) better(best *waiter, waiting *ordered[callKey], agent call.AgentID) *waiter {
	for key := range waiting.all() {
		if best != nil && !key.before(best.key) {
			return best
		}
		if w := l.calls[key.id]; !slices.Contains(w.excluded, agent) {
			return w
		}
	}
	return best
}

// longestIdle is the agent for a call, and how many who turned it down were passed over to find them.
func (l *lineup) longestIdle(w *waiter) (c *candidate, passed int) {
	if w.only != "" {
		if slices.Contains(w.excluded, w.only) {
			return nil, 0
		}
		return l.agents[w.only], 0
	}
	for key := range l.lane(w.queue).idle.all() {
		if !slices.Contains(w.excluded, key.id) {
			return l.agents[key.id], l.passed(w)
		}
	}
	return nil, 0
}

// passed counts the free agents of the call's queue who turned it down.
func (l *lineup) passed(w *waiter) (n int) {
	for _, id := range w.excluded {
		if c := l.agents[id]; c != nil && slices.Contains(c.queues, w.queue) {
			n++
		}
	}
	return n
}

// reason says in one line why this agent.
func (l *lineup) reason(w *waiter, k idleKey, passed int, now time.Time) string {
	if w.only != "" {
		return fmt.Sprintf("%s: the one agent for whom the call waits", k.id)
	}
	free := l.lane(w.queue).idle.size() - passed
	idle := now.Sub(time.Unix(0, k.since)).Truncate(time.Second)
	s := fmt.Sprintf("%s: idle %d s, longest of %d", k.id, int(idle.Seconds()), free)
	if passed > 0 {
		s += fmt.Sprintf(", %d passed over who turned this call down", passed)
	}
	return s
}
