package phone

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Options are how a call is made.
type Options struct {
	From      string            // our number or address; empty: our account
	Display   string            // our name
	Asserted  string            // P-Asserted-Identity, as a trusted carrier would send it (RFC 3325): "+12125550142" or a URI
	Withheld  bool              // an anonymous From and Privacy: id (RFC 3323)
	DTMF      string            // keys to send once the call is up
	Audio     Audio             // what we say
	LateOffer bool              // leave the offer to the far side (RFC 3264 §4)
	Headers   map[string]string // further header fields of the INVITE
}

// Dial begins a call to uri ("sip:311@host", "tel:…", or a number at the phone's domain) and returns at once; its
// events tell the rest. When ctx ends the call is cancelled or hung up. Errors: an address that is none, no port free,
// an audio file that cannot be read.
func (p *Phone) Dial(ctx context.Context, uri string, o Options) (*Call, error) {
	target, err := p.parse(uri)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	req, err := p.newInvite(target, o)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	c, err := p.newCall(req, o.Audio)
	if err != nil {
		return nil, fmt.Errorf("dial: %w", err)
	}
	if !o.LateOffer {
		req.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
		req.SetBody(c.makeOffer(sendrecv))
	}
	go func() {
		defer p.calls.Done()
		c.place(ctx, o.DTMF)
		<-c.done // it may be ending on the goroutine that took a BYE
	}()
	return c, nil
}

// newInvite builds the INVITE without its body.
func (p *Phone) newInvite(target sip.Uri, o Options) (*sip.Request, error) {
	from, err := p.from(o)
	if err != nil {
		return nil, err
	}
	from.Params.Add("tag", sip.GenerateTagN(12))
	req := sip.NewRequest(sip.INVITE, target)
	callID := sip.CallIDHeader(sip.GenerateTagN(24))
	contact := p.contact()
	for _, h := range []sip.Header{from, &sip.ToHeader{Address: target}, &callID, &sip.CSeqHeader{SeqNo: 1, MethodName: sip.INVITE},
		&contact, sip.NewHeader("Allow", allow), sip.NewHeader("Recv-Info", progressPackage)} {
		req.AppendHeader(h)
	}
	if o.Asserted != "" {
		asserted, err := p.parse(o.Asserted)
		if err != nil {
			return nil, err
		}
		req.AppendHeader(sip.NewHeader("P-Asserted-Identity", "<"+asserted.String()+">"))
	}
	if o.Withheld {
		req.AppendHeader(sip.NewHeader("Privacy", "id"))
	}
	for name, value := range o.Headers {
		req.AppendHeader(sip.NewHeader(name, value))
	}
	p.route(req)
	return req, nil
}

// from is the From field of a call.
func (p *Phone) from(o Options) (*sip.FromHeader, error) {
	if o.Withheld {
		return &sip.FromHeader{DisplayName: "Anonymous", Address: sip.Uri{Scheme: "sip", User: "anonymous", Host: "anonymous.invalid"}}, nil
	}
	self := sip.Uri{Scheme: "sip", User: p.user(), Host: p.cfg.Domain}
	if o.From != "" && !strings.ContainsAny(o.From, ":@") {
		self.User = o.From
	} else if o.From != "" {
		var err error
		if self, err = p.parse(o.From); err != nil {
			return nil, err
		}
	}
	return &sip.FromHeader{DisplayName: o.Display, Address: self}, nil
}

// place makes the call and stays with it until it is over.
func (c *Call) place(ctx context.Context, keys string) {
	res, cancelled, err := c.ask(ctx, c.invite, false)
	switch {
	case err != nil && cancelled:
		c.finish(Ended{By: Us})
	case err != nil:
		c.finish(Ended{By: Nobody, Reason: err.Error()})
	case !res.IsSuccess() && cancelled:
		c.finish(Ended{By: Us, Status: res.StatusCode, Reason: res.Reason})
	case !res.IsSuccess():
		c.finish(Ended{By: Them, Status: res.StatusCode, Reason: reasonText(res, res.Reason)})
	default:
		c.answered(ctx, res, cancelled, keys)
	}
}

// answered takes a 2xx: acknowledge, agree, talk.
func (c *Call) answered(ctx context.Context, res *sip.Response, cancelled bool, keys string) {
	d, err := calling(c.invite, res)
	if err != nil {
		c.finish(Ended{By: Nobody, Status: res.StatusCode, Reason: err.Error()})
		return
	}
	c.up(d)
	t, sdpErr := read(res.Body())
	var body []byte
	if sdpErr == nil && len(c.invite.Body()) == 0 { // its offer; our answer goes in the ACK
		body = c.answerOffer(t)
	} else if sdpErr == nil {
		c.agree(t)
	}
	c.acknowledge(d, res, body)
	switch {
	case cancelled:
		c.bye(Ended{By: Us})
		return
	case sdpErr != nil:
		c.bye(Ended{By: Us, Reason: sdpErr.Error()})
		return
	}
	c.emit(Answered{At: time.Now(), From: res.Contact().Address.String()})
	if err := c.SendDigits(keys); keys != "" && err != nil {
		c.phone.log.Warn("keys not sent", "err", err)
	}
	c.talk(ctx)
}

