package ani

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"callhall/call"
)

// Party is who is at the far end of a leg that we place.
type Party string

// The parties. Those after the first two are call.PartnerKind's.
const (
	PartyAgent       Party = "agent" // who is offered the call, or has it
	PartySupervisor  Party = "supervisor"
	PartyCity        Party = Party(call.PartnerCity)
	PartyPrivate     Party = Party(call.PartnerPrivate)
	PartyPSAP        Party = Party(call.PartnerPSAP)
	PartyInterpreter Party = Party(call.PartnerInterpreter)
)

// Outgoing is a leg of a call that we are about to place, or a message that we send on one.
type Outgoing struct {
	City    call.CityID
	Call    call.ID
	To      Party
	Whom    string       // which of them: the agent's, the supervisor's or the partner's id
	Trunk   call.TrunkID // by which carrier it goes; empty: by none
	Trusted bool         // the carrier it goes by belongs to our trust domain (RFC 3325)
	Secured bool         // the way there is encrypted or private (O9)
	Spoken  bool         // the agent says that the caller's word for it is in the city's register
	Dialled string       // whom the leg calls, as a signature names them: "+12125550100" or a URI without parameters; empty: nothing is signed
	By      string       // who causes it: "agent:ana", "engine"

	word string // the entry of the register behind Spoken, where it holds now
}

// Shown is what such a leg may show of the caller, and nothing more may stand in any of its messages.
type Shown struct {
	Release   call.ReleaseID    // the decision about who is at the far end
	Number    Value             // the whole number, for P-Asserted-Identity (RFC 3325); empty: none
	Mask      Value             // for an agent's screen and the documented header; empty: none
	Privacy   []string          // values of the Privacy header that goes with Number (RFC 3323)
	Anonymous bool              // From says nobody (RFC 3323 §4.1.1.3); otherwise it may be Number, or opaque without one
	Verified  bool              // a carrier vouches for the number: the badge, and no proof of who is calling
	Status    call.CallerStatus // why there is no number, where there is none
	Identity  []IdentityHeader  // what signs Number, in the order in which it is sent (RFC 8224 §4); empty: nothing does
	SignedAt  time.Time         // what the Date header beside Identity must say, to the second
}

// shownKey is what a decision about a leg depends on besides the call.
type shownKey struct {
	to, whom, word   string
	trunk            call.TrunkID
	trusted, secured bool
}

// Egress decides what a leg may carry of the caller's number: for the people at the far end (D08, D12 to D14, D25, D44)
// and, where the leg goes by a carrier, for the carrier (D02 to D04). Each decision is one leaf, durable before anything
// is returned, for each call, purpose and recipient: who asks again for the same leg of a live call gets the same answer.
// An agent's leg gets at most the mask, and a link that is not secured no number but to 911. The caller's word is looked
// for in the register each time, and nothing goes by one that was withdrawn. With an error nothing may be shown, but the
// leg may be placed. It waits no longer than ctx, and for 911 no longer than half a second: what is being written then
// goes on beside the call. A number that is shown is signed anew each time, where the city can.
func (v *Vault) Egress(ctx context.Context, o Outgoing) (Shown, error) {
	var err error
	if o.word, err = v.wordFor(ctx, o); err != nil {
		return Shown{Anonymous: true, Status: call.CallerUnavailable}, fmt.Errorf("leg of %s to %s: the caller's word: %w", o.Call, o.To, err)
	}
	shown, err := v.egressOnce(ctx, o)
	if err == nil {
		v.sign(o, &shown)
	}
	return shown, err
}

// wordFor is the entry in which the city's register has the caller's word for a leg, or none.
func (v *Vault) wordFor(ctx context.Context, o Outgoing) (string, error) {
	recipient, asked := map[Party]Recipient{PartyCity: RecipientCity, PartyPrivate: RecipientPrivate}[o.To]
	if !o.Spoken || !asked || v.desk == nil {
		return "", nil
	}
	return v.desk.heard(ctx, o.City, o.Call, recipient)
}

// egressOnce has the answer to a leg that was asked for before.
func (v *Vault) egressOnce(ctx context.Context, o Outgoing) (Shown, error) {
	key := shownKey{string(o.To), o.Whom, o.word, o.Trunk, o.Trusted, o.Secured}
	l := v.live.find(o.City, o.Call)
	if l == nil {
		return v.egress(ctx, o)
	}
	leg := l.leg(key)
	if err := leg.take(ctx); err != nil { // whoever asks the same meanwhile waits for the answer, and there is one leaf
		return Shown{Anonymous: true, Status: call.CallerUnavailable}, fmt.Errorf("leg of %s to %s: %w", o.Call, o.To, err)
	}
	defer func() { <-leg.turn }()
	if leg.decided {
		return leg.Shown, nil
	}
	shown, err := v.egress(ctx, o)
	if err == nil {
		leg.Shown, leg.decided = shown, true
	}
	return shown, err
}

