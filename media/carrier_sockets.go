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

	mu   sync.Mutex
	open map[*netSocket]struct{}
}

// newSocketCarrier starts the carrier of a loop.
func newSocketCarrier(l *loop) (carrier, error) {
	c := &socketCarrier{loop: l, alarm: make(chan time.Duration, 1), done: make(chan struct{}), open: make(map[*netSocket]struct{})}
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
	s := &netSocket{carrier: c, conn: conn}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open[s] = struct{}{}
	c.running.Go(s.read)
	return s, nil
}

// close ends the clock first, since run is the one that uses the sockets.
func (c *socketCarrier) close() error {
	close(c.done)
	c.mu.Lock()
	var faults []error
	for s := range c.open {
		faults = append(faults, s.conn.Close())
	}
	c.open = nil
	c.mu.Unlock()
	c.running.Wait()
	return errors.Join(faults...)
}

// A netSocket is one bound port and the goroutine that reads it, deaf or not.
type netSocket struct {
	carrier *socketCarrier
	conn    *net.UDPConn

	mu sync.Mutex
	to receiver // nil: deaf
}

// read takes datagrams until the socket is closed.
func (s *netSocket) read() {
	b := make([]byte, maxDatagram)
	for {
		n, from, err := s.conn.ReadFromUDPAddrPort(b)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // an ICMP error of something we sent: the next read waits again
		}
		if to := s.receiver(); to != nil {
			to(time.Now(), unmapPort(from), b[:n])
		}
	}
}

func (s *netSocket) receiver() receiver {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.to
}

func (s *netSocket) listen(r receiver) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.to = r
	return nil
}

func (s *netSocket) deafen() { _ = s.listen(nil) }

func (s *netSocket) send(b []byte, to netip.AddrPort) error {
	_, err := s.conn.WriteToUDPAddrPort(b, to)
	return err
}

func (s *netSocket) close() error {
	s.carrier.mu.Lock()
	delete(s.carrier.open, s)
	s.carrier.mu.Unlock()
	return s.conn.Close()
}
