package recording

import (
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"callhall/call"
)

// The object's format is in FORMAT.md. Whatever is written once must be readable for fourteen days and is compared with
// what other software wrote: these values never change under this magic.
const (
	objectMagic  = "CHREC001"
	objectHeader = 64
	chunkHead    = 4                     // codec left, codec right, two zeros
	chunkPlain   = chunkHead + 2*Rate    // and one second of either side
	chunkSealed  = chunkPlain + tagSize  // as it stands in the object
	maxManifest  = 1 << 20               // bytes, sealed
	maxSamples   = int64(24*3600) * Rate // a day: no object is longer
	kindManifest = 'm'
	kindSound    = 's'
)

// Manifest says what an object holds: sealed in the object itself, so that it goes when the sound goes.
type Manifest struct {
	Version   int         `json:"v"`
	Call      call.ID     `json:"call"`
	Node      string      `json:"node"`
	StartedAt time.Time   `json:"started_at"`
	EndedAt   time.Time   `json:"ended_at"` // when the last frame was kept
	DueAt     time.Time   `json:"due_at"`
	Notice    call.Notice `json:"notice,omitzero"`
	Samples   int64       `json:"samples"`
	Channels  [2]Channel  `json:"channels"` // left is the caller, right the agent
	Gaps      []Gap       `json:"gaps,omitempty"`
	Dropped   uint32      `json:"dropped,omitempty"`        // frames that no room was left for
	Damaged   uint32      `json:"damaged_chunks,omitempty"` // chunks that could not be read back from the spool
	Recovered bool        `json:"recovered,omitempty"`      // finished after a crash
}

// Channel is one side: who was heard in it, and how complete it is, in RTP packets.
type Channel struct {
	Parties   []Party `json:"parties"`
	Expected  uint32  `json:"expected"`
	Received  uint32  `json:"received"`
	Lost      uint32  `json:"lost"`
	Duplicate uint32  `json:"duplicate,omitempty"`
	Late      uint32  `json:"late,omitempty"`
	Restarts  uint32  `json:"restarts,omitempty"`
}

// Party is one leg in a channel, from sample to sample.
type Party struct {
	Leg  call.LegID `json:"leg"`
	From uint32     `json:"from"`
	To   uint32     `json:"to"`
}

// Gap is a stretch of a recording in which nothing was kept, from sample to sample.
type Gap struct {
	From uint32 `json:"from"`
	To   uint32 `json:"to"`
	Why  string `json:"why"` // "paused"
}

func newChannel(leg call.LegID, t tally) Channel {
	c := Channel{Parties: []Party{}, Expected: t.Expected, Received: t.Received, Lost: t.lost(),
		Duplicate: t.Duplicate, Late: t.Late, Restarts: t.Restarts}
	if t.End > 0 {
		c.Parties = append(c.Parties, Party{Leg: leg, From: t.First, To: t.End})
	}
	return c
}

// sealer makes the pieces of one object.
type sealer struct {
	city   call.CityID
	id     rawID
	aead   cipher.AEAD
	header [objectHeader]byte
	chunks uint32
	aad    []byte
}

// newSealer derives an object's own key from the data key and fresh salt, and lays down its header. sealed is the
// length of the sealed manifest.
func newSealer(city call.CityID, id rawID, key []byte, samples int64, sealed int) (*sealer, error) {
	s := &sealer{city: city, id: id, chunks: chunksOf(samples)}
	h := s.header[:]
	copy(h, objectMagic)
	copy(h[8:], id[:])
	rand.Read(h[24:40])
	binary.BigEndian.PutUint32(h[40:], Rate)
	binary.BigEndian.PutUint32(h[44:], s.chunks)
	binary.BigEndian.PutUint64(h[48:], uint64(samples))
	binary.BigEndian.PutUint32(h[56:], uint32(sealed))
	binary.BigEndian.PutUint32(h[60:], chunkSealed)
	var err error
	s.aead, err = derive(key, h[24:40], useObject)
	return s, err
}

// chunksOf is how many chunks of a second so many samples fill.
func chunksOf(samples int64) uint32 { return uint32((samples + Rate - 1) / Rate) }

// objectSize is how long an object is, all told.
func objectSize(samples int64, sealedManifest int) int64 {
	return objectHeader + int64(sealedManifest) + int64(chunksOf(samples))*chunkSealed
}

// binding is the associated data of a piece: what it is and where it belongs, and the whole header.
func (s *sealer) binding(n uint32) []byte {
	s.aad = bind(s.aad[:0], useObject, s.city, s.id, n, n+1 == s.chunks)
	s.aad = append(s.aad, s.header[:]...)
	return s.aad
}

func (s *sealer) sealManifest(dst, plain []byte) []byte {
	n := nonce(kindManifest, 0)
	return s.aead.Seal(dst, n[:], plain, s.binding(s.chunks))
}

func (s *sealer) sealChunk(dst, plain []byte, n uint32) []byte {
	iv := nonce(kindSound, n)
	return s.aead.Seal(dst, iv[:], plain, s.binding(n))
}

// opening reads the pieces of one object.
type opening struct {
	sealer
	samples  int64
	start    int64 // where the first chunk begins
	manifest Manifest
}

// readHeader reads an object's header and checks that it is the one asked for. sealed is the length of the manifest that
// follows it. Nothing of it is trusted until a piece has been opened, for every piece binds it.
func readHeader(head []byte, city call.CityID, id rawID, key []byte) (o *opening, sealed int, err error) {
	if len(head) < objectHeader || string(head[:8]) != objectMagic {
		return nil, 0, fmt.Errorf("object: not a recording: %w", ErrDamaged)
	}
	o = &opening{sealer: sealer{city: city, id: id}}
	copy(o.header[:], head)
	o.chunks = binary.BigEndian.Uint32(head[44:])
	o.samples = int64(binary.BigEndian.Uint64(head[48:]))
	size := binary.BigEndian.Uint32(head[56:])
	fits := o.samples >= 0 && o.samples <= maxSamples && o.chunks == chunksOf(o.samples) && size > tagSize && size <= maxManifest &&
		rawID(head[8:24]) == id && binary.BigEndian.Uint32(head[40:]) == Rate && binary.BigEndian.Uint32(head[60:]) == chunkSealed
	if !fits {
		return nil, 0, fmt.Errorf("object: header: %w", ErrDamaged)
	}
	o.start = objectHeader + int64(size)
	o.aead, err = derive(key, head[24:40], useObject)
	return o, int(size), err
}

func (o *opening) openManifest(sealed []byte) error {
	n := nonce(kindManifest, 0)
	plain, err := o.aead.Open(nil, n[:], sealed, o.binding(o.chunks))
	if err != nil {
		return fmt.Errorf("object: manifest: %w", ErrDamaged)
	}
	if err := json.Unmarshal(plain, &o.manifest); err != nil {
		return fmt.Errorf("object: manifest: %w", ErrDamaged)
	}
	return nil
}

// openChunk opens chunk n into dst.
func (o *opening) openChunk(dst, sealed []byte, n uint32) ([]byte, error) {
	iv := nonce(kindSound, n)
	plain, err := o.aead.Open(dst[:0], iv[:], sealed, o.binding(n))
	if err != nil || len(plain) != chunkPlain || !codec(plain[0]).known() || !codec(plain[1]).known() {
		return nil, fmt.Errorf("object: second %d: %w", n, ErrDamaged)
	}
	return plain, nil
}

// at is where chunk n begins in the object.
func (o *opening) at(n uint32) int64 { return o.start + int64(n)*chunkSealed }
