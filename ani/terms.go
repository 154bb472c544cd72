package ani

import (
	"slices"

	"callhall/call"
)

// PolicyVersion names this table in every ledger leaf, so that a decision can be checked later against the terms that it
// was made under. It changes with every change of a row.
const PolicyVersion = "terms-1"

// Purpose is what a number is asked for. A purpose that is not one of these is none, whatever it says.
type Purpose string

// The purposes that this version knows.
const (
	PurposeRouting     Purpose = "routing"         // which city, queue and area a call belongs to
	PurposeLiveCall    Purpose = "completion-live" // serving the call that is going on
	PurposeQuality     Purpose = "quality-review"  // review and training
	PurposeConference  Purpose = "conference"      // a third party on the call: interpreter, barge, conference
	PurposeIntegration Purpose = "integration"     // any other system: CRM pop, webhook, mail, chat, trace, backup
	PurposeUnlisted    Purpose = "unlisted"        // anything else
)

// Recipient is the kind of who would get the number.
type Recipient string

// The kinds of recipient.
const (
	RecipientEngine     Recipient = "ENG" // this program only
	RecipientAgent      Recipient = "AGT" // the agent who handles the call
	RecipientSupervisor Recipient = "SUP"
	RecipientCity       Recipient = "CITY" // another agency of the same city
	RecipientCarrier    Recipient = "TRK"
	RecipientPSAP       Recipient = "PSAP" // 911
	RecipientPolice     Recipient = "LE"   // police or court
	RecipientPublic     Recipient = "PUB"  // who asks for public records
	RecipientSubject    Recipient = "SUBJ" // the caller, verified
	RecipientVendor     Recipient = "VEND" // who runs this program, and their contractors
	RecipientPrivate    Recipient = "PRIV" // a private third party
	RecipientOtherCity  Recipient = "XT"   // another city and whoever works for it
	RecipientUnlisted   Recipient = "unlisted"
)

// Consent is what the caller has agreed to, from weakest to strongest.
type Consent string

// The kinds of consent.
const (
	ConsentNone        Consent = "none"
	ConsentVerbal      Consent = "verbal"      // on the call, and logged
	ConsentAffirmative Consent = "affirmative" // after a notice
	ConsentWritten     Consent = "written"     // prior and written
)

// Profile is a city's choice of terms. It can only narrow.
type Profile string

// The profiles.
const (
	ProfileCard         Profile = "card"           // routing, billing, completion
	ProfileNYC          Profile = "nyc-3.3"        // adds screening, network performance, directly related service
	ProfileNoThirdParty Profile = "no-third-party" // card without private third parties
)

// Relation is what the recipient has to do with the call.
type Relation string

// The relations.
const (
	RelationNone     Relation = "none"
	RelationHandling Relation = "handling" // handles this call, which is going on
)

// Decision is what may leave.
type Decision string

// The decisions, from narrowest to widest.
const (
	Deny  Decision = "DENY"
	Token Decision = "TOKEN" // a keyed hash, unlinkable between purposes
	Mask  Decision = "MASK"  // area code and last two digits
	Full  Decision = "FULL"
)

// Obligation is a duty that comes with a release.
type Obligation string

// The obligations.
const (
	Ledgered  Obligation = "O1" // in the ledger before the value is returned
	Bound     Obligation = "O2" // usable for this one call
	Expires   Obligation = "O3" // with the call
	NoReuse   Obligation = "O4" // no reuse and no onward disclosure
	Accounted Obligation = "O8" // in the subject's accounting
	Encrypted Obligation = "O9" // carried encrypted and authenticated
)

// Tuple is everything that a decision depends on. Values that are not known count as the strictest.
type Tuple struct {
	Purpose   Purpose
	Recipient Recipient
	Private   bool // the caller asked for any restriction, or it is not known
	Held      bool // there is a number at all
	Consent   Consent
	Profile   Profile
	Relation  Relation
	Verstat   call.Verstat
}

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
		!(r.Open && t.Private) &&
		!(r.NoNumber && t.Held) &&
		(r.Relation == "" || r.Relation == t.Relation)
}

// listed returns v if it is one of known, and otherwise fallback. What a stranger wrote goes no further.
func listed[T ~string](v, fallback T, known ...T) T {
	if slices.Contains(known, v) {
		return v
	}
	return fallback
}

func (p Purpose) listed() Purpose {
	return listed(p, PurposeUnlisted, PurposeRouting, PurposeLiveCall, PurposeQuality, PurposeConference, PurposeIntegration)
}

func (r Recipient) listed() Recipient {
	return listed(r, RecipientUnlisted, RecipientEngine, RecipientAgent, RecipientSupervisor, RecipientCity, RecipientCarrier,
		RecipientPSAP, RecipientPolice, RecipientPublic, RecipientSubject, RecipientVendor, RecipientPrivate, RecipientOtherCity)
}

func (c Consent) listed() Consent {
	return listed(c, ConsentNone, ConsentVerbal, ConsentAffirmative, ConsentWritten)
}

func (p Profile) listed() Profile {
	return listed(p, ProfileNoThirdParty, ProfileCard, ProfileNYC)
}

func (r Relation) listed() Relation { return listed(r, RelationNone, RelationHandling) }
