package routing_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"callhall/call"
	"callhall/routing"
)

// phone is a party who says nothing.
type phone struct {
	id call.LegID
	in *call.Inbox
}

func (p *phone) ID() call.LegID               { return p.id }
func (p *phone) Attach(in *call.Inbox)        { p.in = in }
func (p *phone) Answer(context.Context) error { return nil }
func (p *phone) Refuse(call.Cause)            {}
func (p *phone) HangUp(call.Cause)            {}
func (p *phone) Play(call.Prompt) error       { return nil }
func (p *phone) Join(call.Leg) error          { return nil }
func (p *phone) Part()                        {}
func (p *phone) Listen(call.Tap)              {}
func (p *phone) Tell(call.News)               {}
func (p *phone) Quality() call.Quality        { return call.Quality{} }

// phones answer at once.
type phones struct {
	rung   []call.AgentID
	agent  *phone
	caller *phone // nil: does not answer
}

func (p *phones) Ring(_ context.Context, o call.Offer, leg call.LegID, _ call.Showing) (call.Leg, error) {
	p.rung, p.agent = append(p.rung, o.Agent), &phone{id: leg}
	return p.agent, nil
}

func (p *phones) Dial(context.Context, call.Outward, call.LegID) (call.Leg, error) {
	if p.caller == nil {
		return nil, call.ErrNoAnswer
	}
	return p.caller, nil
}

// kept are the records of calls that are over.
type kept struct{ closed []call.Record }

func (*kept) Open(context.Context, call.Record) error { return nil }
func (k *kept) Close(_ context.Context, r call.Record) error {
	k.closed = append(k.closed, r)
	return nil
}

// TestCallBack lets a switchboard call back over a Service at work: the call waits for its agent past others who are
// free and others who wait, and afterwards the agent has a wrap-up like after any call.
func TestCallBack(t *testing.T) {
	for name, there := range map[string]bool{"answered": true, "not answered": false} {
		t.Run(name, func(t *testing.T) { bubble(t, func(h *hall) { callBack(h, there) }, "ana", "bob") })
	}
}

func callBack(h *hall, there bool) {
	first := h.caller("cl_1")
	o := first.offered()
	h.settle(o, call.OfferAccepted) // the agent who is to call back is still talking
	ps, records := &phones{}, &kept{}
	if there {
		ps.caller = &phone{id: "caller"}
	}
	board := &call.Switchboard{Queues: h.Service, Phones: ps, Records: records, Log: slog.New(slog.DiscardHandler),
		Terms: func(call.CityID, call.QueueID) call.Terms { return call.Terms{} }}
	ctx, stop := context.WithCancel(h.Context())
	ran := make(chan struct{})
	go func() {
		defer close(ran)
		board.Run(ctx)
	}()
	defer func() { stop(); <-ran }()
	synctest.Wait()
	wish := call.CallBackOrder{City: metro, Of: "cl_0", Handle: "hdl_1", Agent: o.Agent, Queue: general, By: "agent:" + string(o.Agent)}
	if _, err := board.CallBack(ctx, wish); err != nil {
		h.Fatal(err)
	}
	time.Sleep(time.Minute)
	synctest.Wait()
	if len(ps.rung) != 0 {
		h.Fatalf("rang %v, who is not the one", ps.rung)
	}
	h.settle(o, call.OfferCompleted)
	time.Sleep(31 * time.Second)
	synctest.Wait()
	if len(ps.rung) != 1 || ps.rung[0] != o.Agent {
		h.Fatalf("rang %v, want %s", ps.rung, o.Agent)
	}
	if there {
		h.isState(o.Agent, routing.StateTalking)
		ps.agent.in.Put(call.LegEnded{Leg: ps.agent.id, Cause: call.CauseNormal})
	}
	h.isState(o.Agent, routing.StateWrapUp)
	want := map[bool]call.End{true: call.EndAgentHungUp, false: call.EndNoCallbackAnswer}[there]
	if len(records.closed) != 1 || records.closed[0].End != want || records.closed[0].Waiting != 90*time.Second {
		h.Fatalf("records %+v", records.closed)
	}
	wish.Queue = "none"
	if _, err := board.CallBack(ctx, wish); !errors.Is(err, call.ErrUnknownQueue) {
		h.Fatalf("in a queue that is not there: %v", err)
	}
}
