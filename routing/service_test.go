package routing_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"callhall/call"
	"callhall/routing"
	"callhall/routing/memstore"
)

const (
	metro   call.CityID  = "metro"
	general call.QueueID = "general"
)

var _ call.Queues = (*routing.Service)(nil)

// oneCity is a city with one queue and those agents, who sign in by registering.
func oneCity(agents ...call.AgentID) routing.City {
	c := routing.City{ID: metro,
		Entries: []routing.Entry{{Trunks: []call.TrunkID{"t1"}, Number: "311", Queue: general, Language: "en"}},
		Queues:  []routing.Queue{{ID: general, MaxLength: 3, Ring: 15 * time.Second, WrapUp: 30 * time.Second}}}
	for _, a := range agents {
		c.Agents = append(c.Agents, routing.Agent{ID: a, Queues: []call.QueueID{general}, SignIn: true})
	}
	return c
}

// hall is a Service at work in a bubble of fake time.
type hall struct {
	*testing.T
	*routing.Service
	store    routing.Store
	registry *prometheus.Registry
	stop     func() // ends Run and waits for it
}

func open(t *testing.T, store routing.Store, city routing.City) *hall {
	t.Helper()
	h := &hall{T: t, store: store, registry: prometheus.NewRegistry()}
	s, err := routing.New([]routing.City{city}, store, routing.Config{Node: "n1", Registry: h.registry})
	if err != nil {
		t.Fatal(err)
	}
	h.Service = s
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Run(ctx)
	}()
	h.stop = func() { cancel(); <-done }
	synctest.Wait()
	return h
}

// bubble runs a test with a hall of those agents, who are registered for a day.
func bubble(t *testing.T, test func(h *hall), agents ...call.AgentID) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := open(t, memstore.New(time.Now), oneCity(agents...))
		for _, a := range agents {
			h.register(a)
			time.Sleep(time.Second) // the first has been idle the longest
		}
		test(h)
		h.stop()
	})
}

func (h *hall) register(a call.AgentID) {
	h.Registered(h.Context(), metro, a, time.Now().Add(24*time.Hour))
	synctest.Wait()
}

// caller is a call in line.
type caller struct {
	h     *hall
	id    call.ID
	in    *call.Inbox
	leave context.CancelFunc
	since time.Time
	only  call.AgentID
}

func (h *hall) caller(id call.ID) *caller {
	h.Helper()
	c := &caller{h: h, id: id, in: call.NewInbox(), since: time.Now()}
	c.enqueue()
	return c
}

func (c *caller) enqueue() {
	c.h.Helper()
	if err := c.try(); err != nil {
		c.h.Fatal(err)
	}
	synctest.Wait()
}

func (c *caller) try() error {
	var ctx context.Context
	ctx, c.leave = context.WithCancel(c.h.Context())
	return c.h.Enqueue(ctx, call.Waiting{City: metro, Call: c.id, Queue: general, Since: c.since, Agent: c.only}, c.in)
}

// callerFor is a call in line for one agent.
func (h *hall) callerFor(only call.AgentID, id call.ID) *caller {
	h.Helper()
	c := &caller{h: h, id: id, in: call.NewInbox(), since: time.Now(), only: only}
	c.enqueue()
	return c
}

// heard takes everything in the inbox, in short words.
func (c *caller) heard() string {
	synctest.Wait()
	var words []string
	for {
		select {
		case ev := <-c.in.Events():
			switch ev := ev.(type) {
			case call.Offered:
				words = append(words, "offered "+string(ev.Offer.Agent))
			case call.Rescinded:
				words = append(words, "rescinded "+string(ev.Offer.Agent))
			case call.Placed:
				words = append(words, fmt.Sprint("place ", ev.Place))
			}
		default:
			return strings.Join(words, ", ")
		}
	}
}

func (c *caller) hears(want string) {
	c.h.Helper()
	if got := c.heard(); got != want {
		c.h.Fatalf("%s heard %q, want %q", c.id, got, want)
	}
}

