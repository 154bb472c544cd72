// Package routingtest is the contract of routing.Store: what every store passes unchanged.
package routingtest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"callhall/call"
	"callhall/routing"
)

// Clock is what a store under test may have besides: a clock that the contract moves. Without it the contract waits,
// in earnest, for its short leases to run out.
type Clock interface{ Advance(d time.Duration) }

// Leases of the contract: short ones run out while a test looks on, long ones never do.
const (
	short = 200 * time.Millisecond
	long  = time.Hour
)

const (
	metro   call.CityID  = "metro"
	harbour call.CityID  = "harbour"
	general call.QueueID = "general"
)

// TestStore is the contract. open returns an empty store, and closes it with t.Cleanup.
func TestStore(t *testing.T, open func(*testing.T) routing.Store) {
	for name, test := range map[string]func(*testing.T, *bench){
		"a place is put, kept and dropped":              testPlaces,
		"a full queue refuses by who stands before":     testLimit,
		"a claim needs both to be free":                 testClaimNeedsBoth,
		"a call for one agent is nobody else's":         testOnly,
		"an agent who is not free is not claimed":       testFacts,
		"an accepted call leaves the line":              testAccept,
		"a release settles agent and place at once":     testRelease,
		"an excluded agent is forgiven":                 testForgive,
		"a stale claim changes nothing":                 testStale,
		"fences grow":                                   testFences,
		"a lease runs out":                              testLease,
		"a conversation is not taken over":              testConversation,
		"a dropped call frees its agent":                testDropOffered,
		"a snapshot and its changes are the whole":      testFollow,
		"who asks for what is gone is told so":          testBehind,
		"one node leads":                                testLead,
		"cities do not see each other":                  testCities,
		"64 goroutines never claim an agent twice":      testRace,
		"64 goroutines accept, release and drop safely": testChurn,
	} {
		t.Run(name, func(t *testing.T) { test(t, &bench{t, open(t), t.Context()}) })
	}
}

// bench is a store under test with the words of the contract.
type bench struct {
	t *testing.T
	routing.Store
	ctx context.Context
}

func (b *bench) ok(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) is(err, want error) {
	b.t.Helper()
	if !errors.Is(err, want) {
		b.t.Fatalf("got error %v, want %v", err, want)
	}
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("%s: got %v, want %v", what, got, want)
	}
}

var epoch = time.Date(2026, 3, 9, 12, 0, 0, 0, time.UTC)

func place(city call.CityID, id string, age time.Duration) routing.Place {
	return routing.Place{City: city, Call: call.ID(id), Queue: general, Since: epoch.Add(-age), Node: "n1"}
}

// wait puts a call in line that has waited that long.
func (b *bench) wait(id string, age time.Duration) {
	b.t.Helper()
	b.ok(b.Put(b.ctx, place(metro, id, age), 0))
}

// staff makes an agent free. Registrations of the contract last beyond any clock.
func (b *bench) staff(city call.CityID, agent call.AgentID) routing.Row {
	b.t.Helper()
	r, err := b.Amend(b.ctx, city, agent, routing.Amendment{
		Duty:  &routing.Duty{On: true, At: epoch},
		Phone: &routing.Phone{Home: "n1", At: epoch, Until: epoch.AddDate(100, 0, 0)},
		Idle:  &epoch,
	})
	b.ok(err)
	return r
}

func (b *bench) claim(id string, agent call.AgentID, lease time.Duration) (routing.Claim, error) {
	bid := routing.Bid{City: metro, Call: call.ID(id), Agent: agent, Ring: 20 * time.Second, Why: "because"}
	_, r, err := b.Claim(b.ctx, bid, lease)
	return r.Claim, err
}

func (b *bench) must(id string, agent call.AgentID, lease time.Duration) routing.Claim {
	b.t.Helper()
	c, err := b.claim(id, agent, lease)
	b.ok(err)
	return c
}

