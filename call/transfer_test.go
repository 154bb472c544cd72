package call

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// order is ana's order to bring that partner to the call.
func order(p PartnerID) TransferOrder {
	return TransferOrder{City: "demo", Call: "cl_1", By: "agent:ana", Agent: "ana", Partner: p, Spoken: true}
}

// transfers orders it, and waits until the partner rings.
func (b *bench) transfers(p PartnerID) {
	b.Helper()
	if err := b.board.Transfer(b.Context(), order(p)); err != nil {
		b.Fatalf("transfer to %s: %v", p, err)
	}
	synctest.Wait()
}

// reached lets the partner answer that was dialled as the nth.
func (b *bench) reached(n int) *fakeLeg {
	b.Helper()
	leg := &fakeLeg{id: LegID(fmt.Sprintf("partner-%d", n))}
	b.phones.reached(leg.id, leg, nil)
	synctest.Wait()
	return leg
}

// unreached lets the nth dialling fail.
func (b *bench) unreached(n int, err error) {
	b.phones.reached(LegID(fmt.Sprintf("partner-%d", n)), nil, err)
	synctest.Wait()
}

// together wants these to hear each other and nobody else.
func (b *bench) together(legs ...*fakeLeg) {
	b.Helper()
	synctest.Wait()
	patching.Lock()
	defer patching.Unlock()
	for _, l := range legs {
		for _, o := range legs {
			if o != l && !l.links[o] {
				b.Errorf("%s does not hear %s", l.id, o.id)
			}
		}
		if len(l.links) != len(legs)-1 {
			b.Errorf("%s hears %d others, want %d", l.id, len(l.links), len(legs)-1)
		}
		if l.misused > 0 {
			b.Errorf("%s was connected anew without having parted", l.id)
		}
	}
}

// over wants these to have been hung up, or to have been told so after they left.
func (b *bench) over(legs ...*fakeLeg) {
	b.Helper()
	for _, l := range legs {
		if l.gone() == 0 || l.tapped() != nil || l.hears() != nil {
			b.Errorf("%s: hung up %d times, tapped %v, hears %v", l.id, l.gone(), l.tapped(), l.hears())
		}
	}
}

// on wants these not to have been hung up.
func (b *bench) on(legs ...*fakeLeg) {
	b.Helper()
	for _, l := range legs {
		if l.gone() != 0 {
			b.Errorf("%s was hung up", l.id)
		}
	}
}

// says wants the record's timeline to have a moment of that kind with these words.
func (b *bench) told(r Record, what What, words string) {
	b.Helper()
	if !slices.ContainsFunc(r.Timeline, func(m Moment) bool { return m.What == what && strings.Contains(m.Detail, words) }) {
		b.Errorf("no %s %q in %+v", what, words, r.Timeline)
	}
}

// look is the record as it stands.
func (b *bench) look() Record {
	b.Helper()
	r, err := b.board.Look(b.Context(), "demo", "cl_1")
	if err != nil {
		b.Fatal(err)
	}
	return r
}