// offered waits for nothing: the offer must be there, after whatever news.
func (c *caller) offered() call.Offer {
	c.h.Helper()
	synctest.Wait()
	for {
		select {
		case ev := <-c.in.Events():
			if o, ok := ev.(call.Offered); ok {
				return o.Offer
			}
		default:
			c.h.Fatalf("%s has no offer", c.id)
		}
	}
}

func (h *hall) settle(o call.Offer, outcome call.OfferOutcome) {
	h.Helper()
	if err := h.Settle(h.Context(), o, outcome); err != nil {
		h.Fatal(err)
	}
	synctest.Wait()
}

func (h *hall) state(a call.AgentID) routing.AgentState {
	h.Helper()
	synctest.Wait()
	all, err := h.Agents(h.Context(), metro)
	if err != nil {
		h.Fatal(err)
	}
	for _, s := range all {
		if s.ID == a {
			return s
		}
	}
	h.Fatalf("no agent %s", a)
	return routing.AgentState{}
}

func (h *hall) isState(a call.AgentID, want routing.State) routing.AgentState {
	h.Helper()
	s := h.state(a)
	if s.State != want {
		h.Fatalf("%s is %s (%s), want %s", a, s.State, s.Reason, want)
	}
	return s
}

func (h *hall) waiting(want int) {
	h.Helper()
	synctest.Wait()
	q, err := h.Queues(h.Context(), metro)
	if err != nil {
		h.Fatal(err)
	}
	if q[0].Waiting != want {
		h.Fatalf("%d waiting, want %d", q[0].Waiting, want)
	}
}

func TestOneCall(t *testing.T) {
	bubble(t, func(h *hall) {
		a := h.caller("cl_a")
		o := a.offered()
		if o.Agent != "ana" || o.Ring != 15*time.Second || o.Why != "ana: idle 2 s, longest of 2" || o.Queue != general {
			h.Fatalf("offer %+v", o)
		}
		if s := h.isState("ana", routing.StateOffered); s.Call != "cl_a" || s.Deadline.IsZero() {
			h.Fatalf("state %+v", s)
		}
		h.waiting(1)
		h.settle(o, call.OfferAccepted)
		h.waiting(0)
		a.leave() // the place is given up: its end no longer matters
		time.Sleep(10 * time.Minute)
		h.isState("ana", routing.StateTalking)
		h.settle(o, call.OfferCompleted)
		if s := h.isState("ana", routing.StateWrapUp); time.Until(s.Deadline) != 30*time.Second {
			h.Fatalf("wrap-up until %v", s.Deadline)
		}
		time.Sleep(30 * time.Second)
		h.isState("ana", routing.StateReady)
		if err := h.Settle(h.Context(), o, call.OfferCompleted); !errors.Is(err, call.ErrStale) {
			h.Fatalf("completed twice: %v", err)
		}
		a.hears("")
	}, "ana", "bob")
}

func TestBackInLine(t *testing.T) {
	for _, outcome := range []call.OfferOutcome{call.OfferRejected, call.OfferTimeout, call.OfferRescinded} {
		t.Run(string(outcome), func(t *testing.T) {
			bubble(t, func(h *hall) {
				a, b := h.caller("cl_a"), h.caller("cl_b")
				first := a.offered()
				b.hears("place 2")
				h.settle(first, outcome)
				a.hears("") // the only agent has turned it down
				second := b.offered()
				if !first.Fence.Less(second.Fence) {
					h.Fatalf("fence %v after %v", second.Fence, first.Fence)
				}
				h.settle(second, call.OfferCanceled)
				h.waiting(2)
				if err := h.Settle(h.Context(), first, call.OfferAccepted); !errors.Is(err, call.ErrStale) {
					h.Fatalf("a settled offer was accepted: %v", err)
				}
			}, "ana")
		})
	}
}

