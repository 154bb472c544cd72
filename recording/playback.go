package recording

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"callhall/call"
)

// wavHeader is the length of a WAV header: RIFF, fmt of 16 bytes, data.
const wavHeader = 44

// frameBytes is one sample of both channels, 16 bits each.
const frameBytes = 4

// How many seconds are asked of the store at once: few at first, so that sound begins soon, then more.
const (
	firstAhead  = 4
	widestAhead = 64
)

// source reads an object by ranges.
type source func(ctx context.Context, off, n int64) (io.ReadCloser, error)

// Playback is a recording as a WAV file: 16-bit PCM, stereo, 8 kHz, the caller on the left. Only the seconds that are
// read are fetched and opened. It is for one goroutine. Reads fail with ErrDamaged rather than give noise, and with
// ErrErased from the due time on, however early it was opened.
type Playback struct {
	ctx    context.Context // of the request it was opened for: io.Reader has no place for one
	object *opening
	from   source
	due    time.Time
	clock  Clock
	close  func() error

	pos   int64 // in the WAV file
	have  int64 // the second that is in plain; -1 is none
	plain []byte
	ahead io.ReadCloser // stands before second next, and ends at second until
	next  int64
	until int64
	step  int64
	buf   [chunkSealed]byte
}

// openPlayback reads header and manifest from an object.
func openPlayback(ctx context.Context, city call.CityID, id rawID, key []byte, from source) (*Playback, error) {
	head, err := readPart(ctx, from, 0, objectHeader)
	if err != nil {
		return nil, err
	}
	o, sealed, err := readHeader(head, city, id, key)
	if err != nil {
		return nil, err
	}
	about, err := readPart(ctx, from, objectHeader, int64(sealed))
	if err != nil {
		return nil, err
	}
	if err := o.openManifest(about); err != nil {
		return nil, err
	}
	return &Playback{ctx: ctx, object: o, from: from, have: -1, step: firstAhead / 2, close: func() error { return nil }}, nil
}

// readPart reads n bytes from off on, all of them.
func readPart(ctx context.Context, from source, off, n int64) ([]byte, error) {
	r, err := from(ctx, off, n)
	if err != nil {
		return nil, err
	}
	b := make([]byte, n)
	_, err = io.ReadFull(r, b)
	return b, errors.Join(short(err), r.Close())
}

// short turns the end of an object before its time into ErrDamaged.
func short(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("object: cut off: %w", ErrDamaged)
	}
	return err
}

// Size is the length of the WAV file in bytes.
func (p *Playback) Size() int64 { return wavHeader + p.object.samples*frameBytes }

// Length is how long it sounds.
func (p *Playback) Length() time.Duration { return length(p.object.samples) }

// Manifest says what is in it.
func (p *Playback) Manifest() Manifest { return p.object.manifest }

// Close gives back what the playback holds. It must be called.
func (p *Playback) Close() error {
	err := p.drop()
	clear(p.plain)
	return errors.Join(err, p.close())
}

// Seek implements io.Seeker, in bytes of the WAV file.
func (p *Playback) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += p.pos
	case io.SeekEnd:
		offset += p.Size()
	}
	if offset < 0 || whence < io.SeekStart || whence > io.SeekEnd {
		return p.pos, fmt.Errorf("seek to %d", offset)
	}
	p.pos = offset
	return offset, nil
}

// Read implements io.Reader. It gives at most one second at a time.
func (p *Playback) Read(b []byte) (int, error) {
	if p.clock != nil && !latest(p.clock).Before(p.due) {
		return 0, ErrErased
	}
	if p.pos >= p.Size() {
		return 0, io.EOF
	}
	if p.pos < wavHeader {
		head := wavHead(p.object.samples)
		n := copy(b, head[p.pos:])
		p.pos += int64(n)
		return n, nil
	}
	at := p.pos - wavHeader
	if err := p.fetch(at / (Rate * frameBytes)); err != nil {
		return 0, err
	}
	n := p.render(b[:min(int64(len(b)), p.Size()-p.pos)], int(at%(Rate*frameBytes)))
	p.pos += int64(n)
	return n, nil
}

// render writes PCM of the second at hand from byte off on: whole and broken frames alike, for a Range may begin anywhere.
func (p *Playback) render(b []byte, off int) int {
	l, r := codec(p.plain[0]).table(), codec(p.plain[1]).table()
	caller, agent := p.plain[chunkHead:chunkHead+Rate], p.plain[chunkHead+Rate:]
	n := 0
	var frame [frameBytes]byte
	for n < len(b) && off < Rate*frameBytes {
		i := off / frameBytes
		binary.LittleEndian.PutUint16(frame[0:], uint16(l[caller[i]]))
		binary.LittleEndian.PutUint16(frame[2:], uint16(r[agent[i]]))
		c := copy(b[n:], frame[off%frameBytes:])
		n, off = n+c, off+c
	}
	return n
}

// fetch makes second n the one at hand.
func (p *Playback) fetch(n int64) error {
	if p.have == n {
		return nil
	}
	if p.ahead == nil || p.next != n || p.next == p.until {
		if err := p.reach(n); err != nil {
			return err
		}
	}
	p.have = -1
	if _, err := io.ReadFull(p.ahead, p.buf[:]); err != nil {
		return short(err)
	}
	p.next++
	var err error
	if p.plain, err = p.object.openChunk(p.plain, p.buf[:], uint32(n)); err != nil {
		return err
	}
	p.have = n
	return nil
}

// reach asks the store for the seconds from n on; the more the longer the reading has gone on in a row.
func (p *Playback) reach(n int64) error {
	if p.next == n {
		p.step = min(2*p.step, widestAhead)
	} else {
		p.step = firstAhead
	}
	if err := p.drop(); err != nil {
		return err
	}
	p.next, p.until = n, min(n+p.step, int64(p.object.chunks))
	var err error
	p.ahead, err = p.from(p.ctx, p.object.at(uint32(n)), (p.until-n)*chunkSealed)
	return err
}

func (p *Playback) drop() error {
	if p.ahead == nil {
		return nil
	}
	err := p.ahead.Close()
	p.ahead = nil
	return err
}

// wavHead is the header of a WAV file with so many samples a channel.
func wavHead(samples int64) (h [wavHeader]byte) {
	data := uint32(samples * frameBytes)
	copy(h[0:], "RIFF")
	binary.LittleEndian.PutUint32(h[4:], data+wavHeader-8)
	copy(h[8:], "WAVEfmt ")
	binary.LittleEndian.PutUint32(h[16:], 16)
	binary.LittleEndian.PutUint16(h[20:], 1) // PCM
	binary.LittleEndian.PutUint16(h[22:], 2) // channels
	binary.LittleEndian.PutUint32(h[24:], Rate)
	binary.LittleEndian.PutUint32(h[28:], Rate*frameBytes)
	binary.LittleEndian.PutUint16(h[32:], frameBytes)
	binary.LittleEndian.PutUint16(h[34:], 16)
	copy(h[36:], "data")
	binary.LittleEndian.PutUint32(h[40:], data)
	return h
}
