package recording

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// machine is what a clock reads, set by hand.
type machine struct {
	wall   time.Time
	boot   time.Duration
	id     byte
	synced bool
}

func (m *machine) sources() sources {
	return sources{wall: func() time.Time { return m.wall }, boot: func() (int64, error) { return int64(m.boot), nil },
		bootID: func() [bootIDSize]byte { return [bootIDSize]byte{m.id} }, synced: func() bool { return m.synced }}
}

// pass lets time go by on all clocks.
func (m *machine) pass(d time.Duration) {
	m.wall = m.wall.Add(d)
	m.boot += d
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestTrustedClock(t *testing.T) {
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		do        func(m *machine, c *TrustedClock, reopen func() *TrustedClock) *TrustedClock
		now       time.Duration // since noon
		latest    time.Duration
		confirmed bool
	}{
		"time passes": {func(m *machine, c *TrustedClock, _ func() *TrustedClock) *TrustedClock {
			m.pass(time.Hour)
			return c
		}, time.Hour, time.Hour, true},
		"a small step forward is followed": {func(m *machine, c *TrustedClock, _ func() *TrustedClock) *TrustedClock {
			m.wall = m.wall.Add(4 * time.Minute)
			return c
		}, 4 * time.Minute, 4 * time.Minute, true},
		"a small step back is not": {func(m *machine, c *TrustedClock, _ func() *TrustedClock) *TrustedClock {
			m.pass(time.Hour)
			m.wall = m.wall.Add(-4 * time.Minute)
			return c
		}, time.Hour, time.Hour, true},
		"a jump forward: refuse by it, destroy nothing": {func(m *machine, c *TrustedClock, _ func() *TrustedClock) *TrustedClock {
			m.wall = m.wall.Add(15 * day)
			return c
		}, 0, 15 * day, false},
		"a jump back: time goes on": {func(m *machine, c *TrustedClock, _ func() *TrustedClock) *TrustedClock {
			m.wall = m.wall.Add(-15 * day)
			m.boot += time.Hour
			return c
		}, time.Hour, time.Hour, false},
		"a jump that the kernel stands for": {func(m *machine, c *TrustedClock, _ func() *TrustedClock) *TrustedClock {
			m.wall, m.synced = m.wall.Add(15*day), true
			return c
		}, 15 * day, 15 * day, true},
		"a jump that a second source bears out": {func(m *machine, c *TrustedClock, _ func() *TrustedClock) *TrustedClock {
			m.wall = m.wall.Add(15 * day)
			c.Witness(m.wall.Add(-time.Minute))
			return c
		}, 15 * day, 15 * day, true},
		"a jump that a second source denies": {func(m *machine, c *TrustedClock, _ func() *TrustedClock) *TrustedClock {
			m.wall = m.wall.Add(15 * day)
			c.Witness(noon)
			return c
		}, 0, 15 * day, true},
		"our restart: the jump made meanwhile is not believed": {func(m *machine, c *TrustedClock, reopen func() *TrustedClock) *TrustedClock {
			m.boot += time.Minute
			m.wall = m.wall.Add(15 * day)
			return reopen()
		}, time.Minute, 15 * day, false},
		"the machine was off for a day: not believed on the wall clock's word alone": {func(m *machine, c *TrustedClock, reopen func() *TrustedClock) *TrustedClock {
			m.pass(day)
			m.boot, m.id = time.Second, 2
			return reopen()
		}, 0, day, false},
		"the machine was off, and it is ten years later": {func(m *machine, c *TrustedClock, reopen func() *TrustedClock) *TrustedClock {
			m.wall = m.wall.AddDate(10, 0, 0)
			m.boot, m.id = time.Second, 2
			return reopen()
		}, 0, noon.AddDate(10, 0, 0).Sub(noon), false},
		"the machine was off for as long as a restart takes": {func(m *machine, c *TrustedClock, reopen func() *TrustedClock) *TrustedClock {
			m.pass(4 * time.Minute)
			m.boot, m.id = time.Second, 2
			return reopen()
		}, 4 * time.Minute, 4 * time.Minute, true},
		"the machine was off and the kernel stands for the time": {func(m *machine, c *TrustedClock, reopen func() *TrustedClock) *TrustedClock {
			m.pass(day)
			m.boot, m.id, m.synced = time.Second, 2, true
			return reopen()
		}, day, day, true},
		"the machine was off and the kernel stands for the time later": {func(m *machine, _ *TrustedClock, reopen func() *TrustedClock) *TrustedClock {
			m.pass(day)
			m.boot, m.id = time.Second, 2
			after := reopen()
			m.pass(time.Minute)
			m.synced = true
			return after
		}, day + time.Minute, day + time.Minute, true},
		"the machine was off and a second source bears it out": {func(m *machine, _ *TrustedClock, reopen func() *TrustedClock) *TrustedClock {
			m.pass(day)
			m.boot, m.id = time.Second, 2
			after := reopen()
			after.Witness(m.wall)
			return after
		}, day, day, true},
		"the machine was off and its clock went back": {func(m *machine, c *TrustedClock, reopen func() *TrustedClock) *TrustedClock {
			m.pass(time.Hour)
			if err := c.Persist(); err != nil {
				t.Error(err)
			}
			m.wall, m.boot, m.id = noon.Add(-10*day), time.Second, 2
			return reopen()
		}, time.Hour, time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			m := &machine{wall: noon, boot: time.Hour, id: 1}
			path := filepath.Join(t.TempDir(), "clock")
			reopen := func() *TrustedClock {
				c, err := openClock(path, m.sources())
				if err != nil {
					t.Fatal(err)
				}
				return c
			}
			clock := c.do(m, reopen(), reopen)
			if got := clock.Now().Sub(noon); got != c.now {
				t.Errorf("now is noon and %v, want %v", got, c.now)
			}
			if got := clock.Latest().Sub(noon); got != c.latest {
				t.Errorf("latest is noon and %v, want %v", got, c.latest)
			}
			if got := clock.Confirmed(); got != c.confirmed {
				t.Errorf("confirmed: %v", got)
			}
		})
	}
}

func TestClockFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "clock")
	if _, err := OpenClock(path); err != nil { // the real sources
		t.Fatal(err)
	}
	c, err := OpenClock(path)
	if err != nil || apart(c.Now(), time.Now()) > time.Minute || !c.Confirmed() {
		t.Fatalf("%v, %v", c.Now(), err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[3] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenClock(path); err == nil {
		t.Error("a damaged file was believed")
	}
}

func TestClockIsWrittenEachSecond(t *testing.T) {
	path := filepath.Join(t.TempDir(), "clock")
	m := &machine{wall: noon, boot: time.Hour, id: 1}
	c, err := openClock(path, m.sources())
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		m.pass(time.Hour)
		c.Run(ctx, func(err error) { t.Error(err) })
	})
	kept, err := readClock(path)
	if err != nil || !kept.trusted.Equal(noon.Add(time.Hour)) {
		t.Errorf("%v, %v", kept.trusted, err)
	}
	failed := 0
	c.path = filepath.Join(path, "nowhere")
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		c.Run(ctx, func(err error) {
			if err != nil {
				failed++
			}
		})
	})
	if failed != 2 {
		t.Errorf("%d failures were told", failed)
	}
}
