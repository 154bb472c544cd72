package ani

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"callhall/call"
)

// Revealed is what one Reveal gives out, once.
type Revealed struct {
	Ask        Ask            `json:"ask"`
	Release    call.ReleaseID `json:"release"` // as in the ledger
	Value      Value          `json:"-"`       // the caller of Reveal writes out what it shows, to the recipient alone
	Token      string         `json:"token,omitempty"`
	Decision   Decision       `json:"decision"`
	Row        string         `json:"row"`
	Statement  string         `json:"statement"`
	Unverified bool           `json:"unverified"`               // no carrier vouches for the number: proof of nothing (D41)
	Until      time.Time      `json:"until"`                    // it may not be used from then on (O3)
	CloseAfter int            `json:"close_after_ms,omitempty"` // milliseconds for which a screen may show it (O11); not copied
}

// Reveal shows what was granted: to the one who asked, once, before it expires, and only if what it rests on still holds.
// The release's leaf, the line in the subject's accounting and the notice to the owner are written before it returns. Of
// two Reveals at once one gets ErrState. A Reveal that fails for want of the ledger can be tried again. What is for a
// program (the city's system of service requests, a gateway) is not revealed to anybody: see Deliver. Errors:
// ErrNotPermitted, ErrNotApproved, ErrState, ErrTooMany, ErrNotFound.
func (o *Office) Reveal(ctx context.Context, city call.CityID, id string, by Person) (Revealed, error) {
	return o.revealTo(ctx, city, id, by, false)
}

// Deliver is Reveal for our own program that hands the number to the recipient's (D22 to the city's system, D39 to a
// gateway), on the order of who asked; it must show it to nobody. Callhall has no such program yet: what is granted to one of
// these stays inside and expires like everything that is granted and not revealed. Errors as Reveal.
func (o *Office) Deliver(ctx context.Context, city call.CityID, id string, by Person) (Revealed, error) {
	return o.revealTo(ctx, city, id, by, true)
}

func (o *Office) revealTo(ctx context.Context, city call.CityID, id string, by Person, program bool) (Revealed, error) {
	r, err := o.reveal(ctx, city, id, by, program)
	if err != nil {
		return Revealed{}, fmt.Errorf("reveal %s: %w", id, err)
	}
	return r, nil
}

func (o *Office) reveal(ctx context.Context, city call.CityID, id string, by Person, program bool) (Revealed, error) {
	defer o.locks.lock(registerAsks, city, id)()
	k, err := o.asks.get(ctx, city, id)
	if err != nil {
		return Revealed{}, err
	}
	if by.Actor == "" || by.Actor != k.Body.By.Actor {
		return Revealed{}, errors.Join(fmt.Errorf("%w: it was granted to who asked", ErrNotPermitted),
			o.record(ctx, city, KindAsk, k.Call, by, askFacts(k, "not-theirs")))
	}
	if program != slices.Contains(delivered, k.Body.Recipient) {
		return Revealed{}, fmt.Errorf("%w: what is for a program goes to it and is shown to nobody", ErrNotPermitted)
	}
	c, err := o.consider(ctx, k, by)
	if err != nil {
		return Revealed{}, err
	}
	if state := o.shownAsk(k).State; state == AskPending {
		return Revealed{}, errors.Join(ErrNotApproved, ErrState, o.stopped(ctx, c, StopPersons))
	} else if state != AskGranted {
		return Revealed{}, errors.Join(fmt.Errorf("%w: it is %s", ErrState, state), o.stopped(ctx, c, stopOf(state)))
	}
	if c.ruling.Obliges(TwoPersons) && k.Body.Second.zero() {
		return Revealed{}, errors.Join(ErrNotApproved, o.stopped(ctx, c, StopPersons))
	}
	if c.ruling.Decision != k.Body.Decision {
		return Revealed{}, o.lost(ctx, k, c, by)
	}
	return o.revealCapped(ctx, k, c, by)
}

// stopOf is why a request in this state shows nothing.
func stopOf(state AskState) Stop {
	switch state {
	case AskRefused:
		return StopPersons
	case AskExpired:
		return StopTime
	default:
		return StopReuse
	}
}

// stopped writes the leaf of a reveal that the terms would have allowed and that something else stops.
func (o *Office) stopped(ctx context.Context, c considered, why Stop) error {
	r := c.request
	r.halt = why
	_, err := o.vault.Release(ctx, r)
	return err
}

