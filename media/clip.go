package media

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// Ptime is the sound in one packet of ours: 20 ms (RFC 3551 §4.2).
const Ptime = 20 * time.Millisecond

// frameSize is Ptime of G.711 in bytes, and in samples.
const frameSize = rate / 50

// A Clip is sound ready to be played in either codec. It never changes, and any number of streams may play it at once.
type Clip struct {
	ulaw, alaw []byte
	sum        [sha256.Size]byte
}

// newClip encodes samples for both codecs; the clip is known by the hash of its µ-law bytes.
func newClip(samples []int16) *Clip {
	c := &Clip{ulaw: make([]byte, len(samples)), alaw: make([]byte, len(samples))}
	for i, v := range samples {
		c.ulaw[i], c.alaw[i] = EncodeULaw(v), EncodeALaw(v)
	}
	c.sum = sha256.Sum256(c.ulaw)
	return c
}

// SHA256 is the hash, in hex, of the WAV file that the clip was read from, or of the µ-law bytes of a Tone.
func (c *Clip) SHA256() string { return hex.EncodeToString(c.sum[:]) }

// Length is how long the clip lasts.
func (c *Clip) Length() time.Duration { return time.Duration(len(c.ulaw)) * time.Second / rate }

// frame fills b with the clip's sound from sample pos on and returns where the next frame begins. A looped clip begins
// again where it ends, without a gap; another is filled up with silence.
func (c *Clip) frame(b []byte, codec Codec, pos int, loop bool) int {
	sound := c.ulaw
	if codec == PCMA {
		sound = c.alaw
	}
	for len(b) > 0 {
		n := copy(b, sound[min(pos, len(sound)):])
		b, pos = b[n:], pos+n
		if len(b) == 0 || !loop || len(sound) == 0 {
			break
		}
		pos = 0
	}
	for i := range b {
		b[i] = codec.silence()
	}
	return pos
}
