package recording

import (
	"encoding/binary"
	"fmt"
)

// The plaintext of a spool chunk is a row of items: kind, position in samples since the start (4 bytes, big-endian),
// length (2 bytes) and that many bytes. A frame's kind says its codec and side: see frameKind.
const (
	itemPause  = 0x40 // sound is not kept from this position on
	itemResume = 0x41 // and is again
	itemCounts = 0x42 // state of the recording, position is the arrival of the last kept frame; once, at the end
)

const itemHeader = 1 + 4 + 2

// maxFrame is the longest payload kept, in bytes: more than any Ethernet frame carries.
const maxFrame = 2000

// frameKind is the kind of a frame of this codec and side: 0, 1 (PCMU), 8, 9 (PCMA), odd for the right channel.
func frameKind(c codec, side int) byte { return byte(c) | byte(side) }

func appendItem(b []byte, kind byte, pos uint32, data []byte) []byte {
	b = append(b, kind)
	b = binary.BigEndian.AppendUint32(b, pos)
	b = binary.BigEndian.AppendUint16(b, uint16(len(data)))
	return append(b, data...)
}

// totals is all that is known of a recording besides its sound.
type totals struct {
	heard   uint32 // arrival of the last kept frame, in samples since the start
	end     uint32 // one past the last sample kept
	dropped uint32 // frames that no memory was left for while the disk stood still
	sides   [2]tally
	gaps    []Gap
	paused  bool
}

// countsSize is the length of totals in a chunk, gaps apart.
const countsSize = 4 + 4 + 2*tallySize

func (t *totals) append(b []byte) []byte {
	b = append(b, itemCounts)
	b = binary.BigEndian.AppendUint32(b, t.heard)
	b = binary.BigEndian.AppendUint16(b, countsSize)
	b = binary.BigEndian.AppendUint32(b, t.end)
	b = binary.BigEndian.AppendUint32(b, t.dropped)
	b = t.sides[left].append(b)
	return t.sides[right].append(b)
}

// readCounts takes what one counts item says; gaps are told by items of their own.
func (t *totals) readCounts(pos uint32, b []byte) {
	t.heard, t.end, t.dropped = pos, binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
	t.sides[left], t.sides[right] = readTally(b[8:]), readTally(b[8+tallySize:])
}

// pause and resume note where a gap begins and ends.
func (t *totals) pause(pos uint32) {
	if !t.paused {
		t.paused = true
		t.gaps = append(t.gaps, Gap{From: pos, To: pos, Why: "paused"})
	}
}

func (t *totals) resume(pos uint32) {
	if t.paused {
		t.paused = false
		t.gaps[len(t.gaps)-1].To = max(pos, t.gaps[len(t.gaps)-1].From)
	}
}

// fold takes in everything in a chunk but the frames, which go to frame (nil: to nobody). Errors: when the chunk is not
// a row of items.
func (t *totals) fold(chunk []byte, frame func(kind byte, pos uint32, data []byte)) error {
	for len(chunk) > 0 {
		if len(chunk) < itemHeader {
			return fmt.Errorf("item cut off: %w", ErrDamaged)
		}
		kind, pos, n := chunk[0], binary.BigEndian.Uint32(chunk[1:]), int(binary.BigEndian.Uint16(chunk[5:]))
		chunk = chunk[itemHeader:]
		if n > len(chunk) {
			return fmt.Errorf("item of %d bytes cut off: %w", n, ErrDamaged)
		}
		data := chunk[:n]
		chunk = chunk[n:]
		switch {
		case kind == itemPause:
			t.pause(pos)
		case kind == itemResume:
			t.resume(pos)
		case kind == itemCounts && n == countsSize:
			t.readCounts(pos, data)
		case codec(kind&^1).known() && frame != nil:
			frame(kind, pos, data)
		}
	}
	return nil
}
