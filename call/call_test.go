package call

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// story runs one call in a bubble of fake time.
func story(t *testing.T, name string, tell func(b *bench)) {
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) { tell(newBench(t)) })
	})
}

// inLine brings the caller past the notice into the queue.
func (b *bench) inLine() {
	b.arrives()
	time.Sleep(4 * time.Second)
	synctest.Wait()
	if len(b.queues.places) != 1 {
		b.Fatalf("call is in line %d times after the notice", len(b.queues.places))
	}
}

// talks brings the caller to an agent.
func (b *bench) talks() *fakeLeg {
	b.inLine()
	return b.answers("ana", 1)
}

func (b *bench) answers(agent AgentID, n int) *fakeLeg {
	b.queues.offer(agent)
	synctest.Wait()
	leg := &fakeLeg{id: LegID(fmt.Sprintf("agent-%d", n))}
	b.phones.end(agent, leg, nil)
	synctest.Wait()
	if b.caller.hears() != Leg(leg) {
		b.Fatalf("caller hears %v, want agent %s", b.caller.hears(), agent)
	}
	return leg
}

// TestEnds has one story for each way that a call can end on this node.
func TestEnds(t *testing.T) {
	story(t, "the caller hangs up after talking", func(b *bench) {
		agent := b.talks()
		time.Sleep(time.Minute)
		b.caller.ends(CauseNormal)
		rec := b.wants(EndCallerHungUp)
		b.settled(OfferAccepted, OfferCompleted)
		if rec.Agent != "ana" || rec.Talking != time.Minute || rec.Waiting != 4*time.Second || rec.EndedBy != callerLeg {
			b.Errorf("record: agent %s, talked %v, waited %v, ended by %s", rec.Agent, rec.Talking, rec.Waiting, rec.EndedBy)
		}
		if !slices.Equal(agent.hungUp, []Cause{CauseNormal}) {
			b.Errorf("agent's leg hung up: %v", agent.hungUp)
		}
		if rec.Recording.ID != "rec_1" || rec.Recording.Notice.HeardAt.IsZero() || b.recorder.last.closed != 1 {
			b.Errorf("recording: %+v, closed %d times", rec.Recording, b.recorder.last.closed)
		}
		if open := b.records.open; len(open) != 2 || open[1].Agent != "ana" || open[1].ConnectedAt.IsZero() {
			b.Errorf("open entries: %+v", open)
		}
		if rec.Quality["agent-1"].Received != 7 || rec.Quality[callerLeg].Received != 7 {
			b.Errorf("quality: %v", rec.Quality)
		}
	})
	story(t, "the agent hangs up", func(b *bench) {
		agent := b.talks()
		agent.ends(CauseNormal)
		if rec := b.wants(EndAgentHungUp); rec.EndedBy != "agent-1" {
			b.Errorf("ended by %q", rec.EndedBy)
		}
		b.settled(OfferAccepted, OfferCompleted)
	})
	story(t, "the caller leaves the line", func(b *bench) {
		b.inLine()
		b.caller.ends(CauseNormal)
		if rec := b.wants(EndAbandoned); rec.Recording.State != RecordingNone || len(b.recorder.started) != 0 {
			b.Errorf("recorded a caller who spoke with nobody: %+v", rec.Recording)
		}
	})
	story(t, "the caller leaves during the notice", func(b *bench) {
		b.arrives()
		time.Sleep(time.Second)
		b.caller.ends(CauseNormal)
		b.wants(EndAbandoned)
	})
	story(t, "the caller gives up before we answer", func(b *bench) {
		b.caller.answerErr = fmt.Errorf("answer: %w", ErrLegGone)
		b.arrives()
		b.wants(EndCancelled)
		if len(b.records.open) != 0 {
			b.Error("an open entry was written for a call that was never answered")
		}
	})
	story(t, "the queue is full", func(b *bench) {
		b.queues.admitErr = ErrQueueFull
		b.arrives()
		b.wants(EndQueueFull)
		if !slices.Equal(b.caller.refused, []Cause{CauseBusy}) {
			b.Errorf("refused with %v", b.caller.refused)
		}
	})
	story(t, "the queue fills up during the notice", func(b *bench) {
		b.queues.enqueueErr = ErrQueueFull
		b.arrives()
		b.wants(EndQueueFull)
	})
	story(t, "the queue is not there", func(b *bench) {
		b.queues.admitErr = ErrUnknownQueue
		b.arrives()
		b.wants(EndFailed)
	})
	story(t, "there is no codec in common", func(b *bench) {
		b.caller.answerErr = ErrNoMedia
		b.arrives()
		b.wants(EndNoMedia)
		if !slices.Equal(b.caller.refused, []Cause{CauseNoMedia}) {
			b.Errorf("refused with %v", b.caller.refused)
		}
	})
	story(t, "there is no port free", func(b *bench) {
		b.caller.answerErr = fmt.Errorf("answer: %w", ErrUnavailable)
		b.arrives()
		b.wants(EndOverloaded)
		if !slices.Equal(b.caller.refused, []Cause{CauseUnavailable}) {
			b.Errorf("refused with %v", b.caller.refused)
		}
	})
	story(t, "our offer in the answer is never acknowledged", func(b *bench) {
		b.caller.answerErr = ErrLegGone
		b.caller.lost = CauseNoAck
		b.arrives()
		b.wants(EndNoAck)
	})
	story(t, "our answer is never acknowledged", func(b *bench) {
		b.arrives()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		b.caller.ends(CauseNoAck)
		b.wants(EndNoAck)
	})
	story(t, "the caller's sound goes silent", func(b *bench) {
		b.talks()
		b.caller.ends(CauseSilent)
		b.wants(EndCallerLost)
		b.settled(OfferAccepted, OfferCompleted)
	})
	story(t, "the notice never ends", func(b *bench) {
		b.arrives()
		b.caller.set(func() { b.caller.played = append(b.caller.played, Prompt{Name: "stuck"}) })
		synctest.Wait()
		b.caller.set(func() { b.caller.played = append(b.caller.played, Prompt{Name: "stuck"}) })
		b.wants(EndCallerLost)
	})
	story(t, "nobody comes for as long as the queue allows", func(b *bench) {
		b.terms.MaxWait = 30 * time.Minute
		b.arrives()
		if rec := b.wants(EndMaxWait); rec.Waiting != 30*time.Minute {
			b.Errorf("waited %v", rec.Waiting)
		}
	})
	story(t, "the call is as long as the city allows", func(b *bench) {
		b.terms.MaxLength = time.Hour
		b.talks()
		if rec := b.wants(EndMaxLength); rec.EndedAt.Sub(rec.ArrivedAt) != time.Hour {
			b.Errorf("lasted %v", rec.EndedAt.Sub(rec.ArrivedAt))
		}
	})
	story(t, "the call is as long as the city allows, and nobody has answered", func(b *bench) {
		b.terms.MaxLength = time.Hour
		b.inLine()
		if rec := b.wants(EndMaxLength); rec.EndedAt.Sub(rec.ArrivedAt) != time.Hour {
			b.Errorf("lasted %v", rec.EndedAt.Sub(rec.ArrivedAt))
		}
	})
	for _, at := range []string{"notice", "line", "ringing", "talk"} {
		story(t, "the node stops: "+at, func(b *bench) {
			switch at {
			case "notice":
				b.arrives()
				time.Sleep(time.Second)
			case "line":
				b.inLine()
			case "ringing":
				b.inLine()
				b.queues.offer("ana")
			case "talk":
				b.talks()
			}
			synctest.Wait()
			b.stop()
			b.wants(EndShutdown)
		})
	}
	story(t, "something of ours breaks", func(b *bench) {
		b.inLine()
		b.caller.says(Rang{}) // nothing rings: harmless
		b.board.Phones = nil  // breaks as soon as an agent is to be rung
		b.queues.offer("ana")
		b.wants(EndFailed)
	})
}