// TestTransfer has the ways of a call that is carried on to a partner.
func TestTransfer(t *testing.T) {
	for _, who := range []LegID{"partner-1", callerLeg} {
		story(t, "answered, and then hung up by "+string(who), func(b *bench) {
			agent := b.talks()
			time.Sleep(time.Minute)
			b.transfers("power")
			b.together(b.caller, agent) // nobody waits in silence
			want := Outward{City: "demo", Call: "cl_1", Partner: "power", By: "agent:ana", Spoken: true, Ring: outsideRing, Near: b.caller}
			if b.phones.outward[0] != want {
				b.Errorf("dialled %+v, want %+v", b.phones.outward[0], want)
			}
			partner := b.reached(1)
			b.together(b.caller, partner)
			b.over(agent)
			b.settled(OfferAccepted, OfferCompleted)
			if b.recorder.last.closed != 1 || b.caller.tapped() != nil {
				b.Errorf("recording closed %d times, caller tapped %v", b.recorder.last.closed, b.caller.tapped())
			}
			handedOver := time.Now()
			time.Sleep(time.Hour)
			synctest.Wait()
			b.on(b.caller, partner)
			if who == callerLeg {
				b.caller.ends(CauseNormal)
			} else {
				partner.ends(CauseNormal)
			}
			rec := b.wants(EndTransferred)
			b.over(partner)
			if rec.EndedBy != who || rec.Talking != time.Minute || rec.Agent != "ana" || rec.Partner != "power" ||
				!rec.TransferredAt.Equal(handedOver) || rec.Recording.State != RecordingKept || b.recorder.last.closed != 1 {
				b.Errorf("record %+v", rec)
			}
			b.told(rec, WhatTransferring, "to power (private)")
			b.told(rec, WhatTransferred, "to power (private)")
			b.told(rec, WhatRecording, "rec_1 ended: handed over")
			if open := b.records.open; open[len(open)-1].Partner != "power" {
				b.Errorf("open entry does not know the partner: %+v", open)
			}
		})
	}
	for err, words := range map[error]string{ErrNoAnswer: "no answer", ErrRejected: "declined", ErrUnreachable: "not reached",
		ErrNoMedia: "no codec in common", ErrUnavailable: "could not be dialled", errTest: "could not be dialled"} {
		story(t, "not answered: "+words, func(b *bench) {
			agent := b.talks()
			b.transfers("parks")
			b.unreached(1, fmt.Errorf("dial partner parks: %w", err))
			b.together(b.caller, agent)
			b.told(b.look(), WhatTransferFailed, "parks (city): "+words)
			b.transfers("power") // nothing is in the way
			partner := b.reached(2)
			b.together(b.caller, partner)
			b.caller.ends(CauseNormal)
			b.wants(EndTransferred)
			b.over(agent, partner)
		})
	}
	story(t, "the agent leaves while it rings", func(b *bench) {
		agent := b.talks()
		b.transfers("parks")
		agent.ends(CauseNormal)
		synctest.Wait()
		b.over(agent)
		b.settled(OfferAccepted, OfferCompleted)
		if got := b.caller.playing(); got.Name != promptRinging || b.recorder.last.closed != 0 {
			b.Errorf("caller hears %v, recording closed %d times", got, b.recorder.last.closed)
		}
		partner := b.reached(1)
		b.together(b.caller, partner)
		partner.ends(CauseNormal)
		b.told(b.wants(EndTransferred), WhatLeft, "normal")
	})
	story(t, "the agent leaves while it rings, and there is no ringing tone", func(b *bench) {
		b.caller.noSound = promptRinging
		agent := b.talks()
		b.transfers("parks")
		agent.ends(CauseNormal)
		synctest.Wait()
		if got := b.caller.playing(); got.Name != promptHold {
			b.Errorf("caller hears %v", got)
		}
		b.caller.ends(CauseNormal)
		b.wants(EndAbandoned)
	})
	story(t, "the agent leaves while it rings, and nobody answers", func(b *bench) {
		b.terms.MaxWait = time.Hour
		agent := b.talks()
		time.Sleep(2 * time.Hour)
		b.transfers("parks")
		agent.ends(CauseNormal)
		synctest.Wait()
		b.unreached(1, ErrNoAnswer)
		if got := b.caller.playing(); got.Name != promptResume || len(b.queues.places) != 2 || b.queues.places[0] != b.queues.places[1] {
			b.Errorf("caller hears %q, places %v", got.Name, b.queues.places)
		}
		time.Sleep(30 * time.Minute)
		ben := b.answers("ben", 2)
		if ben.tapped() == nil {
			b.Error("the recording does not go on")
		}
		ben.ends(CauseNormal)
		b.told(b.wants(EndAgentHungUp), WhatPutBack, "")
		b.settled(OfferAccepted, OfferCompleted, OfferAccepted, OfferCompleted)
	})
	for _, alone := range []bool{false, true} {
		story(t, fmt.Sprintf("the caller leaves while it rings, agent gone %t", alone), func(b *bench) {
			agent := b.talks()
			b.transfers("parks")
			want := EndCallerHungUp
			if alone {
				want = EndAbandoned
				agent.ends(CauseNormal)
				synctest.Wait()
			}
			late := &fakeLeg{id: "partner-1"}
			b.phones.crossing = late // the partner answers as the caller hangs up
			b.caller.ends(CauseNormal)
			b.wants(want)
			synctest.Wait()
			b.over(agent, late)
		})
	}
	story(t, "the partner's phone is lost", func(b *bench) {
		b.talks()
		b.transfers("parks")
		partner := b.reached(1)
		partner.ends(CauseSilent)
		synctest.Wait()
		b.over(partner)
		ben := b.answers("ben", 2)
		if ben.tapped() != nil {
			b.Error("recorded after the recording had ended")
		}
		b.caller.ends(CauseNormal)
		b.told(b.wants(EndCallerHungUp), WhatLeft, "parks (city): silent")
	})
	story(t, "the agent's phone is lost while it rings", func(b *bench) {
		agent := b.talks()
		b.transfers("parks")
		agent.ends(CauseUnreachable)
		partner := b.reached(1)
		b.together(b.caller, partner)
		b.caller.ends(CauseNormal)
		b.wants(EndTransferred)
	})
	for _, first := range []string{"agent", "partner"} {
		for _, cause := range []Cause{CauseNormal, CauseSilent} {
			story(t, fmt.Sprintf("the agent leaves (%s) as the partner answers, %s first", cause, first), func(b *bench) {
				agent := b.talks()
				b.transfers("parks")
				partner := &fakeLeg{id: "partner-1"}
				if first == "agent" {
					agent.ends(cause)
					b.phones.reached("partner-1", partner, nil)
				} else {
					agent.says(dialled{"partner-1", partner, nil})
					agent.ends(cause)
				}
				b.together(b.caller, partner)
				b.over(agent)
				b.settled(OfferAccepted, OfferCompleted)
				b.caller.ends(CauseNormal)
				b.wants(EndTransferred)
				b.over(partner)
			})
		}
	}
	for _, first := range []string{"caller", "partner"} {
		story(t, "the caller leaves as the partner answers, first the "+first, func(b *bench) {
			agent := b.talks()
			b.transfers("parks")
			partner, want := &fakeLeg{id: "partner-1"}, EndTransferred
			answer := dialled{"partner-1", partner, nil}
			if first == "caller" {
				want = EndCallerHungUp
				b.caller.ends(CauseNormal)
				agent.says(answer)
			} else {
				agent.says(answer)
				b.caller.ends(CauseNormal)
			}
			b.wants(want)
			b.over(agent, partner)
		})
	}
	story(t, "the recording opens after the hand-over", func(b *bench) {
		b.recorder.slow = time.Minute
		b.talks()
		b.transfers("parks")
		partner := b.reached(1)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if b.recorder.last.closed != 1 || b.caller.tapped() != nil || partner.tapped() != nil {
			b.Errorf("recording closed %d times", b.recorder.last.closed)
		}
		b.caller.ends(CauseNormal)
		b.wants(EndTransferred)
	})
	story(t, "the node stops", func(b *bench) {
		agent := b.talks()
		b.transfers("parks")
		b.stop()
		b.wants(EndShutdown)
		b.over(agent)
	})
	story(t, "the node stops after the hand-over", func(b *bench) {
		b.talks()
		b.transfers("parks")
		partner := b.reached(1)
		b.stop()
		b.wants(EndShutdown)
		b.over(partner)
	})
	story(t, "as long as the city allows", func(b *bench) {
		b.terms.MaxLength = time.Hour
		b.talks()
		b.transfers("parks")
		partner := b.reached(1)
		b.wants(EndMaxLength)
		b.over(partner)
	})
}

