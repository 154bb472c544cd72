package media

import (
	"testing"

	"pgregory.net/rapid"
)

// A source speaks into a jitter buffer. Each of its samples is known by when it was said.
type source struct {
	j    jitter
	seq  uint16
	ts   uint32
	ssrc uint32
}

// word is the code of the sample said at ts; never silence.
func word(ts uint32) byte { return byte(ts%97) + 1 }

// packet is the next of that many milliseconds.
func (s *source) packet(ms int) *arrival {
	p := &arrival{kind: kindSound, seq: s.seq, ts: s.ts, ssrc: s.ssrc}
	for i := range ms * rate / 1000 {
		p.payload = append(p.payload, word(s.ts+uint32(i)))
	}
	s.seq++
	s.ts += uint32(len(p.payload))
	return p
}

// say puts the next packet in.
func (s *source) say(ms int) { s.j.put(s.packet(ms)) }

// heard reads n frames and returns, for each sample, when it was said, counted from ts; -1 for silence.
func (s *source) heard(t rapid.TB, n int, from uint32) []int {
	t.Helper()
	var out []int
	for range n {
		play := s.j.play
		var frame [frameSize]int16
		speaks := s.j.next(&frame)
		for i, v := range frame {
			at := play + uint32(i)
			switch {
			case !speaks || v == 0:
				out = append(out, -1)
			case v == fromULaw[word(at)]:
				out = append(out, int(int32(at-from)))
			default:
				t.Fatalf("sample %d is %d, which was said at no time", i, v)
			}
		}
	}
	return out
}

// gaps is how many milliseconds of silence there are.
func gaps(heard []int) int {
	n := 0
	for _, at := range heard {
		if at < 0 {
			n++
		}
	}
	return n * 1000 / rate
}

// newSource starts near the end of every number, so that all of them wrap.
func newSource() *source { return &source{seq: 65533, ts: 1<<32 - 500, ssrc: 1} }

func TestJitterPacketSizes(t *testing.T) {
	for _, ms := range []int{10, 20, 30, 60, 5} {
		s := newSource()
		begun := s.ts
		var heard []int
		for now := range 600 {
			if now%ms == 0 {
				s.say(ms)
			}
			if now%20 == 7 {
				heard = append(heard, s.heard(t, 1, begun)...)
			}
		}
		for i, at := range heard[lead:] {
			if at != i {
				t.Fatalf("packets of %d ms: sample %d of the sound is %d", ms, i, at)
			}
		}
		if gaps(heard[:lead]) != 40 {
			t.Errorf("packets of %d ms: %d ms of silence before the first", ms, gaps(heard[:lead]))
		}
	}
}

// Packets come in any order and number; what is missing is silent, and nothing else is.
func TestJitterLossAndDisorder(t *testing.T) {
	for name, c := range map[string]struct {
		order []int // what comes, two packets for each frame that is heard
		gap   int
	}{
		"in order":   {[]int{0, 1, 2, 3, 4, 5, 6, 7}, 0},
		"twice":      {[]int{0, 0, 1, 1, 1, 2, 3, 4, 5, 6, 7, 7}, 0},
		"swapped":    {[]int{0, 2, 1, 3, 5, 4, 7, 6}, 0},
		"far back":   {[]int{0, 2, 3, 1, 4, 5, 6, 7}, 0},
		"one lost":   {[]int{0, 1, 2, 4, 5, 6, 7}, 20},
		"three lost": {[]int{0, 1, 5, 6, 7}, 60},
	} {
		s := newSource()
		begun := s.ts
		var packets []*arrival
		for range 8 {
			packets = append(packets, s.packet(20))
		}
		for _, i := range c.order {
			s.j.put(packets[i])
		}
		if heard := s.heard(t, 10, begun); gaps(heard) != 40+c.gap {
			t.Errorf("%s: %d ms of silence, want %d", name, gaps(heard)-40, c.gap)
		}
	}
}

// A packet that is too late by less than its length is heard from there on; one later still is not, and moves nothing.
func TestJitterLateAndOld(t *testing.T) {
	s := newSource()
	begun := s.ts
	first, second, third := s.packet(20), s.packet(30), s.packet(20)
	s.j.put(first)
	s.j.put(third)
	s.heard(t, 4, begun) // 40 ms of lead, the first 20 and 20 of the second
	s.j.put(first)
	s.j.put(second)
	if heard := s.heard(t, 1, begun); heard[0] != 320 || gaps(heard) != 0 {
		t.Errorf("heard from %d on with %d ms of silence", heard[0], gaps(heard))
	}
}

