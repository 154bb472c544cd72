package routing

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"callhall/call"
)

// slowMatch is the obvious way to match: sort everything, look at everybody, for each call in its order.
func slowMatch(calls map[call.ID]waiter, agents map[call.AgentID]candidate) (pairs []string) {
	var order []waiter
	for _, w := range calls {
		order = append(order, w)
	}
	slices.SortFunc(order, func(a, b waiter) int {
		return cmp.Or(-cmp.Compare(a.key.priority, b.key.priority), cmp.Compare(a.key.since, b.key.since),
			strings.Compare(string(a.key.id), string(b.key.id)))
	})
	for _, w := range order {
		var best *candidate
		for _, c := range agents {
			if w.only == "" && !slices.Contains(c.queues, w.queue) || w.only != "" && w.only != c.key.id || slices.Contains(w.excluded, c.key.id) {
				continue
			}
			if best == nil || c.key.since < best.key.since || c.key.since == best.key.since && c.key.id < best.key.id {
				best = &c
			}
		}
		if best != nil {
			delete(agents, best.key.id)
			delete(calls, w.key.id)
			pairs = append(pairs, fmt.Sprint(w.key.id, " ", best.key.id))
		}
	}
	return pairs
}

// TestMatchesAsTheSlowOne puts calls and agents in and out in any order, and drains the lineup now and then: the pairs
// are those of the slow matcher, in the same order. So nobody of equal need is passed over.
func TestMatchesAsTheSlowOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, calls, agents := newLineup(), map[call.ID]waiter{}, map[call.AgentID]candidate{}
		queue := rapid.SampledFrom([]call.QueueID{"a", "b", "c"})
		agent := rapid.Custom(func(t *rapid.T) call.AgentID {
			return call.AgentID(fmt.Sprint("a", rapid.IntRange(0, 6).Draw(t, "agent")))
		})
		id := rapid.Custom(func(t *rapid.T) call.ID { return call.ID(fmt.Sprint("c", rapid.IntRange(0, 9).Draw(t, "call"))) })
		steps := rapid.IntRange(1, 60).Draw(t, "steps")
		for range steps {
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0, 1, 2, 3:
				w := waiter{callKey{rapid.IntRange(0, 1).Draw(t, "priority"), int64(rapid.IntRange(0, 5).Draw(t, "since")), id.Draw(t, "id")},
					queue.Draw(t, "queue"), rapid.OneOf(rapid.Just(call.AgentID("")), agent).Draw(t, "only"), rapid.SliceOfNDistinct(agent, 0, 3, rapid.ID).Draw(t, "excluded")}
				l.addCall(w)
				calls[w.key.id] = w
			case 4, 5, 6:
				c := candidate{key: idleKey{int64(rapid.IntRange(0, 5).Draw(t, "idle")), agent.Draw(t, "id")},
					queues: rapid.SliceOfNDistinct(queue, 1, 3, rapid.ID).Draw(t, "queues")}
				l.addAgent(c)
				agents[c.key.id] = c
			case 7:
				gone := id.Draw(t, "gone")
				l.removeCall(gone)
				delete(calls, gone)
			case 8:
				gone := agent.Draw(t, "gone")
				l.removeAgent(gone)
				delete(agents, gone)
			default:
				drain(t, l, calls, agents)
			}
		}
		drain(t, l, calls, agents)
	})
}

func drain(t *rapid.T, l *lineup, calls map[call.ID]waiter, agents map[call.AgentID]candidate) {
	var got []string
	for p, ok := l.next(time.Unix(0, 0)); ok; p, ok = l.next(time.Unix(0, 0)) {
		got = append(got, fmt.Sprint(p.call, " ", p.agent))
	}
	if want := slowMatch(calls, agents); !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	if n := l.looks.size(); n != 0 {
		t.Fatalf("%d looks are left over", n)
	}
}

