package media

import (
	"net/netip"
	"testing"
)

// TestCloseIsHeard: an engine that is closed while its loops are at work on their clock ends all the same.
func TestCloseIsHeard(t *testing.T) {
	for range 300 {
		e, err := Open(Config{Addr: netip.MustParseAddr("127.0.0.1"), PortMin: 41000, PortMax: 41099, Deaf: -1})
		if err != nil {
			t.Fatal(err)
		}
		s, err := e.Lease(nil)
		if err != nil {
			t.Fatal(err)
		}
		s.Set(Params{Remote: netip.MustParseAddrPort("127.0.0.1:9"), Send: true, Receive: true})
		s.Play(Tone(440, 0.5, Ptime), true)
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
