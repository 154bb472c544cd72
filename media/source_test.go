package media

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func TestOnlyThePartyIsHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, c := memoryEngine(t, nil)
		a, b := newParty(t, e, c, "127.0.0.5:4000", PCMU), newParty(t, e, c, "127.0.0.6:4000", PCMU)
		a.stream.Tap(tapped{&a.told})
		Join(a.stream, b.stream)
		stranger := netip.MustParseAddrPort("127.0.0.66:4000")
		neighbour := netip.MustParseAddrPort("127.0.0.5:4002")
		strike := func() {
			a.sendFrom(stranger, a.next, frame(9))
			a.sendFrom(neighbour, a.next, frame(9))
			a.sendFrom(b.addr, a.next, frame(9))
			a.report(stranger, []byte{0x81, 201, 0, 1, 0, 0, 0, 1})
		}
		strike()
		relayFor(a, 3)
		strike()
		if a.told.all().heard != 1 || len(a.told.all().packets) != 3 {
			t.Errorf("heard %d times, tapped %d packets", a.told.all().heard, len(a.told.all().packets))
		}
		sent := c.take()
		if n := rtpTo(t, sent, b.addr); len(n) != 3 {
			t.Errorf("%d packets reached the other side", len(n))
		}
		for _, s := range sent {
			if s.to != b.addr {
				t.Errorf("something was sent to %v", s.to)
			}
		}
		if q := a.stream.Quality(); q.Rejected != 8 || q.Received != 3 || q.Lost != 0 {
			t.Errorf("quality %+v", q)
		}
		relayFor(b, 1)
		if got := rtpTo(t, c.take(), a.addr); len(got) != 1 {
			t.Error("the party's sound was redirected")
		}
	})
}

func TestNobodyIsHeardBeforeSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, c := memoryEngine(t, nil)
		p := newParty(t, e, c, "127.0.0.5:4000", PCMU)
		p.stream.Set(Params{})
		p.send(frame(1))
		p.sendFrom(netip.AddrPort{}, p.next, frame(1))
		if q := p.stream.Quality(); q.Received != 0 || q.Rejected != 2 {
			t.Errorf("quality %+v", q)
		}
	})
}

func TestSourceIsLearnedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, c := memoryEngine(t, nil)
		p := newParty(t, e, c, "10.1.2.3:4000", PCMU) // what a phone behind a NAT says of itself
		params := p.params(PCMU)
		params.Learn = netip.MustParseAddr("127.0.0.5")
		p.stream.Set(params)
		stranger, nat := netip.MustParseAddrPort("127.0.0.66:4000"), netip.MustParseAddrPort("127.0.0.5:61000")
		late := netip.MustParseAddrPort("127.0.0.5:61002")

		p.sendFrom(stranger, p.next, frame(1))
		p.deliver(nat, []byte("not RTP at all"))
		odd := p.next
		odd.PayloadType = 77
		p.sendFrom(late, odd, frame(2))
		p.sendFrom(nat, p.next, frame(2))
		p.next.SequenceNumber++
		p.sendFrom(late, p.next, frame(3))
		p.sendFrom(p.addr, p.next, frame(3))
		p.sendFrom(nat, p.next, frame(4))
		if q := p.stream.Quality(); q.Received != 2 || q.Rejected != 5 {
			t.Errorf("quality %+v", q)
		}
		p.stream.Play(clipOf(10), true)
		time.Sleep(50 * time.Millisecond)
		p.stream.Set(params) // the same again changes nothing
		time.Sleep(50 * time.Millisecond)
		synctest.Wait()
		for _, s := range c.take() {
			if s.to != nat {
				t.Fatalf("sound goes to %v", s.to)
			}
		}
		params.Remote = netip.MustParseAddrPort("127.0.0.9:5000") // a new negotiation does
		params.Learn = netip.Addr{}
		p.stream.Set(params)
		time.Sleep(50 * time.Millisecond)
		synctest.Wait()
		for _, s := range c.take() {
			if s.to != params.Remote {
				t.Fatalf("sound goes to %v", s.to)
			}
		}
	})
}

