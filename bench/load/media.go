package load

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
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
	ptime     = 20 * time.Millisecond
	slots     = 20 // one a millisecond: the streams' packets are spread over the ptime
	batch     = 64
	rtpHeader = 12
	packetLen = rtpHeader + 160 // 20 ms of G.711
	// mark begins the payload of each packet of ours: what carries it is ours, and says when it was sent.
	mark = 0xC4A11A4D
)

// media sends and hears the RTP of all calls: one socket for the callers, one for the agents. A packet's stream is known
// by the server's port.
type media struct {
	server netip.Addr
	conns  [2]*net.UDPConn
	stop   chan struct{}
	wg     sync.WaitGroup

	mu      sync.Mutex // guards what follows
	streams [2]map[uint16]*stream
	byCall  map[string]uint16
	slots   [slots][]*stream
	sent    uint64
	foreign uint64
	gone    tally // of streams that have ended
	delays  histogram
}

// stream is one direction of one call: what we send to the server's port, and what we hear from it.
type stream struct {
	who    party
	to     netip.AddrPort
	slot   int
	packet [packetLen]byte
	seq    uint32
	since  time.Time
	first  func(time.Duration) // called with the time to the first packet heard, then nil
	heard  tally
	min    uint32
	max    uint32
}

// tally is what was heard of a stream of ours at the far side.
type tally struct{ heard, lost uint64 }

func openMedia(server netip.Addr) (*media, error) {
	m := &media{server: server, stop: make(chan struct{}), byCall: map[string]uint16{}}
	for i := range m.conns {
		conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: localFor(server)})
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open media socket: %w", err), m.close())
		}
		conn.SetReadBuffer(8 << 20)
		stampArrivals(conn)
		m.conns[i] = conn
		m.streams[i] = map[uint16]*stream{}
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

func (m *media) callerPort() uint16 { return m.port(callerSide) }
func (m *media) agentPort() uint16  { return m.port(agentSide) }
func (m *media) port(p party) uint16 {
	return uint16(m.conns[p].LocalAddr().(*net.UDPAddr).Port)
}

// add begins a stream toward the server's port, in the slot that has the fewest.
func (m *media) add(who party, port uint16, callID string, first func(time.Duration)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	best := 0
	for i := range m.slots {
		if len(m.slots[i]) < len(m.slots[best]) {
			best = i
		}
	}
	s := &stream{who: who, to: netip.AddrPortFrom(m.server, port), slot: best, since: time.Now(), first: first}
	for i := range s.packet {
		s.packet[i] = 0xFF // mu-law silence
	}
	s.packet[0], s.packet[1] = 0x80, 0
	binary.BigEndian.PutUint32(s.packet[8:], uint32(port)<<1|uint32(who))
	binary.BigEndian.PutUint32(s.packet[rtpHeader:], mark)
	m.slots[best] = append(m.slots[best], s)
	m.streams[who][port] = s
	m.byCall[callID] = port
}

// remove ends a call's stream and keeps its tally.
func (m *media) remove(who party, callID string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	port, ok := m.byCall[callID]
	s := m.streams[who][port]
	if !ok || s == nil {
		return
	}
	delete(m.byCall, callID)
	delete(m.streams[who], port)
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

// tally counts as lost what is missing between the first and the last packet heard.
func (s *stream) tally() tally {
	if s.heard.heard == 0 {
		return tally{}
	}
	return tally{s.heard.heard, uint64(s.max-s.min) + 1 - s.heard.heard}
}

// reset begins a window of measurement.
func (m *media) reset() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sent, m.foreign, m.gone, m.delays = 0, 0, tally{}, histogram{}
	for _, side := range m.streams {
		for _, s := range side {
			s.heard = tally{}
		}
	}
}

func (m *media) report(r *Result) {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := m.gone
	for _, side := range m.streams {
		for _, s := range side {
			all.add(s.tally())
		}
	}
	r.Sent, r.Heard, r.Lost, r.Foreign, r.Delay = m.sent, all.heard, all.lost, m.foreign, m.delays.delays()
}

// sendAll sends each slot's packets at its millisecond, in batches.
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
			flush(out[i], msgs[i])
		}
	}
}

// fill prepares the packets of one slot.
func (m *media) fill(msgs *[2][]ipv4.Message, slot int) {
	msgs[0], msgs[1] = msgs[0][:0], msgs[1][:0]
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now().UnixNano()
	for _, s := range m.slots[slot] {
		s.seq++
		p := s.packet[:]
		binary.BigEndian.PutUint16(p[2:], uint16(s.seq))
		binary.BigEndian.PutUint32(p[4:], s.seq*160)
		binary.BigEndian.PutUint32(p[rtpHeader+4:], s.seq)
		binary.BigEndian.PutUint64(p[rtpHeader+8:], uint64(now))
		msgs[s.who] = append(msgs[s.who], ipv4.Message{Buffers: [][]byte{p}, Addr: net.UDPAddrFromAddrPort(s.to)})
		m.sent++
	}
}

// flush sends a slot's packets. What the kernel will not take is lost, as on a network.
func flush(out *ipv4.PacketConn, msgs []ipv4.Message) {
	for len(msgs) > 0 {
		n, err := out.WriteBatch(msgs[:min(len(msgs), batch)], 0)
		if err != nil || n == 0 {
			n = 1 // skip the one it stopped at
		}
		msgs = msgs[n:]
	}
}

// hear reads what the server sends to one side.
func (m *media) hear(who party) {
	in := ipv4.NewPacketConn(m.conns[who])
	msgs := make([]ipv4.Message, batch)
	for i := range msgs {
		msgs[i] = ipv4.Message{Buffers: [][]byte{make([]byte, 2048)}, OOB: make([]byte, 64)}
	}
	for {
		n, err := in.ReadBatch(msgs, 0)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
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
	s := m.streams[who][uint16(from.Port)]
	if s == nil {
		return // the call has just ended
	}
	if s.first != nil {
		go s.first(now.Sub(s.since)) // takes the generator's lock: not under ours
		s.first = nil
	}
	if len(b) < rtpHeader+16 || binary.BigEndian.Uint32(b[rtpHeader:]) != mark {
		m.foreign++
		return
	}
	seq := binary.BigEndian.Uint32(b[rtpHeader+4:])
	if s.heard.heard == 0 {
		s.min, s.max = seq, seq
	}
	s.heard.heard++
	s.min, s.max = min(s.min, seq), max(s.max, seq)
	sent := time.Unix(0, int64(binary.BigEndian.Uint64(b[rtpHeader+8:])))
	m.delays.add(arrival(msg.OOB[:msg.NN], now).Sub(sent))
}
