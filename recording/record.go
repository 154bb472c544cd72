package recording

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"time"

	"callhall/call"
)

// A segment of the spool is a header and then records, each: length of the body (4 bytes, big-endian), CRC-32C of the
// body (4 bytes), body. The first byte of a body says what it is.
const (
	recordOpener = 1 // opens a recording: id, the segment whose key wraps its data key, wrapped key, JSON
	recordChunk  = 2 // sealed items: id, number, last, place of the chunk before, ciphertext
)

const (
	segmentMagic  = "CHSPOOL\x01"
	segmentHeader = len(segmentMagic) + 4 // and the segment's number
	recordHeader  = 4 + 4
	openerFixed   = 1 + 16 + 4 + wrappedSize
	chunkFixed    = 1 + 16 + 4 + 1 + 4 + 4
	maxRecord     = maxPending + 64<<10
)

// openerKeyAt is where in an opener's body the wrapped key stands: it is left out of the CRC, so that it can be
// destroyed in place.
const openerKeyAt = 1 + 16 + 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// place is where a record begins. No record begins at offset 0, so the zero place is none.
type place struct{ segment, offset uint32 }

// opener is the first record of a recording: enough to finish it without the catalogue.
type opener struct {
	ID      rawID  `json:"-"`
	Segment uint32 `json:"-"` // whose key wraps the data key
	Wrapped []byte `json:"-"`

	City    call.CityID `json:"city"`
	Call    call.ID     `json:"call"`
	Node    string      `json:"node"`
	Started time.Time   `json:"started_at"`
	Notice  call.Notice `json:"notice,omitzero"`
}

// binding is the associated data of the opener's wrapped key.
func (o *opener) binding() []byte {
	return bind(nil, "callhall recording spool key 1", o.City, o.ID, o.Segment, false)
}

func (o *opener) append(b []byte) ([]byte, error) {
	about, err := json.Marshal(o)
	if err != nil {
		return b, fmt.Errorf("opening record: %w", err)
	}
	b, start := beginRecord(b)
	b = append(b, recordOpener)
	b = append(b, o.ID[:]...)
	b = binary.BigEndian.AppendUint32(b, o.Segment)
	b = append(b, o.Wrapped...)
	return endRecord(append(b, about...), start), nil
}

func readOpener(body []byte) (o opener, err error) {
	if len(body) < openerFixed {
		return o, fmt.Errorf("opening record of %d bytes: %w", len(body), ErrDamaged)
	}
	if err := json.Unmarshal(body[openerFixed:], &o); err != nil {
		return o, fmt.Errorf("opening record: %w", ErrDamaged)
	}
	o.ID = rawID(body[1:17])
	o.Segment = binary.BigEndian.Uint32(body[17:])
	o.Wrapped = append([]byte(nil), body[openerKeyAt:openerFixed]...)
	return o, nil
}

// chunk is the frame around sealed items.
type chunk struct {
	id     rawID
	number uint32
	last   bool
	prev   place // of the chunk with the number before
	sealed []byte
}

// appendHead writes all of the chunk but what is sealed.
func (c *chunk) appendHead(b []byte) []byte {
	b = append(b, recordChunk)
	b = append(b, c.id[:]...)
	b = binary.BigEndian.AppendUint32(b, c.number)
	flag := byte(0)
	if c.last {
		flag = 1
	}
	b = append(b, flag)
	b = binary.BigEndian.AppendUint32(b, c.prev.segment)
	return binary.BigEndian.AppendUint32(b, c.prev.offset)
}

// readChunk reads a chunk's frame; sealed borrows from body.
func readChunk(body []byte) (c chunk, err error) {
	if len(body) < chunkFixed || body[0] != recordChunk {
		return c, fmt.Errorf("chunk of %d bytes: %w", len(body), ErrDamaged)
	}
	c.id = rawID(body[1:17])
	c.number = binary.BigEndian.Uint32(body[17:])
	c.last = body[21] == 1
	c.prev = place{binary.BigEndian.Uint32(body[22:]), binary.BigEndian.Uint32(body[26:])}
	c.sealed = body[chunkFixed:]
	return c, nil
}

// beginRecord leaves room for a record's header; endRecord fills it in.
func beginRecord(b []byte) (_ []byte, start int) {
	return append(b, make([]byte, recordHeader)...), len(b)
}

func endRecord(b []byte, start int) []byte {
	body := b[start+recordHeader:]
	binary.BigEndian.PutUint32(b[start:], uint32(len(body)))
	binary.BigEndian.PutUint32(b[start+4:], checksum(body))
	return b
}

// checksum is the CRC-32C of a body; of an opener without its wrapped key.
func checksum(body []byte) uint32 {
	if body[0] == recordOpener && len(body) >= openerFixed {
		sum := crc32.Update(0, castagnoli, body[:openerKeyAt])
		return crc32.Update(sum, castagnoli, body[openerFixed:])
	}
	return crc32.Checksum(body, castagnoli)
}

// readRecord reads the body of the record at offset into buf, growing it if need be. Errors: ErrDamaged (wrapped) when
// no whole record stands there.
func readRecord(r io.ReaderAt, offset int64, buf []byte) ([]byte, error) {
	var head [recordHeader]byte
	if _, err := r.ReadAt(head[:], offset); err != nil {
		return nil, damagedAtEnd(err)
	}
	n := binary.BigEndian.Uint32(head[:])
	if n == 0 || n > maxRecord {
		return nil, fmt.Errorf("record of %d bytes: %w", n, ErrDamaged)
	}
	if uint32(cap(buf)) < n {
		buf = make([]byte, n)
	}
	buf = buf[:n]
	if _, err := r.ReadAt(buf, offset+recordHeader); err != nil {
		return nil, damagedAtEnd(err)
	}
	if checksum(buf) != binary.BigEndian.Uint32(head[4:]) {
		return buf, fmt.Errorf("record's checksum: %w", ErrDamaged)
	}
	return buf, nil
}

// damagedAtEnd tells a record that the file ends in from a disk that cannot be read.
func damagedAtEnd(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("record cut off: %w", ErrDamaged)
	}
	return err
}

// scan visits the records of a segment in order. A record whose checksum is wrong is passed over and counted if another
// record follows it; where none does, the segment ends: that is the tail a crash has torn. body is borrowed.
func scan(r io.ReaderAt, visit func(offset uint32, body []byte) error) (damaged int, err error) {
	var head [segmentHeader]byte
	if _, err := r.ReadAt(head[:], 0); err != nil {
		return 0, damagedAtEnd(err)
	}
	if string(head[:len(segmentMagic)]) != segmentMagic {
		return 0, fmt.Errorf("not a spool segment: %w", ErrDamaged)
	}
	var buf []byte
	skipped := 0
	for at := int64(segmentHeader); ; {
		body, err := readRecord(r, at, buf)
		switch {
		case err == nil:
			damaged, skipped = damaged+skipped, 0
			if err := visit(uint32(at), body); err != nil {
				return damaged, err
			}
		case body != nil: // length fits, checksum does not
			skipped++
		case errors.Is(err, ErrDamaged):
			return damaged, nil
		default:
			return damaged, err
		}
		buf = body
		at += recordHeader + int64(len(body))
	}
}
