package recording

import (
	"encoding/binary"

	"callhall/call"
)

// How far a packet's timestamp may stray from its arrival before the timestamps are no longer believed and the side is
// anchored anew: behind, when packets are held up on the way; ahead, when the first one was.
const (
	mostBehind = 1 * Rate
	mostAhead  = 2 * Rate
)

// A jump in sequence numbers of this many is a new start, not a loss (RFC 3550 appendix A.1).
const maxDropout = 3000

// recentSpan is how many sequence numbers back a duplicate is recognised.
const recentSpan = 64

// track places the packets of one side on the recording's timeline, in samples since its start. Positions follow the
// RTP timestamp (RFC 3550 §5.1) from an anchor that an arrival has set: so loss, reordering and pauses of the sender
// (DTX) come out as true time, and jitter does not come out at all.
type track struct {
	begun  bool
	ssrc   uint32
	ts     uint32 // the anchor: this timestamp
	pos    int64  // stands at this sample
	newest uint16 // highest sequence number so far
	recent uint64 // bit i: newest-i has been seen
	tally
}

// tally counts one side's packets. It is the same in memory, in the spool and in the manifest.
type tally struct {
	First     uint32 // first sample kept
	End       uint32 // one past the last sample kept
	Expected  uint32 // packets, by sequence number, while not paused
	Received  uint32 // of these, kept
	Duplicate uint32
	Late      uint32 // came too late to tell where they belong
	Restarts  uint32 // new SSRC, or a jump of timestamps or sequence numbers: anchored anew by arrival
}

// lost is how many packets were expected and never kept.
func (t tally) lost() uint32 {
	if t.Received >= t.Expected {
		return 0
	}
	return t.Expected - t.Received
}

// place says where p, arrived at sample at, belongs, or that it is not to be kept.
func (t *track) place(p *call.Packet, at int64) (pos int64, keep bool) {
	if !t.begun || p.SSRC != t.ssrc {
		return t.restart(p, at), true
	}
	step := int(int16(p.Seq - t.newest))
	switch {
	case step >= maxDropout || step <= -maxDropout:
		return t.restart(p, at), true
	case step > 0:
		t.advance(step)
	case !t.fill(-step):
		return 0, false
	}
	pos = t.pos + int64(int32(p.TS-t.ts))
	if pos < at-mostBehind || pos > at+mostAhead {
		if step < 0 {
			t.Late++
			return 0, false
		}
		pos = at
		t.Restarts++
	}
	if step > 0 {
		t.ts, t.pos, t.newest = p.TS, pos, p.Seq
	}
	t.Received++
	return pos, true
}

// restart anchors the side at this packet's arrival.
func (t *track) restart(p *call.Packet, at int64) int64 {
	if t.begun {
		t.Restarts++
	}
	t.begun, t.ssrc, t.ts, t.pos = true, p.SSRC, p.TS, at
	t.newest, t.recent = p.Seq, 1
	t.Expected++
	t.Received++
	return at
}

// advance makes room for step new sequence numbers.
func (t *track) advance(step int) {
	t.Expected += uint32(step)
	t.recent = t.recent<<step | 1 // a shift of 64 or more leaves 1
}

// fill notes the packet that is back behind the newest, and says whether it is wanted.
func (t *track) fill(back int) bool {
	if back >= recentSpan {
		t.Late++
		return false
	}
	if t.recent&(1<<back) != 0 {
		t.Duplicate++
		return false
	}
	t.recent |= 1 << back
	return true
}

// skip forgets where the sequence stands, so that what a pause leaves out is not counted as lost. Timestamps stay.
func (t *track) skip(p *call.Packet) {
	if t.begun && p.SSRC == t.ssrc {
		t.newest, t.recent = p.Seq, 1
	}
}

// kept notes that samples pos to pos+n are in the recording.
func (t *track) kept(pos int64, n int) {
	if t.First == 0 && t.End == 0 || uint32(pos) < t.First {
		t.First = uint32(pos)
	}
	t.End = max(t.End, uint32(pos)+uint32(n))
}

// tallySize is the length of a tally in a chunk: seven numbers of four bytes, big-endian, in the order of the fields.
const tallySize = 7 * 4

func (t tally) append(b []byte) []byte {
	for _, n := range [...]uint32{t.First, t.End, t.Expected, t.Received, t.Duplicate, t.Late, t.Restarts} {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	return b
}

func readTally(b []byte) tally {
	n := func(i int) uint32 { return binary.BigEndian.Uint32(b[4*i:]) }
	return tally{First: n(0), End: n(1), Expected: n(2), Received: n(3), Duplicate: n(4), Late: n(5), Restarts: n(6)}
}
