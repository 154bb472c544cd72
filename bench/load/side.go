package load

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Timers of RFC 3261 §17.1: T1, and how long a request may go unanswered.
const (
	t1     = 500 * time.Millisecond
	timerB = 64 * t1
)

// side is one signalling socket: the callers' or the agents'.
type side struct {
	conn   *net.UDPConn
	server netip.AddrPort
	hears  func(message)
	resent atomic.Uint64
	branch atomic.Uint64
	stop   chan struct{}
	wg     sync.WaitGroup

	mu      sync.Mutex
	pending map[string]*pending // by branch: requests of ours without a final answer
}

// pending is a request that is sent again until it is answered.
type pending struct {
	raw      []byte
	next     time.Time
	interval time.Duration
	deadline time.Time
	silent   bool            // a provisional answer came: no more sending (RFC 3261 §17.1.1.2)
	answered func(m message) // called for each response
	lost     func()          // called when nobody answered
}

// openSide opens a socket toward the server and begins to read it.
func openSide(server netip.AddrPort, hears func(message)) (*side, error) {
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: localFor(server.Addr())})
	if err != nil {
		return nil, fmt.Errorf("open signalling socket: %w", err)
	}
	conn.SetReadBuffer(8 << 20) // a hint: the kernel may give less
	s := &side{conn: conn, server: server, hears: hears, stop: make(chan struct{}), pending: map[string]*pending{}}
	s.wg.Go(s.read)
	s.wg.Go(s.resend)
	return s, nil
}

// localFor is the address to use toward a server: loopback for loopback, else whatever the kernel chooses.
func localFor(server netip.Addr) net.IP {
	if server.IsLoopback() {
		return server.AsSlice()
	}
	c, err := net.Dial("udp", netip.AddrPortFrom(server, 9).String()) // sends nothing: it only asks for a route
	if err != nil {
		return nil
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).IP
}

func (s *side) close() error {
	close(s.stop)
	err := s.conn.Close()
	s.wg.Wait()
	return err
}

// local is our address and port as they stand in Via and Contact.
func (s *side) local() string { return s.conn.LocalAddr().String() }

// host is our address without the port.
func (s *side) host() string {
	host, _, _ := net.SplitHostPort(s.local())
	return host
}

func (s *side) send(b []byte) { s.conn.WriteToUDPAddrPort(b, s.server) } // a lost datagram is the protocol's to mend

// newBranch is a fresh branch parameter.
func (s *side) newBranch() string { return fmt.Sprintf("z9hG4bKld%d", s.branch.Add(1)) }

// request sends raw and sends it again until it is answered.
func (s *side) request(branch string, raw []byte, answered func(message), lost func()) {
	now := time.Now()
	p := &pending{raw: raw, interval: t1, next: now.Add(t1), deadline: now.Add(timerB), answered: answered, lost: lost}
	s.mu.Lock()
	s.pending[branch] = p
	s.mu.Unlock()
	s.send(raw)
}

func (s *side) read() {
	buf := make([]byte, 65535)
	for {
		n, _, err := s.conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an ICMP error of one peer is not the socket's end
		}
		if m, ok := parse(buf[:n:n]); ok {
			s.dispatch(m)
		}
	}
}

// dispatch gives a response to the request that waits for it, and a request to the side's handler. The message's body
// is valid during the call.
func (s *side) dispatch(m message) {
	code := m.status()
	if code == 0 {
		s.hears(m)
		return
	}
	branch := branchOf(m.first("via"))
	s.mu.Lock()
	p := s.pending[branch]
	if p != nil && code >= 200 {
		delete(s.pending, branch)
	} else if p != nil {
		p.silent = true
	}
	s.mu.Unlock()
	if p != nil {
		p.answered(m)
	} else if code >= 200 && m.method() == "INVITE" {
		s.hears(m) // a 200 sent again: it wants another ACK
	}
}

func branchOf(via string) string {
	_, rest, _ := strings.Cut(via, "branch=")
	branch, _, _ := strings.Cut(rest, ";")
	return strings.TrimSpace(branch)
}

// resend sends unanswered requests again, doubling the wait each time (RFC 3261 §17.1.1.2), and gives up at Timer B.
func (s *side) resend() {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-s.stop:
			return
		case now := <-tick.C:
			for _, p := range s.due(now) {
				if p.deadline.Before(now) {
					p.lost()
					continue
				}
				s.resent.Add(1)
				s.send(p.raw)
			}
		}
	}
}

// due takes what must be sent again now, or given up.
func (s *side) due(now time.Time) []*pending {
	s.mu.Lock()
	defer s.mu.Unlock()
	var due []*pending
	for branch, p := range s.pending {
		switch {
		case p.deadline.Before(now):
			delete(s.pending, branch)
			due = append(due, p)
		case !p.silent && p.next.Before(now):
			p.interval *= 2
			p.next = now.Add(p.interval)
			due = append(due, p)
		}
	}
	return due
}
