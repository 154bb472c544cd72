// Package ringstore keeps the key ring of recordings in files: one for each city, with a slot for every minute, written
// in place. A key is destroyed by writing noise over its slot and syncing the file.
//
// The file must never be backed up, archived or put on a file system that copies on write (btrfs, ZFS): there an
// overwritten slot lives on. On a solid-state disk the drive itself may keep old blocks for a while; each slot is sealed
// under the city's key, so that a drive that is given away without that key gives nothing. Losing the ring loses the
// sound of at most fourteen days, and nothing else.
package ringstore

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"sync"

	"callhall/call"
	"callhall/recording"
)

const (
	keySize  = 32
	slotSize = 128 // divides a sector: a slot is written whole or not at all
	// slots is twice the minutes of fourteen days: a slot is free again long before its turn comes round.
	slots = 2 * 14 * 24 * 60
	// A slot is the minute (8 bytes), a nonce, the sealed key and zeros.
	sealedAt = 8 + 12
	sealedTo = sealedAt + keySize + 16
)

var _ recording.Ring = (*Ring)(nil)

// Ring is a key ring in a directory. It implements recording.Ring.
type Ring struct {
	dir  string
	keys Keys

	mu     sync.Mutex // guards cities
	cities map[call.CityID]*cityRing
}

// Keys gives the key under which a city's ring is sealed: 32 bytes, the same each time, made when there is none.
type Keys interface {
	Key(city call.CityID) ([]byte, error)
}

// cityRing is one city's file.
type cityRing struct {
	city call.CityID
	mu   sync.Mutex // guards what follows
	file *os.File
	seal cipher.AEAD
	live map[int64]bool // minutes that have a key
}

// Open opens the rings in dir, making it if need be.
func Open(dir string, keys Keys) (*Ring, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("key ring: %w", err)
	}
	r := &Ring{dir: dir, keys: keys, cities: map[call.CityID]*cityRing{}}
	files, err := filepath.Glob(filepath.Join(dir, "*.ring"))
	if err != nil {
		return nil, fmt.Errorf("key ring: %w", err)
	}
	for _, f := range files {
		name := filepath.Base(f)
		if _, err := r.city(call.CityID(name[:len(name)-len(".ring")])); err != nil {
			return nil, errors.Join(err, r.Close())
		}
	}
	return r, nil
}

// Close closes the files.
func (r *Ring) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var errs []error
	for _, c := range r.cities {
		errs = append(errs, c.file.Close())
	}
	r.cities = map[call.CityID]*cityRing{}
	return errors.Join(errs...)
}

// Wrap implements recording.Ring.
func (r *Ring) Wrap(_ context.Context, city call.CityID, minute int64, key, aad []byte) ([]byte, error) {
	c, err := r.city(city)
	if err != nil {
		return nil, err
	}
	a, err := c.key(minute, true)
	if err != nil {
		return nil, fmt.Errorf("key ring of %s: minute %d: %w", city, minute, err)
	}
	out := make([]byte, 12, 12+len(key)+16)
	rand.Read(out)
	return a.Seal(out, out[:12], key, aad), nil
}

// Unwrap implements recording.Ring.
func (r *Ring) Unwrap(_ context.Context, city call.CityID, minute int64, wrapped, aad []byte) ([]byte, error) {
	c, err := r.city(city)
	if err != nil {
		return nil, err
	}
	a, err := c.key(minute, false)
	if err != nil {
		return nil, fmt.Errorf("key ring of %s: minute %d: %w", city, minute, err)
	}
	if len(wrapped) < 12+16 {
		return nil, fmt.Errorf("key ring of %s: %d bytes are no wrapped key: %w", city, len(wrapped), recording.ErrNoKey)
	}
	key, err := a.Open(nil, wrapped[:12], wrapped[12:], aad)
	if err != nil {
		return nil, fmt.Errorf("key ring of %s: minute %d does not open it: %w", city, minute, recording.ErrNoKey)
	}
	return key, nil
}

// Destroy implements recording.Ring.
func (r *Ring) Destroy(_ context.Context, before int64) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	total := 0
	var errs []error
	for _, c := range r.cities {
		n, err := c.destroy(before)
		total += n
		if err != nil {
			errs = append(errs, fmt.Errorf("key ring of %s: destroy: %w", c.city, err))
		}
	}
	return total, errors.Join(errs...)
}

