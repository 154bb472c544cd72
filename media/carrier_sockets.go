package media

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
)

// A socketCarrier is the carrier for any system: a goroutine for each socket and one for the clock, on Go's net package.
type socketCarrier struct {
	loop    *loop
	alarm   chan time.Duration // room for one: the latest wake
	done    chan struct{}      // closed by close
	running sync.WaitGroup
}

// newSocketCarrier starts the carrier of a loop.
func newSocketCarrier(l *loop) (carrier, error) {
	c := &socketCarrier{loop: l, alarm: make(chan time.Duration, 1), done: make(chan struct{})}
	c.running.Go(c.clock)
	return c, nil
}

// clock runs the loop whenever it is due.
func (c *socketCarrier) clock() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case d := <-c.alarm:
			timer.Reset(d)
		case now := <-timer.C:
			c.loop.run(now)
		case <-c.done:
			return
		}
	}
}

// wake is called with the loop's lock held, so that one wake replaces the other in order.
func (c *socketCarrier) wake(d time.Duration) {
	select {
	case <-c.alarm: // nobody has read it: it is replaced
	default:
	}
	c.alarm <- d
}

func (c *socketCarrier) bind(addr netip.AddrPort) (socket, error) {
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(addr))
	if err != nil {
		return nil, err
	}
	return &netSocket{addr: addr, fresh: &netPort{conn: conn}}, nil
}

// close ends the clock.
func (c *socketCarrier) close() error {
	close(c.done)
	c.running.Wait()
	return nil
}

// A netSocket is one port. It is in no carrier's care, since each lease has a goroutine of its own to read it.
type netSocket struct {
	addr    netip.AddrPort
	fresh   *netPort // bound and not read yet; nil: none
	running sync.WaitGroup

	mu   sync.Mutex
	port *netPort // that is read; nil: none
}

// A netPort is the port as one lease has it, and the goroutine that reads it, deaf or not.
type netPort struct {
	conn *net.UDPConn

	mu sync.Mutex
	to receiver // nil: deaf
}

// renew binds the port anew, since the net package cannot tell whether a socket is empty. Another program may be faster.
// The goroutine before is not waited for: it may be in a receiver still, which may be waiting for us.
func (s *netSocket) renew(carrier) error {
	next := s.fresh
	s.fresh = nil
	if next == nil {
		if before := s.current(); before != nil {
			_ = before.conn.Close() // fails when an attempt before closed it
		}
		conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(s.addr))
		if err != nil {
			return err
		}
		next = &netPort{conn: conn}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.port = next
	s.running.Go(next.read)
	return nil
}

func (s *netSocket) current() *netPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.port
}

func (s *netSocket) listen(r receiver) { s.current().listen(r) }

func (s *netSocket) deafen() { s.listen(nil) }

func (s *netSocket) send(b []byte, to netip.AddrPort) error {
	_, err := s.current().conn.WriteToUDPAddrPort(b, to)
	return err
}

func (s *netSocket) close() error {
	if s.fresh != nil {
		return s.fresh.conn.Close()
	}
	err := s.current().conn.Close()
	s.running.Wait()
	if errors.Is(err, net.ErrClosed) { // by a renew that failed
		return nil
	}
	return err
}

// read takes datagrams until the socket is closed.
func (p *netPort) read() {
	b := make([]byte, maxDatagram)
	for {
		n, from, err := p.conn.ReadFromUDPAddrPort(b)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an ICMP error of something we sent: the next read waits again
		}
		if to := p.receiver(); to != nil {
			to(time.Now(), unmapPort(from), b[:n])
		}
	}
}

func (p *netPort) receiver() receiver {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.to
}

func (p *netPort) listen(r receiver) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.to = r
}