// TestPutBack has the ways for an offer to fail; the caller keeps the place in each and is served by the next agent.
func TestPutBack(t *testing.T) {
	for name, tc := range map[string]struct {
		err  error
		want OfferOutcome
	}{
		"nobody answers":            {ErrNoAnswer, OfferTimeout},
		"the agent declines":        {ErrRejected, OfferRejected},
		"the phone is not reached":  {ErrUnreachable, OfferRescinded},
		"the phone answers in Opus": {ErrNoMedia, OfferRescinded},
		"we have no port":           {ErrUnavailable, OfferCanceled}, // no miss of hers
		"she is another's by now":   {ErrStale, OfferRescinded},
	} {
		story(t, name, func(b *bench) {
			b.inLine()
			b.queues.offer("ana")
			synctest.Wait()
			b.phones.end("ana", nil, tc.err)
			time.Sleep(3 * time.Second)
			synctest.Wait()
			b.answers("ben", 2)
			b.caller.ends(CauseNormal)
			rec := b.wants(EndCallerHungUp)
			b.settled(tc.want, OfferAccepted, OfferCompleted)
			if rec.Offers != 2 || rec.Agent != "ben" || len(b.queues.places) != 1 {
				b.Errorf("%d offers, agent %s, %d places taken", rec.Offers, rec.Agent, len(b.queues.places))
			}
		})
	}
	story(t, "the offer is taken back while it rings, and the phone answers all the same", func(b *bench) {
		late := &fakeLeg{id: "agent-1"}
		b.phones.crossing = late
		b.inLine()
		o := b.queues.offer("ana")
		synctest.Wait()
		b.caller.says(Rescinded{o})
		synctest.Wait()
		if b.caller.hears() != nil || !slices.Equal(late.hungUp, []Cause{CauseNormal}) {
			b.Errorf("late leg: joined %v, hung up %v", b.caller.hears(), late.hungUp)
		}
		b.answers("ben", 2)
		b.caller.ends(CauseNormal)
		rec := b.wants(EndCallerHungUp)
		b.settled(OfferAccepted, OfferCompleted)
		if rec.Offers != 2 {
			b.Errorf("%d offers", rec.Offers)
		}
	})
	story(t, "the claim lapses while it rings", func(b *bench) {
		b.queues.stale[OfferAccepted] = true
		b.inLine()
		b.queues.offer("ana")
		synctest.Wait()
		leg := &fakeLeg{id: "agent-1"}
		b.phones.end("ana", leg, nil)
		synctest.Wait()
		if len(leg.hungUp) != 1 || b.caller.hears() != nil {
			b.Errorf("a stale claim was used: hung up %v, joined %v", leg.hungUp, b.caller.hears())
		}
		b.queues.stale[OfferAccepted] = false
		b.answers("ben", 2)
		b.caller.ends(CauseNormal)
		b.wants(EndCallerHungUp)
	})
	story(t, "the agent's phone dies during the talk", func(b *bench) {
		agent := b.talks()
		agent.ends(CauseSilent)
		synctest.Wait()
		if got := b.caller.playing(); got.Name != "resume" {
			b.Errorf("caller hears %q", got.Name)
		}
		if len(b.queues.places) != 2 || b.queues.places[0].Since != b.queues.places[1].Since {
			b.Errorf("place not kept: %v", b.queues.places)
		}
		b.answers("ben", 2)
		b.caller.ends(CauseNormal)
		rec := b.wants(EndCallerHungUp)
		b.settled(OfferAccepted, OfferCompleted, OfferAccepted, OfferCompleted)
		if len(b.recorder.started) != 1 || rec.Agent != "ben" {
			b.Errorf("%d recordings, agent %s", len(b.recorder.started), rec.Agent)
		}
	})
	story(t, "the agent's phone dies after a talk that was longer than the longest wait", func(b *bench) {
		b.terms.MaxWait = 10 * time.Minute
		agent := b.talks()
		time.Sleep(time.Hour)
		agent.ends(CauseUnreachable)
		time.Sleep(9 * time.Minute)
		synctest.Wait()
		b.answers("ben", 2)
		b.caller.ends(CauseNormal)
		b.wants(EndCallerHungUp)
	})
	story(t, "the caller gives up after the agent was lost", func(b *bench) {
		b.talks().ends(CauseUnreachable)
		synctest.Wait()
		b.caller.ends(CauseNormal)
		b.wants(EndAbandoned)
	})
}

