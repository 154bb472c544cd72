package ani

import (
	"context"
	"errors"
	"fmt"
	"time"

	"callhall/call"
)

// KindRecall is the leaf of a recall: made, and delivered.
const KindRecall = "ani.recall/1"

const registerRecalls Kind = "recall"

// Recall is a message to who was given a number that they must no longer use it (O10). It stands in this register until
// the city has delivered it.
type Recall struct {
	ID        string         `json:"id"`
	State     string         `json:"state" enum:"open,delivered"`
	At        time.Time      `json:"at"`
	Call      call.ID        `json:"call"`
	Release   call.ReleaseID `json:"release"`
	Recipient Recipient      `json:"recipient"`
	To        string         `json:"to,omitempty"`
	Because   RecallCause    `json:"because"`
	Consent   string         `json:"consent,omitempty"`
	Message   string         `json:"message"`
	Delivered *Signature     `json:"delivered,omitempty"`
}

// RecallCause is why a release is recalled.
type RecallCause string

// The causes.
const (
	RecallWithdrawn RecallCause = "withdrawn" // the consent was
	RecallErased    RecallCause = "erased"    // the number came to its due time
)

// recallMessage is what the recipient is told.
const recallMessage = "The number that was given to you with this release may no longer be used. Delete it, and tell us that you have."

type recallBody struct {
	origin
	Release   call.ReleaseID `json:"release"`
	Recipient Recipient      `json:"recipient"`
	To        string         `json:"to"`
	Because   RecallCause    `json:"because"`
	Consent   string         `json:"consent"`
	Delivered signature      `json:"delivered"`
}

const (
	recallOpen      = "open"
	recallDelivered = "delivered"
)

// recallConsent recalls every release that was made under a consent, and takes back what was granted and not yet
// revealed.
func (o *Office) recallConsent(ctx context.Context, c kept[consentBody], by Person) error {
	var errs []error
	err := through(ctx, o.asks, c.City, func(k kept[askBody]) bool {
		if k.Body.Consent == c.ID {
			errs = append(errs, o.recallAsk(ctx, k, by))
		}
		return k.At.Before(c.At) // nothing older can rest on it
	})
	made, err2 := o.disclosuresUnder(ctx, c)
	for _, d := range made {
		errs = append(errs, o.recall(ctx, d, RecallWithdrawn, by))
	}
	return errors.Join(append(errs, err, err2)...)
}

// disclosuresUnder finds what was released under a consent: of its call or of its number.
func (o *Office) disclosuresUnder(ctx context.Context, c kept[consentBody]) (under []kept[disclosureBody], err error) {
	var all []kept[disclosureBody]
	if c.Call != "" {
		all, err = o.disclosures.of(ctx, c.City, c.Call)
	} else {
		all, err = o.disclosuresOf(ctx, c.City, c.Body.Number.Number)
	}
	for _, d := range all {
		if d.Body.Consent == c.ID {
			under = append(under, d)
		}
	}
	return under, err
}

// recallAsk takes a request back that nobody has revealed yet.
func (o *Office) recallAsk(ctx context.Context, k kept[askBody], by Person) error {
	_, err := change(ctx, o, o.asks, k.City, k.ID, KindAsk, by, func(k *kept[askBody]) (map[string]string, error) {
		if k.State != string(AskPending) && k.State != string(AskGranted) {
			return nil, nil
		}
		k.State = string(AskRecalled)
		return askFacts(*k, string(AskRecalled)), nil
	})
	return err
}

// recall enters the message to one recipient, once, and tells the owner.
func (o *Office) recall(ctx context.Context, d kept[disclosureBody], because RecallCause, by Person) error {
	now := o.now()
	k := kept[recallBody]{
		Entry: Entry{City: d.City, ID: derivedID("rcl", string(d.Body.Release)), Call: d.Call, State: recallOpen, At: now, DueAt: now.Add(keepAccount)},
		Body: recallBody{origin: origin{By: o.sign(by)}, Release: d.Body.Release, Recipient: d.Body.Recipient, To: d.Body.To,
			Because: because, Consent: d.Body.Consent}}
	_, err := enter(ctx, o, o.recalls, k, KindRecall, by, map[string]string{"entry": k.ID, "act": "made", "because": string(because),
		"release": string(d.Body.Release), "recipient": string(d.Body.Recipient), "consent_ref": d.Body.Consent})
	if err != nil {
		return fmt.Errorf("recall %s: %w", d.Body.Release, err)
	}
	return o.notify(ctx, d.City, notice{about: NoticeRecall, call: d.Call, ref: k.ID, row: d.Body.Row, tellSubject: !d.Body.Silent}, by)
}

// recallErased recalls what was released of numbers that have come to their due time, where the terms want it so. Doing it
// again does nothing.
func (o *Office) recallErased(ctx context.Context, city call.CityID, calls []call.ID) error {
	var errs []error
	for _, id := range calls {
		made, err := o.disclosures.of(ctx, city, id)
		errs = append(errs, err)
		for _, d := range made {
			if d.Body.Recall {
				errs = append(errs, o.recall(ctx, d, RecallErased, Person{Actor: "engine"}))
			}
		}
	}
	return errors.Join(errs...)
}

// Recalls lists the register, newest first, from below the entry after.
func (o *Office) Recalls(ctx context.Context, city call.CityID, after string, limit int) ([]Recall, error) {
	return paged(ctx, o.recalls, city, after, limit, shownRecall)
}

// RecallDelivered says that the recipient has the message. Errors: ErrNotPermitted, ErrNotFound.
func (o *Office) RecallDelivered(ctx context.Context, city call.CityID, id string, by Person) (Recall, error) {
	if err := permit(by, RolePrivacy, RoleRecords); err != nil {
		return Recall{}, fmt.Errorf("deliver a recall: %w", err)
	}
	k, err := change(ctx, o, o.recalls, city, id, KindRecall, by, func(k *kept[recallBody]) (map[string]string, error) {
		if k.State == recallDelivered {
			return nil, nil
		}
		k.State, k.Body.Delivered = recallDelivered, o.sign(by)
		return map[string]string{"act": "delivered", "release": string(k.Body.Release)}, nil
	})
	if err != nil {
		return Recall{}, fmt.Errorf("deliver a recall: %w", err)
	}
	return shownRecall(k), nil
}

func shownRecall(k kept[recallBody]) Recall {
	b := k.Body
	return Recall{ID: k.ID, State: k.State, At: k.At, Call: k.Call, Release: b.Release, Recipient: b.Recipient, To: withoutNumbers(b.To),
		Because: b.Because, Consent: b.Consent, Message: recallMessage, Delivered: b.Delivered.shown()}
}
