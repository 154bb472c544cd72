package media

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// leaseAll leases n streams and returns their ports in order.
func leaseAll(t *testing.T, e *Engine, n int) (streams []*Stream, ports []uint16) {
	t.Helper()
	for range n {
		s, err := e.Lease(nil)
		if err != nil {
			t.Fatal(err)
		}
		streams, ports = append(streams, s), append(ports, s.Local().Port())
	}
	return streams, ports
}

// The peak of use is bound once and used again, in the order in which it was closed; what is deaf is not.
func TestPairsAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, _ := memoryEngine(t, nil)
		var last []uint16
		for round := range 5 {
			streams, ports := leaseAll(t, e, 3)
			if round > 0 && (ports[0] != last[0] || ports[1] != last[1] || ports[2] != last[2]) {
				t.Errorf("leased %v, closed %v before", ports, last)
			}
			for _, s := range streams {
				s.Close()
			}
			last = ports
			time.Sleep(31 * time.Second)
		}
		if n := len(e.ports.bound); n != 3 || e.PortsFree() != 50 {
			t.Errorf("%d pairs are bound and %d free, want 3 and 50", n, e.PortsFree())
		}
		for range 4 { // each of the first two rounds is deaf when the next begins
			streams, _ := leaseAll(t, e, 3)
			for _, s := range streams {
				s.Close()
			}
			time.Sleep(16 * time.Second)
		}
		if n := len(e.ports.bound); n != 6 {
			t.Errorf("%d pairs are bound, want 6", n)
		}
	})
}

// A pair that cannot be renewed is passed over for another one, idle or unbound, and tried again later.
func TestPairThatIsLostIsPassedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, c := memoryEngine(t, func(cfg *Config) { cfg.PortMin, cfg.PortMax, cfg.Deaf = 20000, 20005, -1 })
		streams, ports := leaseAll(t, e, 2)
		for _, s := range streams {
			s.Close()
		}
		lost := c.sockets[ports[0]+1]
		lost.taken = syscall.EADDRINUSE
		_, got := leaseAll(t, e, 2)
		if got[0] != ports[1] || got[1] == ports[0] {
			t.Errorf("leased %v, of which %d is lost", got, ports[0])
		}
		if s, err := e.Lease(nil); !errors.Is(err, ErrNoPort) {
			t.Errorf("leased %v: %v", s, err)
		}
		lost.taken = syscall.ENOMEM
		if s, err := e.Lease(nil); !errors.Is(err, syscall.ENOMEM) {
			t.Errorf("leased %v: %v", s, err)
		}
		lost.taken = nil
		if s, err := e.Lease(nil); err != nil || s.Local().Port() != ports[0] || e.PortsLeased() != 3 {
			t.Errorf("leased %v: %v", s, err)
		}
	})
}

// A port of another program's, of either kind, is passed over, and leased when it is given back.
func TestTakenPortIsPassedOver(t *testing.T) {
	onEveryCarrier(t, func(t *testing.T, e *Engine) {
		defer closeEngine(t, e)
		e.ports.unbound = e.ports.unbound[:3]
		var others []net.PacketConn
		for i, port := range e.ports.unbound[:2] {
			c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(e.cfg.Addr, port+uint16(i))))
			if err != nil {
				t.Fatal(err)
			}
			others = append(others, c)
		}
		want := e.ports.unbound[2]
		if _, got := leaseAll(t, e, 1); got[0] != want {
			t.Errorf("leased %d, want %d", got[0], want)
		}
		if s, err := e.Lease(nil); !errors.Is(err, ErrNoPort) {
			t.Errorf("leased %v: %v", s, err)
		}
		for _, c := range others {
			c.Close()
		}
		leaseAll(t, e, 2)
	})
}

// A staller is a handler that holds up whoever brings in the first packet.
type staller struct {
	told
	stalled, goOn chan struct{}
}

func (s *staller) Heard() {
	s.stalled <- struct{}{}
	<-s.goOn
}

// What lies in a socket unread when its next lease begins is not heard by that, though it comes from the same phone;
// whether the next lease is on the same loop or on another.
func TestNextLeaseHearsNothingOfTheLast(t *testing.T) {
	for _, moves := range []bool{false, true} {
		onEveryCarrier(t, func(t *testing.T, e *Engine) {
			defer closeEngine(t, e)
			e.cfg.Deaf = -1
			e.ports.unbound = e.ports.unbound[:3]
			near, _ := leaseAll(t, e, 2) // one on each loop
			p := newPhone(t, e, near[0], "127.0.0.5", PCMU)
			h := staller{stalled: make(chan struct{}), goOn: make(chan struct{})}
			p.stream.Watch(&h)
			p.say(Tone(440, 0.5, time.Second))
			<-h.stalled
			for range 20 {
				p.say(Tone(440, 0.5, time.Second)) // nobody can read these now
			}
			p.stream.Close()
			if moves {
				near[0] = near[1]
			}
			next, err := e.Lease(near[0])
			if err != nil || next.Local() != p.stream.Local() {
				t.Fatalf("leased %v: %v", next, err)
			}
			next.Tap(tapped{&p.told})
			next.Set(Params{Remote: address(p.rtp), Send: true, Receive: true})
			close(h.goOn)
			heard := func() bool {
				p.next.SSRC = 4711
				p.say(Tone(440, 0.5, time.Second)) // again, since the loop before may take one that it was told of
				return next.Quality().Received > 2
			}
			if !eventually(heard) {
				t.Error("the next stream is deaf")
			}
			next.Tap(nil)
			for _, packet := range p.told.all().packets {
				if packet.SSRC != 4711 {
					t.Fatal("a packet of the stream before was heard")
				}
			}
		})
	}
}
