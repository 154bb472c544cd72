package main

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"callhall/call"
)

// TestShutdown: a node that is told to stop lets no new call in, ends what goes on when its time is up, in whatever
// phase, writes each record, and leaves nothing.
func TestShutdown(t *testing.T) {
	dir := t.TempDir()
	cfg := testConfig(t, dir)
	aspen := &cfg.Cities[0]
	aspen.Numbers = append(aspen.Numbers, NumberConfig{Number: "3114", Queue: "general", Language: "fr"})
	aspen.addQueue("empty", "3112", func(*QueueConfig) {})
	aspen.addQueue("ringing", "3113", func(*QueueConfig) {})
	aspen.Agents[1].Queues = []call.QueueID{"ringing"}
	cfg.placeStores()
	n := openNode(t, cfg, nil).run()
	s := n.stage(t)

	s.agent("aspen-1", answers())
	ringing := s.agent("aspen-2", ignores())
	talking := s.dial("311")
	talking.served()
	talking.hears(880)
	lines := []*line{talking, s.dial("3112").queued(), s.dial("3113").queued(), s.dial("3114").heard()}
	agent := ringing.ring()
	late := s.raw("shutdown-late-offer") // answered, offered to, and not heard of since
	late.send("INVITE", 1, "", "")
	late.receive(soon, "SIP/2.0 200")

	n.stop()
	for _, l := range lines {
		l.over()
	}
	agent.over()
	records := n.records("aspen")
	wantEnds(t, records, slices.Repeat([]call.End{call.EndShutdown}, 5))
	for _, r := range records {
		if r.ConnectedAt.IsZero() != (r.Recording.State == call.RecordingNone) {
			t.Errorf("record %s", asJSON(r))
		}
	}
	if c := n.now(); c.Ports != 0 || c.Legs != 0 || c.Calls != 0 || c.Claims != 0 {
		t.Errorf("stopped with %+v", c)
	}
	s.clear()
	must(t, n.Close())
	within(t, soon, func() error {
		if left := n.goroutines(); left != 0 {
			return fmt.Errorf("a closed node has %d goroutines:\n%s", left, n.stacks())
		}
		return nil
	})
}

// TestDrain: while a node drains, new callers are sent elsewhere and the call that goes on ends as it would have.
func TestDrain(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t, t.TempDir())
	cfg.DrainTimeout = time.Minute
	cfg.placeStores()
	n := openNode(t, cfg, nil).run()
	s := n.stage(t)
	s.agent("aspen-1", answers())
	caller := s.dial("311")
	caller.served()

	n.quit()
	within(t, soon, func() error {
		if e := s.dial("311").over(); e.Status != 503 {
			return fmt.Errorf("new caller: %+v, want 503", e)
		}
		return nil
	})
	caller.hears(880).hangUp()
	n.stop()
	wantEnds(t, n.records("aspen")[:1], ends(call.EndCallerHungUp))
}

// ackTime is how long an ACK is waited for: 64·T1 (RFC 3261 §13.3.1.4), which is no setting.
const ackTime = 32 * time.Second

// TestNoAck: a caller who never acknowledges our answer is sent it again and again, then BYE. It takes the 32 s that
// the RFC gives, beside other tests.
func TestNoAck(t *testing.T) {
	if testing.Short() {
		t.Skip("waits 32 s for an ACK (RFC 3261 §13.3.1.4)")
	}
	t.Parallel()
	cfg := testConfig(t, t.TempDir())
	cfg.placeStores()
	n := openNode(t, cfg, nil).run()
	before := n.settled()
	for _, test := range []struct{ name, sdp string }{{"offer in the INVITE", pcmu}, {"offer in our answer", ""}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := n.stage(t)
			r := s.raw("no-ack-" + test.sdp)
			r.send("INVITE", 1, "", test.sdp)
			begun := time.Now()
			again := 0
			for r.receive(soon, "SIP/2.0 200"); time.Since(begun) < ackTime-5*time.Second; again++ {
				r.receive(soon, "SIP/2.0 200")
			}
			if again < 8 {
				t.Errorf("the answer was repeated %d times in %v, want at least 8", again, time.Since(begun))
			}
			r.agree(r.receive(soon, "BYE"))
			if took := time.Since(begun); took < ackTime-time.Second {
				t.Errorf("given up on after %v", took)
			}
		})
	}
	t.Cleanup(func() { // when both are over
		records := n.recordsAfter("aspen", 0, 2)
		wantEnds(t, records, ends(call.EndNoAck, call.EndNoAck))
		n.wantHome(t, before)
	})
}

// TestNoPort: a caller for whom no port is left is refused, and one whose agent finds none keeps their place and is not
// offered without rest.
func TestNoPort(t *testing.T) {
	t.Parallel()
	cfg := testConfig(t, t.TempDir())
	cfg.RTP.Ports.Max = cfg.RTP.Ports.Min + 1 // one pair
	cfg.placeStores()
	n := openNode(t, cfg, nil).run()
	before := n.settled()
	s := n.stage(t)
	s.agent("aspen-1", answers())
	first := s.dial("311").queued()
	if e := s.dial("311").over(); e.Status != 503 {
		t.Errorf("second caller: %+v, want 503", e)
	}
	<-time.After(time.Second) // is the time measured
	first.hangUp()
	s.clear()
	records := n.recordsAfter("aspen", 0, 2)
	wantEnds(t, records, ends(call.EndAbandoned, call.EndOverloaded))
	if offers := records[0].Offers; offers > 3 {
		t.Errorf("an agent for whom no port is left was offered %d times within a second", offers)
	}
	n.wantHome(t, before)
}
