package sip

import (
	"net/netip"
	"testing"
	"time"
)

// A clock that tests move.
type testClock struct{ at time.Time }

func newTestClock() *testClock               { return &testClock{at: time.Unix(1_800_000_000, 0)} }
func (c *testClock) now() time.Time          { return c.at }
func (c *testClock) advance(d time.Duration) { c.at = c.at.Add(d) }

func TestNonce(t *testing.T) {
	clock := newTestClock()
	book := newNonceBook(clock.now)
	here, there := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	nonce := book.issue(here)
	if book.judge(nonce, here) != nonceFresh {
		t.Error("a new nonce is not fresh")
	}
	if book.judge(nonce, there) != nonceForged {
		t.Error("a nonce may be answered from elsewhere")
	}
	for _, forged := range []string{"", "AAAA", nonce + "AA", nonce[:len(nonce)-2] + "zz", newNonceBook(clock.now).issue(here)} {
		if book.judge(forged, here) != nonceForged {
			t.Errorf("%q passes", forged)
		}
	}
	for _, step := range []struct {
		count uint32
		want  bool
	}{{1, true}, {1, false}, {2, true}, {2, false}, {1, false}, {9, true}, {3, false}} {
		if got := book.spend(nonce, step.count); got != step.want {
			t.Errorf("spend %d: %v", step.count, got)
		}
	}
	clock.advance(nonceLife + time.Second)
	if book.judge(nonce, here) != nonceStale {
		t.Error("an old nonce is not stale")
	}
	clock.advance(time.Minute)
	if book.sweep(); len(book.used) != 0 {
		t.Error("used nonces are kept for ever")
	}
}

func TestGuesses(t *testing.T) {
	clock := newTestClock()
	g := newGuesses(clock.now)
	thief, home, abroad := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("192.0.2.3")
	g.right(home, "ana")
	for range guessesPerPair {
		if g.wait(thief, "ana") != 0 {
			t.Fatal("stopped too early")
		}
		g.wrong(thief, "ana")
	}
	if g.wait(thief, "ana") == 0 {
		t.Error("the thief may go on")
	}
	if g.wait(home, "ana") != 0 || g.wait(abroad, "ana") != 0 {
		t.Error("the owner is locked out by a thief")
	}
	if g.wait(thief, "ben") != 0 {
		t.Error("one user's wrong passwords count against another")
	}
	for i := range guessesPerUser { // from many places
		g.wrong(netip.AddrFrom4([4]byte{198, 51, 100, byte(i)}), "ana")
	}
	if g.wait(abroad, "ana") != 0 || g.wait(home, "ana") != 0 {
		t.Error("the owner is locked out by a swarm")
	}
	if g.wrong(abroad, "ana"); g.wait(abroad, "ana") == 0 {
		t.Error("under a swarm a new source has more than one guess")
	}
	for range guessesPerSource {
		g.wrong(thief, "u")
	}
	if g.wait(thief, "somebody") == 0 {
		t.Error("one source may try passwords for any number of users")
	}
	clock.advance(3 * guessWindow)
	if g.wait(thief, "ana") != 0 {
		t.Error("never forgiven")
	}
}
