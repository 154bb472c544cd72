package load

import (
	"fmt"
	"strings"
	"time"
)

// agentHears answers calls as any auto-answering phone would.
func (g *Generator) agentHears(m message) {
	switch m.method() {
	case "INVITE":
		if m.status() == 0 {
			g.agentInvited(m)
		}
	case "ACK":
		g.agentJoined(m)
	case "CANCEL":
		g.agentCancelled(m)
	case "BYE":
		g.byeHeard(agentSide, m)
	case "OPTIONS", "INFO", "NOTIFY", "UPDATE":
		g.agents.respond(m, m.answer(200, "OK", "load", "", nil))
	}
}

// agentInvited takes a new call, an INVITE sent again, or one within the call.
func (g *Generator) agentInvited(m message) {
	g.mu.Lock()
	defer g.mu.Unlock()
	d := g.dialogs[agentSide][m.callID()]
	switch {
	case d == nil:
		g.newOffer(m)
	case m.first("cseq") != d.invite.first("cseq"): // re-INVITE: the same answer to a new question
		d.invite = m
		g.answer(d)
	case d.final != nil:
		g.agents.respond(m, d.final)
	default:
		g.agents.respond(m, m.answer(180, "Ringing", tagOf(d.local), "", nil))
	}
}

// newOffer rings, or answers at once. The caller holds mu.
func (g *Generator) newOffer(m message) {
	local := m.first("to") + ";tag=a" + g.run
	d := &dialog{who: agentSide, callID: m.callID(), local: local, remote: m.first("from"), target: m.contact(), routes: routes(m, agentSide),
		invite: m, sent: time.Now()}
	g.dialogs[agentSide][d.callID] = d
	if g.cfg.Ring == 0 {
		g.answer(d)
		return
	}
	g.agents.respond(m, m.answer(180, "Ringing", tagOf(local), "", nil))
	g.ring.put(d.callID)
}

func (g *Generator) answerRinging(callID string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if d := g.dialogs[agentSide][callID]; d != nil && d.phase == calling {
		g.answer(d)
	}
}

// answer sends 200 until its ACK comes (RFC 3261 §13.3.1.4) and begins the agent's sound. The caller holds mu.
func (g *Generator) answer(d *dialog) {
	contact := fmt.Sprintf("Contact: <sip:%s@%s>\r\nContent-Type: application/sdp\r\n", userOf(d.invite.uri()), g.agents.local())
	d.final = d.invite.answer(200, "OK", tagOf(d.local), contact, sdp(g.media.addr(agentSide)))
	if d.phase == calling {
		d.phase, d.answeredAt = answered, time.Now()
	}
	g.agents.insist(d.invite, d.final, func() { g.noACK(d) })
	g.agentSound(d, d.invite)
}

// agentSound begins the agent's sound with the first SDP that names a port: the INVITE's, or the ACK's where the server
// made us offer. The caller holds mu.
func (g *Generator) agentSound(d *dialog, m message) {
	if to := m.audio(); g.cfg.Media && to.IsValid() {
		g.media.add(&stream{who: agentSide, to: to, callID: d.callID, placed: d.sent})
	}
}

// agentJoined takes an ACK: it counts an answered offer and sets the time of its end.
func (g *Generator) agentJoined(m message) {
	g.agents.settled(m.callID())
	g.mu.Lock()
	defer g.mu.Unlock()
	d := g.dialogs[agentSide][m.callID()]
	if d == nil || d.joined || d.phase == calling {
		return
	}
	d.joined, d.phase = true, up
	g.result.Connected++
	g.result.Joined = append(g.result.Joined, time.Since(d.answeredAt))
	g.agentSound(d, m)
	if g.cfg.Hold > 0 {
		g.hold.put(d.callID)
	}
}

// agentCancelled answers CANCEL, and the INVITE with 487 where it still rings (RFC 3261 §9.2).
func (g *Generator) agentCancelled(m message) {
	g.agents.respond(m, m.answer(200, "OK", "a"+g.run, "", nil))
	g.mu.Lock()
	defer g.mu.Unlock()
	d := g.dialogs[agentSide][m.callID()]
	if d == nil || d.phase != calling {
		return
	}
	g.forget(d)
	g.agents.insist(d.invite, d.invite.answer(487, "Request Terminated", tagOf(d.local), "", nil), func() {})
}

// noACK gives up an answer that nobody acknowledged (RFC 3261 §14.2, §13.3.1.4: BYE).
func (g *Generator) noACK(d *dialog) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.dialogs[agentSide][d.callID] == d {
		g.result.NoACK++
		g.bye(d)
	}
}

// tagOf is the tag of a From or To of ours.
func tagOf(local string) string {
	_, tag, _ := strings.Cut(local, ";tag=")
	return tag
}

// userOf is the user part of a SIP URI.
func userOf(uri string) string {
	user, _, _ := strings.Cut(strings.TrimPrefix(uri, "sip:"), "@")
	return user
}
