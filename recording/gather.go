package recording

import (
	"encoding/json"
	"fmt"
	"io"

	"callhall/call"
)

// A frame may stand this far before the arrival of the frames written at the same time: mostBehind, and a second for
// the two loops that the sides may come from.
const settled = mostBehind + Rate

// chunkSource gives a recording's chunks, opened, in order; io.EOF after the last. What it returns is valid until the
// next call.
type chunkSource func() ([]byte, error)

// gatherer reads chunks of a quarter of a second as they came and gives the object, front to back, as an io.Reader. It
// holds a few seconds of sound at a time.
type gatherer struct {
	next   chunkSource
	sealer *sealer
	size   int64 // of the whole object

	totals  totals
	ended   bool // next has come to its end
	written uint32
	seconds map[uint32]*second
	idle    []*second
	out     []byte // sealed and not yet read
	buf     []byte // what out is a part of
}

// second is one second of both sides, in the form in which it is sealed.
type second struct {
	plain [chunkPlain]byte
	heard [2]bool // the side's codec is settled
}

// newGatherer begins the object of a finished recording. Every call makes another object: same sound, another salt.
func newGatherer(city call.CityID, id rawID, key []byte, m Manifest, next chunkSource) (*gatherer, error) {
	about, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("gather %s: manifest: %w", id.ID(), err)
	}
	if m.Samples > maxSamples || len(about)+tagSize > maxManifest {
		return nil, fmt.Errorf("gather %s: too long: %d samples, manifest of %d bytes", id.ID(), m.Samples, len(about))
	}
	s, err := newSealer(city, id, key, m.Samples, len(about)+tagSize)
	if err != nil {
		return nil, fmt.Errorf("gather %s: %w", id.ID(), err)
	}
	g := &gatherer{next: next, sealer: s, size: objectSize(m.Samples, len(about)+tagSize), seconds: map[uint32]*second{}}
	g.buf = s.sealManifest(append(g.buf, s.header[:]...), about)
	g.out = g.buf
	return g, nil
}

// Read gives the next bytes of the object. Errors: the source's; io.EOF at the end.
func (g *gatherer) Read(p []byte) (int, error) {
	for len(g.out) == 0 {
		if g.written == g.sealer.chunks {
			return 0, io.EOF
		}
		if g.ended || int64(g.written+1)*Rate+settled <= int64(g.totals.heard) {
			g.seal()
			continue
		}
		if err := g.pull(); err != nil {
			return 0, err
		}
	}
	n := copy(p, g.out)
	g.out = g.out[n:]
	return n, nil
}

// pull paints one more chunk.
func (g *gatherer) pull() error {
	items, err := g.next()
	if err == io.EOF {
		g.ended = true
		return nil
	}
	if err != nil {
		return err
	}
	return g.totals.fold(items, g.paint)
}

// seal closes the oldest second.
func (g *gatherer) seal() {
	sec := g.seconds[g.written]
	if sec == nil {
		sec = g.blank()
	}
	g.buf = g.sealer.sealChunk(g.buf[:0], sec.plain[:], g.written)
	g.out = g.buf
	delete(g.seconds, g.written)
	g.idle = append(g.idle, sec)
	g.written++
}

// paint lays one frame over what it covers. What is already sealed stays as it is.
func (g *gatherer) paint(kind byte, pos uint32, data []byte) {
	side, c := int(kind&1), codec(kind&^1)
	for len(data) > 0 {
		n, offset := pos/Rate, int(pos%Rate)
		fits := min(len(data), Rate-offset)
		if n >= g.written && n < g.sealer.chunks {
			g.second(n).paint(side, c, offset, data[:fits])
		}
		data, pos = data[fits:], pos+uint32(fits)
	}
}

func (g *gatherer) second(n uint32) *second {
	sec := g.seconds[n]
	if sec == nil {
		sec = g.blank()
		g.seconds[n] = sec
	}
	return sec
}

// blank is a second of silence.
func (g *gatherer) blank() *second {
	sec := &second{}
	if n := len(g.idle); n > 0 {
		sec, g.idle = g.idle[n-1], g.idle[:n-1]
	}
	sec.heard = [2]bool{}
	sec.clear(left, pcmu)
	sec.clear(right, pcmu)
	return sec
}

func (s *second) side(side int) []byte {
	return s.plain[chunkHead+side*Rate : chunkHead+(side+1)*Rate]
}

// clear makes a side silent in codec c.
func (s *second) clear(side int, c codec) {
	s.plain[side] = byte(c)
	b, quiet := s.side(side), c.silence()
	for i := range b {
		b[i] = quiet
	}
}

// paint puts data at offset. The first frame settles the codec of the side for this second.
func (s *second) paint(side int, c codec, offset int, data []byte) {
	if !s.heard[side] {
		s.heard[side] = true
		if codec(s.plain[side]) != c {
			s.clear(side, c)
		}
	}
	dst := s.side(side)[offset:]
	if is := codec(s.plain[side]); is != c {
		recode(dst, data, c, is)
		return
	}
	copy(dst, data)
}
