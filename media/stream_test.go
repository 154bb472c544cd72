package media

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"
)

// clipOf is n frames: the first of 1s, the next of 2s, and so on.
func clipOf(n int) *Clip {
	c := &Clip{}
	for i := range n {
		c.ulaw = append(c.ulaw, frame(byte(i+1))...)
	}
	c.alaw = c.ulaw
	return c
}

// follows fails unless ps is one unbroken stream: one SSRC, numbers rising by one, timestamps that rise as time does.
func follows(t *testing.T, ps []timed) {
	t.Helper()
	for i := 1; i < len(ps); i++ {
		a, b := ps[i-1], ps[i]
		if b.SSRC != a.SSRC {
			t.Errorf("packet %d has another SSRC", i)
		}
		if b.SequenceNumber != a.SequenceNumber+1 {
			t.Errorf("packet %d has number %d after %d", i, b.SequenceNumber, a.SequenceNumber)
		}
		if step := int32(b.Timestamp - a.Timestamp); step < int32(len(a.Payload)) {
			t.Errorf("packet %d advances by %d samples only", i, step)
		}
		real, said := b.at.Sub(ps[0].at), time.Duration(b.Timestamp-ps[0].Timestamp)*time.Second/rate
		if d := said - real; d < -Ptime || d > Ptime {
			t.Errorf("packet %d says %v after the first, %v have passed", i, said, real)
		}
	}
}

func TestClipIsPacedExactly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, c := memoryEngine(t, nil)
		p := newParty(t, e, c, "127.0.0.5:4000", PCMU)
		begun := time.Now()
		p.stream.Play(clipOf(50), false)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		sent := rtpTo(t, c.take(), p.addr)
		if len(sent) != 50 {
			t.Fatalf("sent %d packets of a clip of 50", len(sent))
		}
		follows(t, sent)
		if wait := sent[0].at.Sub(begun); wait > Ptime {
			t.Errorf("began after %v", wait)
		}
		for i, s := range sent {
			if s.Marker != (i == 0) || s.PayloadType != 0 || !bytes.Equal(s.Payload, frame(byte(i+1))) {
				t.Errorf("packet %d: marker %v, type %d, first byte %d", i, s.Marker, s.PayloadType, s.Payload[0])
			}
			if want := sent[0].at.Add(time.Duration(i) * Ptime); !s.at.Equal(want) {
				t.Errorf("packet %d is %v off", i, s.at.Sub(want))
			}
		}
		if n := len(p.told.all().played); n != 1 || !p.told.all().played[0].Equal(sent[49].at.Add(Ptime)) {
			t.Errorf("told of its end %d times, or not when the last packet was heard", n)
		}
	})
}

func TestLoopedClipNeverEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, c := memoryEngine(t, nil)
		p := newParty(t, e, c, "127.0.0.5:4000", PCMA)
		p.stream.Play(clipOf(3), true)
		time.Sleep(10*time.Second + Ptime)
		synctest.Wait()
		sent := rtpTo(t, c.take(), p.addr)
		if n := len(sent); n < 500 || n > 501 {
			t.Errorf("sent %d packets in 10 s", n)
		}
		follows(t, sent)
		for i, s := range sent {
			if s.Payload[0] != byte(i%3+1) || s.PayloadType != 8 {
				t.Fatalf("packet %d has frame %d, type %d", i, s.Payload[0], s.PayloadType)
			}
		}
		p.stream.Stop()
		time.Sleep(time.Second)
		synctest.Wait()
		if got := rtpTo(t, c.take(), p.addr); len(got) > 0 || len(p.told.all().played) > 0 {
			t.Errorf("sent %d packets after Stop, told of %d ends", len(got), len(p.told.all().played))
		}
	})
}

// A loop that was held up sends no burst of old sound: the time it missed is in the timestamp.
func TestLateLoopSkips(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, c := memoryEngine(t, nil)
		p := newParty(t, e, c, "127.0.0.5:4000", PCMU)
		p.stream.Play(clipOf(200), true)
		time.Sleep(time.Second)
		synctest.Wait()
		c.timer.Stop() // the machine stands still
		time.Sleep(time.Second)
		e.loops[0].run(time.Now())
		time.Sleep(time.Second)
		synctest.Wait()
		sent := rtpTo(t, c.take(), p.addr)
		if n := len(sent); n < 100 || n > 108 {
			t.Errorf("sent %d packets in 2 s of 3", n)
		}
		last := sent[len(sent)-1]
		said, real := time.Duration(last.Timestamp-sent[0].Timestamp)*time.Second/rate, last.at.Sub(sent[0].at)
		if said != real {
			t.Errorf("timestamps say %v, %v have passed", said, real)
		}
	})
}

func TestHandOverIsOneStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, c := memoryEngine(t, nil)
		a, b := newParty(t, e, c, "127.0.0.5:4000", PCMU), newParty(t, e, c, "127.0.0.6:4000", PCMU)
		a.stream.Play(clipOf(100), true)
		time.Sleep(330 * time.Millisecond)
		Join(a.stream, b.stream) // the agent answers: music stops at once
		relayFor(b, 50)
		a.stream.Play(clipOf(10), false) // a prompt over the agent's voice
		relayFor(b, 20)
		time.Sleep(time.Second) // nobody speaks
		b.next.Timestamp += rate
		relayFor(b, 5)
		a.stream.Part()
		relayFor(b, 5) // heard by nobody
		a.stream.Play(clipOf(100), true)
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()

		sent := rtpTo(t, c.take(), a.addr)
		follows(t, sent)
		markers := 0
		for _, s := range sent {
			if s.Marker {
				markers++
			}
		}
		if markers != 5 { // music, agent, prompt, agent (and not again after its own pause), music
			t.Errorf("%d packets have the marker", markers)
		}
		if n := len(sent); n < 16+50+10+9+5+5 || n > 16+50+10+10+5+5 {
			t.Errorf("sent %d packets", n)
		}
	})
}

// relayFor lets p speak for n packets in real time.
func relayFor(p *party, n int) {
	for range n {
		p.send(frame(0x55))
		time.Sleep(Ptime)
	}
}

// What the source lost, doubled and delayed arrives as it was, and what came from before the take-over does not.
func TestRelayKeepsGapsAndOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, c := memoryEngine(t, nil)
		a, b := newParty(t, e, c, "127.0.0.5:4000", PCMU), newParty(t, e, c, "127.0.0.6:4000", PCMU)
		Join(a.stream, b.stream)
		first := b.next
		for _, step := range []int{5, 4, 6, 9, 7, 9, 10} {
			h := first
			h.SequenceNumber += uint16(step)
			h.Timestamp += uint32(step) * frameSize
			b.sendFrom(b.addr, h, frame(byte(step)))
			time.Sleep(Ptime)
		}
		sent := rtpTo(t, c.take(), a.addr)
		var got []int
		for _, s := range sent {
			step := int(int16(s.SequenceNumber-sent[0].SequenceNumber)) + 5
			got = append(got, step)
			if s.Payload[0] != byte(step) || s.Timestamp-sent[0].Timestamp != uint32(step-5)*frameSize {
				t.Errorf("packet %d has sound %d, timestamp +%d", step, s.Payload[0], s.Timestamp-sent[0].Timestamp)
			}
		}
		want := []int{5, 6, 9, 7, 9, 10} // 4 came before the far side's number for it was free
		if len(got) != len(want) {
			t.Fatalf("relayed %v, want %v", got, want)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Fatalf("relayed %v, want %v", got, want)
			}
		}
		if q := b.stream.Quality(); q.Received != 7 || q.Lost != 0 { // 8 is missing, but 9 came twice (A.3)
			t.Errorf("quality %+v", q)
		}
	})
}

func TestRelaySourceChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, c := memoryEngine(t, nil)
		a, b := newParty(t, e, c, "127.0.0.5:4000", PCMU), newParty(t, e, c, "127.0.0.6:4000", PCMU)
		Join(a.stream, b.stream)
		relayFor(b, 10)
		b.next.SSRC, b.next.SequenceNumber, b.next.Timestamp = 7, 100, 5 // another source
		relayFor(b, 10)
		b.next.Timestamp += 1 << 30 // its clock is set
		relayFor(b, 10)
		b.next.SequenceNumber += 20000 // it begins anew: its first packet is doubted (RFC 3550 A.1)
		relayFor(b, 11)
		relayFor(b, 600)
		b.next.SequenceNumber -= 500 // and again, not so far off
		relayFor(b, 11)
		sent := rtpTo(t, c.take(), a.addr)
		if len(sent) != 650 {
			t.Errorf("relayed %d packets of 652", len(sent))
		}
		follows(t, sent)
		if q := b.stream.Quality(); q.Lost > 0 || q.Received != 650 {
			t.Errorf("changes of source count as loss: %+v", q)
		}
	})
}

