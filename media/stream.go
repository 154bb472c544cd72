package media

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"callhall/call"

	"github.com/pion/rtp"
)

// Params is what was negotiated for one stream. The zero Params hears nobody and says nothing.
type Params struct {
	Remote     netip.AddrPort // where the party wants RTP, and the only address from which it is taken
	RemoteRTCP netip.AddrPort // where it wants RTCP; zero: the port above Remote's; equal to Remote: rtcp-mux (RFC 5761)
	Codec      Codec          // what is sent; either codec is understood
	DTMF       uint8          // payload type of telephone-event (RFC 4733); 0: not negotiated
	Send       bool           // whether RTP may be sent to the party
	Receive    bool           // whether its RTP is listened to

	// Learn is the address from which the party signals, where a NAT hides the one it names; zero: never learn. Until
	// the first good packet, RTP is also taken from any port of this address. That packet's source then takes the place
	// of Remote, until Set names another Remote or Learn.
	Learn netip.Addr
}

// A Handler is told what happens to a stream. Its methods are called on a packet loop and must not block; they may call
// the stream's own. A call of them may be under way while Close or Watch returns.
type Handler interface {
	// Digit is a key that the party pressed (0-9 * # A-D), told once, when it is let go (RFC 4733).
	Digit(key rune)
	// Played says that a clip which is not looped has been heard to its end. One that was replaced or stopped says nothing.
	Played(c *Clip)
	// Quiet says that nothing, neither RTP nor RTCP, has come for d. It is told once, and not again before Heard. A
	// stream that does not receive is never quiet.
	Quiet(d time.Duration)
	// Heard is the first RTP packet of the party, and the first one after Quiet.
	Heard()
}

// A Stream is one party's sound: a leased port pair, what comes in on it and what goes out. All methods may be called
// from any goroutine and none of them waits for the network.
type Stream struct {
	engine *Engine
	loop   *loop
	pair   *pair
	local  netip.AddrPort
	cname  string
	slot   int64 // of the 20 ms clock; set by loop.enter

	packet rtp.Packet // scratch of whoever delivers RTP; deliveries do not overlap

	mu      sync.Mutex
	closed  bool
	params  Params
	remote  netip.AddrPort // Params.Remote, or what was learned
	fixed   bool           // remote will not change any more
	rtcpTo  netip.AddrPort // where reports go
	handler Handler
	tap     call.Tap
	to      way // set with the engine's joining held too

	in  reception
	out sender

	ticking bool  // in the loop's wheel
	since   int64 // ticks up to this slot are not ours
	player  player
	pressed keyIn
	keys    keyOut

	rejected     uint64
	quietFrom    time.Duration // since when no RTP has come, while receiving
	alive        time.Duration // when RTP or RTCP came last, or was first expected
	heard        bool          // Heard was told, and no Quiet since
	wasQuiet     bool          // Quiet was told, and no Heard since
	longestQuiet time.Duration

	report
	told tally // what the engine's metrics know of
}

func newStream(e *Engine, l *loop, p *pair, now time.Time) *Stream {
	s := &Stream{engine: e, loop: l, pair: p, cname: newCNAME()}
	s.local = netip.AddrPortFrom(e.cfg.Addr, p.port)
	s.out = sender{ssrc: rand.Uint32(), seq: uint16(rand.Uint32()), zero: rand.Uint32()}
	s.reportAt = s.clock(now) + s.reportInterval()/2
	return s
}

// clock is a time as the stream counts it: from its loop's epoch, by the monotonic clock.
func (s *Stream) clock(at time.Time) time.Duration { return at.Sub(s.loop.epoch) }

func (s *Stream) now() time.Duration { return s.clock(time.Now()) }

// Local is the address of the stream's RTP socket; RTCP has the port above it.
func (s *Stream) Local() netip.AddrPort { return s.local }

// Set puts a negotiation's result into force at once.
func (s *Stream) Set(p Params) {
	p.Remote, p.RemoteRTCP, p.Learn = unmapPort(p.Remote), unmapPort(p.RemoteRTCP), p.Learn.Unmap()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	now := s.now()
	s.longestQuiet = max(s.longestQuiet, s.quietFor(now))
	s.quietFrom, s.alive = now, now
	before := s.params
	s.params = p
	moved := p.Remote != before.Remote || p.Learn != before.Learn
	if moved {
		s.remote, s.fixed = p.Remote, !p.Learn.IsValid()
	}
	if moved || p.RemoteRTCP != before.RemoteRTCP {
		s.rtcpTo, s.rtcpFixed = s.rtcpAddress(), false
	}
}

