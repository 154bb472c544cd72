package routing_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"callhall/call"
	"callhall/routing"
	"callhall/routing/memstore"
)

var (
	seeds = flag.Int("seeds", 100, "how many seeds TestSimulation runs")
	seed  = flag.Uint64("seed", 0, "the one seed to run; 0 is all")
)

// TestSimulation lets an afternoon pass for a small city, once for each seed: callers who wait, leave and lose their
// agent; agents who answer, decline, do not hear, go away, take breaks; calls that forget to settle. Each caller and
// agent draws from a generator of their own, so that a seed decides the same in every run (-seed N).
//
// What must hold: an agent never has two calls (P2); each call ends with an agent or by its caller's will, and is in no
// list afterwards (P1); no call is passed over by one that comes after it; nothing outlives its deadline.
func TestSimulation(t *testing.T) {
	if *seed != 0 {
		simulate(t, *seed)
		return
	}
	for s := range uint64(*seeds) {
		if simulate(t, s+1); t.Failed() {
			t.Fatalf("seed %d failed", s+1)
		}
	}
}

// world is one run. mu guards what the callers tell it.
type world struct {
	*hall
	seed    uint64
	audit   *audit
	mu      sync.Mutex
	talking map[call.AgentID]call.ID
	served  int
	left    int
	over    chan struct{} // closed when the last call is over
}

const (
	simCalls  = 60
	simAgents = 5
	simLimit  = 24 * time.Hour
)

func simCity() routing.City {
	c := routing.City{ID: metro, Queues: []routing.Queue{
		{ID: general, Ring: 15 * time.Second, WrapUp: 20 * time.Second},
		{ID: "parks", Ring: 10 * time.Second}}}
	for i := range simAgents {
		queues := [][]call.QueueID{{general}, {"parks"}, {general, "parks"}}[i%3]
		c.Agents = append(c.Agents, routing.Agent{ID: call.AgentID(fmt.Sprint("a", i)), Queues: queues, SignIn: true})
	}
	return c
}

func simulate(t *testing.T, seed uint64) {
	synctest.Test(t, func(t *testing.T) {
		city := simCity()
		a := newAudit(memstore.New(time.Now), city)
		w := &world{hall: open(t, a, city), seed: seed, audit: a, talking: map[call.AgentID]call.ID{}, over: make(chan struct{})}
		var calls, others sync.WaitGroup
		for i := range simCalls {
			calls.Go(func() { w.call(i) })
		}
		for i, agent := range city.Agents {
			others.Go(func() { w.agent(i, agent.ID) })
		}
		others.Go(w.inspect)
		calls.Wait()
		close(w.over)
		others.Wait()
		w.check()
		w.stop()
	})
}

// rand is the generator of one actor.
func (w *world) rand(kind, i int) *rand.Rand {
	return rand.New(rand.NewPCG(w.seed, uint64(kind)<<32|uint64(i)))
}

// span is a random time up to most, never a round one: two events seldom share an instant.
func span(r *rand.Rand, most time.Duration) time.Duration {
	return time.Duration(r.Int64N(int64(most))) + 1
}

// agent comes and goes until the last call is over.
func (w *world) agent(i int, id call.AgentID) {
	r := w.rand(1, i)
	for {
		w.Registered(w.Context(), metro, id, time.Now().Add(time.Hour))
		if _, err := w.SetState(w.Context(), metro, id, routing.StateReady, "agent", ""); err != nil {
			w.Error(err)
		}
		if !w.pass(span(r, 10*time.Minute)) {
			return
		}
		switch r.IntN(4) {
		case 0:
			w.Unregistered(w.Context(), metro, id, "crashed")
		case 1:
			w.SetState(w.Context(), metro, id, routing.StatePaused, "agent", "break")
		case 2:
			w.SetState(w.Context(), metro, id, routing.StateSignedOut, "agent", "lunch")
		case 3:
			w.Registered(w.Context(), metro, id, time.Now().Add(span(r, time.Minute))) // will run out
		}
		w.pass(span(r, 3*time.Minute))
	}
}

// pass lets time pass and tells whether calls go on.
func (w *world) pass(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-w.over:
		return false
	}
}

// inspect looks, every few seconds, whether anybody is in a state past its deadline.
func (w *world) inspect() {
	for start := time.Now(); w.pass(7*time.Second+1) && time.Since(start) < simLimit; {
		all, err := w.Agents(w.Context(), metro)
		if err != nil {
			w.Error(err)
		}
		for _, a := range all {
			if !a.Deadline.IsZero() && time.Since(a.Deadline) > 2*time.Second {
				w.Errorf("seed %d: %s is %s, %s past the deadline", w.seed, a.ID, a.State, time.Since(a.Deadline))
			}
		}
	}
}

