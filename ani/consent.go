package ani

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"callhall/call"
)

// KindConsent is the leaf of a consent that was entered or withdrawn.
const KindConsent = "ani.consent/1"

const registerConsents Kind = "consent"

// keepAccount is for how long after its end an entry is kept, so that a subject's accounting can name it.
const keepAccount = 366 * 24 * time.Hour

// maxConsent is the longest time that a consent may be given for.
const maxConsent = 10 * 366 * 24 * time.Hour

// NewConsent is a consent that an officer of the city enters. Its kind is ConsentWritten, or ConsentAffirmative after a
// notice. There is no kind for somebody who merely goes on using the line.
type NewConsent struct {
	Key        string      `json:"-"` // of a retried request
	Kind       Consent     `json:"kind"`
	Subscriber string      `json:"subscriber"`
	Number     Entered     `json:"number"`
	Purposes   []Purpose   `json:"purposes"`
	Recipients []Recipient `json:"recipients"`
	Parties    []string    `json:"parties,omitempty"` // recipients by name, where the paper names them
	Evidence   Evidence    `json:"evidence"`
	Notice     string      `json:"notice,omitempty"` // version of the notice, for ConsentAffirmative
	From       time.Time   `json:"from"`
	Until      time.Time   `json:"until"`
}

// Evidence is the file that a consent stands in.
type Evidence struct {
	SHA256 string `json:"sha256"` // of the file, in hexadecimal
	Kept   string `json:"kept"`   // where the city keeps it
}

// NewVerbalConsent is what a caller said on a call, entered by the agent who handles it. It holds for that call alone.
type NewVerbalConsent struct {
	Key        string      `json:"-"`
	Call       call.ID     `json:"call"`
	Purposes   []Purpose   `json:"purposes"`
	Recipients []Recipient `json:"recipients"`
}

// ConsentEntry is a consent as it is shown.
type ConsentEntry struct {
	ID         string      `json:"id"`
	State      string      `json:"state" enum:"active,withdrawn,expired"`
	Kind       Consent     `json:"kind"`
	Call       call.ID     `json:"call,omitempty"` // of a verbal one
	Subscriber string      `json:"subscriber,omitempty"`
	Purposes   []Purpose   `json:"purposes"`
	Recipients []Recipient `json:"recipients"`
	Parties    []string    `json:"parties,omitempty"`
	Evidence   Evidence    `json:"evidence"`
	Notice     string      `json:"notice,omitempty"`
	From       time.Time   `json:"from"`
	Until      time.Time   `json:"until"`
	Entered    *Signature  `json:"entered"`
	Withdrawn  *Signature  `json:"withdrawn,omitempty"`
}

type consentBody struct {
	origin
	Kind       Consent     `json:"kind"`
	Subscriber string      `json:"subscriber"`
	Number     bodyNumber  `json:"number"`
	Purposes   []Purpose   `json:"purposes"`
	Recipients []Recipient `json:"recipients"`
	Parties    []string    `json:"parties"`
	Evidence   Evidence    `json:"evidence"`
	Notice     string      `json:"notice"`
	From       time.Time   `json:"from"`
	Until      time.Time   `json:"until"`
	Withdrawn  signature   `json:"withdrawn"`
}

const (
	consentActive    = "active"
	consentWithdrawn = "withdrawn"
	stateExpired     = "expired"
)

// consentable says which purposes each kind of consent can be for. No row of the terms asks for it elsewhere.
var consentable = map[Consent][]Purpose{
	ConsentVerbal:      {PurposeDropped, PurposeTransfer, PurposeServiceRequest, PurposeCallback},
	ConsentAffirmative: {PurposeLookup, PurposeNotice},
	ConsentWritten:     {PurposeLookup, PurposeServiceRequest, PurposeMarketing, PurposeDisclosure, PurposeNotice, PurposeSubjectRights},
}

var sha256Form = regexp.MustCompile(`^[0-9a-f]{64}$`)

// EnterConsent enters a written or affirmative consent. It is for the privacy officer. Errors: ErrNotPermitted,
// ErrIncomplete, ErrCase, ErrReused; ErrState where a first try entered it and it was withdrawn since.
func (o *Office) EnterConsent(ctx context.Context, city call.CityID, c NewConsent, by Person) (ConsentEntry, error) {
	if err := permit(by, RolePrivacy); err != nil {
		return ConsentEntry{}, err
	}
	if err := c.check(); err != nil {
		return ConsentEntry{}, fmt.Errorf("enter a consent: %w", err)
	}
	token, _, err := o.vault.token(ctx, city, useConsent, c.Number.Number())
	if err != nil {
		return ConsentEntry{}, fmt.Errorf("enter a consent: %w", err)
	}
	body := consentBody{origin: origin{o.sign(by), fingerprint(c, c.Number.Number())}, Kind: c.Kind, Subscriber: c.Subscriber,
		Number: bodyNumber{c.Number.Number()}, Purposes: c.Purposes, Recipients: c.Recipients, Parties: c.Parties, Evidence: c.Evidence,
		Notice: c.Notice, From: c.From.UTC(), Until: c.Until.UTC()}
	k := kept[consentBody]{Entry: Entry{City: city, ID: entryID("cns", city, by, c.Key), Token: token, State: consentActive,
		At: o.now(), DueAt: c.Until.UTC().Add(keepAccount)}, Body: body}
	return o.enterConsent(ctx, k, by)
}