// cityName is what may be a file's name: nothing in it leads anywhere else.
var cityName = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_-]{0,63}$`)

// city opens a city's ring, making it if need be.
func (r *Ring) city(city call.CityID) (*cityRing, error) {
	if !cityName.MatchString(string(city)) {
		return nil, fmt.Errorf("key ring: %q is not a city's name", city)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.cities[city]; c != nil {
		return c, nil
	}
	c, err := r.open(city)
	if err != nil {
		return nil, fmt.Errorf("key ring of %s: %w", city, err)
	}
	r.cities[city] = c
	return c, nil
}

func (r *Ring) open(city call.CityID) (*cityRing, error) {
	key, err := r.keys.Key(city)
	if err != nil {
		return nil, err
	}
	a, err := newAEAD(key)
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(r.dir, string(city)+".ring"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	c := &cityRing{city: city, file: f, seal: a, live: map[int64]bool{}}
	if err := errors.Join(c.load(), syncDir(r.dir)); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return c, nil
}

// load notes which minutes have a key. A slot that does not open is noise: a destroyed key, or one never finished.
func (c *cityRing) load() error {
	all, err := io.ReadAll(io.NewSectionReader(c.file, 0, slots*slotSize))
	if err != nil {
		return err
	}
	for at := 0; at+slotSize <= len(all); at += slotSize {
		slot := (*[slotSize]byte)(all[at:])
		minute := int64(binary.BigEndian.Uint64(slot[:]))
		if minute <= 0 || offset(minute) != int64(at) {
			continue
		}
		if _, err := c.open(slot, minute); err == nil {
			c.live[minute] = true
		}
	}
	return nil
}

func offset(minute int64) int64 { return minute % slots * slotSize }

// binding is the associated data of a slot.
func (c *cityRing) binding(minute int64) []byte {
	b := append([]byte("callhall key ring 1\x00"), c.city...)
	return binary.BigEndian.AppendUint64(b, uint64(minute))
}

func (c *cityRing) open(slot *[slotSize]byte, minute int64) ([]byte, error) {
	return c.seal.Open(nil, slot[8:sealedAt], slot[sealedAt:sealedTo], c.binding(minute))
}

// key gives the cipher of one minute's key, making the key durable first where there is none and make is set.
func (c *cityRing) key(minute int64, make bool) (cipher.AEAD, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if minute <= 0 {
		return nil, errors.New("no such minute")
	}
	if !c.live[minute] {
		if !make {
			return nil, recording.ErrNoKey
		}
		return c.create(minute)
	}
	var slot [slotSize]byte
	if _, err := c.file.ReadAt(slot[:], offset(minute)); err != nil {
		return nil, err
	}
	key, err := c.open(&slot, minute)
	if err != nil {
		return nil, fmt.Errorf("slot is damaged: %w", recording.ErrNoKey)
	}
	return newAEAD(key)
}

// create writes a new key for a minute into its slot, which must be free.
func (c *cityRing) create(minute int64) (cipher.AEAD, error) {
	for old := range c.live {
		if offset(old) == offset(minute) {
			return nil, fmt.Errorf("its slot holds the key of minute %d, which was never destroyed", old)
		}
	}
	key := make([]byte, keySize)
	rand.Read(key)
	var slot [slotSize]byte
	binary.BigEndian.PutUint64(slot[:], uint64(minute))
	rand.Read(slot[8:sealedAt])
	copy(slot[sealedAt:], c.seal.Seal(nil, slot[8:sealedAt], key, c.binding(minute)))
	if _, err := c.file.WriteAt(slot[:], offset(minute)); err != nil {
		return nil, err
	}
	if err := c.file.Sync(); err != nil {
		return nil, err
	}
	c.live[minute] = true
	return newAEAD(key)
}

// destroy overwrites the keys of all minutes before this one. They are forgotten only when the noise is on the disk.
func (c *cityRing) destroy(before int64) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var over []int64
	for minute := range c.live {
		if minute < before {
			over = append(over, minute)
		}
	}
	if len(over) == 0 {
		return 0, nil
	}
	for _, minute := range over {
		var noise [slotSize]byte
		rand.Read(noise[8:])
		if _, err := c.file.WriteAt(noise[:], offset(minute)); err != nil {
			return 0, err
		}
	}
	if err := c.file.Sync(); err != nil {
		return 0, err
	}
	for _, minute := range over {
		delete(c.live, minute)
	}
	return len(over), nil
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
