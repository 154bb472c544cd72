package ani

import (
	"context"
	"errors"
	"fmt"
	"unicode"

	"callhall/call"
)

// Request asks for a caller's number.
type Request struct {
	City      call.CityID
	Call      call.ID
	Purpose   Purpose
	Recipient Recipient
	Relation  Relation // what the recipient has to do with the call, as the engine knows it, not as they say
	Consent   Consent
	Actor     string // who asks: "agent:ana"
	Case      string // a reference of the recipient's, if any; at most 64 characters and six digits
}

// Grant is the answer to a Request.
type Grant struct {
	Release call.ReleaseID
	Ruling
	Value  Value             // empty unless the decision is FULL or MASK
	Status call.CallerStatus // why there is no number, where there is none
}

// Denied tells whether nothing was released.
func (g Grant) Denied() bool { return g.Decision != Full && g.Decision != Mask && g.Decision != Token }

// ErrCase says that a case reference cannot be told from a telephone number, or is too long.
var ErrCase = errors.New("ani: the case reference is too long or may be a telephone number")

// Release decides what of a caller's number one recipient may have for one purpose. Granted or denied, it writes exactly
// one ledger leaf, which is durable before anything is returned; when the ledger cannot take it nothing is released.
// An error always comes with a grant that is denied. A call that this city does not have is denied like a withheld
// number, without an error.
func (v *Vault) Release(ctx context.Context, r Request) (Grant, error) {
	grant, t, row, err := v.decide(ctx, r)
	if lerr := v.record(ctx, r, t, grant.Ruling, grant.Release, row); lerr != nil {
		return Grant{Release: grant.Release, Ruling: Ruling{Decision: Deny, Row: lastRow()}, Status: call.CallerUnavailable},
			fmt.Errorf("release of %s: %w", r.Call, errors.Join(lerr, err))
	}
	if err != nil {
		return grant, fmt.Errorf("release of %s: %w", r.Call, err)
	}
	return grant, nil
}

func lastRow() *Row { return current.unlisted[len(current.unlisted)-1] }

// decide has every way of saying no in it.
func (v *Vault) decide(ctx context.Context, r Request) (Grant, Tuple, VaultRow, error) {
	row, number, err := v.read(ctx, r.City, r.Call)
	t := v.tuple(r, row, !number.IsZero())
	g := Grant{Release: call.NewReleaseID(), Ruling: Decide(t), Status: row.Status}
	if err == nil && !plainCase(r.Case) {
		err = ErrCase
	}
	if err != nil {
		g.Ruling = Ruling{Decision: Deny, Row: g.Row}
		return g, t, row, err
	}
	g.Value = valueOf(number, g.Decision)
	return g, t, row, nil
}

// read returns the row and its number. What cannot be read, is not there or is past its due time is unavailable, and
// counts as private.
func (v *Vault) read(ctx context.Context, city call.CityID, id call.ID) (VaultRow, Number, error) {
	none := VaultRow{City: city, Call: id, Private: true, Status: call.CallerUnavailable, Verstat: call.VerstatNone, Source: SourceNone}
	row, err := v.store.Get(ctx, city, id)
	if errors.Is(err, ErrNotFound) || err == nil && !v.cfg.Now().Before(row.DueAt) {
		return none, Number{}, nil
	}
	if err != nil {
		return none, Number{}, err
	}
	keys, err := v.cityKeys(city)
	if err != nil {
		return none, Number{}, err
	}
	n, err := openRow(keys, row)
	if err != nil {
		return none, Number{}, err
	}
	return row, n, nil
}

// tuple is everything that the decision depends on.
func (v *Vault) tuple(r Request, row VaultRow, held bool) Tuple {
	profile, ok := v.cfg.Profiles[r.City]
	if !ok {
		profile = ProfileCard
	}
	return Tuple{Purpose: r.Purpose, Recipient: r.Recipient, Open: !row.Private, Held: held, Consent: r.Consent, Process: ProcessNone,
		Profile: profile, Relation: r.Relation, Verstat: row.Verstat}.listed()
}

// record writes a decision to the ledger: the whole tuple, so that whoever verifies can decide again.
func (v *Vault) record(ctx context.Context, r Request, t Tuple, ruling Ruling, id call.ReleaseID, row VaultRow) error {
	err := v.ledger.Append(ctx, r.City, call.Leaf{Kind: KindRelease, At: v.cfg.Now(), Call: r.Call, Actor: r.Actor,
		Facts: facts(r, t, ruling, id, row)})
	result := ruling.Decision
	if err != nil {
		result = Deny
		err = fmt.Errorf("ledger: %w", err)
	}
	v.releases.WithLabelValues(string(t.Purpose), string(result)).Inc()
	if result == Deny {
		v.denied.Inc()
	}
	return err
}

func facts(r Request, t Tuple, ruling Ruling, id call.ReleaseID, row VaultRow) map[string]string {
	f := t.facts(ruling)
	f["release"], f["status"], f["source"] = string(id), string(row.Status), string(row.Source)
	if r.Case != "" {
		f["case"] = "refused"
		if plainCase(r.Case) {
			f["case"] = r.Case
		}
	}
	if ruling.Decision == Deny && Decide(t).Decision != Deny {
		f["stopped"] = string(StopCase)
	}
	return f
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