// EnterVerbalConsent enters what the caller said. It is for the agent who handles the call, while it is going on. Errors:
// ErrNotPermitted, ErrIncomplete, ErrReused, ErrState (as EnterConsent).
func (o *Office) EnterVerbalConsent(ctx context.Context, city call.CityID, c NewVerbalConsent, by Person) (ConsentEntry, error) {
	if err := permit(by, RoleAgent); err != nil {
		return ConsentEntry{}, err
	}
	if !listedAll(c.Purposes, consentable[ConsentVerbal]) || !listedAll(c.Recipients, Recipients()) {
		return ConsentEntry{}, fmt.Errorf("enter a verbal consent: %w: its purposes or recipients", ErrIncomplete)
	}
	relation, _, err := o.relation(ctx, city, c.Call, by)
	if err != nil {
		return ConsentEntry{}, fmt.Errorf("enter a verbal consent: %w", err)
	}
	if relation != RelationHandling {
		return ConsentEntry{}, fmt.Errorf("enter a verbal consent: %w: only who handles the call heard it", ErrNotPermitted)
	}
	return o.enterVerbal(ctx, city, c, by)
}

func (o *Office) enterVerbal(ctx context.Context, city call.CityID, c NewVerbalConsent, by Person) (ConsentEntry, error) {
	now := o.now()
	body := consentBody{origin: origin{o.sign(by), fingerprint(c, Number{})}, Kind: ConsentVerbal, Purposes: c.Purposes,
		Recipients: c.Recipients, From: now, Until: now.Add(KeepFor)}
	k := kept[consentBody]{Entry: Entry{City: city, ID: entryID("cns", city, by, c.Key), Call: c.Call, State: consentActive,
		At: now, DueAt: now.Add(keepAccount)}, Body: body}
	return o.enterConsent(ctx, k, by)
}

func (o *Office) enterConsent(ctx context.Context, k kept[consentBody], by Person) (ConsentEntry, error) {
	k, err := enter(ctx, o, o.consents, k, KindConsent, by, k.Body.facts(k.ID, "entered"))
	if err != nil {
		return ConsentEntry{}, fmt.Errorf("enter a consent: %w", err)
	}
	if k.State != consentActive {
		return ConsentEntry{}, fmt.Errorf("enter a consent: %s was entered before, and taken back since: %w", k.ID, ErrState)
	}
	return o.shownConsent(k), nil
}

// facts has neither subscriber nor party: a person wrote those.
func (b consentBody) facts(id, act string) map[string]string {
	return map[string]string{"entry": id, "act": act, "kind": string(b.Kind), "purposes": joined(b.Purposes), "recipients": joined(b.Recipients),
		"evidence": b.Evidence.SHA256, "from": stamp(b.From), "until": stamp(b.Until)}
}

func (c NewConsent) check() error {
	switch {
	case c.Kind != ConsentWritten && c.Kind != ConsentAffirmative:
		return fmt.Errorf("%w: its kind is written or affirmative", ErrIncomplete)
	case c.Number.IsZero():
		return fmt.Errorf("%w: the number", ErrIncomplete)
	case c.Subscriber == "":
		return fmt.Errorf("%w: the subscriber", ErrIncomplete)
	case !listedAll(c.Purposes, consentable[c.Kind]):
		return fmt.Errorf("%w: its purposes are %s", ErrIncomplete, joined(consentable[c.Kind]))
	case !listedAll(c.Recipients, Recipients()):
		return fmt.Errorf("%w: its recipients", ErrIncomplete)
	case !sha256Form.MatchString(c.Evidence.SHA256) || c.Evidence.Kept == "":
		return fmt.Errorf("%w: the evidence, its SHA-256 and where it is kept", ErrIncomplete)
	case c.Kind == ConsentAffirmative && c.Notice == "":
		return fmt.Errorf("%w: the version of the notice", ErrIncomplete)
	case c.From.IsZero() || !c.Until.After(c.From) || c.Until.Sub(c.From) > maxConsent:
		return fmt.Errorf("%w: from and until, at most ten years", ErrIncomplete)
	}
	if len(c.Parties) > 100 || slices.ContainsFunc(c.Parties, func(p string) bool { return strings.TrimSpace(p) == "" }) {
		return fmt.Errorf("%w: its parties, at most 100, each with a name", ErrIncomplete)
	}
	if len(c.Parties) == 0 && slices.ContainsFunc(c.Purposes, namesWhom) {
		return fmt.Errorf("%w: for one of its purposes it must name who may have the number", ErrIncomplete)
	}
	if err := plainText(append(slices.Clone(c.Parties), c.Subscriber, c.Evidence.Kept)...); err != nil {
		return err
	}
	return plainRefs(c.Notice)
}

