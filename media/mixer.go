package media

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"
)

// MaxParties is how many streams a conference may have.
const MaxParties = 6

// ErrTooMany says that more streams than MaxParties were to be conferred.
var ErrTooMany = errors.New("too many parties for a conference")

// keyPassed is how long a key lasts that is passed on within a conference.
const keyPassed = 100 * time.Millisecond

// A mixer is the sound of a conference: every 20 ms each party is sent the sum of what all others say, whether anybody
// speaks or not. It has no goroutine; it lives on the loop of the stream that was named first, also when that one has
// left, and ends when fewer than two are left.
//
// The streams may be on different loops. A packet is put into its seat by the loop of its stream, the sum is sent by the
// mixer's; mu guards all that they share. Locks are taken in the order Engine.joining, mixer.mu, Stream.mu, loop.mu, and
// a stream's is given back before a packet goes into its seat.
type mixer struct {
	loop  *loop
	slot  int64 // of the 20 ms clock
	since int64 // ticks up to this slot are not ours

	mu     sync.Mutex
	seats  []*seat
	sum    [frameSize]int32 // of what all say in this tick
	packet [headerSize + frameSize]byte
}

// A seat is one party's place in a conference. But for the first two fields, which never change, its mixer's mu guards it.
type seat struct {
	mixer  *mixer
	stream *Stream

	in     jitter
	speaks bool             // there is sound in frame
	frame  [frameSize]int16 // what the party says in this tick
	passed bool             // the key that it presses was passed on before it came here
}

// Confer connects the sound of up to six streams of one engine: each hears the sum of all others. It stops what any of
// them was playing, was joined to or had conferred with. Two streams are joined, a single one hears nobody; closed ones
// are left out. What goes wrong on the way of a party (loss, disorder, jitter, pauses) is evened out before it is mixed,
// which costs 40 ms of delay; comfort noise becomes silence. A key (RFC 4733) is passed on to all others when it is let
// go, as one of 100 ms, and for so long they hear nothing else. Errors: ErrTooMany; nothing has changed then.
func Confer(streams ...*Stream) error {
	streams = distinct(streams)
	switch n := len(streams); {
	case n > MaxParties:
		return fmt.Errorf("confer %d streams: %w", n, ErrTooMany)
	case n == 2:
		Join(streams[0], streams[1])
		return nil
	case n == 0:
		return nil
	}
	e := streams[0].engine
	e.joining.Lock()
	defer e.joining.Unlock()
	for _, s := range streams {
		s.part()
	}
	if len(streams) > 1 {
		mix(streams)
	}
	return nil
}

// distinct leaves out what was named before.
func distinct(streams []*Stream) []*Stream {
	var once []*Stream
	for _, s := range streams {
		if !slices.Contains(once, s) {
			once = append(once, s)
		}
	}
	return once
}

// mix seats streams, which are parted, and starts their mixer. The engine's joining is held.
func mix(streams []*Stream) {
	now := time.Now()
	l := streams[0].loop
	m := &mixer{loop: l, since: l.slotAt(now)}
	m.slot = (m.since + 1) % slots // begins at once: nobody waits for the first packet
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range streams {
		if place := s.sit(m); place != nil {
			m.seats = append(m.seats, place)
		}
	}
	l.start(m, m.slot, now)
	m.endIfAlone()
}

// sit gives the stream a seat; nil when it is closed.
func (s *Stream) sit(m *mixer) *seat {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.to = way{seat: &seat{mixer: m, stream: s, passed: s.pressed.active}}
	s.player.stop()
	s.out.breakOff()
	return s.to.seat
}

// leave takes the party out of the conference, to which its stream does not belong any more. The engine's joining is held.
func (s *seat) leave() {
	m := s.mixer
	m.mu.Lock()
	defer m.mu.Unlock()
	m.seats = slices.DeleteFunc(m.seats, func(other *seat) bool { return other == s })
	m.endIfAlone()
}

// endIfAlone stops the mixer when there are no two to hear each other. m.mu and the engine's joining are held.
func (m *mixer) endIfAlone() {
	if len(m.seats) > 1 {
		return
	}
	for _, last := range m.seats {
		last.stream.mu.Lock()
		last.stream.to = way{}
		last.stream.mu.Unlock()
	}
	m.seats = nil
	m.loop.stop(m, m.slot)
}

// hear takes in a packet of the party. What is not sound is not mixed: keys go by press, pauses need no word.
func (s *seat) hear(p *arrival) {
	if p.kind != kindSound {
		return
	}
	s.mixer.mu.Lock()
	defer s.mixer.mu.Unlock()
	s.in.put(p)
}

// press passes a key that the party has let go on to the others.
func (s *seat) press(key rune) {
	m := s.mixer
	m.mu.Lock()
	defer m.mu.Unlock()
	if s.passed || !slices.Contains(m.seats, s) {
		s.passed = false
		return
	}
	for _, other := range m.seats {
		if other != s {
			other.stream.SendDigit(key, keyPassed)
		}
	}
}

// tick mixes and sends 20 ms.
func (m *mixer) tick(slot int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if slot <= m.since {
		return
	}
	m.add()
	at := m.loop.epoch.Add(time.Duration(slot) * slotTime)
	for _, s := range m.seats {
		s.stream.sendMix(s, at)
	}
}

// add sums what all say in this tick.
func (m *mixer) add() {
	clear(m.sum[:])
	for _, s := range m.seats {
		if s.speaks = s.in.next(&s.frame); !s.speaks {
			continue
		}
		for i, v := range s.frame {
			m.sum[i] += int32(v)
		}
	}
}

// sendMix sends the party what the others say, unless it hears something else at present. The mixer's mu is held.
func (s *Stream) sendMix(from *seat, at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.maySend() || s.player.busy() || s.keys.busy() {
		s.out.breakOff()
		return
	}
	packet := from.mixer.packet[:]
	from.others(packet[headerSize:], s.params.Codec)
	now := s.clock(at)
	s.send(s.out.own(voiceMix, uint8(s.params.Codec), s.out.next(now), now, frameSize, frameSize), packet)
}

// others fills b with what all but this party say. Where that is too loud it is clipped.
func (s *seat) others(b []byte, codec Codec) {
	encode := EncodeULaw
	if codec == PCMA {
		encode = EncodeALaw
	}
	for i, v := range s.mixer.sum {
		if s.speaks {
			v -= int32(s.frame[i])
		}
		b[i] = encode(int16(max(math.MinInt16, min(math.MaxInt16, v))))
	}
}
