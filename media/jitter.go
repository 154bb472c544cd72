package media

import "time"

// What a jitter buffer is made of.
const (
	lead     = 2 * frameSize                // the sound that lies ready when a source begins: 40 ms
	capacity = 2048                         // the most that may, in samples: 256 ms
	settling = int(2 * time.Second / Ptime) // ticks for which too much lies ready before it is cut
)

// A jitter is the jitter buffer of one party in a conference: its samples, in their places by timestamp, until they are
// due. Packets of any length come in any order, twice or never; what never came is silence, and so are pauses.
//
// Play goes forward by our clock and not the source's. Where the two have parted, be it for a longer way, a clock that is
// off or one that was set, the source begins anew with lead ready: as soon as its newest packet is late or far ahead,
// and after any pause that is longer than the buffer. What lies ready beyond need for settling is cut.
type jitter struct {
	begun bool
	ssrc  uint32
	seq   uint16 // highest
	play  uint32 // timestamp of the next sample that is due
	head  uint32 // timestamp after the last sample that came

	low   int32 // the least that lay ready in this stretch of settling
	ticks int   // of it that have passed

	ring [capacity]int16 // by timestamp; all zero but between play and head
}

// put takes in a packet of sound.
func (j *jitter) put(p *arrival) {
	ts, sound := p.ts, p.payload[:min(len(p.payload), capacity-lead)]
	if j.newest(p) {
		if ahead := j.ahead(ts); !j.begun || j.ssrc != p.ssrc || ahead < 0 || ahead+len(sound) > capacity {
			j.begin(p)
		}
		j.seq = p.seq
	}
	if ahead := j.ahead(ts); ahead < 0 { // its beginning should have been heard already
		cut := min(-ahead, len(sound))
		ts, sound = ts+uint32(cut), sound[cut:]
	}
	if j.ahead(ts)+len(sound) <= capacity {
		j.write(ts, sound, p.codec)
	}
}

// newest tells whether p follows all that came, or comes from a source that began anew.
func (j *jitter) newest(p *arrival) bool {
	step := int16(p.seq - j.seq)
	return !j.begun || j.ssrc != p.ssrc || step > 0 || step < -maxMisorder
}

// ahead is how long a timestamp is not due yet, in samples.
func (j *jitter) ahead(ts uint32) int { return int(int32(ts - j.play)) }

// begin forgets what there was: p is due in lead.
func (j *jitter) begin(p *arrival) {
	*j = jitter{begun: true, ssrc: p.ssrc, play: p.ts - lead, head: p.ts, low: capacity}
}

// write puts sound in its place, which is within the ring.
func (j *jitter) write(ts uint32, sound []byte, codec Codec) {
	linear := fromULaw
	if codec == PCMA {
		linear = fromALaw
	}
	for i, code := range sound {
		j.ring[(ts+uint32(i))%capacity] = linear[code]
	}
	if end := ts + uint32(len(sound)); int32(end-j.head) > 0 {
		j.head = end
	}
}

// next fills frame with the 20 ms that are due. It reports false when there is nothing but silence.
func (j *jitter) next(frame *[frameSize]int16) bool {
	if !j.begun {
		return false
	}
	ready := int32(j.head - j.play)
	if ready <= 0 {
		j.play += frameSize
		j.begun = ready > -capacity
		j.low = 0
		return false
	}
	for i := range frame {
		frame[i] = j.take()
	}
	j.settle(ready)
	return true
}

// take is the next sample.
func (j *jitter) take() int16 {
	at := &j.ring[j.play%capacity]
	v := *at
	*at = 0
	j.play++
	return v
}

// settle cuts what lay ready beyond need all the time, and so is nothing but delay: more than lead and two packets.
func (j *jitter) settle(ready int32) {
	j.low = min(j.low, ready)
	if j.ticks++; j.ticks < settling {
		return
	}
	if j.low > lead+2*frameSize {
		for range j.low - lead - frameSize {
			j.take()
		}
	}
	j.low, j.ticks = capacity, 0
}
