package media

import (
	"time"

	"github.com/pion/rtp"
)

// A player is a clip on its way out.
type player struct {
	clip *Clip
	loop bool
	pos  int    // the next sample
	slot int64  // the tick of its first frame; 0 before
	ts   uint32 // the timestamp of that
}

func (p *player) busy() bool { return p.clip != nil }
func (p *player) stop()      { *p = player{} }

// Play plays c in place of what the party hears now, beginning at the next tick of the 20 ms clock; with loop, again
// and again. While it plays, what the joined stream sends is not passed on. A nil clip is Stop. On a stream that may
// not send, the clip runs its time unheard.
func (s *Stream) Play(c *Clip, loop bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.player = player{clip: c, loop: loop}
	s.startTicking()
}

// Stop ends what Play began, at once.
func (s *Stream) Stop() { s.Play(nil, false) }

// startTicking asks the loop for a tick every 20 ms while there is something to do in it. s.mu is held.
func (s *Stream) startTicking() {
	if s.ticking || s.closed || !s.busy() {
		return
	}
	now := time.Now()
	s.ticking, s.since = true, s.loop.slotAt(now)
	s.loop.start(s, s.slot, now)
}

func (s *Stream) busy() bool { return s.player.busy() || s.keys.busy() || s.pressed.active }

// tick is the 20 ms clock: the next frame of a clip, or of a key. Ticks that the loop missed are never made up for, but
// their time is: it shows in the timestamp.
func (s *Stream) tick(slot int64) {
	n := s.tickLocked(slot)
	n.tell()
}

func (s *Stream) tickLocked(slot int64) news {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || !s.ticking || slot <= s.since {
		return news{}
	}
	n := news{handler: s.handler, digit: s.pressed.expire(time.Duration(slot) * slotTime), seat: s.to.seat}
	if s.keys.busy() {
		s.pressKeys(slot)
	} else if s.player.busy() {
		n.played = s.playFrame(slot)
	}
	if !s.busy() {
		s.ticking = false
		s.loop.stop(s, s.slot)
	}
	return n
}

// playFrame sends the clip's next 20 ms. It returns the clip one tick after its last frame, when that has been heard.
func (s *Stream) playFrame(slot int64) (played *Clip) {
	p := &s.player
	if p.pos >= len(p.clip.ulaw) && (!p.loop || len(p.clip.ulaw) == 0) {
		played = p.clip
		p.stop()
		return played
	}
	now := time.Duration(slot) * slotTime
	if p.slot == 0 || s.out.voice != voiceClip {
		p.slot, p.ts = slot, s.out.next(now)
	}
	var packet [headerSize + frameSize]byte
	p.pos = p.clip.frame(packet[headerSize:], s.params.Codec, p.pos, p.loop)
	if s.maySend() {
		ts := p.ts + uint32((slot-p.slot)/slots)*frameSize
		s.send(s.out.own(voiceClip, uint8(s.params.Codec), ts, now, frameSize, frameSize), packet[:])
	}
	return nil
}

// send puts h into the first bytes of packet, which has room for it, and sends the whole. A packet for which the system
// has no room is lost, as it would be on the way.
func (s *Stream) send(h rtp.Header, packet []byte) {
	if _, err := h.MarshalTo(packet); err != nil {
		return // cannot be: every packet is built with room for its header
	}
	_ = s.pair.rtp.send(packet, s.remote)
}
