package media

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"callhall/call"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"go.uber.org/goleak"
)

// TestMain fails when a test leaves a goroutine behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// onEveryCarrier runs a test over real sockets: on this system's best carrier and on the portable one.
func onEveryCarrier(t *testing.T, test func(t *testing.T, e *Engine)) {
	for name, carry := range map[string]func(*loop) (carrier, error){"best": newCarrier, "sockets": newSocketCarrier} {
		t.Run(name, func(t *testing.T) {
			before := descriptors(t)
			t.Run("run", func(t *testing.T) { test(t, openReal(t, carry, 2)) }) // whose own are closed when it ends
			if after := descriptors(t); after > before {
				t.Errorf("%d descriptors before, %d after", before, after)
			}
		})
	}
}

// openReal opens an engine on loopback. Close it with closeEngine.
func openReal(t testing.TB, carry func(*loop) (carrier, error), loops int) *Engine {
	t.Helper()
	e, err := open(Config{
		Addr: netip.MustParseAddr("127.0.0.1"), PortMin: 21000, PortMax: 29000, Loops: loops,
		ReportInterval: 200 * time.Millisecond, SilenceLimit: 300 * time.Millisecond,
	}, carry)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func closeEngine(t testing.TB, e *Engine) {
	t.Helper()
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}

// descriptors is how many files this process has open; 0 where that cannot be told.
func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}

// A phone is a far end with real sockets.
type phone struct {
	t         testing.TB
	rtp, rtcp *net.UDPConn
	stream    *Stream
	next      rtp.Header
	told      told
}

func newPhone(t testing.TB, e *Engine, near *Stream, host string, codec Codec) *phone {
	t.Helper()
	p := &phone{t: t, rtp: udp(t, host), rtcp: udp(t, host)}
	p.next = rtp.Header{Version: 2, PayloadType: uint8(codec), SSRC: 77, SequenceNumber: 65500}
	s, err := e.Lease(near)
	if err != nil {
		t.Fatal(err)
	}
	p.stream = s
	s.Watch(&p.told)
	s.Set(Params{Remote: address(p.rtp), RemoteRTCP: address(p.rtcp), Codec: codec, DTMF: 101, Send: true, Receive: true})
	return p
}

func udp(t testing.TB, host string) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(host), 0)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func address(c *net.UDPConn) netip.AddrPort {
	return unmapPort(c.LocalAddr().(*net.UDPAddr).AddrPort())
}

// say sends 20 ms of a clip, the next after what it said before.
func (p *phone) say(c *Clip) {
	p.t.Helper()
	payload := make([]byte, frameSize)
	c.frame(payload, Codec(p.next.PayloadType), int(p.next.Timestamp)%len(c.ulaw), true)
	p.write(p.rtp, p.stream.Local(), payload)
	p.next.SequenceNumber++
	p.next.Timestamp += frameSize
}

// write sends the phone's next packet from any socket to any port.
func (p *phone) write(from *net.UDPConn, to netip.AddrPort, payload []byte) {
	p.t.Helper()
	b, err := (&rtp.Packet{Header: p.next, Payload: payload}).Marshal()
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := from.WriteToUDPAddrPort(b, to); err != nil {
		p.t.Fatal(err)
	}
}

// hears reads one packet of RTP.
func (p *phone) hears() (rtp.Packet, bool) { return read(p.t, p.rtp, 2*time.Second) }

// read waits for a datagram at most so long.
func read(t testing.TB, c *net.UDPConn, wait time.Duration) (p rtp.Packet, ok bool) {
	t.Helper()
	b := make([]byte, maxDatagram)
	if err := c.SetReadDeadline(time.Now().Add(wait)); err != nil {
		t.Fatal(err)
	}
	n, err := c.Read(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return p, false
	}
	if err == nil {
		err = p.Unmarshal(b[:n])
	}
	if err != nil {
		t.Fatal(err)
	}
	return p, true
}

