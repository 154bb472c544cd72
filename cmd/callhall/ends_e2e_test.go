package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"callhall/call"
	"callhall/media"
	"callhall/sip/phone"
)

// house is the node of the ends: a city with a queue for each way in which waiting can end, and the parts of the
// switchboard that a story may hold up or break.
type house struct {
	*node
	queues   *heldQueues
	recorder *brokenRecorder
	beyond   *outside
}

// heldQueues are routing's queues, of which a story can hold or break the door.
type heldQueues struct {
	call.Queues
	door atomic.Pointer[func(ctx context.Context) error]
}

// Admit implements call.Queues.
func (q *heldQueues) Admit(ctx context.Context, city call.CityID, queue call.QueueID) error {
	if door := q.door.Load(); door != nil {
		if err := (*door)(ctx); err != nil {
			return err
		}
	}
	return q.Queues.Admit(ctx, city, queue)
}

// brokenRecorder is the recorder, which a story can make panic.
type brokenRecorder struct {
	call.Recorder
	breaks atomic.Bool
}

// Start implements call.Recorder.
func (r *brokenRecorder) Start(ctx context.Context, city call.CityID, id call.ID, n call.Notice) (call.Recording, error) {
	if r.breaks.Load() {
		panic("broken by the test")
	}
	return r.Recorder.Start(ctx, city, id, n)
}

// silence is how long nothing may be heard of a party in these stories. Phones speak all the time.
const silence = 3 * time.Second

func openHouse(t *testing.T) *house {
	t.Helper()
	dir := t.TempDir()
	cfg := testConfig(t, dir)
	cfg.SIP.Silence = silence
	aspen := &cfg.Cities[0]
	aspen.addQueue("tiny", "3112", func(q *QueueConfig) { q.MaxLength = 1 })
	aspen.Numbers = append(aspen.Numbers, NumberConfig{Number: "3116", Queue: "tiny", Language: "de"})
	aspen.addQueue("brief", "3113", func(q *QueueConfig) { q.MaxWait = time.Second })
	aspen.Numbers = append(aspen.Numbers, NumberConfig{Number: "3114", Queue: "general", Language: "fr"})
	aspen.addQueue("hasty", "3115", func(q *QueueConfig) { q.Ring = time.Second })
	for i := range aspen.Agents {
		aspen.Agents[i].Queues = append(aspen.Agents[i].Queues, "hasty")
	}
	beyond := openOutside(t, "127.0.0.5")
	aspen.reaches(beyond)
	birch := testCity(t, dir, "birch", "127.0.0.2/32")
	birch.MaxCall = 3 * time.Second
	cfg.Cities = append(cfg.Cities, birch)
	cfg.placeStores()

	n := openNode(t, cfg, nil)
	n.alone = true
	h := &house{node: n, queues: &heldQueues{Queues: n.routing}, recorder: &brokenRecorder{Recorder: n.recordings}, beyond: beyond}
	n.board.Queues, n.board.Recorder = h.queues, h.recorder
	n.run()
	return h
}

// ending is one way in which calls end.
type ending struct {
	name   string
	city   call.CityID // aspen where nothing is said
	ends   []call.End  // one record each, in the order of arrival
	faults bool        // the node may log errors of its own
	// lingers says that goroutines and files are counted after a later story: a refused INVITE is remembered for 5 s
	// (RFC 3261 §17.2.1, timer I), and these are not spent for each.
	lingers bool
	tell    func(s *stage, h *house)
	check   func(t *testing.T, r []call.Record)
}

