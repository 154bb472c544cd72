package load

import (
	"context"
	"fmt"
	"time"
)

// Register registers every agent, a hundred at a time.
func (g *Generator) Register(ctx context.Context) error {
	return g.registerAll(ctx, "register", g.cfg.Expires, 1)
}

// Unregister takes the registrations back.
func (g *Generator) Unregister(ctx context.Context) error {
	return g.registerAll(ctx, "unregister", 0, 101)
}

func (g *Generator) registerAll(ctx context.Context, what string, expires time.Duration, cseq int) error {
	results := make(chan error, len(g.cfg.Agents))
	slots := make(chan struct{}, 100)
	for _, a := range g.cfg.Agents {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return fmt.Errorf("%s agents: %w", what, ctx.Err())
		}
		g.register(registration{Agent: a, expires: expires, cseq: cseq, done: func(err error) {
			<-slots
			if err != nil {
				err = fmt.Errorf("%s %s: %w", what, a.User, err)
			}
			results <- err
		}})
	}
	for range g.cfg.Agents {
		select {
		case err := <-results:
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return fmt.Errorf("%s agents: %w", what, ctx.Err())
		}
	}
	return nil
}

// registration is one REGISTER.
type registration struct {
	Agent
	expires time.Duration
	cseq    int
	auth    string // Authorization line, once challenged
	done    func(error)
}

// register sends one REGISTER, and a second with credentials when challenged.
func (g *Generator) register(r registration) {
	s := g.agents
	branch := s.newBranch()
	uri := "sip:" + g.cfg.Domain
	raw := fmt.Appendf(nil, "REGISTER %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;branch=%s;rport\r\nMax-Forwards: 70\r\nFrom: <sip:%s@%s>;tag=r%s\r\nTo: <sip:%s@%s>\r\n"+
		"Call-ID: reg-%s-%s\r\nCSeq: %d REGISTER\r\nContact: <sip:%s@%s>\r\nExpires: %d\r\n%sContent-Length: 0\r\n\r\n",
		uri, s.local(), branch, r.User, g.cfg.Domain, g.run, r.User, g.cfg.Domain, r.User, g.run, r.cseq, r.User, s.local(),
		int(r.expires.Seconds()), r.auth)
	s.request(branch, "REGISTER", raw, func(m message) {
		switch code := m.status(); {
		case code < 200:
		case code < 300:
			r.done(nil)
		case code == 401 && r.auth == "":
			header, err := authorization(m.headers["www-authenticate"], "REGISTER", uri, r.Agent)
			if err != nil {
				r.done(err)
				return
			}
			r.cseq++
			r.auth = "Authorization: " + header + "\r\n"
			g.register(r)
		default:
			r.done(fmt.Errorf("refused with %d", code))
		}
	}, func() { r.done(fmt.Errorf("no answer from %s", s.server)) })
}