// pass lets a short lease run out.
func (b *bench) pass() {
	if c, ok := b.Store.(Clock); ok {
		c.Advance(short)
		return
	}
	<-time.After(short + short/2)
}

// state is what the city holds, by id.
func (b *bench) state(city call.CityID) (map[call.ID]routing.Place, map[call.AgentID]routing.Row) {
	b.t.Helper()
	s, err := b.Snapshot(b.ctx, city)
	b.ok(err)
	places, rows := map[call.ID]routing.Place{}, map[call.AgentID]routing.Row{}
	for _, p := range s.Places {
		places[p.Call] = p
	}
	for _, r := range s.Rows {
		rows[r.Agent] = r
	}
	return places, rows
}

func testPlaces(t *testing.T, b *bench) {
	b.wait("cl_a", time.Minute)
	b.wait("cl_a", time.Minute)
	places, _ := b.state(metro)
	equal(t, "places", len(places), 1)
	p := places["cl_a"]
	equal(t, "queue", p.Queue, general)
	equal(t, "node", p.Node, "n1")
	equal(t, "since", p.Since.Equal(epoch.Add(-time.Minute)), true)
	c, err := b.Drop(b.ctx, metro, "cl_a")
	b.ok(err)
	equal(t, "claim", c, routing.Claim{})
	_, err = b.Drop(b.ctx, metro, "cl_a")
	b.ok(err)
	places, _ = b.state(metro)
	equal(t, "places", len(places), 0)
}

func testLimit(t *testing.T, b *bench) {
	b.wait("cl_a", 3*time.Minute)
	b.wait("cl_b", 2*time.Minute)
	b.is(b.Put(b.ctx, place(metro, "cl_c", time.Minute), 2), call.ErrQueueFull)
	b.ok(b.Put(b.ctx, place(metro, "cl_b", 2*time.Minute), 2))    // it is there already
	b.ok(b.Put(b.ctx, place(metro, "cl_back", 4*time.Minute), 2)) // put back: it stands before them
	b.ok(b.Put(b.ctx, place(metro, "cl_d", time.Minute), 4))
	other := place(metro, "cl_e", 0)
	other.Queue = "parks"
	b.ok(b.Put(b.ctx, other, 1))
	urgent := place(metro, "cl_f", 0)
	urgent.Priority = 1
	b.ok(b.Put(b.ctx, urgent, 1))
	places, _ := b.state(metro)
	equal(t, "places", len(places), 6)
}

func testClaimNeedsBoth(t *testing.T, b *bench) {
	b.wait("cl_a", 0)
	b.wait("cl_b", 0)
	b.staff(metro, "ana")
	b.staff(metro, "bob")
	_, err := b.claim("cl_none", "ana", long)
	b.is(err, routing.ErrTaken)
	_, err = b.claim("cl_a", "nobody", long)
	b.is(err, routing.ErrTaken)
	p, r, err := b.Claim(b.ctx, routing.Bid{City: metro, Call: "cl_a", Agent: "ana", Ring: time.Second, Why: "first"}, long)
	b.ok(err)
	c := r.Claim
	equal(t, "place's agent", p.Agent, call.AgentID("ana"))
	equal(t, "place's fence", p.Fence, c.Fence)
	equal(t, "phase", c.Phase, routing.PhaseOffered)
	equal(t, "claim", fmt.Sprint(c.City, c.Call, c.Queue, c.Agent, c.Node, c.Ring, c.Why), "metrocl_ageneralanan11sfirst")
	_, err = b.claim("cl_b", "ana", long)
	b.is(err, routing.ErrTaken)
	p, r, err = b.Claim(b.ctx, routing.Bid{City: metro, Call: "cl_a", Agent: "bob"}, long)
	b.is(err, routing.ErrTaken)
	equal(t, "shown place", p.Agent, call.AgentID("ana"))
	equal(t, "shown agent", r.Agent, call.AgentID("bob"))
	b.must("cl_b", "bob", long)
}