// endings has every end that a node can write but those that need a node of their own: shutdown, no-ack (32 s, after
// RFC 3261 §13.3.1.4) and node-lost, which the node's next run writes.
var endings = []ending{
	{name: "cancelled", lingers: true, ends: ends(call.EndCancelled), tell: func(s *stage, h *house) {
		open := h.hold()
		defer open()
		caller := s.dial("311")
		await(caller, "ringing", anyEvent[phone.Ringing])
		caller.cancel()
		if e := caller.over(); e.Status != 487 {
			s.t.Errorf("ended %+v, want 487", e)
		}
	}},
	{name: "queue full at the door", lingers: true, ends: ends(call.EndAbandoned, call.EndQueueFull), tell: func(s *stage, _ *house) {
		first := s.dial("3112").queued()
		if e := s.dial("3112").over(); e.Status != 486 {
			s.t.Errorf("second caller: %+v, want 486", e)
		}
		first.hangUp()
	}},
	{name: "routing fails at the door", lingers: true, ends: ends(call.EndFailed), faults: true, tell: func(s *stage, h *house) {
		broken := func(context.Context) error { return errors.New("broken by the test") }
		h.queues.door.Store(&broken)
		defer h.queues.door.Store(nil)
		if e := s.dial("311").over(); e.Status != 500 {
			s.t.Errorf("ended %+v, want 500", e)
		}
	}},
	{name: "no codec in common", lingers: true, ends: ends(call.EndNoMedia), tell: func(s *stage, _ *house) {
		r := s.raw("strange")
		r.send("INVITE", 1, "", g722)
		m := r.receive(soon, "SIP/2.0 488")
		r.send("ACK", 1, m.toTag(), "")
	}},
	{name: "cancelled right behind the INVITE", tell: func(s *stage, _ *house) {
		for i := range 8 {
			r := s.raw(fmt.Sprintf("hasty-%d", i))
			r.send("INVITE", 1, "", pcmu)
			r.send("CANCEL", 1, "", "")
			m := r.receive(soon, "SIP/2.0 487")
			r.send("ACK", 1, m.toTag(), "")
		}
	}, check: func(t *testing.T, r []call.Record) { // a CANCEL that overtakes its INVITE leaves no call, and no record
		for _, one := range r {
			if one.End != call.EndCancelled {
				t.Errorf("end %s", one.End)
			}
		}
	}},
	{name: "caller hangs up", ends: ends(call.EndCallerHungUp), tell: func(s *stage, _ *house) {
		desk := s.agent("aspen-1", answers())
		caller := s.dial("311")
		if who := caller.served(); who != "aspen-1" {
			s.t.Errorf("served by %q", who)
		}
		agent := desk.ring()
		caller.hears(880)
		agent.hears(440)
		caller.hangUp()
		agent.over()
	}, check: func(t *testing.T, r []call.Record) {
		if r[0].Recording.State != call.RecordingKept || r[0].Recording.Length < 100*time.Millisecond || r[0].Recording.Length > r[0].Talking+time.Second || r[0].EndedBy != "caller" {
			t.Errorf("record %s", asJSON(r[0]))
		}
	}},
	{name: "late offer, caller hangs up", ends: ends(call.EndCallerHungUp), tell: func(s *stage, _ *house) {
		s.agent("aspen-1", answers())
		caller := s.dialFrom("127.0.0.1", "311", phone.Options{From: "+12125550142", LateOffer: true, Audio: phone.Audio{Tone: 440}})
		caller.served()
		caller.hears(880).hangUp()
	}},
	{name: "agent hangs up", ends: ends(call.EndAgentHungUp), tell: func(s *stage, _ *house) {
		desk := s.agent("aspen-1", answers())
		caller := s.dial("311")
		agent := desk.ring()
		caller.served()
		agent.hangUp()
		caller.over()
	}},
	{name: "abandoned during the notice", ends: ends(call.EndAbandoned), tell: func(s *stage, _ *house) {
		s.dial("3114").heard().hangUp()
	}, check: func(t *testing.T, r []call.Record) {
		if slices.ContainsFunc(r[0].Timeline, func(m call.Moment) bool { return m.What == call.WhatNotice || m.What == call.WhatQueued }) {
			t.Errorf("the notice was not heard to its end: %s", asJSON(r[0].Timeline))
		}
	}},
	{name: "abandoned in line", ends: ends(call.EndAbandoned), tell: func(s *stage, _ *house) {
		s.dial("311").queued().hangUp()
	}},
	{name: "abandoned while an agent rings", ends: ends(call.EndAbandoned), tell: func(s *stage, _ *house) {
		desk := s.agent("aspen-1", ignores())
		caller := s.dial("311")
		agent := desk.ring()
		caller.hangUp()
		agent.over()
	}},
	{name: "queue full after the notice", ends: ends(call.EndAbandoned, call.EndQueueFull), tell: func(s *stage, h *house) {
		open := h.hold()
		first := s.dial("3112")
		await(first, "ringing", anyEvent[phone.Ringing])
		second := s.dial("3116") // the same queue after a longer notice
		await(second, "ringing", anyEvent[phone.Ringing])
		open()
		first.queued()
		second.answered().over()
		first.hangUp()
	}},
	{name: "no codec in common in a late answer", ends: ends(call.EndNoMedia), tell: func(s *stage, _ *house) {
		r := s.raw("strange-late")
		r.send("INVITE", 1, "", "")
		m := r.receive(soon, "SIP/2.0 200")
		r.send("ACK", 1, m.toTag(), g722)
		r.agree(r.receive(soon, "BYE"))
	}},
	{name: "callers lost, one talking and one in line", ends: ends(call.EndCallerLost, call.EndCallerLost), tell: func(s *stage, _ *house) {
		desk := s.agent("aspen-1", answers())
		talking := s.dial("311")
		talking.served()
		agent := desk.ring()
		waiting := s.dial("3112").queued()
		for _, l := range []*line{talking, waiting} {
			must(s.t, l.engine.Close())
		}
		talking.over()
		waiting.over()
		agent.over()
	}},
	{name: "waits as long as the queue allows", ends: ends(call.EndMaxWait), tell: func(s *stage, _ *house) {
		s.dial("3113").queued().over()
	}},
	{name: "lasts as long as the city allows", city: "birch", ends: ends(call.EndMaxLength), tell: func(s *stage, _ *house) {
		desk := s.agent("birch-1", answers())
		caller := s.dialFrom("127.0.0.2", "311", phone.Options{Audio: phone.Audio{Tone: 440}})
		agent := desk.ring()
		caller.served()
		caller.over()
		agent.over()
	}},
	{name: "the recorder breaks", ends: ends(call.EndFailed), faults: true, tell: func(s *stage, h *house) {
		h.recorder.breaks.Store(true)
		defer h.recorder.breaks.Store(false)
		desk := s.agent("aspen-1", ignores())
		caller := s.dial("311").answered()
		caller.over()
		select {
		case c := <-desk.rings:
			<-c.Done()
		default: // it broke before the phone rang
		}
	}},
	{name: "an agent declines, another serves", ends: ends(call.EndCallerHungUp), tell: func(s *stage, _ *house) {
		first := s.agent("aspen-1", phone.Policy{Reject: 486})
		s.agent("aspen-2", answers())
		servedBySecond(s, first, "311")
	}, check: putBack("aspen-2", call.OfferRejected)},
	{name: "an agent does not answer, another serves", ends: ends(call.EndCallerHungUp), tell: func(s *stage, _ *house) {
		first := s.agent("aspen-1", ignores())
		s.agent("aspen-2", answers())
		servedBySecond(s, first, "3115")
	}, check: putBack("aspen-2", call.OfferTimeout)},
	{name: "an agent's phone is lost, another serves", ends: ends(call.EndCallerHungUp), tell: func(s *stage, _ *house) {
		desk := s.agent("aspen-1", answers())
		caller := s.dial("311")
		caller.served()
		must(s.t, desk.ring().engine.Close())
		s.agent("aspen-2", answers())
		if who := caller.served(); who != "aspen-2" {
			s.t.Errorf("served by %s", who)
		}
		caller.hears(880).hangUp()
	}, check: func(t *testing.T, r []call.Record) {
		if r[0].Agent != "aspen-2" || r[0].Offers != 2 || !slices.ContainsFunc(r[0].Timeline, func(m call.Moment) bool { return m.What == call.WhatPutBack }) {
			t.Errorf("record %s", asJSON(r[0]))
		}
	}},
	{name: "an agent with two phones answers one", ends: ends(call.EndCallerHungUp), tell: func(s *stage, _ *house) {
		left := s.agent("aspen-1", ignores())
		s.agent("aspen-1", phone.Policy{AutoAnswer: 300 * time.Millisecond})
		caller := s.dial("311")
		other := left.ring()
		caller.served()
		other.over()
		caller.hangUp()
	}, check: func(t *testing.T, r []call.Record) {
		if r[0].Offers != 1 {
			t.Errorf("%d offers", r[0].Offers)
		}
	}},
	{name: "hold and resume, by either side", ends: ends(call.EndCallerHungUp), tell: func(s *stage, _ *house) {
		desk := s.agent("aspen-1", answers())
		caller := s.dial("311")
		caller.served()
		agent := desk.ring()
		for _, side := range []struct{ holds, waits *line }{{caller, agent}, {agent, caller}} {
			caller.hears(880)
			agent.hears(440)
			must(s.t, side.holds.Hold(s.t.Context()))
			heard := side.waits.Frames()
			within(s.t, soon, func() error {
				if side.waits.Power(440)[0] > 0.5 || side.waits.Power(880)[0] > 0.5 || side.waits.Frames() < heard+25 {
					return errors.New("who is held hears no music")
				}
				return nil
			})
			must(s.t, side.holds.Resume(s.t.Context()))
		}
		caller.hears(880)
		agent.hears(440)
		caller.hangUp()
	}, check: func(t *testing.T, r []call.Record) {
		if got := timelineOf(r[0], call.WhatHeld, call.WhatResumed); !slices.Equal(got, []string{"held caller", "resumed caller", "held agent-1", "resumed agent-1"}) {
			t.Errorf("timeline has %q", got)
		}
		if r[0].Holding < 500*time.Millisecond || r[0].Holding >= r[0].Talking || r[0].Recording.State != call.RecordingKept {
			t.Errorf("record %s", asJSON(r[0]))
		}
	}},
	{name: "handed over to an agency, the caller hangs up", ends: ends(call.EndTransferred), tell: func(s *stage, h *house) {
		there := s.answering(h.beyond, answers())
		desk := s.agent("aspen-1", answers())
		caller := s.dial("311")
		caller.served()
		agent := desk.ring()
		agent.hears(440)
		must(s.t, h.board.Transfer(h.ctx(), call.TransferOrder{City: "aspen", Call: caller.id, By: "agent:aspen-1", Agent: "aspen-1", Partner: "parks"}))
		partner := there.ring()
		agent.over()
		caller.hears(660)
		partner.hears(440)
		caller.hangUp()
		partner.over()
	}, check: func(t *testing.T, r []call.Record) {
		if r[0].Partner != "parks" || r[0].TransferredAt.IsZero() || r[0].EndedBy != "caller" || r[0].Recording.State != call.RecordingKept {
			t.Errorf("record %s", asJSON(r[0]))
		}
	}},
	{name: "handed over to an agency that does not answer", ends: ends(call.EndCallerHungUp), tell: func(s *stage, h *house) {
		desk := s.agent("aspen-1", answers())
		caller := s.dial("311")
		caller.served()
		agent := desk.ring()
		must(s.t, h.board.Transfer(h.ctx(), call.TransferOrder{City: "aspen", Call: caller.id, By: "agent:aspen-1", Agent: "aspen-1", Partner: "parks"}))
		within(s.t, soon, func() error {
			r, err := h.board.Look(h.ctx(), "aspen", caller.id)
			if err == nil && len(timelineOf(r, call.WhatTransferFailed)) == 0 {
				err = errors.New("the transfer has not failed")
			}
			return err
		})
		caller.hears(880)
		agent.hears(440)
		caller.hangUp()
	}},
	{name: "called back, and the agent declines", ends: ends(call.EndCallerLost, call.EndNoCallbackAgent), tell: func(s *stage, h *house) {
		before := len(h.records("aspen"))
		of := s.cutOffCall(false)
		s.clear()
		s.agent("aspen-1", phone.Policy{Reject: 486})
		s.callBack(of, "aspen-1")
		h.recordsAfter("aspen", before, 2)
	}, check: calledBack},
	{name: "called back, and the caller does not answer", ends: ends(call.EndCallerLost, call.EndNoCallbackAnswer), tell: func(s *stage, h *house) {
		before := len(h.records("aspen"))
		of := s.cutOffCall(false)
		s.clear()
		desk := s.agent("aspen-1", answers())
		s.callBack(of, "aspen-1")
		agent := desk.ring()
		h.recordsAfter("aspen", before, 2)
		agent.over()
	}, check: calledBack},
}

