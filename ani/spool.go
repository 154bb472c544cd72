package ani

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"callhall/call"
)

// spool keeps leaves that the ledger cannot take now and that must not be waited for: an append-only file of this node, a
// record for each leaf, sealed under its city's key, synced before add returns. A record is its length (4 bytes), the
// length of the city's name (1), the name and the sealed leaf. What a crash cut off in the middle of a record was never
// answered for and is dropped.
type spool struct {
	keys func(city call.CityID, open func([]Key) error) error
	path string

	mu    sync.Mutex
	file  *os.File
	size  int64
	count int   // leaves in the file that are not in the ledger yet
	done  int64 // up to here they are
}

// maxRecord bounds a record, in bytes: a leaf has at most 16 KiB.
const maxRecord = 64 << 10

// openSpool opens the file, or makes it for this user alone, and counts what is in it.
func openSpool(path string, keys func(call.CityID, func([]Key) error) error) (*spool, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	s := &spool{keys: keys, path: path, file: f}
	if err := s.recover(); err != nil {
		return nil, errors.Join(fmt.Errorf("spool %s: %w", path, err), f.Close())
	}
	return s, nil
}

// recover finds the end of the last whole record and cuts off what is behind it.
func (s *spool) recover() error {
	r := bufio.NewReader(s.file)
	for {
		_, n, err := readRecord(r)
		if err != nil {
			break
		}
		s.size += n
		s.count++
	}
	return errors.Join(s.file.Truncate(s.size), s.file.Sync())
}

// waiting is how many leaves are not in the ledger yet.
func (s *spool) waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

// add writes leaves and returns when they are on the disk.
func (s *spool) add(city call.CityID, leaves ...call.Leaf) error {
	var b []byte
	for _, leaf := range leaves {
		record, err := s.seal(city, leaf)
		if err != nil {
			return fmt.Errorf("spool a leaf of %s: %w", city, err)
		}
		b = append(b, record...)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := s.file.WriteAt(b, s.size)
	if err == nil {
		err = s.file.Sync()
	}
	if err != nil { // what was written of it is overwritten by the next, or cut off
		return fmt.Errorf("spool a leaf of %s: %w", city, errors.Join(err, s.file.Truncate(s.size)))
	}
	s.size += int64(len(b))
	s.count += len(leaves)
	return nil
}

func (s *spool) seal(city call.CityID, leaf call.Leaf) (record []byte, err error) {
	text, err := json.Marshal(leaf)
	if err != nil {
		return nil, err
	}
	err = s.keys(city, func(keys []Key) error {
		record = append([]byte{0, 0, 0, 0, byte(len(city))}, city...)
		record = append(record, sealed(formLeaf, keys[len(keys)-1], text, boundLeaf(city))...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(city) > 255 || len(record) > maxRecord {
		return nil, errors.New("the leaf is too large")
	}
	binary.BigEndian.PutUint32(record, uint32(len(record)))
	return record, nil
}

func boundLeaf(city call.CityID) []byte { return fmt.Appendf(nil, "callhall spooled leaf v1 %q", city) }

// spooled is one leaf as the file has it.
type spooled struct {
	city call.CityID
	leaf call.Leaf
	end  int64 // where it ends in the file
}

// next returns up to limit leaves that are not marked as done, in order. Those of a city whose key is not to be had end
// the page. Errors: ErrDamaged.
func (s *spool) next(limit int) (page []spooled, err error) {
	s.mu.Lock()
	at, size := s.done, s.size
	s.mu.Unlock()
	r := bufio.NewReader(io.NewSectionReader(s.file, at, size-at))
	for at < size && len(page) < limit {
		record, n, err := readRecord(r)
		if err != nil {
			return page, fmt.Errorf("read the spool: %w", err)
		}
		at += n
		one := spooled{end: at}
		if err := s.open(record, &one); err != nil {
			return page, fmt.Errorf("read the spool: %w", err)
		}
		page = append(page, one)
	}
	return page, nil
}

func (s *spool) open(record []byte, one *spooled) error {
	name := int(record[0])
	if len(record) < 1+name {
		return ErrDamaged
	}
	one.city = call.CityID(record[1 : 1+name])
	return s.keys(one.city, func(keys []Key) error {
		text, err := opened(formLeaf, keys, record[1+name:], boundLeaf(one.city))
		if err != nil {
			return err
		}
		if json.Unmarshal(text, &one.leaf) != nil {
			return ErrDamaged
		}
		return nil
	})
}

// finish marks leaves as being in the ledger. When none is left the file is emptied.
func (s *spool) finish(end int64, leaves int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done, s.count = end, s.count-leaves
	if s.done < s.size {
		return nil
	}
	if err := s.file.Truncate(0); err != nil {
		return err
	}
	s.done, s.size = 0, 0
	return s.file.Sync()
}

func (s *spool) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.file.Close()
}

// readRecord returns the next record without its length, and how many bytes it takes in the file.
func readRecord(r *bufio.Reader) (record []byte, size int64, err error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, 0, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n < 6 || n > maxRecord {
		return nil, 0, ErrDamaged
	}
	record = make([]byte, n-4)
	if _, err := io.ReadFull(r, record); err != nil {
		return nil, 0, err
	}
	return record, int64(n), nil
}