// TestTransferCancelled: an agent may think better of it, until the answer.
func TestTransferCancelled(t *testing.T) {
	story(t, "in time, though the answer crosses it", func(b *bench) {
		agent := b.talks()
		b.transfers("parks")
		late := &fakeLeg{id: "partner-1"}
		b.phones.crossing = late
		if err := b.board.CancelTransfer(b.Context(), "demo", "cl_1", "ana", "agent:ana"); err != nil {
			b.Fatal(err)
		}
		b.together(b.caller, agent)
		b.over(late)
		agent.ends(CauseNormal)
		b.told(b.wants(EndAgentHungUp), WhatTransferFailed, "parks (city): cancelled by agent:ana")
	})
	story(t, "too late, as the answer was first", func(b *bench) {
		b.talks()
		b.transfers("parks")
		partner := b.reached(1)
		if err := b.board.CancelTransfer(b.Context(), "demo", "cl_1", "ana", "agent:ana"); !errors.Is(err, ErrNotTalking) {
			b.Errorf("cancelled: %v", err)
		}
		b.together(b.caller, partner)
		b.caller.ends(CauseNormal)
		b.wants(EndTransferred)
	})
	story(t, "by somebody else, or when there is none", func(b *bench) {
		b.talks()
		cancel := func(agent AgentID, want error) {
			b.Helper()
			if err := b.board.CancelTransfer(b.Context(), "demo", "cl_1", agent, "agent:"+string(agent)); !errors.Is(err, want) {
				b.Errorf("cancelled by %s: %v, want %v", agent, err, want)
			}
		}
		cancel("ana", ErrNoTransfer)
		b.transfers("parks")
		cancel("ben", ErrNotYours)
		partner := b.reached(1)
		partner.ends(CauseNormal)
		b.wants(EndTransferred)
		cancel("ana", ErrUnknownCall)
	})
}

