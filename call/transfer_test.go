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
