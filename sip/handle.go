package sip

import (
	"context"
	"time"

	"github.com/emiago/sipgo"
	"github.com/emiago/sipgo/sip"
)

// handle gives each method its handler. ctx is what calls run under.
func (s *Server) handle(ctx context.Context, server *sipgo.Server) {
	on := func(m sip.RequestMethod, h sipgo.RequestHandler) {
		server.OnRequest(m, s.counted(s.admission.admit(h)))
	}
	on(sip.INVITE, func(req *sip.Request, tx sip.ServerTransaction) { s.onInvite(ctx, req, tx) })
	on(sip.ACK, s.onAck)
	on(sip.CANCEL, s.onCancel)
	on(sip.BYE, s.onBye)
	on(sip.INFO, s.onInfo)
	on(sip.OPTIONS, s.onOptions)
	on(sip.REGISTER, s.registrar.handle)
	server.OnNoRoute(s.counted(s.admission.refuse))
}

// counted counts what is handled, and handles nothing any more when the sockets are about to close.
func (s *Server) counted(next sipgo.RequestHandler) sipgo.RequestHandler {
	return func(req *sip.Request, tx sip.ServerTransaction) {
		if !s.handling.enter() {
			return
		}
		defer s.handling.leave()
		s.counts.received(req)
		next(req, tx)
		spend(req) // its transaction still has it for a while
	}
}

// partyOf finds the leg that a request within a dialog is for. Where there is none, or the request is older than one
// already seen, it has answered (RFC 3261 §12.2.2) and returns nil.
func (s *Server) partyOf(req *sip.Request, tx sip.ServerTransaction) party {
	p := s.dialogs.find(req)
	if p == nil || !p.common().hasBegun() {
		s.reply(tx, noSuchDialog(req))
		return nil
	}
	switch p.common().dialog.take(req) {
	case foreign:
		s.reply(tx, noSuchDialog(req))
	case outOfOrder:
		s.reply(tx, respond(req, sip.StatusInternalServerError, "CSeq Out Of Order"))
	default:
		return p
	}
	return nil
}

// hasBegun tells whether there is a dialog. A request that overtook the 200 that makes it is kept waiting for it.
func (l *leg) hasBegun() bool {
	select {
	case <-l.begun:
		return true
	case <-l.over:
	case <-time.After(l.server.timers.t1):
	}
	return false
}

func noSuchDialog(req *sip.Request) *sip.Response {
	return respond(req, sip.StatusCallTransactionDoesNotExists, "Call/Transaction Does Not Exist")
}

// onAck hands the ACK of a 2xx to its leg. Any other has nobody to go to and no answer.
func (s *Server) onAck(req *sip.Request, _ sip.ServerTransaction) {
	if p := s.dialogs.find(req); p != nil && p.common().dialog.ofDialog(req) {
		p.common().acknowledge(req)
	}
}

// onOptions says what we can do (RFC 3261 §11), within a dialog and outside. While draining we answer as an INVITE
// would be answered, which makes carriers look elsewhere.
func (s *Server) onOptions(req *sip.Request, tx sip.ServerTransaction) {
	if tagOf(req.To().Params) != "" {
		if s.partyOf(req, tx) == nil {
			return
		}
	} else if s.calls.isClosed() {
		res := respond(req, sip.StatusServiceUnavailable, "Service Unavailable")
		res.AppendHeader(sip.NewHeader("Retry-After", retryAfter))
		s.reply(tx, res)
		return
	}
	res := respond(req, sip.StatusOK, "OK")
	res.AppendHeader(allowHeader())
	res.AppendHeader(sip.NewHeader("Accept", sdpType))
	s.reply(tx, res)
}

// onInfo answers an INFO. No package is taken (RFC 6086 §4.2.2), and keys come as RTP events, so what has a body is
// of no known kind; one without is a sign of life.
func (s *Server) onInfo(req *sip.Request, tx sip.ServerTransaction) {
	if s.partyOf(req, tx) == nil {
		return
	}
	switch {
	case len(listOf(req, "Info-Package")) > 0:
		res := respond(req, 469, "Bad Info Package")
		res.AppendHeader(sip.NewHeader("Recv-Info", ""))
		s.reply(tx, res)
	case len(req.Body()) > 0:
		res := respond(req, sip.StatusUnsupportedMediaType, "Unsupported Media Type")
		res.AppendHeader(sip.NewHeader("Accept", ""))
		s.reply(tx, res)
	default:
		s.reply(tx, respond(req, sip.StatusOK, "OK"))
	}
}
