package ani

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"callhall/call"
)

// KindProcess is the leaf of a paper that was taken in, verified, closed or read.
const KindProcess = "ani.process/1"

const registerPapers Kind = "process"

// PaperForm is what kind of paper stands behind a request.
type PaperForm string

// The forms of paper.
const (
	PaperSubpoena PaperForm = "subpoena"
	PaperOrder    PaperForm = "order"
	PaperWarrant  PaperForm = "warrant"
	PaperExigency PaperForm = "exigency" // threat to life: the city's form, filled in by its officer
	PaperInformal PaperForm = "informal" // a call, a letter, a badge: never answered
	PaperRecords  PaperForm = "records"  // a request for public records with the custodian's finding that no exemption applies
	PaperTicket   PaperForm = "ticket"   // a carrier's trouble ticket
	PaperDispute  PaperForm = "dispute"  // a charge that is contested with the carrier
)

// PaperForms lists every form.
func PaperForms() []PaperForm {
	return []PaperForm{PaperSubpoena, PaperOrder, PaperWarrant, PaperExigency, PaperInformal, PaperRecords, PaperTicket, PaperDispute}
}

// ServedOn is whom a paper was handed to.
type ServedOn string

// Whom a paper may be served on. Only the city answers.
const (
	ServedOnCity   ServedOn = "city"
	ServedOnVendor ServedOn = "vendor"
)

// paperRule is what a form of paper can stand for.
type paperRule struct {
	purpose  Purpose
	process  Process // once it holds
	relation Relation
	second   bool // holds only when another person has verified it
	written  bool // comes with a copy of what was written
	named    int  // at most so many calls, and all by their id; 0: any number, or a window of time
	takes    []Role
}

var paperRules = map[PaperForm]paperRule{
	PaperSubpoena: {PurposeLegalProcess, ProcessPaper, RelationNamed, true, true, 0, []Role{RolePrivacy, RoleRecords}},
	PaperOrder:    {PurposeLegalProcess, ProcessPaper, RelationNamed, true, true, 0, []Role{RolePrivacy, RoleRecords}},
	PaperWarrant:  {PurposeLegalProcess, ProcessPaper, RelationNamed, true, true, 0, []Role{RolePrivacy, RoleRecords}},
	PaperExigency: {PurposeExigency, ProcessExigency, RelationNamed, false, true, 1, []Role{RolePrivacy, RoleSupervisor}},
	PaperInformal: {PurposeLegalProcess, ProcessMisserved, RelationNone, false, false, 0, []Role{RolePrivacy, RoleRecords, RoleSupervisor, RoleOperator}},
	PaperRecords:  {PurposePublicRecords, ProcessFinding, RelationNamed, true, true, 0, []Role{RolePrivacy, RoleRecords}},
	PaperTicket:   {PurposeTrouble, ProcessNone, RelationNamed, true, false, 10, []Role{RolePrivacy, RoleSupervisor}},
	PaperDispute:  {PurposeDispute, ProcessNone, RelationCarried, true, false, 100, []Role{RolePrivacy, RoleSupervisor}},
}

// NewPaper is a paper that the city's officer takes in.
type NewPaper struct {
	Key           string       `json:"-"`
	Form          PaperForm    `json:"form"`
	Issuer        string       `json:"issuer"`    // the body that issued it
	Reference     string       `json:"reference"` // its reference there: at most 64 characters and six digits
	ServedOn      ServedOn     `json:"served_on"`
	Calls         []call.ID    `json:"calls,omitempty"` // its scope: these calls,
	From          time.Time    `json:"from,omitzero"`   // and those that came from here
	To            time.Time    `json:"to,omitzero"`     // to before here
	Trunk         call.TrunkID `json:"trunk,omitempty"` // the carrier, of a ticket or a dispute
	Until         time.Time    `json:"until"`           // nothing is released under it from then on
	Nondisclosure bool         `json:"nondisclosure"`   // the subject may not be told
	Copy          []byte       `json:"-"`               // of the paper, at most MaxCopy; kept sealed
}

