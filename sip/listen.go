package sip

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"sync/atomic"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"
)

// A listener is one socket that requests come in by.
type listener struct {
	network string         // "udp" or "tcp"
	addr    netip.AddrPort // bound
	shown   netip.AddrPort // what Via and Contact say
	packets net.PacketConn // for UDP
	streams net.Listener   // for TCP
	deaf    atomic.Bool    // what comes is read and dropped
	closed  atomic.Bool    // by us
}

// socketBuffer is what one UDP socket may hold while a burst is read: some 2,000 messages.
const socketBuffer = 4 << 20

// listen opens every socket of cfg, or none and says each fault.
func listen(cfg Config, ts *trunks, log *slog.Logger) ([]*listener, error) {
	if len(cfg.Listen) == 0 {
		return nil, errors.New("listen: no address given")
	}
	var open []*listener
	var faults []error
	for _, where := range cfg.Listen {
		l, err := listenOn(where, cfg.Advertise, ts, log)
		if err != nil {
			faults = append(faults, fmt.Errorf("listen on %s: %w", where, err))
			continue
		}
		open = append(open, l)
	}
	if len(faults) == 0 {
		return open, nil
	}
	for _, l := range open {
		l.close()
	}
	return nil, errors.Join(faults...)
}

func listenOn(where string, advertise netip.Addr, ts *trunks, log *slog.Logger) (*listener, error) {
	u, err := url.Parse(where)
	if err != nil {
		return nil, errors.New("want udp://address:port or tcp://address:port")
	}
	addr, err := netip.ParseAddrPort(u.Host)
	if err != nil {
		return nil, errors.New("want an IP address and a port")
	}
	if addr.Addr().IsUnspecified() && !advertise.IsValid() {
		return nil, errors.New("this is no address that others can send to: set the address to advertise as well")
	}
	l := &listener{network: u.Scheme}
	switch u.Scheme {
	case "udp":
		err = l.openUDP(addr)
	case "tcp":
		err = l.openTCP(addr, ts, log)
	default:
		err = errors.New("want udp:// or tcp://")
	}
	if err != nil {
		return nil, err
	}
	l.shown = l.addr
	if advertise.IsValid() {
		l.shown = netip.AddrPortFrom(advertise, l.addr.Port())
	}
	return l, nil
}

func (l *listener) openUDP(addr netip.AddrPort) error {
	conn, err := net.ListenUDP(family("udp", addr), net.UDPAddrFromAddrPort(addr))
	if err != nil {
		return err
	}
	_ = conn.SetReadBuffer(socketBuffer) // the system may allow less; then bursts are repeated by their senders
	l.packets, l.addr = packets{conn, &l.deaf}, plainAddrPort(conn.LocalAddr().(*net.UDPAddr).AddrPort())
	return nil
}

func (l *listener) openTCP(addr netip.AddrPort, ts *trunks, log *slog.Logger) error {
	conn, err := net.ListenTCP(family("tcp", addr), net.TCPAddrFromAddrPort(addr))
	if err != nil {
		return err
	}
	isTrunk := func(src netip.Addr) bool {
		_, known := ts.find(src)
		return known
	}
	l.streams, l.addr = newStreams(conn, isTrunk, log, &l.deaf), plainAddrPort(conn.Addr().(*net.TCPAddr).AddrPort())
	return nil
}

// family is the network of a socket that takes what was asked for: 0.0.0.0 is all of IPv4 and nothing else.
func family(network string, addr netip.AddrPort) string {
	if addr.Addr().Is4() {
		return network + "4"
	}
	return network
}

// hears tells whether the listener has local as one of its addresses.
func (l *listener) hears(local netip.AddrPort) bool {
	return l.addr == local || l.addr.Addr().IsUnspecified() && l.addr.Port() == local.Port()
}

// reaches tells whether the listener can send to an address of that family. The zero address is a name, which may
// turn out to be either.
func (l *listener) reaches(to netip.Addr) bool {
	return !to.IsValid() || to.Is4() == l.addr.Addr().Is4()
}

// String is the listener as Config.Listen writes it, with the port it got.
func (l *listener) String() string { return l.network + "://" + l.addr.String() }

// serve reads until close. Any other end is an error: sipgo reports none when a UDP socket fails.
func (l *listener) serve(s *sipgo.Server) error {
	var err error
	if l.packets != nil {
		err = s.ServeUDP(l.packets)
	} else {
		err = s.ServeTCP(l.streams)
	}
	switch {
	case l.closed.Load():
		return nil
	case err == nil:
		return fmt.Errorf("%s: the socket failed", l)
	default:
		return fmt.Errorf("%s: %w", l, err)
	}
}

// close closes the socket. It may be called twice.
func (l *listener) close() {
	l.closed.Store(true)
	for _, c := range []io.Closer{l.packets, l.streams} {
		if c != nil {
			_ = c.Close() // closing a socket twice is all that can go wrong
		}
	}
}

// uri is where others reach us by this listener.
func (l *listener) uri() sip.Uri {
	uri := sip.Uri{Scheme: "sip", User: "callhall", Host: l.shown.Addr().String(), Port: int(l.shown.Port())}
	if l.network == "tcp" {
		uri.UriParams = sip.HeaderParams{{K: "transport", V: "tcp"}}
	}
	return uri
}

// via is the Via of a request that leaves by this listener (RFC 3261 §18.1.1), asking for the answer to come back to
// the port it left from (RFC 3581).
func (l *listener) via(branch string) *sip.ViaHeader {
	return &sip.ViaHeader{
		ProtocolName: "SIP", ProtocolVersion: "2.0", Transport: sip.NetworkToUpper(l.network),
		Host: l.shown.Addr().String(), Port: int(l.shown.Port()),
		Params: sip.HeaderParams{{K: "branch", V: branch}, {K: "rport"}},
	}
}

// plainAddrPort is a with an IPv4 address written as IPv4.
func plainAddrPort(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}