func TestRelayBetweenLaws(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, c := memoryEngine(t, nil)
		a, b := newParty(t, e, c, "127.0.0.5:4000", PCMU), newParty(t, e, c, "127.0.0.6:4000", PCMA)
		b.stream.Tap(tapped{&b.told})
		Join(a.stream, b.stream)
		a.send([]byte{EncodeULaw(8000)})
		b.send([]byte{EncodeALaw(-8000)})
		sent := c.take()
		toB, toA := rtpTo(t, sent, b.addr)[0], rtpTo(t, sent, a.addr)[0]
		if toB.PayloadType != 8 || distance(8000, DecodeALaw(toB.Payload[0])) > 400 {
			t.Errorf("A-law side got type %d, %d", toB.PayloadType, DecodeALaw(toB.Payload[0]))
		}
		if toA.PayloadType != 0 || distance(-8000, DecodeULaw(toA.Payload[0])) > 400 {
			t.Errorf("µ-law side got type %d, %d", toA.PayloadType, DecodeULaw(toA.Payload[0]))
		}
		if p := b.told.all().packets[0]; p.Type != 8 || p.Payload[0] != EncodeALaw(-8000) {
			t.Errorf("the tap got type %d and %#02x, not what came", p.Type, p.Payload[0])
		}
		b.next.PayloadType = 13
		b.send([]byte{40})
		if n := rtpTo(t, c.take(), a.addr); len(n) != 1 || n[0].PayloadType != 13 || n[0].Payload[0] != 40 {
			t.Errorf("comfort noise went on as %v", n)
		}
	})
}

func TestHeldDirectionsAreSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, c := memoryEngine(t, nil)
		a, b := newParty(t, e, c, "127.0.0.5:4000", PCMU), newParty(t, e, c, "127.0.0.6:4000", PCMU)
		a.stream.Tap(tapped{&a.told})
		Join(a.stream, b.stream)
		held := a.params(PCMU)
		held.Send, held.Receive = false, false
		a.stream.Set(held)
		a.send(frame(1))
		b.send(frame(2))
		a.stream.Play(clipOf(5), false)
		time.Sleep(time.Second)
		synctest.Wait()
		sent := c.take()
		if toA, toB := rtpTo(t, sent, a.addr), rtpTo(t, sent, b.addr); len(toA)+len(toB)+len(a.told.all().packets) > 0 {
			t.Errorf("held: %d packets to it, %d from it, %d tapped", len(toA), len(toB), len(a.told.all().packets))
		}
		if len(a.told.all().played) != 1 {
			t.Error("the clip's time did not run")
		}
	})
}

func TestQuietAndHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, c := memoryEngine(t, func(cfg *Config) { cfg.SilenceLimit = 3 * time.Second })
		p := newParty(t, e, c, "127.0.0.5:4000", PCMU)
		relayFor(p, 10)
		synctest.Wait()
		if p.told.all().heard != 1 || len(p.told.all().quiet) != 0 {
			t.Fatalf("while it speaks: heard %d, quiet %v", p.told.all().heard, p.told.all().quiet)
		}
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if q := p.told.all().quiet; len(q) != 1 || q[0] < 3*time.Second || q[0] > 3300*time.Millisecond {
			t.Errorf("quiet told as %v", q)
		}
		relayFor(p, 10)
		synctest.Wait()
		if p.told.all().heard != 2 {
			t.Errorf("heard told %d times", p.told.all().heard)
		}
		if l := p.stream.Quality().LongestQuiet; l < 10*time.Second || l > 10*time.Second+2*Ptime {
			t.Errorf("longest quiet is %v", l)
		}
		held := p.params(PCMU)
		held.Receive = false
		p.stream.Set(held)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if len(p.told.all().quiet) != 1 {
			t.Error("a held stream was told to be quiet")
		}
	})
}

// What we keep back ourselves is no gap in what the far side gets, only time.
func TestWhatWeKeepBackIsNoLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, c := memoryEngine(t, nil)
		a, b := newParty(t, e, c, "127.0.0.5:4000", PCMU), newParty(t, e, c, "127.0.0.6:4000", PCMU)
		Join(a.stream, b.stream)
		relayFor(b, 10)
		held := a.params(PCMU)
		held.Send = false
		a.stream.Set(held) // the caller is held
		relayFor(b, 50)
		a.stream.Set(a.params(PCMU))
		relayFor(b, 10)
		held = b.params(PCMU)
		held.Receive = false
		b.stream.Set(held) // the agent holds
		relayFor(b, 50)
		b.stream.Set(b.params(PCMU))
		relayFor(b, 10)
		a.stream.Part()
		relayFor(b, 50)
		Join(a.stream, b.stream)
		relayFor(b, 10)
		b.next.PayloadType = 77 // what nobody agreed on
		relayFor(b, 50)
		b.next.PayloadType = 0
		relayFor(b, 10)
		sent := rtpTo(t, c.take(), a.addr)
		if len(sent) != 50 {
			t.Errorf("sent %d packets", len(sent))
		}
		follows(t, sent)
		if q := b.stream.Quality(); q.Lost > 0 || q.Received != 250 {
			t.Errorf("quality %+v", q)
		}
	})
}