func TestAnotherAgentAtOnce(t *testing.T) {
	bubble(t, func(h *hall) {
		a := h.caller("cl_a")
		at := time.Now()
		h.settle(a.offered(), call.OfferRejected)
		if o := a.offered(); o.Agent != "bob" || !time.Now().Equal(at) {
			h.Fatalf("%s after %s", o.Agent, time.Since(at))
		}
	}, "ana", "bob")
}

// TestOneAgentOnly: a call that waits for one agent goes to nobody else, before the queue's other calls, and costs these
// no place.
func TestOneAgentOnly(t *testing.T) {
	bubble(t, func(h *hall) {
		first, second := h.caller("cl_1"), h.caller("cl_2")
		o1, o2 := first.offered(), second.offered()
		h.settle(o1, call.OfferAccepted)
		h.settle(o2, call.OfferAccepted)
		ana, bob := o1, o2
		if ana.Agent != "ana" {
			ana, bob = o2, o1
		}
		waits := h.caller("cl_3")
		waits.hears("place 1")
		older := h.caller("cl_5")
		older.hears("place 2")
		mine := h.callerFor("ana", "cl_9")
		h.waiting(2)
		younger := h.caller("cl_6")
		younger.hears("place 3")
		h.settle(bob, call.OfferCompleted)
		h.isState("bob", routing.StateWrapUp)
		time.Sleep(31 * time.Second)
		o := waits.offered()
		if o.Agent != "bob" {
			h.Fatalf("offered to %s", o.Agent)
		}
		h.settle(o, call.OfferAccepted)
		time.Sleep(2 * time.Second)
		mine.hears("")
		older.hears("place 1")
		h.settle(ana, call.OfferCompleted)
		time.Sleep(31 * time.Second)
		if o := mine.offered(); o.Agent != "ana" || o.Why != "ana: the one agent for whom the call waits" {
			h.Fatalf("offered to %s: %s", o.Agent, o.Why)
		}
	}, "ana", "bob")
}

// TestOneAgentOnlyIsAskedAgain: who did not answer the call that nobody else may have is asked again soon, though others
// are there.
func TestOneAgentOnlyIsAskedAgain(t *testing.T) {
	bubble(t, func(h *hall) {
		mine := h.callerFor("ana", "cl_1")
		h.settle(mine.offered(), call.OfferTimeout)
		mine.hears("")
		time.Sleep(6 * time.Second)
		mine.hears("offered ana")
	}, "ana", "bob")
}

// TestOneAgentOnlyIsKnown: nobody waits for an agent who is not there.
func TestOneAgentOnlyIsKnown(t *testing.T) {
	bubble(t, func(h *hall) {
		c := &caller{h: h, id: "cl_1", in: call.NewInbox(), since: time.Now(), only: "nobody"}
		if err := c.try(); !errors.Is(err, routing.ErrUnknownAgent) {
			h.Fatalf("got %v", err)
		}
	}, "ana")
}

func TestExclusionsEnd(t *testing.T) {
	bubble(t, func(h *hall) {
		a := h.caller("cl_a")
		for range 2 { // both say no
			h.settle(a.offered(), call.OfferRejected)
		}
		time.Sleep(4 * time.Second)
		a.hears("")
		time.Sleep(2 * time.Second) // nobody else is there: asked again after a pause
		h.settle(a.offered(), call.OfferRejected)
	}, "ana", "bob")
	bubble(t, func(h *hall) {
		b := h.caller("cl_b")
		h.settle(b.offered(), call.OfferAccepted) // ana talks, and is on duty
		a := h.caller("cl_a")
		h.settle(a.offered(), call.OfferRejected)
		time.Sleep(50 * time.Second)
		a.hears("")
		time.Sleep(11 * time.Second)
		if o := a.offered(); o.Agent != "bob" {
			h.Fatal(o.Agent)
		}
	}, "ana", "bob")
}

