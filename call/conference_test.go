package call

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

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
