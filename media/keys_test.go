package media

import (
	"encoding/binary"
	"testing"
	"testing/synctest"
	"time"
)

// event is a telephone-event payload.
func event(code byte, end bool, length uint16) []byte {
	b := []byte{code, eventVolume, 0, 0}
	if end {
		b[1] |= eventEnd
	}
	binary.BigEndian.PutUint16(b[2:], length)
	return b
}

// sendEvent sends the next packet of p as an event that began at ts.
func (p *party) sendEvent(ts uint32, payload []byte) {
	h := p.next
	h.PayloadType, h.Timestamp = 101, ts
	p.sendFrom(p.addr, h, payload)
	p.next.SequenceNumber++
	p.next.Timestamp += frameSize
}

func TestDigitIsToldOnceAndRelayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, c := memoryEngine(t, nil)
		a, b := newParty(t, e, c, "127.0.0.5:4000", PCMU), newParty(t, e, c, "127.0.0.6:4000", PCMU)
		other := b.params(PCMU)
		other.DTMF = 96
		b.stream.Set(other)
		Join(a.stream, b.stream)
		relayFor(a, 3)
		ts := a.next.Timestamp
		for i := range 5 {
			a.sendEvent(ts, event(11, i > 1, uint16(min(i+1, 3))*160))
			time.Sleep(Ptime)
		}
		relayFor(a, 3)
		a.sendEvent(ts, event(11, true, 480)) // a copy of the end, very late
		time.Sleep(time.Second)
		synctest.Wait()
		if got := a.told.all().digits; got != "#" {
			t.Errorf("told of %q", got)
		}
		sent := rtpTo(t, c.take(), b.addr)
		if len(sent) != 12 {
			t.Fatalf("relayed %d packets of 12", len(sent))
		}
		for _, s := range sent[3:8] {
			if s.PayloadType != 96 || s.Timestamp != sent[3].Timestamp || s.Payload[0] != 11 {
				t.Errorf("event goes on with type %d, timestamp +%d", s.PayloadType, s.Timestamp-sent[3].Timestamp)
			}
		}
		if step := sent[8].Timestamp - sent[2].Timestamp; step != 6*frameSize {
			t.Errorf("sound after the event is %d samples after the sound before", step)
		}
		other.DTMF = 0
		b.stream.Set(other)
		a.sendEvent(a.next.Timestamp, event(1, true, 800))
		if got := rtpTo(t, c.take(), b.addr); len(got) > 0 {
			t.Error("event sent to a party that did not negotiate it")
		}
		if got := a.told.all().digits; got != "#1" {
			t.Errorf("told of %q", got)
		}
	})
}

func TestDigitWhoseEndIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, c := memoryEngine(t, nil)
		p := newParty(t, e, c, "127.0.0.5:4000", PCMU)
		p.sendEvent(1000, event(5, false, 160))
		time.Sleep(Ptime)
		p.sendEvent(1000, event(5, false, 320))
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		if got := p.told.all().digits; got != "" {
			t.Errorf("told of %q while it may still be pressed", got)
		}
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		if got := p.told.all().digits; got != "5" {
			t.Errorf("told of %q", got)
		}
		p.sendEvent(3000, event(6, false, 160))
		p.sendEvent(5000, event(7, true, 160)) // the next event ends the one before, and itself
		p.sendEvent(7000, event(16, true, 160))
		time.Sleep(time.Second)
		synctest.Wait()
		if got := p.told.all().digits; got != "567" {
			t.Errorf("told of %q", got)
		}
	})
}

func TestLongDigitInSegments(t *testing.T) {
	var k keyIn
	var got []rune
	take := func(ts uint32, b []byte) {
		if key := k.take(&arrival{ts: ts, ssrc: 1, payload: b}); key != 0 {
			got = append(got, key)
		}
	}
	take(100, event(9, false, 0xFFFF))
	take(100+0xFFFF, event(9, false, 160))
	take(100+0xFFFF, event(9, true, 320))
	take(100+0xFFFF, event(9, true, 320))
	if string(got) != "9" {
		t.Errorf("one long key is told as %q", string(got))
	}
}

func TestSendDigit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, c := memoryEngine(t, nil)
		p, far := newParty(t, e, c, "127.0.0.5:4000", PCMU), newParty(t, e, c, "127.0.0.6:4000", PCMU)
		p.stream.Play(clipOf(100), true)
		time.Sleep(100 * time.Millisecond)
		p.stream.SendDigit('3', 100*time.Millisecond)
		p.stream.SendDigit('1', 0)
		p.stream.SendDigit('x', time.Second) // no key
		time.Sleep(time.Second)
		synctest.Wait()
		sent := rtpTo(t, c.take(), p.addr)
		events := map[byte][]timed{}
		for i, s := range sent {
			if i > 0 && s.SequenceNumber != sent[i-1].SequenceNumber+1 {
				t.Fatalf("packet %d is out of sequence", i)
			}
			if s.PayloadType == 101 {
				events[s.Payload[0]] = append(events[s.Payload[0]], s)
			}
			far.deliver(far.addr, mustMarshal(t, s))
		}
		if len(events[3]) != 7 || len(events[1]) != 4 { // 5 and 2 packets, the last of them three times
			t.Errorf("3 took %d packets, 1 took %d", len(events[3]), len(events[1]))
		}
		last := events[3][len(events[3])-1]
		if length := binary.BigEndian.Uint16(last.Payload[2:]); length != 800 || last.Timestamp != events[3][0].Timestamp {
			t.Errorf("3 lasts %d samples", length)
		}
		if !events[3][0].Marker || events[3][1].Marker || !events[1][0].Marker {
			t.Error("the marker is not at the start of each key")
		}
		if sent[len(sent)-1].PayloadType != 0 {
			t.Error("music does not go on after the keys")
		}
		if got := far.told.all().digits; got != "31" {
			t.Errorf("the far side heard %q", got)
		}
	})
}

func mustMarshal(t *testing.T, p timed) []byte {
	t.Helper()
	b, err := p.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}
