package ani

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"callhall/call"
)

// droppedFor is for how long after a call was cut off its agent may still finish it.
const droppedFor = 30 * time.Minute

// subject is whose number is asked for: one caller, on one call.
type subject struct {
	city   call.CityID
	call   call.ID
	number Number    // zero when there is none
	at     time.Time // when the call came; zero when nothing is known of it
}

// considered is a request for a release with all that stands behind it, and what the terms say of it.
type considered struct {
	request     Request
	ruling      Ruling
	subject     subject
	issuer      string    // of the paper: a stranger's words, for the subject's account and for no leaf
	consent     string    // the entry that it rests on
	until       time.Time // of the paper or the consent; zero: neither says
	ended       time.Time // of the call, for RelationDropped
	tellSubject bool      // the law lets the subject be told
}

// expiry is when a request that is granted at now can no longer be revealed (O3).
func (c considered) expiry(now time.Time) time.Time {
	switch {
	case c.request.Relation == RelationDropped:
		return c.ended.Add(min(c.ruling.Row.Expiry, droppedFor))
	case c.ruling.Row.Expiry > 0:
		return earlier(now.Add(min(c.ruling.Row.Expiry, longestAsk)), c.until)
	default:
		return earlier(now.Add(grantedFor), c.until)
	}
}

// consider finds in the registers and in the live calls what stands behind a request, and decides without releasing
// anything. It is done when the request is made, approved and revealed: what has gone meanwhile, has gone.
func (o *Office) consider(ctx context.Context, k kept[askBody], by Person) (considered, error) {
	b := k.Body
	c := considered{tellSubject: true, request: Request{City: k.City, Call: k.Call, Purpose: b.Purpose, Recipient: b.Recipient, Relation: RelationNone,
		Actor: by.Actor, Case: b.Case, grounds: grounds{consent: ConsentNone, process: ProcessNone, reason: string(b.Reason), ref: b.Ref,
			second: b.Second.Actor}}}
	var err error
	if c.subject, err = o.subject(ctx, k.City, k.Call); err != nil {
		return considered{}, err
	}
	d, listed := dutyOf(b.Purpose, b.Recipient)
	if !listed || permit(by, d.asks...) != nil {
		c.request.Recipient = RecipientUnlisted // whoever they are, it is not they who get this
		return c, o.rule(ctx, &c)
	}
	if slices.Contains(readers, b.Recipient) {
		c.request.To = whoIs(by.Actor)
	}
	if err := errors.Join(o.addRelation(ctx, &c, k, by), o.addPaper(ctx, &c, k), o.addConsent(ctx, &c, k)); err != nil {
		return considered{}, err
	}
	return c, o.rule(ctx, &c)
}

// rule decides.
func (o *Office) rule(ctx context.Context, c *considered) (err error) {
	c.ruling, err = o.vault.consider(ctx, c.request)
	return err
}

// subject reads whose call it is. Nothing of the call is no error: the terms say what to do then.
func (o *Office) subject(ctx context.Context, city call.CityID, id call.ID) (subject, error) {
	h, err := o.vault.find(ctx, city, id)
	if err != nil {
		return subject{}, fmt.Errorf("read the caller of %s: %w", id, err)
	}
	row, err := o.vault.store.Get(ctx, city, id)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return subject{}, fmt.Errorf("read when %s came: %w", id, err)
	}
	return subject{city: city, call: id, number: h.Number, at: row.CapturedAt}, nil
}

