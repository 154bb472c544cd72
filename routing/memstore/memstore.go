// Package memstore keeps a routing.Store in memory, for one node. What it holds ends with the process.
package memstore

import (
	"context"
	"slices"
	"sync"
	"time"

	"callhall/call"
	"callhall/routing"
)

// kept is how many changes of a city Follow can go back.
const kept = 8192

// batch is the most that Follow returns at once.
const batch = 512

// Store is a routing.Store. It may be used by many goroutines.
type Store struct {
	now    func() time.Time
	mu     sync.Mutex
	cities map[call.CityID]*city
}

// city is all of one city. Its fields are guarded by mu.
type city struct {
	id      call.CityID
	mu      sync.Mutex
	places  map[call.ID]routing.Place
	length  map[call.QueueID]int
	rows    map[call.AgentID]routing.Row
	rev     uint64
	log     []routing.Change // the latest, oldest first
	changed chan struct{}    // closed at the next change, if somebody waits
	leader  string
	leads   time.Time // until then
}

// New returns an empty store with that clock. Leases run by its monotonic reading where it has one, as time.Now has: a
// wall clock that is set does not lengthen them.
func New(now func() time.Time) *Store {
	return &Store{now: now, cities: map[call.CityID]*city{}}
}

// lock returns a city, locked.
func (s *Store) lock(id call.CityID) *city {
	s.mu.Lock()
	c := s.cities[id]
	if c == nil {
		c = &city{id: id, places: map[call.ID]routing.Place{}, length: map[call.QueueID]int{},
			rows: map[call.AgentID]routing.Row{}}
		s.cities[id] = c
	}
	s.mu.Unlock()
	c.mu.Lock()
	return c
}

// tell appends a change and wakes those who follow.
func (c *city) tell(change routing.Change) {
	if len(c.log) == 2*kept {
		c.log = append(c.log[:0:0], c.log[kept:]...)
	}
	c.log = append(c.log, change)
	if c.changed != nil {
		close(c.changed)
		c.changed = nil
	}
}

// setPlace writes a place under a new revision.
func (c *city) setPlace(p routing.Place) routing.Place {
	c.rev++
	p.Rev = c.rev
	if old, had := c.places[p.Call]; had {
		c.length[old.Queue]--
	}
	c.length[p.Queue]++
	c.places[p.Call] = p
	c.tell(routing.Change{Rev: c.rev, Place: &p})
	return p
}

// removePlace takes a call out of line, if it is in.
func (c *city) removePlace(id call.ID) {
	old, had := c.places[id]
	if !had {
		return
	}
	c.rev++
	c.length[old.Queue]--
	delete(c.places, id)
	c.tell(routing.Change{Rev: c.rev, Gone: id})
}

// row is an agent's row; one that was never written is empty.
func (c *city) row(agent call.AgentID) routing.Row {
	r, ok := c.rows[agent]
	if !ok {
		r = routing.Row{City: c.id, Agent: agent}
	}
	return r
}

// setRow writes a row under a new revision.
func (c *city) setRow(r routing.Row) routing.Row {
	c.rev++
	r.Rev = c.rev
	c.rows[r.Agent] = r
	c.tell(routing.Change{Rev: c.rev, Row: &r})
	return r
}

// Put is routing.Store's.
func (s *Store) Put(_ context.Context, p routing.Place, limit int) error {
	c := s.lock(p.City)
	defer c.mu.Unlock()
	if limit > 0 && p.Only == "" && c.length[p.Queue] >= limit && c.before(p) >= limit {
		return call.ErrQueueFull
	}
	old := c.places[p.Call]
	p.Agent, p.Fence = old.Agent, old.Fence
	p.Excluded, p.ExcludedAt = old.Excluded, old.ExcludedAt
	c.setPlace(p)
	return nil
}

// before counts the calls of the same queue that stand before p. It is asked only when the queue is long.
func (c *city) before(p routing.Place) (n int) {
	for _, o := range c.places {
		if o.Queue == p.Queue && o.Only == "" && o.Call != p.Call && o.Before(p) {
			n++
		}
	}
	return n
}

