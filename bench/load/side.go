package load

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// Timers of RFC 3261 §17.
const (
	t1     = 500 * time.Millisecond
	t2     = 4 * time.Second
	timerB = 64 * t1         // how long a request, or an answer that wants an ACK, is sent again
	timerC = 5 * time.Minute // how long an INVITE may stay provisional: longer than a proxy's, for queues
)

// side is one signalling socket: the callers' or the agents'.
type side struct {
	conn     *net.UDPConn
	server   netip.AddrPort
	run      string
	hears    func(message) // requests, and final answers to INVITE that come again
	resent   atomic.Uint64
	branches atomic.Uint64
	stop     chan struct{}
	wg       sync.WaitGroup

	mu      sync.Mutex
	pending map[key]*pending
	refused map[string]refusal // by branch: ACKs that may be wanted again
}

// key names what is sent again: a request of ours by its branch and method, or an answer of ours that wants an ACK by its
// Call-ID.
type key struct{ id, method string }

// pending is a message that is sent again until it is answered.
type pending struct {
	to       netip.AddrPort
	raw      []byte
	invite   bool // sent at doubling intervals without bound, and no more after a provisional answer
	next     time.Time
	interval time.Duration
	deadline time.Time
	silent   bool
	answered func(m message) // called for each response
	lost     func()          // called when nobody answered
}

// refusal is an ACK of a refused INVITE, kept as long as the refusal may come again (Timer D).
type refusal struct {
	ack   []byte
	until time.Time
}

// openSide opens a socket toward the server and begins to read it.
func openSide(server netip.AddrPort, run string, hears func(message)) (*side, error) {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: localFor(server.Addr())})
	if err != nil {
		return nil, fmt.Errorf("open signalling socket: %w", err)
	}
	conn.SetReadBuffer(8 << 20) // a hint: the kernel may give less
	s := &side{conn: conn, server: server, run: run, hears: hears, stop: make(chan struct{}), pending: map[key]*pending{}, refused: map[string]refusal{}}
	s.wg.Go(s.read)
	s.wg.Go(s.resend)
	return s, nil
}

// localFor is the address to use toward a server: loopback for loopback, else whatever the kernel chooses.
func localFor(server netip.Addr) net.IP {
	if server.IsLoopback() {
		return net.IPv4(127, 0, 0, 1)
	}
	c, err := net.Dial("udp4", netip.AddrPortFrom(server, 9).String()) // sends nothing: it only asks for a route
	if err != nil {
		return nil
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).IP
}

// close stops sending and reading. No callback runs after it.
func (s *side) close() error {
	close(s.stop)
	err := s.conn.Close()
	s.wg.Wait()
	return err
}

func (s *side) addr() netip.AddrPort {
	return unmapped(s.conn.LocalAddr().(*net.UDPAddr).AddrPort())
}

// unmapped is an IPv4 address as such, not as one of IPv6.
func unmapped(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// local is our address and port as they stand in Via and Contact.
func (s *side) local() string { return s.addr().String() }

// send sends a request. A lost datagram is the protocol's to mend.
func (s *side) send(b []byte) { s.conn.WriteToUDPAddrPort(b, s.server) }

// respond sends an answer to where its request came from.
func (s *side) respond(m message, b []byte) { s.conn.WriteToUDPAddrPort(b, m.from) }

// newBranch is a fresh branch parameter.
func (s *side) newBranch() string { return fmt.Sprintf("z9hG4bK%s%d", s.run, s.branches.Add(1)) }

// request sends raw and sends it again until it is answered.
func (s *side) request(branch, method string, raw []byte, answered func(message), lost func()) {
	s.repeat(key{branch, method}, &pending{to: s.server, raw: raw, invite: method == "INVITE", answered: answered, lost: lost})
}

// insist sends a final answer to an INVITE again until settled is called for its Call-ID.
func (s *side) insist(invite message, raw []byte, lost func()) {
	s.repeat(key{invite.callID(), "ACK"}, &pending{to: invite.from, raw: raw, lost: lost})
}

func (s *side) settled(callID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.pending, key{callID, "ACK"})
}

func (s *side) repeat(k key, p *pending) {
	now := time.Now()
	p.interval, p.next, p.deadline = t1, now.Add(t1), now.Add(timerB)
	s.mu.Lock()
	s.pending[k] = p
	s.mu.Unlock()
	s.conn.WriteToUDPAddrPort(p.raw, p.to)
}

// acknowledge sends the ACK of a refused INVITE, and again whenever the refusal comes again.
func (s *side) acknowledge(branch string, ack []byte) {
	s.mu.Lock()
	s.refused[branch] = refusal{ack, time.Now().Add(timerB)}
	s.mu.Unlock()
	s.send(ack)
}

// giveUp bounds the wait for the answer to an INVITE that is being cancelled.
func (s *side) giveUp(branch string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.pending[key{branch, "INVITE"}]; p != nil {
		p.deadline = time.Now().Add(timerB)
	}
}

func (s *side) read() {
	buf := make([]byte, 65535)
	for {
		n, from, err := s.conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an ICMP error of one peer is not the socket's end
		}
		if m, ok := parse(append([]byte(nil), buf[:n]...)); ok {
			m.from = from
			s.dispatch(m)
		}
	}
}

// dispatch gives a response to the request that waits for it, and a request to the side's handler.
func (s *side) dispatch(m message) {
	if m.status() == 0 {
		s.hears(m)
		return
	}
	p, again := s.match(m)
	switch {
	case p != nil:
		p.answered(m)
	case again != nil:
		s.send(again)
	case m.status() >= 200 && m.status() < 300 && m.method() == "INVITE":
		s.hears(m)
	}
}

// match finds what a response answers: a request that waits, or a refused INVITE whose ACK was lost.
func (s *side) match(m message) (waits *pending, again []byte) {
	k := key{m.branch(), m.method()}
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pending[k]
	switch {
	case p == nil && k.method == "INVITE" && m.status() >= 300:
		return nil, s.refused[k.id].ack
	case p == nil:
	case m.status() >= 200:
		delete(s.pending, k)
	case p.invite && !p.silent:
		p.silent, p.deadline = true, time.Now().Add(timerC)
	}
	return p, nil
}

// resend sends again what is unanswered, until its time is over.
func (s *side) resend() {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case now := <-tick.C:
			again, lost := s.due(now)
			for _, p := range again {
				s.resent.Add(1)
				s.conn.WriteToUDPAddrPort(p.raw, p.to)
			}
			for _, p := range lost {
				p.lost()
			}
		}
	}
}

// due takes what must be sent again now, and what is given up. The wait doubles each time: up to T2, but for INVITE
// (RFC 3261 §17.1.1.2, §17.1.2.2, §13.3.1.4).
func (s *side) due(now time.Time) (again, lost []*pending) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for k, p := range s.pending {
		switch {
		case p.deadline.Before(now):
			delete(s.pending, k)
			lost = append(lost, p)
		case !p.silent && p.next.Before(now):
			p.interval *= 2
			if !p.invite {
				p.interval = min(p.interval, t2)
			}
			p.next = now.Add(p.interval)
			again = append(again, p)
		}
	}
	for branch, r := range s.refused {
		if r.until.Before(now) {
			delete(s.refused, branch)
		}
	}
	return again, lost
}
