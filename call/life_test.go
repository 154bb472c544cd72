package call

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

// act is one thing that happens to a call in a life made up by chance.
type act struct {
	kind, arg int
	settle    bool // wait until the call has acted on it; otherwise the next may race with it
}

// TestLives drives calls, the caller's and ours, through whatever may happen in any order, races included. Whatever it
// was: the call ends, leaves one record, and gives back every leg, claim and recording that it was given.
func TestLives(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		back, talks := rapid.Bool().Draw(r, "call back"), rapid.Bool().Draw(r, "begins with a talk")
		var acts []act
		for range rapid.IntRange(1, 40).Draw(r, "acts") {
			acts = append(acts, act{rapid.SampledFrom(kinds).Draw(r, "kind"), rapid.IntRange(0, 999).Draw(r, "arg"), rapid.Bool().Draw(r, "settle")})
		}
		var faults []string
		synctest.Test(t, func(t *testing.T) {
			l := &life{bench: newBench(t)}
			l.begin(back)
			if talks {
				l.talk()
			}
			for _, a := range acts {
				l.happens(a)
				if a.settle {
					synctest.Wait()
				}
			}
			l.end()
			faults = l.wrong
		})
		if len(faults) > 0 {
			r.Fatalf("%q", faults)
		}
	})
}

// kinds are the acts by how often they are drawn.
var kinds = []int{toTransfer, toReach, toReach, toTransfer, toLeave, toHold, toReach, toPass, toOffer, toAnswer, toCancel,
	toFail, toOffer, toAnswer, toDecline}

// What may happen.
const (
	toOffer = iota
	toAnswer
	toDecline
	toTransfer
	toReach
	toFail
	toCancel
	toLeave
	toHold
	toPass
)

// talk lets an agent and the caller come together, whoever called whom.
func (l *life) talk() {
	for _, kind := range []int{toOffer, toAnswer, toReach} {
		l.happens(act{kind: kind})
		synctest.Wait()
	}
	time.Sleep(noticeLength + time.Second)
	synctest.Wait()
}

// life is a call made up by chance.
type life struct {
	*bench
	id     ID
	offers int
	ran    chan struct{} // closed when Run has returned
	taken  chan struct{} // and Take
	wrong  []string
}

func (l *life) begin(back bool) {
	l.phones.cross = func(id LegID) Leg { return &fakeLeg{id: id} }
	l.recorder.slow = time.Second
	ctx, cancel := context.WithCancel(l.Context())
	l.stop, l.ran, l.taken = cancel, make(chan struct{}), make(chan struct{})
	go func() {
		defer close(l.ran)
		l.board.Run(ctx)
	}()
	synctest.Wait()
	l.id = "cl_1"
	if !back {
		go func() {
			defer close(l.taken)
			l.board.Take(ctx, Arrival{ID: l.id, City: "demo", Queue: "general", At: time.Now(), Leg: l.caller})
		}()
		time.Sleep(noticeLength)
	} else {
		close(l.taken)
		l.id, _ = l.board.CallBack(ctx, CallBackOrder{City: "demo", Of: "cl_0", Handle: "hdl_1", Agent: "ana"})
	}
	synctest.Wait()
}

// happens lets one thing happen, if it can.
func (l *life) happens(a act) {
	agents, outside := l.phones.open()
	causes := []Cause{CauseNormal, CauseSilent, CauseUnreachable}
	errs := []error{ErrNoAnswer, ErrRejected, ErrUnreachable, ErrUnavailable, errTest}
	switch a.kind {
	case toOffer:
		if l.waits() {
			l.queues.offer([]AgentID{"ana", "ben"}[a.arg%2])
			l.offers++
		}
	case toAnswer:
		for _, agent := range agents {
			l.phones.end(agent, &fakeLeg{id: LegID(fmt.Sprintf("agent-%d", l.rung()))}, nil)
		}
	case toDecline:
		for _, agent := range agents {
			l.phones.end(agent, nil, errs[a.arg%len(errs)])
		}
	case toTransfer:
		partner := []PartnerID{"parks", "911", "tongues", "power"}[a.arg%4]
		go l.board.Transfer(l.Context(), TransferOrder{City: "demo", Call: l.id, Agent: []AgentID{"ana", "ben"}[a.arg/4%2], Partner: partner})
	case toReach:
		for _, leg := range outside {
			l.phones.reached(leg, &fakeLeg{id: leg}, nil)
		}
	case toFail:
		for _, leg := range outside {
			l.phones.reached(leg, nil, errs[a.arg%len(errs)])
		}
	case toCancel:
		go l.board.CancelTransfer(l.Context(), "demo", l.id, []AgentID{"ana", "ben"}[a.arg%2], "chance")
	case toLeave:
		if leg := l.some(a.arg); leg != nil {
			leg.ends(causes[a.arg%len(causes)])
		}
	case toHold:
		if leg := l.some(a.arg); leg != nil {
			leg.says(LegHeld{leg.id, a.arg%2 == 0})
		}
	case toPass:
		time.Sleep(time.Duration(a.arg) * 20 * time.Millisecond)
	}
}