func testOnly(t *testing.T, b *bench) {
	mine := place(metro, "cl_a", 0)
	mine.Only = "ana"
	b.wait("cl_b", time.Minute)
	b.wait("cl_c", time.Minute)
	b.ok(b.Put(b.ctx, mine, 1)) // a full queue is no matter to it
	b.ok(b.Put(b.ctx, mine, 1))
	b.ok(b.Put(b.ctx, place(metro, "cl_d", 0), 3)) // nor is it counted among those who stand before
	b.is(b.Put(b.ctx, place(metro, "cl_e", 0), 3), call.ErrQueueFull)
	b.staff(metro, "ana")
	b.staff(metro, "bob")
	p, _, err := b.Claim(b.ctx, routing.Bid{City: metro, Call: "cl_a", Agent: "bob"}, long)
	b.is(err, routing.ErrTaken)
	equal(t, "shown agent", p.Only, call.AgentID("ana"))
	c := b.must("cl_a", "ana", long)
	b.ok(b.Release(b.ctx, c, routing.After{Back: true}))
	places, _ := b.state(metro)
	equal(t, "agent kept", places["cl_a"].Only, call.AgentID("ana"))
	mine.Only = "" // for anybody now, and so in line
	b.ok(b.Put(b.ctx, mine, 0))
	b.is(b.Put(b.ctx, place(metro, "cl_e", 0), 4), call.ErrQueueFull)
	b.ok(b.Put(b.ctx, place(metro, "cl_e", 0), 5))
	b.must("cl_a", "bob", long)
	_, err = b.Drop(b.ctx, metro, "cl_a")
	b.ok(err)
	b.ok(b.Put(b.ctx, place(metro, "cl_f", 0), 5))
}

func testFacts(t *testing.T, b *bench) {
	b.wait("cl_a", 0)
	past, future := epoch.AddDate(-30, 0, 0), epoch.AddDate(100, 0, 0)
	for why, a := range map[string]routing.Amendment{
		"signed out":   {Duty: &routing.Duty{}},
		"paused":       {Pause: &routing.Pause{On: true}},
		"wrap-up":      {Wrap: &routing.Wrap{Until: future}},
		"unregistered": {Phone: &routing.Phone{}},
		"registration": {Phone: &routing.Phone{Home: "n1", Until: past}},
	} {
		b.staff(metro, "ana")
		_, err := b.Amend(b.ctx, metro, "ana", a)
		b.ok(err)
		if _, err := b.claim("cl_a", "ana", long); !errors.Is(err, routing.ErrTaken) {
			t.Fatalf("%s: claimed: %v", why, err)
		}
		_, err = b.Amend(b.ctx, metro, "ana", routing.Amendment{Pause: &routing.Pause{}, Wrap: &routing.Wrap{Until: past}})
		b.ok(err)
	}
	b.staff(metro, "ana")
	b.must("cl_a", "ana", long)
}

func testAccept(t *testing.T, b *bench) {
	b.wait("cl_a", 0)
	missed := 1
	b.staff(metro, "ana")
	_, err := b.Amend(b.ctx, metro, "ana", routing.Amendment{Missed: &missed})
	b.ok(err)
	c := b.must("cl_a", "ana", long)
	b.ok(b.Accept(b.ctx, c, long))
	places, rows := b.state(metro)
	equal(t, "places", len(places), 0)
	equal(t, "phase", rows["ana"].Claim.Phase, routing.PhaseTalking)
	equal(t, "fence", rows["ana"].Claim.Fence, c.Fence)
	equal(t, "missed", rows["ana"].Facts.Missed, 0)
	b.is(b.Accept(b.ctx, c, long), call.ErrStale)
	b.wait("cl_b", 0)
	_, err = b.claim("cl_b", "ana", long)
	b.is(err, routing.ErrTaken)
	until := epoch.Add(time.Minute)
	b.ok(b.Release(b.ctx, c, routing.After{Agent: routing.Amendment{Wrap: &routing.Wrap{From: epoch, Until: until, Queue: general}}}))
	_, rows = b.state(metro)
	equal(t, "claim", rows["ana"].Claim, routing.Claim{})
	equal(t, "wrap-up", rows["ana"].Facts.Wrap.Until.Equal(until), true)
}

