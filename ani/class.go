package ani

import (
	"context"

	"callhall/call"
)

// findings are what the engine learns from a caller's number, and the decisions under which it does.
type findings struct {
	class     call.CallerClass
	decisions []decision
	redial    *droppedCall // whose place the caller takes up
}

// classify compares the caller's number with what the city has chosen to compare it with. Each use is a decision of its
// own, one for a call and purpose: routing always; screening only when somebody stands on the city's list, and redial only
// when a dropped caller is remembered, since otherwise nothing is compared and the number is not used. A class that cannot
// be found out is left empty.
func (v *Vault) classify(ctx context.Context, in Incoming, h held) (f findings) {
	use := func(p Purpose) decision {
		d := v.decideHeld(ctx, Request{City: in.City, Call: in.Call, Purpose: p, Recipient: RecipientEngine, Relation: RelationHandling,
			Actor: "engine"}, h)
		f.decisions = append(f.decisions, d)
		return d
	}
	if use(PurposeRouting).ruling.Decision == Full {
		f.class.Area = v.area(in.City, h.Number)
	}
	if h.Number.IsZero() {
		return f
	}
	if v.desk != nil && v.desk.screens(in.City, v.cfg.Now()) && use(PurposeScreening).ruling.Decision == Full {
		f.class.Screened = v.screened(ctx, in, h.Number)
		f.decisions[len(f.decisions)-1].unnamed = !f.class.Screened // who is not on the list leaves no trace by which to be known again
	}
	if v.dropped.any(in.City, v.cfg.Now()) && use(PurposeRedial).ruling.Decision == Token {
		f.redial = v.redial(ctx, in, h.Number)
	}
	if f.redial != nil {
		f.class.Redial, f.class.Since = f.redial.Call, f.redial.Body.Since
	}
	return f
}

// area is the city's name for where a number's area code lies; a caller need not be there.
func (v *Vault) area(city call.CityID, n Number) string {
	digits := n.open()
	if !northAmerican(digits) {
		return ""
	}
	return v.cfg.Areas[city][digits[1:4]]
}

// screened looks for the caller on the city's list. No database is read for it but once in a key's life.
func (v *Vault) screened(ctx context.Context, in Incoming, n Number) bool {
	tokens, err := v.tokensAlive(ctx, in.City, tokenUse(PurposeScreening), n)
	if err != nil {
		v.cfg.Log.Error("caller not compared with the screening list", "call", in.Call, "err", err)
		return false
	}
	return v.desk.screened(in.City, tokens, v.cfg.Now())
}
