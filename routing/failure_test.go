package routing_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"callhall/call"
	"callhall/routing"
	"callhall/routing/memstore"
)

// TestNobodyListens fills a call's inbox: its offer comes back at once, and the next call has the agent.
func TestNobodyListens(t *testing.T) {
	bubble(t, func(h *hall) {
		a := &caller{h: h, id: "cl_a", in: call.NewInbox(), since: time.Now()}
		for a.in.TryPut(call.Digit{}) {
		}
		a.enqueue()
		b := h.caller("cl_b")
		if o := b.offered(); o.Agent != "ana" {
			h.Fatal(o)
		}
		h.waiting(2)
	}, "ana")
}

// TestOrphans opens a node on a store in which an earlier run of it has left a conversation, an offer and a place. Within
// two looks of the reconciler nothing of them is left.
func TestOrphans(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New(time.Now)
		left := func(id call.ID, agent call.AgentID) routing.Claim {
			facts := routing.Amendment{Duty: &routing.Duty{On: true}, Phone: &routing.Phone{Home: "n1", Until: time.Now().Add(time.Hour)}}
			_, err := store.Amend(t.Context(), metro, agent, facts)
			p := routing.Place{City: metro, Call: id, Queue: general, Since: time.Now(), Node: "n1"}
			if err = errors.Join(err, store.Put(t.Context(), p, 0)); err != nil {
				t.Fatal(err)
			}
			_, r, err := store.Claim(t.Context(), routing.Bid{City: metro, Call: id, Agent: agent, Ring: time.Hour}, time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			return r.Claim
		}
		if err := store.Accept(t.Context(), left("cl_talk", "ana"), time.Hour); err != nil {
			t.Fatal(err)
		}
		left("cl_ring", "bob")
		if err := store.Put(t.Context(), routing.Place{City: metro, Call: "cl_wait", Queue: general, Node: "n1"}, 0); err != nil {
			t.Fatal(err)
		}
		h := open(t, store, oneCity("ana", "bob"))
		h.isState("ana", routing.StateTalking)
		time.Sleep(21 * time.Second)
		h.isState("ana", routing.StateReady)
		h.isState("bob", routing.StateReady)
		h.waiting(0)
		h.counted("callhall_agent_reaped_total", `from_state="talking"} 1`)
		h.stop()
	})
}

// TestLostPlace takes a waiting call's place away behind its back, as a store would that lost its latest writes.
func TestLostPlace(t *testing.T) {
	bubble(t, func(h *hall) {
		a := h.caller("cl_a")
		a.hears("place 1")
		if _, err := h.store.Drop(h.Context(), metro, "cl_a"); err != nil {
			h.Fatal(err)
		}
		h.waiting(0)
		time.Sleep(21 * time.Second)
		h.waiting(1)
		a.hears("")
	})
}

// TestDeadNode has another node's leases run out: its waiting agent and its conversation are freed.
func TestDeadNode(t *testing.T) {
	bubble(t, func(h *hall) {
		p := routing.Place{City: metro, Call: "cl_far", Queue: general, Since: time.Now(), Node: "n2"}
		if err := h.store.Put(h.Context(), p, 0); err != nil {
			h.Fatal(err)
		}
		h.isState("ana", routing.StateOffered) // n2 is to ring, and never will
		time.Sleep(16 * time.Second)
		h.counted("callhall_agent_reaped_total", `from_state="offered"} 1`)
		h.waiting(1) // the call keeps its place
	}, "ana")
}

// stalled is a store whose steps fail while it is away.
type stalled struct {
	*memstore.Store
	away atomic.Bool
}

var errAway = errors.New("store: connection refused")

func (s *stalled) Follow(ctx context.Context, c call.CityID, after uint64) ([]routing.Change, error) {
	ch, err := s.Store.Follow(ctx, c, after)
	if s.away.Load() {
		return nil, errAway
	}
	return ch, err
}

func (s *stalled) Snapshot(ctx context.Context, c call.CityID) (routing.Snapshot, error) {
	if s.away.Load() {
		return routing.Snapshot{}, errAway
	}
	return s.Store.Snapshot(ctx, c)
}

func (s *stalled) Renew(ctx context.Context, c call.CityID, claims []routing.Claim, l time.Duration) ([]routing.Claim, error) {
	if s.away.Load() {
		return nil, errAway
	}
	return s.Store.Renew(ctx, c, claims, l)
}

