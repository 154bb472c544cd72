package load

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// dialog is what one side must remember of a call to hang it up and to acknowledge it again.
type dialog struct {
	mu     sync.Mutex
	callID string
	local  string // our From or To with tag
	remote string
	target string // where requests go: the far side's Contact
	ack    []byte // the ACK of a caller's INVITE, sent again for each 200 sent again
	over   bool
	timer  *time.Timer
}

// calls keeps the dialogs of both sides by Call-ID. A Generator has one; the two sides' Call-IDs differ.
type calls struct {
	mu sync.Mutex
	by map[string]*dialog
}

func (c *calls) get(id string) *dialog {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.by[id]
}

func (c *calls) put(d *dialog) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by == nil {
		c.by = map[string]*dialog{}
	}
	c.by[d.callID] = d
}

// take removes a dialog; only the first to ask gets it.
func (c *calls) take(id string) *dialog {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := c.by[id]
	delete(c.by, id)
	return d
}

// invite places call number i.
func (g *Generator) invite(i int) {
	s := g.callers
	branch, tag := s.newBranch(), "c"+strconv.Itoa(i)
	d := &dialog{callID: fmt.Sprintf("%d-%s@load", i, tagOf(s)), local: fmt.Sprintf("<sip:%s@%s>;tag=%s", g.cfg.From, g.cfg.Domain, tag)}
	g.dialogs.put(d)
	uri := fmt.Sprintf("sip:%s@%s", g.cfg.To, g.cfg.Server)
	body := sdp(s.host(), g.media.callerPort())
	raw := fmt.Appendf(nil, "INVITE %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=%s;rport\r\nMax-Forwards: 70\r\nFrom: %s\r\nTo: <%s>\r\n"+
		"Call-ID: %s\r\nCSeq: 1 INVITE\r\nContact: <sip:%s>\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s",
		uri, s.local(), branch, d.local, uri, d.callID, s.local(), len(body), body)
	sent := time.Now()
	var rang sync.Once
	postDial := func() {
		rang.Do(func() { g.count(func(r *Result) { r.PostDial = append(r.PostDial, time.Since(sent)) }) })
	}
	g.count(func(r *Result) { r.Placed++ })
	s.request(branch, raw, func(m message) {
		switch code := m.status(); {
		case code == 100:
		case code < 200:
			postDial()
		case code < 300:
			postDial()
			g.answered(d, m, uri, time.Since(sent))
		default:
			g.refused(d, m, uri, branch)
		}
	}, func() { g.fail(d) })
}

// tagOf tells two generators on one machine apart.
func tagOf(s *side) string { return strings.NewReplacer(".", "-", ":", "-").Replace(s.local()) }

// answered acknowledges a 200 and begins the caller's sound.
func (g *Generator) answered(d *dialog, m message, uri string, after time.Duration) {
	d.mu.Lock()
	d.remote, d.target = m.first("to"), m.contact()
	if d.target == "" {
		d.target = uri
	}
	d.ack = fmt.Appendf(nil, "ACK %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=%s;rport\r\nMax-Forwards: 70\r\n%sFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n",
		d.target, g.callers.local(), g.callers.newBranch(), routes(m, true), d.local, d.remote, d.callID)
	ack := d.ack
	d.mu.Unlock()
	g.callers.send(ack)
	g.count(func(r *Result) { r.Answered++; r.Answer = append(r.Answer, after) })
	if g.cfg.Media {
		g.media.add(callerSide, m.audioPort(), d.callID, func(first time.Duration) {
			g.count(func(r *Result) { r.FirstSound = append(r.FirstSound, first) })
		})
	}
}

// routes turns Record-Route into Route: reversed for the side that called (RFC 3261 §12.1.2).
func routes(m message, caller bool) string {
	var b strings.Builder
	rr := m.headers["record-route"]
	for i := range rr {
		v := rr[i]
		if caller {
			v = rr[len(rr)-1-i]
		}
		fmt.Fprintf(&b, "Route: %s\r\n", v)
	}
	return b.String()
}

// refused acknowledges a failure (RFC 3261 §17.1.1.3).
func (g *Generator) refused(d *dialog, m message, uri, branch string) {
	g.callers.send(fmt.Appendf(nil, "ACK %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=%s;rport\r\nMax-Forwards: 70\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n",
		uri, g.callers.local(), branch, d.local, m.first("to"), d.callID))
	g.fail(d)
}

func (g *Generator) fail(d *dialog) {
	if g.dialogs.take(d.callID) != nil {
		g.count(func(r *Result) { r.Failed++ })
	}
}

// callerHears acts on what the server asks of a caller.
func (g *Generator) callerHears(m message) {
	d := g.dialogs.get(m.first("call-id"))
	switch {
	case m.status() >= 200:
		if d != nil {
			d.mu.Lock()
			g.callers.send(d.ack)
			d.mu.Unlock()
		}
	case m.method() == "BYE":
		g.callers.send(m.answer(200, "OK", "", "", nil))
		if g.dialogs.take(m.first("call-id")) != nil {
			g.media.remove(callerSide, m.first("call-id"))
			g.count(func(r *Result) { r.Ended++ })
		}
	case m.method() == "INFO", m.method() == "OPTIONS", m.method() == "UPDATE":
		g.callers.send(m.answer(200, "OK", "", "", nil))
	}
}

