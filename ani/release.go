package ani

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"
	"unicode"

	"callhall/call"
)

// Request asks for a caller's number. On what consent or paper it rests, nobody outside this package says: the privacy
// office fills that in from its registers.
type Request struct {
	City      call.CityID
	Call      call.ID
	Purpose   Purpose
	Recipient Recipient
	Relation  Relation // what the recipient has to do with the call, as the engine knows it, not as they say
	Actor     string   // who asks: "agent:ana"
	Case      string   // a reference of the recipient's, if any; at most 64 characters and six digits
	To        string   // which recipient of that kind, as configured: a partner's id; as Case

	grounds
}

// grounds are what a request rests on.
type grounds struct {
	consent Consent
	process Process
	reason  string    // a code, as Case
	ref     string    // the register's entry behind consent or process
	second  string    // who approved it, another than the actor
	until   time.Time // by the paper or the consent; zero for the row's time
	open    bool      // the way to the recipient is neither encrypted nor private (O9)
	halt    Stop      // what the office holds it for: a cap, a time that is over
	account accountOf
}

// Grant is the answer to a Request.
type Grant struct {
	Release call.ReleaseID
	Ruling
	Value  Value             // empty unless the decision is FULL or MASK
	Token  string            // 32 hexadecimal digits; empty unless the decision is TOKEN
	Status call.CallerStatus // why there is no number, where there is none
	Until  time.Time         // when the recipient's right to it ends; zero: with the call
	Words  string            // what goes with it to the recipient: for what it may be used, and that it is not to be passed on
	Stop   Stop              // what stopped a release that the terms allow
}

// Denied tells whether nothing was released.
func (g Grant) Denied() bool { return g.Decision == Deny || g.Decision == "" }

var (
	// ErrCase says that a reference cannot be told from a telephone number, or is too long.
	ErrCase = errors.New("ani: the case reference is too long or may be a telephone number")
	// ErrNotApproved says that what needs a second person has not had their yes.
	ErrNotApproved = errors.New("ani: the second person has not approved it yet")
	// ErrSecondPerson says that whoever began something cannot be the one who confirms it.
	ErrSecondPerson = errors.New("ani: another person than the one who began it must do this")
	// ErrHandle says that a call-back handle is over, is not this city's, or may not be dialled.
	ErrHandle = errors.New("ani: the handle cannot be dialled")
)

// Release decides what of a caller's number one recipient may have for one purpose. Granted or denied, it writes exactly
// one ledger leaf, which is durable before anything is returned; when the ledger cannot take it nothing is released, but
// for an emergency, whose leaf then waits in the sealed local spool. An error always comes with a grant that is denied. A
// call that this city does not have is denied like a withheld number, without an error. Errors: ErrCase, ErrSecondPerson,
// and those of store and ledger.
func (v *Vault) Release(ctx context.Context, r Request) (Grant, error) {
	d, err := v.decide(ctx, r)
	if lerr := v.record(ctx, d); lerr != nil {
		d.deny("")
		err = errors.Join(lerr, err)
	}
	return d.grant(), wrapUnless(err, "release of %s", r.Call)
}

// Destination returns the number behind a call-back handle, for the Request-URI of the call newCall that the engine places
// and for nothing else (D09, D10, D49): nobody is shown it but the carrier by which the call goes, of the trunk by. One
// leaf, of the call that the handle stands for, and a line in the subject's accounting where an agent has it dialled, both
// with that trunk. Errors: ErrHandle, and those of store and ledger.
func (v *Vault) Destination(ctx context.Context, city call.CityID, handle string, newCall call.ID, actor string, by call.TrunkID) (Value, error) {
	if v.desk == nil {
		return Value{}, fmt.Errorf("call back for %s: %w", newCall, ErrHandle)
	}
	r, err := v.desk.redeem(ctx, city, handle, newCall, actor)
	if err != nil {
		return Value{}, fmt.Errorf("call back for %s: %w", newCall, err)
	}
	r.To = plainName(string(by))
	d, err := v.decide(ctx, r)
	if err := errors.Join(err, v.record(ctx, d)); err != nil {
		return Value{}, fmt.Errorf("call back for %s: %w", newCall, err)
	}
	if d.ruling.Decision != Handle {
		return Value{}, fmt.Errorf("call back for %s: %w", newCall, ErrHandle)
	}
	return valueOf(d.who.Number, Full), nil
}

// consider decides without releasing anything, and without a leaf.
func (v *Vault) consider(ctx context.Context, r Request) (Ruling, error) {
	h, err := v.findFor(ctx, r)
	if err != nil {
		return Ruling{}, fmt.Errorf("consider a release of %s: %w", r.Call, err)
	}
	return Decide(v.tuple(r, h)), nil
}

