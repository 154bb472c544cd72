package load

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/ipv4"
)

// party is one side of the load.
type party int

const (
	callerSide party = iota
	agentSide
)

const (
	slots     = 20 // one a millisecond: the streams' packets are spread over the 20 ms that each holds
	rtpHeader = 12
	packetLen = rtpHeader + 160 // 20 ms of G.711
	// mark begins the payload of each packet of ours. Behind it: the stream's id, its count and the time it was sent.
	mark      = 0xC4A11A4D
	markedLen = rtpHeader + 20

	sendBatch = 16 // packets to one system call, and to one reading of the clock
	hearBatch = 64
)

// media sends and hears the RTP of all calls: one socket for the callers, one for the agents. Whose packet was heard is
// in the packet; whose call it belongs to is known by the server's address.
type media struct {
	conns [2]*net.UDPConn
	stop  chan struct{}
	wg    sync.WaitGroup
	sent  atomic.Uint64

	mu      sync.Mutex // guards what follows, and the streams but for their packets
	lastID  uint32
	streams map[uint32]*stream
	byAddr  [2]map[netip.AddrPort]*stream
	byCall  [2]map[string]*stream
	slots   [slots][]*stream
	foreign uint64
	gone    tally // of streams that have ended
	delays  histogram

	firstSound, offered, agentSound []time.Duration
}

// stream is one party of one call: what it sends, and what the far side heard of that.
type stream struct {
	who    party
	to     netip.AddrPort
	callID string    // empty where there is no signalling: then only packets are counted
	placed time.Time // the INVITE, sent by a caller or heard by an agent

	id    uint32
	slot  int
	begun time.Time
	msg   ipv4.Message // its packet: written by sendAll only
	count uint32       // of packets sent: sendAll's
	sound bool         // this party has heard something
	voice bool         // and something of the other party's

	heard    uint64 // of this stream, at the far side
	min, max uint32
}

// tally is what was heard of streams at the far side.
type tally struct{ heard, lost uint64 }

func openMedia(server netip.Addr) (*media, error) {
	m := &media{stop: make(chan struct{}), streams: map[uint32]*stream{}}
	for i := range m.conns {
		m.byAddr[i], m.byCall[i] = map[netip.AddrPort]*stream{}, map[string]*stream{}
		conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: localFor(server)})
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open media socket: %w", err), m.close())
		}
		conn.SetReadBuffer(8 << 20) // a hint: the kernel may give less
		stampArrivals(conn)
		m.conns[i] = conn
	}
	m.wg.Go(m.sendAll)
	for i := range m.conns {
		m.wg.Go(func() { m.hear(party(i)) })
	}
	return m, nil
}

func (m *media) close() error {
	close(m.stop)
	var err error
	for _, c := range m.conns {
		if c != nil {
			err = errors.Join(err, c.Close())
		}
	}
	m.wg.Wait()
	return err
}

func (m *media) addr(p party) netip.AddrPort {
	return unmapped(m.conns[p].LocalAddr().(*net.UDPAddr).AddrPort())
}

// add begins a stream in the slot that has the fewest. A second stream of the same call and party is not begun.
func (m *media) add(s *stream) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s.callID != "" {
		if m.byCall[s.who][s.callID] != nil {
			return
		}
		m.byCall[s.who][s.callID] = s
		m.byAddr[s.who][s.to] = s
	}
	for i := range m.slots {
		if len(m.slots[i]) < len(m.slots[s.slot]) {
			s.slot = i
		}
	}
	m.lastID++
	s.id, s.begun = m.lastID, time.Now()
	s.msg = ipv4.Message{Buffers: [][]byte{firstPacket(s.id)}, Addr: net.UDPAddrFromAddrPort(s.to)}
	m.streams[s.id] = s
	m.slots[s.slot] = append(m.slots[s.slot], s)
}

// firstPacket is a packet of mu-law silence with our mark.
func firstPacket(id uint32) []byte {
	p := make([]byte, packetLen)
	for i := range p {
		p[i] = 0xFF
	}
	p[0], p[1] = 0x80, 0 // version 2, PCMU (RFC 3550 §5.1)
	binary.BigEndian.PutUint32(p[8:], id)
	binary.BigEndian.PutUint32(p[rtpHeader:], mark)
	binary.BigEndian.PutUint32(p[rtpHeader+4:], id)
	return p
}

// remove ends a party's stream and keeps its tally.
func (m *media) remove(who party, callID string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.byCall[who][callID]
	if s == nil {
		return
	}
	delete(m.byCall[who], callID)
	delete(m.streams, s.id)
	if m.byAddr[who][s.to] == s {
		delete(m.byAddr[who], s.to)
	}
	in := m.slots[s.slot]
	for i := range in {
		if in[i] == s {
			m.slots[s.slot] = append(in[:i], in[i+1:]...)
			break
		}
	}
	m.gone.add(s.tally())
}

func (t *tally) add(o tally) { t.heard += o.heard; t.lost += o.lost }

// tally counts as lost what is missing between the first and the last packet heard. A packet heard twice makes up for
// none.
func (s *stream) tally() tally {
	if s.heard == 0 {
		return tally{}
	}
	span := uint64(s.max-s.min) + 1
	return tally{s.heard, span - min(s.heard, span)}
}

// reset begins a window of measurement.
func (m *media) reset() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.foreign, m.gone, m.delays = 0, tally{}, histogram{}
	m.sent.Store(0)
	for _, s := range m.streams {
		s.heard = 0
	}
}