// Whatever the source does with its numbers, it is heard again at once, 40 ms later.
func TestJitterBeginsAnew(t *testing.T) {
	for name, change := range map[string]func(s *source){
		"another source":         func(s *source) { s.ssrc, s.seq, s.ts = 2, 7, 9 },
		"another, by its clock":  func(s *source) { s.ssrc, s.ts = 2, s.ts+1000 },
		"its clock is set ahead": func(s *source) { s.ts += 1 << 30 },
		"its clock is set back":  func(s *source) { s.ts -= 5000 },
		"its numbers are":        func(s *source) { s.seq, s.ts = s.seq-5000, s.ts-9000 },
		"it stood still":         func(s *source) { s.heard(t, 10, 0) },
		"a pause without time":   func(s *source) { s.heard(t, 100, 0) },
		"a pause with time":      func(s *source) { s.heard(t, 100, 0); s.ts += 100 * frameSize },
		"a pause by its clock":   func(s *source) { s.heard(t, 100, 0); s.ts += 105 * frameSize },
	} {
		s := newSource()
		for range 5 {
			s.say(20)
			s.heard(t, 1, 0)
		}
		s.heard(t, 2, 0) // what is left
		change(s)
		begun := s.ts
		var heard []int
		for range 5 {
			s.say(20)
			heard = append(heard, s.heard(t, 1, begun)...)
		}
		if gaps(heard) > 40 || heard[len(heard)-1] < 2*frameSize {
			t.Errorf("%s: %d ms of silence, and then %d", name, gaps(heard), heard[len(heard)-1])
		}
	}
}

// A pause that the source's clock counted, short enough to be bridged, lasts as long as it did.
func TestJitterPauseKeepsItsLength(t *testing.T) {
	s := newSource()
	begun := s.ts
	var heard []int
	for i := range 30 {
		if i < 10 || i >= 18 {
			s.say(20)
		} else {
			s.ts += frameSize // nothing is sent (RFC 3551 §4.1)
		}
		heard = append(heard, s.heard(t, 1, begun)...)
	}
	if got := gaps(heard[lead:]); got != 160 || heard[len(heard)-1] != len(heard)-1-lead {
		t.Errorf("a pause of 160 ms lasts %d", got)
	}
}

// What was held up on the way and came at once is heard, and the delay that it left behind is cut in time.
func TestJitterSettles(t *testing.T) {
	s := newSource()
	s.say(20)
	s.heard(t, 8, 0)
	for range 8 { // 160 ms late, together
		s.say(20)
	}
	most := 0
	for i := range 400 {
		s.say(20)
		ready := s.j.ahead(s.j.head)
		if most = max(most, ready); i > 2*settling && ready > lead+3*frameSize {
			t.Fatalf("after %d packets %d ms lie ready", i, ready/8)
		}
		s.heard(t, 1, 0)
	}
	if most < 160*8 {
		t.Errorf("no more than %d ms lay ready at once", most/8)
	}
}

// What comes three packets at a time needs all that lies ready: none of it is cut.
func TestJitterKeepsWhatIsNeeded(t *testing.T) {
	s := newSource()
	begun := s.ts
	var heard []int
	for i := range 4 * settling {
		if i%3 == 0 {
			s.say(20)
			s.say(20)
			s.say(20)
		}
		heard = append(heard, s.heard(t, 1, begun)...)
	}
	if got := heard[len(heard)-1]; gaps(heard) != 40 || got != len(heard)-1-lead {
		t.Errorf("%d ms of silence, and in the end sample %d of %d", gaps(heard), got, len(heard)-1-lead)
	}
}

// A source that is faster than we are never fills the buffer, one that is slower never leaves it empty for long.
func TestJitterDrift(t *testing.T) {
	for name, every := range map[string]int{"faster": 19, "slower": 21} {
		s := newSource()
		silent := 0
		for now := range 60_000 {
			if now%every == 0 {
				s.say(20)
			}
			if now%20 == 0 {
				silent += gaps(s.heard(t, 1, 0))
			}
			if ready := s.j.ahead(s.j.head); ready > capacity {
				t.Fatalf("%s: %d samples lie ready", name, ready)
			}
		}
		if silent > 6000 { // 3000 are missing when it is slower by 5 %, and as many to have the lead again
			t.Errorf("%s: %d ms of 60 s are silent", name, silent)
		}
	}
}

// Whatever comes, in whatever order: each sample is heard when its timestamp says or not at all, the buffer is never longer
// than it is, and a source that speaks steadily from there on is heard.
func TestJitterTakesAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newSource()
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0:
				s.ssrc = rapid.Uint32Range(1, 3).Draw(t, "ssrc")
			case 1:
				s.ts += uint32(rapid.Int32().Draw(t, "leap"))
			case 2:
				s.ts += uint32(rapid.Int32Range(-3000, 3000).Draw(t, "step in time"))
			case 3:
				s.seq += uint16(rapid.IntRange(-300, 300).Draw(t, "step in number"))
			case 4, 5:
				s.heard(t, rapid.IntRange(1, 20).Draw(t, "frames"), 0)
			default:
				s.say(rapid.IntRange(0, 250).Draw(t, "length"))
			}
			if ready := s.j.ahead(s.j.head); s.j.begun && (ready > capacity || ready < -capacity-frameSize) {
				t.Fatalf("%d samples lie ready", ready)
			}
		}
		s.ssrc = 9
		begun := s.ts
		var heard []int
		for range 10 {
			s.say(20)
			heard = append(heard, s.heard(t, 1, begun)...)
		}
		if last := heard[len(heard)-1]; last != len(heard)-1-lead {
			t.Fatalf("in the end, sample %d is heard", last)
		}
	})
}
