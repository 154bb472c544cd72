package ani

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"callhall/call"
)

const registerDisclosures Kind = "disclosure"

// accountFor is how far back a subject's accounting reaches.
const accountFor = 366 * 24 * time.Hour

// Disclosure is one release to somebody outside the engine, as it stands in the subject's accounting.
type Disclosure struct {
	Release   call.ReleaseID `json:"release"` // as in the ledger
	At        time.Time      `json:"at"`
	Call      call.ID        `json:"call"`
	Purpose   Purpose        `json:"purpose"`
	Recipient Recipient      `json:"recipient"`
	To        string         `json:"to,omitempty"`
	Decision  Decision       `json:"decision"`
	Row       string         `json:"row"`
	Citation  string         `json:"citation"`
}

type disclosureBody struct {
	Actor     string         `json:"actor"`
	Release   call.ReleaseID `json:"release"`
	Purpose   Purpose        `json:"purpose"`
	Recipient Recipient      `json:"recipient"`
	To        string         `json:"to"`
	Decision  Decision       `json:"decision"`
	Row       string         `json:"row"`
	Citation  string         `json:"citation"`
	Ask       string         `json:"ask"`
	Consent   string         `json:"consent"`
	Recall    bool           `json:"recall"` // O10
	Silent    bool           `json:"silent"` // a paper forbids that the subject is told
}

// accountOf is what the office knows of a release besides the request.
type accountOf struct {
	to      string // the recipient, by name
	ask     string
	consent string
	silent  bool // a paper forbids that the subject is told
}

// accounted tells whether a decision belongs into the subject's accounting (O8): what gives something to anybody but the
// engine. A handle that was dialled for an agent is among it: nobody saw the number, but a carrier was given it to dial.
func (d *decision) accounted() bool {
	given := []Decision{Full, Mask, Token, Handle}
	return slices.Contains(given, d.ruling.Decision) && d.tuple.Recipient != RecipientEngine && (d.ruling.Obliges(Accounted) || d.ruling.Obliges(Recallable))
}

// accountLine is what a line of the accounting is made of. In memory and in the spool it has the number, sealed; in the
// register it has a token.
type accountLine struct {
	City   call.CityID    `json:"city"`
	Call   call.ID        `json:"call"`
	At     time.Time      `json:"at"`
	Number bodyNumber     `json:"number"`
	Body   disclosureBody `json:"body"`
}

func (d *decision) line() accountLine {
	return accountLine{d.City, d.Call, d.at.UTC(), bodyNumber{d.who.Number},
		disclosureBody{Actor: d.Actor, Release: d.release, Purpose: d.tuple.Purpose, Recipient: d.tuple.Recipient, To: cmp.Or(d.account.to, d.To),
			Decision: d.ruling.Decision, Row: d.ruling.Row.ID, Citation: d.ruling.Row.Citation, Ask: d.account.ask, Consent: d.account.consent,
			Recall: d.ruling.Obliges(Recallable), Silent: d.account.silent}}
}

// discloseUrgently writes a hand-over to 911 into the subject's accounting beside the call: nothing waits for it. The line
// is in the spool first, which Run moves into the register; where there is no spool, what the register cannot take is
// tried again from memory.
func (v *Vault) discloseUrgently(ctx context.Context, d decision) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), urgentTries)
	v.urgent.Go(func() {
		defer cancel()
		line := d.line()
		spooled := v.spoolLine(line)
		err := v.addLine(ctx, line)
		if err == nil {
			return
		}
		v.cfg.Log.Warn("a number went to 911 and is not in the subject's accounting yet; tried again in seconds", "call", d.Call, "err", err)
		if spooled != nil && !v.late.add(line) {
			v.cfg.Log.Error("a number went to 911 and the subject's accounting has no line of it; the ledger has the release",
				"call", d.Call, "release", d.release, "err", spooled)
		}
	})
}

func (v *Vault) spoolLine(line accountLine) error {
	if v.lines == nil {
		return errNoSpool
	}
	return addTo(v.lines, line.City, line)
}

// lateAccounts are hand-overs to 911 that neither register nor spool could take at the time. The ledger, or its spool, has
// them.
type lateAccounts struct {
	mu  sync.Mutex
	all []accountLine
}

// maxLate bounds them; a register and a disk that are away for longer than that many emergencies lose lines that the ledger
// has.
const maxLate = 1000

// add tells whether there was room.
func (l *lateAccounts) add(line accountLine) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.all) == maxLate {
		return false
	}
	l.all = append(l.all, line)
	return true
}

func (l *lateAccounts) take() []accountLine {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.all
	l.all = nil
	return all
}

// accountLate tries again what the register could not take.
func (v *Vault) accountLate(ctx context.Context) error {
	var errs []error
	for _, line := range v.late.take() {
		if err := v.addLine(ctx, line); err != nil && !errors.Is(err, ErrExists) {
			if !v.late.add(line) {
				err = fmt.Errorf("lost, for there are too many: %w", err)
			}
			errs = append(errs, fmt.Errorf("accounting of %s: %w", line.Body.Release, err))
		}
	}
	return errors.Join(errs...)
}

// addDisclosure writes a release into the subject's accounting.
func (v *Vault) addDisclosure(ctx context.Context, d decision) error { return v.addLine(ctx, d.line()) }

// addLine writes a line of the subject's accounting, where a token of the number finds it for twelve months. Errors:
// ErrExists.
func (v *Vault) addLine(ctx context.Context, line accountLine) error {
	token, _, err := v.token(ctx, line.City, useAccounting, line.Number.Number)
	if err != nil {
		return err
	}
	_, err = v.disclosures().add(ctx, kept[disclosureBody]{Entry: Entry{City: line.City, ID: disclosureID(line.Body.Release), Call: line.Call,
		Token: token, State: "made", At: line.At, DueAt: line.At.Add(accountFor)}, Body: line.Body})
	return err
}

// takeBack removes the line of a release that its leaf did not allow.
func (v *Vault) takeBack(ctx context.Context, d decision) error {
	return v.store.EraseEntries(context.WithoutCancel(ctx), d.City, registerDisclosures, []string{disclosureID(d.release)})
}

func disclosureID(r call.ReleaseID) string { return derivedID("dsc", string(r)) }

func (v *Vault) disclosures() register[disclosureBody] {
	return register[disclosureBody]{v, registerDisclosures}
}

func shownDisclosure(k kept[disclosureBody]) Disclosure {
	b := k.Body
	return Disclosure{Release: b.Release, At: k.At, Call: k.Call, Purpose: b.Purpose, Recipient: b.Recipient, To: withoutNumbers(b.To),
		Decision: b.Decision, Row: b.Row, Citation: b.Citation}
}