// call is one caller's visit, told as the call package would run it.
func (w *world) call(i int) {
	r := w.rand(2, i)
	time.Sleep(span(r, 30*time.Minute))
	c := &caller{h: w.hall, id: call.ID(fmt.Sprint("cl_", i)), in: call.NewInbox(), since: time.Now()}
	defer c.in.Close()
	queue := []call.QueueID{general, "parks"}[r.IntN(2)]
	patience := simLimit // most would wait for ever
	if r.IntN(3) == 0 {
		patience = span(r, 4*time.Minute)
	}
	ctx, leave := context.WithTimeout(w.Context(), patience)
	defer leave()
	for {
		place, giveUp := context.WithCancel(ctx)
		if err := w.Enqueue(place, call.Waiting{City: metro, Call: c.id, Queue: queue, Since: c.since}, c.in); err != nil {
			w.Errorf("seed %d: %s: %v", w.seed, c.id, err)
		}
		o, ok := w.wait(ctx, c, r)
		giveUp()
		if !ok {
			w.end(&w.left)
			if patience == simLimit {
				w.Errorf("seed %d: %s was never answered", w.seed, c.id)
			}
			return
		}
		if lost := w.talk(c, o, r); !lost {
			w.end(&w.served)
			return
		}
	}
}

func (w *world) end(n *int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	*n++
}

// wait stands in line until an agent has answered or the caller leaves.
func (w *world) wait(ctx context.Context, c *caller, r *rand.Rand) (call.Offer, bool) {
	for {
		select {
		case ev := <-c.in.Events():
			if o, ok := ev.(call.Offered); ok && w.ring(ctx, c, o.Offer, r) {
				return o.Offer, true
			}
		case <-ctx.Done():
			return call.Offer{}, false
		}
	}
}

// ring rings one agent and tells whether they answered.
func (w *world) ring(ctx context.Context, c *caller, o call.Offer, r *rand.Rand) bool {
	outcome, after := call.OfferAccepted, span(r, 8*time.Second)
	switch r.IntN(20) {
	case 0, 1:
		outcome = call.OfferRejected
	case 2, 3:
		outcome, after = call.OfferTimeout, o.Ring
	case 4:
		outcome, after = call.OfferRescinded, span(r, time.Second)
	case 5:
		outcome, after = "", time.Minute // nobody settles
	}
	rung := time.After(after)
	for {
		select {
		case <-rung:
			return outcome != "" && w.settleAs(o, outcome)
		case <-ctx.Done():
			w.settleAs(o, call.OfferCanceled)
			return false
		case ev := <-c.in.Events():
			switch ev := ev.(type) {
			case call.Rescinded:
				if ev.Offer.Fence == o.Fence {
					time.Sleep(span(r, 20*time.Millisecond)) // the phone is told
					return false
				}
			case call.Offered:
				w.Errorf("seed %d: %s was offered %s while %s rings", w.seed, c.id, ev.Offer.Agent, o.Agent)
			}
		}
	}
}