// Drop is routing.Store's.
func (s *Store) Drop(_ context.Context, cityID call.CityID, id call.ID) (routing.Claim, error) {
	c := s.lock(cityID)
	defer c.mu.Unlock()
	p := c.places[id]
	c.removePlace(id)
	r := c.row(p.Agent)
	if p.Agent == "" || r.Claim.Fence != p.Fence {
		return routing.Claim{}, nil
	}
	claim := r.Claim
	r.Claim = routing.Claim{}
	c.setRow(r)
	return claim, nil
}

// Forgive is routing.Store's.
func (s *Store) Forgive(_ context.Context, cityID call.CityID, id call.ID) error {
	c := s.lock(cityID)
	defer c.mu.Unlock()
	if p, ok := c.places[id]; ok && len(p.Excluded) > 0 {
		p.Excluded, p.ExcludedAt = nil, time.Time{}
		c.setPlace(p)
	}
	return nil
}

// Amend is routing.Store's.
func (s *Store) Amend(_ context.Context, cityID call.CityID, agent call.AgentID, a routing.Amendment) (routing.Row, error) {
	c := s.lock(cityID)
	defer c.mu.Unlock()
	r := c.row(agent)
	if a.Empty() {
		return r, nil
	}
	r.Facts = r.Facts.Apply(a)
	if home := r.Facts.Phone.Home; home != "" && home != r.LastHome {
		r.LastHome = home
		r.Fence = call.Fence{Epoch: max(r.Fence.Epoch+1, uint64(s.now().UnixMilli()))}
	}
	return c.setRow(r), nil
}

// Claim is routing.Store's.
func (s *Store) Claim(_ context.Context, b routing.Bid, lease time.Duration) (routing.Place, routing.Row, error) {
	c := s.lock(b.City)
	defer c.mu.Unlock()
	now := s.now()
	c.lapse(b, now)
	p, waiting := c.places[b.Call]
	r := c.row(b.Agent)
	if !waiting || p.Agent != "" || p.Only != "" && p.Only != b.Agent || r.Claim.Call != "" || !r.Facts.Free(now) {
		return p, r, routing.ErrTaken
	}
	r.Fence.Counter++
	r.Claim = routing.Claim{City: b.City, Call: b.Call, Queue: p.Queue, Agent: b.Agent, Fence: r.Fence, Node: p.Node,
		Phase: routing.PhaseOffered, Since: now, Until: now.Add(lease), Ring: b.Ring, Why: b.Why}
	p.Agent, p.Fence = b.Agent, r.Fence
	return c.setPlace(p), c.setRow(r), nil
}

// lapse ends unanswered claims in the bid's way whose lease ran out.
func (c *city) lapse(b routing.Bid, now time.Time) {
	for _, agent := range []call.AgentID{b.Agent, c.places[b.Call].Agent} {
		if r := c.rows[agent]; r.Claim.Phase == routing.PhaseOffered && !now.Before(r.Claim.Until) {
			c.end(r, routing.After{Back: true})
		}
	}
}

// end frees the agent of a row from its claim and settles the call's place.
func (c *city) end(r routing.Row, after routing.After) {
	claim := r.Claim
	r.Claim = routing.Claim{}
	r.Facts = r.Facts.Apply(after.Agent)
	c.setRow(r)
	p, ok := c.places[claim.Call]
	if !ok || p.Agent != claim.Agent || p.Fence != claim.Fence {
		return
	}
	if !after.Back {
		c.removePlace(claim.Call)
		return
	}
	p.Agent, p.Fence = "", call.Fence{}
	if after.Exclude && !slices.Contains(p.Excluded, claim.Agent) {
		p.Excluded = append(slices.Clone(p.Excluded), claim.Agent)
		p.ExcludedAt = after.At
	}
	c.setPlace(p)
}

