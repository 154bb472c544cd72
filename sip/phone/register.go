package phone

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/emiago/sipgo/sip"
)

// Times of a registration.
const (
	registerFor   = 300 * time.Second // what we ask for
	registerAgain = 5 * time.Second   // after a failure
	unregisterIn  = 2 * time.Second   // how long saying goodbye may take
)

// ErrNoRegistration says that a server did not take our registration.
var ErrNoRegistration = errors.New("not registered")

// Register registers the phone, renews the registration in time, and takes it back when ctx ends. It returns when that
// is done, or at once with an error when the first registration is refused: ErrNoRegistration, or the transport's.
// Later failures are logged and tried again. Each success is told to registered, which may be nil.
func (p *Phone) Register(ctx context.Context, registered func(until time.Time)) error {
	r := &registration{phone: p, callID: sip.CallIDHeader(sip.GenerateTagN(24)), tag: sip.GenerateTagN(12), asks: registerFor}
	lasts, err := r.register(ctx, r.asks)
	if err != nil {
		return err
	}
	for {
		if err == nil && registered != nil {
			registered(time.Now().Add(lasts))
		}
		wait := lasts/2 + lasts/4
		if err != nil {
			p.log.Warn("registration not renewed", "err", err)
			wait = registerAgain
		}
		again := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			again.Stop()
			r.leave()
			return nil
		case <-again.C:
			lasts, err = r.register(ctx, r.asks)
		}
	}
}

// A registration is one Call-ID with rising numbers (RFC 3261 §10.2.4).
type registration struct {
	phone  *Phone
	callID sip.CallIDHeader
	tag    string
	cseq   uint32
	asks   time.Duration
}

// register sends one REGISTER and returns for how long it holds.
func (r *registration) register(ctx context.Context, asks time.Duration) (time.Duration, error) {
	for range 2 {
		req := r.request(asks)
		res, err := r.phone.do(ctx, req, false)
		r.cseq = req.CSeq().SeqNo
		switch {
		case err != nil:
			return 0, fmt.Errorf("register: %w: %w", ErrNoRegistration, err)
		case res.IsSuccess():
			return r.granted(res, asks), nil
		case res.StatusCode == 423: // too brief (§10.2.8)
			if least, err := strconv.Atoi(valueOf(res, "Min-Expires")); err == nil {
				asks = time.Duration(least) * time.Second
				r.asks = asks
				continue
			}
		}
		return 0, fmt.Errorf("register: %w: %d %s", ErrNoRegistration, res.StatusCode, res.Reason)
	}
	return 0, fmt.Errorf("register: %w: it is never long enough", ErrNoRegistration)
}

func (r *registration) request(asks time.Duration) *sip.Request {
	p := r.phone
	uri := sip.Uri{Scheme: "sip", Host: p.cfg.Domain}
	req := sip.NewRequest(sip.REGISTER, uri)
	self := sip.Uri{Scheme: "sip", User: p.user(), Host: p.cfg.Domain}
	from := &sip.FromHeader{Address: self}
	from.Params.Add("tag", r.tag)
	contact := p.contact()
	r.cseq++
	for _, h := range []sip.Header{from, &sip.ToHeader{Address: self}, &r.callID,
		&sip.CSeqHeader{SeqNo: r.cseq, MethodName: sip.REGISTER}, &contact,
		sip.NewHeader("Expires", strconv.Itoa(int(asks/time.Second))), sip.NewHeader("Allow", allow)} {
		req.AppendHeader(h)
	}
	p.route(req)
	return req
}

// route sends a request outside a dialog to the configured server.
func (p *Phone) route(req *sip.Request) {
	req.SetTransport(map[string]string{"udp": "UDP", "tcp": "TCP"}[p.cfg.Transport])
	if p.cfg.Server != "" {
		req.SetDestination(p.cfg.Server)
	}
}

// granted reads how long our contact holds: its own parameter, or the Expires field, or what we asked.
func (r *registration) granted(res *sip.Response, asked time.Duration) time.Duration {
	own := r.phone.contact()
	for _, h := range res.GetHeaders("Contact") {
		c, ok := h.(*sip.ContactHeader)
		if !ok || c.Address.User != own.Address.User || c.Address.Host != own.Address.Host || c.Address.Port != own.Address.Port {
			continue
		}
		if n, err := strconv.Atoi(c.Params.GetOr("expires", "")); err == nil && n > 0 {
			return time.Duration(n) * time.Second
		}
	}
	if n, err := strconv.Atoi(valueOf(res, "Expires")); err == nil && n > 0 {
		return time.Duration(n) * time.Second
	}
	return asked
}

// leave takes the registration back.
func (r *registration) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), unregisterIn)
	defer cancel()
	if _, err := r.register(ctx, 0); err != nil {
		r.phone.log.Debug("not unregistered", "err", err)
	}
}

// valueOf is the text of a header field, empty when there is none.
func valueOf(msg interface{ GetHeaders(string) []sip.Header }, name string) string {
	if h := msg.GetHeaders(name); len(h) > 0 {
		return h[0].Value()
	}
	return ""
}
