package routing_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"callhall/call"
	"callhall/routing"
	"callhall/routing/memstore"
)

// BenchmarkCall is one call's way through a Service on the memory store: in line, offered, accepted, completed. It
// reports the time from Enqueue to the offer in the inbox. Beside it wait calls for which nobody is free, and sit agents
// for whom nobody waits.
func BenchmarkCall(b *testing.B) {
	for _, times := range []int{1, 10, 100} {
		b.Run(fmt.Sprintf("untouched=%dx", times), func(b *testing.B) { benchmarkCall(b, 100*times, 50*times) })
	}
}

func benchmarkCall(b *testing.B, calls, agents int) {
	const queues = 50
	city := routing.City{ID: metro, Queues: []routing.Queue{{ID: "hot"}},
		Agents: []routing.Agent{{ID: "ana", Queues: []call.QueueID{"hot"}, SignIn: true}}}
	for i := range queues {
		city.Queues = append(city.Queues, routing.Queue{ID: call.QueueID(fmt.Sprint("waiting", i))}, routing.Queue{ID: call.QueueID(fmt.Sprint("idle", i))})
	}
	for i := range agents {
		city.Agents = append(city.Agents, routing.Agent{ID: call.AgentID(fmt.Sprint("a", i)), SignIn: true,
			Queues: []call.QueueID{call.QueueID(fmt.Sprint("idle", i%queues))}})
	}
	s, err := routing.New([]routing.City{city}, memstore.New(time.Now), routing.Config{Node: "n1"})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Run(ctx)
	}()
	for i := range calls {
		w := call.Waiting{City: metro, Call: call.ID(fmt.Sprint("cl_w", i)), Queue: call.QueueID(fmt.Sprint("waiting", i%queues)), Since: time.Now()}
		if err := s.Enqueue(ctx, w, call.NewInbox()); err != nil {
			b.Fatal(err)
		}
	}
	for _, a := range city.Agents {
		s.Registered(ctx, metro, a.ID, time.Now().Add(time.Hour))
	}
	in := call.NewInbox()
	var waits []time.Duration
	for i := 0; b.Loop(); i++ {
		place, leave := context.WithCancel(ctx)
		at := time.Now()
		if err := s.Enqueue(place, call.Waiting{City: metro, Call: call.ID(fmt.Sprint("cl_", i)), Queue: "hot", Since: at}, in); err != nil {
			b.Fatal(err)
		}
		o := nextOffer(in)
		waits = append(waits, time.Since(at))
		for _, outcome := range []call.OfferOutcome{call.OfferAccepted, call.OfferCompleted} {
			if err := s.Settle(ctx, o, outcome); err != nil {
				b.Fatal(err)
			}
		}
		leave()
	}
	slices.Sort(waits)
	b.ReportMetric(float64(waits[len(waits)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(waits[len(waits)*99/100].Microseconds()), "p99-µs")
	cancel()
	<-done
}

func nextOffer(in *call.Inbox) call.Offer {
	for ev := range in.Events() {
		if o, ok := ev.(call.Offered); ok {
			return o.Offer
		}
	}
	return call.Offer{}
}
