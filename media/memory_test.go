package media

import (
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"callhall/call"

	"github.com/pion/rtp"
)

// A memoryCarrier has no network: what is sent is kept, with its time, and what comes is said by the test. In a
// synctest bubble its clock is the bubble's, so that everything is exact.
type memoryCarrier struct {
	loop *loop

	mu      sync.Mutex
	timer   *time.Timer
	sockets map[uint16]*memorySocket
	sent    []sentPacket
}

type sentPacket struct {
	at   time.Time
	from uint16
	to   netip.AddrPort
	b    []byte
}

func (c *memoryCarrier) bind(addr netip.AddrPort) (socket, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := &memorySocket{carrier: c, port: addr.Port()}
	c.sockets[s.port] = s
	return s, nil
}

func (c *memoryCarrier) wake(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer != nil {
		c.timer.Stop()
	}
	c.timer = time.AfterFunc(d, func() { c.loop.run(time.Now()) })
}

func (c *memoryCarrier) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer != nil {
		c.timer.Stop()
	}
	return nil
}

// take returns what was sent since it was called last.
func (c *memoryCarrier) take() []sentPacket {
	c.mu.Lock()
	defer c.mu.Unlock()
	sent := c.sent
	c.sent = nil
	return sent
}

type memorySocket struct {
	carrier *memoryCarrier
	port    uint16
	taken   error // what renew fails with
	to      receiver
}

func (s *memorySocket) renew(carrier) error { return s.taken }
func (s *memorySocket) listen(r receiver)   { s.to = r }
func (s *memorySocket) deafen()             { s.to = nil }
func (s *memorySocket) close() error        { return nil }

func (s *memorySocket) send(b []byte, to netip.AddrPort) error {
	s.carrier.mu.Lock()
	defer s.carrier.mu.Unlock()
	s.carrier.sent = append(s.carrier.sent, sentPacket{time.Now(), s.port, to, slices.Clone(b)})
	return nil
}

// memoryEngine opens an engine without a network. Call it within a synctest bubble.
func memoryEngine(t testing.TB, change func(*Config)) (*Engine, *memoryCarrier) {
	t.Helper()
	cfg := Config{Addr: netip.MustParseAddr("127.0.0.1"), PortMin: 20000, PortMax: 20099, Loops: 1}
	if change != nil {
		change(&cfg)
	}
	var c *memoryCarrier
	e, err := open(cfg, func(l *loop) (carrier, error) {
		c = &memoryCarrier{loop: l, sockets: make(map[uint16]*memorySocket)}
		return c, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e, c
}

// A party is the far end of a stream in memory: what it sends and what it has been sent.
type party struct {
	t       testing.TB
	carrier *memoryCarrier
	stream  *Stream
	addr    netip.AddrPort
	next    rtp.Header // of the next packet it sends
	told    told
}

// facts is what a handler and a tap were told.
type facts struct {
	digits  string
	played  []time.Time
	quiet   []time.Duration
	heard   int
	packets []call.Packet
}

// told is a Handler that keeps what it is told.
type told struct {
	mu    sync.Mutex
	facts facts
}

// change adds to the facts.
func (h *told) change(add func(f *facts)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	add(&h.facts)
}

func (h *told) Digit(key rune)        { h.change(func(f *facts) { f.digits += string(key) }) }
func (h *told) Played(*Clip)          { h.change(func(f *facts) { f.played = append(f.played, time.Now()) }) }
func (h *told) Quiet(d time.Duration) { h.change(func(f *facts) { f.quiet = append(f.quiet, d) }) }
func (h *told) Heard()                { h.change(func(f *facts) { f.heard++ }) }

// tapped keeps packets.
type tapped struct{ *told }

func (h tapped) Heard(p call.Packet) {
	p.Payload = slices.Clone(p.Payload)
	h.change(func(f *facts) { f.packets = append(f.packets, p) })
}

// all is what was told so far.
func (h *told) all() facts {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := h.facts
	f.played, f.quiet, f.packets = slices.Clone(f.played), slices.Clone(f.quiet), slices.Clone(f.packets)
	return f
}

// newParty leases a stream for a party at 127.0.0.port, with both directions open.
func newParty(t testing.TB, e *Engine, c *memoryCarrier, addr string, codec Codec) *party {
	t.Helper()
	s, err := e.Lease(nil)
	if err != nil {
		t.Fatal(err)
	}
	p := &party{t: t, carrier: c, stream: s, addr: netip.MustParseAddrPort(addr)}
	p.next = rtp.Header{Version: 2, PayloadType: uint8(codec), SSRC: 0xA0 + uint32(p.addr.Port()), SequenceNumber: 65530, Timestamp: 1 << 31}
	s.Watch(&p.told)
	s.Set(p.params(codec))
	return p
}

func (p *party) params(codec Codec) Params {
	return Params{Remote: p.addr, Codec: codec, DTMF: 101, Send: true, Receive: true}
}

// send sends the next packet with that payload.
func (p *party) send(payload []byte) {
	p.t.Helper()
	p.sendFrom(p.addr, p.next, payload)
	p.next.SequenceNumber++
	p.next.Timestamp += uint32(len(payload))
}

// sendFrom sends one packet from any address.
func (p *party) sendFrom(from netip.AddrPort, h rtp.Header, payload []byte) {
	p.t.Helper()
	b, err := (&rtp.Packet{Header: h, Payload: payload}).Marshal()
	if err != nil {
		p.t.Fatal(err)
	}
	p.deliver(from, b)
}

// deliver brings a datagram to the stream's RTP socket.
func (p *party) deliver(from netip.AddrPort, b []byte) {
	if to := p.carrier.sockets[p.stream.Local().Port()].to; to != nil {
		to(time.Now(), from, b)
	}
}

// report brings a datagram to the stream's RTCP socket.
func (p *party) report(from netip.AddrPort, b []byte) {
	p.carrier.sockets[p.stream.Local().Port()+1].to(time.Now(), from, b)
}

// timed is an RTP packet and when it was sent.
type timed struct {
	rtp.Packet
	at time.Time
}

// rtpTo is the RTP that was sent to an address.
func rtpTo(t testing.TB, sent []sentPacket, to netip.AddrPort) []timed {
	t.Helper()
	var out []timed
	for _, s := range sent {
		if s.to != to {
			continue
		}
		p := timed{at: s.at}
		if err := p.Unmarshal(s.b); err != nil {
			t.Fatalf("sent what is not RTP: %v", err)
		}
		out = append(out, p)
	}
	return out
}

// frame is 20 ms of one byte.
func frame(b byte) []byte { return slices.Repeat([]byte{b}, frameSize) }
