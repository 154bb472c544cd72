package sip

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo/sip"

	"callhall/call"
	"callhall/media"
)

// An agentLeg is a leg that we called: we are the UAC of its INVITE (RFC 3261 §13.2). It is answered from the start.
type agentLeg struct{ *leg }

// Answer has nothing to do.
func (agentLeg) Answer(context.Context) error { return nil }

// Refuse has nothing to refuse but the whole leg.
func (l agentLeg) Refuse(c call.Cause) { l.HangUp(c) }

// Ring rings all phones of the offer's agent at once, each in a dialog of its own, until one answers, ctx ends or
// o.Ring has passed. The phones share one port: only one of them will use it. Besides what call.Phones promises there is
// call.ErrStale, where the agent has another call or was offered a newer one, and call.ErrUnavailable.
func (s *Server) Ring(ctx context.Context, o call.Offer, id call.LegID, show call.Showing) (call.Leg, error) {
	contacts := s.registrar.phones(o.City, o.Agent)
	if len(contacts) == 0 {
		return nil, fmt.Errorf("ring %s: %w", o.Agent, call.ErrUnreachable)
	}
	release, err := s.posts.take(ctx, o, s.timers.t1)
	if err != nil {
		return nil, fmt.Errorf("ring %s: %w", o.Agent, err)
	}
	leg, err := s.ringAll(ctx, contacts, o, id, show)
	if err != nil {
		release()
		return nil, fmt.Errorf("ring %s: %w", o.Agent, err)
	}
	leg.common().atEnd(release)
	return leg, nil
}

// ringAll rings those phones.
func (s *Server) ringAll(ctx context.Context, contacts []contact, o call.Offer, id call.LegID, show call.Showing) (leg agentLeg, err error) {
	stream, err := s.lease(show.Near)
	if err != nil {
		return agentLeg{}, err
	}
	r := &ringing{server: s, offer: o, id: id, show: show, stream: stream, codecs: codecOrder(nearCodec(show.Near)),
		results: make(chan result, len(contacts))}
	answered, err := r.run(ctx, contacts)
	if err != nil {
		stream.Close()
		return agentLeg{}, err
	}
	return agentLeg{answered}, nil
}

// nearCodec is what the other party speaks.
func nearCodec(near call.Leg) media.Codec {
	if p, ok := near.(party); ok {
		return p.common().codec()
	}
	return media.PCMU
}

// A ringing is one Ring: a fork for each phone, of which one may win.
type ringing struct {
	server  *Server
	offer   call.Offer
	id      call.LegID
	show    call.Showing
	stream  *media.Stream
	codecs  []media.Codec
	results chan result // one for each fork, and room for all: a fork never waits to tell
	open    int         // forks that have not told yet; run's own
	decided atomic.Bool // somebody has won, or nobody may any more
	rang    atomic.Bool // a phone has said that it is there
}

// A result is how a fork ended: with a leg that won, or why not.
type result struct {
	leg    *leg
	err    error
	global bool // 6xx: the agent declines everywhere (RFC 3261 §21.6)
}

// errElsewhere is why a phone stops ringing when another has answered.
var errElsewhere = errors.New("answered at another phone")

// claim decides the ringing, once.
func (r *ringing) claim() bool { return r.decided.CompareAndSwap(false, true) }

func (r *ringing) run(ctx context.Context, contacts []contact) (*leg, error) {
	ringing, stop := context.WithCancelCause(ctx)
	for _, c := range contacts {
		if r.server.work.run(func() { r.ring(ringing, c) }) {
			r.open++
		}
	}
	leg, err := r.outcome(ctx)
	if err == nil {
		stop(errElsewhere)
		return leg, nil
	}
	if !r.claim() { // a phone answered at this very moment
		for ; r.open > 0; r.open-- {
			if res := <-r.results; res.leg != nil {
				stop(errElsewhere)
				return res.leg, nil
			}
		}
	}
	stop(err)
	return nil, err
}

// ring runs a fork, and tells how it ended even if that is a panic.
func (r *ringing) ring(ringing context.Context, c contact) {
	res := result{err: call.ErrUnreachable}
	defer func() { r.results <- res }()
	res = r.fork(ringing, c)
}

// outcome waits for the first leg, or for the reason why there is none.
func (r *ringing) outcome(ctx context.Context) (*leg, error) {
	limit := time.NewTimer(r.offer.Ring)
	defer limit.Stop()
	err := call.ErrUnreachable
	for r.open > 0 {
		select {
		case res := <-r.results:
			r.open--
			switch {
			case res.leg != nil:
				return res.leg, nil
			case res.global:
				return nil, res.err
			}
			err = worse(err, res.err)
		case <-limit.C:
			if !r.rang.Load() {
				return nil, worse(err, call.ErrUnreachable)
			}
			return nil, worse(err, call.ErrNoAnswer)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return nil, err
}

// worse is the more telling of two reasons: that an agent declined says more than that a phone of theirs is off.
func worse(a, b error) error {
	for _, err := range []error{call.ErrRejected, call.ErrNoAnswer, call.ErrNoMedia} {
		if errors.Is(a, err) || errors.Is(b, err) {
			return err
		}
	}
	return call.ErrUnreachable
}

// invite builds the INVITE to one phone, and its dialog. Nothing of the caller is in it.
func (r *ringing) invite(c contact) (*leg, *sip.Request, error) {
	s := r.server
	from := s.listenerTowards(sip.NetworkToLower(c.transport), c.source.String())
	if from == nil {
		return nil, nil, fmt.Errorf("no %s listener to call from", c.transport)
	}
	d := &dialog{
		callID: strings.ToLower(rand.Text()), localTag: newTag(), listener: from, flow: c.source.String(),
		local:  sip.Uri{Scheme: "sip", User: "call-" + strings.ToLower(rand.Text()), Host: string(r.offer.City) + ".invalid"},
		shown:  "311 " + string(r.show.Queue),
		remote: plainURI(c.uri), target: c.uri,
	}
	l := s.newLeg(r.id, s.log.With("call", r.show.Call, "leg", r.id, "agent", r.offer.Agent), d)
	if c.uri.Host != c.source.Addr().String() {
		l.learn = c.source.Addr() // the phone does not know the address it is seen at
	}
	req := d.request(sip.INVITE)
	req.AppendHeader(&sip.ContactHeader{Address: from.uri()})
	req.AppendHeader(allowHeader())
	req.AppendHeader(sip.NewHeader("X-Callhall-Call", string(r.show.Call)))
	req.AppendHeader(sip.NewHeader("X-Callhall-Queue", string(r.show.Queue)))
	req.AppendHeader(sip.NewHeader("X-Callhall-Language", r.show.Language))
	req.AppendHeader(sip.NewHeader("Content-Type", sdpType))
	req.SetBody(l.ours.offer(s.shown(r.stream), r.codecs, sendrecv))
	return l, req, nil
}
