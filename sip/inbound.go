package sip

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/emiago/sipgo/sip"

	"callhall/call"
	"callhall/media"
)

// A callerLeg is a leg that came to us: we are the UAS of its INVITE (RFC 3261 §13.3).
type callerLeg struct {
	*leg
	trunk Trunk
	offer *session // nil: our 200 has to offer
	fate  atomic.Int32
}

// An asking is the INVITE that a caller's leg came by. It holds the caller's identity, so it is let go when it is over
// with: from then on, nothing is left to answer.
type asking struct {
	req *sip.Request
	tx  sip.ServerTransaction
}

// asked is the INVITE, until settle. Whoever decided its fate may count on it before.
func (l *leg) asked() asking {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.asking
}

// What has become of an INVITE. The first to change it from undecided decides.
const (
	fateUndecided int32 = iota
	fateAnswered
	fateRefused
	fateCancelled
)

func (s *Server) newCallerLeg(id call.ID, req *sip.Request, tx sip.ServerTransaction, trunk Trunk, offer *session) *callerLeg {
	log := s.log.With("call", id, "leg", "caller", "trunk", trunk.ID)
	d := dialogFrom(req, s.listenerOf(req))
	l := &callerLeg{leg: s.newLeg("caller", log, d), trunk: trunk, offer: offer}
	l.asking = asking{req, tx}
	if trunk.NATLearn {
		l.learn = source(req).Addr()
	}
	if trunk.NATLearn || d.listener.network == "tcp" {
		d.flow = req.Source() // the connection it came by is the one that surely reaches it
	}
	close(l.begun)
	l.news.wanted = trunk.Progress && wantsNews(req)
	return l
}

// listenerOf is the listener that a request came in by.
func (s *Server) listenerOf(req *sip.Request) *listener {
	return s.listenerTowards(sip.NetworkToLower(req.Transport()), req.Source())
}

// response is an answer to the INVITE with what makes a dialog of it (RFC 3261 §12.1.1).
func (l *callerLeg) response(code int, reason string) *sip.Response {
	res := respond(l.asked().req, code, reason)
	res.To().Params.Add("tag", l.dialog.localTag)
	return res
}

// ring sends 180: the caller hears ringing in the moments before the answer.
func (l *callerLeg) ring() {
	res := l.response(sip.StatusRinging, "Ringing")
	res.AppendHeader(&sip.ContactHeader{Address: l.dialog.listener.uri()})
	asked := l.asked()
	l.server.progress(asked.req, asked.tx, res)
}

// Answer accepts the call. Where our 200 has to offer, it waits for the ACK that answers, since no sound can flow
// before. Errors: call.ErrLegGone, behind the LegEnded that says why, call.ErrNoMedia, call.ErrUnavailable, ctx's.
func (l *callerLeg) Answer(ctx context.Context) error {
	stream, err := l.server.lease(nil)
	if err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	body, agreed, err := l.describe(stream)
	if err != nil {
		stream.Close()
		return fmt.Errorf("answer: %w", err)
	}
	if !l.take(stream) || !l.fate.CompareAndSwap(fateUndecided, fateAnswered) {
		return call.ErrLegGone // cancelled meanwhile
	}
	if l.offer != nil {
		l.tune(agreed)
	}
	asked := l.asked()
	x := l.begin(asked.req, l.offer == nil)
	res := l.accept(body)
	if err := asked.tx.Respond(res); err != nil {
		return l.notSent(err)
	}
	l.server.counts.answered(res.StatusCode, l.trunk.ID)
	l.assure(asked.tx, res, x)
	if l.offer != nil {
		return nil
	}
	return l.awaitAnswer(ctx, x)
}

// describe is the SDP of our 200: the answer to the caller's offer, or an offer of our own.
func (l *callerLeg) describe(stream *media.Stream) ([]byte, agreement, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.offer == nil {
		return l.ours.offer(l.server.shown(stream), codecOrder(media.PCMU), sendrecv), agreement{}, nil
	}
	return l.ours.answer(l.offer, l.server.shown(stream), l.learn)
}

// accept is a 200 with SDP.
func (l *callerLeg) accept(body []byte) *sip.Response {
	res := l.response(sip.StatusOK, "OK")
	l.fillAccept(res, body)
	return res
}

// fillAccept adds to a 200 to an INVITE what RFC 3261 §13.3.1.4 wants in it.
func (l *leg) fillAccept(res *sip.Response, body []byte) {
	res.AppendHeader(&sip.ContactHeader{Address: l.dialog.listener.uri()})
	res.AppendHeader(allowHeader())
	res.AppendHeader(sip.NewHeader("Content-Type", sdpType))
	res.SetBody(body)
}

// notSent is when the 200 did not go out: a CANCEL was quicker by a moment, or the transport failed.
func (l *callerLeg) notSent(err error) error {
	if errors.Is(err, sip.ErrTransactionCanceled) {
		// sipgo has answered 487, and taken our 200 for what it is to repeat: give it the 487 again.
		_ = l.asked().tx.Respond(l.response(sip.StatusRequestTerminated, "Request Terminated"))
		l.lose(call.CauseCancelled)
	} else {
		l.log.Warn("answer not sent", "err", err)
		l.asked().tx.Terminate()
		l.lose(call.CauseUnreachable)
	}
	l.server.dialogs.remove(l.leg)
	return call.ErrLegGone
}

// awaitAnswer waits for the answer to the offer in our 200. When the leg is gone, the call has been told why.
func (l *callerLeg) awaitAnswer(ctx context.Context, x *exchange) error {
	select {
	case <-x.acked:
	case <-l.over:
	case <-ctx.Done():
		return ctx.Err()
	}
	switch {
	case l.misfit(x):
		return call.ErrNoMedia
	case l.sound() == nil:
		<-l.over
		return call.ErrLegGone
	default:
		return nil
	}
}

// Refuse ends a call that was not answered.
func (l *callerLeg) Refuse(c call.Cause) {
	if !l.fate.CompareAndSwap(fateUndecided, fateRefused) {
		return
	}
	res := refusalFor(l.asked().req, c)
	res.To().Params.Add("tag", l.dialog.localTag)
	l.server.counts.answered(res.StatusCode, l.trunk.ID)
	l.server.reply(l.asked().tx, res)
	l.stop()
	l.server.dialogs.remove(l.leg)
}

// HangUp ends the leg: with a refusal while it is unanswered, else with BYE.
func (l *callerLeg) HangUp(c call.Cause) {
	l.Refuse(c)
	l.leg.HangUp(c)
}

// withdraw is the caller's CANCEL. With answer the INVITE is still to be answered with 487; without, sipgo does so,
// and has its transaction locked.
func (l *callerLeg) withdraw(answer bool) {
	if !l.fate.CompareAndSwap(fateUndecided, fateCancelled) {
		return // answered or refused: a CANCEL has no effect any more (RFC 3261 §9.2)
	}
	if answer {
		l.server.reply(l.asked().tx, l.response(sip.StatusRequestTerminated, "Request Terminated"))
	}
	l.server.counts.answered(sip.StatusRequestTerminated, l.trunk.ID)
	l.lose(call.CauseCancelled)
	l.server.dialogs.remove(l.leg)
}

// farewell is a BYE. One that comes before the answer ends the INVITE too (RFC 3261 §15.1.2).
func (l *callerLeg) farewell() {
	l.withdraw(true)
	l.leg.farewell()
}
