package recording

import (
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// A segment is closed when it has grown to its size or to this age, so that a quiet night does not keep what has long
// been uploaded.
const segmentAge = 10 * time.Minute

// spool is the node's log of sealed chunks: one file is written at its end, older ones wait until the recordings in
// them are stored. Each segment has a key of its own, in a file beside it, which wraps the data keys of the recordings
// that begin in it; it is overwritten when the segment goes.
type spool struct {
	dir    string
	max    int64
	making sync.Mutex // one segment is made at a time; held before mu

	mu       sync.Mutex // guards what follows; not held while chunks are written
	segments map[uint32]*segment
	current  *segment // nil until there is something to write
	newest   uint32
	held     map[rawID]uint32 // recordings that are not stored yet: the first segment they need
}

type segment struct {
	number uint32
	file   *os.File
	size   int64
	key    cipher.AEAD // nil when its key file is gone
	born   time.Time
}

// openSpool opens the segments in dir, making it if need be. max is how many bytes a segment may grow to.
func openSpool(dir string, max int64) (*spool, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	s := &spool{dir: dir, max: max, segments: map[uint32]*segment{}, held: map[rawID]uint32{}}
	files, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("spool: %w", err)
	}
	for _, f := range files {
		stem, isSegment := strings.CutSuffix(f.Name(), ".seg")
		n, err := strconv.ParseUint(stem, 10, 32)
		if !isSegment || err != nil {
			continue
		}
		if err := s.reopen(uint32(n)); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	s.held[unread] = 0
	return s, nil
}

// unread holds every segment of earlier runs until they have been read.
var unread rawID

func (s *spool) path(n uint32, kind string) string {
	return filepath.Join(s.dir, fmt.Sprintf("%08d.%s", n, kind))
}

// reopen opens a segment of an earlier run: it is read, scrubbed and removed, never written on.
func (s *spool) reopen(n uint32) error {
	f, err := os.OpenFile(s.path(n, "seg"), os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("spool: %w", err)
	}
	seg := &segment{number: n, file: f}
	if key, err := os.ReadFile(s.path(n, "key")); err == nil && len(key) == keySize {
		seg.key, _ = newAEAD(key)
	}
	s.segments[n] = seg
	s.newest = max(s.newest, n)
	return nil
}

// close closes the files. What is in them stays.
func (s *spool) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for _, seg := range s.segments {
		errs = append(errs, seg.file.Close())
	}
	s.segments, s.current = map[uint32]*segment{}, nil
	return errors.Join(errs...)
}

// begin wraps a new recording's data key under the current segment's key and holds the segment until release. It touches
// the disk only where there is no segment yet.
func (s *spool) begin(o *opener, key []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.current == nil {
		s.mu.Unlock()
		_, err := s.ready(0)
		s.mu.Lock()
		if err != nil {
			return err
		}
	}
	o.Segment = s.current.number
	o.Wrapped = sealKey(s.current.key, key, o.binding())
	s.held[o.ID] = o.Segment
	return nil
}

// key is the inverse of begin: the data key of an opener, if its segment's key and its own are still there.
func (s *spool) key(o *opener) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seg := s.segments[o.Segment]
	if seg == nil || seg.key == nil {
		return nil, fmt.Errorf("spool: segment %d has no key: %w", o.Segment, ErrErased)
	}
	key, err := openKey(seg.key, o.Wrapped, o.binding())
	if err != nil {
		return nil, fmt.Errorf("spool: key of %s: %w", o.ID.ID(), ErrErased)
	}
	return key, nil
}

// append writes b at the end of the log and syncs it: when it returns, b survives a power failure, and its first byte is
// at the place returned. After an error the next append goes to a new segment, for what the old one holds is unknown. It
// is for one goroutine at a time; others are not kept waiting while the disk works.
func (s *spool) append(b []byte) (place, error) {
	seg, err := s.ready(int64(len(b)))
	if err != nil {
		return place{}, err
	}
	_, err = seg.file.WriteAt(b, seg.size)
	if err == nil {
		err = datasync(seg.file)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.current = nil
		return place{}, fmt.Errorf("spool: write and sync: %w", err)
	}
	at := place{seg.number, uint32(seg.size)}
	seg.size += int64(len(b))
	return at, nil
}

