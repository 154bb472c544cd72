package sip

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/emiago/sipgo/sip"

	"callhall/call"
	"callhall/media"
)

// A ringing is one party being called: a fork for each place where they may answer, of which one may win. An agent has
// as many places as phones, a partner or a caller has one.
type ringing struct {
	server  *Server
	limit   time.Duration
	verdict func(code int) error // what a final answer that is no 2xx comes to
	stream  *media.Stream        // shared by the forks: only one of them will use it
	codecs  []media.Codec
	results chan result // one for each fork, and room for all: a fork never waits to tell
	open    int         // forks that have not told yet; run's own
	decided atomic.Bool // somebody has won, or nobody may any more
	rang    atomic.Bool // somebody has said that they are there
}

// newRinging takes a port for whoever is to be called, beside near. Errors: call.ErrUnavailable.
func (s *Server) newRinging(near call.Leg, limit time.Duration, verdict func(code int) error) (*ringing, error) {
	stream, err := s.lease(near)
	if err != nil {
		return nil, err
	}
	return &ringing{server: s, limit: limit, verdict: verdict, stream: stream, codecs: codecOrder(nearCodec(near))}, nil
}

// A summons is an INVITE of ours that is ready to go, and the leg that it may become.
type summons struct {
	leg *leg
	req *sip.Request
}

// invite builds the INVITE that opens l's dialog: our offer of sound, and more besides what every request has.
func (r *ringing) invite(l *leg, more ...sip.Header) summons {
	req := l.dialog.request(sip.INVITE)
	req.AppendHeader(&sip.ContactHeader{Address: l.dialog.listener.uri()})
	req.AppendHeader(allowHeader())
	for _, h := range more {
		req.AppendHeader(h)
	}
	req.AppendHeader(sip.NewHeader("Content-Type", sdpType))
	req.SetBody(l.ours.offer(r.server.shown(r.stream), r.codecs, sendrecv))
	return summons{l, req}
}

// A result is how a fork ended: with a leg that won, or why not.
type result struct {
	leg    *leg
	err    error
	global bool // 6xx: the party declines everywhere (RFC 3261 §21.6)
}

// errElsewhere is why one place stops ringing when another has answered.
var errElsewhere = errors.New("answered at another phone")

// claim decides the ringing, once.
func (r *ringing) claim() bool { return r.decided.CompareAndSwap(false, true) }

// run sends every INVITE and returns the leg of whoever answers first. Without one the port is given back.
func (r *ringing) run(ctx context.Context, all []summons) (calledLeg, error) {
	leg, err := r.race(ctx, all)
	if err != nil {
		r.stream.Close()
		return calledLeg{}, err
	}
	return calledLeg{leg}, nil
}

func (r *ringing) race(ctx context.Context, all []summons) (*leg, error) {
	r.results = make(chan result, len(all))
	ringing, stop := context.WithCancelCause(ctx)
	for _, i := range all {
		if r.server.work.run(func() { r.ring(ringing, i) }) {
			r.open++
		}
	}
	leg, err := r.outcome(ctx)
	if err == nil {
		stop(errElsewhere)
		return leg, nil
	}
	if !r.claim() { // somebody answered at this very moment
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
func (r *ringing) ring(ringing context.Context, i summons) {
	res := result{err: call.ErrUnreachable}
	defer func() { r.results <- res }()
	res = r.fork(ringing, i)
}

// outcome waits for the first leg, or for the reason why there is none.
func (r *ringing) outcome(ctx context.Context) (*leg, error) {
	limit := time.NewTimer(r.limit)
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
	for _, err := range []error{call.ErrRejected, call.ErrNoAnswer, call.ErrNoMedia, call.ErrUnavailable} {
		if errors.Is(a, err) || errors.Is(b, err) {
			return err
		}
	}
	return call.ErrUnreachable
}
