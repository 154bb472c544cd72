package media

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// ErrNoPort says that every port pair of the range is leased, deaf, or taken by another program.
var ErrNoPort = errors.New("no RTP port free")

// A pair is the two sockets of one stream.
type pair struct {
	port      uint16 // of rtp, even; rtcp has the next one
	rtp, rtcp socket
	deafUntil time.Time
}

func (p *pair) close() error { return errors.Join(p.rtp.close(), p.rtcp.close()) }

// ports is the range that an engine leases from. A pair is free (not bound), leased, or deaf: bound, so that nobody else
// gets it, and not listened to. Free pairs are taken in the order in which they became free, which at first is random.
type ports struct {
	addr netip.Addr

	mu     sync.Mutex
	free   []uint16
	deaf   []*pair // in the order in which they were closed
	leased int
}

func newPorts(addr netip.Addr, first, last int) *ports {
	p := &ports{addr: addr}
	for port := first + first%2; port < last; port += 2 {
		p.free = append(p.free, uint16(port))
	}
	rand.Shuffle(len(p.free), func(i, j int) { p.free[i], p.free[j] = p.free[j], p.free[i] })
	return p
}

// lease binds a free pair through c. Pairs that another program holds are passed over.
func (p *ports) lease(c carrier, now time.Time) (*pair, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reap(now)
	for range len(p.free) {
		port := p.free[0]
		p.free = p.free[1:]
		got, err := p.bind(c, port)
		if err == nil {
			p.leased++
			return got, nil
		}
		p.free = append(p.free, port)
		if !errors.Is(err, syscall.EADDRINUSE) {
			return nil, fmt.Errorf("bind RTP port %d: %w", port, err)
		}
	}
	return nil, ErrNoPort
}

// bind opens both sockets of a pair, or neither.
func (p *ports) bind(c carrier, port uint16) (*pair, error) {
	rtp, err := c.bind(netip.AddrPortFrom(p.addr, port))
	if err != nil {
		return nil, err
	}
	rtcp, err := c.bind(netip.AddrPortFrom(p.addr, port+1))
	if err != nil {
		return nil, errors.Join(err, rtp.close())
	}
	return &pair{port: port, rtp: rtp, rtcp: rtcp}, nil
}

// giveBack makes a leased pair deaf until a time.
func (p *ports) giveBack(got *pair, until time.Time) {
	got.rtp.deafen()
	got.rtcp.deafen()
	got.deafUntil = until
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leased--
	p.deaf = append(p.deaf, got)
}

// reap frees the pairs that were deaf for long enough. Closing a socket loses what lay in it, so that the next lease
// of the port begins with an empty one. p.mu is held.
func (p *ports) reap(now time.Time) {
	for len(p.deaf) > 0 && !p.deaf[0].deafUntil.After(now) {
		p.deaf[0].close() // the port is bound anew at its next lease, and an error is met there
		p.free = append(p.free, p.deaf[0].port)
		p.deaf[0] = nil
		p.deaf = p.deaf[1:]
	}
}

// count returns how many pairs could be leased at this time and how many are.
func (p *ports) count(now time.Time) (free, leased int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reap(now)
	return len(p.free), p.leased
}