// agentHears answers calls as any auto-answering phone would, and hangs up after the hold time.
func (g *Generator) agentHears(m message) {
	id := m.first("call-id")
	switch m.method() {
	case "INVITE":
		g.agentInvited(m, id)
	case "ACK":
		g.agentJoined(id)
	case "CANCEL":
		g.agents.send(m.answer(200, "OK", "", "", nil))
	case "BYE":
		g.agents.send(m.answer(200, "OK", "", "", nil))
		if d := g.dialogs.take(id); d != nil {
			g.media.remove(agentSide, id)
		}
	case "OPTIONS", "INFO", "NOTIFY", "UPDATE":
		g.agents.send(m.answer(200, "OK", "o", "", nil))
	}
}

func (g *Generator) agentInvited(m message, id string) {
	user, _, _ := strings.Cut(strings.TrimPrefix(m.uri(), "sip:"), "@")
	tag := "a" + user
	if g.dialogs.get(id) == nil {
		to := m.first("to")
		if !strings.Contains(to, ";tag=") {
			to += ";tag=" + tag
		}
		d := &dialog{callID: id, local: to, remote: m.first("from"), target: m.contact()}
		g.dialogs.put(d)
		if g.cfg.Media {
			g.media.add(agentSide, m.audioPort(), id, func(time.Duration) {})
		}
	}
	contact := fmt.Sprintf("Contact: <sip:%s@%s>\r\n", user, g.agents.local())
	g.agents.send(m.answer(200, "OK", tag, contact+"Content-Type: application/sdp\r\n", sdp(g.agents.host(), g.media.agentPort())))
}

// agentJoined counts an answered offer and sets the time of its end.
func (g *Generator) agentJoined(id string) {
	d := g.dialogs.get(id)
	if d == nil {
		return
	}
	d.mu.Lock()
	again := d.over
	d.over = true
	if !again && g.cfg.Hold > 0 {
		d.timer = time.AfterFunc(g.cfg.Hold, func() { g.hangUp(g.agents, agentSide, id) })
	}
	d.mu.Unlock()
	if !again {
		g.count(func(r *Result) { r.Connected++ })
	}
}

// hangUp sends BYE in a dialog of ours.
func (g *Generator) hangUp(s *side, who party, id string) {
	d := g.dialogs.take(id)
	if d == nil {
		return
	}
	g.media.remove(who, id)
	branch := s.newBranch()
	raw := fmt.Appendf(nil, "BYE %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=%s;rport\r\nMax-Forwards: 70\r\nFrom: %s\r\nTo: %s\r\nCall-ID: %s\r\nCSeq: 2 BYE\r\nContent-Length: 0\r\n\r\n",
		d.target, s.local(), branch, d.local, d.remote, id)
	ended := func() {
		if who == callerSide {
			g.count(func(r *Result) { r.Ended++ })
		}
	}
	s.request(branch, raw, func(message) { ended() }, ended)
}

// HangUpAll ends every call from the callers' side.
func (g *Generator) HangUpAll() {
	g.dialogs.mu.Lock()
	var ids []string
	for id := range g.dialogs.by {
		if strings.HasSuffix(id, "@load") {
			ids = append(ids, id)
		}
	}
	g.dialogs.mu.Unlock()
	for _, id := range ids {
		g.hangUp(g.callers, callerSide, id)
	}
}

// register registers every agent, a hundred at a time.
func (g *Generator) register(ctx context.Context) error {
	results := make(chan error, len(g.cfg.Agents))
	slots := make(chan struct{}, 100)
	for _, a := range g.cfg.Agents {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return fmt.Errorf("register agents: %w", ctx.Err())
		}
		g.registerOne(a, 1, "", func(err error) { <-slots; results <- err })
	}
	for range g.cfg.Agents {
		select {
		case err := <-results:
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return fmt.Errorf("register agents: %w", ctx.Err())
		}
	}
	return nil
}

// registerOne sends one REGISTER, and a second with credentials when challenged.
func (g *Generator) registerOne(a Agent, cseq int, auth string, done func(error)) {
	s := g.agents
	branch := s.newBranch()
	uri := "sip:" + g.cfg.Domain
	raw := fmt.Appendf(nil, "REGISTER %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=%s;rport\r\nMax-Forwards: 70\r\nFrom: <sip:%s@%s>;tag=r%s\r\nTo: <sip:%s@%s>\r\n"+
		"Call-ID: reg-%s-%s\r\nCSeq: %d REGISTER\r\nContact: <sip:%s@%s>\r\nExpires: %d\r\n%sContent-Length: 0\r\n\r\n",
		uri, s.local(), branch, a.User, g.cfg.Domain, a.User, a.User, g.cfg.Domain, a.User, tagOf(s), cseq, a.User, s.local(),
		int(g.cfg.Expires.Seconds()), auth)
	s.request(branch, raw, func(m message) {
		switch code := m.status(); {
		case code < 200:
		case code < 300:
			done(nil)
		case code == 401 && auth == "":
			header, err := authorization(m.first("www-authenticate"), "REGISTER", uri, a.User, a.Password)
			if err != nil {
				done(fmt.Errorf("register %s: %w", a.User, err))
				return
			}
			g.registerOne(a, cseq+1, "Authorization: "+header+"\r\n", done)
		default:
			done(fmt.Errorf("register %s: refused with %d", a.User, code))
		}
	}, func() { done(fmt.Errorf("register %s: no answer", a.User)) })
}
