package ani

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"callhall/call"
)

// KindAsk is the leaf of a request for a release and of what became of it.
const KindAsk = "ani.ask/1"

const registerAsks Kind = "ask"

// AskState is where a request for a release stands.
type AskState string

// The states of a request. It is asked, and decided in the same breath: none stays in the first one.
const (
	AskAsked    AskState = "asked"
	AskPending  AskState = "pending"  // a second person must approve
	AskGranted  AskState = "granted"  // waits for its one reveal
	AskRevealed AskState = "revealed" // over: the number was shown
	AskRefused  AskState = "refused"  // by the second person
	AskDenied   AskState = "denied"   // by the terms
	AskExpired  AskState = "expired"
	AskRecalled AskState = "recalled" // the consent behind it was withdrawn
)

// ReasonCode is why somebody must see a number that the engine could dial without showing it (D09).
type ReasonCode string

// The reasons that the terms take.
const (
	ReasonHandleFailed ReasonCode = "handle-failed" // the engine's callback did not get through
	ReasonRelay        ReasonCode = "relay"         // the caller is called back by a relay service or on a text telephone
	ReasonOtherLine    ReasonCode = "other-line"    // a crew on the way calls from a line of its own
)

// ReasonCodes lists every reason.
func ReasonCodes() []ReasonCode {
	return []ReasonCode{ReasonHandleFailed, ReasonRelay, ReasonOtherLine}
}

// NewAsk is what a person asks for. On what it rests, the office looks up.
type NewAsk struct {
	Key       string     `json:"-"`
	Call      call.ID    `json:"call"`
	Purpose   Purpose    `json:"purpose"`
	Recipient Recipient  `json:"recipient"`
	To        string     `json:"to,omitempty"`     // who gets it, by name, as a consent names them
	Case      string     `json:"case,omitempty"`   // the case it is for: at most 64 characters and six digits
	Reason    ReasonCode `json:"reason,omitempty"` // needed for a dropped call
	Ref       string     `json:"ref,omitempty"`    // the paper behind it, or the subject's request
	Why       string     `json:"why,omitempty"`    // in words
}

// Ask is a request for a release as it is shown.
type Ask struct {
	ID          string         `json:"id"`
	State       AskState       `json:"state" enum:"asked,pending,granted,revealed,refused,denied,expired,recalled"`
	Call        call.ID        `json:"call"`
	Purpose     Purpose        `json:"purpose"`
	Recipient   Recipient      `json:"recipient"`
	To          string         `json:"to,omitempty"`
	Case        string         `json:"case,omitempty"`
	Reason      ReasonCode     `json:"reason,omitempty"`
	Ref         string         `json:"ref,omitempty"`
	Why         string         `json:"why,omitempty"`
	Decision    Decision       `json:"decision"`
	Row         string         `json:"row"` // of the terms
	Obligations []Obligation   `json:"obligations,omitempty"`
	Asked       *Signature     `json:"asked"`
	ExpiresAt   time.Time      `json:"expires_at,omitzero"`
	Second      *Signature     `json:"second,omitempty"` // who approved or refused
	Revealed    *Signature     `json:"revealed,omitempty"`
	Release     call.ReleaseID `json:"release,omitempty"` // of the reveal, as in the ledger; empty after one that failed
}

type askBody struct {
	origin
	Purpose     Purpose        `json:"purpose"`
	Recipient   Recipient      `json:"recipient"`
	To          string         `json:"to"`
	Case        string         `json:"case"`
	Reason      ReasonCode     `json:"reason"`
	Ref         string         `json:"ref"`
	Why         string         `json:"why"`
	Decision    Decision       `json:"decision"`
	Row         string         `json:"row"`
	Obligations []Obligation   `json:"obligations"`
	Consent     string         `json:"consent"` // the entry that it rests on
	ExpiresAt   time.Time      `json:"expires_at"`
	Second      signature      `json:"second"`
	Revealed    signature      `json:"revealed"`
	Release     call.ReleaseID `json:"release"`
}

const (
	pendingFor  = 72 * time.Hour      // how long a request waits for its second person
	grantedFor  = 24 * time.Hour      // how long a granted one waits for its reveal where no row or paper says less
	longestAsk  = 91 * 24 * time.Hour // no request is older when it is revealed: D06
	revealShown = 30 * time.Second    // how long an agent's screen shows a number (O11)
)

// duty says who of the city may ask for something, and who is the second person.
type duty struct {
	purpose    Purpose
	recipients []Recipient
	asks       []Role
	approves   []Role
}

