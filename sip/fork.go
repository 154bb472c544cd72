package sip

import (
	"context"
	"errors"
	"time"

	"github.com/emiago/sipgo/sip"

	"callhall/call"
)

// fork calls one place until somebody answers there or ringing ends. Its goroutine then still sees the transaction to its
// end: CANCEL needs a provisional answer first (RFC 3261 §9.1), and a 200 may cross it.
func (r *ringing) fork(ringing context.Context, i summons) result {
	r.server.dialogs.add(calledLeg{i.leg})
	ended := false
	defer func() {
		if !ended { // a panic is on its way: the leg goes, and nothing else
			i.leg.forget()
		}
	}()
	res := r.call(ringing, i)
	ended = true
	return res
}

// call sends the INVITE and stays with it.
func (r *ringing) call(ringing context.Context, i summons) result {
	tx, err := r.server.send(ringing, i.req)
	if err != nil {
		i.leg.log.Debug("not reached", "err", err)
		i.leg.forget()
		return result{err: call.ErrUnreachable}
	}
	f := &forking{ringing: r, leg: i.leg, req: i.req, tx: tx}
	res := f.await(ringing)
	if res == nil {
		return result{err: call.ErrUnreachable}
	}
	return f.finish(res)
}

// forget ends a leg that never had a dialog.
func (l *leg) forget() {
	l.stop()
	l.server.dialogs.remove(l)
}

// A forking is one INVITE of a ringing, under way.
type forking struct {
	*ringing
	leg       *leg
	req       *sip.Request
	tx        *sip.ClientTx
	heard     bool // a provisional answer has come
	cancelled bool
}

// await reads answers until the final one, cancelling when the ringing ends. It returns nil when none comes.
func (f *forking) await(ringing context.Context) *sip.Response {
	over := ringing.Done()
	var limit <-chan time.Time // runs once the party is no longer wanted
	for {
		select {
		case res := <-f.tx.Responses():
			if !res.IsProvisional() {
				return res
			}
			f.heard = true
			f.ringing.rang.Store(true)
			if over == nil {
				f.cancel(context.Cause(ringing))
			}
		case <-over:
			over = nil
			timer := time.NewTimer(f.server.timers.patience())
			defer timer.Stop()
			limit = timer.C
			if f.heard {
				f.cancel(context.Cause(ringing))
			}
		case <-limit: // neither 487 nor anything else came (RFC 3261 §9.1)
			f.abandon()
			return nil
		case <-f.tx.Done():
			f.abandon()
			return nil
		}
	}
}

func (f *forking) abandon() {
	f.tx.Terminate()
	f.leg.forget()
}

// cancel takes the INVITE back, once.
func (f *forking) cancel(why error) {
	if f.cancelled {
		return
	}
	f.cancelled = true
	cause := call.CauseCancelled
	switch {
	case errors.Is(why, errElsewhere):
		cause = call.CauseElsewhere
	case errors.Is(why, call.ErrNoAnswer):
		cause = call.CauseNoAnswer
	}
	cancel := cancelFor(f.req)
	cancel.AppendHeader(reasonHeader(cause))
	cancel.SetBody(nil)
	f.server.work.run(func() {
		if _, err := f.server.transact(context.Background(), cancel); err != nil {
			f.leg.log.Debug("CANCEL without answer", "err", err)
		}
	})
}

// cancelFor is the CANCEL of an INVITE of ours: same Request-URI, Call-ID, To, From, CSeq number and Via (RFC 3261
// §9.1).
func cancelFor(invite *sip.Request) *sip.Request {
	req := sip.NewRequest(sip.CANCEL, invite.Recipient)
	for _, name := range []string{"Via", "Route", "From", "To", "Call-ID"} {
		sip.CopyHeaders(name, invite, req)
	}
	req.AppendHeader(&sip.CSeqHeader{SeqNo: invite.CSeq().SeqNo, MethodName: sip.CANCEL})
	hops := sip.MaxForwardsHeader(70)
	req.AppendHeader(&hops)
	req.SetTransport(invite.Transport())
	req.SetDestination(invite.Destination())
	return req
}

// finish acts on the final answer.
func (f *forking) finish(res *sip.Response) result {
	if !res.IsSuccess() {
		f.leg.forget()
		return result{err: f.verdict(res.StatusCode), global: res.StatusCode >= 600}
	}
	if !usable(res) { // there is no dialog that it could be acknowledged or hung up in
		f.leg.log.Warn("answered with something malformed")
		f.abandon()
		return result{err: call.ErrUnreachable}
	}
	f.leg.dialog.establish(res)
	ack := f.leg.dialog.ack(f.req.CSeq().SeqNo)
	ack.SetBody(nil)
	f.tx.OnRetransmission(func(again *sip.Response) { f.repeated(again, ack) })
	if err := f.server.sendACK(ack); err != nil {
		f.leg.log.Warn("answer not acknowledged", "err", err)
	}
	close(f.leg.begun)
	f.leg.settle()
	return f.answered(res)
}

// answered gives the leg its sound, if it is the first to answer and speaks what we speak.
func (f *forking) answered(res *sip.Response) result {
	agreed, err := f.agreed(res)
	switch {
	case err != nil:
		f.leg.HangUp(call.CauseNoMedia)
		return result{err: call.ErrNoMedia}
	case !f.claim():
		f.leg.HangUp(call.CauseElsewhere)
		return result{err: errElsewhere}
	}
	if !f.leg.take(f.stream) { // they have hung up again already
		return result{leg: f.leg}
	}
	f.leg.tune(agreed)
	return result{leg: f.leg}
}

func (f *forking) agreed(res *sip.Response) (agreement, error) {
	far, err := parseSDP(res.Body())
	if err != nil {
		return agreement{}, err
	}
	return agree(far, f.stream.Local().Addr(), f.leg.learn)
}

// repeated is a 2xx that came again, because our ACK was lost, or from a second phone behind the same contact: that
// one is told that it was too late (RFC 3261 §13.2.2.4).
func (f *forking) repeated(res *sip.Response, ack *sip.Request) {
	if !usable(res) {
		return
	}
	if tagOf(res.To().Params) == tagOf(ack.To().Params) {
		if err := f.server.sendACK(ack); err != nil {
			f.leg.log.Debug("answer not acknowledged again", "err", err)
		}
		return
	}
	f.server.work.run(func() { f.turnDown(res) })
}

// turnDown acknowledges and ends the dialog of a 2xx that nobody needs.
func (f *forking) turnDown(res *sip.Response) {
	d := f.leg.dialog
	extra := &dialog{callID: d.callID, localTag: d.localTag, local: d.local, listener: d.listener,
		flow: d.flow, remote: d.remote, localSeq: f.req.CSeq().SeqNo}
	extra.establish(res)
	ack := extra.ack(f.req.CSeq().SeqNo)
	ack.SetBody(nil)
	if err := f.server.sendACK(ack); err != nil {
		f.leg.log.Debug("second answer not acknowledged", "err", err)
	}
	bye := extra.request(sip.BYE)
	bye.AppendHeader(reasonHeader(call.CauseElsewhere))
	bye.SetBody(nil)
	if _, err := f.server.transact(context.Background(), bye); err != nil {
		f.leg.log.Debug("BYE without answer", "err", err)
	}
}