// calledBack wants the second of two records to be of the call back because of the first.
func calledBack(t *testing.T, r []call.Record) {
	if r[1].Of != r[0].ID || r[1].Direction != call.DirectionOut || r[1].AnsweredAt != (time.Time{}) || r[1].Recording.State != call.RecordingNone {
		t.Errorf("records %s", asJSON(r))
	}
}

func ends(e ...call.End) []call.End { return e }

// hold keeps callers at the door, with 180, until the door is opened.
func (h *house) hold() (open func()) {
	held := make(chan struct{})
	door := func(ctx context.Context) error {
		select {
		case <-held:
		case <-ctx.Done():
		}
		return nil
	}
	h.queues.door.Store(&door)
	return func() { h.queues.door.Store(nil); close(held) }
}

// servedBySecond is a call that the first agent is offered and the second takes.
func servedBySecond(s *stage, first *desk, number string) {
	s.t.Helper()
	caller := s.dial(number)
	first.ring().over()
	if who := caller.served(); who != "aspen-2" {
		s.t.Errorf("served by %s", who)
	}
	caller.hears(880).hangUp()
}

// putBack wants a record of two offers: the first ended so, the second was taken by that agent.
func putBack(agent call.AgentID, outcome call.OfferOutcome) func(*testing.T, []call.Record) {
	return func(t *testing.T, r []call.Record) {
		got := timelineOf(r[0], call.WhatOfferOver)
		if r[0].Agent != agent || r[0].Offers != 2 || len(got) != 1 || got[0] != "offer-over "+string(outcome) {
			t.Errorf("record %s", asJSON(r[0]))
		}
	}
}

