package ani

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"callhall/call"
)

// KindScreening is the leaf of a line of a screening list: proposed, confirmed, ended.
const KindScreening = "ani.screening/1"

const registerScreens Kind = "screening"

// maxScreening is the longest that a line stands and that its token can be matched (D15).
const maxScreening = 30 * 24 * time.Hour

// ScreenReason is why a caller is screened.
type ScreenReason string

// The reasons that the terms know.
const (
	ScreenHarassment ScreenReason = "harassment"
	ScreenFlood      ScreenReason = "flood" // calls in numbers that keep others out
	ScreenSpam       ScreenReason = "spam"
)

// ScreenReasons lists every reason.
func ScreenReasons() []ScreenReason {
	return []ScreenReason{ScreenHarassment, ScreenFlood, ScreenSpam}
}

// NewScreen proposes to screen the caller of a call. A number that somebody types cannot be screened: only who has called
// has given a reason.
type NewScreen struct {
	Key    string       `json:"-"`
	Call   call.ID      `json:"call"`
	Reason ScreenReason `json:"reason"`
	Why    string       `json:"why,omitempty"` // in words
	Until  time.Time    `json:"until"`         // at most 30 days from now; a line of 30 ends up to a day earlier, with its token
}

// Screen is a line of the screening list as it is shown.
type Screen struct {
	ID        string       `json:"id"`
	State     string       `json:"state" enum:"proposed,active,ended,expired"`
	Call      call.ID      `json:"call"` // by which the caller was added
	Reason    ScreenReason `json:"reason"`
	Why       string       `json:"why,omitempty"`
	Until     time.Time    `json:"until"`
	Proposed  *Signature   `json:"proposed"`
	Confirmed *Signature   `json:"confirmed,omitempty"`
	Ended     *Signature   `json:"ended,omitempty"`
}

// ScreenReview is what of a screened caller somebody who looks after the list may see (D16).
type ScreenReview struct {
	Screen  Screen         `json:"screen"`
	Release call.ReleaseID `json:"release"`
	Row     string         `json:"row"`
	Token   string         `json:"token"` // 32 hexadecimal digits; the same for every line of the same caller
	Mask    Value          `json:"-"`     // where the terms of the city show it and the call is still kept
}

type screenBody struct {
	origin
	Reason    ScreenReason `json:"reason"`
	Why       string       `json:"why"`
	Confirmed signature    `json:"confirmed"`
	Ended     signature    `json:"ended"`
}

const (
	screenProposed = "proposed"
	screenActive   = "active"
	screenEnded    = "ended"
)

// ProposeScreen proposes a line. It screens nobody until somebody else confirms it. Errors: ErrNotPermitted,
// ErrIncomplete, ErrNotFound (nothing is known of the call's number), ErrReused.
func (o *Office) ProposeScreen(ctx context.Context, city call.CityID, n NewScreen, by Person) (Screen, error) {
	if err := permit(by, RoleSupervisor, RolePrivacy); err != nil {
		return Screen{}, fmt.Errorf("propose to screen a caller: %w", err)
	}
	if err := n.check(o.now()); err != nil {
		return Screen{}, fmt.Errorf("propose to screen a caller: %w", err)
	}
	k := kept[screenBody]{Entry: Entry{City: city, ID: entryID("scr", city, by, n.Key), Call: n.Call, State: screenProposed, At: o.now(), DueAt: o.screenUntil(n)},
		Body: screenBody{origin: origin{o.sign(by), fingerprint(n, Number{})}, Reason: n.Reason, Why: n.Why}}
	var err error
	if k.Token, err = o.screeningToken(ctx, city, n.Call, by); err != nil {
		return Screen{}, fmt.Errorf("propose to screen the caller of %s: %w", n.Call, err)
	}
	k, err = enter(ctx, o, o.screens, k, KindScreening, by, screenFacts(k, screenProposed))
	if err != nil {
		return Screen{}, fmt.Errorf("propose to screen the caller of %s: %w", n.Call, err)
	}
	return o.shownScreen(k), nil
}

func (n NewScreen) check(now time.Time) error {
	switch {
	case !call.ValidID("cl", string(n.Call)):
		return fmt.Errorf("%w: the call's id", ErrIncomplete)
	case !listedAll([]ScreenReason{n.Reason}, ScreenReasons()):
		return fmt.Errorf("%w: the reason is one of %s", ErrIncomplete, joined(ScreenReasons()))
	case !n.Until.After(now) || n.Until.Sub(now) > maxScreening:
		return fmt.Errorf("%w: until when, at most 30 days", ErrIncomplete)
	}
	return plainText(n.Why)
}

// screenUntil is when a line ends: as it was asked, or within a day before, when the token dies by which the caller is known.
func (o *Office) screenUntil(n NewScreen) time.Time {
	if end := o.vault.tokensEnd(tokenUse(PurposeScreening)); end.Before(n.Until) {
		return end
	}
	return n.Until.UTC()
}

func screenFacts(k kept[screenBody], act string) map[string]string {
	return map[string]string{"entry": k.ID, "act": act, "reason": string(k.Body.Reason), "until": stamp(k.DueAt), "token": hex.EncodeToString(k.Token)}
}