// duties are all that a person can ask for. What the engine does for a call is not among them: a person has no use for it.
var duties = []duty{
	{PurposeDropped, []Recipient{RecipientAgent}, []Role{RoleAgent}, nil},
	{PurposeServiceRequest, []Recipient{RecipientCRM}, []Role{RoleAgent, RoleSupervisor}, nil},
	{PurposeServiceRequest, []Recipient{RecipientCity}, []Role{RoleSupervisor}, nil},
	{PurposeScreeningReview, []Recipient{RecipientSupervisor}, []Role{RoleSupervisor, RolePrivacy}, nil},
	{PurposeDispute, []Recipient{RecipientTrunk}, []Role{RolePrivacy, RoleSupervisor}, nil},
	{PurposeTrouble, []Recipient{RecipientTrunk}, []Role{RolePrivacy, RoleSupervisor}, nil},
	{PurposeSupport, []Recipient{RecipientVendor}, []Role{RoleOperator, RolePrivacy}, []Role{RolePrivacy}},
	{PurposeExigency, []Recipient{RecipientPolice}, []Role{RoleSupervisor, RolePrivacy}, []Role{RoleSupervisor, RolePrivacy}},
	{PurposeLegalProcess, []Recipient{RecipientPolice}, []Role{RolePrivacy, RoleRecords}, []Role{RolePrivacy, RoleRecords}},
	{PurposePublicRecords, []Recipient{RecipientPublic}, []Role{RoleRecords, RolePrivacy}, []Role{RoleRecords, RolePrivacy}},
	{PurposeMarketing, []Recipient{RecipientPrivate, RecipientCity}, []Role{RolePrivacy}, nil},
	{PurposeDisclosure, []Recipient{RecipientPrivate, RecipientCity}, []Role{RolePrivacy}, nil},
	{PurposeNotice, []Recipient{RecipientGateway}, []Role{RolePrivacy, RoleSupervisor}, nil},
}

// delivered are the recipients that are programs: what they get goes to them, and no person sees it on the way.
var delivered = []Recipient{RecipientCRM, RecipientGateway}

func dutyOf(p Purpose, r Recipient) (duty, bool) {
	i := slices.IndexFunc(duties, func(d duty) bool { return d.purpose == p && slices.Contains(d.recipients, r) })
	if i < 0 {
		return duty{}, false
	}
	return duties[i], true
}

// Ask asks for a caller's number, and decides at once: denied, with its leaf; pending, where a second person must approve;
// or granted, and then waiting for its one Reveal. An Ask that is denied is no error. Errors: ErrIncomplete, ErrCase,
// ErrReused.
func (o *Office) Ask(ctx context.Context, city call.CityID, a NewAsk, by Person) (Ask, error) {
	if err := a.check(by); err != nil {
		return Ask{}, fmt.Errorf("ask for a number: %w", err)
	}
	k := kept[askBody]{Entry: Entry{City: city, ID: entryID("rel", city, by, a.Key), Call: a.Call, At: o.now()},
		Body: askBody{origin: origin{o.sign(by), fingerprint(a, Number{})}, Purpose: listed(a.Purpose, PurposeUnlisted, Purposes()),
			Recipient: listed(a.Recipient, RecipientUnlisted, Recipients()), To: a.To, Case: a.Case, Reason: a.Reason, Ref: a.Ref, Why: a.Why}}
	k, err := o.ask(ctx, k, by)
	if err != nil {
		return Ask{}, fmt.Errorf("ask for the number of %s: %w", a.Call, err)
	}
	return o.shownAsk(k), nil
}

func (a NewAsk) check(by Person) error {
	switch {
	case by.Actor == "":
		return ErrNotPermitted
	case !call.ValidID("cl", string(a.Call)):
		return fmt.Errorf("%w: the call's id", ErrIncomplete)
	case a.Purpose == PurposeDropped && !slices.Contains(ReasonCodes(), a.Reason):
		return fmt.Errorf("%w: the reason is one of %s", ErrIncomplete, joined(ReasonCodes()))
	case a.Purpose != PurposeDropped && a.Reason != "":
		return fmt.Errorf("%w: a reason code is for a dropped call", ErrIncomplete)
	}
	if err := plainText(a.To, a.Why); err != nil {
		return err
	}
	return errors.Join(plainRefs(a.Case), entryRef("prc", a.Ref))
}

func (o *Office) ask(ctx context.Context, k kept[askBody], by Person) (kept[askBody], error) {
	defer o.locks.lock(registerAsks, k.City, k.ID)()
	if old, found, err := entered(ctx, o.asks, k); err != nil || found {
		return old, err
	}
	c, err := o.consider(ctx, k, by)
	if err != nil {
		return kept[askBody]{}, err
	}
	k.Body.Decision, k.Body.Row, k.Body.Obligations = c.ruling.Decision, c.ruling.Row.ID, c.ruling.Obligations()
	k.Body.Consent = c.consent
	if k.State, err = o.settle(ctx, &k, c, by); err != nil {
		return kept[askBody]{}, err
	}
	k.DueAt = k.At.Add(longestAsk + keepAccount)
	return o.asks.add(ctx, k)
}