// rtcpAddress is where reports go, as far as the negotiation tells: a party whose RTP is behind a NAT cannot know.
func (s *Stream) rtcpAddress() netip.AddrPort {
	switch {
	case s.muxed():
		return s.remote
	case s.params.RemoteRTCP.IsValid() && s.remote == s.params.Remote:
		return s.params.RemoteRTCP
	}
	return above(s.remote)
}

// unmapPort turns an IPv4 address in IPv6 clothes into itself.
func unmapPort(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

// above is the port of RTCP for an RTP address (RFC 3550 §11).
func above(a netip.AddrPort) netip.AddrPort {
	if !a.IsValid() || a.Port() == 65535 {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(a.Addr(), a.Port()+1)
}

// Watch makes h the stream's handler; nil tells nobody.
func (s *Stream) Watch(h Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handler = h
}

// Tap gives t every packet that this party sends, after its source was checked; nil ends that. When Tap returns, the
// tap before is not called any more. A tap must not call the stream.
func (s *Stream) Tap(t call.Tap) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tap = t
}

// Join connects the sound of two streams of one engine, both ways, and stops what either was playing or was joined to;
// each leaves the conference that it was in.
func Join(a, b *Stream) {
	if a == b {
		return
	}
	a.engine.joining.Lock()
	defer a.engine.joining.Unlock()
	a.part()
	b.part()
	a.join(b)
	b.join(a)
}

// join makes peer the one that s hears. The engine's joining is held.
func (s *Stream) join(peer *Stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.to = way{peer: peer}
	s.player.stop()
	s.out.breakOff()
}

// Part undoes Join and Confer. When it returns, the stream hears nobody and nobody hears it; those who are left in its
// conference go on hearing each other.
func (s *Stream) Part() {
	s.engine.joining.Lock()
	defer s.engine.joining.Unlock()
	s.part()
}

func (s *Stream) part() {
	s.mu.Lock()
	to := s.to
	s.to = way{}
	s.mu.Unlock()
	if to.seat != nil {
		to.seat.leave()
	}
	if to.peer != nil {
		to.peer.mu.Lock()
		defer to.peer.mu.Unlock()
		to.peer.to = way{}
	}
}

// Close says goodbye by RTCP and gives the port back, which stays deaf for Config.Deaf. The tap is not called once it
// has returned. It may be called twice; the other methods do nothing on a closed stream, and Quality still answers.
func (s *Stream) Close() {
	if !s.end(time.Now()) {
		return
	}
	s.Part()
	s.loop.leave(s)
	s.engine.ports.giveBack(s.pair, time.Now().Add(s.engine.cfg.Deaf))
}

// end makes the stream silent and deaf. It reports false when it was already.
func (s *Stream) end(at time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	now := s.clock(at)
	s.sendReport(now, true)
	s.longestQuiet = max(s.longestQuiet, s.quietFor(now))
	s.closed = true
	s.tap, s.handler = nil, nil
	s.params.Send, s.params.Receive = false, false
	s.player, s.keys, s.pressed = player{}, keyOut{}, keyIn{}
	s.tell()
	s.engine.metrics.ended(s.in.jitterTime(), s.told)
	return true
}

// tell brings the engine's metrics up to date.
func (s *Stream) tell() {
	now := tally{received: s.in.total(), sent: s.out.packets, lost: s.in.lost(), rejected: s.rejected}
	s.engine.metrics.add(s.told, now)
	s.told = now
}

// quietFor is how long no RTP has come; 0 for a stream that does not receive.
func (s *Stream) quietFor(now time.Duration) time.Duration {
	if !s.params.Receive {
		return 0
	}
	return now - s.quietFrom
}

// news is what a handler must be told once the stream's lock is given back.
type news struct {
	handler Handler
	digit   rune
	seat    *seat // in which the key was pressed, if in one
	played  *Clip
	quiet   time.Duration
	heard   bool
}

func (n news) tell() {
	if n.digit != 0 && n.seat != nil {
		n.seat.press(n.digit)
	}
	if n.handler == nil {
		return
	}
	if n.heard {
		n.handler.Heard()
	}
	if n.digit != 0 {
		n.handler.Digit(n.digit)
	}
	if n.played != nil {
		n.handler.Played(n.played)
	}
	if n.quiet > 0 {
		n.handler.Quiet(n.quiet)
	}
}
