package phone

import (
	"context"
	"fmt"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Hold puts the far side on hold (RFC 3264 §8.4) and returns when it has agreed. Errors: ErrEnded, a refusal, ctx's.
func (c *Call) Hold(ctx context.Context) error { return c.change(ctx, "hold", true) }

// Resume takes the far side back.
func (c *Call) Resume(ctx context.Context) error { return c.change(ctx, "resume", false) }

// change offers another direction in a re-INVITE (RFC 3261 §14.1). Refused, the call stays as it was.
func (c *Call) change(ctx context.Context, what string, hold bool) error {
	c.changing.Lock()
	defer c.changing.Unlock()
	c.mu.Lock()
	d, before, wasHeld := c.dlg, c.ours, c.onHold
	if d == nil || c.over {
		c.mu.Unlock()
		return fmt.Errorf("%s: %w", what, ErrEnded)
	}
	c.onHold = hold
	c.mu.Unlock()
	want := sendrecv
	if hold {
		want = sendonly
	}
	if err := c.offer(ctx, d, want); err != nil {
		c.mu.Lock()
		before.version = c.ours.version
		c.ours, c.onHold = before, wasHeld
		c.mu.Unlock()
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// offer sends one re-INVITE and takes its answer into use.
func (c *Call) offer(ctx context.Context, d *dialog, want direction) error {
	req := d.request(sip.INVITE)
	req.AppendHeader(sip.NewHeader("Allow", allow))
	req.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
	req.SetBody(c.makeOffer(want))
	res, cancelled, err := c.ask(ctx, req, true)
	d.used(req.CSeq().SeqNo)
	switch {
	case err != nil:
		return err
	case !res.IsSuccess() && cancelled:
		return ctx.Err()
	case !res.IsSuccess():
		return fmt.Errorf("%d %s", res.StatusCode, res.Reason)
	}
	d.refresh(res.Contact())
	c.acknowledge(d, res, nil)
	t, err := read(res.Body())
	if err != nil {
		return err
	}
	c.agree(t)
	return nil
}

// onReinvite answers an INVITE within the call: another offer, or a wish for ours (RFC 3261 §14.2).
func (c *Call) onReinvite(req *sip.Request, tx sip.ServerTransaction) {
	if !c.changing.TryLock() { // both at once: theirs waits (§14.2)
		c.phone.respond(req, tx, 491, "Request Pending")
		return
	}
	defer c.changing.Unlock()
	var body []byte
	if late := len(req.Body()) == 0; late {
		c.mu.Lock()
		d := c.ours.direction
		c.mu.Unlock()
		body = c.makeOffer(d)
	} else {
		t, err := read(req.Body())
		if err != nil {
			c.phone.respond(req, tx, 488, "Not Acceptable Here")
			return
		}
		body = c.answerOffer(t)
	}
	c.dialog().refresh(req.Contact())
	if !c.accept(req, tx, body) {
		c.bye(Ended{By: Us, Reason: "no ACK"})
	}
}

// Intervals at which a 2xx is repeated until its ACK comes (RFC 3261 §13.3.1.4).
const (
	t1       = 500 * time.Millisecond
	t2       = 4 * time.Second
	patience = 64 * t1
)

// accept sends 200 with a description, again and again until its ACK comes, and takes the description that the ACK may
// bring. It reports false when none came; a call that ended meanwhile needs none.
func (c *Call) accept(req *sip.Request, tx sip.ServerTransaction, body []byte) bool {
	d := c.dialog()
	acked := make(chan *sip.Request, 1)
	c.mu.Lock()
	c.acks[req.CSeq().SeqNo] = acked
	c.mu.Unlock()
	res := sip.NewResponseFromRequest(req, 200, "OK", body)
	if tagOf(req.To().Params) == "" {
		res.To().Params.Add("tag", tagOf(d.local.Params))
	}
	contact := d.contact
	for _, h := range []sip.Header{&contact, sip.NewHeader("Allow", allow), sip.NewHeader("Recv-Info", progressPackage),
		sip.NewHeader("Content-Type", "application/sdp")} {
		res.AppendHeader(h)
	}
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	again := time.NewTimer(0)
	defer again.Stop()
	for wait := t1; ; {
		select {
		case ack := <-acked:
			c.acked(req, ack)
			return true
		case ack := <-tx.Acks(): // from those who use the INVITE's branch for it
			c.acked(req, ack)
			return true
		case <-c.done:
			return true
		case <-deadline.C:
			return false
		case <-again.C:
			if err := tx.Respond(res); err != nil {
				c.phone.log.Debug("200 not sent", "err", err)
			}
			again.Reset(wait)
			wait = min(2*wait, t2)
		}
	}
}

// acked takes the answer that the ACK of a late offer brings.
func (c *Call) acked(invite, ack *sip.Request) {
	if len(invite.Body()) > 0 {
		return
	}
	t, err := read(ack.Body())
	if err != nil {
		c.phone.log.Warn("the ACK brought no answer to our offer", "err", err)
		return
	}
	c.agree(t)
}
