package ani

import (
	"slices"
	"time"

	"callhall/call"
)

// Row is one row of the terms.
type Row struct {
	ID         string
	What       string
	Purposes   []Purpose   // none: any
	Except     []Purpose   // but not these
	Recipients []Recipient // none: any
	Lines      []Line      // the first that fits decides; where none does the row says nothing
	Always     []Obligation
	Expiry     time.Duration // how long what it releases may be used; 0: as long as the call
	PerPaper   bool          // as long as the paper or the consent behind it says
	Handle     bool          // a handle comes with it, which dials without showing
	Citation   string
	Choice     string // what we chose where the terms leave a choice
}

// Line is one outcome of a row, and what must hold for it. A condition that is not set is none.
type Line struct {
	Privacy   Wish
	Relation  Relation
	Consent   Consent // this or a stronger one
	AtMost    Consent // this or a weaker one
	Process   Process
	Profile   Profile // this or a wider one
	Within    Profile // this or a narrower one
	Tariff    bool    // the city has one
	NoTariff  bool    // the city has none
	NoNumber  bool    // there is no number
	Protected bool    // a law protects the subject
	Narrowed  bool    // the city forbids it

	Decision Decision
	Also     []Obligation // besides Row.Always, and even where it denies
}

// Wish is what a line asks of the caller's wish for privacy.
type Wish string

// The wishes; the zero value is either.
const (
	Unrestricted Wish = "none"       // known to have asked for no restriction
	Restricted   Wish = "restricted" // asked for any restriction, or it is not known
)

// Ruling is a decision with its reason.
type Ruling struct {
	Decision   Decision
	Row        *Row // of the terms, shared: read only
	Unverified bool // D41: a person may see something, and no carrier vouches for it
}

// Decide applies the terms. It is pure and total: every tuple has exactly one ruling, and the same one always.
func Decide(t Tuple) Ruling { return current.decide(t) }

// Terms returns the table as it is printed, which is not quite the order in which it is tried.
func Terms() []Row { return slices.Clone(terms) }

// Obligations returns the duties that come with the ruling, in the order of their numbers. The row alone does not tell
// them: a denial has none but those of its line, and the same row may ask more for the number than for a token.
func (r Ruling) Obligations() []Obligation {
	var all []Obligation
	for _, o := range Obligations() {
		if r.Obliges(o) {
			all = append(all, o)
		}
	}
	return all
}

// Obliges tells whether a duty comes with the ruling.
func (r Ruling) Obliges(o Obligation) bool {
	if r.Row == nil {
		return false
	}
	if r.Decision != Deny && slices.Contains(r.Row.Always, o) {
		return true
	}
	i := slices.IndexFunc(r.Row.Lines, func(l Line) bool { return l.Decision == r.Decision })
	return i >= 0 && slices.Contains(r.Row.Lines[i].Also, o)
}

// policy is one version of the terms, with what its rows are found by.
type policy struct {
	version   string
	unlisted  []*Row // in the order in which they are tried for a purpose that no row names
	byPurpose map[Purpose][]*Row
}

var current = newPolicy(PolicyVersion, terms, firstRows, "D47")

// newPolicy orders rows: first the ones that are named so, then the others as they stand, then last.
func newPolicy(version string, rows []Row, first []string, last string) *policy {
	ordered := make([]*Row, 0, len(rows))
	for _, id := range append(slices.Clone(first), "", last) {
		for i := range rows {
			named := slices.Contains(first, rows[i].ID) || rows[i].ID == last
			if rows[i].ID == id || id == "" && !named {
				ordered = append(ordered, &rows[i])
			}
		}
	}
	p := &policy{version: version, byPurpose: map[Purpose][]*Row{}}
	p.unlisted = rowsFor(ordered, PurposeUnlisted)
	for _, purpose := range Purposes() {
		p.byPurpose[purpose] = rowsFor(ordered, purpose)
	}
	return p
}

// rowsFor returns the rows that speak of a purpose.
func rowsFor(ordered []*Row, purpose Purpose) []*Row {
	var rows []*Row
	for _, row := range ordered {
		if row.speaksOf(purpose) {
			rows = append(rows, row)
		}
	}
	return rows
}

func (r *Row) speaksOf(p Purpose) bool {
	return (r.Purposes == nil || slices.Contains(r.Purposes, p)) && !slices.Contains(r.Except, p)
}

func (p *policy) decide(t Tuple) Ruling {
	rows, ok := p.byPurpose[t.Purpose]
	if !ok {
		rows = p.unlisted
	}
	for _, row := range rows {
		if line := row.line(&t); line != nil {
			unverified := sees(t.Recipient, line.Decision) && t.Verstat != call.VerstatPassed
			return Ruling{Decision: line.Decision, Row: row, Unverified: unverified}
		}
	}
	return Ruling{Decision: Deny, Row: rows[len(rows)-1]} // not reached: the last row of a policy fits everything
}

// line returns the line of the row that decides, and nil where the row says nothing of this tuple.
func (r *Row) line(t *Tuple) *Line {
	if r.Recipients != nil && !slices.Contains(r.Recipients, t.Recipient) {
		return nil
	}
	for i := range r.Lines {
		if line := &r.Lines[i]; line.fits(t) {
			return line
		}
	}
	return nil
}

func (l *Line) fits(t *Tuple) bool {
	return (l.Privacy == "" || (l.Privacy == Unrestricted) == t.Open) &&
		(l.Relation == "" || l.Relation == t.Relation) &&
		(l.Consent == "" || t.Consent.strength() >= l.Consent.strength()) &&
		(l.AtMost == "" || t.Consent.strength() <= l.AtMost.strength()) &&
		(l.Process == "" || l.Process == t.Process) &&
		(l.Profile == "" || t.Profile.breadth() >= l.Profile.breadth()) &&
		(l.Within == "" || t.Profile.breadth() <= l.Within.breadth()) &&
		!(l.Tariff && !t.Tariff) && !(l.NoTariff && t.Tariff) && !(l.NoNumber && t.Held) &&
		!(l.Protected && !t.Protected) && !(l.Narrowed && !t.Narrowed)
}

// strength orders kinds of consent. One that is not known is none.
func (c Consent) strength() int {
	switch c {
	case ConsentWritten:
		return 3
	case ConsentAffirmative:
		return 2
	case ConsentVerbal:
		return 1
	default:
		return 0
	}
}

// breadth orders profiles. One that is not known is the narrowest.
func (p Profile) breadth() int {
	switch p {
	case ProfileNYC:
		return 2
	case ProfileCard:
		return 1
	default:
		return 0
	}
}

// sees tells whether a decision lets a person see or dial something. Counts are of no one caller; the engine, carriers
// and gateways are machines.
func sees(r Recipient, d Decision) bool {
	switch r {
	case RecipientEngine, RecipientTrunk, RecipientStranger, RecipientGateway:
		return false
	default:
		return d != Deny && d != Aggregate
	}
}
