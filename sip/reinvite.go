package sip

import (
	"net/netip"

	"github.com/emiago/sipgo/sip"
)

// onReinvite answers an INVITE within a dialog (RFC 3261 §14.2): hold, resume, a new address, a refresh.
func (s *Server) onReinvite(req *sip.Request, tx sip.ServerTransaction) {
	p := s.partyOf(req, tx)
	if p == nil {
		return
	}
	p.common().reinvited(req, tx)
}

func (l *leg) reinvited(req *sip.Request, tx sip.ServerTransaction) {
	stream, busy := l.sound(), l.unanswered()
	switch {
	case busy:
		res := respond(req, sip.StatusInternalServerError, "Not Answered Yet")
		res.AppendHeader(sip.NewHeader("Retry-After", retryAfter))
		l.server.reply(tx, res)
		return
	case stream == nil:
		l.server.reply(tx, noSuchDialog(req)) // over, but for our BYE
		return
	}
	if l.negotiating() {
		l.server.reply(tx, respond(req, sip.StatusRequestPending, "Request Pending"))
		return
	}
	body, agreed, err := l.renegotiate(req, l.server.shown(stream))
	if err != nil { // the session stays as it was (RFC 3261 §14.2)
		l.server.reply(tx, err.response(req))
		return
	}
	l.dialog.retarget(req.Contact())
	offering := len(req.Body()) == 0
	if !offering {
		l.tune(agreed)
	}
	x := l.begin(req, offering)
	res := respond(req, sip.StatusOK, "OK")
	l.fillAccept(res, body)
	if err := tx.Respond(res); err != nil {
		l.log.Warn("answer to a re-INVITE not sent", "err", err)
	}
	l.assure(tx, res, x)
}

// negotiating tells whether an offer is open: ours in a 2xx that was not acknowledged, or an answer of ours that may
// not have arrived (RFC 3264 §4: one offer at a time).
func (l *leg) negotiating() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.exchange.open() && l.exchange.offering
}

// A misfit is why a re-INVITE is refused.
type misfit struct {
	code   int
	reason string
}

func (m *misfit) response(req *sip.Request) *sip.Response { return respond(req, m.code, m.reason) }

// renegotiate is the SDP of our 200 to a re-INVITE and what it comes to.
func (l *leg) renegotiate(req *sip.Request, local netip.AddrPort) ([]byte, agreement, *misfit) {
	far, err := offered(req)
	if err != nil {
		return nil, agreement{}, &misfit{sip.StatusBadRequest, "Bad SDP"}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if far == nil { // offer all we can do, anew (RFC 3261 §14.2)
		return l.ours.offer(local, codecOrder(l.params.Codec), sendrecv), agreement{}, nil
	}
	body, agreed, err := l.ours.answer(far, local, l.learn)
	if err != nil {
		return nil, agreement{}, &misfit{sip.StatusNotAcceptableHere, "Not Acceptable Here"}
	}
	return body, agreed, nil
}

// unanswered tells whether the INVITE that began the dialog is still without its final answer.
func (l *leg) unanswered() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stream == nil && !l.stopped
}
