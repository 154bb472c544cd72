package sip

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/emiago/sipgo/sip"
)

// transact sends req, which must be complete, and returns its final answer. It waits for 64·T1 at most (RFC 3261
// §17.1.2.2) and for ctx. It is not for INVITE.
func (s *Server) transact(ctx context.Context, req *sip.Request) (*sip.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timers.patience())
	defer cancel()
	tx, err := s.send(ctx, req)
	if err != nil {
		return nil, err
	}
	return await(ctx, tx)
}

// ask sends a request within the leg's dialog, with what fill adds to it, and returns its final answer. Requests leave
// in the order of their CSeq.
func (l *leg) ask(ctx context.Context, m sip.RequestMethod, fill func(*sip.Request)) (*sip.Response, error) {
	ctx, cancel := context.WithTimeout(ctx, l.server.timers.patience())
	defer cancel()
	l.dialog.wire.Lock()
	req := l.dialog.request(m)
	fill(req)
	tx, err := l.server.send(ctx, req)
	l.dialog.wire.Unlock()
	if err != nil {
		return nil, err
	}
	return await(ctx, tx)
}

// await returns the final answer of a transaction and ends it.
func await(ctx context.Context, tx *sip.ClientTx) (*sip.Response, error) {
	defer tx.Terminate()
	for {
		select {
		case res := <-tx.Responses():
			if !res.IsProvisional() {
				return res, nil
			}
		case <-tx.Done():
			return nil, fmt.Errorf("no answer: %w", unquoted(tx.Err()))
		case <-ctx.Done():
			return nil, fmt.Errorf("no answer: %w", ctx.Err())
		}
	}
}

// send begins the transaction of req. Every answer must then be read, or the transaction terminated: sipgo hands each
// over with its state machine locked.
func (s *Server) send(ctx context.Context, req *sip.Request) (*sip.ClientTx, error) {
	s.bind(req)
	s.counts.sent(req)
	tx, err := s.ua.TransactionLayer().Request(ctx, req)
	if err != nil {
		return nil, fmt.Errorf("send %s: %w", req.Method, unquoted(err))
	}
	return tx, nil
}

// unquoted is a fault of sipgo's without its words, which quote the request, and with it the number that it may be for:
// what the system said, or else that it was the transport or the time.
func unquoted(err error) error {
	var system *net.OpError
	if errors.As(err, &system) {
		return system
	}
	for _, known := range []error{context.Canceled, context.DeadlineExceeded, sip.ErrTransactionTimeout, sip.ErrTransactionTerminated} {
		if errors.Is(err, known) {
			return known
		}
	}
	return sip.ErrTransactionTransport
}

// sendACK sends the ACK of a 2xx, which has no transaction. The copy is because sipgo writes into what it sends, and
// an ACK is sent again whenever its 2xx is.
func (s *Server) sendACK(ack *sip.Request) error {
	ack = ack.Clone()
	s.bind(ack)
	s.counts.sent(ack)
	if err := s.ua.TransportLayer().WriteMsg(ack); err != nil {
		return fmt.Errorf("send ACK: %w", unquoted(err))
	}
	return nil
}

// bind makes a request leave by a socket we listen on. Left alone, sipgo opens a new UDP socket for each destination
// that it has not heard from, and the answer's sender would see a port nobody listens on.
func (s *Server) bind(req *sip.Request) {
	network := sip.NetworkToLower(req.Transport())
	if network != "udp" {
		return
	}
	if l := s.listenerTowards(network, req.Destination()); l != nil && l.packets != nil {
		local := l.packets.LocalAddr().(*net.UDPAddr)
		req.Laddr = sip.Addr{IP: local.IP, Port: local.Port}
	}
}

// listenerTowards is the listener that dest was last heard on, else the first of that network; nil when there is none.
func (s *Server) listenerTowards(network, dest string) *listener {
	var first *listener
	var heard netip.AddrPort
	if conn, err := s.ua.TransportLayer().GetConnection(network, dest); err == nil {
		heard = addrPort(conn.LocalAddr())
		conn.TryClose()
	}
	to, _ := netip.ParseAddrPort(dest) // the zero value for a name
	for _, l := range s.listeners {
		if l.network != network {
			continue
		}
		if heard.IsValid() && l.hears(heard) {
			return l
		}
		if first == nil && l.reaches(to.Addr().Unmap()) {
			first = l
		}
	}
	return first
}

// addrPort is a as netip has it, the zero value when it is neither UDP's nor TCP's.
func addrPort(a net.Addr) netip.AddrPort {
	switch a := a.(type) {
	case *net.UDPAddr:
		return plainAddrPort(a.AddrPort())
	case *net.TCPAddr:
		return plainAddrPort(a.AddrPort())
	default:
		return netip.AddrPort{}
	}
}

// source is where a request came from.
func source(req *sip.Request) netip.AddrPort {
	addr, err := netip.ParseAddrPort(req.Source())
	if err != nil {
		return netip.AddrPort{} // sipgo always has it; a request without belongs to no trunk
	}
	return plainAddrPort(addr)
}