// settle turns the ruling into a state, after its leaf: the one of the release where nothing is released.
func (o *Office) settle(ctx context.Context, k *kept[askBody], c considered, by Person) (string, error) {
	state := AskGranted
	switch {
	case c.ruling.Decision == Deny:
		return string(AskDenied), o.deny(ctx, *k, c, by)
	case c.ruling.Decision == Handle:
		state = AskDenied // the engine dials; there is nothing to show
	case c.ruling.Obliges(TwoPersons):
		state = AskPending
		k.Body.ExpiresAt = earlier(k.At.Add(pendingFor), c.until)
	default:
		k.Body.ExpiresAt = c.expiry(k.At)
	}
	return string(state), o.record(ctx, k.City, KindAsk, k.Call, by, askFacts(*k, string(state)))
}

// deny writes the leaf of a release that is denied, and tells the owner where the row says so.
func (o *Office) deny(ctx context.Context, k kept[askBody], c considered, by Person) error {
	grant, err := o.vault.Release(ctx, c.request)
	if err != nil {
		return err
	}
	if !grant.Denied() {
		return fmt.Errorf("the terms decided otherwise a moment ago: %w", ErrConflict)
	}
	if c.ruling.Obliges(OwnerTold) {
		return o.notify(ctx, k.City, notice{about: NoticeDenied, call: k.Call, ref: k.ID, row: c.ruling.Row.ID, tellSubject: c.tellSubject}, by)
	}
	return nil
}

// askFacts has none of the words that a person wrote: to whom, why.
func askFacts(k kept[askBody], act string) map[string]string {
	b := k.Body
	return map[string]string{"entry": k.ID, "act": act, "purpose": string(b.Purpose), "recipient": string(b.Recipient), "case": b.Case,
		"reason": string(b.Reason), "ref": b.Ref, "consent_ref": b.Consent, "decision": string(b.Decision), "row": b.Row, "second": b.Second.Actor}
}

// Approve is the second person's yes. Errors: ErrNotPermitted, ErrSecondPerson, ErrState, ErrNotFound.
func (o *Office) Approve(ctx context.Context, city call.CityID, id string, by Person) (Ask, error) {
	return o.judge(ctx, city, id, by, AskGranted)
}

// Refuse is the second person's no. Errors as Approve.
func (o *Office) Refuse(ctx context.Context, city call.CityID, id string, by Person) (Ask, error) {
	return o.judge(ctx, city, id, by, AskRefused)
}

func (o *Office) judge(ctx context.Context, city call.CityID, id string, by Person, to AskState) (Ask, error) {
	k, err := change(ctx, o, o.asks, city, id, KindAsk, by, func(k *kept[askBody]) (map[string]string, error) {
		d, _ := dutyOf(k.Body.Purpose, k.Body.Recipient)
		if err := permit(by, d.approves...); err != nil {
			return nil, err
		}
		if err := second(by, k.Body.By); err != nil {
			return nil, err
		}
		if k.State == string(to) && by.Actor == k.Body.Second.Actor {
			return nil, nil
		}
		if o.shownAsk(*k).State != AskPending {
			return nil, fmt.Errorf("%w: it is %s", ErrState, o.shownAsk(*k).State)
		}
		return o.judged(ctx, k, by, to)
	})
	if err != nil {
		return Ask{}, fmt.Errorf("judge a request for a number: %w", err)
	}
	return o.shownAsk(k), nil
}

func (o *Office) judged(ctx context.Context, k *kept[askBody], by Person, to AskState) (map[string]string, error) {
	k.State, k.Body.Second = string(to), o.sign(by)
	if to == AskGranted {
		c, err := o.consider(ctx, *k, Person{Actor: k.Body.By.Actor, Holder: k.Body.By.Holder, Role: k.Body.By.Role})
		if err != nil {
			return nil, err
		}
		k.Body.ExpiresAt = c.expiry(o.now())
	}
	return askFacts(*k, string(to)), nil
}

// AskOf returns one request. Errors: ErrNotFound.
func (o *Office) AskOf(ctx context.Context, city call.CityID, id string) (Ask, error) {
	k, err := o.asks.get(ctx, city, id)
	if err != nil {
		return Ask{}, err
	}
	return o.shownAsk(k), nil
}

// Asks lists the requests, newest first, from below the entry after.
func (o *Office) Asks(ctx context.Context, city call.CityID, after string, limit int) ([]Ask, error) {
	return paged(ctx, o.asks, city, after, limit, o.shownAsk)
}

func (o *Office) shownAsk(k kept[askBody]) Ask {
	b := k.Body
	a := Ask{ID: k.ID, State: AskState(k.State), Call: k.Call, Purpose: b.Purpose, Recipient: b.Recipient, To: withoutNumbers(b.To), Case: b.Case,
		Reason: b.Reason, Ref: b.Ref, Why: withoutNumbers(b.Why), Decision: b.Decision, Row: b.Row, Obligations: b.Obligations,
		Asked: b.By.shown(), ExpiresAt: b.ExpiresAt, Second: b.Second.shown(), Revealed: b.Revealed.shown(), Release: b.Release}
	if (a.State == AskPending || a.State == AskGranted) && !o.now().Before(b.ExpiresAt) {
		a.State = AskExpired
	}
	return a
}

func earlier(a, b time.Time) time.Time {
	if !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
