package ani

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Explanation says in plain words what the terms make of one tuple, and why.
type Explanation struct {
	Policy      string   `json:"policy"`
	Decision    Decision `json:"decision"`
	Means       string   `json:"means"`
	Row         string   `json:"row"`
	What        string   `json:"what"`
	Citation    string   `json:"citation"`
	Choice      string   `json:"choice,omitempty"` // ours, where the terms leave one
	Why         string   `json:"why"`
	Obligations []Duty   `json:"obligations"`
	Expires     string   `json:"expires,omitempty"` // empty where nothing is released, or nothing of one caller
	Handle      bool     `json:"handle"`            // a handle to call back with comes with it
	Unverified  bool     `json:"unverified"`        // D41
}

// Duty is one obligation in plain words.
type Duty struct {
	ID   Obligation `json:"id"`
	Says string     `json:"says"`
}

// Explain decides like Decide and says why.
func Explain(t Tuple) Explanation {
	t = t.listed()
	r := Decide(t)
	e := Explanation{Policy: PolicyVersion, Decision: r.Decision, Means: r.Decision.means(), Row: r.Row.ID, What: r.Row.What, Citation: r.Row.Citation,
		Choice: r.Row.Choice, Why: why(t, r), Obligations: []Duty{}, Unverified: r.Unverified}
	for _, o := range r.Obligations() {
		e.Obligations = append(e.Obligations, Duty{ID: o, Says: o.says()})
	}
	if r.Decision != Deny {
		e.Expires, e.Handle = r.Row.expires(), r.Row.Handle
	}
	return e
}

// why is one sentence: who asked for what, and which conditions the row found.
func why(t Tuple, r Ruling) string {
	asked := fmt.Sprintf("%s asks for the purpose %s", t.Recipient, t.Purpose)
	if r.Row.ID == "D47" {
		return fmt.Sprintf("%s, and under these circumstances no other row of the terms speaks of it, so nothing is released.", asked)
	}
	found := "without further condition"
	if words := r.Row.line(&t).words(); len(words) > 0 {
		found = "because " + strings.Join(words, ", and ")
	}
	s := fmt.Sprintf("%s, and row %s decides %s %s", asked, r.Row.ID, r.Decision, found)
	if r.Unverified {
		s += "; no carrier vouches for the number, so it is marked unverified (D41)"
	}
	return s + "."
}

// words says what a line asks, one condition each.
func (l *Line) words() []string {
	var all []string
	say := func(ask bool, format string, args ...any) {
		if ask {
			all = append(all, fmt.Sprintf(format, args...))
		}
	}
	say(l.NoNumber, "there is no number")
	say(l.Protected, "a law protects the subject")
	say(l.Narrowed, "the city's settings forbid it")
	say(l.Within != "", "the profile is %s", l.Within)
	say(l.Privacy == Unrestricted, "the caller asked for no restriction")
	say(l.Privacy == Restricted, "the caller asked for privacy, or it is not known")
	say(l.Tariff, "the city charges for calls")
	say(l.NoTariff, "the city does not charge for calls")
	say(l.Relation != "", "%s", l.Relation.says())
	say(l.Consent != "", "consent is %s or stronger", l.Consent)
	say(l.AtMost == ConsentNone, "there is no consent")
	say(l.AtMost != "" && l.AtMost != ConsentNone, "consent is %s at most", l.AtMost)
	say(l.Process != "", "%s", l.Process.says())
	say(l.Profile != "", "the profile is %s", l.Profile)
	return all
}

func (r Relation) says() string {
	switch r {
	case RelationHandling:
		return "the recipient handles this call"
	case RelationDropped:
		return "the recipient handled this call, which was cut off"
	case RelationCarried:
		return "the recipient is the carrier that charged for this call"
	case RelationNamed:
		return "this call stands in the ticket, paper or consent that was given"
	default:
		return "the recipient has nothing to do with this call"
	}
}

func (p Process) says() string {
	switch p {
	case ProcessReason:
		return "a reason code was given"
	case ProcessCase:
		return "a case and a purpose were given"
	case ProcessApproval:
		return "the city approved this one request"
	case ProcessExigency:
		return "an officer of the city took in an exigency form"
	case ProcessPaper:
		return "the city verified a subpoena, order or warrant"
	case ProcessMisserved:
		return "the paper is informal or was served on the vendor"
	case ProcessFinding:
		return "the custodian found in writing that no exemption applies"
	case ProcessVerified:
		return "the subject was verified and the city approved"
	case ProcessBothProven:
		return "subject and agent were both verified"
	case ProcessOptIn:
		return "the number was opted in"
	default:
		return "there is no paper"
	}
}

func (d Decision) means() string {
	switch d {
	case Full:
		return "the number"
	case Mask:
		return "area code and last two digits"
	case Handle:
		return "the engine dials; nothing is shown"
	case Token:
		return "a keyed hash, different for each purpose"
	case Aggregate:
		return "counts of ten and more"
	default:
		return "nothing"
	}
}

func (o Obligation) says() string {
	switch o {
	case Ledgered:
		return "It is in the city's ledger before anything is returned; in an emergency, in a sealed local spool if the ledger is away."
	case Bound:
		return "It may be used for this one call or transaction."
	case Expires:
		return "It expires."
	case NoReuse:
		return "It may not be used again or passed on, and the recipient is told so."
	case Capped:
		return "It counts against a cap, 20 an hour for an agent, and too many raise an alarm."
	case TwoPersons:
		return "Another person approves it first."
	case OwnerTold:
		return "The city's owner is told the same day, and the subject where the law permits."
	case Accounted:
		return "It stands in the subject's accounting for twelve months."
	case Encrypted:
		return "It is carried encrypted and authenticated; in an emergency, over whatever link there is."
	case Recallable:
		return "It is recalled when consent is withdrawn or the number is erased."
	case ShownBriefly:
		return "It is shown and cannot be copied, and the view closes itself."
	default:
		return ""
	}
}

// expires says how long a release by this row may be used; nothing where it does not expire.
func (r *Row) expires() string {
	switch {
	case !slices.Contains(r.Always, Expires):
		return ""
	case r.PerPaper:
		return "with the paper or consent behind it"
	case r.Expiry == 0:
		return "with the call"
	case r.Expiry >= 2*days:
		return fmt.Sprintf("after %d days", r.Expiry/days)
	case r.Expiry >= 2*time.Hour:
		return fmt.Sprintf("after %d hours", r.Expiry/time.Hour)
	default:
		return fmt.Sprintf("after %d minutes", r.Expiry/time.Minute)
	}
}