func testRelease(t *testing.T, b *bench) {
	b.wait("cl_a", time.Minute)
	b.staff(metro, "ana")
	c := b.must("cl_a", "ana", long)
	idle, missed := epoch.Add(time.Second), 1
	b.ok(b.Release(b.ctx, c, routing.After{Back: true, Exclude: true, At: epoch,
		Agent: routing.Amendment{Idle: &idle, Missed: &missed}}))
	places, rows := b.state(metro)
	p := places["cl_a"]
	equal(t, "free again", p.Agent, "")
	equal(t, "since", p.Since.Equal(epoch.Add(-time.Minute)), true)
	equal(t, "excluded", fmt.Sprint(p.Excluded, p.ExcludedAt.Equal(epoch)), "[ana] true")
	equal(t, "idle", rows["ana"].Facts.Idle.Equal(idle), true)
	equal(t, "missed", rows["ana"].Facts.Missed, 1)
	c = b.must("cl_a", "ana", long) // the store does not judge: exclusions are the matcher's
	b.ok(b.Release(b.ctx, c, routing.After{}))
	places, _ = b.state(metro)
	equal(t, "places", len(places), 0)
}

func testForgive(t *testing.T, b *bench) {
	b.wait("cl_a", 0)
	b.staff(metro, "ana")
	b.ok(b.Release(b.ctx, b.must("cl_a", "ana", long), routing.After{Back: true, Exclude: true, At: epoch}))
	b.wait("cl_a", 0) // put again, exclusions stay
	places, _ := b.state(metro)
	equal(t, "excluded", len(places["cl_a"].Excluded), 1)
	b.ok(b.Forgive(b.ctx, metro, "cl_a"))
	b.ok(b.Forgive(b.ctx, metro, "cl_none"))
	places, _ = b.state(metro)
	equal(t, "excluded", len(places["cl_a"].Excluded), 0)
	equal(t, "places", len(places), 1)
}

func testStale(t *testing.T, b *bench) {
	b.wait("cl_a", 0)
	b.wait("cl_b", 0)
	b.staff(metro, "ana")
	old := b.must("cl_a", "ana", long)
	b.ok(b.Release(b.ctx, old, routing.After{Back: true}))
	now := b.must("cl_a", "ana", long)
	paused := routing.Amendment{Pause: &routing.Pause{On: true}}
	b.is(b.Release(b.ctx, old, routing.After{Agent: paused}), call.ErrStale)
	b.is(b.Accept(b.ctx, old, long), call.ErrStale)
	other := now
	other.Call = "cl_b"
	b.is(b.Release(b.ctx, other, routing.After{Agent: paused}), call.ErrStale)
	stale, err := b.Renew(b.ctx, metro, []routing.Claim{old, now}, long)
	b.ok(err)
	equal(t, "stale", fmt.Sprint(len(stale), stale[0].Fence), fmt.Sprint(1, old.Fence))
	places, rows := b.state(metro)
	equal(t, "claim", rows["ana"].Claim.Fence, now.Fence)
	equal(t, "paused", rows["ana"].Facts.Pause.On, false)
	equal(t, "place", places["cl_a"].Agent, call.AgentID("ana"))
}

