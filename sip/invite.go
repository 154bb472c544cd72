package sip

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"

	"github.com/emiago/sipgo/sip"

	"callhall/ani"
	"callhall/call"
)

// onInvite is where a call begins. It runs the call on this goroutine and returns when the call is over: sipgo ends
// the transaction of a handler that returns without a final answer.
func (s *Server) onInvite(ctx context.Context, req *sip.Request, tx sip.ServerTransaction) {
	if tagOf(req.To().Params) != "" {
		s.onReinvite(req, tx)
		return
	}
	trunk, known := s.trunks.find(source(req).Addr())
	if !known {
		s.turnAway(req, tx)
		return
	}
	key := transactionKey(req)
	invitation, ok := s.arriving.enter(key)
	if !ok {
		s.refuse(req, tx, trunk, call.CauseCancelled, "")
		return
	}
	defer s.arriving.leave(key)
	if !tx.OnCancel(func(*sip.Request) { invitation.cancel(false) }) {
		return // sipgo has answered the CANCEL and the INVITE
	}
	if !s.calls.enter() {
		s.refuse(req, tx, trunk, call.CauseUnavailable, refusedDraining)
		return
	}
	defer s.calls.leave()
	s.arrive(ctx, req, tx, trunk, invitation)
}

// arrive finds whose call it is, and hands it over. Everything that can refuse it comes before there is a call.
func (s *Server) arrive(ctx context.Context, req *sip.Request, tx sip.ServerTransaction, trunk Trunk, inv *invitation) {
	if s.dialogs.len() >= s.cfg.MaxLegs {
		s.refuse(req, tx, trunk, call.CauseUnavailable, refusedOverload)
		return
	}
	offer, err := offered(req)
	if err != nil {
		s.counts.refuse(refusedMalformed)
		s.reply(tx, respond(req, sip.StatusBadRequest, "Bad SDP"))
		return
	}
	entry, err := s.entry(req, trunk)
	if err != nil {
		s.refuse(req, tx, trunk, call.CauseUnknownEntry, refusedEntry)
		return
	}
	s.progress(req, tx, respond(req, sip.StatusTrying, "Trying"))
	id := call.NewID()
	leg := s.newCallerLeg(id, req, tx, trunk, offer)
	if !inv.onCancel(leg.withdraw) {
		leg.withdraw(true)
		return
	}
	s.dialogs.add(leg)
	defer leg.HangUp(call.CauseInternal) // a call that was hung up or lost does not notice
	leg.ring()
	headers := identityHeaders(req, trunk.Trust)
	caller, err := s.deps.Identities.Capture(ctx, ani.Incoming{City: entry.City, Call: id, Trunk: trunk.ID, Headers: headers,
		Trust: trunk.Trust, Dialled: dialledForms(req, entry)})
	headers.Wipe()
	spend(req)
	defer s.deps.Identities.Over(entry.City, id)
	if err != nil { // whoever calls is served; their number is then not to be had later
		s.counts.identitiesLost.Inc()
		s.log.Error("caller's number not kept", "call", id, "trunk", trunk.ID, "err", err)
	}
	s.deps.Switchboard.Take(ctx, call.Arrival{
		ID: id, City: entry.City, Trunk: trunk.ID, Entry: entry.Number, Queue: entry.Queue, Language: entry.Language,
		Caller: caller.Status, Verstat: caller.Verstat, Attest: caller.Attest, Class: caller.Class, At: s.deps.Now(), Leg: leg,
	})
}

// dialledForms are the ways in which a signature may name the number that was dialled.
func dialledForms(req *sip.Request, entry Entry) []string {
	forms := []string{entry.Number}
	if dialled, err := parseDialled(&req.Recipient); err == nil && dialled != entry.Number {
		forms = append(forms, dialled)
	}
	return forms
}

// offered is the offer that an INVITE brings, nil when it brings none.
func offered(req *sip.Request) (*session, error) {
	if len(req.Body()) == 0 {
		return nil, nil
	}
	return parseSDP(req.Body())
}