func TestMissedCallsPause(t *testing.T) {
	bubble(t, func(h *hall) {
		a := h.caller("cl_a")
		for range 2 {
			h.settle(a.offered(), call.OfferTimeout)
			time.Sleep(6 * time.Second)
		}
		s := h.isState("ana", routing.StatePaused)
		if !strings.HasPrefix(s.Reason, "missed-calls: 2 in a row") {
			h.Fatalf("reason %q", s.Reason)
		}
		time.Sleep(5 * time.Minute)
		h.isState("ana", routing.StatePaused)
		if _, err := h.SetState(h.Context(), metro, "ana", routing.StateReady, "agent:ana", ""); err != nil {
			h.Fatal(err)
		}
		h.settle(a.offered(), call.OfferTimeout) // counted from nought again
		h.isState("ana", routing.StateReady)
		time.Sleep(6 * time.Second)
		h.settle(a.offered(), call.OfferTimeout)
		h.isState("ana", routing.StatePaused)
		h.Unregistered(h.Context(), metro, "ana", "the phone signed off")
		h.isState("ana", routing.StateUnreachable)
		h.register("ana") // a fresh registration signs in again
		time.Sleep(6 * time.Second)
		h.settle(a.offered(), call.OfferAccepted)
	}, "ana")
}

func TestCallerLeaves(t *testing.T) {
	bubble(t, func(h *hall) {
		a, b := h.caller("cl_a"), h.caller("cl_b")
		o := a.offered()
		a.leave()
		if got := b.offered(); got.Agent != "ana" {
			h.Fatal(got)
		}
		for _, outcome := range []call.OfferOutcome{call.OfferCanceled, call.OfferAccepted} {
			if err := h.Settle(h.Context(), o, outcome); !errors.Is(err, call.ErrStale) {
				h.Fatalf("%s after leaving: %v", outcome, err)
			}
		}
		b.leave()
		h.waiting(0)
		h.isState("ana", routing.StateReady)
	}, "ana")
}

// slow is a store in which a call leaves while its place is being put.
type slow struct {
	*memstore.Store
	meanwhile func()
}

func (s *slow) Put(ctx context.Context, p routing.Place, limit int) error {
	s.meanwhile()
	return s.Store.Put(ctx, p, limit)
}

func TestCallerLeavesWhileEnqueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slow{Store: memstore.New(time.Now)}
		h := open(t, s, oneCity("ana"))
		ctx, leave := context.WithCancel(t.Context())
		s.meanwhile = func() { leave(); synctest.Wait() }
		if err := h.Enqueue(ctx, call.Waiting{City: metro, Call: "cl_a", Queue: general, Since: time.Now()}, call.NewInbox()); err != nil {
			t.Fatal(err)
		}
		h.waiting(0)
		h.stop()
	})
}

func TestAgentGoesWhileRinging(t *testing.T) {
	for name, goes := range map[string]func(h *hall){
		"unregisters": func(h *hall) { h.Unregistered(h.Context(), metro, "ana", "gone") },
		"signs out": func(h *hall) {
			h.SetState(h.Context(), metro, "ana", routing.StateSignedOut, "agent:ana", "")
		},
		"is paused": func(h *hall) {
			h.SetState(h.Context(), metro, "ana", routing.StatePaused, "supervisor:kim", "a break")
		},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(h *hall) {
				h.Unregistered(h.Context(), metro, "bob", "later")
				a := h.caller("cl_a")
				o := a.offered()
				goes(h)
				a.hears("rescinded ana")
				if err := h.Settle(h.Context(), o, call.OfferAccepted); !errors.Is(err, call.ErrStale) {
					h.Fatalf("accepted: %v", err)
				}
				h.register("bob")
				a.hears("") // it is still seeing to the end of the first ringing
				time.Sleep(time.Second)
				a.hears("offered bob")
			}, "ana", "bob")
		})
	}
}