// listedAll tells whether there are any, and all of them known.
func listedAll[T comparable](all, known []T) bool {
	return len(all) > 0 && len(all) <= len(known) && !slices.ContainsFunc(all, func(v T) bool { return !slices.Contains(known, v) })
}

// WithdrawConsent ends a consent at once. Every release that was made under it is recalled: a message to its recipient
// stands in the register of recalls until the city has delivered it. Who withdraws again finishes what was begun.
// It is for the privacy officer, and a verbal one also for who entered it. Errors: ErrNotPermitted, ErrNotFound.
func (o *Office) WithdrawConsent(ctx context.Context, city call.CityID, id string, by Person) (ConsentEntry, error) {
	k, err := change(ctx, o, o.consents, city, id, KindConsent, by, func(k *kept[consentBody]) (map[string]string, error) {
		if by.Role != RolePrivacy && !(k.Body.Kind == ConsentVerbal && by.Actor == k.Body.By.Actor) {
			return nil, fmt.Errorf("%w: it is for the privacy officer", ErrNotPermitted)
		}
		if k.State == consentWithdrawn {
			return nil, nil
		}
		k.State, k.Body.Withdrawn = consentWithdrawn, o.sign(by)
		return k.Body.facts(id, "withdrawn"), nil
	})
	if err != nil {
		return ConsentEntry{}, fmt.Errorf("withdraw a consent: %w", err)
	}
	if err := o.recallConsent(ctx, k, by); err != nil {
		return ConsentEntry{}, fmt.Errorf("withdraw a consent: recall what was released under %s: %w", id, err)
	}
	return o.shownConsent(k), nil
}

// Consent returns one consent. Errors: ErrNotFound.
func (o *Office) Consent(ctx context.Context, city call.CityID, id string) (ConsentEntry, error) {
	k, err := o.consents.get(ctx, city, id)
	if err != nil {
		return ConsentEntry{}, err
	}
	return o.shownConsent(k), nil
}

// Consents lists the register, newest first, from below the entry after.
func (o *Office) Consents(ctx context.Context, city call.CityID, after string, limit int) ([]ConsentEntry, error) {
	return paged(ctx, o.consents, city, after, limit, o.shownConsent)
}

func (o *Office) shownConsent(k kept[consentBody]) ConsentEntry {
	b := k.Body
	e := ConsentEntry{ID: k.ID, State: k.State, Kind: b.Kind, Call: k.Call, Subscriber: withoutNumbers(b.Subscriber), Purposes: b.Purposes,
		Recipients: b.Recipients, Evidence: Evidence{b.Evidence.SHA256, withoutNumbers(b.Evidence.Kept)}, Notice: b.Notice, From: b.From,
		Until: b.Until, Entered: b.By.shown(), Withdrawn: b.Withdrawn.shown()}
	for _, p := range b.Parties {
		e.Parties = append(e.Parties, withoutNumbers(p))
	}
	if k.State == consentActive && !o.now().Before(b.Until) {
		e.State = stateExpired
	}
	return e
}

// consented looks for the strongest consent that holds now for a purpose and recipient: of the call, or of its number.
// An affirmative one counts only for calls that came after it: what was collected before was collected without.
func (o *Office) consented(ctx context.Context, s subject, purpose Purpose, to Recipient, party string) (kept[consentBody], bool, error) {
	all, err := o.consents.of(ctx, s.city, s.call)
	if err != nil {
		return kept[consentBody]{}, false, err
	}
	if !s.number.IsZero() {
		tokens, err := o.vault.tokensAlive(ctx, s.city, useConsent, s.number)
		if err != nil {
			return kept[consentBody]{}, false, err
		}
		ofNumber, err := o.consents.with(ctx, s.city, tokens...)
		if err != nil {
			return kept[consentBody]{}, false, err
		}
		all = append(all, ofNumber...)
	}
	now, best, found := o.now(), kept[consentBody]{}, false
	for _, k := range all {
		b := k.Body
		holds := k.State == consentActive && !now.Before(b.From) && now.Before(b.Until) && slices.Contains(b.Purposes, purpose) &&
			slices.Contains(b.Recipients, to) && namesParty(b.Parties, party, namesWhom(purpose)) && !(b.Kind == ConsentAffirmative && s.at.Before(b.From))
		if holds && (!found || slices.Index(Consents(), b.Kind) > slices.Index(Consents(), best.Body.Kind)) {
			best, found = k, true
		}
	}
	return best, found, nil
}

// namesWhom tells whether a consent for this purpose holds for nobody whom it does not name: where the recipient is not
// the city or its own gateway, "anybody" is no answer.
func namesWhom(p Purpose) bool {
	return p == PurposeMarketing || p == PurposeDisclosure || p == PurposeSubjectRights
}

// namesParty tells whether a consent that names its recipients names this one; must says that it has to name them.
func namesParty(parties []string, party string, must bool) bool {
	party = strings.TrimSpace(party)
	if len(parties) == 0 {
		return !must
	}
	return party != "" && slices.ContainsFunc(parties, func(p string) bool { return strings.EqualFold(strings.TrimSpace(p), party) })
}