// Reports to a party behind a NAT go above its learned port, until its own come from somewhere, which is believed once.
func TestReportsBehindNAT(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, c := memoryEngine(t, nil)
		p := newParty(t, e, c, "10.1.2.3:4000", PCMU)
		params := p.params(PCMU)
		params.RemoteRTCP, params.Learn = netip.MustParseAddrPort("10.1.2.3:4001"), netip.MustParseAddr("127.0.0.5")
		p.stream.Set(params)
		goes := func(want string) {
			t.Helper()
			c.take()
			time.Sleep(10 * time.Second)
			synctest.Wait()
			for _, s := range c.take() {
				if s.to != netip.MustParseAddrPort(want) {
					t.Fatalf("a report goes to %v, want %s", s.to, want)
				}
			}
		}
		rr := []byte{0x80, 201, 0, 1, 0, 0, 0, 1}
		p.report(netip.MustParseAddrPort("127.0.0.5:60000"), rr) // before the first sound
		goes("10.1.2.3:4001")
		p.sendFrom(netip.MustParseAddrPort("127.0.0.5:61000"), p.next, frame(1))
		goes("127.0.0.5:61001")
		p.report(netip.MustParseAddrPort("127.0.0.66:62000"), rr)
		p.report(netip.MustParseAddrPort("127.0.0.5:62000"), rr)
		p.report(netip.MustParseAddrPort("127.0.0.5:62002"), rr)
		goes("127.0.0.5:62000")
		p.stream.Set(params)
		goes("127.0.0.5:62000")
		if q := p.stream.Quality(); q.Rejected != 2 {
			t.Errorf("quality %+v", q)
		}
	})
}

func TestMalformedIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, c := memoryEngine(t, nil)
		p := newParty(t, e, c, "127.0.0.5:4000", PCMU)
		p.stream.Tap(tapped{&p.told})
		bad := [][]byte{
			{},
			{0x80},
			{0x80, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0}, // short
			{0x40, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0xFF},                            // version 1
			{0xA0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0xFF, 9},                         // more padding than packet
			{0xA0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0xFF, 0},                         // padding of nothing
			{0x8F, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0xFF},                            // fifteen sources, none there
			{0x90, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0xBE, 0xDE, 0, 9, 1},             // extension beyond the end
			{0x90, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0xBE, 0xDE, 0, 1, 0x1F, 1, 2, 3}, // an element beyond it
		}
		for _, b := range bad {
			p.deliver(p.addr, b)
		}
		if q := p.stream.Quality(); q.Rejected != uint64(len(bad)) || q.Received != 0 {
			t.Errorf("of %d malformed: %+v", len(bad), q)
		}
		good := []byte{0xB1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0, 0, 0x11, 0x22, 0, 2} // all of it there
		p.deliver(p.addr, good)
		p.next.PayloadType = 77
		p.send(frame(1)) // RTP, but of a kind that nobody agreed on
		if got := p.told.all().packets; len(got) != 1 || string(got[0].Payload) != "\x11\x22" {
			t.Errorf("tapped %v", got)
		}
	})
}

// A packet with everything in it goes on as a plain one of ours.
func TestRelayLeavesOutWhatIsNotSound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, c := memoryEngine(t, nil)
		a, b := newParty(t, e, c, "127.0.0.5:4000", PCMU), newParty(t, e, c, "127.0.0.6:4000", PCMU)
		Join(a.stream, b.stream)
		a.deliver(a.addr, []byte{0xB1, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0, 0, 0x11, 0x22, 0, 2})
		sent := rtpTo(t, c.take(), b.addr)
		if len(sent) != 1 || sent[0].Padding || sent[0].Extension || len(sent[0].CSRC) > 0 || string(sent[0].Payload) != "\x11\x22" {
			t.Errorf("sent %v", sent)
		}
	})
}