// timelineOf gives the lines of a record's timeline of some kinds, in short.
func timelineOf(r call.Record, kinds ...call.What) (lines []string) {
	for _, m := range r.Timeline {
		if slices.Contains(kinds, m.What) {
			lines = append(lines, fmt.Sprintf("%s %s%s", m.What, m.Leg, m.Detail))
		}
	}
	return lines
}

// TestEveryEnd tells every story on one node: each call has exactly one record, its end named, and what was taken has
// come home: ports, dialogs, calls, places, claims, goroutines and files.
func TestEveryEnd(t *testing.T) {
	goroutines, files := runtime.NumGoroutine(), len(openFiles())
	t.Run("node", func(t *testing.T) {
		h := openHouse(t)
		var home counts
		t.Run("first", func(t *testing.T) { home = warm(t, h) })
		for _, story := range endings {
			t.Run(story.name, func(t *testing.T) { h.tell(t, story, home) })
		}
	})
	within(t, soon, func() error {
		if g, f := runtime.NumGoroutine(), len(openFiles()); g > goroutines || f > files {
			return fmt.Errorf("the node is closed and leaves %d goroutines, were %d, and %d files, were %d", g, goroutines, f, files)
		}
		return nil
	})
}

// warm lets the node do once what opens something for good, connections to its databases, and counts what it then has.
func warm(t *testing.T, h *house) counts {
	t.Helper()
	s := h.stage(t)
	s.agent("aspen-6", answers())
	s.agent("birch-6", answers())
	for _, host := range []string{"127.0.0.1", "127.0.0.2"} {
		caller := s.dialFrom(host, "311", phone.Options{Audio: phone.Audio{Tone: 440}})
		caller.served()
		caller.hears(880).hangUp()
	}
	h.recordsAfter("aspen", 0, 1)
	h.recordsAfter("birch", 0, 1)
	s.clear()
	h.openPorts(t)
	home := h.settled()
	if home.Ports+home.Legs+home.Calls+home.Waiting+home.Claims != 0 {
		t.Errorf("after the first calls there is %+v", home)
	}
	return home
}