// screeningToken makes the token under D15, with its leaf.
func (o *Office) screeningToken(ctx context.Context, city call.CityID, id call.ID, by Person) ([]byte, error) {
	s, err := o.subject(ctx, city, id)
	if err != nil {
		return nil, err
	}
	grant, err := o.vault.Release(ctx, Request{City: city, Call: id, Purpose: PurposeScreening, Recipient: RecipientEngine, Actor: by.Actor})
	if err != nil {
		return nil, err
	}
	if grant.Denied() || s.number.IsZero() {
		return nil, fmt.Errorf("%w: its number is not there to screen (%s)", ErrNotFound, grant.Row.ID)
	}
	token, _, err := o.vault.token(ctx, city, tokenUse(PurposeScreening), s.number)
	return token, err
}

// ConfirmScreen puts a proposed line into force. It is for a privacy officer or another supervisor. Errors:
// ErrNotPermitted, ErrSecondPerson, ErrState, ErrNotFound.
func (o *Office) ConfirmScreen(ctx context.Context, city call.CityID, id string, by Person) (Screen, error) {
	return o.changeScreen(ctx, city, id, by, func(k *kept[screenBody]) (map[string]string, error) {
		if err := second(by, k.Body.By); err != nil {
			return nil, err
		}
		if k.State == screenActive && k.Body.Confirmed.Actor == by.Actor {
			return nil, nil
		}
		if k.State != screenProposed || !o.now().Before(k.DueAt) {
			return nil, ErrState
		}
		k.State, k.Body.Confirmed = screenActive, o.sign(by)
		return screenFacts(*k, "confirmed"), nil
	})
}

// EndScreen ends a line before its time; one person is enough. Errors: ErrNotPermitted, ErrNotFound.
func (o *Office) EndScreen(ctx context.Context, city call.CityID, id string, by Person) (Screen, error) {
	return o.changeScreen(ctx, city, id, by, func(k *kept[screenBody]) (map[string]string, error) {
		if k.State == screenEnded {
			return nil, nil
		}
		k.State, k.Body.Ended = screenEnded, o.sign(by)
		return screenFacts(*k, screenEnded), nil
	})
}

func (o *Office) changeScreen(ctx context.Context, city call.CityID, id string, by Person,
	alter func(*kept[screenBody]) (map[string]string, error)) (Screen, error) {
	if err := permit(by, RoleSupervisor, RolePrivacy); err != nil {
		return Screen{}, fmt.Errorf("change the screening list: %w", err)
	}
	k, err := change(ctx, o, o.screens, city, id, KindScreening, by, alter)
	if err != nil {
		return Screen{}, fmt.Errorf("change the screening list: %w", err)
	}
	if err := o.loadScreening(ctx, city); err != nil {
		return Screen{}, fmt.Errorf("change the screening list: take it up: %w", err)
	}
	return o.shownScreen(k), nil
}

// loadScreening takes up every line in force. A caller may stand on several.
func (o *Office) loadScreening(ctx context.Context, city call.CityID) error {
	defer o.locks.lock(registerScreens, city, "")() // who reads later, knows more: one after the other
	lines := map[mark]time.Time{}
	err := through(ctx, o.screens, city, func(k kept[screenBody]) bool {
		if k.State == screenActive && len(k.Token) == tokenSize && k.DueAt.After(lines[mark(k.Token)]) {
			lines[mark(k.Token)] = k.DueAt
		}
		return false
	})
	if err != nil {
		return fmt.Errorf("screening list: %w", err)
	}
	o.desk.set(city, func(s *standing) { s.screened = lines })
	return nil
}

// Screens lists the register, newest first, from below the entry after, without anything that comes from a number.
func (o *Office) Screens(ctx context.Context, city call.CityID, after string, limit int) ([]Screen, error) {
	return paged(ctx, o.screens, city, after, limit, o.shownScreen)
}

// ReviewScreen shows what of the caller the terms let somebody see who looks after the list (D16), with its leaf. Errors:
// ErrNotPermitted, ErrNotFound.
func (o *Office) ReviewScreen(ctx context.Context, city call.CityID, id string, by Person) (ScreenReview, error) {
	if err := permit(by, RoleSupervisor, RolePrivacy); err != nil {
		return ScreenReview{}, fmt.Errorf("review a line of the screening list: %w", err)
	}
	k, err := o.screens.get(ctx, city, id)
	if err != nil {
		return ScreenReview{}, fmt.Errorf("review a line of the screening list: %w", err)
	}
	grant, err := o.vault.Release(ctx, Request{City: city, Call: k.Call, Purpose: PurposeScreeningReview, Recipient: RecipientSupervisor,
		Actor: by.Actor, To: whoIs(by.Actor), grounds: grounds{ref: id}})
	if err != nil {
		return ScreenReview{}, fmt.Errorf("review a line of the screening list: %w", err)
	}
	r := ScreenReview{Screen: o.shownScreen(k), Release: grant.Release, Row: grant.Row.ID, Mask: grant.Value}
	if !grant.Denied() {
		r.Token = hex.EncodeToString(k.Token)
	}
	return r, nil
}

func (o *Office) shownScreen(k kept[screenBody]) Screen {
	b := k.Body
	s := Screen{ID: k.ID, State: k.State, Call: k.Call, Reason: b.Reason, Why: withoutNumbers(b.Why), Until: k.DueAt, Proposed: b.By.shown(),
		Confirmed: b.Confirmed.shown(), Ended: b.Ended.shown()}
	if (k.State == screenActive || k.State == screenProposed) && !o.now().Before(k.DueAt) {
		s.State = stateExpired
	}
	return s
}
