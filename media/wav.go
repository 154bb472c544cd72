package media

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// ErrNotWAV says that a file is not a WAV of a kind that can be played.
var ErrNotWAV = errors.New("not a WAV file of 8000 Hz, mono, 16-bit PCM, µ-law or A-law")

// maxWAV is the largest file that is read: 16 MiB, over half an hour of µ-law.
const maxWAV = 16 << 20

// The format tags of a WAV's fmt chunk (RFC 2361).
const (
	wavePCM  = 1
	waveALaw = 6
	waveULaw = 7
)

// ParseWAV reads a RIFF WAV file of 8000 Hz, one channel, as 16-bit PCM, µ-law or A-law. Chunks that it does not know
// are skipped. Errors are ErrNotWAV or r's.
func ParseWAV(r io.Reader) (*Clip, error) {
	file, err := io.ReadAll(io.LimitReader(r, maxWAV+1))
	if err != nil {
		return nil, fmt.Errorf("read WAV: %w", err)
	}
	if len(file) > maxWAV {
		return nil, fmt.Errorf("%w: longer than %d bytes", ErrNotWAV, maxWAV)
	}
	tag, data, err := wavData(file)
	if err != nil {
		return nil, err
	}
	c := newClip(wavSamples(tag, data))
	switch tag { // what was G.711 already is played as it was
	case waveULaw:
		c.ulaw = bytes.Clone(data)
	case waveALaw:
		c.alaw = bytes.Clone(data)
	}
	c.sum = sha256.Sum256(file)
	return c, nil
}

// wavData walks the chunks of a RIFF file and returns its format tag and its sound.
func wavData(file []byte) (tag uint16, data []byte, err error) {
	if len(file) < 12 || string(file[:4]) != "RIFF" || string(file[8:12]) != "WAVE" {
		return 0, nil, fmt.Errorf("%w: no RIFF WAVE header", ErrNotWAV)
	}
	known := false
	for rest := file[12:]; len(rest) >= 8; {
		name, size := string(rest[:4]), binary.LittleEndian.Uint32(rest[4:])
		body := rest[8:]
		if uint64(size) > uint64(len(body)) {
			return 0, nil, fmt.Errorf("%w: chunk %q is cut off", ErrNotWAV, name)
		}
		switch name {
		case "fmt ":
			if tag, err = wavFormat(body[:size]); err != nil {
				return 0, nil, err
			}
			known = true
		case "data":
			if !known {
				return 0, nil, fmt.Errorf("%w: data before its format", ErrNotWAV)
			}
			if size == 0 {
				return 0, nil, fmt.Errorf("%w: no sound in it", ErrNotWAV)
			}
			return tag, body[:size], nil
		}
		rest = body[min(uint64(size)+uint64(size&1), uint64(len(body))):] // chunks are padded to even lengths
	}
	return 0, nil, fmt.Errorf("%w: no data chunk", ErrNotWAV)
}

// wavFormat reads a fmt chunk and refuses what cannot be played.
func wavFormat(chunk []byte) (tag uint16, err error) {
	if len(chunk) < 16 {
		return 0, fmt.Errorf("%w: fmt chunk of %d bytes", ErrNotWAV, len(chunk))
	}
	tag = binary.LittleEndian.Uint16(chunk)
	channels, hertz := binary.LittleEndian.Uint16(chunk[2:]), binary.LittleEndian.Uint32(chunk[4:])
	depth := binary.LittleEndian.Uint16(chunk[14:])
	plays := tag == wavePCM && depth == 16 || (tag == waveULaw || tag == waveALaw) && depth == 8
	if !plays || channels != 1 || hertz != rate {
		return 0, fmt.Errorf("%w: format %d, %d channels, %d Hz, %d bits", ErrNotWAV, tag, channels, hertz, depth)
	}
	return tag, nil
}

// wavSamples decodes data; an odd last byte of 16-bit sound is left out.
func wavSamples(tag uint16, data []byte) []int16 {
	if tag == wavePCM {
		samples := make([]int16, len(data)/2)
		for i := range samples {
			samples[i] = int16(binary.LittleEndian.Uint16(data[2*i:]))
		}
		return samples
	}
	decode := DecodeULaw
	if tag == waveALaw {
		decode = DecodeALaw
	}
	samples := make([]int16, len(data))
	for i, c := range data {
		samples[i] = decode(c)
	}
	return samples
}
