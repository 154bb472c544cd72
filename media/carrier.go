package media

import (
	"net/netip"
	"time"
)

// A carrier is the seam between the streams of one loop and the machine's network: it brings datagrams in and wakes the
// loop's clock. carrier_linux.go and carrier_sockets.go implement it.
type carrier interface {
	// bind opens a UDP socket on addr. It is deaf, and no carrier's yet: renew comes before listen.
	bind(addr netip.AddrPort) (socket, error)
	// wake asks for one call of loop.run, d from now. It replaces what was asked before.
	wake(d time.Duration)
	// close stops waking, and returns when that has stopped. It must not be called from a receiver or from loop.run.
	// The sockets are closed by whoever has them, when the carriers are.
	close() error
}

// A receiver is given each datagram of a socket. b is borrowed until it returns, and may be written to.
type receiver func(at time.Time, from netip.AddrPort, b []byte)

// A socket is one UDP port, which is bound for as long as there is an engine and serves one stream after the other. Send
// may be called from any goroutine at any time, the other methods by one at a time.
type socket interface {
	// renew empties a deaf socket and gives it into the care of c, a carrier of the kind that bound it. After an error
	// the socket is deaf, and renew may be tried again.
	renew(c carrier) error
	// listen gives what comes from now on to r, on c's goroutines; what had come before renew is lost. Calls of r do
	// not overlap.
	listen(r receiver)
	// deafen ends listen. One call of the receiver may still be under way. The port stays bound, what comes is dropped.
	deafen()
	// send never waits: a datagram for which there is no room is an error and lost.
	send(b []byte, to netip.AddrPort) error
	// close gives the port back to the machine, and returns when no receiver is called any more. The carrier must have
	// been closed, unless renew was never called.
	close() error
}

// maxDatagram is the longest datagram that is looked at: any G.711 packet fits well within an Ethernet frame.
const maxDatagram = 2048