func TestAgentGoesWhileTalking(t *testing.T) {
	bubble(t, func(h *hall) {
		a := h.caller("cl_a")
		o := a.offered()
		h.settle(o, call.OfferAccepted)
		h.Unregistered(h.Context(), metro, "ana", "gone")
		h.register("ana")
		b := h.caller("cl_b")
		time.Sleep(time.Hour)
		h.isState("ana", routing.StateTalking)
		if got := b.heard(); got != "place 1" {
			h.Fatalf("heard %q while the one agent talks", got)
		}
		h.Unregistered(h.Context(), metro, "ana", "gone")
		h.settle(o, call.OfferCompleted)
		h.isState("ana", routing.StateUnreachable)
	}, "ana")
}

func TestRegistrationRunsOut(t *testing.T) {
	bubble(t, func(h *hall) {
		h.Registered(h.Context(), metro, "ana", time.Now().Add(time.Minute))
		time.Sleep(50 * time.Second)
		a := h.caller("cl_a")
		a.hears("place 1, offered ana")
		time.Sleep(11 * time.Second)
		a.hears("rescinded ana")
		if s := h.isState("ana", routing.StateUnreachable); s.Reason != "the registration ran out" {
			h.Fatal(s.Reason)
		}
	}, "ana")
}

func TestLostAgentKeepsOrder(t *testing.T) {
	bubble(t, func(h *hall) {
		a := h.caller("cl_a")
		o := a.offered()
		h.settle(o, call.OfferAccepted)
		time.Sleep(time.Minute)
		b, c, d := h.caller("cl_b"), h.caller("cl_c"), h.caller("cl_d")
		if err := (&caller{h: h, id: "cl_e", in: call.NewInbox(), since: time.Now()}).try(); !errors.Is(err, call.ErrQueueFull) {
			h.Fatalf("a fourth: %v", err)
		}
		h.settle(o, call.OfferCompleted) // the phone crashed
		a.enqueue()                      // and is not refused although three wait
		a.hears("place 1")
		b.hears("place 1")
		time.Sleep(time.Second)
		b.hears("place 2")
		c.hears("place 2, place 3")
		d.hears("place 3, place 4")
		time.Sleep(30 * time.Second)
		a.offered()
	}, "ana")
}

func TestPlacesAreToldOnceASecond(t *testing.T) {
	city := oneCity()
	city.Queues[0].MaxLength = 0
	synctest.Test(t, func(t *testing.T) {
		h := open(t, memstore.New(time.Now), city)
		var all []*caller
		for i := range 20 {
			time.Sleep(time.Millisecond)
			all = append(all, h.caller(call.ID(fmt.Sprint("cl_", i))))
		}
		last := all[19]
		last.hears("place 20")
		for i := range 10 { // ten leave within a tenth of a second
			time.Sleep(10 * time.Millisecond)
			all[i].leave()
		}
		last.hears("")
		time.Sleep(time.Second)
		last.hears("place 10")
		h.stop()
	})
}

func TestNobodySettles(t *testing.T) {
	bubble(t, func(h *hall) {
		a := h.caller("cl_a")
		a.offered()
		time.Sleep(19 * time.Second)
		h.isState("ana", routing.StateOffered)
		time.Sleep(2 * time.Second) // 15 s of ringing and 5 s of grace have passed
		a.hears("rescinded ana")
		h.isState("ana", routing.StateReady)
		h.counted("callhall_agent_reaped_total", `callhall_agent_reaped_total{city="metro",from_state="offered"} 1`)
	}, "ana")
}

// counted looks for lines of a metric, as Prometheus would read them; a histogram shows how many it has seen.
func (h *hall) counted(name string, want ...string) {
	h.Helper()
	families, err := h.registry.Gather()
	if err != nil {
		h.Fatal(err)
	}
	var got []string
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
			value := m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
			got = append(got, fmt.Sprintf("%s{%s} %g", f.GetName(), strings.Join(labels, ","), value))
		}
	}
	for _, line := range want {
		if !slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, name) && strings.HasSuffix(s, line) }) {
			h.Fatalf("no %s …%s in\n%s", name, line, strings.Join(got, "\n"))
		}
	}
}

