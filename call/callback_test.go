package call

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// callsBack orders a call back and carries it until the test ends; b.caller is then the caller's phone.
func (b *bench) callsBack() ID {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	b.stop = cancel
	running := make(chan struct{})
	go func() {
		defer close(running)
		b.board.Run(ctx)
	}()
	b.Cleanup(func() {
		cancel()
		<-running
	})
	synctest.Wait()
	id, err := b.board.CallBack(b.Context(), CallBackOrder{City: "demo", Of: "cl_0", Handle: "hdl_1", Agent: "ana",
		Queue: "general", Language: "en", By: "agent:ana"})
	if err != nil {
		b.Fatal(err)
	}
	synctest.Wait()
	return id
}

// readies lets ana answer, and waits until the caller is dialled.
func (b *bench) readies() *fakeLeg {
	b.Helper()
	b.queues.offer("ana")
	synctest.Wait()
	agent := &fakeLeg{id: "agent-1"}
	b.phones.end("ana", agent, nil)
	synctest.Wait()
	return agent
}

// picksUp lets the caller answer.
func (b *bench) picksUp() {
	b.phones.reached(callerLeg, b.caller, nil)
	synctest.Wait()
}

// closed is the one record that was written, with that end.
func (b *bench) closed(want End) Record {
	b.Helper()
	synctest.Wait()
	if len(b.records.closed) != 1 || b.board.Active() != 0 {
		b.Fatalf("%d records written, %d calls active", len(b.records.closed), b.board.Active())
	}
	rec := b.records.closed[0]
	if rec.End != want || rec.EndedAt.IsZero() || rec.Q850 == 0 || rec.Direction != DirectionOut || rec.Of != "cl_0" {
		b.Errorf("record says end %q, want %q: %+v", rec.End, want, rec)
	}
	return rec
}

