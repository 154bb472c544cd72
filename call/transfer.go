package call

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// TransferOrder is an agent's wish that somebody outside be brought to the call they have.
type TransferOrder struct {
	City    CityID
	Call    ID
	By      string    // who asked: "agent:ana"
	Agent   AgentID   // who must be the one talking with the caller
	Partner PartnerID // whom to bring
	Spoken  bool      // the caller has said that their number may go with them
}

// Partners is what a switchboard needs to know of those outside.
type Partners interface {
	// Partner is the city's partner of that name. Errors: ErrUnknownPartner.
	Partner(city CityID, id PartnerID) (Partner, error)
}

// Transfer orders that a call be carried on to a partner, and says whether the order is taken; what becomes of it is in
// the call's timeline (Look).
//
// Caller and agent go on talking while the partner rings. A partner of kind city or private takes the agent's place
// when they answer. A PSAP joins the two, and the call is theirs when the agent leaves. An interpreter joins the two
// when they have heard that the call is recorded. An agent who leaves before the answer leaves the transfer to go on
// alone, but for an interpreter's. Where it fails, the caller is with the agent as before, or back in line at the old
// place. An emergency takes the place of any other transfer on its way, and is tried again when it fails.
//
// Errors: ErrUnknownPartner, ErrUnknownCall, ErrNotTalking, ErrNotYours, ErrBusy, ErrUnavailable, ctx's.
func (s *Switchboard) Transfer(ctx context.Context, o TransferOrder) error {
	p, err := s.partner(o.City, o.Partner)
	if err == nil {
		answer := make(chan error, 1)
		err = s.ask(ctx, liveKey{o.City, o.Call}, transferAsked{o, p, answer}, answer)
	}
	if err != nil {
		return fmt.Errorf("transfer call %s to partner %s: %w", o.Call, o.Partner, err)
	}
	return nil
}

func (s *Switchboard) partner(city CityID, id PartnerID) (Partner, error) {
	if s.Partners == nil {
		return Partner{}, ErrUnknownPartner
	}
	return s.Partners.Partner(city, id)
}

// CancelTransfer gives up the transfer that is on its way, on the word of the agent who talks. One that was answered is
// on its way no more, save that of an interpreter who still hears the notice. Errors: ErrUnknownCall, ErrNotTalking,
// ErrNotYours, ErrNoTransfer, ErrUnavailable, ctx's.
func (s *Switchboard) CancelTransfer(ctx context.Context, city CityID, id ID, agent AgentID, by string) error {
	answer := make(chan error, 1)
	if err := s.ask(ctx, liveKey{city, id}, cancelAsked{agent, by, answer}, answer); err != nil {
		return fmt.Errorf("cancel the transfer of call %s: %w", id, err)
	}
	return nil
}

// transferAsked is an order to transfer.
type transferAsked struct {
	TransferOrder
	partner Partner
	answer  chan<- error // has room for it
}

// cancelAsked is an order to give a transfer up.
type cancelAsked struct {
	agent  AgentID
	by     string
	answer chan<- error // has room for it
}

// dialled is the end of one dialling of somebody outside: a leg that answered, or why there is none.
type dialled struct {
	leg   LegID
	party Leg // nil unless err is nil
	err   error
}

func (transferAsked) event() {}
func (cancelAsked) event()   {}
func (dialled) event()       {}

// transfer is a transfer on its way, and later how the guest came to be here.
type transfer struct {
	order   TransferOrder
	partner Partner
	leg     LegID // of the latest dial
	dials   int
	stop    context.CancelFunc // ends the latest dial
	party   Leg                // an interpreter who has answered and hears the notice; nil otherwise
	stuck   *time.Timer        // with party: the notice takes too long
}

const (
	outsideRing    = 45 * time.Second // how long somebody outside is rung
	emergencyDials = 5                // how often 911 is dialled for one order
	emergencyPause = time.Second      // before it is dialled again, where it was we who could not
)

// transferAsked takes or refuses an order.
func (c *Call) transferAsked(ctx context.Context, ev transferAsked) {
	err := c.mayTransfer(ev)
	if err == nil {
		if c.transfer != nil {
			c.giveUp("gave way to an emergency")
		}
		c.transfer = &transfer{order: ev.TransferOrder, partner: ev.partner}
		c.dialPartner(ctx, 0)
		if ev.partner.Kind == PartnerPSAP {
			c.stopLimit() // help is not cut off for having taken long
		}
		c.note(Moment{What: WhatTransferring, Agent: ev.Agent, Leg: c.transfer.leg, Detail: c.transfer.ordered()})
	}
	ev.answer <- err
}

// mayTransfer is why an order is not taken, or nil.
func (c *Call) mayTransfer(ev transferAsked) error {
	switch kind := ev.partner.Kind; {
	case ev.Agent != c.record.Agent:
		return ErrNotYours
	case kind == PartnerPSAP && !c.emergency():
		return nil
	case c.transfer != nil || c.invited(ev.Partner):
		return ErrBusy
	case kind != PartnerInterpreter && c.host() != nil:
		return ErrBusy
	default:
		return nil
	}
}

// emergency tells whether 911 is being called or has answered.
func (c *Call) emergency() bool {
	if c.transfer != nil && c.transfer.partner.Kind == PartnerPSAP {
		return true
	}
	host := c.host()
	return host != nil && host.partner.Kind == PartnerPSAP
}