// entry finds whose number was dialled: of a call that was forwarded to us, the number of ours that the caller dialled
// first, where the trunk is believed in that (RFC 7044 §1), and else the Request-URI's. What was dialled may be a person's
// number by mistake: it is not logged.
func (s *Server) entry(req *sip.Request, trunk Trunk) (Entry, error) {
	if first := s.dialledFirst(req, trunk); first != "" {
		return s.entryOf(first, trunk)
	}
	dialled, err := parseDialled(&req.Recipient)
	if err != nil {
		s.log.Warn("call to something that is no number", "trunk", trunk.ID)
		return Entry{}, err
	}
	return s.entryOf(dialled, trunk)
}

func (s *Server) entryOf(dialled string, trunk Trunk) (Entry, error) {
	entry, err := s.deps.Entries.Entry(trunk.ID, dialled)
	switch {
	case errors.Is(err, ErrUnknownEntry):
		s.log.Warn("call to a number that no city has on this trunk", "trunk", trunk.ID)
	case err != nil:
		s.log.Error("entry not found out", "trunk", trunk.ID, "err", err)
	}
	return entry, err
}

// dialledFirst is the number of ours that a forwarded call was first for; empty for any other call.
func (s *Server) dialledFirst(req *sip.Request, trunk Trunk) string {
	if !trunk.Trust.Identity || !trunk.Trust.Retarget {
		return ""
	}
	headers := identityHeaders(req, trunk.Trust)
	defer headers.Wipe()
	return ani.DialledFirst(headers, trunk.Trust, s.deps.Entries.Own(trunk.ID))
}

// refuse answers an INVITE before there is a leg.
func (s *Server) refuse(req *sip.Request, tx sip.ServerTransaction, trunk Trunk, c call.Cause, why string) {
	if why != "" {
		s.counts.refuse(why)
	}
	res := refusalFor(req, c)
	s.counts.answered(res.StatusCode, trunk.ID)
	s.reply(tx, res)
}

// turnAway answers 403 to a source that is no trunk. The answer is without state (RFC 3261 §8.2.7): it is not
// repeated, so that a forged source address gains its victim one small datagram for each that was sent.
func (s *Server) turnAway(req *sip.Request, tx sip.ServerTransaction) {
	tx.Terminate()
	s.counts.refuse(refusedSource)
	s.log.Warn("call from an address that is no trunk's", "source", source(req).Addr())
	res := respond(req, sip.StatusForbidden, "Forbidden")
	mac := hmac.New(sha256.New, s.secret)
	mac.Write([]byte(transactionKey(req)))
	res.To().Params.Add("tag", hex.EncodeToString(mac.Sum(nil)[:8]))
	if err := s.ua.TransportLayer().WriteMsg(res); err != nil {
		s.log.Debug("refusal not sent", "err", err)
	}
}

// onCancel is called for a CANCEL that sipgo found no INVITE for.
func (s *Server) onCancel(req *sip.Request, tx sip.ServerTransaction) {
	_, known := s.trunks.find(source(req).Addr())
	if !known || !s.arriving.cancel(transactionKey(req), s.timers.stray) {
		s.reply(tx, respond(req, sip.StatusCallTransactionDoesNotExists, "Call/Transaction Does Not Exist"))
		return
	}
	s.reply(tx, respond(req, sip.StatusOK, "OK"))
}

// reply sends an answer. One that cannot be sent is the sender's loss: it will ask again.
func (s *Server) reply(tx sip.ServerTransaction, res *sip.Response) {
	if err := tx.Respond(res); err != nil {
		s.log.Debug("answer not sent", "status", res.StatusCode, "err", err)
	}
}

// progress sends a provisional answer. After a CANCEL sipgo would take it for the answer that it has to repeat, so it
// is then given the 487 again.
func (s *Server) progress(req *sip.Request, tx sip.ServerTransaction, res *sip.Response) {
	err := tx.Respond(res)
	if errors.Is(err, sip.ErrTransactionCanceled) {
		err = tx.Respond(respond(req, sip.StatusRequestTerminated, "Request Terminated"))
	}
	if err != nil {
		s.log.Debug("answer not sent", "status", res.StatusCode, "err", err)
	}
}