// Two parties hear each other's tones, clean and on the right side, while a stranger shoots at every port.
func TestRelayOverSockets(t *testing.T) {
	onEveryCarrier(t, func(t *testing.T, e *Engine) {
		defer closeEngine(t, e)
		a := newPhone(t, e, nil, "127.0.0.5", PCMU)
		b := newPhone(t, e, a.stream, "127.0.0.6", PCMA)
		stranger := udp(t, "127.0.0.66")
		a.stream.Tap(tapped{&a.told})
		Join(a.stream, b.stream)
		low, high, noise := Tone(440, 0.4, time.Second), Tone(880, 0.4, time.Second), Tone(1500, 0.9, time.Second)
		var atA, atB []int16
		for range 25 {
			for _, p := range []*phone{a, b} {
				bad := &phone{t: t, stream: p.stream, next: p.next}
				bad.write(stranger, p.stream.Local(), noise.ulaw[:frameSize])
				bad.write(stranger, netip.AddrPortFrom(p.stream.Local().Addr(), p.stream.Local().Port()+1), noise.ulaw[:frameSize])
			}
			a.say(low)
			b.say(high)
			heardByA, okA := a.hears()
			heardByB, okB := b.hears()
			if !okA || !okB {
				t.Fatal("a packet did not come through")
			}
			atA, atB = append(atA, decode(heardByA.Payload, PCMU)...), append(atB, decode(heardByB.Payload, PCMA)...)
		}
		if x, y := Goertzel(atA, 880), Goertzel(atB, 440); x < 0.95 || y < 0.95 {
			t.Errorf("880 Hz arrives with %.3f, 440 Hz with %.3f", x, y)
		}
		if _, ok := read(t, stranger, 50*time.Millisecond); ok {
			t.Error("the stranger was answered")
		}
		if q := a.stream.Quality(); q.Received != 25 || q.Sent != 25 || q.Rejected != 50 || q.Lost != 0 || q.MOS < 4 {
			t.Errorf("quality %+v", q)
		}
		if len(a.told.all().packets) != 25 || len(a.told.all().packets[3].Payload) != frameSize {
			t.Errorf("tapped %d packets", len(a.told.all().packets))
		}
	})
}

func TestClipOverSockets(t *testing.T) {
	onEveryCarrier(t, func(t *testing.T, e *Engine) {
		defer closeEngine(t, e)
		p := newPhone(t, e, nil, "127.0.0.5", PCMU)
		begun := time.Now()
		p.stream.Play(Tone(440, 0.5, 300*time.Millisecond), false)
		var sound []int16
		for range 15 {
			packet, ok := p.hears()
			if !ok {
				t.Fatal("the clip stopped")
			}
			sound = append(sound, decode(packet.Payload, PCMU)...)
		}
		if took := time.Since(begun); took < 275*time.Millisecond || took > 2*time.Second {
			t.Errorf("300 ms took %v", took)
		}
		if x := Goertzel(sound, 440); x < 0.95 {
			t.Errorf("440 Hz arrives with %.3f", x)
		}
	})
}

// A closed port is bound and says and hears nothing; its next stream hears nothing of what came before.
func TestClosedPortIsDeaf(t *testing.T) {
	onEveryCarrier(t, func(t *testing.T, e *Engine) {
		defer closeEngine(t, e)
		e.cfg.Deaf = 10 * time.Millisecond
		e.ports.unbound = e.ports.unbound[:1]
		p := newPhone(t, e, nil, "127.0.0.5", PCMU)
		port := p.stream.Local()
		p.stream.Close()
		if _, err := e.Lease(nil); !errors.Is(err, ErrNoPort) {
			t.Errorf("lease of a deaf port: %v", err)
		}
		if c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(port)); err == nil {
			c.Close()
			t.Error("a deaf port is not bound")
		}
		p.say(Tone(440, 0.5, time.Second))
		var again *Stream
		if !eventually(func() bool { s, err := e.Lease(nil); again = s; return err == nil }) {
			t.Fatal("the port does not come back")
		}
		again.Tap(tapped{&p.told})
		again.Set(Params{Remote: address(p.rtp), Send: true, Receive: true})
		p.stream = again
		p.say(Tone(440, 0.5, time.Second))
		if !eventually(func() bool { return again.Quality().Received > 0 }) {
			t.Error("the port's next stream is deaf too")
		}
		again.Tap(nil)
		if n := len(p.told.all().packets); n != 1 || again.Local() != port {
			t.Errorf("the next stream heard %d packets, want its own one", n)
		}
	})
}

// eventually tries until it holds or 5 s have passed.
func eventually(holds func() bool) bool {
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); runtime.Gosched() {
		if holds() {
			return true
		}
	}
	return false
}

func TestKeysReportsAndQuietOverSockets(t *testing.T) {
	onEveryCarrier(t, func(t *testing.T, e *Engine) {
		defer closeEngine(t, e)
		s, err := e.Lease(nil)
		if err != nil {
			t.Fatal(err)
		}
		far, err := e.Lease(nil) // two streams of one engine face each other: each is the other's phone
		if err != nil {
			t.Fatal(err)
		}
		var h told
		far.Watch(&h)
		s.Set(Params{Remote: far.Local(), DTMF: 96, Send: true, Receive: true})
		far.Set(Params{Remote: s.Local(), DTMF: 96, Send: true, Receive: true})
		for _, key := range "31#A" {
			s.SendDigit(key, 0)
		}
		if !eventually(func() bool { return h.all().digits == "31#A" }) {
			t.Errorf("heard %q", h.all().digits)
		}
		s.Play(Tone(440, 0.5, time.Second), true)
		far.Play(Tone(880, 0.5, time.Second), true)
		if !eventually(func() bool { return far.Quality().RoundTrip > 0 }) {
			t.Error("no round trip was measured")
		}
		if q := far.Quality(); q.RoundTrip > 200*time.Millisecond || q.LostFar > 0 {
			t.Errorf("quality %+v", q)
		}
		s.Close()
		quiet := func() bool { return len(h.all().quiet) == 1 }
		if !eventually(quiet) {
			t.Error("quiet was not told")
		}
	})
}