// TestTransferRefused has every reason not to take an order.
func TestTransferRefused(t *testing.T) {
	story(t, "each", func(b *bench) {
		refused := func(o TransferOrder, want error) {
			b.Helper()
			if err := b.board.Transfer(b.Context(), o); !errors.Is(err, want) {
				b.Errorf("%s for %s: %v, want %v", o.Partner, o.Agent, err, want)
			}
		}
		refused(order("parks"), ErrUnknownCall)
		b.inLine()
		refused(order("parks"), ErrNotTalking)
		b.queues.offer("ana")
		refused(order("911"), ErrNotTalking)
		synctest.Wait()
		b.phones.end("ana", &fakeLeg{id: "agent-1"}, nil)
		synctest.Wait()
		for change, want := range map[*TransferOrder]error{
			{City: "demo", Partner: "parks", Agent: "ben"}:     ErrNotYours,
			{City: "demo", Partner: "911", Agent: "ben"}:       ErrNotYours,
			{City: "demo", Partner: "parks"}:                   ErrNotYours,
			{City: "demo", Partner: "sewers", Agent: "ana"}:    ErrUnknownPartner,
			{City: "harbour", Partner: "parks", Agent: "ana"}:  ErrUnknownPartner, // P8
			{City: "harbour", Partner: "harbor", Agent: "ana"}: ErrUnknownPartner,
		} {
			change.Call = "cl_1"
			refused(*change, want)
		}
		b.board.Partners = allPartners{}
		refused(TransferOrder{City: "harbour", Call: "cl_1", Partner: "parks", Agent: "ana"}, ErrUnknownCall) // P8
		if _, err := b.board.Look(b.Context(), "harbour", "cl_1"); !errors.Is(err, ErrUnknownCall) {
			b.Errorf("another city looks: %v", err)
		}
		b.board.Partners = nil
		refused(order("parks"), ErrUnknownPartner)
		b.board.Partners = fakePartners{}
		b.transfers("parks")
		refused(order("parks"), ErrBusy)
		refused(order("power"), ErrBusy)
		refused(order("tongues"), ErrBusy)
		if b.phones.dialled() != 1 {
			b.Errorf("dialled %d times", b.phones.dialled())
		}
		b.caller.ends(CauseNormal)
		b.wants(EndCallerHungUp)
		refused(order("parks"), ErrUnknownCall)
	})
}

// allPartners knows every partner in every city.
type allPartners struct{}

func (allPartners) Partner(_ CityID, id PartnerID) (Partner, error) {
	return Partner{ID: id, Kind: PartnerCity}, nil
}

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

