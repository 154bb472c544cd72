package ani

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"callhall/call"
)

var (
	// ErrRuling says that a leaf of the ledger does not come out of the terms which it names.
	ErrRuling = errors.New("ani: the leaf is not what its terms decide")
	// ErrPolicyUnknown says that a leaf names terms that this program does not know. A newer one may.
	ErrPolicyUnknown = errors.New("ani: the leaf names terms that are not known here")
)

// CheckLeaf decides a leaf of a release again, from what it says, under the terms that it names. Leaves of other kinds
// are none of its business. Errors: ErrRuling, ErrPolicyUnknown. It reads nothing but the leaf.
func CheckLeaf(leaf call.Leaf) error {
	if leaf.Kind != KindRelease {
		return nil
	}
	switch leaf.Facts["policy"] {
	case PolicyVersion:
		return checkFacts(leaf.Facts)
	case "terms-1":
		return check1(leaf.Facts)
	default:
		return ErrPolicyUnknown
	}
}

func checkFacts(f map[string]string) error {
	t, err := tupleOf(f)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRuling, err)
	}
	if why, ok := f["stir"]; ok && (why != word(why) || (why == wordPassed) != (t.Verstat == call.VerstatPassed)) {
		return fmt.Errorf("%w: what the signatures came to is not what verstat says", ErrRuling)
	}
	ruling := Decide(t)
	if stop, ok := f["stopped"]; ok {
		if ruling.Decision == Deny || !slices.Contains(Stops(), Stop(stop)) {
			return fmt.Errorf("%w: stopped, where there was nothing to stop or by nothing known", ErrRuling)
		}
		ruling = Ruling{Decision: Deny, Row: ruling.Row}
	}
	return sameOutcome(f, ruling)
}

// sameOutcome compares what came out. It names no value of the leaf.
func sameOutcome(f map[string]string, r Ruling) error {
	for name, want := range map[string]string{"row": r.Row.ID, "result": string(r.Decision), "obligations": joined(r.Obligations()),
		"unverified": either(r.Unverified, "yes", "")} {
		if f[name] != want {
			return fmt.Errorf("%w: %s should be %q", ErrRuling, name, want)
		}
	}
	return nil
}

var policy1 = newPolicy("terms-1", terms1, first1, "D47")

// check1 decides by the terms before these. They knew no law, tariff, narrowing or process, kept no mark of D41, and
// wrote a release that was stopped for its case reference as row D47.
func check1(f map[string]string) error {
	full := maps.Clone(f)
	for name, value := range map[string]string{"law": "none", "tariff": "no", "narrowed": "no"} {
		if _, ok := f[name]; ok {
			return fmt.Errorf("%w: those terms had no fact %s", ErrRuling, name)
		}
		full[name] = value
	}
	t, err := tupleOf(full)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrRuling, err)
	}
	ruling := policy1.decide(t)
	if f["case"] == "refused" && t.Held {
		ruling = Ruling{Decision: Deny, Row: policy1.unlisted[len(policy1.unlisted)-1]}
	}
	ruling.Unverified = false
	return sameOutcome(full, ruling)
}