// to names the partner for people.
func (t *transfer) to() string { return string(t.partner.ID) + " (" + string(t.partner.Kind) + ")" }

// ordered is to whom a transfer goes, and who ordered it where that is not the agent who talks: a supervisor may.
func (t *transfer) ordered() string {
	if t.order.By == "agent:"+string(t.order.Agent) {
		return "to " + t.to()
	}
	return "to " + t.to() + ", ordered by " + t.order.By
}

// cancelAsked gives a transfer up, or says why not.
func (c *Call) cancelAsked(ev cancelAsked) {
	switch {
	case ev.agent != c.record.Agent:
		ev.answer <- ErrNotYours
	case c.transfer == nil:
		ev.answer <- ErrNoTransfer
	default:
		c.giveUp("cancelled by " + ev.by)
		ev.answer <- nil
	}
}

// dialPartner dials the transfer's partner, for the first time or again.
func (c *Call) dialPartner(ctx context.Context, pause time.Duration) {
	t := c.transfer
	c.dials++
	t.dials++
	t.leg = LegID(fmt.Sprintf("partner-%d", c.dials))
	t.stop = c.dial(ctx, t.leg, pause, Outward{City: c.arrival.City, Call: c.arrival.ID, Partner: t.partner.ID, By: t.order.By,
		Spoken: t.order.Spoken, Ring: outsideRing, Near: c.caller})
}

// dial calls somebody outside beside the call, after a pause. The answer is a dialled event. The function returned
// stops it.
func (c *Call) dial(ctx context.Context, leg LegID, pause time.Duration, o Outward) (stop context.CancelFunc) {
	ctx, stop = context.WithCancel(ctx)
	c.runBeside(func() {
		if pause > 0 {
			breathe(ctx, pause)
		}
		party, err := c.Phones.Dial(ctx, o, leg)
		if !c.inbox.Put(dialled{leg, party, err}) && party != nil {
			party.HangUp(CauseNormal)
		}
	})
	return stop
}

// dialled acts on the end of a dialling. One that is no longer waited for changes nothing.
func (c *Call) dialled(ctx context.Context, ev dialled) phase {
	switch t := c.transfer; {
	case t == nil || t.leg != ev.leg:
		c.discard(ctx, ev)
		return c.company(ctx)
	case ctx.Err() != nil:
		c.discard(ctx, ev)
		return c.stopped(ctx)
	case ev.err != nil:
		return c.transferFailed(ctx, failure(ev.err), ev.err)
	case t.partner.Kind == PartnerInterpreter:
		return c.greet(ctx, ev.party)
	default:
		return c.handOver(ctx, ev.party)
	}
}

// failure is why somebody outside was not reached, in the words of a timeline. The error's own are for the log.
func failure(err error) string {
	switch {
	case errors.Is(err, ErrNoAnswer):
		return "no answer"
	case errors.Is(err, ErrRejected):
		return "declined"
	case errors.Is(err, ErrNoMedia):
		return "no codec in common"
	case errors.Is(err, ErrUnreachable):
		return "not reached"
	default:
		return "could not be dialled"
	}
}

// handOver makes the partner who has answered the one the caller is with: from here on the call is theirs and nothing
// more is recorded. Only in an emergency the agent stays.
func (c *Call) handOver(ctx context.Context, party Leg) phase {
	t := c.transfer
	t.stop()
	c.transfer = nil
	party.Attach(c.inbox)
	c.record.Partner, c.record.TransferredAt = t.partner.ID, time.Now()
	c.note(Moment{What: WhatTransferred, Leg: party.ID(), Agent: c.record.Agent, Detail: "to " + t.to()})
	c.endRecording(ctx)
	leaves := c.agent != nil && t.partner.Kind != PartnerPSAP
	if leaves {
		c.endTalk(CauseNormal)
	}
	c.welcome(guest{party, t})
	if leaves {
		c.settle(ctx, OfferCompleted)
	}
	c.keepOpenEntry(ctx)
	return c.company(ctx)
}

// transferFailed goes on without the partner, or, in an emergency, dials again.
func (c *Call) transferFailed(ctx context.Context, why string, err error) phase {
	t := c.transfer
	if t.partner.Kind != PartnerPSAP {
		c.giveUp(why)
		return c.company(ctx)
	}
	c.log.Error("emergency services not reached", "partner", t.partner.ID, "dialled", t.dials, "err", err)
	if t.dials == emergencyDials {
		c.giveUp(why)
		return c.company(ctx)
	}
	c.note(Moment{What: WhatTransferFailed, Leg: t.leg, Detail: t.to() + ": " + why + ", dialled again"})
	t.stop()
	pause := time.Duration(0)
	if errors.Is(err, ErrUnavailable) {
		pause = emergencyPause
	}
	c.dialPartner(ctx, pause)
	return c.company(ctx)
}

// giveUp ends a transfer on its way, and says why.
func (c *Call) giveUp(why string) {
	t := c.transfer
	c.note(Moment{What: WhatTransferFailed, Leg: t.leg, Detail: t.to() + ": " + why})
	c.dropTransfer()
}

// dropTransfer ends a transfer on its way, if there is one. An answer that crosses this is hung up.
func (c *Call) dropTransfer() {
	t := c.transfer
	if t == nil {
		return
	}
	c.transfer = nil
	t.stop()
	if t.party != nil {
		t.stuck.Stop()
		c.letGo(t.party, CauseNormal)
	}
}
