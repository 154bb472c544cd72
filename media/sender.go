package media

import (
	"time"

	"github.com/pion/rtp"
)

// headerSize is an RTP header without extension or contributing sources, the only kind that we send (RFC 3550 §5.1).
const headerSize = 12

// maxDrift is how far a source's timestamps may part from the clock before they are taken for a new timeline: 3 s.
const maxDrift = 3 * rate

// A voice is where the packets of an outgoing stream come from at present.
type voice uint8

const (
	voiceNone voice = iota
	voiceClip
	voiceKeys
	voiceRelay
	voiceMix
)

// A sender makes one RTP stream out of what several sources say one after the other: one SSRC, sequence numbers without
// a gap of our making, timestamps that never go back and advance by the time that really passed. The first packet of a
// source that takes over has the marker (RFC 3551 §4.1). All times count from the loop's epoch.
type sender struct {
	ssrc  uint32
	zero  uint32 // timestamp at time 0
	voice voice

	seq  uint16        // highest sent
	ts   uint32        // of that packet
	span uint32        // its length in samples
	at   time.Duration // when it left

	packets uint64
	octets  uint32 // payload only, wrapping as in a sender report

	// While voice is voiceRelay: how the source's numbers become ours.
	source uint32        // the source's SSRC
	seqOff uint16        // ours less the source's
	tsOff  uint32        // likewise
	high   uint16        // highest source sequence number since the take-over
	reach  uint16        // how far back from high the take-over lies
	refTS  uint32        // timestamp of the last packet of sound
	refAt  time.Duration // when that came
}

// samples is how many samples last as long as d.
func samples(d time.Duration) uint32 { return uint32(int64(d) * rate / int64(time.Second)) }

// next is the timestamp for sound that begins now: the clock's, but never within what was already sent.
func (o *sender) next(now time.Duration) uint32 {
	clock, after := o.zero+samples(now), o.ts+o.span
	if o.packets > 0 && int32(clock-after) < 0 {
		return after
	}
	return clock
}

// header is the header of the packet with that number and timestamp, and counts it as sent.
func (o *sender) header(h *rtp.Header, now time.Duration, size int, span uint32) {
	h.Version, h.SSRC = 2, o.ssrc
	if o.packets == 0 || int16(h.SequenceNumber-o.seq) > 0 {
		o.seq, o.ts, o.span, o.at = h.SequenceNumber, h.Timestamp, span, now
	}
	o.packets++
	o.octets += uint32(size)
}

// own is the header of a packet that we make ourselves.
func (o *sender) own(v voice, pt uint8, ts uint32, now time.Duration, size int, span uint32) rtp.Header {
	h := rtp.Header{PayloadType: pt, SequenceNumber: o.seq + 1, Timestamp: ts, Marker: o.voice != v}
	o.voice = v
	o.header(&h, now, size, span)
	return h
}

// relayed is the header under which a source's packet goes on. Gaps, reordering and pauses of the source stay as they
// are, so that the far side sees what really happened. It reports false for a packet from before the take-over, whose
// number is used already.
func (o *sender) relayed(p *arrival, pt uint8) (h rtp.Header, ok bool) {
	span := uint32(0)
	if p.kind == kindSound {
		span = uint32(len(p.payload))
	}
	fresh := o.voice != voiceRelay || o.source != p.ssrc || o.leaps(p)
	if fresh {
		o.takeOver(p)
	}
	step := int16(p.seq - o.high)
	if step < 0 && uint16(-step) > o.reach {
		return h, false
	}
	if step > 0 {
		o.high = p.seq
		o.reach = uint16(min(int(o.reach)+int(step), maxMisorder))
	}
	if p.kind != kindEvent { // an event keeps its first timestamp while it lasts
		o.refTS, o.refAt = p.ts, p.at
	}
	h = rtp.Header{PayloadType: pt, SequenceNumber: p.seq + o.seqOff, Timestamp: p.ts + o.tsOff, Marker: fresh || p.marker}
	o.header(&h, p.at, len(p.payload), span)
	return h, true
}

// breakOff says that a packet of the other side was kept back by us, or that the other side is another now: the next one
// that goes on follows what was sent last, or the far side would take ours for loss, and has the marker.
func (o *sender) breakOff() {
	if o.voice == voiceRelay || o.voice == voiceMix {
		o.voice = voiceNone
	}
}

// takeOver maps the source's numbers so that p follows what was sent last.
func (o *sender) takeOver(p *arrival) {
	o.voice, o.source = voiceRelay, p.ssrc
	o.seqOff = o.seq + 1 - p.seq
	o.tsOff = o.next(p.at) - p.ts
	o.high, o.reach = p.seq, 0
	o.refTS, o.refAt = p.ts, p.at
}

// leaps tells whether the source's timeline or numbering broke off, though its SSRC stayed.
func (o *sender) leaps(p *arrival) bool {
	if step := int16(p.seq - o.high); step > maxDropout || step < -maxMisorder {
		return true
	}
	if p.kind == kindEvent {
		return false
	}
	drift := int32(p.ts-o.refTS) - int32(samples(p.at-o.refAt))
	return drift > maxDrift || drift < -maxDrift
}
