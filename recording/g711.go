package recording

// A codec is how the bytes of one channel are coded, by RTP payload type (RFC 3551 §6).
type codec uint8

const (
	pcmu codec = 0
	pcma codec = 8
)

func (c codec) known() bool { return c == pcmu || c == pcma }

// silence is the byte that decodes to (nearly) zero.
func (c codec) silence() byte {
	if c == pcma {
		return 0xD5
	}
	return 0xFF
}

// decoded has the 16-bit value of each byte, µ-law and A-law (ITU-T G.711).
var decodedULaw, decodedALaw = tables()

func (c codec) table() *[256]int16 {
	if c == pcma {
		return &decodedALaw
	}
	return &decodedULaw
}

func tables() (u, a [256]int16) {
	for i := range 256 {
		u[i], a[i] = expandULaw(byte(i)), expandALaw(byte(i))
	}
	return u, a
}

// expandULaw decodes one µ-law byte: sign, three bits of exponent, four of mantissa, all inverted on the line.
func expandULaw(b byte) int16 {
	b = ^b
	v := (int16(b&0x0F)<<3+0x84)<<(b>>4&7) - 0x84
	if b&0x80 != 0 {
		return -v
	}
	return v
}

// expandALaw decodes one A-law byte; even bits are inverted on the line, and a set sign bit is positive.
func expandALaw(b byte) int16 {
	b ^= 0x55
	v := int16(b&0x0F)<<4 + 8
	if e := b >> 4 & 7; e > 0 {
		v = (v + 0x100) << (e - 1)
	}
	if b&0x80 == 0 {
		return -v
	}
	return v
}

// recode turns src of one codec into dst of the other, each byte into the nearest value. It serves the one second in
// which a side changes its codec; everything else is kept as received.
func recode(dst, src []byte, from, to codec) {
	for i, b := range src {
		dst[i] = nearest(to, from.table()[b])
	}
}

// nearest is the byte of c that decodes closest to v.
func nearest(c codec, v int16) byte {
	best, gap := byte(0), int32(1<<30)
	for i, w := range c.table() {
		d := int32(v) - int32(w)
		if d < 0 {
			d = -d
		}
		if d < gap {
			best, gap = byte(i), d
		}
	}
	return best
}
