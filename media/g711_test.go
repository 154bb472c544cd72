package media

import "testing"

func distance(v int, w int16) int {
	if d := v - int(w); d > 0 {
		return d
	}
	return int(w) - v
}

// Every 16-bit sample goes to a code whose interval it lies in: no further from its value than half the step of the
// code's segment, and never out of order.
func TestG711EncodesEverySample(t *testing.T) {
	laws := []struct {
		name   string
		encode func(int16) byte
		decode func(byte) int16
		half   func(code byte) int
		clip   int // the loudest that can be said
	}{
		{"PCMU", EncodeULaw, DecodeULaw, func(code byte) int { return 4 << (^code >> 4 & 7) }, 32124},
		{"PCMA", EncodeALaw, DecodeALaw, func(code byte) int { return 8 << max(0, int((code^0x55)>>4&7)-1) }, 32256},
	}
	for _, law := range laws {
		t.Run(law.name, func(t *testing.T) {
			before := int16(-32768)
			for v := -32768; v <= 32767; v++ {
				code := law.encode(int16(v))
				got := law.decode(code)
				if d := distance(max(-law.clip, min(law.clip, v)), got); d > law.half(code) {
					t.Fatalf("%d comes back as %d, more than %d away", v, got, law.half(code))
				}
				if got < before {
					t.Fatalf("%d comes back as %d, less than its neighbour's %d", v, got, before)
				}
				before = got
			}
		})
	}
}

func TestG711EveryCodeComesBack(t *testing.T) {
	for i := range 256 {
		code := byte(i)
		if got := EncodeALaw(DecodeALaw(code)); got != code {
			t.Errorf("A-law %#02x comes back as %#02x", code, got)
		}
		want := code
		if code == 0x7F {
			want = 0xFF // the negative zero of µ-law
		}
		if got := EncodeULaw(DecodeULaw(code)); got != want {
			t.Errorf("µ-law %#02x comes back as %#02x", code, got)
		}
	}
}

// The ends and the middle of both laws, from the tables of ITU-T G.711 scaled to 16 bits.
func TestG711KnownValues(t *testing.T) {
	for code, want := range map[byte]int16{0x00: -32124, 0x80: 32124, 0xFF: 0, 0x7F: 0, 0xFE: 8, 0x7E: -8} {
		if got := DecodeULaw(code); got != want {
			t.Errorf("µ-law %#02x is %d, want %d", code, got, want)
		}
	}
	for code, want := range map[byte]int16{0xD5: 8, 0x55: -8, 0xAA: 32256, 0x2A: -32256} {
		if got := DecodeALaw(code); got != want {
			t.Errorf("A-law %#02x is %d, want %d", code, got, want)
		}
	}
}

func TestTranscodeTables(t *testing.T) {
	b := []byte{ulawSilence, EncodeULaw(1000), EncodeULaw(-20000)}
	translate(b, PCMA)
	if b[0] != alawSilence || distance(1000, DecodeALaw(b[1])) > 64 || distance(-20000, DecodeALaw(b[2])) > 1024 {
		t.Errorf("µ-law to A-law gives %x", b)
	}
	translate(b, PCMU)
	if distance(1000, DecodeULaw(b[1])) > 64 || distance(-20000, DecodeULaw(b[2])) > 1024 {
		t.Errorf("and back gives %x", b)
	}
}