// TestCallBack has the ways of a call that we place.
func TestCallBack(t *testing.T) {
	story(t, "answered, told of the recording, joined", func(b *bench) {
		start := time.Now()
		id := b.callsBack()
		if want := (Waiting{City: "demo", Call: id, Queue: "general", Since: start, Agent: "ana"}); b.queues.places[0] != want {
			b.Errorf("waits as %+v, want %+v", b.queues.places[0], want)
		}
		time.Sleep(time.Minute)
		agent := b.readies()
		want := Outward{City: "demo", Call: id, Handle: "hdl_1", By: "agent:ana", Ring: callbackRing, Near: agent}
		if b.phones.outward[0] != want || agent.playing().Name != promptRinging {
			b.Errorf("dialled %+v, agent hears %v", b.phones.outward[0], agent.playing())
		}
		time.Sleep(10 * time.Second)
		b.picksUp()
		if b.caller.playing().Name != "notice" || agent.hears() != nil || len(b.recorder.started) != 0 {
			b.Errorf("caller hears %v, agent hears %v, %d recordings", b.caller.playing(), agent.hears(), len(b.recorder.started))
		}
		agent.says(LegHeld{agent.id, true}) // nobody hears the caller before the notice is over
		agent.says(LegHeld{agent.id, false})
		synctest.Wait()
		if agent.hears() != nil || b.caller.playing().Name != "notice" {
			b.Errorf("agent hears %v, caller hears %v", agent.hears(), b.caller.playing())
		}
		time.Sleep(noticeLength)
		b.together(b.caller, agent)
		if b.caller.tapped() == nil || agent.tapped() == nil || b.recorder.started[0].HeardAt.IsZero() {
			b.Error("not recorded")
		}
		time.Sleep(time.Hour)
		b.caller.ends(CauseNormal)
		rec := b.closed(EndCallerHungUp)
		b.over(agent, b.caller)
		if rec.ID != id || rec.Talking != time.Hour || rec.Agent != "ana" || rec.Waiting != time.Minute+10*time.Second+noticeLength ||
			rec.AnsweredAt.Sub(rec.ArrivedAt) != 70*time.Second || rec.ConnectedAt.Sub(rec.AnsweredAt) != noticeLength {
			b.Errorf("record %+v", rec)
		}
		b.told(rec, WhatOrdered, "by agent:ana")
		b.settled(OfferAccepted, OfferCompleted)
	})
	story(t, "the agent hangs up after talking", func(b *bench) {
		b.terms.Record = false // so that there is no notice either
		b.callsBack()
		agent := b.readies()
		b.picksUp()
		b.together(b.caller, agent)
		agent.ends(CauseNormal)
		b.closed(EndAgentHungUp)
		b.over(agent, b.caller)
	})
	for err, want := range map[error]Cause{ErrNoAnswer: CauseNoAnswer, ErrRejected: CauseRejected, ErrNoMedia: CauseNoMedia,
		ErrUnreachable: CauseUnreachable, ErrUnavailable: CauseUnavailable} {
		story(t, "not answered: "+err.Error(), func(b *bench) {
			b.callsBack()
			agent := b.readies()
			b.phones.reached(callerLeg, nil, err)
			rec := b.closed(EndNoCallbackAnswer)
			b.over(agent)
			b.settled(OfferAccepted, OfferCompleted)
			if !rec.AnsweredAt.IsZero() || !rec.ConnectedAt.IsZero() || rec.Talking != 0 || rec.Q850 != want.Q850() {
				b.Errorf("record %+v", rec)
			}
		})
	}
	story(t, "the agent declines", func(b *bench) {
		b.callsBack()
		b.queues.offer("ana")
		synctest.Wait()
		b.phones.end("ana", nil, ErrRejected)
		b.closed(EndNoCallbackAgent)
		b.settled(OfferRejected)
	})
	story(t, "the agent does not answer at first", func(b *bench) {
		b.callsBack()
		b.queues.offer("ana")
		synctest.Wait()
		b.phones.end("ana", nil, ErrNoAnswer)
		synctest.Wait()
		b.readies()
		b.phones.reached(callerLeg, nil, ErrNoAnswer)
		b.closed(EndNoCallbackAnswer)
	})
	for _, limit := range []time.Duration{0, time.Minute, time.Hour} {
		story(t, "the agent never comes, queue's limit "+limit.String(), func(b *bench) {
			b.terms.MaxWait = limit
			b.callsBack()
			want := callbackWait
			if limit == time.Minute {
				want = limit
			}
			time.Sleep(want)
			if rec := b.closed(EndNoCallbackAgent); rec.Waiting != want {
				b.Errorf("waited %v", rec.Waiting)
			}
		})
	}
	story(t, "the agent hangs up before the caller answers, at the same instant", func(b *bench) {
		b.callsBack()
		agent := b.readies()
		b.phones.crossing = b.caller
		agent.ends(CauseNormal)
		if rec := b.closed(EndNoCallbackAgent); rec.EndedBy != "agent-1" {
			b.Errorf("ended by %s", rec.EndedBy)
		}
		b.over(agent, b.caller)
	})
	story(t, "the caller hangs up during the notice", func(b *bench) {
		b.callsBack()
		agent := b.readies()
		b.picksUp()
		b.caller.ends(CauseNormal)
		b.closed(EndAbandoned)
		b.over(agent, b.caller)
	})
	story(t, "the agent hangs up during the notice", func(b *bench) {
		b.callsBack()
		agent := b.readies()
		b.picksUp()
		agent.ends(CauseNormal)
		b.closed(EndAgentHungUp)
		b.over(agent, b.caller)
	})
	story(t, "the notice never ends", func(b *bench) {
		b.callsBack()
		agent := b.readies()
		b.picksUp()
		b.caller.set(func() { b.caller.played = append(b.caller.played, Prompt{Name: "stuck"}) })
		time.Sleep(noticeLength + noticeSlack)
		b.closed(EndCallerLost)
		b.over(agent, b.caller)
	})
	for _, when := range []string{"notice", "talk"} {
		story(t, "the agent's phone is lost during the "+when, func(b *bench) {
			b.callsBack()
			agent := b.readies()
			b.picksUp()
			if when == "talk" {
				time.Sleep(noticeLength)
				synctest.Wait()
			}
			agent.ends(CauseSilent)
			synctest.Wait()
			if len(b.queues.places) != 2 || b.queues.places[1].Agent != "" || b.caller.playing().Name != promptResume {
				b.Errorf("places %+v, caller hears %v", b.queues.places, b.caller.playing())
			}
			ben := b.answers("ben", 2)
			if recorded := ben.tapped() != nil; recorded != (when == "talk") {
				b.Errorf("recorded %t, and the notice was heard only before the talk", recorded)
			}
			b.caller.ends(CauseNormal)
			b.closed(EndCallerHungUp)
			b.over(agent, ben, b.caller)
		})
	}
	story(t, "carried on to a partner", func(b *bench) {
		b.terms.Record = false
		id := b.callsBack()
		agent := b.readies()
		b.picksUp()
		o := order("parks")
		o.Call = id
		if err := b.board.Transfer(b.Context(), o); err != nil {
			b.Fatal(err)
		}
		synctest.Wait()
		partner := b.reached(1)
		b.together(b.caller, partner)
		partner.ends(CauseNormal)
		b.closed(EndTransferred)
		b.over(agent, b.caller, partner)
	})
	story(t, "as long as the city allows, counted from the answer", func(b *bench) {
		b.terms.MaxLength = time.Hour
		b.callsBack()
		time.Sleep(20 * time.Minute)
		b.readies()
		b.picksUp()
		time.Sleep(59 * time.Minute)
		synctest.Wait()
		b.on(b.caller)
		time.Sleep(time.Minute)
		b.closed(EndMaxLength)
	})
	for _, when := range []string{"line", "dialling", "notice"} {
		story(t, "the node stops: "+when, func(b *bench) {
			b.callsBack()
			if when != "line" {
				b.readies()
			}
			if when == "notice" {
				b.picksUp()
			}
			b.stop()
			b.closed(EndShutdown)
			if _, err := b.board.CallBack(context.Background(), CallBackOrder{City: "demo", Agent: "ana"}); !errors.Is(err, ErrUnavailable) {
				b.Errorf("ordered of a node that has stopped: %v", err)
			}
		})
	}
	story(t, "refused", func(b *bench) {
		for admit, want := range map[error]error{ErrUnknownQueue: ErrUnknownQueue, ErrUnavailable: ErrUnavailable,
			ErrQueueFull: ErrUnavailable /* because nobody runs calls here */} {
			b.queues.admitErr = admit
			if _, err := b.board.CallBack(b.Context(), CallBackOrder{City: "demo", Agent: "ana"}); !errors.Is(err, want) {
				b.Errorf("%v: got %v, want %v", admit, err, want)
			}
		}
	})
	story(t, "the number appears nowhere", func(b *bench) {
		b.callsBack()
		b.readies()
		b.phones.reached(callerLeg, nil, errors.New("dial +12125550142: refused"))
		rec := b.closed(EndNoCallbackAnswer)
		if slices.ContainsFunc(rec.Timeline, func(m Moment) bool { return m.Detail != "" && m.Detail[len(m.Detail)-1] == '2' }) {
			b.Errorf("timeline %+v", rec.Timeline)
		}
	})
}