func (s *stalled) Put(ctx context.Context, p routing.Place, limit int) error {
	if s.away.Load() {
		return errAway
	}
	return s.Store.Put(ctx, p, limit)
}

func (s *stalled) Claim(ctx context.Context, b routing.Bid, l time.Duration) (routing.Place, routing.Row, error) {
	if s.away.Load() {
		return routing.Place{}, routing.Row{}, errAway
	}
	return s.Store.Claim(ctx, b, l)
}

func (s *stalled) Lapse(ctx context.Context, c call.CityID) ([]routing.Claim, error) {
	if s.away.Load() {
		return nil, errAway
	}
	return s.Store.Lapse(ctx, c)
}

// TestStoreAway takes the store away for longer than a lease. The conversation keeps its agent, waiting calls keep their
// order, and matching goes on when the store is back.
func TestStoreAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stalled{Store: memstore.New(time.Now)}
		h := open(t, s, oneCity("ana", "bob"))
		h.register("ana")
		a := h.caller("cl_a")
		talk := a.offered()
		h.settle(talk, call.OfferAccepted)
		b := h.caller("cl_b")
		s.away.Store(true)
		late := &caller{h: h, id: "cl_late", in: call.NewInbox(), since: time.Now()}
		if err := late.try(); !errors.Is(err, call.ErrUnavailable) {
			t.Fatalf("enqueue without a store: %v", err)
		}
		time.Sleep(40 * time.Second)
		s.away.Store(false)
		h.register("bob")
		time.Sleep(2 * time.Second)
		if o := b.offered(); o.Agent != "bob" {
			t.Fatal(o.Agent)
		}
		h.isState("ana", routing.StateTalking)
		h.settle(talk, call.OfferCompleted)
		h.isState("ana", routing.StateWrapUp)
		h.stop()
	})
}

// TestTwoNodes has calls on both of two nodes that share a store. One matches for both; when it stops, the other takes
// over within the matcher's lease.
func TestTwoNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New(time.Now)
		h := open(t, store, oneCity("ana", "bob"))
		other, err := routing.New([]routing.City{oneCity("ana", "bob")}, store, routing.Config{Node: "n2"})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			other.Run(ctx)
		}()
		far := &hall{T: t, Service: other, store: store}
		here, there := h.caller("cl_here"), far.caller("cl_there")
		h.register("ana")
		far.register("bob")
		first, second := here.offered(), there.offered()
		if first.Agent != "ana" || second.Agent != "bob" {
			t.Fatalf("%s and %s", first.Agent, second.Agent)
		}
		far.settle(second, call.OfferAccepted)
		h.settle(first, call.OfferAccepted)
		h.Unregistered(t.Context(), metro, "ana", "the node drains")
		h.stop()
		again := far.caller("cl_again")
		far.settle(second, call.OfferCompleted)
		time.Sleep(33 * time.Second)
		if o := again.offered(); o.Agent != "bob" {
			t.Fatal(o.Agent)
		}
		cancel()
		<-done
	})
}

// sticky is a store whose steps for one agent stand still.
type sticky struct {
	*memstore.Store
	began, free chan struct{}
}

func (s *sticky) Amend(ctx context.Context, c call.CityID, agent call.AgentID, a routing.Amendment) (routing.Row, error) {
	if agent == "ana" {
		s.began <- struct{}{}
		<-s.free
	}
	return s.Store.Amend(ctx, c, agent, a)
}

// TestOneAgentsStepsHoldUpNoOther: while the store takes its time over one agent, another is registered and set.
func TestOneAgentsStepsHoldUpNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &sticky{Store: memstore.New(time.Now), began: make(chan struct{}), free: make(chan struct{})}
		s, err := routing.New([]routing.City{oneCity("ana", "bob")}, store, routing.Config{Node: "n1"})
		if err != nil {
			t.Fatal(err)
		}
		until := time.Now().Add(time.Hour)
		go s.Registered(t.Context(), metro, "ana", until)
		<-store.began
		var state routing.AgentState
		go func() {
			s.Registered(t.Context(), metro, "bob", until)
			state, err = s.SetState(t.Context(), metro, "bob", routing.StateReady, "agent:bob", "")
		}()
		synctest.Wait()
		if err != nil || state.State != routing.StateReady {
			t.Errorf("bob is %q, %v", state.State, err)
		}
		close(store.free)
		<-store.began // the second step of ana's registration
	})
}
