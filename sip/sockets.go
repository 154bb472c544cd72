package sip

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/time/rate"
)

// Bounds on TCP connections from sources that are no trunks.
const (
	maxStreams       = 1000             // in all
	maxStreamsFrom   = 64               // from one address; an office of agents stays below
	firstWord        = 30 * time.Second // from connecting to the end of a first message's header fields
	streamIdle       = 3 * time.Minute  // between reads: registered phones answer OPTIONS every 30 s, or send CRLF (RFC 5626 §4.4.1)
	streamWrite      = 10 * time.Second // for what we send to be taken
	acceptRetryFirst = 5 * time.Millisecond
	acceptRetryMost  = time.Second
)

// packets is a UDP socket that can be made deaf before it is closed: what sipgo reads it answers, and behind a closed
// socket it would open another.
type packets struct {
	net.PacketConn
	deaf *atomic.Bool
}

// ReadFrom reads the next datagram that is to be heard.
func (p packets) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := p.PacketConn.ReadFrom(b)
		if err != nil || !p.deaf.Load() {
			return n, from, err
		}
	}
}

// streams is a TCP listener under sipgo, which gives up at the first fault of Accept, takes any number of connections
// and waits on each for ever.
type streams struct {
	net.Listener
	isTrunk func(netip.Addr) bool
	log     *slog.Logger
	said    *rate.Limiter // lines about connections that were refused
	deaf    *atomic.Bool
	closed  chan struct{}
	close   func() error // once

	mu   sync.Mutex
	all  int                // connections of sources that are no trunks
	from map[netip.Addr]int // the same, by source
}

func newStreams(l net.Listener, isTrunk func(netip.Addr) bool, log *slog.Logger, deaf *atomic.Bool) *streams {
	s := &streams{Listener: l, isTrunk: isTrunk, log: log, said: rate.NewLimiter(1, 1), deaf: deaf,
		closed: make(chan struct{}), from: map[netip.Addr]int{}}
	s.close = sync.OnceValue(func() error {
		close(s.closed)
		return l.Close()
	})
	return s
}

// Close ends Accept. It may be called twice.
func (s *streams) Close() error { return s.close() }

// Accept returns the next connection that there is room for. A fault that passes is waited out.
func (s *streams) Accept() (net.Conn, error) {
	wait := acceptRetryFirst
	for {
		conn, err := s.Listener.Accept()
		switch {
		case err == nil:
			if c := s.admit(conn); c != nil {
				return c, nil
			}
			continue
		case !passes(err):
			return nil, err
		case wait == acceptRetryFirst:
			s.log.Error("SIP connections cannot be taken for now", "err", err)
		}
		select {
		case <-time.After(wait):
			wait = min(2*wait, acceptRetryMost)
		case <-s.closed:
			return nil, net.ErrClosed
		}
	}
}

// passes tells whether a fault of Accept may be over in a moment: the caller left, or the process is out of files or
// the system out of memory.
func passes(err error) bool {
	for _, passing := range []error{syscall.ECONNABORTED, syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EINTR} {
		if errors.Is(err, passing) {
			return true
		}
	}
	return false
}

// admit counts a connection in, or closes it and returns nil. A trunk's is neither counted nor timed.
func (s *streams) admit(conn net.Conn) net.Conn {
	src := sourceAddr(conn.RemoteAddr())
	if s.isTrunk(src) {
		return &stream{Conn: conn, deaf: s.deaf, leave: func() {}}
	}
	if !s.enter(src) {
		if s.said.Allow() {
			s.log.Warn("too many SIP connections: one was closed", "source", src)
		}
		_ = conn.Close()
		return nil
	}
	c := &stream{Conn: conn, deaf: s.deaf, timed: true, leave: sync.OnceFunc(func() { s.leave(src) })}
	_ = conn.SetReadDeadline(time.Now().Add(firstWord)) // fails on a closed connection only
	return c
}

func (s *streams) enter(src netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all >= maxStreams || s.from[src] >= maxStreamsFrom {
		return false
	}
	s.all++
	s.from[src]++
	return true
}

func (s *streams) leave(src netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all--
	if s.from[src]--; s.from[src] == 0 {
		delete(s.from, src)
	}
}

// A stream is one TCP connection. sipgo reads it on one goroutine.
type stream struct {
	net.Conn
	deaf  *atomic.Bool
	timed bool
	leave func()

	heard bool // the header fields of a first message have come
	begun bool // and its first line has begun
	ended int  // how much of CRLF CRLF has come behind it
}

// Read reads what is to be heard. A connection that was silent for too long has ended.
func (c *stream) Read(b []byte) (int, error) {
	for {
		n, err := c.Conn.Read(b)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return 0, io.EOF
		}
		if err == nil && c.timed {
			if c.heard = c.heard || c.hear(b[:n]); c.heard {
				err = c.Conn.SetReadDeadline(time.Now().Add(streamIdle))
			}
		}
		if err != nil || !c.deaf.Load() {
			return n, err
		}
	}
}

// hear tells whether a first message's header fields end in b. CRLF before its first line is none of it.
func (c *stream) hear(b []byte) bool {
	for _, ch := range b {
		switch {
		case ch == "\r\n\r\n"[c.ended]:
			if c.begun {
				c.ended++
			}
		case ch == '\r':
			c.ended = 1
		default:
			c.ended = 0
			c.begun = c.begun || ch != '\n'
		}
		if c.ended == 4 {
			return true
		}
	}
	return false
}

// Write does not wait for ever on a far side that reads nothing.
func (c *stream) Write(b []byte) (int, error) {
	if err := c.Conn.SetWriteDeadline(time.Now().Add(streamWrite)); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// Close gives the connection's place back. It may be called twice.
func (c *stream) Close() error {
	c.leave()
	return c.Conn.Close()
}