// acknowledge sends the ACK of a 2xx, and again whenever that comes again (RFC 3261 §13.2.2.4).
func (c *Call) acknowledge(d *dialog, res *sip.Response, body []byte) {
	ack := d.request(sip.ACK)
	ack.CSeq().SeqNo = res.CSeq().SeqNo
	if body != nil {
		ack.AppendHeader(sip.NewHeader("Content-Type", "application/sdp"))
		ack.SetBody(body)
	}
	if err := c.phone.client.WriteRequest(ack); err != nil {
		c.phone.log.Warn("ACK not sent", "err", err)
		return
	}
	c.ack.Store(ack)
}

// repeatACK sends the last ACK again for each 2xx that comes again.
func (c *Call) repeatACK(tx sip.ClientTransaction) {
	tx.OnRetransmission(func(res *sip.Response) {
		ack := c.ack.Load()
		if ack == nil || res.CSeq() == nil || ack.CSeq().SeqNo != res.CSeq().SeqNo {
			return
		}
		if err := c.phone.client.WriteRequest(ack.Clone()); err != nil {
			c.phone.log.Debug("ACK not repeated", "err", err)
		}
	})
}

// ask sends an INVITE, answering challenges, and returns its final response. It reports whether it was cancelled on the
// way, by ctx or by HangUp.
func (c *Call) ask(ctx context.Context, req *sip.Request, inDialog bool) (res *sip.Response, cancelled bool, err error) {
	quit := c.quit
	if inDialog { // then talk hangs up
		quit = nil
	}
	for range 3 {
		res, cancelled, err = c.askOnce(ctx, req, quit)
		if err != nil || cancelled || res.StatusCode != 401 && res.StatusCode != 407 {
			return res, cancelled, err
		}
		if err := c.phone.authorize(req, res, inDialog); err != nil {
			return res, false, nil // the refusal is how the call ends
		}
	}
	return res, cancelled, err
}

// askOnce is one INVITE transaction. The request is cloned: sipgo goes on using it after the answer.
func (c *Call) askOnce(ctx context.Context, req *sip.Request, quit <-chan struct{}) (res *sip.Response, cancelled bool, err error) {
	sent := req.Clone()
	tx, err := c.phone.client.TransactionRequest(ctx, sent, build)
	if err != nil {
		return nil, false, fmt.Errorf("INVITE: %w", err)
	}
	c.repeatACK(tx)
	stop, proceeding := ctx.Done(), false
	var enough <-chan time.Time // when an answer to a cancelled call is waited for no more
	for {
		select {
		case res = <-tx.Responses():
			if !res.IsProvisional() {
				return res, cancelled, nil
			}
			c.progress(res)
			if cancelled && !proceeding { // a CANCEL waits for the first of these (RFC 3261 §9.1)
				c.cancel(sent)
			}
			proceeding = true
			continue
		case <-tx.Done():
			return nil, cancelled, fmt.Errorf("INVITE: %w", tx.Err())
		case <-enough:
			tx.Terminate()
			return nil, true, errors.New("INVITE: cancelled, and no answer came")
		case <-stop:
		case <-quit:
		}
		stop, quit, cancelled, enough = nil, nil, true, time.After(goodbye)
		if proceeding {
			c.cancel(sent)
		}
	}
}

// progress tells of a provisional response.
func (c *Call) progress(res *sip.Response) {
	if res.StatusCode == 100 {
		c.emit(Trying{time.Now()})
		return
	}
	c.emit(Ringing{time.Now(), res.StatusCode})
}

// cancel sends CANCEL for an INVITE that has no final response (RFC 3261 §9.1): the same branch, number and way.
func (c *Call) cancel(invite *sip.Request) {
	req := sip.NewRequest(sip.CANCEL, *invite.Recipient.Clone())
	req.AppendHeader(invite.Via().Clone())
	for _, name := range []string{"Route", "From", "To", "Call-ID"} {
		sip.CopyHeaders(name, invite, req)
	}
	req.AppendHeader(&sip.CSeqHeader{SeqNo: invite.CSeq().SeqNo, MethodName: sip.CANCEL})
	req.SetTransport(invite.Transport())
	req.SetDestination(invite.Destination())
	c.phone.calls.Go(func() { // beside the INVITE, whose answer may come at any time
		ctx, stop := context.WithTimeout(context.Background(), goodbye)
		defer stop()
		if _, err := c.phone.client.Do(ctx, req, build); err != nil {
			c.phone.log.Debug("CANCEL not answered", "err", err)
		}
	})
}
