package ani

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"callhall/call"
)

// Stop is what stood in the way of a release that the terms had allowed. The leaf of a call that was stopped has it,
// keeps the row that allowed, and its result is DENY: whoever checks the leaf sees that nothing went out and why.
type Stop string

// The stops.
const (
	StopCase    Stop = "case"          // the reference may be a number
	StopCap     Stop = "cap"           // O5: too many
	StopPersons Stop = "second-person" // O6: nobody else has approved
	StopLink    Stop = "link"          // O9: the way to the recipient is not encrypted
	StopCarrier Stop = "carrier"       // the carrier on the way may not have it (D04)
	StopTime    Stop = "time"          // O3: it is too late
	StopStore   Stop = "store"         // what is kept could not be read
	StopReuse   Stop = "reuse"         // O2, O4: it was bound to something else, or used up
)

// Stops lists every stop.
func Stops() []Stop {
	return []Stop{StopCase, StopCap, StopPersons, StopLink, StopCarrier, StopTime, StopStore, StopReuse}
}

// facts returns what a ledger leaf says of a decision: all that is needed to decide it again, and what came out. Words
// that are not listed are written as what they count for, so nothing that a stranger wrote gets into the ledger.
func (t Tuple) facts(r Ruling) map[string]string {
	t = t.listed()
	f := map[string]string{
		"purpose": string(t.Purpose), "recipient": string(t.Recipient), "relation": string(t.Relation),
		"privacy": either(t.Open, "none", "restricted"), "number": either(t.Held, "held", "none"), "law": either(t.Protected, "protected", "none"),
		"consent": string(t.Consent), "process": string(t.Process), "profile": string(t.Profile),
		"tariff": either(t.Tariff, "yes", "no"), "narrowed": either(t.Narrowed, "yes", "no"), "verstat": string(t.Verstat),
		"policy": PolicyVersion, "row": r.Row.ID, "result": string(r.Decision), "obligations": joined(r.Obligations()),
	}
	if r.Unverified {
		f["unverified"] = "yes"
	}
	return f
}

// listed returns the tuple with every word that is not known replaced by what it counts for.
func (t Tuple) listed() Tuple {
	t.Purpose = listed(t.Purpose, PurposeUnlisted, Purposes())
	t.Recipient = listed(t.Recipient, RecipientUnlisted, Recipients())
	t.Relation = listed(t.Relation, RelationNone, Relations())
	t.Consent = listed(t.Consent, ConsentNone, Consents())
	t.Process = listed(t.Process, ProcessNone, Processes())
	t.Profile = listed(t.Profile, ProfileNoThirdParty, Profiles())
	t.Verstat = listed(t.Verstat, call.VerstatNone, verstats())
	return t
}

func verstats() []call.Verstat {
	return []call.Verstat{call.VerstatPassed, call.VerstatFailed, call.VerstatNone}
}

// tupleOf is the way back. A fact that is missing, or a word that is not known, is an error: no leaf of ours has one.
func tupleOf(f map[string]string) (Tuple, error) {
	var errs []error
	read := func(err error) { errs = append(errs, err) }
	t := Tuple{
		Purpose: fact(f, "purpose", Purposes(), read), Recipient: fact(f, "recipient", Recipients(), read),
		Relation: fact(f, "relation", Relations(), read), Consent: fact(f, "consent", Consents(), read),
		Process: fact(f, "process", Processes(), read), Profile: fact(f, "profile", Profiles(), read),
		Verstat: fact(f, "verstat", verstats(), read),
		Open:    choice(f, "privacy", "none", "restricted", read), Held: choice(f, "number", "held", "none", read),
		Protected: choice(f, "law", "protected", "none", read),
		Tariff:    choice(f, "tariff", "yes", "no", read), Narrowed: choice(f, "narrowed", "yes", "no", read),
	}
	return t, errors.Join(errs...)
}

// fact reads one word of a list, and choice a yes or a no in its own words. What is wrong goes to read, without the word:
// an error text is no place for what somebody may have put there.
func fact[T ~string](f map[string]string, name string, known []T, read func(error)) T {
	v := T(f[name])
	if !slices.Contains(known, v) {
		read(fmt.Errorf("fact %s is missing or unknown", name))
	}
	return v
}

func choice(f map[string]string, name, yes, no string, read func(error)) bool {
	return fact(f, name, []string{yes, no}, read) == yes
}

func joined[T ~string](all []T) string {
	words := make([]string, len(all))
	for i, o := range all {
		words[i] = string(o)
	}
	return strings.Join(words, ",")
}

func either(b bool, yes, no string) string {
	if b {
		return yes
	}
	return no
}
