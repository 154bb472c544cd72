package call

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// TestEmergency has the ways of a hand-over to 911: caller and agent stay together until somebody is there.
func TestEmergency(t *testing.T) {
	story(t, "answered, then the agent leaves", func(b *bench) {
		agent := b.talks()
		b.transfers("911")
		b.together(b.caller, agent)
		psap := b.reached(1)
		b.together(b.caller, agent, psap)
		if b.recorder.last.closed != 1 || b.caller.tapped() != nil || agent.tapped() != nil {
			b.Errorf("recorded after the hand-over: closed %d times", b.recorder.last.closed)
		}
		b.settled(OfferAccepted)
		time.Sleep(time.Minute)
		agent.ends(CauseNormal)
		b.together(b.caller, psap)
		b.settled(OfferAccepted, OfferCompleted)
		psap.ends(CauseNormal)
		rec := b.wants(EndTransferred)
		b.over(agent, psap)
		if rec.Partner != "911" || rec.Talking != time.Minute || rec.EndedBy != "partner-1" {
			b.Errorf("record %+v", rec)
		}
		b.told(rec, WhatThirdParty, "911 (psap)")
		b.told(rec, WhatLeft, "normal")
	})
	for _, who := range []LegID{callerLeg, "partner-1"} {
		story(t, "answered, then hung up while the agent is there by "+string(who), func(b *bench) {
			agent := b.talks()
			b.transfers("911")
			psap := b.reached(1)
			if who == callerLeg {
				b.caller.ends(CauseNormal)
				b.wants(EndTransferred)
			} else {
				psap.ends(CauseNormal)
				b.together(b.caller, agent)
				agent.ends(CauseNormal)
				b.wants(EndAgentHungUp)
			}
			b.over(agent, psap)
		})
	}
	story(t, "dialled again at once until it is answered", func(b *bench) {
		agent := b.talks()
		b.transfers("911")
		start := time.Now()
		for n, err := range []error{ErrUnreachable, ErrNoAnswer, ErrRejected, errTest} {
			b.unreached(n+1, err)
			b.together(b.caller, agent)
		}
		if b.phones.dialled() != 5 || time.Since(start) != 0 || b.faults.errors.Load() != 4 {
			b.Errorf("dialled %d times in %v, %d errors logged", b.phones.dialled(), time.Since(start), b.faults.errors.Load())
		}
		psap := b.reached(5)
		b.together(b.caller, agent, psap)
		b.caller.ends(CauseNormal)
		b.told(b.wants(EndTransferred), WhatTransferFailed, "911 (psap): no answer, dialled again")
	})
	story(t, "dialled again after a second where it was our fault", func(b *bench) {
		b.talks()
		b.transfers("911")
		b.unreached(1, ErrUnavailable)
		if b.phones.dialled() != 1 {
			b.Errorf("dialled %d times at once", b.phones.dialled())
		}
		time.Sleep(emergencyPause)
		synctest.Wait()
		psap := b.reached(2)
		b.caller.ends(CauseNormal)
		b.wants(EndTransferred)
		b.over(psap)
	})
	story(t, "not cut off for having taken long", func(b *bench) {
		b.terms.MaxLength = time.Hour
		agent := b.talks()
		time.Sleep(59 * time.Minute)
		b.transfers("911")
		psap := b.reached(1)
		time.Sleep(time.Hour)
		b.together(b.caller, agent, psap)
		psap.ends(CauseNormal)
		synctest.Wait()
		agent.ends(CauseNormal)
		b.wants(EndAgentHungUp)
	})
	story(t, "never answered", func(b *bench) {
		agent := b.talks()
		b.transfers("911")
		for n := range emergencyDials {
			b.unreached(n+1, ErrNoAnswer)
		}
		b.together(b.caller, agent)
		if b.phones.dialled() != emergencyDials || b.faults.errors.Load() != emergencyDials {
			b.Errorf("dialled %d times, %d errors logged", b.phones.dialled(), b.faults.errors.Load())
		}
		b.transfers("911") // and once more, by hand
		b.reached(emergencyDials + 1)
		b.caller.ends(CauseNormal)
		b.wants(EndTransferred)
	})
	story(t, "the agent leaves before the answer", func(b *bench) {
		agent := b.talks()
		b.transfers("911")
		agent.ends(CauseSilent)
		synctest.Wait()
		if b.caller.playing().Name != promptRinging {
			b.Errorf("caller hears %v", b.caller.playing())
		}
		b.unreached(1, ErrUnreachable)
		psap := b.reached(2)
		b.together(b.caller, psap)
		b.caller.ends(CauseNormal)
		b.wants(EndTransferred)
	})
	story(t, "the agent leaves before the answer, which never comes", func(b *bench) {
		agent := b.talks()
		b.transfers("911")
		agent.ends(CauseNormal)
		synctest.Wait()
		for n := range emergencyDials {
			b.unreached(n+1, ErrNoAnswer)
		}
		b.answers("ben", 2)
		b.caller.ends(CauseNormal)
		b.told(b.wants(EndCallerHungUp), WhatPutBack, "")
	})
	story(t, "it waits for no other transfer", func(b *bench) {
		agent := b.talks()
		b.transfers("parks")
		late := &fakeLeg{id: "partner-1"}
		b.phones.crossing = late
		b.transfers("911")
		b.together(b.caller, agent)
		psap := b.reached(2)
		b.together(b.caller, agent, psap)
		b.over(late)
		if err := b.board.Transfer(b.Context(), order("911")); !errors.Is(err, ErrBusy) {
			b.Errorf("911 twice: %v", err)
		}
		if err := b.board.Transfer(b.Context(), order("power")); !errors.Is(err, ErrBusy) {
			b.Errorf("away from 911: %v", err)
		}
		b.caller.ends(CauseNormal)
		b.told(b.wants(EndTransferred), WhatTransferFailed, "parks (city): gave way to an emergency")
	})
	for _, alone := range []bool{false, true} {
		story(t, fmt.Sprintf("its phone is lost, agent gone %t", alone), func(b *bench) {
			agent := b.talks()
			b.transfers("911")
			psap := b.reached(1)
			if alone {
				agent.ends(CauseNormal)
				synctest.Wait()
			}
			psap.ends(CauseSilent)
			synctest.Wait()
			b.over(psap)
			if !alone {
				b.together(b.caller, agent)
			}
			again := b.reached(2)
			if alone {
				b.together(b.caller, again)
			} else {
				b.together(b.caller, agent, again)
			}
			if b.faults.errors.Load() != 1 {
				b.Errorf("%d errors logged", b.faults.errors.Load())
			}
			again.ends(CauseNormal)
			if !alone {
				b.together(b.caller, agent)
				b.caller.ends(CauseNormal)
				b.wants(EndCallerHungUp)
				return
			}
			b.wants(EndTransferred)
		})
	}
}
