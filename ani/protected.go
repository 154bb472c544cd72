package ani

import (
	"context"
	"fmt"
	"slices"
	"time"

	"callhall/call"
)

// KindProtected is the leaf of a subject whom a law protects: entered, and taken off by two people.
const KindProtected = "ani.protected/1"

const registerProtections Kind = "protected"

// Ground is the law that protects a subject.
type Ground string

// The grounds.
const (
	GroundSeal            Ground = "court-seal"
	GroundConfidentiality Ground = "address-confidentiality" // a state's program for those who are in danger
)

// Grounds lists every ground.
func Grounds() []Ground { return []Ground{GroundSeal, GroundConfidentiality} }

// NewProtection protects the callers from one number, at once: whatever the terms otherwise permit, but an emergency and
// what the caller's own call needs inside the engine, is denied.
type NewProtection struct {
	Key       string    `json:"-"`
	Number    Entered   `json:"number"`
	Ground    Ground    `json:"ground"`
	Reference string    `json:"reference"` // the order or the certificate: at most 64 characters and six digits
	Until     time.Time `json:"until"`
}

// Protection is a protected subject as it is shown: without the number.
type Protection struct {
	ID        string     `json:"id"`
	State     string     `json:"state" enum:"active,lifting,lifted,expired"`
	Ground    Ground     `json:"ground"`
	Reference string     `json:"reference"`
	Until     time.Time  `json:"until"`
	Entered   *Signature `json:"entered"`
	Lifting   *Signature `json:"lifting,omitempty"` // who proposed to lift it
	Lifted    *Signature `json:"lifted,omitempty"`
}

type protectionBody struct {
	origin
	Number    bodyNumber `json:"number"`
	Ground    Ground     `json:"ground"`
	Reference string     `json:"reference"`
	Lifting   signature  `json:"lifting"`
	Lifted    signature  `json:"lifted"`
}

const (
	protectionActive  = "active"
	protectionLifting = "lifting" // still protected
	protectionLifted  = "lifted"
)

// maxProtection bounds one entry; it can be entered again.
const maxProtection = 50 * 366 * 24 * time.Hour

// Protect enters a protected subject. It holds when it returns. Errors: ErrNotPermitted, ErrIncomplete, ErrCase, ErrReused.
func (o *Office) Protect(ctx context.Context, city call.CityID, p NewProtection, by Person) (Protection, error) {
	if err := permit(by, RolePrivacy, RoleRecords); err != nil {
		return Protection{}, fmt.Errorf("protect a subject: %w", err)
	}
	if err := p.check(o.now()); err != nil {
		return Protection{}, fmt.Errorf("protect a subject: %w", err)
	}
	k := kept[protectionBody]{Entry: Entry{City: city, ID: entryID("ptd", city, by, p.Key), State: protectionActive, At: o.now(), DueAt: p.Until.UTC()},
		Body: protectionBody{origin: origin{o.sign(by), fingerprint(p, p.Number.Number())}, Number: bodyNumber{p.Number.Number()}, Ground: p.Ground,
			Reference: p.Reference}}
	k, err := enter(ctx, o, o.protections, k, KindProtected, by, protectionFacts(k, "entered"))
	if err != nil {
		return Protection{}, fmt.Errorf("protect a subject: %w", err)
	}
	if err := o.loadProtected(ctx, city); err != nil {
		return Protection{}, fmt.Errorf("protect a subject: take it up: %w", err)
	}
	return o.shownProtection(k), nil
}

func (p NewProtection) check(now time.Time) error {
	switch {
	case p.Number.IsZero():
		return fmt.Errorf("%w: the number", ErrIncomplete)
	case !slices.Contains(Grounds(), p.Ground):
		return fmt.Errorf("%w: the ground is one of %s", ErrIncomplete, joined(Grounds()))
	case p.Reference == "":
		return fmt.Errorf("%w: the reference", ErrIncomplete)
	case !p.Until.After(now) || p.Until.Sub(now) > maxProtection:
		return fmt.Errorf("%w: until when", ErrIncomplete)
	}
	return plainRefs(p.Reference)
}

func protectionFacts(k kept[protectionBody], act string) map[string]string {
	return map[string]string{"entry": k.ID, "act": act, "ground": string(k.Body.Ground), "reference": k.Body.Reference, "until": stamp(k.DueAt)}
}

// LiftProtection ends a protection before its time. The first who calls it proposes, another person confirms; until then
// the subject stays protected. Errors: ErrNotPermitted, ErrSecondPerson, ErrState, ErrNotFound.
func (o *Office) LiftProtection(ctx context.Context, city call.CityID, id string, by Person) (Protection, error) {
	if err := permit(by, RolePrivacy, RoleRecords); err != nil {
		return Protection{}, fmt.Errorf("lift a protection: %w", err)
	}
	k, err := change(ctx, o, o.protections, city, id, KindProtected, by, func(k *kept[protectionBody]) (map[string]string, error) {
		switch k.State {
		case protectionActive:
			k.State, k.Body.Lifting = protectionLifting, o.sign(by)
			return protectionFacts(*k, "lifting"), nil
		case protectionLifting:
			if err := second(by, k.Body.Lifting); err != nil {
				return nil, err
			}
			k.State, k.Body.Lifted = protectionLifted, o.sign(by)
			return protectionFacts(*k, "lifted"), nil
		default:
			return nil, ErrState
		}
	})
	if err != nil {
		return Protection{}, fmt.Errorf("lift a protection: %w", err)
	}
	if k.State == protectionLifted {
		if err := o.notify(ctx, city, notice{about: NoticeProtected, ref: id}, by); err != nil {
			return Protection{}, fmt.Errorf("lift a protection: %w", err)
		}
	}
	if err := o.loadProtected(ctx, city); err != nil {
		return Protection{}, fmt.Errorf("lift a protection: take it up: %w", err)
	}
	return o.shownProtection(k), nil
}

// loadProtected takes up every number that is protected.
func (o *Office) loadProtected(ctx context.Context, city call.CityID) error {
	defer o.locks.lock(registerProtections, city, "")() // who reads later, knows more: one after the other
	numbers := map[mark]time.Time{}
	err := through(ctx, o.protections, city, func(k kept[protectionBody]) bool {
		if l := o.desk.mark(k.Body.Number.Number); k.State != protectionLifted && k.DueAt.After(numbers[l]) {
			numbers[l] = k.DueAt
		}
		return false
	})
	if err != nil {
		return fmt.Errorf("protected subjects: %w", err)
	}
	o.desk.set(city, func(s *standing) { s.protected, s.read.protected = numbers, true })
	return nil
}

// Protections lists the register, newest first, from below the entry after.
func (o *Office) Protections(ctx context.Context, city call.CityID, after string, limit int) ([]Protection, error) {
	return paged(ctx, o.protections, city, after, limit, o.shownProtection)
}

func (o *Office) shownProtection(k kept[protectionBody]) Protection {
	b := k.Body
	p := Protection{ID: k.ID, State: k.State, Ground: b.Ground, Reference: b.Reference, Until: k.DueAt, Entered: b.By.shown(),
		Lifting: b.Lifting.shown(), Lifted: b.Lifted.shown()}
	if k.State != protectionLifted && !o.now().Before(k.DueAt) {
		p.State = stateExpired
	}
	return p
}
