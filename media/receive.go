package media

import (
	"net/netip"
	"time"

	"callhall/call"
)

// A kind is what a packet carries, whatever number was negotiated for it.
type kind uint8

const (
	kindUnknown kind = iota
	kindSound        // G.711
	kindNoise        // comfort noise (RFC 3389)
	kindEvent        // a key (RFC 4733)
)

// Payload types: comfort noise's static one, and the number under which taps know telephone-event.
const (
	typeNoise = 13
	typeEvent = 101
)

// An arrival is one packet that was let in.
type arrival struct {
	at      time.Duration
	kind    kind
	codec   Codec // of sound
	seq     uint16
	ts      uint32
	ssrc    uint32
	marker  bool
	payload []byte
	room    []byte // what lies before payload in the datagram: at least an RTP header's length
}

// receive is the receiver of the RTP socket: one packet from the wire to the tap and on to the other side. Nothing is
// copied on the way; the packet leaves from the buffer in which it came.
func (s *Stream) receive(at time.Time, from netip.AddrPort, b []byte) {
	if len(b) > 1 && b[1] >= 192 && b[1] <= 223 { // RTCP on the RTP port (RFC 5761 §4)
		s.receiveReport(at, from, b)
		return
	}
	p, to, n := s.admit(at, from, b)
	to.pass(s, &p)
	n.tell()
}

// A way is where a stream's packets go on to: the stream that it is joined with, its seat in a conference, or nowhere.
type way struct {
	peer *Stream
	seat *seat
}

// pass sends a packet that from let in on its way.
func (w way) pass(from *Stream, p *arrival) {
	switch {
	case w.peer != nil:
		w.peer.relay(from, p)
	case w.seat != nil:
		w.seat.hear(p)
	}
}

// admit lets a packet in or drops it, measures it and gives it to the tap. To is where it goes on to.
func (s *Stream) admit(at time.Time, from netip.AddrPort, b []byte) (p arrival, to way, n news) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return p, way{}, n
	}
	p, ok := s.check(from, b)
	if !ok || p.kind == kindUnknown && !s.fixed { // only what was negotiated teaches us an address
		s.rejected++
		return p, way{}, n
	}
	s.learn(from)
	p.at = s.clock(at)
	if !s.in.count(p.ssrc, p.seq) {
		return p, way{}, n
	}
	n = s.hear(p.at)
	if p.kind == kindUnknown || !s.params.Receive {
		p.kind = kindUnknown
		return p, s.to, n
	}
	if p.kind == kindEvent {
		n.digit, n.seat = s.event(&p), s.to.seat
	} else {
		s.in.time(p.at, p.ts)
	}
	if s.tap != nil {
		s.tap.Heard(call.Packet{
			At: at, Seq: p.seq, TS: p.ts, SSRC: p.ssrc, Type: p.tapType(), Marker: p.marker, Payload: p.payload,
		})
	}
	return p, s.to, n
}

// check tells whether b is RTP from the party, and takes it apart.
func (s *Stream) check(from netip.AddrPort, b []byte) (p arrival, ok bool) {
	if !s.mayCome(from) || len(b) < headerSize || b[0]>>6 != 2 {
		return p, false
	}
	in := &s.packet
	if err := in.Unmarshal(b); err != nil {
		return p, false
	}
	p = arrival{
		seq: in.SequenceNumber, ts: in.Timestamp, ssrc: in.SSRC, marker: in.Marker,
		payload: in.Payload, room: b[:len(b)-int(in.PaddingSize)-len(in.Payload)],
	}
	p.kind, p.codec = s.kindOf(in.PayloadType, len(p.payload))
	return p, true
}

// mayCome is the source check.
func (s *Stream) mayCome(from netip.AddrPort) bool {
	return from == s.remote && from.IsValid() || !s.fixed && s.params.Learn.IsValid() && from.Addr() == s.params.Learn
}

// learn fixes the party's address at its first good packet.
func (s *Stream) learn(from netip.AddrPort) {
	if s.fixed {
		return
	}
	s.fixed = true
	if from != s.remote {
		s.remote = from
		s.rtcpTo = s.rtcpAddress()
	}
}

// kindOf reads a payload type as it was negotiated. What is too short for its kind is unknown.
func (s *Stream) kindOf(pt uint8, size int) (kind, Codec) {
	switch {
	case size == 0:
		return kindUnknown, 0
	case pt == uint8(PCMU) || pt == uint8(PCMA):
		return kindSound, Codec(pt)
	case pt == typeNoise:
		return kindNoise, 0
	case s.params.DTMF != 0 && pt == s.params.DTMF && size >= eventSize:
		return kindEvent, 0
	}
	return kindUnknown, 0
}

// hear notes that the party is there.
func (s *Stream) hear(now time.Duration) news {
	s.longestQuiet = max(s.longestQuiet, s.quietFor(now))
	s.quietFrom, s.alive = now, now
	if s.heard {
		return news{handler: s.handler}
	}
	s.heard, s.wasQuiet = true, false
	return news{handler: s.handler, heard: true}
}

// tapType is the payload type by which taps know what p carries.
func (p *arrival) tapType() uint8 {
	switch p.kind {
	case kindNoise:
		return typeNoise
	case kindEvent:
		return typeEvent
	default:
		return uint8(p.codec)
	}
}

// relay sends a packet that from let in on to this stream's party, unless it hears something else at present or could not
// make anything of it.
func (s *Stream) relay(from *Stream, p *arrival) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.to.peer != from {
		return
	}
	pt, ok := s.typeFor(p)
	if !ok || !s.maySend() || s.player.busy() || s.keys.busy() {
		s.out.breakOff()
		return
	}
	if h, ok := s.out.relayed(p, pt); ok {
		if p.kind == kindSound && p.codec != s.params.Codec {
			translate(p.payload, s.params.Codec)
		}
		whole := p.room[len(p.room)-headerSize : len(p.room)+len(p.payload)]
		s.send(h, whole)
	}
}

// typeFor is the payload type by which this stream's party knows what p carries.
func (s *Stream) typeFor(p *arrival) (pt uint8, ok bool) {
	switch p.kind {
	case kindSound:
		return uint8(s.params.Codec), true
	case kindNoise:
		return typeNoise, true
	case kindEvent:
		return s.params.DTMF, s.params.DTMF != 0
	}
	return 0, false
}

// translate turns sound of the other law into codec's, in place.
func translate(b []byte, codec Codec) {
	if codec == PCMA {
		toALaw.in(b)
		return
	}
	toULaw.in(b)
}

// maySend tells whether RTP may go out.
func (s *Stream) maySend() bool { return s.params.Send && s.remote.IsValid() && !s.closed }