// Paper is a paper as it is shown.
type Paper struct {
	ID            string       `json:"id"`
	State         string       `json:"state" enum:"taken,verified,misserved,closed,expired"`
	Form          PaperForm    `json:"form"`
	Purpose       Purpose      `json:"purpose"` // the one it can be for
	Issuer        string       `json:"issuer"`
	Reference     string       `json:"reference"`
	ServedOn      ServedOn     `json:"served_on"`
	Calls         []call.ID    `json:"calls,omitempty"`
	From          time.Time    `json:"from,omitzero"`
	To            time.Time    `json:"to,omitzero"`
	Trunk         call.TrunkID `json:"trunk,omitempty"`
	Until         time.Time    `json:"until"`
	Nondisclosure bool         `json:"nondisclosure"`
	CopySHA256    string       `json:"copy_sha256,omitempty"`
	CopySize      int          `json:"copy_size"` // bytes
	Taken         *Signature   `json:"taken"`
	Verified      *Signature   `json:"verified,omitempty"`
	Closed        *Signature   `json:"closed,omitempty"`
}

type paperBody struct {
	origin
	Form          PaperForm    `json:"form"`
	Issuer        string       `json:"issuer"`
	Reference     string       `json:"reference"`
	ServedOn      ServedOn     `json:"served_on"`
	Calls         []call.ID    `json:"calls"`
	From          time.Time    `json:"from"`
	To            time.Time    `json:"to"`
	Trunk         call.TrunkID `json:"trunk"`
	Until         time.Time    `json:"until"`
	Nondisclosure bool         `json:"nondisclosure"`
	CopySHA256    string       `json:"copy_sha256"`
	CopySize      int          `json:"copy_size"`
	Verified      signature    `json:"verified"`
	Closed        signature    `json:"closed"`
}

const (
	paperTaken     = "taken"
	paperVerified  = "verified"
	paperMisserved = "misserved"
	paperClosed    = "closed"
)

// TakePaper takes a paper in. One that was served on somebody else than the city, or an informal request, is recorded as
// misserved and forwarded to the city's owner as a notice; no request under it is ever granted. Errors: ErrNotPermitted,
// ErrIncomplete, ErrCase, ErrReused.
func (o *Office) TakePaper(ctx context.Context, city call.CityID, p NewPaper, by Person) (Paper, error) {
	rule, known := paperRules[p.Form]
	if !known {
		return Paper{}, fmt.Errorf("take in a paper: %w: its form", ErrIncomplete)
	}
	if err := permit(by, rule.takes...); err != nil {
		return Paper{}, fmt.Errorf("take in a paper: %w", err)
	}
	if err := p.check(rule); err != nil {
		return Paper{}, fmt.Errorf("take in a paper: %w", err)
	}
	k := o.newPaper(city, p, by)
	if err := o.keepCopy(ctx, k.Entry, k.Body.CopySHA256, p.Copy); err != nil {
		return Paper{}, fmt.Errorf("take in a paper: keep its copy: %w", err)
	}
	k, err := enter(ctx, o, o.papers, k, KindProcess, by, k.Body.facts(k.ID, k.State))
	if err != nil {
		return Paper{}, fmt.Errorf("take in a paper: %w", err)
	}
	if k.State == paperMisserved {
		if err := o.notify(ctx, k.City, notice{about: NoticeMisserved, ref: k.ID}, by); err != nil {
			return Paper{}, fmt.Errorf("take in a paper: forward %s to the owner: %w", k.ID, err)
		}
	}
	return o.shownPaper(k), nil
}