// A decision is one request and everything that came of it.
type decision struct {
	Request
	release call.ReleaseID
	at      time.Time
	who     held
	tuple   Tuple
	ruling  Ruling
	stop    Stop // why a release that the terms allow is denied
	token   []byte
	key     string // of token
	found   string // of a search: how many calls
	fault   error  // why there is no token
	unnamed bool   // the leaf is to say of no number that it was this one
}

// decide finds the caller and decides. With an error the decision is Deny, and is to be recorded all the same.
func (v *Vault) decide(ctx context.Context, r Request) (decision, error) {
	h, err := v.findFor(ctx, r)
	d := v.decideHeld(ctx, r, h)
	return d, errors.Join(err, d.err())
}

// err is what the one who asked must hear of it besides the denial.
func (d *decision) err() error {
	switch {
	case d.urgent():
		return nil
	case !d.plain():
		return ErrCase // also where the terms denied before that
	case d.stop == StopPersons:
		return ErrSecondPerson
	default:
		return d.fault
	}
}

// plain tells whether nothing that was typed may carry a number out of here.
func (d *decision) plain() bool { return plainCase(d.Case) && plainCase(d.To) && plainCase(d.reason) }

// find returns the caller of a call: from memory while it goes on, otherwise from the store. A caller who cannot be read,
// is not there or is past the due time is unavailable and counts as private.
func (v *Vault) find(ctx context.Context, city call.CityID, id call.ID) (held, error) {
	if l := v.live.find(city, id); l != nil {
		return l.held, nil
	}
	none := held{Identity: Identity{Private: true, Status: call.CallerUnavailable, Verstat: call.VerstatNone, Source: SourceNone}}
	row, err := v.store.Get(ctx, city, id)
	if errors.Is(err, ErrNotFound) || err == nil && !v.cfg.Now().Before(row.DueAt) {
		return none, nil
	}
	if err != nil {
		return none, err
	}
	h, err := v.openStored(row)
	if err != nil {
		return none, err
	}
	return h, nil
}

// openStored opens a row as the store has it. Errors: ErrDamaged.
func (v *Vault) openStored(row VaultRow) (h held, err error) {
	err = v.withKeys(row.City, func(keys []Key) (err error) {
		h, err = openRow(keys, row)
		return err
	})
	return h, err
}

// decideHeld decides about a caller who was found.
func (v *Vault) decideHeld(ctx context.Context, r Request, h held) decision {
	return v.decideTuple(ctx, r, h, v.tuple(r, h))
}

// decideTuple has every way of saying no in it.
func (v *Vault) decideTuple(ctx context.Context, r Request, h held, t Tuple) decision {
	d := decision{Request: r, release: call.NewReleaseID(), at: v.cfg.Now(), who: h, tuple: t}
	d.ruling = Decide(d.tuple)
	d.fault = v.addToken(ctx, &d)
	if d.ruling.Decision == Deny || d.urgent() { // nothing holds an emergency back
		return d
	}
	switch {
	case !d.plain():
		d.deny(StopCase)
	case d.ruling.Obliges(TwoPersons) && (r.second == "" || r.second == r.Actor):
		d.deny(StopPersons)
	case r.halt != "":
		d.deny(r.halt)
	case r.open && d.ruling.Decision == Full:
		d.deny(StopLink)
	case d.fault != nil:
		d.deny(StopStore)
	}
	return d
}

// deny takes back what the terms allow.
func (d *decision) deny(why Stop) {
	d.ruling, d.stop = Ruling{Decision: Deny, Row: d.ruling.Row}, why
}

// urgent tells whether this is the hand-over to 911, which waits for nothing, with a number or without.
func (d *decision) urgent() bool {
	return d.tuple.Purpose == PurposeEmergency && d.tuple.Recipient == RecipientPSAP
}

// tuple is everything that the decision depends on.
func (v *Vault) tuple(r Request, h held) Tuple {
	t := Tuple{Purpose: r.Purpose, Recipient: r.Recipient, Relation: r.Relation, Open: !h.Private, Held: !h.Number.IsZero(),
		Consent: r.consent, Process: r.process, Profile: v.profile(r.City), Tariff: v.cfg.Tariffs[r.City], Verstat: h.Verstat}.listed()
	t.Protected = v.desk != nil && v.desk.protects(r.City, h.Number, v.cfg.Now())
	t.Narrowed = v.cfg.Narrow[r.City].Forbids(t)
	return t
}