// lost closes a request whose ground has gone since it was granted. The denial has its leaf.
func (o *Office) lost(ctx context.Context, k kept[askBody], c considered, by Person) error {
	k.State, k.Body.Decision, k.Body.Row, k.Body.Obligations = string(AskDenied), c.ruling.Decision, c.ruling.Row.ID, c.ruling.Obligations()
	var err error
	if c.ruling.Decision == Deny {
		err = o.deny(ctx, k, c, by)
	} else {
		err = o.record(ctx, k.City, KindAsk, k.Call, by, askFacts(k, string(AskDenied)))
	}
	if err != nil {
		return err
	}
	if _, err := o.asks.replace(ctx, k); err != nil {
		return err
	}
	return fmt.Errorf("%w: what it rests on no longer holds (%s)", ErrState, c.ruling.Row.ID)
}

// revealCapped counts every whole number that a person is shown, by whatever row (O5).
func (o *Office) revealCapped(ctx context.Context, k kept[askBody], c considered, by Person) (Revealed, error) {
	if c.ruling.Decision != Full || slices.Contains(delivered, k.Body.Recipient) {
		return o.revealOnce(ctx, k, c, by)
	}
	giveBack, err := o.room(ctx, k.City, countReveals, o.capsOf(k.City), by)
	switch {
	case errors.Is(err, ErrTooMany) && k.Body.Purpose == PurposeExigency:
		return o.revealOnce(ctx, k, c, by) // a life is at stake, and two people and the owner know; the alarm was raised
	case errors.Is(err, ErrTooMany):
		return Revealed{}, errors.Join(err, o.stopped(ctx, c, StopCap))
	case err != nil:
		return Revealed{}, err
	}
	r, err := o.revealOnce(ctx, k, c, by)
	if err != nil {
		err = errors.Join(err, giveBack())
	}
	return r, err
}

// revealOnce takes the request's one reveal, by writing its next version, before the number is touched: whoever comes
// second, in this process or another, finds it taken. When nothing could be released it is given back.
func (o *Office) revealOnce(ctx context.Context, k kept[askBody], c considered, by Person) (Revealed, error) {
	k.State, k.Body.Revealed = string(AskRevealed), o.sign(by)
	taken, err := o.asks.replace(ctx, k)
	if errors.Is(err, ErrConflict) {
		return Revealed{}, fmt.Errorf("%w: somebody was faster", ErrState)
	}
	if err != nil {
		return Revealed{}, err
	}
	grant, err := o.release(ctx, taken, c, by)
	if err != nil {
		taken.State, taken.Body.Revealed = string(AskGranted), signature{}
		_, back := o.asks.replace(context.WithoutCancel(ctx), taken)
		return Revealed{}, errors.Join(err, back)
	}
	taken.Body.Release = grant.Release
	if taken, err = o.asks.replace(ctx, taken); err != nil {
		return Revealed{}, err
	}
	return o.handOut(taken, c, grant), nil
}

// release asks the vault, which writes the leaf and the subject's accounting, and tells the owner.
func (o *Office) release(ctx context.Context, k kept[askBody], c considered, by Person) (Grant, error) {
	if c.ruling.Obliges(OwnerTold) {
		n := notice{about: NoticeRelease, call: k.Call, ref: k.ID, row: c.ruling.Row.ID, tellSubject: c.tellSubject}
		if err := o.notify(ctx, k.City, n, by); err != nil {
			return Grant{}, err
		}
	}
	r := c.request
	r.until = k.Body.ExpiresAt
	r.account = accountOf{to: cmp.Or(c.request.To, k.Body.To, c.issuer), ask: k.ID, consent: c.consent, silent: !c.tellSubject}
	grant, err := o.vault.Release(ctx, r)
	if err != nil {
		return Grant{}, err
	}
	if grant.Decision != c.ruling.Decision {
		return Grant{}, fmt.Errorf("%w: the terms decide otherwise now (%s)", ErrState, grant.Row.ID)
	}
	return grant, nil
}

func (o *Office) handOut(k kept[askBody], c considered, g Grant) Revealed {
	r := Revealed{Ask: o.shownAsk(k), Release: g.Release, Value: g.Value, Decision: g.Decision, Row: g.Row.ID,
		Token: g.Token, Statement: g.Words, Unverified: g.Unverified, Until: k.Body.ExpiresAt}
	if c.ruling.Obliges(ShownBriefly) {
		r.CloseAfter = int(revealShown / time.Millisecond)
	}
	return r
}
