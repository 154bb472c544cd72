package media

import (
	"encoding/binary"
	"strings"
	"time"
)

// The telephone-event payload (RFC 4733 §2.3): event, end bit and volume, duration in samples.
const (
	eventSize   = 4
	eventEnd    = 0x80
	eventVolume = 10 // dBm0 below zero, of what we send
	maxEvent    = 0xFFFF
)

// keyNames are the keys by event code (RFC 4733 §3.2, table 3).
const keyNames = "0123456789*#ABCD"

// keyLost is how long after its last packet a key counts as let go, though no end was heard: three times the longest
// usual interval between updates (RFC 4733 §2.5.2.2).
const keyLost = 150 * time.Millisecond

// A keyIn is the key that a party is pressing. An event is known by its source and timestamp; it is told once, however
// many of its packets come, at its first end packet, at the start of the next event, or after keyLost.
type keyIn struct {
	active bool
	code   uint8
	ts     uint32
	at     time.Duration // of its last packet

	any  bool   // an event was told before
	done uint32 // the timestamp of that
	ssrc uint32 // the source of all this
}

// take brings in one event packet, whose payload has at least eventSize bytes, and returns the key to tell, or 0.
func (k *keyIn) take(p *arrival) (key rune) {
	code, end := p.payload[0], p.payload[1]&eventEnd != 0
	if k.ssrc != p.ssrc {
		key = k.finish()
		*k = keyIn{ssrc: p.ssrc}
	}
	if k.any && int32(p.ts-k.done) <= 0 || k.active && int32(p.ts-k.ts) < 0 {
		return key // a copy of the end, or late
	}
	if k.active && p.ts != k.ts && !k.continues(code, p.ts) {
		key = k.finish() // its end never came
	}
	k.active, k.code, k.ts, k.at = true, code, p.ts, p.at
	if end && key == 0 {
		return k.finish()
	}
	if end { // two keys at once: this one is told by its next copy of the end, or by expire
		k.at = p.at - keyLost
	}
	return key
}

// continues tells whether a packet is the next segment of an event too long for one (RFC 4733 §2.5.1.3).
func (k *keyIn) continues(code uint8, ts uint32) bool { return code == k.code && ts == k.ts+maxEvent }

// finish ends the active event and returns its key; 0 for an event that is no key.
func (k *keyIn) finish() rune {
	if !k.active {
		return 0
	}
	k.active, k.any, k.done = false, true, k.ts
	if int(k.code) >= len(keyNames) {
		return 0
	}
	return rune(keyNames[k.code])
}

// expire ends an event of which nothing has come for too long.
func (k *keyIn) expire(now time.Duration) rune {
	if !k.active || now-k.at < keyLost {
		return 0
	}
	return k.finish()
}

// event brings in an event packet and sees to it that its end will be noticed.
func (s *Stream) event(p *arrival) rune {
	key := s.pressed.take(p)
	s.startTicking()
	return key
}

// What a key that we send is made of.
const (
	keyEnds = 3               // copies of the end packet (RFC 4733 §2.5.1.4)
	keyGap  = 2               // ticks of silence after each key
	keyMin  = 2 * Ptime       // the shortest key
	keyMax  = 8 * time.Second // the longest, within one segment
	keysMax = 64              // how many may wait
)

// A keyOut is the keys that wait to be sent, and the progress of the first.
type keyOut struct {
	waiting []keyPress
	ts      uint32
	length  uint32 // in samples, so far
	ends    int    // end packets sent
	gap     int    // ticks of silence after them
}

// A keyPress is one key to be sent.
type keyPress struct {
	code   uint8
	length uint32 // in samples
}

func (k *keyOut) busy() bool { return len(k.waiting) > 0 }

// SendDigit sends a key (0-9 * # A-D) as telephone-events (RFC 4733) lasting d, which is kept between 40 ms and 8 s.
// Keys that are asked for while one is being sent follow it, 64 at most. While keys are sent nothing else is. It does
// nothing when telephone-event was not negotiated, or key is none.
func (s *Stream) SendDigit(key rune, d time.Duration) {
	code := strings.IndexRune(keyNames, key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if code < 0 || s.params.DTMF == 0 || len(s.keys.waiting) >= keysMax {
		return
	}
	s.keys.waiting = append(s.keys.waiting, keyPress{code: uint8(code), length: samples(min(max(d, keyMin), keyMax))})
	s.startTicking()
}

// pressKeys sends the next packet of the first key: updates while it lasts, then three ends, then a gap.
func (s *Stream) pressKeys(slot int64) {
	k, now := &s.keys, time.Duration(slot)*slotTime
	press := k.waiting[0]
	if k.ends == keyEnds {
		k.rest(s)
		return
	}
	if k.length == 0 {
		k.ts = s.out.next(now)
		s.out.voice = voiceNone // each key begins with the marker
	}
	k.length = min(k.length+frameSize, press.length)
	flags := byte(eventVolume)
	if k.length == press.length {
		flags |= eventEnd
		k.ends++
	}
	var packet [headerSize + eventSize]byte
	packet[headerSize], packet[headerSize+1] = press.code, flags
	binary.BigEndian.PutUint16(packet[headerSize+2:], uint16(k.length))
	if s.maySend() {
		s.send(s.out.own(voiceKeys, s.params.DTMF, k.ts, now, eventSize, k.length), packet[:])
	}
}

// rest is the gap after a key; when it is over the next key may begin.
func (k *keyOut) rest(s *Stream) {
	if k.gap++; k.gap < keyGap {
		return
	}
	left := append(k.waiting[:0], k.waiting[1:]...)
	*k = keyOut{waiting: left}
	if len(left) == 0 {
		*k = keyOut{}
	}
}