// addToken gives the decision the token by which its leaf is of this number and of no other. Its key belongs to the
// purpose and dies with its period: what stays in the ledger is then noise. An emergency takes a key that is in memory,
// or none.
func (v *Vault) addToken(ctx context.Context, d *decision) (err error) {
	use := tokenUse(d.tuple.Purpose)
	if d.who.Number.IsZero() || d.ruling.Decision == Deny {
		return nil
	}
	if d.urgent() {
		d.token, d.key = v.knownToken(d.City, use, d.who.Number)
		return nil
	}
	d.token, d.key, err = v.token(ctx, d.City, use, d.who.Number)
	return err
}

// grant is what the one who asked gets.
func (d *decision) grant() Grant {
	g := Grant{Release: d.release, Ruling: d.ruling, Value: valueOf(d.who.Number, d.ruling.Decision), Status: d.who.Status, Stop: d.stop}
	if g.Denied() {
		return g
	}
	if g.Decision == Token {
		g.Token = hex.EncodeToString(d.token)
	}
	g.Until, g.Words = d.until(), d.words()
	return g
}

// until is when the right to what was released ends; zero is with the call.
func (d *decision) until() time.Time {
	if !d.grounds.until.IsZero() {
		return d.grounds.until
	}
	if d.ruling.Row.Expiry == 0 {
		return time.Time{}
	}
	return d.at.Add(d.ruling.Row.Expiry)
}

// words state O2 to O4 to the recipient.
func (d *decision) words() string {
	if !d.ruling.Obliges(NoReuse) {
		return ""
	}
	end := "as long as the call lasts"
	if until := d.until(); !until.IsZero() {
		end = "until " + until.UTC().Format(time.RFC3339)
	}
	what := "call " + string(d.Call)
	if d.Call == "" {
		what, end = "case "+d.Case, "as long as it needs"
	}
	return fmt.Sprintf("Released for %s in %s only, %s. It may not be used for anything else, kept for longer or passed on.",
		d.tuple.Purpose, what, end)
}

// record writes a decision to the ledger: the whole tuple, so that whoever verifies can decide again. What goes to anybody
// but the engine stands in the subject's accounting too; the two are written side by side, so that they share a commit, and
// both are durable before a value is returned.
func (v *Vault) record(ctx context.Context, d decision) error {
	err := v.write(ctx, d)
	result := d.ruling.Decision
	if err != nil {
		result = Deny
	}
	v.counts.releases.WithLabelValues(string(d.tuple.Purpose), string(result)).Inc()
	if result == Deny {
		v.counts.denied.Inc()
	}
	return err
}

func (v *Vault) write(ctx context.Context, d decision) error {
	if d.urgent() {
		v.appendUrgently(ctx, d.City, d.leaf())
		if d.accounted() {
			v.discloseUrgently(ctx, d)
		}
		return nil
	}
	if !d.accounted() {
		return wrapUnless(v.ledger.Append(ctx, d.City, d.leaf()), "ledger")
	}
	var line error
	var writing sync.WaitGroup
	writing.Go(func() { line = v.addDisclosure(ctx, d) })
	leaf := v.ledger.Append(ctx, d.City, d.leaf())
	writing.Wait()
	switch {
	case leaf != nil && line == nil:
		return errors.Join(fmt.Errorf("ledger: %w", leaf), v.takeBack(ctx, d))
	case leaf != nil:
		return fmt.Errorf("ledger: %w", errors.Join(leaf, line))
	default:
		return wrapUnless(line, "accounting of %s", d.release)
	}
}

func (d *decision) leaf() call.Leaf {
	f := d.tuple.facts(d.ruling)
	f["release"], f["status"], f["source"] = string(d.release), string(d.who.Status), string(d.who.Source)
	put := func(name, value string) {
		if value != "" {
			f[name] = value
		}
	}
	put("stopped", string(d.stop))
	if d.tuple.Purpose == PurposeRouting { // once for each call
		put("stir", d.who.proved.why)
		put("diverted", either(d.who.proved.diverted, "yes", ""))
	}
	for _, typed := range [...]struct{ name, value string }{{"case", d.Case}, {"reason", d.reason}, {"to", d.To}} {
		if !plainCase(typed.value) {
			typed.value = "refused"
		}
		put(typed.name, typed.value)
	}
	put("ref", d.ref)
	put("second", d.second)
	put("found_count", d.found)
	if d.ruling.Decision != Deny && !d.until().IsZero() {
		put("until", stamp(d.until()))
	}
	if !d.unnamed {
		tokenFacts(f, d.token, d.key)
	}
	return call.Leaf{Kind: KindRelease, At: d.at, Call: d.Call, Actor: d.Actor, Facts: f}
}

// plainCase tells whether a reference may stand in the ledger: it could otherwise carry a number out of here.
func plainCase(s string) bool {
	digits := 0
	for _, r := range s {
		if unicode.IsDigit(r) {
			digits++
		}
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return len(s) <= 64 && digits < minDigits
}
