package sip

import (
	"net/netip"
	"testing"
	"time"
)

// RFC 7616 §3.9.1: both algorithms, one request.
func TestDigestVectors(t *testing.T) {
	ans := credentials{
		username: "Mufasa", realm: "http-auth@example.org", uri: "/dir/index.html",
		nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc: "00000001",
		cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop: "auth",
	}
	for name, want := range map[string]string{
		"MD5":     "8ca523f5e9506fed4657c9700eebdbec",
		"SHA-256": "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
	} {
		alg, ok := algorithmNamed(name)
		if !ok {
			t.Fatal(name)
		}
		if got := alg.response(ans, "GET", "Circle of Life"); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if algorithms[0].name != "SHA-256" {
		t.Error("the best algorithm is not offered first (RFC 8760 §2.4)")
	}
}

func TestReadCredentials(t *testing.T) {
	got, ok := readAnswer(`Digest username="a\"b, c", realm = "r",nonce="n" , uri="sip:x;y=\"z\"", response="0a", algorithm=SHA-256, cnonce="c",qop=auth, nc=00000001, userhash=false, opaque="o"`)
	want := credentials{username: `a"b, c`, realm: "r", nonce: "n", uri: `sip:x;y="z"`, response: "0a", algorithm: "SHA-256", cnonce: "c", qop: "auth", nc: "00000001"}
	if !ok || got != want {
		t.Errorf("%v %+v", ok, got)
	}
	for _, text := range []string{
		"", "Digest", "Basic YTpi", "NoOneKnowsThisScheme opaque-data=here", `Digest nonce="n"`, `Digest nonce="n, response="r"`,
		`Digest nonce="n" response="r"`, `Digest nonce="n", nonce="n", response="r"`, `Digest nonce="n", response="r\`, `Digest ,,,`,
	} {
		if got, ok := readAnswer(text); ok {
			t.Errorf("%q was read as %+v", text, got)
		}
	}
}

func FuzzReadCredentials(f *testing.F) {
	f.Add(`Digest username="a", realm="r", nonce="n", uri="sip:x", response="0"`)
	f.Add(`Digest a="\`)
	f.Add(`digest =,="`)
	f.Fuzz(func(t *testing.T, text string) {
		if got, ok := readAnswer(text); ok && (got.nonce == "" || got.response == "") {
			t.Fatalf("%q: %+v", text, got)
		}
	})
}

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
