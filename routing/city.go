package routing

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"callhall/call"
)

// city is one city at work on this node. One goroutine (run) matches and minds deadlines; others come in by the
// Service's methods, put what they have to say to the store, and leave the rest to run.
type city struct {
	conf    *settings
	store   Store
	node    string
	missed  int
	log     *slog.Logger
	now     func() time.Time
	metrics *metrics
	leaving sync.WaitGroup // tickets whose end is still to be told to the store
	// amends has a lock for each agent, held while what is said of them is told to the store: read, then amend.
	amends map[call.AgentID]*sync.Mutex

	mu      sync.Mutex // guards what follows
	board   *board
	tickets map[call.ID]*ticket    // this node's calls in line
	talks   map[call.AgentID]Claim // this node's conversations
	returns []Claim                // offers for calls that are gone, to be given back
	closed  bool

	// Owned by run.
	loaded                       bool
	leading                      bool
	leadAt, renewAt, reconcileAt time.Time
	suspects                     map[suspect]bool
}

func newCity(conf City, store Store, cfg Config, m *metrics) *city {
	s := &settings{City: conf, queues: map[call.QueueID]Queue{}, agents: map[call.AgentID]Agent{}}
	for _, q := range conf.Queues {
		if q.Ring == 0 {
			q.Ring = DefaultRing
		}
		s.queues[q.ID] = q
	}
	for _, a := range conf.Agents {
		s.agents[a.ID] = a
	}
	c := &city{conf: s, store: store, node: cfg.Node, missed: cfg.MissedLimit, now: cfg.Now, metrics: m,
		log: cfg.Log.With("city", conf.ID), tickets: map[call.ID]*ticket{}, talks: map[call.AgentID]Claim{},
		amends: map[call.AgentID]*sync.Mutex{}}
	for _, a := range conf.Agents {
		c.amends[a.ID] = &sync.Mutex{}
	}
	c.board = newBoard(s, cfg.Now(), c.claimed)
	return c
}

// feed is what follow brings: changes in order, or everything anew.
type feed struct {
	changes  []Change
	snapshot *Snapshot
}

// run works until ctx ends.
func (c *city) run(ctx context.Context) {
	feeds := make(chan feed) // unbuffered: what is not taken waits in the store
	var follower sync.WaitGroup
	follower.Go(func() { c.follow(ctx, feeds) })
	defer c.close(context.WithoutCancel(ctx))
	defer follower.Wait()
	alarm := time.NewTimer(0)
	defer alarm.Stop()
	for {
		select {
		case f := <-feeds:
			c.take(f)
		case <-alarm.C:
		case <-ctx.Done():
			return
		}
		if c.loaded {
			alarm.Reset(c.step(ctx).Sub(c.now()))
		}
	}
}

// follow brings what changes in the store, and everything anew whenever the thread was lost.
func (c *city) follow(ctx context.Context, feeds chan<- feed) {
	var rev uint64
	for anew := true; ctx.Err() == nil; {
		f, err := c.read(ctx, rev, anew)
		if err != nil {
			anew = true
			c.trouble(ctx, err)
			continue
		}
		select {
		case feeds <- f:
		case <-ctx.Done():
		}
		if anew = false; f.snapshot != nil {
			rev = f.snapshot.Rev
		} else {
			rev = f.changes[len(f.changes)-1].Rev
		}
	}
}

// read waits for changes after rev, or reads the whole city.
func (c *city) read(ctx context.Context, rev uint64, anew bool) (feed, error) {
	if anew {
		s, err := c.store.Snapshot(ctx, c.conf.ID)
		return feed{snapshot: &s}, err
	}
	changes, err := c.store.Follow(ctx, c.conf.ID, rev)
	return feed{changes: changes}, err
}

// trouble says that the store cannot be followed, and waits a moment before it is tried again.
func (c *city) trouble(ctx context.Context, err error) {
	if errors.Is(err, ErrBehind) || ctx.Err() != nil {
		return
	}
	c.log.Error("live state cannot be followed, trying again", "err", err)
	wait := time.NewTimer(retryAfter)
	defer wait.Stop()
	select {
	case <-wait.C:
	case <-ctx.Done():
	}
}

// take brings the board up to date.
func (c *city) take(f feed) {
	now := c.now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.snapshot == nil {
		for _, ch := range f.changes {
			c.board.apply(ch, now)
			if ch.Place != nil {
				c.tellFirst(ch.Place.Call, now)
			}
		}
		return
	}
	c.reload(*f.snapshot, now)
	c.loaded = true
}