func TestIPv6(t *testing.T) {
	loopback := netip.IPv6Loopback()
	if c, err := net.ListenUDP("udp6", net.UDPAddrFromAddrPort(netip.AddrPortFrom(loopback, 0))); err != nil {
		t.Skipf("this machine has no IPv6: %v", err)
	} else {
		c.Close()
	}
	for name, carry := range map[string]func(*loop) (carrier, error){"best": newCarrier, "sockets": newSocketCarrier} {
		t.Run(name, func(t *testing.T) {
			e, err := open(Config{Addr: loopback, PortMin: 21000, PortMax: 29000}, carry)
			if err != nil {
				t.Fatal(err)
			}
			defer closeEngine(t, e)
			a := newPhone(t, e, nil, "::1", PCMU)
			b := newPhone(t, e, a.stream, "::1", PCMU)
			Join(a.stream, b.stream)
			a.say(Tone(440, 0.5, time.Second))
			if _, ok := b.hears(); !ok {
				t.Error("nothing came through")
			}
		})
	}
}

// A stream is little more than its counters: two of them, as a call has, fit in 30 KiB many times.
func TestMemoryOfAStream(t *testing.T) {
	const streams = 200
	e := openReal(t, newCarrier, 1)
	defer closeEngine(t, e)
	inUse := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc + m.StackInuse
	}
	before := inUse()
	for range streams {
		if _, err := e.Lease(nil); err != nil {
			t.Fatal(err)
		}
	}
	each := (int64(inUse()) - int64(before)) / streams
	t.Logf("%d bytes each", each)
	if runtime.GOOS == "linux" && each > 4<<10 {
		t.Errorf("a stream takes %d bytes", each)
	}
}

func TestGoodbyeOverSockets(t *testing.T) {
	onEveryCarrier(t, func(t *testing.T, e *Engine) {
		defer closeEngine(t, e)
		p := newPhone(t, e, nil, "127.0.0.5", PCMU)
		p.stream.Close()
		b := make([]byte, maxDatagram)
		if err := p.rtcp.SetReadDeadline(time.Now().Add(2 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, from, err := p.rtcp.ReadFromUDPAddrPort(b)
		if err != nil {
			t.Fatal(err)
		}
		packets, err := rtcp.Unmarshal(b[:n])
		if err != nil || unmapPort(from).Port() != p.stream.Local().Port()+1 {
			t.Fatalf("from %v: %v", from, err)
		}
		if _, isBye := packets[len(packets)-1].(*rtcp.Goodbye); !isBye {
			t.Errorf("the last word is %v", packets)
		}
	})
}

// Everything is done to streams from many goroutines at once while packets come; the race detector watches.
func TestStreamsFromManyGoroutines(t *testing.T) {
	onEveryCarrier(t, func(t *testing.T, e *Engine) {
		defer closeEngine(t, e)
		e.cfg.Deaf = -1 // every port goes through many hands, on both loops
		clip := Tone(440, 0.5, 50*time.Millisecond)
		var heard atomic.Int64
		done := make(chan struct{})
		for range 4 {
			go func() {
				defer func() { done <- struct{}{} }()
				for range 50 {
					a, errA := e.Lease(nil)
					b, errB := e.Lease(a)
					if errA != nil || errB != nil {
						t.Errorf("lease: %v, %v", errA, errB)
						return
					}
					a.Set(Params{Remote: b.Local(), Send: true, Receive: true, DTMF: 101})
					b.Set(Params{Remote: a.Local(), Send: true, Receive: true, DTMF: 101})
					b.Tap(countTap{&heard})
					a.Play(clip, true)
					Join(a, b)
					a.Play(clip, false)
					a.SendDigit('1', 0)
					b.Part()
					a.Quality()
					var closing sync.WaitGroup
					closing.Go(b.Close)
					a.Close()
					b.Close()
					closing.Wait()
				}
			}()
		}
		for range 4 {
			<-done
		}
		if !eventually(func() bool { return e.PortsLeased() == 0 }) {
			t.Errorf("%d ports are left", e.PortsLeased())
		}
	})
}

type countTap struct{ n *atomic.Int64 }

func (c countTap) Heard(call.Packet) { c.n.Add(1) }