func (o *Office) newPaper(city call.CityID, p NewPaper, by Person) kept[paperBody] {
	digest := ""
	if len(p.Copy) > 0 {
		sum := sha256.Sum256(p.Copy)
		digest = hex.EncodeToString(sum[:])
	}
	state := paperTaken
	if p.ServedOn != ServedOnCity || p.Form == PaperInformal {
		state = paperMisserved
	}
	return kept[paperBody]{
		Entry: Entry{City: city, ID: entryID("prc", city, by, p.Key), State: state, At: o.now(), DueAt: p.Until.UTC().Add(keepAccount)},
		Body: paperBody{origin: origin{o.sign(by), fingerprint(struct {
			NewPaper
			Digest string
		}{p, digest}, Number{})}, Form: p.Form, Issuer: p.Issuer,
			Reference: p.Reference, ServedOn: p.ServedOn, Calls: p.Calls, From: p.From.UTC(), To: p.To.UTC(), Trunk: p.Trunk,
			Until: p.Until.UTC(), Nondisclosure: p.Nondisclosure, CopySHA256: digest, CopySize: len(p.Copy)}}
}

// maxPaperCalls is how many calls one paper can name.
const maxPaperCalls = 1000

func (p NewPaper) check(rule paperRule) error {
	window := !p.From.IsZero() || !p.To.IsZero()
	switch {
	case p.ServedOn != ServedOnCity && p.ServedOn != ServedOnVendor:
		return fmt.Errorf("%w: whom it was served on", ErrIncomplete)
	case p.Issuer == "":
		return fmt.Errorf("%w: who issued it", ErrIncomplete)
	case p.Until.IsZero():
		return fmt.Errorf("%w: until when it holds", ErrIncomplete)
	case len(p.Copy) > MaxCopy:
		return fmt.Errorf("%w: its copy is larger than 10 MiB", ErrIncomplete)
	case len(p.Calls) > maxPaperCalls || slices.ContainsFunc(p.Calls, func(id call.ID) bool { return !call.ValidID("cl", string(id)) }):
		return fmt.Errorf("%w: the ids of its calls", ErrIncomplete)
	case window && !p.To.After(p.From):
		return fmt.Errorf("%w: its window of time", ErrIncomplete)
	case rule.named > 0 && (window || len(p.Calls) == 0 || len(p.Calls) > rule.named):
		return fmt.Errorf("%w: it names 1 to %d calls by their id", ErrIncomplete, rule.named)
	case rule.second && !window && len(p.Calls) == 0:
		return fmt.Errorf("%w: its scope, calls or a window of time", ErrIncomplete)
	case rule.written && len(p.Copy) == 0:
		return fmt.Errorf("%w: a copy of the paper", ErrIncomplete)
	case rule.relation == RelationCarried && p.Trunk == "":
		return fmt.Errorf("%w: the carrier's trunk", ErrIncomplete)
	}
	if err := plainText(p.Issuer); err != nil {
		return err
	}
	return plainRefs(p.Reference, string(p.Trunk))
}

func (b paperBody) facts(id, act string) map[string]string {
	return map[string]string{"entry": id, "act": act, "form": string(b.Form), "served_on": string(b.ServedOn), "reference": b.Reference,
		"copy": b.CopySHA256, "until": stamp(b.Until), "nondisclosure": either(b.Nondisclosure, "yes", "no")}
}

// VerifyPaper says that a paper is what it seems: the issuer was asked, the carrier has that ticket or that dispute, or the
// custodian has found that no exemption applies. Somebody else than who took it in does it. Errors: ErrNotPermitted, ErrSecondPerson, ErrState, ErrNotFound.
func (o *Office) VerifyPaper(ctx context.Context, city call.CityID, id string, by Person) (Paper, error) {
	if err := permit(by, RolePrivacy, RoleRecords); err != nil {
		return Paper{}, fmt.Errorf("verify a paper: %w", err)
	}
	return o.changePaper(ctx, city, id, by, func(k *kept[paperBody]) (map[string]string, error) {
		if k.State == paperVerified && by.Actor == k.Body.Verified.Actor {
			return nil, nil
		}
		if k.State != paperTaken || !o.now().Before(k.Body.Until) {
			return nil, ErrState
		}
		if err := second(by, k.Body.By); err != nil {
			return nil, err
		}
		k.State, k.Body.Verified = paperVerified, o.sign(by)
		return k.Body.facts(id, "verified"), nil
	})
}

