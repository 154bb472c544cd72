package media

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// wavFile is a WAV of that format with an unknown chunk of odd length before its sound.
func wavFile(tag, channels uint16, hertz uint32, depth uint16, data []byte) []byte {
	var b bytes.Buffer
	b.WriteString("RIFF\x00\x00\x00\x00WAVEfmt \x10\x00\x00\x00")
	frame := channels * depth / 8
	for _, v := range []any{tag, channels, hertz, hertz * uint32(frame), frame, depth} {
		binary.Write(&b, binary.LittleEndian, v)
	}
	b.WriteString("LIST\x03\x00\x00\x00abc\x00data")
	binary.Write(&b, binary.LittleEndian, uint32(len(data)))
	b.Write(data)
	return b.Bytes()
}

func TestParseWAV(t *testing.T) {
	codes := []byte{0x00, 0x12, 0x80, 0xFE, 0xD5}
	ulaw, err := ParseWAV(bytes.NewReader(wavFile(wavULaw8())))
	if err != nil {
		t.Fatal(err)
	}
	if got := ulaw.ulaw; !bytes.Equal(got, codes) || ulaw.alaw[2] != EncodeALaw(32124) {
		t.Errorf("µ-law file gives %x and %x", got, ulaw.alaw)
	}
	alaw, err := ParseWAV(bytes.NewReader(wavFile(waveALaw, 1, 8000, 8, codes)))
	if err != nil || !bytes.Equal(alaw.alaw, codes) {
		t.Errorf("A-law file gives %v, %v", alaw, err)
	}
	pcm, err := ParseWAV(bytes.NewReader(wavFile(wavePCM, 1, 8000, 16, []byte{0x00, 0x00, 0xFF, 0x7F})))
	if err != nil || !bytes.Equal(pcm.ulaw, []byte{0xFF, 0x80}) {
		t.Errorf("PCM file gives %v, %v", pcm, err)
	}
}

func wavULaw8() (tag, channels uint16, hertz uint32, depth uint16, data []byte) {
	return waveULaw, 1, 8000, 8, []byte{0x00, 0x12, 0x80, 0xFE, 0xD5}
}

func TestParseWAVRefuses(t *testing.T) {
	whole := wavFile(wavULaw8())
	for name, file := range map[string][]byte{
		"nothing":    {},
		"text":       []byte("this is not a sound at all, though long enough"),
		"cut off":    whole[:len(whole)-1],
		"stereo":     wavFile(wavePCM, 2, 8000, 16, make([]byte, 8)),
		"CD rate":    wavFile(wavePCM, 1, 44100, 16, make([]byte, 8)),
		"24 bits":    wavFile(wavePCM, 1, 8000, 24, make([]byte, 6)),
		"no sound":   wavFile(wavePCM, 1, 8000, 16, nil),
		"no data":    whole[:36],
		"short fmt":  []byte("RIFF\x00\x00\x00\x00WAVEfmt \x04\x00\x00\x00\x07\x00\x01\x00"),
		"data first": []byte("RIFF\x00\x00\x00\x00WAVEdata\x04\x00\x00\x00abcd"),
	} {
		if _, err := ParseWAV(bytes.NewReader(file)); !errors.Is(err, ErrNotWAV) {
			t.Errorf("%s: %v, want ErrNotWAV", name, err)
		}
	}
}

func TestGoertzel(t *testing.T) {
	clip := Tone(440, 0.5, time.Second)
	sound := decode(clip.ulaw, PCMU)
	if at, beside := Goertzel(sound, 440), Goertzel(sound, 880); at < 0.95 || beside > 0.01 {
		t.Errorf("440 Hz measures %.3f at 440 and %.3f at 880", at, beside)
	}
	if got := Goertzel(make([]int16, 160), 440); got != 0 {
		t.Errorf("silence measures %v", got)
	}
	if got := Goertzel(nil, 440); got != 0 {
		t.Errorf("nothing measures %v", got)
	}
}