// openPorts has the node, and those outside, bind as many ports as any story uses at once: they keep them bound, for calls
// to come.
func (h *house) openPorts(t *testing.T) {
	t.Helper()
	for engine, most := range map[*media.Engine]int{h.media: 20, h.beyond.engine: 4} {
		var streams []*media.Stream
		for range most {
			s, err := engine.Lease(nil)
			must(t, err)
			streams = append(streams, s)
		}
		for _, s := range streams {
			s.Close()
		}
	}
}

// tell tells one story and looks at what it leaves.
func (h *house) tell(t *testing.T, story ending, home counts) {
	city := story.city
	if city == "" {
		city = "aspen"
	}
	before, faults := len(h.records(city)), h.said.faults()
	s := h.stage(t)
	story.tell(s, h)
	s.clear()
	if story.lingers {
		home.Goroutines, home.AllOfUs, home.Files = 1000, 1000, 1000
	}
	h.wantHome(t, home)
	records := h.records(city)[before:]
	if story.ends != nil {
		wantEnds(t, records, story.ends)
	}
	if story.check != nil && !t.Failed() {
		story.check(t, records)
	}
	if n := h.said.faults() - faults; n != 0 && !story.faults {
		t.Errorf("the node logged %d errors", n)
	}
}

// wantEnds wants one record for each end, with an id of its own.
func wantEnds(t *testing.T, records []call.Record, want []call.End) {
	t.Helper()
	var got []call.End
	seen := map[call.ID]bool{}
	for _, r := range records {
		got = append(got, r.End)
		seen[r.ID] = true
	}
	slices.Sort(got)
	want = slices.Sorted(slices.Values(want))
	if !slices.Equal(got, want) || len(seen) != len(records) {
		t.Errorf("records say %q, want %q", got, want)
	}
}

// TestEveryEndHasAStory fails when an End is added and nobody tells how it comes about.
func TestEveryEndHasAStory(t *testing.T) {
	told := map[call.End]string{call.EndShutdown: "TestShutdown", call.EndNoAck: "TestNoAck", call.EndOverloaded: "TestNoPort", call.EndNodeLost: "test.TestKilledDuringACall"}
	for _, story := range endings {
		for _, end := range story.ends {
			told[end] = story.name
		}
	}
	for _, end := range call.Ends() {
		if told[end] == "" {
			t.Errorf("no story ends with %s", end)
		}
	}
}
