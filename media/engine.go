package media

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// ErrClosed says that the engine is closed.
var ErrClosed = errors.New("media engine is closed")

// What a Config says where it says nothing.
const (
	defaultDeaf    = 30 * time.Second
	defaultSilence = 8 * time.Second
	defaultReport  = 5 * time.Second // RFC 3550 §6.2
	maxLoops       = 4
)

// Config is what an Engine is built from.
type Config struct {
	Addr             netip.Addr            // the address that sockets are bound to; not the unspecified one
	PortMin, PortMax int                   // the range, both ends included; RTP takes the even ports, RTCP the odd ones
	Loops            int                   // 0: as many as GOMAXPROCS, 4 at most
	Deaf             time.Duration         // how long a closed port stays bound and deaf; 0: 30 s, below 0: not at all
	SilenceLimit     time.Duration         // how long nothing may come before Handler.Quiet; 0: 8 s
	ReportInterval   time.Duration         // mean time between RTCP reports (RFC 3550 §6.2); 0: 5 s
	Log              *slog.Logger          // nil: nothing is logged
	Registry         prometheus.Registerer // nil: nothing is counted there
}

// An Engine leases ports and carries the sound of all calls of a process.
type Engine struct {
	cfg     Config
	ports   *ports
	loops   []*loop
	metrics *metrics
	joining sync.Mutex // held while streams are joined, conferred or parted

	mu     sync.Mutex
	closed bool
}

// Open starts an engine with the best carrier of this system. Errors: what is wrong with cfg (every fault, not the
// first), an address that is not this machine's, a carrier that cannot start.
func Open(cfg Config) (*Engine, error) { return open(cfg, newCarrier) }

// open is Open with a carrier of the caller's choice.
func open(cfg Config, carry func(*loop) (carrier, error)) (*Engine, error) {
	cfg = cfg.withDefaults()
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("open media: %w", err)
	}
	e := &Engine{cfg: cfg, ports: newPorts(cfg.Addr, cfg.PortMin, cfg.PortMax)}
	for range cfg.Loops {
		l := &loop{epoch: time.Now()}
		c, err := carry(l)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("open media: start loop: %w", err), e.Close())
		}
		l.carrier = c
		e.loops = append(e.loops, l)
	}
	var err error
	if e.metrics, err = newMetrics(cfg.Registry, e.PortsFree); err != nil {
		return nil, errors.Join(fmt.Errorf("open media: %w", err), e.Close())
	}
	return e, nil
}

func (c Config) withDefaults() Config {
	if c.Loops <= 0 {
		c.Loops = min(maxLoops, runtime.GOMAXPROCS(0))
	}
	if c.Deaf == 0 {
		c.Deaf = defaultDeaf
	}
	if c.SilenceLimit <= 0 {
		c.SilenceLimit = defaultSilence
	}
	if c.ReportInterval <= 0 {
		c.ReportInterval = defaultReport
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Addr = c.Addr.Unmap()
	return c
}

// check finds what cannot work, all of it.
func (c Config) check() error {
	var faults []error
	if c.PortMin < 1024 || c.PortMax > 65535 || c.PortMax < c.PortMin+c.PortMin%2+1 {
		faults = append(faults, fmt.Errorf("ports %d to %d: want a range between 1024 and 65535 with an even port and the odd one above it", c.PortMin, c.PortMax))
	}
	if !c.Addr.IsValid() || c.Addr.IsUnspecified() {
		faults = append(faults, fmt.Errorf("address %q: want one address of this machine", c.Addr))
	} else if probe, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(c.Addr, 0))); err != nil {
		faults = append(faults, fmt.Errorf("address %s: %w", c.Addr, err))
	} else {
		faults = append(faults, probe.Close())
	}
	return errors.Join(faults...)
}

// Lease takes a port pair and returns its stream, which hears nobody until Set. Near, which may be nil, is the stream
// that it is likely to be joined with: both are then cared for by the same loop, which is cheaper. Errors: ErrNoPort,
// ErrClosed, or the system's.
func (e *Engine) Lease(near *Stream) (*Stream, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, fmt.Errorf("lease port: %w", ErrClosed)
	}
	l := e.lightest()
	if near != nil {
		l = near.loop
	}
	now := time.Now()
	got, err := e.ports.lease(l.carrier, now)
	if err != nil {
		return nil, fmt.Errorf("lease port: %w", err)
	}
	s := newStream(e, l, got, now)
	l.enter(s, now)
	got.rtp.listen(s.receive)
	got.rtcp.listen(s.receiveReport)
	return s, nil
}

// lightest is the loop with the fewest streams.
func (e *Engine) lightest() *loop {
	return slices.MinFunc(e.loops, func(a, b *loop) int { return a.load() - b.load() })
}

// PortsFree is how many pairs could be leased now; deaf ones are not counted.
func (e *Engine) PortsFree() int {
	free, _ := e.ports.count(time.Now())
	return free
}

// PortsLeased is how many pairs belong to a stream that was not closed.
func (e *Engine) PortsLeased() int {
	_, leased := e.ports.count(time.Now())
	return leased
}

// Close closes every stream, stops the loops and closes all sockets, deaf and idle ones too. When it returns no goroutine
// of the engine is left. It must not be called from a Handler or a tap. It may be called twice.
func (e *Engine) Close() error {
	e.mu.Lock()
	closed := e.closed
	e.closed = true
	e.mu.Unlock()
	if closed {
		return nil
	}
	var faults []error
	for _, l := range e.loops {
		l.mu.Lock()
		open := slices.Clone(l.streams)
		l.mu.Unlock()
		for _, s := range open {
			s.Close()
		}
		faults = append(faults, l.carrier.close())
	}
	faults = append(faults, e.ports.close())
	e.metrics.unregister()
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("close media: %w", err)
	}
	return nil
}
