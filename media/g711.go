package media

import "math/bits"

// A Codec is a G.711 flavour, numbered by its RTP payload type (RFC 3551 §6). Both are 8000 one-byte samples a second.
type Codec uint8

// The codecs that are spoken.
const (
	PCMU Codec = 0 // µ-law
	PCMA Codec = 8 // A-law
)

// String is the codec's name in SDP.
func (c Codec) String() string {
	switch c {
	case PCMU:
		return "PCMU"
	case PCMA:
		return "PCMA"
	}
	return "unknown"
}

// Silence of each codec: the code for the smallest positive level.
const (
	ulawSilence = 0xFF
	alawSilence = 0xD5
)

// silence is the byte that stands for no sound.
func (c Codec) silence() byte {
	if c == PCMA {
		return alawSilence
	}
	return ulawSilence
}

// DecodeULaw returns the 16-bit sample of a µ-law code (ITU-T G.711 table 2).
func DecodeULaw(code byte) int16 {
	code = ^code
	magnitude := (int16(code&0x0F)<<3 + 0x84) << (code >> 4 & 7)
	if code&0x80 != 0 {
		return 0x84 - magnitude
	}
	return magnitude - 0x84
}

// EncodeULaw returns the µ-law code nearest to a 16-bit sample.
func EncodeULaw(sample int16) byte {
	const bias, clip = 0x84, 32635
	v, sign := int32(sample), byte(0)
	if v < 0 {
		v, sign = -v, 0x80
	}
	v = min(v, clip) + bias
	segment := bits.Len32(uint32(v)) - 8 // v is at least 0x84: eight bits
	return ^(sign | byte(segment)<<4 | byte(v>>(segment+3))&0x0F)
}

// DecodeALaw returns the 16-bit sample of an A-law code (ITU-T G.711 table 1).
func DecodeALaw(code byte) int16 {
	code ^= 0x55
	v := int16(code&0x0F)<<4 + 8
	if segment := code >> 4 & 7; segment > 0 {
		v = (v + 0x100) << (segment - 1)
	}
	if code&0x80 == 0 {
		return -v
	}
	return v
}

// EncodeALaw returns the A-law code nearest to a 16-bit sample.
func EncodeALaw(sample int16) byte {
	v, sign := int32(sample), byte(0x80)
	if v < 0 {
		v, sign = -v-1, 0 // the negative half is one step off: -1 belongs with +0
	}
	code := byte(v >> 4)
	if v >= 0x100 {
		segment := bits.Len32(uint32(v)) - 8
		code = byte(segment)<<4 | byte(v>>(segment+3))&0x0F
	}
	return (sign | code) ^ 0x55
}

// transcode holds what is needed to go from one law to the other: one byte for each code.
type transcode [256]byte

// toALaw and toULaw are computed once, from the four functions above.
var (
	toALaw = tabulate(func(c byte) byte { return EncodeALaw(DecodeULaw(c)) })
	toULaw = tabulate(func(c byte) byte { return EncodeULaw(DecodeALaw(c)) })
)

func tabulate(f func(byte) byte) *transcode {
	var t transcode
	for i := range t {
		t[i] = f(byte(i))
	}
	return &t
}

// fromULaw and fromALaw hold the sample of each code.
var fromULaw, fromALaw = linear(DecodeULaw), linear(DecodeALaw)

func linear(decode func(byte) int16) *[256]int16 {
	var t [256]int16
	for i := range t {
		t[i] = decode(byte(i))
	}
	return &t
}

// in turns b, in place, from one law into the other.
func (t *transcode) in(b []byte) {
	for i, c := range b {
		b[i] = t[c]
	}
}
