package ani

import (
	"slices"

	"callhall/call"
)

// PolicyVersion names this table in every ledger leaf, so that a decision can be checked later against the terms that it
// was made under. It changes with every change of a row.
const PolicyVersion = "terms-1"

// Row is one row of the terms.
type Row struct {
	ID          string
	What        string
	Purposes    []Purpose   // none: any
	Recipients  []Recipient // none: any
	Open        bool        // only where the caller asked for no restriction
	NoNumber    bool        // only where there is no number
	Relation    Relation    // empty: any
	Decision    Decision
	Obligations []Obligation
	Citation    string
}

// terms are tried from top to bottom and the first row that fits decides: what forbids stands before what permits, and
// the last row fits everything. No row of this version asks for consent or differs by profile.
var terms = []Row{
	{ID: "D40", What: "any purpose, another city", Recipients: []Recipient{RecipientOtherCity},
		Decision: Deny, Citation: "NYC 311 privacy policy: customer data stays with its city"},
	{ID: "D44", What: "interpreter, conference party or supervisor's leg", Purposes: []Purpose{PurposeConference},
		Recipients: []Recipient{RecipientPrivate, RecipientSupervisor},
		Decision:   Deny, Citation: "ANI terms 3.3(c)"},
	{ID: "D45", What: "another system: pop, webhook, mail, chat, trace, backup", Purposes: []Purpose{PurposeIntegration},
		Recipients: []Recipient{RecipientVendor, RecipientCity},
		Decision:   Deny, Citation: "ANI terms 3.3(c)"},
	{ID: "D34", What: "quality review and training", Purposes: []Purpose{PurposeQuality}, Recipients: []Recipient{RecipientSupervisor},
		Decision: Deny, Citation: "ANI terms 3.3, 3.1: the call's id is enough"},
	{ID: "D42", What: "withheld or unavailable upstream", NoNumber: true,
		Decision: Deny, Citation: "RFC 8496 §5.2.1: never inferred from another header"},
	{ID: "D01", What: "routing inside the engine", Purposes: []Purpose{PurposeRouting}, Recipients: []Recipient{RecipientEngine},
		Decision: Full, Obligations: []Obligation{Ledgered, Bound, Expires, Encrypted},
		Citation: "ANI terms 3.3(a); 47 CFR 64.1602(a)(1)"},
	{ID: "D08", What: "the agent of the live call", Purposes: []Purpose{PurposeLiveCall}, Recipients: []Recipient{RecipientAgent},
		Open: true, Relation: RelationHandling,
		Decision: Mask, Obligations: []Obligation{Ledgered, Bound, Expires, NoReuse, Accounted, Encrypted},
		Citation: "ANI terms 3.1, 3.3(a)"},
	{ID: "D47", What: "everything else", Decision: Deny, Citation: "NYC 311 privacy policy: no purpose, no use"},
}

// Terms returns the table in the order in which it is tried.
func Terms() []Row { return slices.Clone(terms) }

// Ruling is a decision with its reason.
type Ruling struct {
	Decision   Decision
	Row        *Row // of the terms, shared: read only
	Unverified bool // D41: a person may see something, and no carrier vouches for it
}

// Decide applies the terms. It is pure and total: every tuple has exactly one ruling, and the same one always.
func Decide(t Tuple) Ruling {
	for i := range terms {
		if row := &terms[i]; row.fits(t) {
			person := t.Recipient != RecipientEngine && row.Decision != Deny
			return Ruling{Decision: row.Decision, Row: row, Unverified: person && t.Verstat != call.VerstatPassed}
		}
	}
	return Ruling{Decision: Deny, Row: &terms[len(terms)-1]}
}

func (r *Row) fits(t Tuple) bool {
	return (r.Purposes == nil || slices.Contains(r.Purposes, t.Purpose)) &&
		(r.Recipients == nil || slices.Contains(r.Recipients, t.Recipient)) &&
		(!r.Open || t.Open) &&
		!(r.NoNumber && t.Held) &&
		(r.Relation == "" || r.Relation == t.Relation)
}