// TestInterpreter: one who comes later hears the notice too, and the agent stays.
func TestInterpreter(t *testing.T) {
	joins := func(b *bench) (agent, interpreter *fakeLeg) {
		agent = b.talks()
		b.transfers("tongues")
		interpreter = b.reached(1)
		b.together(b.caller, agent)
		if interpreter.playing().Name != "notice" {
			b.Errorf("interpreter hears %v", interpreter.playing())
		}
		time.Sleep(noticeLength)
		b.together(b.caller, agent, interpreter)
		return agent, interpreter
	}
	story(t, "comes and goes", func(b *bench) {
		agent, interpreter := joins(b)
		if b.recorder.last.closed != 0 || agent.tapped() == nil || interpreter.tapped() != nil {
			b.Error("the recording does not go on")
		}
		interpreter.ends(CauseNormal)
		b.together(b.caller, agent)
		b.over(interpreter)
		agent.ends(CauseNormal)
		rec := b.wants(EndAgentHungUp)
		b.told(rec, WhatThirdParty, "tongues (interpreter)")
		b.told(rec, WhatLeft, "tongues (interpreter): normal")
		if rec.Partner != "" || !rec.TransferredAt.IsZero() {
			b.Errorf("an interpreter is no hand-over: %+v", rec)
		}
		notices := slices.DeleteFunc(rec.Timeline, func(m Moment) bool { return m.What != WhatNotice })
		if len(notices) != 2 || notices[1].Leg != "partner-1" {
			b.Errorf("notices heard: %+v", notices)
		}
	})
	for name, who := range map[string]func(b *bench, agent *fakeLeg) (*fakeLeg, End){
		"the agent hangs up":  func(_ *bench, agent *fakeLeg) (*fakeLeg, End) { return agent, EndAgentHungUp },
		"the caller hangs up": func(b *bench, _ *fakeLeg) (*fakeLeg, End) { return b.caller, EndCallerHungUp },
	} {
		story(t, name, func(b *bench) {
			agent, interpreter := joins(b)
			leaves, want := who(b, agent)
			leaves.ends(CauseNormal)
			b.wants(want)
			b.over(agent, interpreter)
		})
	}
	story(t, "the agent's phone is lost", func(b *bench) {
		agent, interpreter := joins(b)
		agent.ends(CauseSilent)
		synctest.Wait()
		b.over(agent, interpreter)
		b.answers("ben", 2)
		b.caller.ends(CauseNormal)
		b.wants(EndCallerHungUp)
	})
	story(t, "the agent's phone is lost, and the interpreter leaves at the same instant", func(b *bench) {
		agent, interpreter := joins(b)
		agent.ends(CauseSilent)
		interpreter.ends(CauseNormal) // read by a call that is back in line: nothing to it
		synctest.Wait()
		b.queues.offer("ben")
		synctest.Wait()
		b.caller.says(LegEnded{interpreter.id, CauseNormal}) // or rings the next agent
		synctest.Wait()
		ben := &fakeLeg{id: "agent-2"}
		b.phones.end("ben", ben, nil)
		b.together(b.caller, ben)
		b.caller.ends(CauseNormal)
		b.wants(EndCallerHungUp)
	})
	story(t, "goes along to 911", func(b *bench) {
		agent, interpreter := joins(b)
		b.transfers("911")
		psap := b.reached(2)
		b.together(b.caller, agent, interpreter, psap)
		agent.ends(CauseNormal)
		b.together(b.caller, interpreter, psap)
		interpreter.ends(CauseNormal)
		b.together(b.caller, psap)
		psap.ends(CauseNormal)
		b.wants(EndTransferred)
	})
	story(t, "goes along to a partner, and cannot be the one who is left", func(b *bench) {
		_, interpreter := joins(b)
		b.transfers("parks")
		partner := b.reached(2)
		b.together(b.caller, interpreter, partner)
		partner.ends(CauseNormal)
		b.wants(EndTransferred)
		b.over(interpreter, partner)
	})
	story(t, "comes to 911, which nobody records", func(b *bench) {
		agent := b.talks()
		b.transfers("911")
		psap := b.reached(1)
		b.transfers("tongues")
		interpreter := b.reached(2)
		b.together(b.caller, agent, psap, interpreter)
		if len(interpreter.played) != 0 {
			b.Errorf("interpreter heard %v", interpreter.played)
		}
		if err := b.board.Transfer(b.Context(), order("tongues")); !errors.Is(err, ErrBusy) {
			b.Errorf("interpreter twice: %v", err)
		}
		b.caller.ends(CauseNormal)
		b.wants(EndTransferred)
		b.over(psap, interpreter)
	})
	story(t, "the call is not recorded", func(b *bench) {
		b.terms.Record = false
		b.arrives()
		synctest.Wait()
		agent := b.answers("ana", 1)
		b.transfers("tongues")
		interpreter := b.reached(1)
		b.together(b.caller, agent, interpreter)
		b.caller.ends(CauseNormal)
		b.wants(EndCallerHungUp)
	})
	during := func(name string, what func(b *bench, interpreter *fakeLeg), words string) {
		story(t, "during the notice: "+name, func(b *bench) {
			agent := b.talks()
			b.transfers("tongues")
			interpreter := b.reached(1)
			time.Sleep(time.Second)
			what(b, interpreter)
			synctest.Wait()
			b.together(b.caller, agent)
			b.over(interpreter)
			time.Sleep(time.Minute)
			synctest.Wait()
			b.together(b.caller, agent)
			agent.ends(CauseNormal)
			b.told(b.wants(EndAgentHungUp), WhatTransferFailed, "tongues (interpreter): "+words)
		})
	}
	during("hangs up", func(_ *bench, l *fakeLeg) { l.ends(CauseNormal) }, "left during the notice: normal")
	during("it never ends", func(_ *bench, l *fakeLeg) {
		l.set(func() { l.played = append(l.played, Prompt{Name: "stuck"}) })
		time.Sleep(noticeLength + noticeSlack)
	}, "did not hear the notice")
	during("cancelled", func(b *bench, _ *fakeLeg) {
		if err := b.board.CancelTransfer(b.Context(), "demo", "cl_1", "ana", "agent:ana"); err != nil {
			b.Error(err)
		}
	}, "cancelled by agent:ana")
	during("an emergency", func(b *bench, _ *fakeLeg) {
		b.transfers("911")
		if err := b.board.CancelTransfer(b.Context(), "demo", "cl_1", "ana", "agent:ana"); err != nil {
			b.Error(err)
		}
	}, "gave way to an emergency")
	story(t, "the notice cannot be played", func(b *bench) {
		agent := b.talks()
		b.transfers("tongues")
		deaf := &fakeLeg{id: "partner-1", noSound: "notice"}
		b.phones.reached("partner-1", deaf, nil)
		b.together(b.caller, agent)
		b.over(deaf)
		b.caller.ends(CauseNormal)
		b.told(b.wants(EndCallerHungUp), WhatTransferFailed, "could not be told that the call is recorded")
	})
	story(t, "the caller hangs up during the notice", func(b *bench) {
		b.talks()
		b.transfers("tongues")
		interpreter := b.reached(1)
		b.caller.ends(CauseNormal)
		b.wants(EndCallerHungUp)
		b.over(interpreter)
	})
}