// TestCallerLeavesWhileRinging: the offer goes back and an answer that comes too late is hung up.
func TestCallerLeavesWhileRinging(t *testing.T) {
	story(t, "late answer", func(b *bench) {
		b.inLine()
		b.queues.offer("ana")
		synctest.Wait()
		late := &fakeLeg{id: "agent-1"}
		b.caller.ends(CauseNormal)
		b.phones.end("ana", late, nil)
		b.wants(EndAbandoned)
		b.settled(OfferCanceled)
		synctest.Wait()
		if len(late.hungUp) != 1 {
			b.Errorf("late leg hung up %d times", len(late.hungUp))
		}
	})
}

// TestHold has music for the one who waits, a gap in the recording and a count in the record.
func TestHold(t *testing.T) {
	story(t, "agent, then caller too, then neither", func(b *bench) {
		agent := b.talks()
		hold := func(l *fakeLeg, held bool) {
			l.says(LegHeld{l.id, held})
			l.says(LegHeld{l.id, held}) // a session refresh says it again
			time.Sleep(10 * time.Second)
			synctest.Wait()
		}
		hold(agent, true)
		if b.caller.hears() != nil || b.caller.playing().Name != "hold" || b.recorder.last.paused != 1 {
			b.Errorf("on hold: joined %v, plays %v, paused %d", b.caller.hears(), b.caller.playing(), b.recorder.last.paused)
		}
		hold(b.caller, true)
		hold(agent, false)
		if b.caller.hears() != nil || agent.playing().Name != "hold" || b.caller.playing().Name != "" {
			b.Errorf("caller holds: agent hears %v, caller hears %v", agent.playing(), b.caller.playing())
		}
		hold(b.caller, false)
		if b.caller.hears() != Leg(agent) || b.recorder.last.paused != 0 {
			b.Errorf("resumed: joined %v, paused %d", b.caller.hears(), b.recorder.last.paused)
		}
		b.caller.ends(CauseNormal)
		if rec := b.wants(EndCallerHungUp); rec.Holding != 30*time.Second || rec.Talking != 40*time.Second {
			b.Errorf("held %v of %v", rec.Holding, rec.Talking)
		}
	})
	story(t, "the caller holds while still in line", func(b *bench) {
		b.inLine()
		b.caller.says(LegHeld{callerLeg, true})
		b.queues.offer("ana")
		synctest.Wait()
		agent := &fakeLeg{id: "agent-1"}
		b.phones.end("ana", agent, nil)
		synctest.Wait()
		if b.caller.hears() != nil || agent.playing().Name != "hold" || b.recorder.last.paused != 1 {
			b.Errorf("agent hears %v, joined %v, paused %d", agent.playing(), b.caller.hears(), b.recorder.last.paused)
		}
		time.Sleep(10 * time.Second)
		b.caller.says(LegHeld{callerLeg, false})
		synctest.Wait()
		if b.caller.hears() != Leg(agent) || b.recorder.last.paused != 0 {
			b.Errorf("resumed: joined %v, paused %d", b.caller.hears(), b.recorder.last.paused)
		}
		b.caller.ends(CauseNormal)
		if rec := b.wants(EndCallerHungUp); rec.Holding != 10*time.Second {
			b.Errorf("held %v", rec.Holding)
		}
	})
	story(t, "hung up on hold", func(b *bench) {
		agent := b.talks()
		agent.says(LegHeld{agent.id, true})
		synctest.Wait()
		time.Sleep(5 * time.Second)
		b.caller.ends(CauseNormal)
		if rec := b.wants(EndCallerHungUp); rec.Holding != 5*time.Second {
			b.Errorf("held %v", rec.Holding)
		}
	})
}

