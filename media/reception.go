package media

import "time"

// The limits of RFC 3550 A.1: a step forward of up to maxDropout is loss, one back of up to maxMisorder is a late
// packet; anything else is a source that began anew, once two packets in a row say so.
const (
	maxDropout  = 3000
	maxMisorder = 100
	seqMod      = 1 << 16
)

// A reception is what RFC 3550 A.1, A.3 and A.8 keep about one source, and the sums over sources that came before it.
// The source's address is checked, so that its first packet counts at once (no probation).
type reception struct {
	begun    bool
	ssrc     uint32
	base     uint32 // first sequence number
	max      uint16 // highest seen
	cycles   uint32 // wraps of max, times seqMod
	bad      uint32 // the number that would confirm a new beginning
	received uint32

	transit uint32  // of the last packet of sound, in samples
	timed   bool    // transit is set
	jitter  float64 // in samples

	expectedPrior, receivedPrior uint32 // at the last report

	lostBefore     uint64 // by sources and numberings that are over
	receivedBefore uint64
}

// begin starts counting a source at seq.
func (r *reception) begin(ssrc uint32, seq uint16) {
	*r = reception{
		begun: true, ssrc: ssrc, base: uint32(seq), max: seq, bad: seqMod + 1,
		jitter: r.jitter, lostBefore: r.lost(), receivedBefore: r.total(),
	}
}

// count takes one packet in (A.1). It reports false for one that is out of all order and should be dropped.
func (r *reception) count(ssrc uint32, seq uint16) bool {
	if !r.begun || ssrc != r.ssrc {
		r.begin(ssrc, seq)
	}
	switch step := seq - r.max; {
	case step < maxDropout:
		if seq < r.max {
			r.cycles += seqMod
		}
		r.max = seq
	case step <= 0xFFFF-maxMisorder:
		if uint32(seq) != r.bad {
			r.bad = uint32(seq+1) & (seqMod - 1)
			return false
		}
		r.begin(ssrc, seq)
	}
	r.received++
	return true
}

// time takes in when a packet of sound came (A.8).
func (r *reception) time(at time.Duration, ts uint32) {
	transit := samples(at) - ts
	d := int32(transit - r.transit)
	r.transit = transit
	if !r.timed {
		r.timed = true
		return
	}
	if d < 0 {
		d = -d
	}
	r.jitter += (float64(d) - r.jitter) / 16
}

// highest is the extended highest sequence number.
func (r *reception) highest() uint32 { return r.cycles + uint32(r.max) }

func (r *reception) expected() uint32 {
	if !r.begun {
		return 0
	}
	return r.highest() - r.base + 1
}

// lost is how many packets never came, over all sources. Duplicates may hide losses (A.3).
func (r *reception) lost() uint64 {
	if gone := int64(r.expected()) - int64(r.received); gone > 0 {
		return r.lostBefore + uint64(gone)
	}
	return r.lostBefore
}

// total is how many packets came, over all sources.
func (r *reception) total() uint64 { return r.receivedBefore + uint64(r.received) }

// fraction is the share of packets lost since it was last called, in 256ths (A.3).
func (r *reception) fraction() uint8 {
	expected, received := r.expected()-r.expectedPrior, r.received-r.receivedPrior
	r.expectedPrior, r.receivedPrior = r.expected(), r.received
	if lost := int64(expected) - int64(received); expected > 0 && lost > 0 {
		return uint8(min(lost<<8/int64(expected), 255))
	}
	return 0
}

// jitterTime is the jitter as a time.
func (r *reception) jitterTime() time.Duration {
	return time.Duration(r.jitter * float64(time.Second) / rate)
}
