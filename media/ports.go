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

// A pair is the two sockets of one stream, and of the streams that have the port after it.
type pair struct {
	port      uint16 // of rtp, even; rtcp has the next one
	rtp, rtcp socket
	deafUntil time.Time
}

// deafen drops what comes for the pair.
func (p *pair) deafen() {
	p.rtp.deafen()
	p.rtcp.deafen()
}

func (p *pair) close() error { return errors.Join(p.rtp.close(), p.rtcp.close()) }

// ports is the range that an engine leases from. A pair is unbound, leased, deaf (closed a short time ago), or idle (deaf
// for long enough). Once bound it stays bound until the engine closes, since to open, bind and watch two sockets costs
// many times what it costs to empty them. Idle pairs are leased first, so that no more are ever bound than were leased
// and deaf at once: the peak of use bounds the descriptors, which are two for each pair, as it would if all were closed.
//
// Each list is in the order in which pairs came to it. Unbound pairs are in random order at first.
type ports struct {
	addr netip.Addr

	mu      sync.Mutex
	unbound []uint16
	bound   []*pair // all that are leased, deaf or idle
	deaf    []*pair
	idle    []*pair
	leased  int
}

func newPorts(addr netip.Addr, first, last int) *ports {
	p := &ports{addr: addr}
	for port := first + first%2; port < last; port += 2 {
		p.unbound = append(p.unbound, uint16(port))
	}
	rand.Shuffle(len(p.unbound), func(i, j int) { p.unbound[i], p.unbound[j] = p.unbound[j], p.unbound[i] })
	return p
}

// lease returns an empty pair in the care of c. Pairs that another program holds are passed over.
func (p *ports) lease(c carrier, now time.Time) (*pair, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reap(now)
	got, err := passOver(len(p.idle), func() (*pair, error) { return p.reuse(c) })
	if errors.Is(err, ErrNoPort) {
		got, err = passOver(len(p.unbound), func() (*pair, error) { return p.bindNext(c) })
	}
	if err != nil {
		return nil, err
	}
	p.leased++
	return got, nil
}

// passOver takes a pair, n times at most while what it gets is held by another program.
func passOver(n int, take func() (*pair, error)) (*pair, error) {
	for range n {
		got, err := take()
		if !errors.Is(err, syscall.EADDRINUSE) {
			return got, err
		}
	}
	return nil, ErrNoPort
}

// reuse takes the next idle pair. p.mu is held.
func (p *ports) reuse(c carrier) (*pair, error) {
	next := p.idle[0]
	p.idle[0] = nil
	p.idle = p.idle[1:]
	return p.renew(next, c)
}

// bindNext takes the next unbound pair. One that fails goes to the end. p.mu is held.
func (p *ports) bindNext(c carrier) (*pair, error) {
	port := p.unbound[0]
	p.unbound = p.unbound[1:]
	next, err := p.bind(c, port)
	if err != nil {
		p.unbound = append(p.unbound, port)
		return nil, fmt.Errorf("bind RTP port %d: %w", port, err)
	}
	p.bound = append(p.bound, next)
	return p.renew(next, c)
}

// renew readies a bound pair for a lease on c. One that fails is idle. p.mu is held.
func (p *ports) renew(next *pair, c carrier) (*pair, error) {
	if err := errors.Join(next.rtp.renew(c), next.rtcp.renew(c)); err != nil {
		p.idle = append(p.idle, next)
		return nil, fmt.Errorf("renew RTP port %d: %w", next.port, err)
	}
	return next, nil
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
	got.deafen()
	got.deafUntil = until
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leased--
	p.deaf = append(p.deaf, got)
}

// reap moves the pairs that were deaf for long enough to the idle ones. All are deaf for the same time, so that those
// lie first. p.mu is held.
func (p *ports) reap(now time.Time) {
	for len(p.deaf) > 0 && !p.deaf[0].deafUntil.After(now) {
		p.idle = append(p.idle, p.deaf[0])
		p.deaf[0] = nil
		p.deaf = p.deaf[1:]
	}
}

// count returns how many pairs could be leased at this time and how many are.
func (p *ports) count(now time.Time) (free, leased int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reap(now)
	return len(p.idle) + len(p.unbound), p.leased
}

// close closes all sockets. The carriers have stopped, and nothing is leased any more. It waits for receivers, which may
// be giving back, and so does not hold p.mu.
func (p *ports) close() error {
	p.mu.Lock()
	bound := p.bound
	p.bound = nil
	p.mu.Unlock()
	var faults []error
	for _, b := range bound {
		faults = append(faults, b.close())
	}
	return errors.Join(faults...)
}
