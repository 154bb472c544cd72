package recording

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"sync"
	"time"
)

// Clock tells the time that stamps recordings and decides when they are due.
type Clock interface {
	Now() time.Time
}

// A clock that can be in doubt says so: Latest is the later of all its readings, past which nothing is played, and
// Confirmed tells whether they agree, without which no key is destroyed. TrustedClock is one.
type doubtful interface {
	Latest() time.Time
	Confirmed() bool
}

// latest is the time for refusing to play.
func latest(c Clock) time.Time {
	if d, ok := c.(doubtful); ok {
		return d.Latest()
	}
	return c.Now()
}

// confirmed tells whether c may be believed for what cannot be undone.
func confirmed(c Clock) bool {
	d, ok := c.(doubtful)
	return !ok || d.Confirmed()
}

// maxStep is how far the wall clock may part from the trusted one and still be followed.
const maxStep = 5 * time.Minute

// TrustedClock is the last trusted reading plus the time elapsed since on a clock that nobody can set. It follows the
// wall clock within five minutes, and further only where the kernel says that it is synchronised or a second source
// agrees. It never goes back, and across a restart never below what it last wrote down. A machine that was off for a day
// is the ordinary case of a wall clock that is further ahead: with its clock synchronised it is believed at once, without
// it stays in doubt until it is.
type TrustedClock struct {
	path string
	from sources

	mu      sync.Mutex
	trusted time.Time // reading
	at      int64     // boot time of that reading
	second  time.Time // a second source's word on the time, and
	heard   int64     // the boot time at which it gave it; 0 is never
}

// sources are what a clock reads. Tests give their own.
type sources struct {
	wall   func() time.Time
	boot   func() (int64, error)   // nanoseconds since the machine started
	bootID func() [bootIDSize]byte // another value after each start of the machine
	synced func() bool             // the kernel says that its wall clock is synchronised
}

// OpenClock reads the clock's file, or begins with the wall clock where there is none.
func OpenClock(path string) (*TrustedClock, error) {
	return openClock(path, sources{wall: time.Now, boot: bootElapsed, bootID: bootID, synced: clockSynced})
}

func openClock(path string, from sources) (*TrustedClock, error) {
	c := &TrustedClock{path: path, from: from}
	at, err := from.boot()
	if err != nil {
		return nil, fmt.Errorf("clock: boot time: %w", err)
	}
	c.trusted, c.at = from.wall().UTC().Round(0), at
	kept, err := readClock(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("clock: %w", err)
	case kept.boot == from.bootID() && kept.at <= at: // a restart of ours alone: the time away is known
		c.trusted = kept.trusted.Add(time.Duration(at - kept.at))
	default: // the machine was off, nobody knows how long: read follows the wall clock as far as it may be believed
		c.trusted = kept.trusted
	}
	return c, c.Persist()
}

// Now is the trusted time, UTC.
func (c *TrustedClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, _ := c.read()
	return now
}

// Latest is the later of the trusted time and the wall clock.
func (c *TrustedClock) Latest() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, wall := c.read()
	if wall.After(now) {
		return wall
	}
	return now
}

// Confirmed tells whether the wall clock, or a second source, agrees with the trusted time.
func (c *TrustedClock) Confirmed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, wall := c.read()
	if apart(now, wall) <= maxStep {
		return true
	}
	at, err := c.from.boot()
	return err == nil && c.heard != 0 && apart(now, c.second.Add(time.Duration(at-c.heard))) <= maxStep
}

// Witness gives a second source's word on the time: a store's Date header, a database's now(). Where it and the wall
// clock agree against the trusted time, the trusted time moves forward to them.
func (c *TrustedClock) Witness(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, wall := c.read()
	at, err := c.from.boot()
	if err != nil {
		return
	}
	c.second, c.heard = t.UTC(), at
	if apart(t, wall) <= maxStep && wall.After(now) {
		c.trusted, c.at = wall, at
	}
}

// read moves the trusted reading on by the boot time elapsed, and to the wall clock when that is near and not behind.
func (c *TrustedClock) read() (now, wall time.Time) {
	wall = c.from.wall().UTC().Round(0)
	at, err := c.from.boot()
	if err != nil || at < c.at {
		return c.trusted, wall
	}
	now = c.trusted.Add(time.Duration(at - c.at))
	if wall.After(now) && (wall.Sub(now) <= maxStep || c.from.synced()) {
		now = wall
	}
	c.trusted, c.at = now, at
	return now, wall
}

func apart(a, b time.Time) time.Duration { return a.Sub(b).Abs() }

// Run writes the trusted time down each second until ctx ends. A write that fails is told to fail and tried again.
func (c *TrustedClock) Run(ctx context.Context, fail func(error)) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if err := c.Persist(); err != nil {
				fail(err)
			}
		case <-ctx.Done():
			return
		}
	}
}

// The clock's file: trusted time and boot time in nanoseconds, the boot's id, and their checksum.
const (
	bootIDSize = 36
	clockSize  = 8 + 8 + bootIDSize + 4
)

// reading is what the clock's file holds.
type reading struct {
	trusted time.Time
	at      int64
	boot    [bootIDSize]byte
}

// Persist writes the trusted time down, in place: so few bytes lie in one sector and are not torn.
func (c *TrustedClock) Persist() error {
	c.mu.Lock()
	now, _ := c.read()
	b := binary.BigEndian.AppendUint64(nil, uint64(now.UnixNano()))
	b = binary.BigEndian.AppendUint64(b, uint64(c.at))
	c.mu.Unlock()
	id := c.from.bootID()
	b = append(b, id[:]...)
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	f, err := os.OpenFile(c.path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("clock: %w", err)
	}
	_, err = f.WriteAt(b, 0)
	return errors.Join(err, datasync(f), f.Close())
}

func readClock(path string) (r reading, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return r, err
	}
	body := len(b) - 4
	if len(b) != clockSize || crc32.Checksum(b[:body], castagnoli) != binary.BigEndian.Uint32(b[body:]) {
		return r, fmt.Errorf("%s is damaged: put the time right and remove it", path)
	}
	r.trusted = time.Unix(0, int64(binary.BigEndian.Uint64(b))).UTC()
	r.at = int64(binary.BigEndian.Uint64(b[8:]))
	r.boot = [bootIDSize]byte(b[16:])
	return r, nil
}