// reload starts a new board and tells calls whose claims have changed meanwhile.
func (c *city) reload(s Snapshot, now time.Time) {
	old := c.board
	c.board = newBoard(c.conf, now, func(Claim, Claim) {})
	c.board.load(s, now)
	c.board.claimed = c.claimed
	for id, d := range c.board.desks {
		if was := old.desks[id].Claim; was.Fence != d.Claim.Fence {
			c.claimed(was, d.Claim)
		}
	}
	for id := range c.tickets {
		c.tellFirst(id, now)
	}
}

// step does all that is to be done now and returns when to come back, if nothing happens before.
func (c *city) step(ctx context.Context) time.Time {
	now := c.now()
	c.lead(ctx, now)
	c.renew(ctx, now) // before anything lapses: a machine that stood still keeps its conversations
	c.mind(ctx, now)
	c.reconcile(ctx, now)
	c.match(ctx)
	c.giveBack(ctx)
	return c.nextStep(c.tellPlaces(now))
}

// nextStep is the earliest of all that is planned.
func (c *city) nextStep(news time.Time) time.Time {
	at := earlier(c.leadAt, c.reconcileAt)
	at = earlier(at, c.renewAt)
	if !news.IsZero() {
		at = earlier(at, news)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if d, ok := c.board.deadlines.first(); ok {
		at = earlier(at, c.board.epoch.Add(time.Duration(d.at)))
	}
	return at
}

// lead keeps or takes the right to match this city.
func (c *city) lead(ctx context.Context, now time.Time) {
	if now.Before(c.leadAt) {
		return
	}
	c.leadAt = now.Add(leadEvery)
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	leading, err := c.store.Lead(ctx, c.conf.ID, c.node, leadLease)
	if err != nil {
		c.log.Warn("matcher's lease not renewed", "err", err)
	}
	c.leading = leading && err == nil
}

// match claims an agent for every call that has one, best first.
func (c *city) match(ctx context.Context) {
	for c.leading && ctx.Err() == nil {
		c.mu.Lock()
		p, ok := c.board.next(c.now())
		c.mu.Unlock()
		if !ok {
			return
		}
		c.bid(ctx, p)
	}
}

// bid asks the store for one pair. A race lost shows in the records it returns, and the match is tried again.
func (c *city) bid(ctx context.Context, p pair) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	b := Bid{City: c.conf.ID, Call: p.call, Agent: p.agent, Ring: c.conf.queues[p.queue].Ring, Why: p.why}
	place, row, err := c.store.Claim(ctx, b, lease)
	switch {
	case err == nil:
		c.log.Debug("call matched", "call", p.call, "queue", p.queue, "agent", p.agent, "why", p.why)
	case !errors.Is(err, ErrTaken):
		c.log.Error("claim failed, trying again", "call", p.call, "agent", p.agent, "err", err)
		place, row = Place{}, Row{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.board.bidDone(p, place, row, err, c.now())
}

// renew lengthens the leases of this node's offers and conversations.
func (c *city) renew(ctx context.Context, now time.Time) {
	if now.Before(c.renewAt) {
		return
	}
	c.renewAt = now.Add(renewEvery)
	claims := c.held()
	if len(claims) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	stale, err := c.store.Renew(ctx, c.conf.ID, claims, lease)
	if err != nil {
		c.log.Error("claims not renewed, trying again", "claims", len(claims), "err", err)
		c.renewAt = now.Add(retryAfter)
	}
	for _, claim := range stale {
		c.lost(claim)
	}
}

// held lists the claims of this node's calls.
func (c *city) held() (claims []Claim) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.tickets {
		if t.offer.Call != "" {
			claims = append(claims, t.offer)
		}
	}
	for _, claim := range c.talks {
		claims = append(claims, claim)
	}
	return claims
}

// lost forgets a conversation whose claim the store no longer has. The two go on talking; the agent may be offered a
// second call, so this is for the operator to know.
func (c *city) lost(claim Claim) {
	c.mu.Lock()
	_, talking := c.talks[claim.Agent]
	talking = talking && c.talks[claim.Agent].Fence == claim.Fence
	if talking {
		delete(c.talks, claim.Agent)
	}
	c.mu.Unlock()
	if talking {
		c.metrics.reaped.WithLabelValues(string(c.conf.ID), string(StateTalking)).Inc()
		c.log.Error("claim of a conversation was lost", "call", claim.Call, "agent", claim.Agent)
	}
}

// close ends the places of this node's calls and gives up the city.
func (c *city) close(ctx context.Context) {
	c.mu.Lock()
	c.closed = true
	var open []*ticket
	for _, t := range c.tickets {
		if t.stop() { // otherwise it is leaving by itself
			open = append(open, t)
		}
	}
	c.mu.Unlock()
	for _, t := range open {
		c.leave(ctx, t)
	}
	c.leaving.Wait()
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	if _, err := c.store.Lead(ctx, c.conf.ID, c.node, 0); err != nil {
		c.log.Warn("matcher's lease not given up, it runs out by itself", "err", err)
	}
}