// TestNoConference: where three cannot be connected, the caller hears who has come for them.
func TestNoConference(t *testing.T) {
	story(t, "911", func(b *bench) {
		b.caller.noMixer = errTest
		agent := b.talks()
		b.transfers("911")
		psap := b.reached(1)
		b.together(b.caller, psap)
		if b.faults.errors.Load() != 1 || agent.hears() != nil {
			b.Errorf("%d errors logged, agent hears %v", b.faults.errors.Load(), agent.hears())
		}
		agent.ends(CauseNormal)
		b.together(b.caller, psap)
		psap.ends(CauseNormal)
		b.wants(EndTransferred)
	})
}

// TestLegGone: a leg that is gone before we know it is nobody's fault.
func TestLegGone(t *testing.T) {
	story(t, "911", func(b *bench) {
		b.caller.noMixer = fmt.Errorf("confer: %w", ErrLegGone)
		b.talks()
		b.transfers("911")
		psap := b.reached(1)
		psap.ends(CauseNormal)
		synctest.Wait()
		b.caller.ends(CauseNormal)
		if b.wants(EndCallerHungUp); b.faults.errors.Load() != 0 {
			b.Errorf("%d errors logged", b.faults.errors.Load())
		}
	})
}

// TestHoldOfMany: who holds is out of it, and the others go on.
func TestHoldOfMany(t *testing.T) {
	story(t, "one, two, none", func(b *bench) {
		agent := b.talks()
		b.transfers("911")
		psap := b.reached(1)
		agent.says(LegHeld{agent.id, true})
		b.together(b.caller, psap)
		if agent.hears() != nil || agent.playing().Name != "" {
			b.Errorf("agent hears %v, plays %v", agent.hears(), agent.playing())
		}
		psap.says(LegHeld{psap.id, true})
		synctest.Wait()
		if b.caller.hears() != nil || b.caller.playing().Name != promptHold {
			b.Errorf("caller hears %v, plays %v", b.caller.hears(), b.caller.playing())
		}
		agent.says(LegHeld{agent.id, false})
		b.together(b.caller, agent)
		psap.says(LegHeld{psap.id, false})
		b.together(b.caller, agent, psap)
		psap.says(LegHeld{psap.id, true})
		psap.ends(CauseNormal)
		b.together(b.caller, agent)
		b.caller.ends(CauseNormal)
		b.wants(EndCallerHungUp)
	})
	story(t, "a partner holds after the agent has left", func(b *bench) {
		b.talks()
		b.transfers("parks")
		partner := b.reached(1)
		partner.says(LegHeld{partner.id, true})
		synctest.Wait()
		if b.caller.playing().Name != promptHold {
			b.Errorf("caller hears %v", b.caller.playing())
		}
		time.Sleep(time.Minute)
		partner.says(LegHeld{partner.id, false})
		b.together(b.caller, partner)
		b.caller.ends(CauseNormal)
		if rec := b.wants(EndTransferred); rec.Holding != 0 {
			b.Errorf("held %v of a conversation with us", rec.Holding)
		}
	})
}

