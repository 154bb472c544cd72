package cdr

import (
	"crypto/cipher"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"callhall/call"
)

// waiting is one write that the database has yet to take.
type waiting struct {
	Kind   string      `json:"kind"`
	Run    string      `json:"run,omitempty"` // for waitsOpen: the run that carries the call
	At     time.Time   `json:"at,omitzero"`   // for waitsOpen: when
	Record call.Record `json:"record"`
}

// The kinds of waiting.
const (
	waitsOpen  = "open"
	waitsClose = "close"
)

// maxFrame bounds one queued write, in bytes. A record with a thousand moments has about 100 KiB.
const maxFrame = 16 << 20

// A queue is a file of sealed writes in the order they came: frames of a 4-byte length and the sealed JSON, bound to
// this node and to the frame's number. A frame is on disk when append returns. When all have been taken, the file
// becomes empty and numbers begin again.
type queue struct {
	node string
	aead cipher.AEAD

	mu    sync.Mutex
	file  *os.File
	count uint64 // frames in the file
	size  int64  // bytes of whole frames
	taken uint64 // frames that the database has
	read  int64  // bytes of those
	cut   int64  // bytes dropped from the end when the file was opened
}

// openQueue opens or makes the file at path, and cuts off a frame that a crash left unfinished.
func openQueue(path, node string, aead cipher.AEAD) (*queue, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	q := &queue{node: node, aead: aead, file: f}
	if err := q.measure(); err != nil {
		return nil, errors.Join(fmt.Errorf("read %s: %w", path, err), f.Close())
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return q, nil
}

// syncDir makes the names in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// measure counts the whole frames and drops what follows them.
func (q *queue) measure() error {
	info, err := q.file.Stat()
	if err != nil {
		return err
	}
	for {
		n, err := q.frameAt(q.size)
		if err != nil {
			return err
		}
		if n == 0 || q.size+4+n > info.Size() {
			q.cut = info.Size() - q.size
			return q.file.Truncate(q.size)
		}
		q.size += 4 + n
		q.count++
	}
}

// frameAt reads the length of the frame at offset: 0 at the end of the file, or where no frame can begin.
func (q *queue) frameAt(offset int64) (int64, error) {
	var head [4]byte
	_, err := q.file.ReadAt(head[:], offset)
	if errors.Is(err, io.EOF) {
		return 0, nil
	}
	n := int64(binary.BigEndian.Uint32(head[:]))
	if n > maxFrame {
		return 0, err
	}
	return n, err
}

// append puts w at the end, durably.
func (q *queue) append(w waiting) error {
	w.Record = normal(w.Record)
	data, err := json.Marshal(w)
	if err != nil {
		return fmt.Errorf("queue call %s: %w", w.Record.ID, err)
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	sealed := q.aead.Seal(nil, nil, data, q.bound(q.count))
	frame := append(binary.BigEndian.AppendUint32(nil, uint32(len(sealed))), sealed...)
	if err := q.write(frame); err != nil {
		return fmt.Errorf("queue call %s: %w", w.Record.ID, errors.Join(err, q.file.Truncate(q.size)))
	}
	q.size += int64(len(frame))
	q.count++
	return nil
}

// write puts frame behind the whole frames and syncs it.
func (q *queue) write(frame []byte) error {
	if len(frame) > maxFrame {
		return fmt.Errorf("%d bytes are too many", len(frame))
	}
	if _, err := q.file.WriteAt(frame, q.size); err != nil {
		return err
	}
	return q.file.Sync()
}

// errDamaged says that a frame is not what was written there.
var errDamaged = errors.New("a queued record is damaged or was sealed with another key")

// next reads the first frame that is not taken. ok is false when there is none. The frame stays until take.
func (q *queue) next() (w waiting, ok bool, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.taken == q.count {
		return waiting{}, false, nil
	}
	n, err := q.frameAt(q.read)
	if err != nil {
		return waiting{}, true, err
	}
	sealed := make([]byte, n)
	if _, err := q.file.ReadAt(sealed, q.read+4); err != nil {
		return waiting{}, true, err
	}
	data, err := q.aead.Open(nil, nil, sealed, q.bound(q.taken))
	if err != nil {
		return waiting{}, true, errDamaged
	}
	return w, true, json.Unmarshal(data, &w)
}

// take says that the database has the frame that next read.
func (q *queue) take() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	n, err := q.frameAt(q.read)
	if err != nil {
		return err
	}
	q.read += 4 + n
	if q.taken++; q.taken < q.count {
		return nil
	}
	q.count, q.size, q.taken, q.read = 0, 0, 0, 0
	if err := q.file.Truncate(0); err != nil {
		return err
	}
	return q.file.Sync()
}

// waiting is how many frames the database has yet to take.
func (q *queue) waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return int(q.count - q.taken)
}

func (q *queue) close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.file.Close()
}

// bound is what frame number n belongs to.
func (q *queue) bound(n uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte(q.node+"\x00"), n)
}
