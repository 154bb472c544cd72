package sip

import (
	"context"
	"crypto/rand"
	"fmt"
	"strings"

	"github.com/emiago/sipgo/sip"

	"callhall/ani"
	"callhall/call"
	"callhall/media"
)

// A calledLeg is a leg that we called: we are the UAC of its INVITE (RFC 3261 §13.2). It is answered from the start.
type calledLeg struct{ *leg }

// Answer has nothing to do.
func (calledLeg) Answer(context.Context) error { return nil }

// Refuse has nothing to refuse but the whole leg.
func (l calledLeg) Refuse(c call.Cause) { l.HangUp(c) }

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
func (s *Server) ringAll(ctx context.Context, contacts []contact, o call.Offer, id call.LegID, show call.Showing) (leg calledLeg, err error) {
	shown := s.decide(ctx, ani.Outgoing{City: o.City, Call: show.Call, To: ani.PartyAgent, Whom: string(o.Agent), By: "engine"})
	r, err := s.newRinging(show.Near, o.Ring, ringStatus)
	if err != nil {
		return calledLeg{}, err
	}
	all := make([]summons, 0, len(contacts))
	for _, c := range contacts {
		i, err := r.phoneInvite(c, toAgent(o, shown), o, id, show)
		if err != nil {
			s.log.Warn("phone not rung", "agent", o.Agent, "err", err)
			continue
		}
		all = append(all, i)
	}
	return r.run(ctx, all)
}

// phoneInvite builds the INVITE to one phone, and its dialog. Of the caller it has what p says.
func (r *ringing) phoneInvite(c contact, p presentation, o call.Offer, id call.LegID, show call.Showing) (summons, error) {
	s := r.server
	from := s.listenerTowards(sip.NetworkToLower(c.transport), c.source.String())
	if from == nil {
		return summons{}, fmt.Errorf("no %s listener to call from", c.transport)
	}
	d := newDialog(from, p.from)
	d.flow, d.remote, d.target = c.source.String(), address{uri: plainURI(c.uri)}, c.uri
	l := s.newLeg(id, s.log.With("call", show.Call, "leg", id, "agent", o.Agent), d)
	if c.uri.Host != c.source.Addr().String() {
		l.learn = c.source.Addr() // the phone does not know the address it is seen at
	}
	return r.invite(l, append([]sip.Header{
		sip.NewHeader("X-Callhall-Call", string(show.Call)),
		sip.NewHeader("X-Callhall-Queue", string(show.Queue)),
		sip.NewHeader("X-Callhall-Language", show.Language)}, p.headers...)...), nil
}

// newDialog is a dialog that we are about to open, its Call-ID and tag our own and new.
func newDialog(l *listener, from address) *dialog {
	return &dialog{callID: strings.ToLower(rand.Text()), localTag: newTag(), listener: l, local: from}
}

// nearCodec is what the other party speaks.
func nearCodec(near call.Leg) media.Codec {
	if p, ok := near.(party); ok {
		return p.common().codec()
	}
	return media.PCMU
}
