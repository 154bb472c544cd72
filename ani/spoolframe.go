package ani

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
)

// A frame is one record of a spool's file, version 2: the mark (4 bytes), the length of the record (4), a checksum of those
// eight (4), a checksum of the record (4), and the record. Lengths and checksums (CRC-32C) are big-endian. Frames stand one
// behind the other and nothing else does, so that files of one city may be joined.
var frameMark = []byte("CHS2")

const frameHead = 16

// maxRecord bounds a record, in bytes: a leaf has at most 16 KiB.
const maxRecord = 64 << 10

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// frame appends record to b as a frame.
func frame(b, record []byte) []byte {
	head := len(b)
	b = append(b, frameMark...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(record)))
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b[head:], castagnoli))
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(record, castagnoli))
	return append(b, record...)
}

// errTorn says that a frame ends behind the end of the file: it was never synced.
var errTorn = errors.New("ani: the last record of the spool is cut off")

// readFrame returns the record of the frame that b begins with, and the length of the frame. Errors: io.EOF at the end,
// errTorn, ErrDamaged.
func readFrame(b []byte) (record []byte, n int, err error) {
	switch {
	case len(b) == 0:
		return nil, 0, io.EOF
	case len(b) < frameHead && bytes.HasPrefix(frameMark, b[:min(len(b), len(frameMark))]):
		return nil, 0, errTorn
	case len(b) < frameHead || !bytes.HasPrefix(b, frameMark) || crc32.Checksum(b[:8], castagnoli) != binary.BigEndian.Uint32(b[8:]):
		return nil, 0, ErrDamaged
	}
	size := int(binary.BigEndian.Uint32(b[4:]))
	if size > maxRecord {
		return nil, 0, ErrDamaged
	}
	if len(b) < frameHead+size {
		return nil, 0, errTorn
	}
	record = b[frameHead : frameHead+size]
	if crc32.Checksum(record, castagnoli) != binary.BigEndian.Uint32(b[12:]) {
		return nil, 0, ErrDamaged
	}
	return record, frameHead + size, nil
}

// wholeFrames is what of b can be read. The error says what cannot be: nil or errTorn for nothing that anybody was answered
// for, ErrDamaged for more, and then whole has what stands before and behind the damage.
func wholeFrames(b []byte) (whole []byte, frames int, err error) {
	damaged := false
	for {
		_, n, err := readFrame(b)
		switch {
		case err == nil:
			whole, frames, b = append(whole, b[:n]...), frames+1, b[n:]
		case errors.Is(err, ErrDamaged):
			damaged = true
			if b = nextMark(b); b == nil {
				return whole, frames, ErrDamaged
			}
		case damaged:
			return whole, frames, ErrDamaged
		case errors.Is(err, errTorn):
			return whole, frames, errTorn
		default:
			return whole, frames, nil
		}
	}
}

// nextMark is b from the next mark behind its first byte on, nil when there is none.
func nextMark(b []byte) []byte {
	i := bytes.Index(b[1:], frameMark)
	if i < 0 {
		return nil
	}
	return b[1+i:]
}
