package routingtest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"callhall/call"
	"callhall/routing"
)

// replay applies changes to a state, checking that they come in order.
func replay(t *testing.T, changes []routing.Change, rev uint64, places map[call.ID]routing.Place, rows map[call.AgentID]routing.Row) uint64 {
	t.Helper()
	for _, ch := range changes {
		if ch.Rev != rev+1 {
			t.Fatalf("change %d after %d", ch.Rev, rev)
		}
		rev = ch.Rev
		switch {
		case ch.Place != nil:
			places[ch.Place.Call] = *ch.Place
		case ch.Row != nil:
			rows[ch.Row.Agent] = *ch.Row
		default:
			delete(places, ch.Gone)
		}
	}
	return rev
}

func testFollow(t *testing.T, b *bench) {
	b.wait("cl_0", 0)
	b.staff(metro, "ana")
	snap, err := b.Snapshot(b.ctx, metro)
	b.ok(err)
	places, rows := b.state(metro)
	got := make(chan []routing.Change, 1)
	var wg sync.WaitGroup
	wg.Go(func() { // asked before there is anything to tell
		changes, err := b.Follow(b.ctx, metro, snap.Rev)
		if err != nil {
			t.Error(err)
		}
		got <- changes
	})
	b.ok(b.Accept(b.ctx, b.must("cl_0", "ana", long), long))
	rev := replay(t, <-got, snap.Rev, places, rows)
	wg.Wait()
	b.wait("cl_1", 0)
	_, err = b.Drop(b.ctx, metro, "cl_1")
	b.ok(err)
	b.wait("cl_2", 0)
	end, err := b.Snapshot(b.ctx, metro)
	b.ok(err)
	for rev < end.Rev {
		changes, err := b.Follow(b.ctx, metro, rev)
		b.ok(err)
		rev = replay(t, changes, rev, places, rows)
	}
	wantPlaces, wantRows := b.state(metro)
	equal(t, "places", fmt.Sprint(places), fmt.Sprint(wantPlaces))
	equal(t, "rows", fmt.Sprint(rows), fmt.Sprint(wantRows))

	ctx, cancel := context.WithCancel(b.ctx)
	cancel()
	_, err = b.Follow(ctx, metro, rev)
	b.is(err, context.Canceled)
}

func testBehind(t *testing.T, b *bench) {
	b.wait("cl_a", 0)
	snap, err := b.Snapshot(b.ctx, metro)
	b.ok(err)
	_, err = b.Follow(b.ctx, metro, snap.Rev+1000) // of a store that was lost since
	b.is(err, routing.ErrBehind)
	for range 40_000 {
		b.wait("cl_a", 0)
	}
	_, err = b.Follow(b.ctx, metro, snap.Rev)
	b.is(err, routing.ErrBehind)
}

func testLead(t *testing.T, b *bench) {
	lead := func(city call.CityID, node string, lease time.Duration, want bool) {
		t.Helper()
		got, err := b.Lead(b.ctx, city, node, lease)
		b.ok(err)
		equal(t, node+" leads", got, want)
	}
	lead(metro, "n1", long, true)
	lead(metro, "n2", long, false)
	lead(harbour, "n2", long, true)
	lead(metro, "n1", short, true)
	b.pass()
	lead(metro, "n2", long, true)
	lead(metro, "n1", long, false)
	lead(metro, "n1", 0, false) // not n1's to give up
	lead(metro, "n3", long, false)
	lead(metro, "n2", 0, false)
	lead(metro, "n1", long, true)
}