// held is the row of a claim's agent, if the claim is theirs still.
func (c *city) held(claim routing.Claim) (routing.Row, bool) {
	r := c.rows[claim.Agent]
	return r, r.Claim.Call != "" && r.Claim.Call == claim.Call && r.Claim.Fence == claim.Fence
}

// Accept is routing.Store's.
func (s *Store) Accept(_ context.Context, claim routing.Claim, lease time.Duration) error {
	c := s.lock(claim.City)
	defer c.mu.Unlock()
	r, ok := c.held(claim)
	if !ok || r.Claim.Phase != routing.PhaseOffered {
		return call.ErrStale
	}
	now := s.now()
	r.Claim.Phase, r.Claim.Since, r.Claim.Until = routing.PhaseTalking, now, now.Add(lease)
	r.Facts.Missed = 0
	c.setRow(r)
	c.removePlace(claim.Call)
	return nil
}

// Renew is routing.Store's.
func (s *Store) Renew(_ context.Context, cityID call.CityID, claims []routing.Claim, lease time.Duration) (stale []routing.Claim, err error) {
	c := s.lock(cityID)
	defer c.mu.Unlock()
	for _, claim := range claims {
		r, ok := c.held(claim)
		if !ok {
			stale = append(stale, claim)
			continue
		}
		r.Claim.Until = s.now().Add(lease)
		c.setRow(r)
	}
	return stale, nil
}

// Release is routing.Store's.
func (s *Store) Release(_ context.Context, claim routing.Claim, after routing.After) error {
	c := s.lock(claim.City)
	defer c.mu.Unlock()
	r, ok := c.held(claim)
	if !ok {
		return call.ErrStale
	}
	c.end(r, after)
	return nil
}

// Lapse is routing.Store's.
func (s *Store) Lapse(_ context.Context, cityID call.CityID) (lapsed []routing.Claim, err error) {
	c := s.lock(cityID)
	defer c.mu.Unlock()
	now := s.now()
	for _, r := range c.rows {
		if r.Claim.Call != "" && !now.Before(r.Claim.Until) {
			lapsed = append(lapsed, r.Claim)
			c.end(r, routing.After{Back: true})
		}
	}
	return lapsed, nil
}

// Snapshot is routing.Store's.
func (s *Store) Snapshot(_ context.Context, cityID call.CityID) (routing.Snapshot, error) {
	c := s.lock(cityID)
	defer c.mu.Unlock()
	snap := routing.Snapshot{Rev: c.rev}
	for _, p := range c.places {
		snap.Places = append(snap.Places, p)
	}
	for _, r := range c.rows {
		snap.Rows = append(snap.Rows, r)
	}
	return snap, nil
}

// Follow is routing.Store's.
func (s *Store) Follow(ctx context.Context, cityID call.CityID, after uint64) ([]routing.Change, error) {
	for {
		changes, wait, err := s.since(cityID, after)
		if err != nil || len(changes) > 0 {
			return changes, err
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// since returns the changes after a revision, or what to wait for when there are none yet.
func (s *Store) since(cityID call.CityID, after uint64) ([]routing.Change, <-chan struct{}, error) {
	c := s.lock(cityID)
	defer c.mu.Unlock()
	behind := c.rev - after
	switch {
	case after > c.rev || behind > uint64(len(c.log)):
		return nil, nil, routing.ErrBehind
	case behind > 0:
		from := len(c.log) - int(behind)
		return slices.Clone(c.log[from:min(from+batch, len(c.log))]), nil, nil
	}
	if c.changed == nil {
		c.changed = make(chan struct{})
	}
	return nil, c.changed, nil
}

// Lead is routing.Store's.
func (s *Store) Lead(_ context.Context, cityID call.CityID, node string, lease time.Duration) (bool, error) {
	c := s.lock(cityID)
	defer c.mu.Unlock()
	now := s.now()
	if c.leader != "" && c.leader != node && now.Before(c.leads) {
		return false, nil
	}
	c.leader, c.leads = node, now.Add(lease)
	if lease <= 0 {
		c.leader = ""
	}
	return lease > 0, nil
}