func TestMetrics(t *testing.T) {
	bubble(t, func(h *hall) {
		a := h.caller("cl_a")
		h.settle(a.offered(), call.OfferRejected)
		h.settle(a.offered(), call.OfferAccepted)
		b := h.caller("cl_b")
		h.counted("callhall_agent_offers_total", `result="rejected"} 1`, `result="accepted"} 1`)
		h.counted("callhall_queue_waiting", `callhall_queue_waiting{city="metro",queue="general"} 1`)
		h.counted("callhall_agents", `state="talking"} 1`, `state="signed-out"} 0`)
		b.leave()
		synctest.Wait()
		h.counted("callhall_queue_waiting", `callhall_queue_waiting{city="metro",queue="general"} 0`)
	}, "ana", "bob")
}

func TestShutdown(t *testing.T) {
	bubble(t, func(h *hall) {
		a, b := h.caller("cl_a"), h.caller("cl_b")
		o := a.offered()
		h.settle(o, call.OfferAccepted)
		h.stop()
		if err := b.try(); !errors.Is(err, call.ErrUnavailable) {
			h.Fatalf("enqueue: %v", err)
		}
		if err := h.Admit(h.Context(), metro, general); !errors.Is(err, call.ErrUnavailable) {
			h.Fatalf("admit: %v", err)
		}
		snap, err := h.store.Snapshot(h.Context(), metro)
		if err != nil || len(snap.Places) != 0 {
			h.Fatalf("left: %v %v", snap.Places, err)
		}
		h.settle(o, call.OfferCompleted)
	}, "ana")
}

func TestAdmit(t *testing.T) {
	bubble(t, func(h *hall) {
		for i := range 3 {
			if err := h.Admit(h.Context(), metro, general); err != nil {
				h.Fatal(err)
			}
			h.caller(call.ID(fmt.Sprint("cl_", i)))
		}
		if err := h.Admit(h.Context(), metro, general); !errors.Is(err, call.ErrQueueFull) {
			h.Fatal(err)
		}
		for _, q := range []call.QueueID{"", "parks"} {
			if err := h.Admit(h.Context(), metro, q); !errors.Is(err, call.ErrUnknownQueue) {
				h.Fatal(err)
			}
		}
	})
}

func TestSetState(t *testing.T) {
	bubble(t, func(h *hall) {
		set := func(to routing.State) routing.AgentState {
			h.Helper()
			s, err := h.SetState(h.Context(), metro, "ana", to, "supervisor:kim", "training")
			if err != nil || s.State != to {
				h.Fatalf("set %s: %v %v", to, s, err)
			}
			return s
		}
		if s := set(routing.StatePaused); s.Reason != "training (by supervisor:kim)" {
			h.Fatal(s.Reason)
		}
		a := h.caller("cl_a")
		a.hears("place 1")
		set(routing.StateSignedOut)
		h.register("ana") // only a refresh: it signs nobody in against their will
		h.isState("ana", routing.StateSignedOut)
		set(routing.StateReady)
		o := a.offered()
		h.settle(o, call.OfferAccepted)
		h.SetState(h.Context(), metro, "ana", routing.StatePaused, "agent:ana", "lunch")
		h.isState("ana", routing.StateTalking)
		h.settle(o, call.OfferCompleted)
		h.isState("ana", routing.StateWrapUp)
		time.Sleep(30 * time.Second)
		h.isState("ana", routing.StatePaused)
		for want, err := range map[error]error{
			routing.ErrState:        second(h.SetState(h.Context(), metro, "ana", routing.StateTalking, "x", "")),
			routing.ErrUnknownAgent: second(h.SetState(h.Context(), metro, "zoe", routing.StateReady, "x", "")),
			routing.ErrUnknownCity:  second(h.SetState(h.Context(), "atlantis", "ana", routing.StateReady, "x", "")),
		} {
			if !errors.Is(err, want) {
				h.Errorf("got %v, want %v", err, want)
			}
		}
	}, "ana")
}

func second(_ routing.AgentState, err error) error { return err }
