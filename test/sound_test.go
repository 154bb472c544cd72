package test

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"testing"
)

const sampleRate = 8000

// tone is a sine of that frequency at half of full scale.
func tone(freq float64, seconds float64) []int16 {
	s := make([]int16, int(seconds*sampleRate))
	for i := range s {
		s[i] = int16(16000 * math.Sin(2*math.Pi*freq*float64(i)/sampleRate))
	}
	return s
}

// writeWAV writes 16-bit mono at 8 kHz.
func writeWAV(t *testing.T, path string, samples []int16) {
	t.Helper()
	var b bytes.Buffer
	b.WriteString("RIFF")
	binary.Write(&b, binary.LittleEndian, uint32(36+2*len(samples)))
	b.WriteString("WAVEfmt ")
	binary.Write(&b, binary.LittleEndian, struct {
		Size          uint32
		Format, Ch    uint16
		Rate, Bytes   uint32
		Align, Sample uint16
	}{16, 1, 1, sampleRate, 2 * sampleRate, 2, 16})
	b.WriteString("data")
	binary.Write(&b, binary.LittleEndian, uint32(2*len(samples)))
	binary.Write(&b, binary.LittleEndian, samples)
	must(t, os.WriteFile(path, b.Bytes(), 0o600))
}

// readWAV returns the channels of 16-bit sound at 8 kHz. A data size that was never patched reads to the end.
func readWAV(t *testing.T, wav []byte) [][]int16 {
	t.Helper()
	if len(wav) < 44 || string(wav[:4]) != "RIFF" || string(wav[8:12]) != "WAVE" {
		t.Fatalf("not a WAV file: %.60q", wav)
	}
	var channels, bits int
	for at := 12; at+8 <= len(wav); {
		id, size := string(wav[at:at+4]), int(binary.LittleEndian.Uint32(wav[at+4:]))
		at += 8
		switch id {
		case "fmt ":
			channels, bits = int(binary.LittleEndian.Uint16(wav[at+2:])), int(binary.LittleEndian.Uint16(wav[at+14:]))
			if rate := binary.LittleEndian.Uint32(wav[at+4:]); rate != sampleRate || bits != 16 || channels < 1 {
				t.Fatalf("WAV has %d channels of %d bits at %d Hz", channels, bits, rate)
			}
		case "data":
			if size == 0 || at+size > len(wav) {
				size = len(wav) - at
			}
			return split(wav[at:at+size], channels)
		}
		at += size + size%2
	}
	t.Fatal("WAV has no data")
	return nil
}

func split(data []byte, channels int) [][]int16 {
	out := make([][]int16, channels)
	for i := 0; i+1 < len(data); i += 2 {
		c := (i / 2) % channels
		out[c] = append(out[c], int16(binary.LittleEndian.Uint16(data[i:])))
	}
	return out
}

// strongest says which of the frequencies the sound holds most of, and what part of all its power that is (0 to 1).
func strongest(samples []int16, freqs ...float64) (freq, share float64) {
	var total float64
	for _, s := range samples {
		total += float64(s) * float64(s)
	}
	if total == 0 {
		return 0, 0
	}
	for _, f := range freqs {
		if p := goertzel(samples, f) / total; p > share {
			freq, share = f, p
		}
	}
	return freq, share
}

// goertzel is the energy of one frequency, in the unit of the sum of squares.
func goertzel(samples []int16, freq float64) float64 {
	coeff := 2 * math.Cos(2*math.Pi*freq/sampleRate)
	var s1, s2 float64
	for _, x := range samples {
		s1, s2 = float64(x)+coeff*s1-s2, s1
	}
	return (s1*s1 + s2*s2 - coeff*s1*s2) * 2 / float64(len(samples))
}

// TestMeasure checks the measure itself.
func TestMeasure(t *testing.T) {
	if f, share := strongest(tone(440, 1), 440, 880); f != 440 || share < 0.99 {
		t.Errorf("a tone of 440 Hz measures as %v with a share of %v", f, share)
	}
	if _, share := strongest(tone(1000, 1), 440, 880); share > 0.01 {
		t.Errorf("a tone of 1000 Hz has a share of %v at 440 or 880", share)
	}
}

// wantTone fails unless the middle of the sound is that tone and not the other.
func wantTone(t *testing.T, what string, samples []int16, want, other float64) {
	t.Helper()
	if len(samples) < sampleRate {
		t.Errorf("%s: only %d samples", what, len(samples))
		return
	}
	middle := samples[len(samples)/4 : len(samples)*3/4]
	const window = sampleRate / 10 // a late packet shifts the phase: it spoils one window, not the whole
	right, all := 0, len(middle)/window
	for i := range all {
		if f, share := strongest(middle[i*window:(i+1)*window], want, other); f == want && share > 0.8 {
			right++
		}
	}
	if right < all*9/10 {
		t.Errorf("%s: %v Hz is heard in %d of %d windows", what, want, right, all)
	}
}