func (m *media) report(r *Result) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.gone
	for _, s := range m.streams {
		all.add(s.tally())
		if s.heard == 0 {
			r.Silent++
		}
	}
	r.Sent, r.Heard, r.Lost, r.Foreign, r.Delay = m.sent.Load(), all.heard, all.lost, m.foreign, m.delays.delays()
	r.FirstSound = append([]time.Duration(nil), m.firstSound...)
	r.Offered = append([]time.Duration(nil), m.offered...)
	r.AgentSound = append([]time.Duration(nil), m.agentSound...)
}

// sendAll sends each slot's packets at its millisecond, in batches. A late slot is sent at once: no packet is left out.
func (m *media) sendAll() {
	var out [2]*ipv4.PacketConn
	for i, c := range m.conns {
		out[i] = ipv4.NewPacketConn(c)
	}
	var msgs [2][]ipv4.Message
	start := time.Now()
	for n := 0; ; n++ {
		wait := time.Until(start.Add(time.Duration(n) * time.Millisecond))
		select {
		case <-m.stop:
			return
		case <-time.After(wait):
		}
		m.fill(&msgs, n%slots)
		for i := range msgs {
			m.flush(out[i], msgs[i])
		}
	}
}

// fill prepares the packets of one slot.
func (m *media) fill(msgs *[2][]ipv4.Message, slot int) {
	msgs[0], msgs[1] = msgs[0][:0], msgs[1][:0]
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.slots[slot] {
		s.count++
		p := s.msg.Buffers[0]
		binary.BigEndian.PutUint16(p[2:], uint16(s.count))
		binary.BigEndian.PutUint32(p[4:], s.count*160)
		binary.BigEndian.PutUint32(p[rtpHeader+8:], s.count)
		msgs[s.who] = append(msgs[s.who], s.msg)
	}
}

// flush sends a slot's packets, each stamped right before the system call that takes it. What the kernel will not take
// is lost, as on a network.
func (m *media) flush(out *ipv4.PacketConn, msgs []ipv4.Message) {
	for len(msgs) > 0 {
		some := msgs[:min(len(msgs), sendBatch)]
		now := uint64(time.Now().UnixNano())
		for i := range some {
			binary.BigEndian.PutUint64(some[i].Buffers[0][rtpHeader+12:], now)
		}
		n, err := out.WriteBatch(some, 0)
		m.sent.Add(uint64(max(n, 0)))
		if err != nil || n <= 0 {
			n = max(n, 0) + 1 // skip the one it stopped at
		}
		msgs = msgs[min(n, len(msgs)):]
	}
}

// hear reads what the server sends to one side.
func (m *media) hear(who party) {
	in := ipv4.NewPacketConn(m.conns[who])
	msgs := make([]ipv4.Message, hearBatch)
	for i := range msgs {
		msgs[i] = ipv4.Message{Buffers: [][]byte{make([]byte, 2048)}, OOB: make([]byte, 64)}
	}
	for {
		n, err := in.ReadBatch(msgs, 0)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an ICMP error of one peer is not the socket's end
		}
		now := time.Now()
		m.mu.Lock()
		for i := range msgs[:n] {
			m.packet(who, &msgs[i], now)
		}
		m.mu.Unlock()
	}
}

// packet takes one packet heard. The caller holds mu.
func (m *media) packet(who party, msg *ipv4.Message, now time.Time) {
	from, ok := msg.Addr.(*net.UDPAddr)
	b := msg.Buffers[0][:msg.N]
	if !ok || len(b) < rtpHeader {
		return
	}
	at := arrival(msg.OOB[:msg.NN], now)
	listener := m.byAddr[who][unmapped(from.AddrPort())]
	if listener != nil && !listener.sound {
		listener.sound = true
		if who == callerSide {
			m.firstSound = append(m.firstSound, at.Sub(listener.begun))
		}
	}
	s := m.sender(who, b)
	if s == nil {
		m.foreign++
		return
	}
	if listener != nil && !listener.voice {
		listener.voice = true
		m.joined(listener, s, at)
	}
	s.hear(binary.BigEndian.Uint32(b[rtpHeader+8:]))
	m.delays.add(at.Sub(time.Unix(0, int64(binary.BigEndian.Uint64(b[rtpHeader+12:])))))
}

// sender is the stream of the far party that a packet is from; nil of what is not ours, of what we said ourselves and
// comes back, and of a call that has just ended. The caller holds mu.
func (m *media) sender(who party, b []byte) *stream {
	if len(b) < markedLen || binary.BigEndian.Uint32(b[rtpHeader:]) != mark {
		return nil
	}
	s := m.streams[binary.BigEndian.Uint32(b[rtpHeader+4:])]
	if s == nil || s.who == who {
		return nil
	}
	return s
}

// joined takes down, when a party first hears the other, how long the caller waited for that. The caller holds mu.
func (m *media) joined(listener, speaker *stream, at time.Time) {
	if listener.who == callerSide {
		m.agentSound = append(m.agentSound, at.Sub(listener.placed))
	} else {
		m.offered = append(m.offered, listener.placed.Sub(speaker.placed))
	}
}

func (s *stream) hear(count uint32) {
	if s.heard == 0 {
		s.min, s.max = count, count
	}
	s.heard++
	s.min, s.max = min(s.min, count), max(s.max, count)
}
