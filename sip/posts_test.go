package sip

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"callhall/call"
)

// offerUnder rings agent ana under that claim.
func (st *stage) offerUnder(ctx context.Context, fence uint64, leg call.LegID) <-chan rung {
	done := make(chan rung, 1)
	o := call.Offer{City: "demo", Call: "cl_x", Queue: "general", Agent: "ana", Ring: patienceOfTests, Fence: call.Fence{Counter: fence}}
	go func() {
		l, err := st.Ring(ctx, o, leg, call.Showing{Call: "cl_x", Queue: "general", Language: "es"})
		done <- rung{l, err}
	}()
	return done
}

func TestOneAgentIsRungForOneCall(t *testing.T) {
	st := raise(t)
	phone := st.phone("udp")
	first := st.offerUnder(t.Context(), 7, "agent-1")
	invite := phone.expect("INVITE ")
	phone.remember(invite)
	if r := st.outcome(st.offerUnder(t.Context(), 8, "agent-2")); !errors.Is(r.err, call.ErrStale) {
		t.Errorf("while it rings for another call: %v", r.err)
	}
	phone.say(invite, "200 OK", phoneAnswer)
	phone.until("ACK ")
	r := st.outcome(first)
	if r.err != nil {
		t.Fatal(r.err)
	}
	if r := st.outcome(st.offerUnder(t.Context(), 9, "agent-3")); !errors.Is(r.err, call.ErrStale) {
		t.Errorf("while the agent talks: %v", r.err)
	}
	r.leg.HangUp(call.CauseNormal)
	phone.say(phone.until("BYE "), "200 OK", "")
	if r := st.outcome(st.offerUnder(t.Context(), 8, "agent-4")); !errors.Is(r.err, call.ErrStale) {
		t.Errorf("under a claim that is older than one seen: %v", r.err)
	}
	st.empty()
	last := st.offerUnder(t.Context(), 10, "agent-5")
	phone.say(phone.until("INVITE "), "486 Busy Here", "")
	if r := st.outcome(last); !errors.Is(r.err, call.ErrRejected) {
		t.Errorf("when the agent is free again: %v", r.err)
	}
	st.empty()
}

// TestNextOfferWaitsForTheLastHangUp: routing gives an agent to the next call while the last is hanging up.
func TestNextOfferWaitsForTheLastHangUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPosts()
		offer := func(n uint64) call.Offer {
			return call.Offer{City: "demo", Agent: "ana", Fence: call.Fence{Counter: n}}
		}
		release, err := p.take(t.Context(), offer(1), time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.take(t.Context(), offer(2), time.Second); !errors.Is(err, call.ErrStale) {
			t.Errorf("the last call stays: %v", err)
		}
		time.AfterFunc(time.Millisecond, release)
		next, err := p.take(t.Context(), offer(3), time.Second)
		if err != nil {
			t.Fatalf("the last call went: %v", err)
		}
		release() // again, too late to matter
		if _, err := p.take(t.Context(), offer(4), time.Second); !errors.Is(err, call.ErrStale) {
			t.Errorf("an old release gave the agent away: %v", err)
		}
		next()
		if _, err := p.take(t.Context(), offer(3), time.Second); !errors.Is(err, call.ErrStale) {
			t.Errorf("an older claim than one seen: %v", err)
		}
	})
}