// decode is the samples of G.711.
func decode(b []byte, codec Codec) []int16 {
	samples := make([]int16, len(b))
	for i, c := range b {
		if samples[i] = DecodeULaw(c); codec == PCMA {
			samples[i] = DecodeALaw(c)
		}
	}
	return samples
}

func TestLibraryHasItsSounds(t *testing.T) {
	l, err := OpenLibrary("")
	if err != nil {
		t.Fatal(err)
	}
	for _, language := range []string{"en", "es", "es-MX", "EN-us"} {
		for _, name := range []string{"notice", "wait", "resume", "hold"} {
			c, err := l.Clip(language, name)
			if err != nil {
				t.Errorf("%s %s: %v", language, name, err)
				continue
			}
			if loud := rms(c); loud < 500 || loud > 8000 {
				t.Errorf("%s %s has a level of %.0f", language, name, loud)
			}
		}
	}
	notice, _ := l.Clip("es", "notice")
	if notice.Length() < 2*time.Second || notice.Length() > 4*time.Second {
		t.Errorf("the notice lasts %v", notice.Length())
	}
	if english, _ := l.Clip("en", "notice"); english == notice {
		t.Error("the Spanish notice is the English one")
	}
	if other, _ := l.Clip("vi", "notice"); other == nil || other == notice {
		t.Error("a language without a notice does not get the English one")
	}
	if _, err := l.Clip("en", "../hold"); !errors.Is(err, ErrNoClip) {
		t.Errorf("a path for a name: %v", err)
	}
	if _, err := l.Clip("en", "nonesuch"); !errors.Is(err, ErrNoClip) {
		t.Errorf("no such sound: %v", err)
	}
}

func rms(c *Clip) float64 {
	sum := 0.0
	for _, v := range decode(c.ulaw, PCMU) {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum / float64(len(c.ulaw)))
}

// The music begins and ends at zero, so that its seam is not heard.
func TestHoldMusicLoopsWithoutClick(t *testing.T) {
	l, err := OpenLibrary("")
	if err != nil {
		t.Fatal(err)
	}
	hold, err := l.Clip("es", "hold")
	if err != nil {
		t.Fatal(err)
	}
	if hold.Length() < 20*time.Second {
		t.Errorf("the music lasts %v", hold.Length())
	}
	sound := decode(hold.ulaw, PCMU)
	if step := distance(int(sound[len(sound)-1]), sound[0]); step > 100 {
		t.Errorf("its seam is a step of %d", step)
	}
}

func TestLibraryOfTheCity(t *testing.T) {
	dir := t.TempDir()
	file := wavFile(wavULaw8())
	if err := os.MkdirAll(filepath.Join(dir, "es"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "es", "notice.wav"), file, 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := OpenLibrary(dir)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(file)
	if c, err := l.Clip("es", "notice"); err != nil || c.SHA256() != hex.EncodeToString(sum[:]) {
		t.Errorf("the city's notice: %v, %v", c, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "hold.wav"), []byte("no"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenLibrary(dir); !errors.Is(err, ErrNotWAV) {
		t.Errorf("a broken file: %v", err)
	}
	if _, err := OpenLibrary(filepath.Join(dir, "nonesuch")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
}

func TestClipFrames(t *testing.T) {
	c := &Clip{ulaw: []byte{1, 2, 3}, alaw: []byte{4, 5, 6}}
	b := make([]byte, 8)
	if pos := c.frame(b, PCMU, 1, true); pos != 3 || !bytes.Equal(b, []byte{2, 3, 1, 2, 3, 1, 2, 3}) {
		t.Errorf("looped: %v, then %d", b, pos)
	}
	if c.frame(b, PCMA, 2, false); !bytes.Equal(b, []byte{6, 0xD5, 0xD5, 0xD5, 0xD5, 0xD5, 0xD5, 0xD5}) {
		t.Errorf("at its end: %x", b)
	}
	if (&Clip{}).frame(b, PCMU, 0, true); b[0] != 0xFF {
		t.Errorf("an empty clip: %x", b)
	}
}