// TestRedial: a caller whom we cut off keeps the place, and the record says whose call it goes on from.
func TestRedial(t *testing.T) {
	for name, tc := range map[string]struct {
		class func(now time.Time) CallerClass
		keeps time.Duration
	}{
		"cut off":               {func(now time.Time) CallerClass { return CallerClass{Redial: "cl_0", Since: now.Add(-time.Minute)} }, time.Minute},
		"from a clock ahead":    {func(now time.Time) CallerClass { return CallerClass{Redial: "cl_0", Since: now.Add(time.Minute)} }, 0},
		"not known how long":    {func(time.Time) CallerClass { return CallerClass{Redial: "cl_0"} }, 0},
		"a time without a call": {func(now time.Time) CallerClass { return CallerClass{Since: now.Add(-time.Minute)} }, 0},
		"on the screening list": {func(time.Time) CallerClass { return CallerClass{Screened: true, Area: "212555"} }, 0},
	} {
		story(t, name, func(b *bench) {
			now := time.Now()
			b.class = tc.class(now)
			b.inLine()
			if got := now.Sub(b.queues.places[0].Since); got != tc.keeps {
				b.Errorf("waits since %v before the call, want %v", got, tc.keeps)
			}
			b.caller.ends(CauseNormal)
			rec := b.wants(EndAbandoned)
			if rec.Redial != b.class.Redial || rec.Attest != AttestFull || rec.Direction != DirectionIn || !rec.ArrivedAt.Equal(now) {
				b.Errorf("record %+v", rec)
			}
			if tc.keeps > 0 {
				b.told(rec, WhatRedial, "cl_0")
			}
			if text := fmt.Sprintf("%+v", rec); strings.Contains(text, "212555") || strings.Contains(text, "creen") {
				b.Errorf("the record tells the caller's class: %s", text)
			}
		})
	}
}
