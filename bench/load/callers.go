package load

import (
	"fmt"
	"time"
)

// invite places call number i.
func (g *Generator) invite(i int) {
	s := g.callers
	d := &dialog{who: callerSide, callID: fmt.Sprintf("%d-%s@load", i, g.run), local: fmt.Sprintf("<sip:%s@%s>;tag=c%d", g.cfg.From, g.cfg.Domain, i),
		uri: fmt.Sprintf("sip:%s@%s", g.cfg.To, g.cfg.Server), branch: s.newBranch(), cseq: 1, sent: time.Now()}
	body := sdp(g.media.addr(callerSide))
	raw := fmt.Appendf(nil, "INVITE %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=%s;rport\r\nMax-Forwards: 70\r\nFrom: %s\r\nTo: <%s>\r\n"+
		"Call-ID: %s\r\nCSeq: 1 INVITE\r\nContact: <sip:%s>\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s",
		d.uri, s.local(), d.branch, d.local, d.uri, d.callID, s.local(), len(body), body)
	g.mu.Lock()
	g.dialogs[callerSide][d.callID] = d
	g.result.Placed++
	g.mu.Unlock()
	s.request(d.branch, "INVITE", raw, func(m message) { g.inviteAnswered(d, m) }, func() { g.noAnswer(d) })
}

// inviteAnswered takes each response to a caller's INVITE up to the first final one.
func (g *Generator) inviteAnswered(d *dialog, m message) {
	g.mu.Lock()
	defer g.mu.Unlock()
	code := m.status()
	if code > 100 && code < 300 && !d.rang {
		d.rang = true
		g.result.PostDial = append(g.result.PostDial, time.Since(d.sent))
	}
	switch {
	case code < 200:
		if !d.trying && d.givenUp {
			g.cancel(d)
		}
		d.trying = true
	case code < 300:
		g.accepted(d, m)
	default:
		g.refused(d, m)
	}
}

// accepted acknowledges a 200 and begins the caller's sound. The caller holds mu.
func (g *Generator) accepted(d *dialog, m message) {
	d.phase = up
	d.remote, d.target, d.routes = m.first("to"), m.contact(), routes(m, callerSide)
	if d.target == "" {
		d.target = d.uri
	}
	d.ack = d.request(g.callers, "ACK", g.callers.newBranch(), 1)
	g.callers.send(d.ack)
	if d.givenUp { // the 200 and our CANCEL crossed
		g.bye(d)
		return
	}
	g.result.Answered++
	g.result.Answer = append(g.result.Answer, time.Since(d.sent))
	if g.cfg.Callers > 0 {
		g.patience.put(d.callID)
	}
	if to := m.audio(); g.cfg.Media && to.IsValid() {
		g.media.add(&stream{who: callerSide, to: to, callID: d.callID, placed: d.sent})
	}
}

// refused acknowledges a failure (RFC 3261 §17.1.1.3). The caller holds mu.
func (g *Generator) refused(d *dialog, m message) {
	g.callers.acknowledge(d.branch, fmt.Appendf(nil, "ACK %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=%s;rport\r\nMax-Forwards: 70\r\nFrom: %s\r\nTo: %s\r\n"+
		"Call-ID: %s\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n", d.uri, g.callers.local(), d.branch, d.local, m.first("to"), d.callID))
	g.unanswered(d)
}

func (g *Generator) noAnswer(d *dialog) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.unanswered(d)
}

// unanswered counts a call that did not come up. The caller holds mu.
func (g *Generator) unanswered(d *dialog) {
	g.forget(d)
	if d.givenUp {
		g.result.GivenUp++
	} else {
		g.result.Failed++
	}
}

// cancel takes an INVITE back. Its answer comes to the INVITE: 487, or a 200 that it crossed. The caller holds mu.
func (g *Generator) cancel(d *dialog) {
	s := g.callers
	raw := fmt.Appendf(nil, "CANCEL %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=%s;rport\r\nMax-Forwards: 70\r\nFrom: %s\r\nTo: <%s>\r\n"+
		"Call-ID: %s\r\nCSeq: 1 CANCEL\r\nContent-Length: 0\r\n\r\n", d.uri, s.local(), d.branch, d.local, d.uri, d.callID)
	s.giveUp(d.branch)
	s.request(d.branch, "CANCEL", raw, func(message) {}, func() {})
}

// callerHears acts on what the server asks of a caller, and on a 200 sent again, which wants another ACK.
func (g *Generator) callerHears(m message) {
	switch m.method() {
	case "INVITE":
		g.callerInvited(m)
	case "BYE":
		g.byeHeard(callerSide, m)
	case "CANCEL", "INFO", "OPTIONS", "UPDATE", "NOTIFY":
		g.callers.respond(m, m.answer(200, "OK", "load", "", nil))
	}
}

// callerInvited takes a 200 sent again, or an INVITE within the call.
func (g *Generator) callerInvited(m message) {
	g.mu.Lock()
	defer g.mu.Unlock()
	d := g.dialogs[callerSide][m.callID()]
	switch {
	case d == nil && m.status() == 0:
		g.callers.respond(m, m.answer(481, "Call/Transaction Does Not Exist", "load", "", nil))
	case d == nil:
	case m.status() > 0:
		g.callers.send(d.ack)
	default:
		g.callers.respond(m, m.answer(200, "OK", "", fmt.Sprintf("Contact: <sip:%s>\r\nContent-Type: application/sdp\r\n", g.callers.local()),
			sdp(g.media.addr(callerSide))))
	}
}
