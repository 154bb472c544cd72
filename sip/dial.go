package sip

import (
	"context"
	"errors"
	"fmt"
	"time"

	"callhall/ani"
	"callhall/call"
)

// ringUnsaid is how long somebody outside is rung where nobody said how long: four rings of the North American cadence
// are 24 s, and voice mail or an operator takes over within the minute.
const ringUnsaid = time.Minute

// destinationPatience is how long the number of a caller who is to be called back is waited for. Nobody is on the line yet.
const destinationPatience = 5 * time.Second

// errNoEgress says that this server was built without a way to learn a caller's number.
var errNoEgress = errors.New("no vault to ask for the number")

// Dial calls somebody outside over a trunk, and returns their leg when they have answered. It ends with ctx or after
// o.Ring; a 200 that crosses our CANCEL is acknowledged and hung up. Sound before the answer is not heard. Errors:
// call.ErrRejected, call.ErrNoAnswer, call.ErrNoMedia, call.ErrUnreachable (also where there is no such partner or the
// handle may not be dialled), call.ErrUnavailable (the trunk takes no call now, vault or ledger are away, no port is free),
// or ctx's. No text of theirs has a number in it.
func (s *Server) Dial(ctx context.Context, o call.Outward, id call.LegID) (call.Leg, error) {
	leg, err := s.dial(ctx, o, id)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", whom(o), err)
	}
	return leg, nil
}

func (s *Server) dial(ctx context.Context, o call.Outward, id call.LegID) (calledLeg, error) {
	w, err := s.directory.find(o)
	if err != nil {
		return calledLeg{}, err
	}
	from := s.listenerTowards(w.proxy.network, w.proxy.addr.String())
	if from == nil {
		return calledLeg{}, fmt.Errorf("no %s listener reaches trunk %s: %w", w.proxy.network, w.trunk.ID, call.ErrUnreachable)
	}
	to, err := s.destination(ctx, o, w)
	if err != nil {
		return calledLeg{}, err
	}
	p := w.present(o.City, s.decideOn(ctx, o, w), from.shown.Addr().String())
	r, err := s.newRinging(o.Near, ringFor(o), trunkStatus)
	if err != nil {
		return calledLeg{}, err
	}
	return r.run(ctx, []summons{r.trunkInvite(o, id, w, from, to, p)})
}

// trunkInvite builds the INVITE that goes that way, and its dialog.
func (r *ringing) trunkInvite(o call.Outward, id call.LegID, w way, from *listener, to address, p presentation) summons {
	s := r.server
	d := newDialog(from, p.from)
	d.remote, d.target = to, w.proxy.uri() // until the far side has named itself
	if w.proxy.network == "tcp" || w.trunk.NATLearn {
		d.flow = w.proxy.addr.String() // the connection it answers by is the one that surely reaches it
	}
	l := s.newLeg(id, s.log.With("call", o.Call, "leg", id, "trunk", w.trunk.ID), d)
	if w.trunk.NATLearn {
		l.learn = w.proxy.addr.Addr()
	}
	i := r.invite(l, p.headers...)
	i.req.Recipient = w.uri
	if w.kind == "" {
		i.req.Recipient = to.header()
	}
	return i
}

// decideOn asks what a leg that goes this way may show. A caller who is called back is shown no caller.
func (s *Server) decideOn(ctx context.Context, o call.Outward, w way) ani.Shown {
	if w.kind == "" {
		return ani.Shown{}
	}
	return s.decide(ctx, ani.Outgoing{City: o.City, Call: o.Call, To: ani.Party(w.kind), Whom: string(o.Partner), Trunk: w.trunk.ID,
		Trusted: w.trunk.TrustOut,
		Secured: w.secured(), Spoken: o.Spoken, Dialled: w.dialled(), By: o.By})
}

// whom names for the log whom o is for. A handle is not told: it dials.
func whom(o call.Outward) string {
	if o.Partner != "" {
		return "partner " + string(o.Partner)
	}
	return "a caller"
}

func ringFor(o call.Outward) time.Duration {
	if o.Ring > 0 {
		return o.Ring
	}
	return ringUnsaid
}

// destination is To of the call that o asks for: the partner, or the caller whose handle it is.
func (s *Server) destination(ctx context.Context, o call.Outward, w way) (address, error) {
	if w.kind != "" {
		return address{uri: w.to}, nil
	}
	if s.deps.Egress == nil {
		return address{}, fmt.Errorf("%w: %w", errNoEgress, call.ErrUnavailable)
	}
	asking, cancel := context.WithTimeout(ctx, destinationPatience)
	defer cancel()
	number, err := s.deps.Egress.Destination(asking, o.City, o.Handle, o.Call, o.By, w.trunk.ID)
	switch {
	case ctx.Err() != nil:
		return address{}, ctx.Err()
	case errors.Is(err, ani.ErrHandle):
		return address{}, fmt.Errorf("%w: %w", call.ErrUnreachable, err)
	case err != nil: // vault or ledger is away: the same handle may do later
		return address{}, fmt.Errorf("number of the handle: %w: %w", call.ErrUnavailable, err)
	case !isE164(number.Reveal()):
		return address{}, fmt.Errorf("the handle may not be dialled: %w", call.ErrUnreachable)
	}
	return address{number: number, host: w.proxy.addr.Addr().String()}, nil
}
