package sip

import (
	"time"

	"github.com/emiago/sipgo/sip"

	"callhall/call"
)

// An exchange is one 2xx of ours to an INVITE, until its ACK.
type exchange struct {
	seq      uint32
	offering bool          // the 2xx carries our offer: the ACK brings the answer (RFC 3261 §13.2.1)
	acked    chan struct{} // closed by the ACK
	done     bool          // under the leg's mu: acked is closed, or about to be
	misfit   bool          // likewise: the answer in the ACK was none that we can use
}

// open tells whether the ACK is still awaited. It is called with the leg's mu held.
func (x *exchange) open() bool { return x != nil && !x.done }

// begin makes a 2xx to req the leg's current exchange. One whose ACK was lost is done with: whoever sends a new INVITE
// has had the answer to the last.
func (l *leg) begin(req *sip.Request, offering bool) *exchange {
	x := &exchange{seq: req.CSeq().SeqNo, offering: offering, acked: make(chan struct{})}
	l.mu.Lock()
	defer l.mu.Unlock()
	if last := l.exchange; last.open() {
		last.done = true
		close(last.acked)
	}
	l.exchange = x
	return x
}

// assure sends the 2xx again and again until its ACK comes: after T1, then twice as long each time up to T2, for
// 64·T1 (RFC 3261 §13.3.1.4). Without ACK the leg is over. sipgo passes each on but repeats none by itself.
func (l *leg) assure(tx sip.ServerTransaction, res *sip.Response, x *exchange) {
	l.server.work.run(func() {
		acked := l.untilAcked(tx, res, x)
		l.settle()
		if !acked && l.lose(call.CauseNoAck) {
			l.log.Warn("answer was never acknowledged")
			l.goodbye(call.CauseNoAck)
		}
	})
}

// untilAcked reports false when the time is up. A far side that hangs up first has had our answer.
func (l *leg) untilAcked(tx sip.ServerTransaction, res *sip.Response, x *exchange) bool {
	limit := time.NewTimer(l.server.timers.patience())
	defer limit.Stop()
	interval := l.server.timers.t1
	again := time.NewTimer(interval)
	defer again.Stop()
	for {
		select {
		case <-x.acked:
			return true
		case ack := <-tx.Acks(): // sent with the INVITE's own branch, against RFC 3261 §13.2.2.4
			l.acknowledge(ack)
		case <-again.C:
			if err := tx.Respond(res); err != nil {
				l.log.Debug("answer not repeated", "err", err)
			}
			interval = min(2*interval, l.server.timers.t2)
			again.Reset(interval)
		case <-l.gone:
			return true
		case <-limit.C:
			return false
		case <-l.server.closing:
			return true
		}
	}
}

// settle marks that the first INVITE of the dialog is over with. It may be called twice.
func (l *leg) settle() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asking = asking{}
	select {
	case <-l.settled:
	default:
		close(l.settled)
	}
}

// acknowledge takes an ACK. The first one for our last 2xx ends its repetition, and brings the answer where we had
// offered; any other is a repeated one (RFC 3261 §13.3.1.4).
func (l *leg) acknowledge(req *sip.Request) {
	l.mu.Lock()
	x := l.exchange
	if !x.open() || x.seq != req.CSeq().SeqNo {
		l.mu.Unlock()
		return
	}
	x.done = true
	l.mu.Unlock()
	defer close(x.acked)
	if !x.offering || l.takeAnswer(req.Body()) {
		return
	}
	l.mu.Lock()
	x.misfit = true
	l.mu.Unlock()
	if l.lose(call.CauseNoMedia) {
		l.goodbye(call.CauseNoMedia)
	}
}

// misfit tells whether the ACK of x brought no answer that we can use.
func (l *leg) misfit(x *exchange) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return x.misfit
}

// takeAnswer sets the sound as the far side's answer to our offer says.
func (l *leg) takeAnswer(body []byte) bool {
	far, err := parseSDP(body)
	if err != nil {
		l.log.Warn("answer in ACK not understood", "err", err)
		return false
	}
	stream := l.sound()
	if stream == nil {
		return true
	}
	agreed, err := agree(far, stream.Local().Addr(), l.learn)
	if err != nil {
		return false
	}
	l.tune(agreed)
	return true
}