// ready gives a current segment with room for n bytes, making a new one where there is none. n is 0 for one who does not
// write: then any will do.
func (s *spool) ready(n int64) (*segment, error) {
	s.making.Lock()
	defer s.making.Unlock()
	s.mu.Lock()
	seg, next := s.current, s.newest+1
	usable := seg != nil && (n == 0 || time.Since(seg.born) < segmentAge && (seg.size+n <= s.max || seg.size == int64(segmentHeader)))
	s.mu.Unlock()
	if usable {
		return seg, nil
	}
	seg, err := s.create(next)
	if err != nil {
		return nil, fmt.Errorf("spool: new segment: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.newest, s.current = next, seg
	s.segments[next] = seg
	_ = s.reap() // a segment that cannot be removed now is tried again with the next
	return seg, nil
}

// create makes a segment and its key, both durable.
func (s *spool) create(n uint32) (*segment, error) {
	key := newKey()
	if err := writeSynced(s.path(n, "key"), key); err != nil {
		return nil, err
	}
	head := binary.BigEndian.AppendUint32([]byte(segmentMagic), n)
	if err := writeSynced(s.path(n, "seg"), head); err != nil {
		return nil, err
	}
	if err := syncDir(s.dir); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(s.path(n, "seg"), os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	aead, err := newAEAD(key)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &segment{number: n, file: f, size: int64(segmentHeader), key: aead, born: time.Now()}, nil
}

// read returns the body of the record at p; it may use buf.
func (s *spool) read(p place, buf []byte) ([]byte, error) {
	s.mu.Lock()
	seg := s.segments[p.segment]
	s.mu.Unlock()
	if seg == nil {
		return nil, fmt.Errorf("spool: segment %d is gone: %w", p.segment, ErrDamaged)
	}
	return readRecord(seg.file, int64(p.offset), buf)
}

// numbers lists the segments from first on, oldest first.
func (s *spool) numbers(first uint32) []uint32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []uint32
	for n := range s.segments {
		if n >= first {
			all = append(all, n)
		}
	}
	slices.Sort(all)
	return all
}

// scan visits the records of one segment.
func (s *spool) scan(n uint32, visit func(p place, body []byte) error) (damaged int, err error) {
	s.mu.Lock()
	seg := s.segments[n]
	s.mu.Unlock()
	if seg == nil {
		return 0, nil
	}
	return scan(seg.file, func(offset uint32, body []byte) error { return visit(place{n, offset}, body) })
}

// hold keeps the segments from first on for a recording found at start.
func (s *spool) hold(id rawID, first uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held[id] = first
}

// release gives up what the spool holds of a recording and removes the segments that nobody needs any more.
func (s *spool) release(id rawID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.held, id)
	return s.reap()
}

// reap removes the segments that hold nothing which is still needed.
func (s *spool) reap() error {
	needed := s.newest + 1
	for _, first := range s.held {
		needed = min(needed, first)
	}
	var errs []error
	for n, seg := range s.segments {
		untouched := seg == s.current && seg.size == int64(segmentHeader)
		if n >= needed || untouched || seg == s.current && len(s.held) > 0 {
			continue
		}
		if err := s.remove(seg); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// remove destroys a segment's key, then unlinks both files.
func (s *spool) remove(seg *segment) error {
	if err := overwrite(s.path(seg.number, "key")); err != nil {
		return fmt.Errorf("spool: destroy key of segment %d: %w", seg.number, err)
	}
	if seg == s.current {
		s.current = nil
	}
	delete(s.segments, seg.number)
	seg.file.Close()
	return errors.Join(removeFile(s.path(seg.number, "seg")), removeFile(s.path(seg.number, "key")), syncDir(s.dir))
}

// scrub destroys the wrapped key of an opener in place: the recording cannot be read from the spool any more, while the
// others in the segment can.
func (s *spool) scrub(p place) error {
	s.mu.Lock()
	seg := s.segments[p.segment]
	s.mu.Unlock()
	if seg == nil {
		return nil
	}
	noise := make([]byte, wrappedSize)
	rand.Read(noise)
	if _, err := seg.file.WriteAt(noise, int64(p.offset)+recordHeader+openerKeyAt); err != nil {
		return fmt.Errorf("spool: scrub: %w", err)
	}
	return datasync(seg.file)
}
