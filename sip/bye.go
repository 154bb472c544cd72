package sip

import (
	"context"

	"github.com/emiago/sipgo/sip"

	"callhall/call"
)

// HangUp ends the leg and gives back its port. It may be called twice and does not wait for the far side.
func (l *leg) HangUp(c call.Cause) {
	if l.stop() {
		l.goodbye(c)
	}
}

// goodbye sends BYE, once the dialog is confirmed (RFC 3261 §15), and forgets the dialog after its answer or when
// there is none. A far side that has hung up itself is sent nothing.
func (l *leg) goodbye(c call.Cause) {
	started := l.server.work.run(func() {
		defer l.server.dialogs.remove(l)
		select {
		case <-l.settled:
		case <-l.gone:
			return
		case <-l.server.closing:
			return
		}
		l.bye(c)
	})
	if !started {
		l.server.dialogs.remove(l)
	}
}

func (l *leg) bye(c call.Cause) {
	select {
	case <-l.gone:
		return
	default:
	}
	_, err := l.ask(context.Background(), sip.BYE, func(req *sip.Request) {
		req.AppendHeader(reasonHeader(c))
		req.SetBody(nil)
	})
	if err != nil { // nor is a 401 or 407 acted on: whoever asks us for a password is a thief of it
		l.log.Debug("BYE without answer", "err", err)
	}
}

// leave notes that the far side has hung up. It reports whether it was the first to say so.
func (l *leg) leave() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left {
		return false
	}
	l.left = true
	close(l.gone)
	return true
}

// onBye answers a BYE (RFC 3261 §15.1.2).
func (s *Server) onBye(req *sip.Request, tx sip.ServerTransaction) {
	p := s.partyOf(req, tx)
	if p == nil {
		return
	}
	s.reply(tx, respond(req, sip.StatusOK, "OK"))
	p.farewell()
}

// farewell ends a leg whose far side has hung up.
func (l *leg) farewell() {
	l.leave()
	if l.lose(call.CauseNormal) {
		l.server.dialogs.remove(l)
	}
}
