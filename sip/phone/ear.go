package phone

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"callhall/call"
	"callhall/media"
)

// rate is how many samples a second G.711 has.
const rate = 8000

// earLength is how much of what was heard last is kept for analysis: one second.
const earLength = rate

// loud is the sample from which on sound is not silence: about -46 dBov. Comfort noise and hum stay below.
const loud = 160

// An ear hears what the far side sends. It is a call.Tap.
type ear struct {
	onSound func() // called once, on a packet loop

	mu      sync.Mutex
	last    [earLength]int16 // a ring
	at      int              // where the next sample goes
	frames  uint64
	sounded bool
	capture *capture
}

// Heard takes one packet.
func (e *ear) Heard(p call.Packet) {
	decode := media.DecodeULaw
	switch media.Codec(p.Type) {
	case media.PCMU:
	case media.PCMA:
		decode = media.DecodeALaw
	default:
		return
	}
	e.mu.Lock()
	e.frames++
	first := false
	for _, b := range p.Payload {
		v := decode(b)
		e.last[e.at%earLength] = v
		e.at++
		first = first || !e.sounded && (v > loud || v < -loud)
	}
	if e.capture != nil {
		e.capture.write(p, decode)
	}
	e.sounded = e.sounded || first
	e.mu.Unlock()
	if first && e.onSound != nil {
		e.onSound()
	}
}

// samples returns what was heard last, oldest first: a second of it, or less at the beginning.
func (e *ear) samples() []int16 {
	e.mu.Lock()
	defer e.mu.Unlock()
	n := min(e.at, earLength)
	out := make([]int16, 0, n)
	for i := e.at - n; i < e.at; i++ {
		out = append(out, e.last[i%earLength])
	}
	return out
}

func (e *ear) count() uint64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.frames
}

// keep writes what is heard from now on to a WAV file at path, until the ear is closed.
func (e *ear) keep(path string) error {
	c, err := newCapture(path)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.capture = c
	return nil
}

// close ends the capture.
func (e *ear) close() error {
	e.mu.Lock()
	c := e.capture
	e.capture = nil
	e.mu.Unlock()
	if c == nil {
		return nil
	}
	return c.close()
}

// maxGap is the longest silence that a capture fills in for packets that did not come.
const maxGap = 10 * time.Second

// A capture is a WAV file, 16-bit mono at 8000 a second, in the making.
type capture struct {
	file    *os.File
	samples uint32
	ssrc    uint32
	next    uint32 // the RTP timestamp that would follow without a gap
	begun   bool
	err     error
}

func newCapture(path string) (*capture, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("capture: %w", err)
	}
	c := &capture{file: f}
	_, c.err = f.Write(make([]byte, wavHeader))
	return c, nil
}

// write appends a packet, with silence for those that are missing before it. A late packet is left out.
func (c *capture) write(p call.Packet, decode func(byte) int16) {
	gap := int32(p.TS - c.next)
	if c.err != nil || c.begun && p.SSRC == c.ssrc && gap < 0 {
		return
	}
	if !c.begun || p.SSRC != c.ssrc || time.Duration(gap)*time.Second/rate > maxGap {
		gap = 0
	}
	c.begun, c.ssrc, c.next = true, p.SSRC, p.TS+uint32(len(p.Payload))
	pcm := make([]byte, 2*int(gap), 2*(int(gap)+len(p.Payload)))
	for _, b := range p.Payload {
		pcm = binary.LittleEndian.AppendUint16(pcm, uint16(decode(b)))
	}
	c.samples += uint32(len(pcm) / 2)
	_, c.err = c.file.Write(pcm)
}

// wavHeader is the size of a plain WAV header in bytes.
const wavHeader = 44

// close writes the header, now that the length is known.
func (c *capture) close() error {
	size := 2 * c.samples
	h := append([]byte("RIFF"), 0, 0, 0, 0)
	binary.LittleEndian.PutUint32(h[4:], wavHeader-8+size)
	h = append(h, "WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00"...)
	h = binary.LittleEndian.AppendUint32(h, rate)
	h = binary.LittleEndian.AppendUint32(h, 2*rate)
	h = append(h, "\x02\x00\x10\x00data"...)
	h = binary.LittleEndian.AppendUint32(h, size)
	if c.err == nil {
		_, c.err = c.file.Seek(0, io.SeekStart)
	}
	if c.err == nil {
		_, c.err = c.file.Write(h)
	}
	if err := c.file.Close(); c.err == nil {
		c.err = err
	}
	if c.err != nil {
		return fmt.Errorf("capture: %w", c.err)
	}
	return nil
}