// TestRecording: nothing is kept before the notice was heard, and a recorder that fails ends no call.
func TestRecording(t *testing.T) {
	story(t, "opens late", func(b *bench) {
		b.recorder.slow = time.Second
		agent := b.talks()
		if agent.tapped() != nil {
			b.Error("tapped before the recording was open")
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if agent.tapped() == nil || agent.tapped().(*fakeTap).side != "agent" || b.caller.tapped().(*fakeTap).side != "caller" {
			b.Errorf("taps: caller %v, agent %v", b.caller.tapped(), agent.tapped())
		}
		b.caller.ends(CauseNormal)
		b.wants(EndCallerHungUp)
	})
	story(t, "opens after the call is over", func(b *bench) {
		b.recorder.slow = 5 * time.Second
		b.talks()
		b.caller.ends(CauseNormal)
		b.wants(EndCallerHungUp)
		if b.recorder.last.closed != 1 {
			b.Errorf("late recording closed %d times", b.recorder.last.closed)
		}
	})
	story(t, "cannot be opened", func(b *bench) {
		b.recorder.err = errTest
		b.talks()
		b.caller.ends(CauseNormal)
		if rec := b.wants(EndCallerHungUp); rec.Recording.State != RecordingFailed {
			b.Errorf("record says %+v", rec.Recording)
		}
	})
	story(t, "has no notice", func(b *bench) {
		b.board.Prompts = fakePrompts{errTest}
		b.arrives()
		synctest.Wait()
		b.answers("ana", 1)
		b.caller.ends(CauseNormal)
		if b.wants(EndCallerHungUp); len(b.recorder.started) != 0 {
			b.Error("recorded without a notice")
		}
	})
	story(t, "is not wanted", func(b *bench) {
		b.terms.Record = false
		b.arrives()
		synctest.Wait()
		b.answers("ana", 1)
		b.caller.ends(CauseNormal)
		if b.wants(EndCallerHungUp); len(b.recorder.started) != 0 || slices.ContainsFunc(b.caller.played, func(p Prompt) bool { return p.Name == "notice" }) {
			b.Error("recorded, or said so, against the city's wish")
		}
	})
}

// TestLongNotice: a notice in three languages is heard to its end.
func TestLongNotice(t *testing.T) {
	story(t, "forty seconds", func(b *bench) {
		b.board.Prompts = longNotice{}
		b.caller.promptLasts = 40 * time.Second
		b.arrives()
		time.Sleep(41 * time.Second)
		synctest.Wait()
		b.answers("ana", 1)
		b.caller.ends(CauseNormal)
		b.wants(EndCallerHungUp)
	})
}

// TestBreaking: a call that breaks says so to whoever runs it, also where giving back breaks, and leaves a record.
func TestBreaking(t *testing.T) {
	story(t, "in a phase", func(b *bench) {
		b.board.Queues = nil
		b.arrives()
		b.wants(EndFailed)
	})
	story(t, "while giving back", func(b *bench) {
		b.caller.breaks = true
		b.arrives()
		time.Sleep(time.Second)
		synctest.Wait()
		func() {
			defer func() { recover() }()
			b.caller.ends(CauseNormal)
		}()
		<-b.ended
		if len(b.records.closed) != 1 || b.records.closed[0].End != EndAbandoned {
			b.Errorf("records: %+v", b.records.closed)
		}
	})
}

// TestNews: the caller is told the place, that the line is recorded and who answered.
func TestNews(t *testing.T) {
	story(t, "place", func(b *bench) {
		b.inLine()
		b.caller.says(Placed{"general", 3})
		synctest.Wait()
		b.answers("ana", 1)
		b.caller.ends(CauseNormal)
		b.wants(EndCallerHungUp)
		want := []News{{Call: "cl_1"}, {Queue: "general", Place: 3}, {Agent: "ana"}, {Recorded: true}}
		if !slices.Equal(b.caller.told, want) {
			b.Errorf("told %v, want %v", b.caller.told, want)
		}
	})
}

// TestInboxLetsGo: whoever waits to put an event is released when the call is over.
func TestInboxLetsGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := NewInbox()
		for in.TryPut(Digit{Key: '1'}) {
		}
		put := make(chan bool)
		go func() { put <- in.Put(LegEnded{}) }()
		synctest.Wait()
		in.Close()
		in.Close()
		if <-put || in.Put(Digit{}) || in.TryPut(Digit{}) {
			t.Error("an event was taken after the call was over")
		}
	})
}

func TestIDs(t *testing.T) {
	id := string(NewID())
	if !ValidID("cl", id) || ValidID("rec", id) || !strings.HasPrefix(id, "cl_") || len(id) != 29 {
		t.Errorf("id %q", id)
	}
	for _, bad := range []string{"", "cl_", "cl_" + strings.Repeat("A", 26), "cl_" + strings.Repeat("1", 26), "cl_../../x"} {
		if ValidID("cl", bad) {
			t.Errorf("%q taken for an id", bad)
		}
	}
	if again := string(NewID()); again == id {
		t.Error("two ids are alike")
	}
}

func TestSwitchboardContext(t *testing.T) {
	story(t, "a context that has ended is a shutdown", func(b *bench) {
		ctx, cancel := context.WithCancel(b.Context())
		cancel()
		end := b.board.Take(ctx, Arrival{ID: "cl_1", Leg: b.caller, At: time.Now()})
		if end != EndShutdown {
			b.Errorf("ended as %q", end)
		}
	})
}