func testFences(t *testing.T, b *bench) {
	b.wait("cl_a", 0)
	first := b.staff(metro, "ana")
	if first.Fence.Epoch < uint64(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()) {
		t.Fatalf("epoch %d is no time: it would not grow past the loss of the store", first.Fence.Epoch)
	}
	last := first.Fence
	for i := range 20 {
		if i%5 == 4 { // the agent moves to another node
			_, err := b.Amend(b.ctx, metro, "ana", routing.Amendment{Phone: &routing.Phone{}})
			b.ok(err)
			_, err = b.Amend(b.ctx, metro, "ana", routing.Amendment{
				Phone: &routing.Phone{Home: fmt.Sprint("n", i), Until: epoch.AddDate(100, 0, 0)}})
			b.ok(err)
		}
		c := b.must("cl_a", "ana", long)
		if !last.Less(c.Fence) {
			t.Fatalf("claim %d: fence %v after %v", i, c.Fence, last)
		}
		if moved := i%5 == 4; moved != (c.Fence.Epoch > last.Epoch) {
			t.Fatalf("claim %d: epoch %d after %d, moved %t", i, c.Fence.Epoch, last.Epoch, moved)
		}
		last = c.Fence
		b.ok(b.Release(b.ctx, c, routing.After{Back: true}))
	}
}

func testLease(t *testing.T, b *bench) {
	b.wait("cl_a", 0)
	b.staff(metro, "ana")
	b.staff(metro, "bob")
	old := b.must("cl_a", "ana", short)
	b.pass()
	stale, err := b.Renew(b.ctx, metro, []routing.Claim{old}, short)
	b.ok(err)
	equal(t, "stale after a late renewal", len(stale), 0)
	b.pass()
	now := b.must("cl_a", "bob", long) // ran out: the call is free for another
	b.is(b.Accept(b.ctx, old, long), call.ErrStale)
	b.is(b.Release(b.ctx, old, routing.After{}), call.ErrStale)
	_, rows := b.state(metro)
	equal(t, "ana's claim", rows["ana"].Claim, routing.Claim{})
	b.ok(b.Release(b.ctx, now, routing.After{Back: true}))

	b.must("cl_a", "ana", short)
	b.wait("cl_b", 0)
	b.must("cl_b", "bob", long)
	b.pass()
	lapsed, err := b.Lapse(b.ctx, metro)
	b.ok(err)
	equal(t, "lapsed", fmt.Sprint(len(lapsed), lapsed[0].Agent, lapsed[0].Call), "1anacl_a")
	places, _ := b.state(metro)
	equal(t, "cl_a free", places["cl_a"].Agent, "")
	equal(t, "cl_b held", places["cl_b"].Agent, call.AgentID("bob"))
}

func testConversation(t *testing.T, b *bench) {
	b.wait("cl_a", 0)
	b.wait("cl_b", 0)
	b.staff(metro, "ana")
	c := b.must("cl_a", "ana", short)
	b.ok(b.Accept(b.ctx, c, short))
	b.pass()
	_, err := b.claim("cl_b", "ana", long)
	b.is(err, routing.ErrTaken)
	stale, err := b.Renew(b.ctx, metro, []routing.Claim{c}, short)
	b.ok(err)
	equal(t, "stale", len(stale), 0)
	b.pass()
	lapsed, err := b.Lapse(b.ctx, metro)
	b.ok(err)
	equal(t, "lapsed", fmt.Sprint(len(lapsed), lapsed[0].Phase), "1talking")
	places, _ := b.state(metro)
	equal(t, "places", len(places), 1) // cl_a was answered: it does not come back by itself
	b.must("cl_b", "ana", long)
}

func testDropOffered(t *testing.T, b *bench) {
	b.wait("cl_a", 0)
	b.staff(metro, "ana")
	c := b.must("cl_a", "ana", long)
	dropped, err := b.Drop(b.ctx, metro, "cl_a")
	b.ok(err)
	equal(t, "ended claim", dropped.Fence, c.Fence)
	b.is(b.Accept(b.ctx, c, long), call.ErrStale)
	b.wait("cl_b", 0)
	c = b.must("cl_b", "ana", long)
	b.ok(b.Accept(b.ctx, c, long))
	dropped, err = b.Drop(b.ctx, metro, "cl_b") // answered: not ended by leaving the line
	b.ok(err)
	equal(t, "ended claim", dropped, routing.Claim{})
	_, rows := b.state(metro)
	equal(t, "phase", rows["ana"].Claim.Phase, routing.PhaseTalking)
}
