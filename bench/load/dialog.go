package load

import (
	"fmt"
	"strings"
	"time"
)

// phase is how far one side of a call has come.
type phase int

const (
	calling  phase = iota // a caller's INVITE is out, or an agent rings
	answered              // an agent has answered and waits for ACK
	up
)

// dialog is what one side must remember of a call. The generator's mu guards it.
type dialog struct {
	who    party
	callID string
	local  string // our From or To, with tag
	remote string
	target string // where requests go: the far side's Contact
	routes string // Route lines (RFC 3261 §12.1)
	cseq   int    // of our last request
	phase  phase

	// Of a caller:
	sent    time.Time // the INVITE
	uri     string
	branch  string
	trying  bool   // a provisional answer came: from now on a CANCEL is allowed (RFC 3261 §9.1)
	rang    bool   // the first ringing or answer is counted
	givenUp bool   // the caller wants no answer any more
	ack     []byte // sent again for each 200 sent again

	// Of an agent:
	invite     message   // the last INVITE
	answeredAt time.Time // our 200 to the first INVITE
	joined     bool      // its ACK came
	final      []byte    // our last final answer, sent again for each INVITE sent again
}

// request builds a request within the dialog: BYE, or the ACK of a 200, which has the INVITE's number.
func (d *dialog) request(s *side, method, branch string, cseq int) []byte {
	return fmt.Appendf(nil, "%s %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=%s;rport\r\nMax-Forwards: 70\r\n%sFrom: %s\r\nTo: %s\r\n"+
		"Call-ID: %s\r\nCSeq: %d %s\r\nContent-Length: 0\r\n\r\n",
		method, d.target, s.local(), branch, d.routes, d.local, d.remote, d.callID, cseq, method)
}

// routes turns Record-Route into Route: reversed for the side that called (RFC 3261 §12.1.2).
func routes(m message, who party) string {
	var all []string
	for _, line := range m.headers["record-route"] {
		for one := range strings.SplitSeq(line, ",") {
			all = append(all, strings.TrimSpace(one))
		}
	}
	var b strings.Builder
	for i := range all {
		v := all[i]
		if who == callerSide {
			v = all[len(all)-1-i]
		}
		fmt.Fprintf(&b, "Route: %s\r\n", v)
	}
	return b.String()
}

// hangUp ends one side's call: with BYE once it is up, with CANCEL before.
func (g *Generator) hangUp(who party, callID string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	d := g.dialogs[who][callID]
	switch {
	case d == nil:
	case d.phase == up:
		g.bye(d)
	case who == callerSide && !d.givenUp:
		d.givenUp = true
		if d.trying {
			g.cancel(d)
		}
	}
}

// bye ends a dialog that is up. The caller holds mu.
func (g *Generator) bye(d *dialog) {
	g.forget(d)
	s, who := g.sideOf(d.who), d.who
	branch := s.newBranch()
	d.cseq++
	over := func(lost bool) {
		g.mu.Lock()
		defer g.mu.Unlock()
		if who == callerSide {
			g.result.Ended++
		}
		if lost {
			g.result.NoBye++
		}
	}
	s.request(branch, "BYE", d.request(s, "BYE", branch, d.cseq), func(m message) {
		if m.status() >= 200 {
			over(false)
		}
	}, func() { over(true) })
}

// byeHeard ends a dialog that the far side has ended.
func (g *Generator) byeHeard(who party, m message) {
	s := g.sideOf(who)
	s.respond(m, m.answer(200, "OK", "", "", nil))
	s.settled(m.callID())
	g.mu.Lock()
	defer g.mu.Unlock()
	d := g.dialogs[who][m.callID()]
	if d == nil {
		return
	}
	g.forget(d)
	if d.who == callerSide {
		g.result.Ended++
	}
}

// forget ends what is kept of a dialog. The caller holds mu.
func (g *Generator) forget(d *dialog) {
	delete(g.dialogs[d.who], d.callID)
	g.media.remove(d.who, d.callID)
}

func (g *Generator) sideOf(who party) *side {
	if who == callerSide {
		return g.callers
	}
	return g.agents
}