// ClosePaper ends a paper: nothing more is released under it. Errors: ErrNotPermitted, ErrNotFound.
func (o *Office) ClosePaper(ctx context.Context, city call.CityID, id string, by Person) (Paper, error) {
	if err := permit(by, RolePrivacy, RoleRecords, RoleSupervisor); err != nil {
		return Paper{}, fmt.Errorf("close a paper: %w", err)
	}
	return o.changePaper(ctx, city, id, by, func(k *kept[paperBody]) (map[string]string, error) {
		if k.State == paperClosed {
			return nil, nil
		}
		k.State, k.Body.Closed = paperClosed, o.sign(by)
		return k.Body.facts(id, "closed"), nil
	})
}

func (o *Office) changePaper(ctx context.Context, city call.CityID, id string, by Person,
	alter func(*kept[paperBody]) (map[string]string, error)) (Paper, error) {
	k, err := change(ctx, o, o.papers, city, id, KindProcess, by, alter)
	if err != nil {
		return Paper{}, fmt.Errorf("change a paper: %w", err)
	}
	return o.shownPaper(k), nil
}

// Paper returns one paper. Errors: ErrNotFound.
func (o *Office) Paper(ctx context.Context, city call.CityID, id string) (Paper, error) {
	k, err := o.papers.get(ctx, city, id)
	if err != nil {
		return Paper{}, err
	}
	return o.shownPaper(k), nil
}

// Papers lists the register, newest first, from below the entry after.
func (o *Office) Papers(ctx context.Context, city call.CityID, after string, limit int) ([]Paper, error) {
	return paged(ctx, o.papers, city, after, limit, o.shownPaper)
}

func (o *Office) shownPaper(k kept[paperBody]) Paper {
	b := k.Body
	p := Paper{ID: k.ID, State: k.State, Form: b.Form, Purpose: paperRules[b.Form].purpose, Issuer: withoutNumbers(b.Issuer), Reference: b.Reference,
		ServedOn: b.ServedOn, Calls: b.Calls, From: b.From, To: b.To, Trunk: b.Trunk, Until: b.Until, Nondisclosure: b.Nondisclosure,
		CopySHA256: b.CopySHA256, CopySize: b.CopySize, Taken: b.By.shown(), Verified: b.Verified.shown(), Closed: b.Closed.shown()}
	if (k.State == paperTaken || k.State == paperVerified) && !o.now().Before(b.Until) {
		p.State = stateExpired
	}
	return p
}

// covers tells whether a call is in the scope of the paper. Nothing outside it is.
func (b paperBody) covers(s subject) bool {
	return slices.Contains(b.Calls, s.call) || !b.To.IsZero() && !s.at.IsZero() && !s.at.Before(b.From) && s.at.Before(b.To)
}

// standsFor is the process and the relation that a paper gives to a request: none for a call outside its scope, for a
// purpose that is not its own, or when it is closed, over or not verified.
func (o *Office) standsFor(k kept[paperBody], s subject, purpose Purpose) (Process, Relation) {
	rule := paperRules[k.Body.Form]
	switch {
	case k.State == paperMisserved:
		return ProcessMisserved, RelationNone
	case purpose != rule.purpose || !k.Body.covers(s) || !o.now().Before(k.Body.Until):
		return ProcessNone, RelationNone
	case k.State == paperVerified || k.State == paperTaken && !rule.second:
		return rule.process, rule.relation
	default:
		return ProcessNone, RelationNone
	}
}