// waits tells whether the call stands in line, so that routing may offer it.
func (l *life) waits() bool {
	synctest.Wait()
	agents, _ := l.phones.open()
	l.queues.mu.Lock()
	defer l.queues.mu.Unlock()
	return len(agents) == 0 && l.queues.in != nil && l.queues.place.Err() == nil
}

// rung is how many agents were rung.
func (l *life) rung() int {
	rec, err := l.board.Look(l.Context(), "demo", l.id)
	if err != nil {
		return 0
	}
	return rec.Offers
}

// some is one of the legs that the call has, or had.
func (l *life) some(n int) *fakeLeg {
	l.phones.mu.Lock()
	defer l.phones.mu.Unlock()
	all := l.phones.answered
	if l.id == "cl_1" {
		all = append(slices.Clone(all), l.caller)
	}
	if len(all) == 0 {
		return nil
	}
	leg := all[n%len(all)]
	if leg.gone() > 0 || leg.unattached() {
		return nil
	}
	return leg
}

// end ends the call if it has not ended, and looks at what is left of it.
func (l *life) end() {
	synctest.Wait()
	l.stop()
	<-l.ran
	<-l.taken
	synctest.Wait()
	l.want(l.board.Active() == 0, "%d calls active", l.board.Active())
	l.want(len(l.records.closed) == 1, "%d records", len(l.records.closed))
	all := l.phones.answered
	if l.id == "cl_1" {
		all = append(all, l.caller)
	}
	for _, leg := range all {
		l.want(leg.gone() > 0 && leg.hears() == nil && leg.tapped() == nil && leg.misused == 0, "%s: hung up %d, hears %v, tapped %v, misused %d",
			leg.id, leg.gone(), leg.hears(), leg.tapped(), leg.misused)
	}
	count := map[OfferOutcome]int{}
	for _, o := range l.queues.settled {
		count[o]++
	}
	l.want(count[OfferAccepted] == count[OfferCompleted], "settled %v", l.queues.settled)
	l.want(len(l.queues.settled)-count[OfferCompleted] == l.offers, "%d offers, settled %v", l.offers, l.queues.settled)
	if rec := l.recorder.last; rec != nil {
		l.want(rec.closed == 1 && len(l.recorder.started) == 1, "%d recordings, closed %d times", len(l.recorder.started), rec.closed)
	}
	if len(l.records.closed) == 1 {
		l.plausible(l.records.closed[0])
	}
}

// plausible wants a record that does not contradict itself.
func (l *life) plausible(r Record) {
	l.want(slices.Contains(Ends(), r.End), "end %q", r.End)
	ended := 0
	for i, m := range r.Timeline {
		l.want(i == 0 || !m.At.Before(r.Timeline[i-1].At), "timeline goes back at %d: %+v", i, r.Timeline)
		if m.What == WhatEnded {
			ended++
		}
	}
	l.want(ended == 1, "ended %d times: %+v", ended, r.Timeline)
	transferred := slices.ContainsFunc(r.Timeline, func(m Moment) bool { return m.What == WhatTransferred })
	l.want(transferred == !r.TransferredAt.IsZero() && transferred == (r.Partner != ""), "transferred %t: %+v", transferred, r)
	l.want(r.End != EndTransferred || transferred, "end %s without a transfer", r.End)
	l.want(r.Talking >= r.Holding && r.Talking <= r.EndedAt.Sub(r.ArrivedAt), "talked %v, held %v", r.Talking, r.Holding)
}

func (l *life) want(ok bool, format string, args ...any) {
	if !ok {
		l.wrong = append(l.wrong, fmt.Sprintf(format, args...))
	}
}
