package media

import (
	"net/netip"
	"time"
)

// A carrier is the seam between the streams of one loop and the machine's network: it brings datagrams in, takes them
// out and wakes the loop's clock. carrier_linux.go and carrier_sockets.go implement it.
type carrier interface {
	// bind opens a UDP socket on addr. It is deaf until listen: what comes is dropped.
	bind(addr netip.AddrPort) (socket, error)
	// wake asks for one call of loop.run, d from now. It replaces what was asked before.
	wake(d time.Duration)
	// close stops bringing in datagrams and waking, closes what was bound, and returns when all of it has stopped. It
	// must not be called from a receiver or from loop.run.
	close() error
}

// A receiver is given each datagram of a socket. b is borrowed until it returns, and may be written to.
type receiver func(at time.Time, from netip.AddrPort, b []byte)

// A socket is one bound UDP port. Its methods may be called from any goroutine.
type socket interface {
	// listen gives what comes from now on to r; what had come before is lost. Calls of r do not overlap.
	listen(r receiver) error
	// deafen ends listen. One call of the receiver may still be under way. The port stays bound, what comes is dropped.
	deafen()
	// send never waits: a datagram for which there is no room is an error and lost.
	send(b []byte, to netip.AddrPort) error
	// close gives the port back to the machine. The socket is not used again.
	close() error
}

// maxDatagram is the longest datagram that is looked at: any G.711 packet fits well within an Ethernet frame.
const maxDatagram = 2048