func (v *Vault) egress(ctx context.Context, o Outgoing) (Shown, error) {
	h, err := v.find(ctx, o.City, o.Call)
	people := v.decideHeld(ctx, o.people(), h)
	all := []decision{}
	number := people.ruling.Decision == Full
	if o.To == PartyCity || o.To == PartyPrivate {
		if asked := number || h.Private && people.tuple.Held && privacyAlone(people); asked {
			carrier := v.decideHeld(ctx, o.carrier(), h)
			all = append(all, carrier)
			if number && carrier.ruling.Decision != Full {
				people.deny(StopCarrier) // what is not carried never reaches them
			}
			number = carrier.ruling.Decision == Full
		}
	}
	all = append(all, people)
	for _, d := range all {
		err = errors.Join(err, d.err())
	}
	if err := errors.Join(err, v.recordWithin(ctx, all)); err != nil {
		return Shown{Release: people.release, Anonymous: true, Status: call.CallerUnavailable}, wrapUnless(err, "leg of %s to %s", o.Call, o.To)
	}
	return o.shown(h, people, number), nil
}

// people is the request of whoever is at the far end.
func (o Outgoing) people() Request {
	r := Request{City: o.City, Call: o.Call, Relation: RelationHandling, Actor: o.By, To: o.Whom, Purpose: PurposeConference,
		Recipient: RecipientPrivate, grounds: grounds{open: !o.Secured}}
	switch o.To {
	case PartyAgent:
		r.Purpose, r.Recipient = PurposeLiveCall, RecipientAgent
	case PartySupervisor:
		r.Recipient = RecipientSupervisor
	case PartyCity:
		r.Purpose, r.Recipient = PurposeTransfer, RecipientCity
	case PartyPrivate:
		r.Purpose = PurposeTransfer
	case PartyPSAP:
		r.Purpose, r.Recipient = PurposeEmergency, RecipientPSAP
	}
	if o.word != "" {
		r.consent, r.ref, r.account.consent = ConsentVerbal, o.word, o.word
	}
	return r
}

// carrier is the request of the network that carries the leg.
func (o Outgoing) carrier() Request {
	r := Request{City: o.City, Call: o.Call, Relation: RelationHandling, Actor: o.By, To: plainName(string(o.Trunk)), Purpose: PurposeForward,
		Recipient: RecipientStranger, grounds: grounds{open: !o.Secured}}
	if o.Trusted {
		r.Recipient = RecipientTrunk
	}
	return r
}

// privacyAlone tells whether the people are denied for the caller's wish alone, so that they would have the number of
// somebody who has not asked for it and has said no more: a trusted carrier may then still have the number, with that
// wish, as any other private call's (D13 is about people; signalling follows D03).
func privacyAlone(d decision) bool {
	open := d.tuple
	open.Open = true
	return d.stop == "" && Decide(open).Decision == Full
}

// shown is what the decisions come to.
func (o Outgoing) shown(h held, people decision, number bool) Shown {
	s := Shown{Release: people.release, Anonymous: true, Status: h.Status, Verified: h.Verstat == call.VerstatPassed}
	if o.To == PartyAgent && people.ruling.Decision == Mask {
		s.Mask = valueOf(h.Number, Mask)
	}
	if !number || o.To == PartyAgent || o.To == PartySupervisor || o.To == PartyInterpreter {
		return s
	}
	s.Number, s.Anonymous = valueOf(h.Number, Full), h.Private
	if h.Private {
		s.Privacy = privacyValues(h.Privacy)
	}
	return s
}

// privacyValues always has "id", which keeps the number from whoever is outside the trust domain (RFC 3325 §9.3).
func privacyValues(p Privacy) []string {
	values := slices.DeleteFunc(p.Values(), func(v string) bool { return v == "none" })
	if !slices.Contains(values, "id") {
		values = append(values, "id")
	}
	return values
}

// recordWithin is recordAll for a leg that waits no longer than ctx. An emergency's waits for what it has to, which has a
// bound of its own.
func (v *Vault) recordWithin(ctx context.Context, all []decision) error {
	if all[0].urgent() {
		return v.recordAll(ctx, all)
	}
	done := make(chan error, 1) // one slot: nobody may be waiting any more
	v.urgent.Go(func() { done <- v.recordAll(ctx, all) })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// recordAll writes the leaves side by side, so that they share a commit: the first here, and each other on a goroutine.
func (v *Vault) recordAll(ctx context.Context, all []decision) error {
	if len(all) == 0 {
		return nil
	}
	errs := make([]error, len(all))
	var writing sync.WaitGroup
	for i := 1; i < len(all); i++ {
		writing.Go(func() { errs[i] = v.record(ctx, all[i]) })
	}
	errs[0] = v.record(ctx, all[0])
	writing.Wait()
	return errors.Join(errs...)
}