func testCities(t *testing.T, b *bench) {
	b.wait("cl_a", 0)
	b.staff(metro, "ana")
	b.staff(harbour, "ana")
	b.ok(b.Put(b.ctx, place(harbour, "cl_h", 0), 0))
	_, _, err := b.Claim(b.ctx, routing.Bid{City: harbour, Call: "cl_a", Agent: "ana"}, long)
	b.is(err, routing.ErrTaken)
	c := b.must("cl_a", "ana", long)
	_, h, err := b.Claim(b.ctx, routing.Bid{City: harbour, Call: "cl_h", Agent: "ana"}, long) // another ana
	b.ok(err)
	foreign := c
	foreign.City = harbour
	b.is(b.Release(b.ctx, foreign, routing.After{}), call.ErrStale)
	_, err = b.Drop(b.ctx, harbour, "cl_a")
	b.ok(err)
	places, rows := b.state(metro)
	equal(t, "metro", fmt.Sprintf("%d %d %s", len(places), len(rows), rows["ana"].Claim.Call), "1 1 cl_a")
	places, rows = b.state(harbour)
	equal(t, "harbour", fmt.Sprint(len(places), len(rows), rows["ana"].Claim.Fence == h.Claim.Fence), "1 1 true")
}

const claimers = 64

// testRace lets many claim the same few agents and calls; every agent and every call is won once.
func testRace(t *testing.T, b *bench) {
	const agents, calls = 8, 6
	for i := range agents {
		b.staff(metro, call.AgentID(fmt.Sprint("a", i)))
	}
	for i := range calls {
		b.wait(fmt.Sprint("cl_", i), 0)
	}
	var wonAgent [agents]atomic.Int32
	var wonCall [calls]atomic.Int32
	var wg sync.WaitGroup
	for g := range claimers {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 1))
			for range 20 {
				a, id := r.IntN(agents), r.IntN(calls)
				_, err := b.claim(fmt.Sprint("cl_", id), call.AgentID(fmt.Sprint("a", a)), long)
				if err == nil {
					wonAgent[a].Add(1)
					wonCall[id].Add(1)
				} else if !errors.Is(err, routing.ErrTaken) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for i := range wonAgent {
		if n := wonAgent[i].Load(); n > 1 {
			t.Errorf("agent %d was claimed %d times", i, n)
		}
	}
	for i := range wonCall {
		if n := wonCall[i].Load(); n != 1 {
			t.Errorf("call %d was claimed %d times", i, n)
		}
	}
}

// testChurn claims, answers, releases and drops at random from many goroutines. While one of them holds an agent or a
// call, no other may; and each agent's fences grow in the order of the claims.
func testChurn(t *testing.T, b *bench) {
	const agents, calls = 5, 7
	for i := range agents {
		b.staff(metro, call.AgentID(fmt.Sprint("a", i)))
	}
	for i := range calls {
		b.wait(fmt.Sprint("cl_", i), 0)
	}
	var busyAgent [agents]atomic.Int32
	var busyCall [calls]atomic.Int32
	var mu sync.Mutex
	var last [agents]call.Fence
	var wg sync.WaitGroup
	for g := range claimers {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 2))
			for range 50 {
				a, id := r.IntN(agents), r.IntN(calls)
				c, err := b.claim(fmt.Sprint("cl_", id), call.AgentID(fmt.Sprint("a", a)), long)
				if err != nil {
					continue
				}
				if busyAgent[a].Add(1) > 1 || busyCall[id].Add(1) > 1 {
					t.Errorf("claim of agent %d for call %d while one is held", a, id)
				}
				mu.Lock()
				if !last[a].Less(c.Fence) {
					t.Errorf("agent %d: fence %v after %v", a, c.Fence, last[a])
				}
				last[a] = c.Fence
				mu.Unlock()
				busyCall[id].Add(-1) // once answered it may be put in line by another
				answered := r.IntN(2) == 0 && b.Accept(b.ctx, c, long) == nil
				busyAgent[a].Add(-1)
				if err := b.Release(b.ctx, c, routing.After{Back: r.IntN(2) == 0}); err != nil {
					t.Errorf("release: %v", err)
				}
				if err := b.Release(b.ctx, c, routing.After{}); !errors.Is(err, call.ErrStale) {
					t.Errorf("second release, answered %t: %v", answered, err)
				}
				if err := b.Put(b.ctx, place(metro, fmt.Sprint("cl_", id), 0), 0); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	_, rows := b.state(metro)
	for id, r := range rows {
		if r.Claim.Call != "" {
			t.Errorf("agent %s is left with a claim for %s", id, r.Claim.Call)
		}
	}
}
