package phone

import (
	"context"
	"fmt"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Policy is what is done with calls that come.
type Policy struct {
	AutoAnswer time.Duration // how long to ring before answering
	Reject     int           // refuse with this status, 486 or 603 say, after AutoAnswer
	Ignore     bool          // ring and never answer
	MaxCalls   int           // at once; more get 486. 0: one
	Audio      Audio         // what is said
	// Ring is told of every call that rings, before it is answered. It must not block; the call's events tell the
	// rest. It may be nil.
	Ring func(c *Call)
	// Ready is called once calls are taken: the time to register. It may be nil.
	Ready func()
}

// Serve takes calls until ctx ends; then it hangs up those that it took and returns when they are over. One Serve at a
// time. Errors: that one runs already.
func (p *Phone) Serve(ctx context.Context, policy Policy) error {
	policy.MaxCalls = max(policy.MaxCalls, 1)
	if !policy.Audio.Echo {
		if _, err := policy.Audio.clip(); err != nil { // rather now than at the first call
			return fmt.Errorf("serve: %w", err)
		}
	}
	p.mu.Lock()
	if p.policy != nil {
		p.mu.Unlock()
		return fmt.Errorf("serve: somebody is at the phone already")
	}
	shift := &shift{Policy: policy, ctx: ctx}
	p.policy = shift
	p.mu.Unlock()
	if policy.Ready != nil {
		policy.Ready()
	}
	<-ctx.Done()
	p.mu.Lock()
	p.policy = nil
	p.mu.Unlock()
	shift.calls.Wait()
	return nil
}

// onInvite takes a new call or a change of one.
func (p *Phone) onInvite(req *sip.Request, tx sip.ServerTransaction) {
	if req.To() != nil && tagOf(req.To().Params) != "" {
		p.within((*Call).onReinvite)(req, tx)
		return
	}
	if req.From() == nil || req.CallID() == nil || req.CSeq() == nil || req.Contact() == nil {
		p.respond(req, tx, 400, "Bad Request")
		return
	}
	shift, code, reason := p.enter()
	if shift == nil {
		p.respond(req, tx, code, reason)
		return
	}
	defer p.leave(shift)
	c, err := p.newCall(req, shift.Audio)
	if err != nil {
		p.log.Warn("call refused", "err", err)
		p.respond(req, tx, 503, "Service Unavailable")
		return
	}
	defer p.calls.Done()
	c.ring(shift, tx)
	<-c.done // it may be ending on the goroutine that took a BYE
}

// enter counts a call in, or says why it is refused.
func (p *Phone) enter() (s *shift, code int, reason string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.policy == nil || p.closed || p.policy.ctx.Err() != nil:
		return nil, 480, "Temporarily Unavailable"
	case p.incoming >= p.policy.MaxCalls:
		return nil, 486, "Busy Here"
	}
	p.incoming++
	p.policy.calls.Add(1)
	return p.policy, 0, ""
}

func (p *Phone) leave(s *shift) {
	p.mu.Lock()
	p.incoming--
	p.mu.Unlock()
	s.calls.Done()
}

// ring lets the phone ring and does as the policy says. It returns when the call is over.
func (c *Call) ring(s *shift, tx sip.ServerTransaction) {
	gone := make(chan struct{})
	if !tx.OnCancel(func(*sip.Request) { close(gone) }) || c.phone.wasCancelled(c.invite) {
		c.phone.respond(c.invite, tx, 487, "Request Terminated")
		c.finish(Ended{By: Them, Status: 487})
		return
	}
	tag := sip.GenerateTagN(12)
	c.say(tx, 180, "Ringing", tag)
	c.emit(Ringing{time.Now(), 180})
	if s.Ring != nil {
		s.Ring(c)
	}
	answer := time.NewTimer(s.AutoAnswer)
	defer answer.Stop()
	if s.Ignore {
		answer.Stop()
	}
	select {
	case <-gone:
		c.finish(Ended{By: Them, Status: 487, Reason: "Request Terminated"})
	case <-c.quit:
		c.refuse(tx, 603, "Decline", tag)
	case <-s.ctx.Done():
		c.refuse(tx, 480, "Temporarily Unavailable", tag)
	case <-answer.C:
		if s.Reject != 0 {
			c.refuse(tx, s.Reject, "Refused", tag)
			return
		}
		c.answer(s.ctx, tx, tag)
	}
}

// say sends a response without body.
func (c *Call) say(tx sip.ServerTransaction, code int, reason, tag string) {
	res := sip.NewResponseFromRequest(c.invite, code, reason, nil)
	res.To().Params.Add("tag", tag)
	if code < 200 {
		contact := c.phone.contact()
		res.AppendHeader(&contact)
	}
	if err := tx.Respond(res); err != nil {
		c.phone.log.Debug("answer not sent", "status", code, "err", err)
	}
}

func (c *Call) refuse(tx sip.ServerTransaction, code int, reason, tag string) {
	c.say(tx, code, reason, tag)
	c.finish(Ended{By: Us, Status: code, Reason: reason})
}

// answer takes the call and stays with it until it is over.
func (c *Call) answer(ctx context.Context, tx sip.ServerTransaction, tag string) {
	d, err := called(c.invite, c.phone.contact(), tag)
	if err != nil {
		c.refuse(tx, 400, "Bad Request", tag)
		return
	}
	body := []byte(nil)
	if len(c.invite.Body()) == 0 {
		body = c.makeOffer(sendrecv)
	} else {
		t, err := read(c.invite.Body())
		if err != nil {
			c.refuse(tx, 488, "Not Acceptable Here", tag)
			return
		}
		body = c.answerOffer(t)
	}
	c.up(d)
	if !c.accept(c.invite, tx, body) {
		c.bye(Ended{By: Nobody, Reason: "no ACK"})
		return
	}
	c.emit(Answered{At: time.Now(), From: c.invite.Contact().Address.String()})
	c.talk(ctx)
}

// strayLife is how long a CANCEL that overtook its INVITE is remembered.
const strayLife = 5 * time.Second

// onCancel answers a CANCEL for which sipgo found no INVITE, and remembers it: on UDP the one may overtake the other.
func (p *Phone) onCancel(req *sip.Request, tx sip.ServerTransaction) {
	p.mu.Lock()
	now := time.Now()
	for branch, at := range p.cancelled {
		if now.Sub(at) > strayLife {
			delete(p.cancelled, branch)
		}
	}
	if len(p.cancelled) < 1000 {
		p.cancelled[branchOf(req)] = now
	}
	p.mu.Unlock()
	p.respond(req, tx, 481, "Call Does Not Exist")
}

func (p *Phone) wasCancelled(invite *sip.Request) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, was := p.cancelled[branchOf(invite)]
	return was
}

func branchOf(req *sip.Request) string { return req.Via().Params.GetOr("branch", "") }