// settleAs settles an offer and tells whether a conversation has begun.
func (w *world) settleAs(o call.Offer, outcome call.OfferOutcome) bool {
	err := w.Settle(w.Context(), o, outcome)
	if err != nil && !errors.Is(err, call.ErrStale) {
		w.Errorf("seed %d: %v", w.seed, err)
	}
	if err != nil || outcome != call.OfferAccepted {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if other, busy := w.talking[o.Agent]; busy {
		w.Errorf("seed %d: %s talks with %s and was given %s", w.seed, o.Agent, other, o.Call)
	}
	w.talking[o.Agent] = o.Call
	return true
}

// talk is a conversation; it tells whether the agent was lost before its end.
func (w *world) talk(c *caller, o call.Offer, r *rand.Rand) (lost bool) {
	for end := time.After(span(r, 3*time.Minute)); ; {
		select {
		case ev := <-c.in.Events():
			if off, ok := ev.(call.Offered); ok {
				w.Errorf("seed %d: %s was offered %s while talking", w.seed, c.id, off.Offer.Agent)
			}
		case <-end:
			w.mu.Lock()
			delete(w.talking, o.Agent)
			w.mu.Unlock()
			if err := w.Settle(w.Context(), o, call.OfferCompleted); err != nil {
				w.Errorf("seed %d: %v", w.seed, err)
			}
			return r.IntN(10) == 0
		}
	}
}

// check is what must hold when all calls are over.
func (w *world) check() {
	synctest.Wait()
	if w.served+w.left != simCalls {
		w.Errorf("seed %d: %d served and %d left of %d", w.seed, w.served, w.left, simCalls)
	}
	snap, err := w.store.Snapshot(w.Context(), metro)
	if err != nil || len(snap.Places) > 0 {
		w.Errorf("seed %d: left in line: %v %v", w.seed, snap.Places, err)
	}
	for _, r := range snap.Rows {
		if r.Claim.Call != "" {
			w.Errorf("seed %d: %s is left with a claim for %s", w.seed, r.Agent, r.Claim.Call)
		}
	}
	if w.audit.refused > simCalls/10 {
		w.Errorf("seed %d: %d bids were refused", w.seed, w.audit.refused)
	}
	for _, fault := range w.audit.faults {
		w.Errorf("seed %d: %s", w.seed, fault)
	}
}

// audit is a store that watches the order of claims.
type audit struct {
	*memstore.Store
	serves map[call.AgentID][]call.QueueID
	mu     sync.Mutex // one step at a time, so that what is watched is what is done
	line   map[call.ID]*watched
	fences map[call.AgentID]call.Fence
	faults []string
	// refused counts bids that the store did not grant. The board knows all that the store does but for what happens in
	// the same instant.
	refused int
}

// watched is a call in line: free since that time, if it is free.
type watched struct {
	routing.Place
	free time.Time
}

func newAudit(s *memstore.Store, city routing.City) *audit {
	a := &audit{Store: s, line: map[call.ID]*watched{}, fences: map[call.AgentID]call.Fence{}, serves: map[call.AgentID][]call.QueueID{}}
	for _, agent := range city.Agents {
		a.serves[agent.ID] = agent.Queues
	}
	return a
}

func (a *audit) Put(ctx context.Context, p routing.Place, limit int) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	err := a.Store.Put(ctx, p, limit)
	if err == nil {
		a.line[p.Call] = &watched{p, time.Now()}
	}
	return err
}

func (a *audit) Drop(ctx context.Context, city call.CityID, id call.ID) (routing.Claim, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.line, id)
	return a.Store.Drop(ctx, city, id)
}

func (a *audit) Forgive(ctx context.Context, city call.CityID, id call.ID) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if w := a.line[id]; w != nil {
		w.Excluded = nil
		w.free = time.Now()
	}
	return a.Store.Forgive(ctx, city, id)
}

func (a *audit) Accept(ctx context.Context, c routing.Claim, lease time.Duration) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	err := a.Store.Accept(ctx, c, lease)
	if err == nil {
		delete(a.line, c.Call)
	}
	return err
}

func (a *audit) Release(ctx context.Context, c routing.Claim, after routing.After) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	err := a.Store.Release(ctx, c, after)
	w := a.line[c.Call]
	if err != nil || w == nil || w.Agent != c.Agent {
		return err
	}
	w.Agent, w.free = "", time.Now()
	switch {
	case !after.Back:
		delete(a.line, c.Call)
	case after.Exclude:
		w.Excluded = append(w.Excluded, c.Agent)
	default:
		w.free = time.Now().Add(250 * time.Millisecond) // time for the call to end that ringing
	}
	return nil
}

func (a *audit) Claim(ctx context.Context, b routing.Bid, lease time.Duration) (routing.Place, routing.Row, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	p, r, err := a.Store.Claim(ctx, b, lease)
	if err != nil {
		a.refused++
		return p, r, err
	}
	w := a.line[b.Call]
	w.Agent = b.Agent
	if !a.fences[b.Agent].Less(r.Claim.Fence) {
		a.faults = append(a.faults, fmt.Sprintf("fence %v of %s after %v", r.Claim.Fence, b.Agent, a.fences[b.Agent]))
	}
	a.fences[b.Agent] = r.Claim.Fence
	if slices.Contains(w.Excluded, b.Agent) {
		a.faults = append(a.faults, fmt.Sprintf("%s was offered again to %s", b.Call, b.Agent))
	}
	for _, o := range a.line {
		passed := o.Agent == "" && o.free.Before(time.Now()) && o.Before(w.Place)
		if passed && slices.Contains(a.serves[b.Agent], o.Queue) && !slices.Contains(o.Excluded, b.Agent) {
			a.faults = append(a.faults, fmt.Sprintf("%s passed over by %s for %s", o.Call, b.Call, b.Agent))
		}
	}
	return p, r, nil
}