// addRelation is what the asker has to do with the call, and the reason that goes with it.
func (o *Office) addRelation(ctx context.Context, c *considered, k kept[askBody], by Person) error {
	switch {
	case k.Body.Purpose == PurposeSupport:
		c.request.Relation, c.request.process = RelationNamed, ProcessApproval // the row asks for the second person who gives it
		return nil
	case by.Role != RoleAgent:
		return nil
	}
	relation, ended, err := o.relation(ctx, k.City, k.Call, by)
	if err != nil {
		return err
	}
	c.request.Relation, c.ended = relation, ended
	if relation != RelationDropped || !slices.Contains(ReasonCodes(), k.Body.Reason) {
		return nil
	}
	holds := k.Body.Reason != ReasonHandleFailed
	if !holds {
		if holds, err = o.handleFailed(ctx, k.City, k.Call, by.Agent); err != nil {
			return err
		}
	}
	if holds {
		c.request.process = ProcessReason
	}
	return nil
}

// relation is what an agent has to do with a call, as the engine knows it. ended is when the call was over.
func (o *Office) relation(ctx context.Context, city call.CityID, id call.ID, by Person) (r Relation, ended time.Time, err error) {
	h, err := o.cfg.Calls.Handling(ctx, city, id)
	if errors.Is(err, ErrNotFound) {
		return RelationNone, time.Time{}, nil
	}
	if err != nil {
		return RelationNone, time.Time{}, fmt.Errorf("who handles %s: %w", id, err)
	}
	switch {
	case by.Role != RoleAgent || by.Agent == "" || !slices.Contains(h.Agents, by.Agent):
		return RelationNone, h.EndedAt, nil
	case h.Live:
		return RelationHandling, time.Time{}, nil
	case h.Dropped && !h.EndedAt.IsZero() && o.now().Sub(h.EndedAt) < droppedFor:
		return RelationDropped, h.EndedAt, nil
	default:
		return RelationNone, h.EndedAt, nil
	}
}

// addPaper adds what the paper that is named stands for.
func (o *Office) addPaper(ctx context.Context, c *considered, k kept[askBody]) error {
	if k.Body.Ref == "" {
		return nil
	}
	paper, err := o.papers.get(ctx, k.City, k.Body.Ref)
	if errors.Is(err, ErrNotFound) {
		return nil // whatever they mean by it, it is no paper of this city
	}
	if err != nil {
		return err
	}
	process, relation := o.standsFor(paper, c.subject, k.Body.Purpose)
	if relation == RelationCarried {
		if relation, err = o.carried(ctx, k, paper.Body.Trunk); err != nil {
			return err
		}
	}
	if process != ProcessNone {
		c.request.process = process
	}
	if relation != RelationNone {
		c.request.Relation = relation
	}
	c.issuer = paper.Body.Issuer
	if k.Body.Recipient == RecipientTrunk {
		c.request.To = plainName(string(paper.Body.Trunk))
	}
	c.until, c.tellSubject = paper.Body.Until, !paper.Body.Nondisclosure
	return nil
}

// carried tells whether the carrier of a dispute is the one that charged for the call: only a call that stands in a batch
// which that carrier was sent.
func (o *Office) carried(ctx context.Context, k kept[askBody], trunk call.TrunkID) (Relation, error) {
	b, _, err := o.batchOf(ctx, k.City, k.Call)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return RelationNone, fmt.Errorf("which carrier charged for %s: %w", k.Call, err)
	}
	if err != nil || b.State != batchDelivered || b.Body.Trunk != trunk {
		return RelationNone, nil
	}
	return RelationCarried, nil
}

// addConsent adds the strongest consent that the caller has given for this.
func (o *Office) addConsent(ctx context.Context, c *considered, k kept[askBody]) error {
	b := k.Body
	consent, found, err := o.consented(ctx, c.subject, b.Purpose, b.Recipient, b.To)
	if err != nil || !found {
		return err
	}
	c.consent, c.request.consent = consent.ID, consent.Body.Kind
	c.until = earlier(consent.Body.Until, c.until)
	if c.request.ref == "" {
		c.request.ref = consent.ID
	}
	switch b.Purpose {
	case PurposeNotice:
		c.request.process = ProcessOptIn
	case PurposeMarketing, PurposeDisclosure:
		c.request.Relation = RelationNamed // the consent names whom it is for
	}
	return nil
}