func TestReasons(t *testing.T) {
	at := time.Unix(1000, 0)
	idle := func(id call.AgentID, s int) candidate {
		return candidate{key: idleKey{at.Add(-time.Duration(s) * time.Second).UnixNano(), id}, queues: []call.QueueID{"q"}}
	}
	l := newLineup()
	l.addAgent(idle("ana", 41))
	l.addAgent(idle("bob", 12))
	l.addAgent(idle("cy", 3))
	l.addCall(waiter{key: callKey{since: 1, id: "c1"}, queue: "q"})
	l.addCall(waiter{key: callKey{since: 2, id: "c2"}, queue: "q", excluded: []call.AgentID{"bob"}})
	for _, want := range []string{"ana: idle 41 s, longest of 3", "cy: idle 3 s, longest of 1, 1 passed over who turned this call down"} {
		if p, ok := l.next(at); !ok || p.why != want {
			t.Errorf("got %q, want %q", p.why, want)
		}
	}
}

// TestOrdered compares the tree with a sorted slice.
func TestOrdered(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o, want := newOrdered[idleKey](), []idleKey{}
		for range rapid.IntRange(0, 200).Draw(t, "steps") {
			k := idleKey{since: int64(rapid.IntRange(0, 40).Draw(t, "key"))}
			at, in := slices.BinarySearchFunc(want, k, func(a, b idleKey) int { return cmp.Compare(a.since, b.since) })
			if rapid.Bool().Draw(t, "remove") {
				if o.remove(k) != in {
					t.Fatalf("remove %v: was there: %t", k, in)
				}
				if in {
					want = slices.Delete(want, at, at+1)
				}
			} else if !in {
				o.add(k)
				want = slices.Insert(want, at, k)
			}
			if o.rank(k) != at {
				t.Fatalf("rank of %v: got %d, want %d", k, o.rank(k), at)
			}
		}
		if got := slices.Collect(o.all()); !slices.Equal(got, want) || o.size() != len(want) {
			t.Fatalf("got %v, want %v", got, want)
		}
		if k, ok := o.first(); ok != (len(want) > 0) || ok && k != want[0] {
			t.Fatalf("first: %v %t of %v", k, ok, want)
		}
	})
}

// BenchmarkEvent is the cost of one event, a call that comes and an agent who gets free and takes it, beside calls and
// agents that have nothing to do with it: they wait in other queues, and are free for queues in which nobody waits.
func BenchmarkEvent(b *testing.B) {
	for _, untouched := range []int{1, 10, 100} {
		b.Run(fmt.Sprintf("untouched=%dx", untouched), func(b *testing.B) { benchmarkEvent(b, 100*untouched, 50*untouched) })
	}
}

func benchmarkEvent(b *testing.B, calls, agents int) {
	const queues = 50
	r := rand.New(rand.NewPCG(1, 1))
	l := newLineup()
	now := time.Unix(1_800_000_000, 0)
	for i := range calls {
		q := call.QueueID(fmt.Sprint("waiting", i%queues))
		l.addCall(waiter{key: callKey{since: now.UnixNano() - r.Int64N(1e12), id: call.ID(fmt.Sprint("c", i))}, queue: q})
	}
	for i := range agents {
		q := call.QueueID(fmt.Sprint("idle", i%queues))
		l.addAgent(candidate{key: idleKey{now.UnixNano() - r.Int64N(1e12), call.AgentID(fmt.Sprint("a", i))}, queues: []call.QueueID{q}})
	}
	if _, ok := l.next(now); ok {
		b.Fatal("a pair before anything happened")
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		q := call.QueueID(fmt.Sprint("waiting", i%queues)) // the event's queue has many more who wait
		l.addAgent(candidate{key: idleKey{now.UnixNano(), "ana"}, queues: []call.QueueID{q}})
		p, ok := l.next(now)
		if !ok || p.agent != "ana" {
			b.Fatal("no match")
		}
		l.addCall(waiter{key: callKey{since: now.UnixNano() + int64(i), id: p.call}, queue: q})
		if _, again := l.next(now); again {
			b.Fatal("matched twice")
		}
	}
}
