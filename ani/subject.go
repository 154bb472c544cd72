package ani

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"callhall/call"
)

// KindAccounting is the leaf of a subject's request for what is known of them, and of its answer.
const KindAccounting = "ani.accounting/1"

const registerSubjects Kind = "subject-request"

// ProofKind is how somebody proved who they are.
type ProofKind string

// The kinds of proof. Two different ones of the first four verify somebody; to call from a number proves nothing (D32).
const (
	ProofDocument ProofKind = "document"  // an identity document
	ProofInPerson ProofKind = "in-person" // at a counter of the city
	ProofLetter   ProofKind = "letter"    // a code sent to the address on file
	ProofAccount  ProofKind = "account"   // signed in at the carrier or the city
	ProofNumber   ProofKind = "number"    // called from it
)

// ProofKinds lists every kind.
func ProofKinds() []ProofKind {
	return []ProofKind{ProofDocument, ProofInPerson, ProofLetter, ProofAccount, ProofNumber}
}

// Proof is one proof, with where the city keeps the evidence.
type Proof struct {
	Kind     ProofKind `json:"kind"`
	Evidence string    `json:"evidence"` // a reference: at most 64 characters and six digits
}

// NewSubjectRequest is a subject, or who acts for one, asking what was given out of their number.
type NewSubjectRequest struct {
	Key         string  `json:"-"`
	Name        string  `json:"name"`
	Number      Entered `json:"number"`
	Proofs      []Proof `json:"proofs"`
	Agent       string  `json:"agent,omitempty"` // the name of who acts for the subject
	AgentProofs []Proof `json:"agent_proofs,omitempty"`
	Permission  string  `json:"permission,omitempty"` // the subject's written consent for that, by its id
}

// SubjectRequest is such a request as it is shown.
type SubjectRequest struct {
	ID            string     `json:"id"`
	State         string     `json:"state" enum:"asked,approved,refused,denied,answered"`
	Name          string     `json:"name"`
	Agent         string     `json:"agent,omitempty"`
	Proofs        []Proof    `json:"proofs"`
	AgentProofs   []Proof    `json:"agent_proofs,omitempty"`
	NeedsDecision bool       `json:"needs_decision"` // the third in twelve months: the city decides, and nobody refuses it unseen
	Entered       *Signature `json:"entered"`
	Second        *Signature `json:"second,omitempty"` // who approved or refused for the city
	Code          string     `json:"code,omitempty"`   // of the exemption, where it was refused
	AnswerBy      time.Time  `json:"answer_by,omitzero"`
	Answered      *Signature `json:"answered,omitempty"`
}

// Account is the answer: the subject's own number, and every release of it to others in the last twelve months.
type Account struct {
	Request     SubjectRequest `json:"request"`
	Row         string         `json:"row"`
	Number      Value          `json:"-"` // for the subject alone
	From        time.Time      `json:"from"`
	To          time.Time      `json:"to"`
	Disclosures []Disclosure   `json:"disclosures"`
}

type subjectBody struct {
	origin
	Name        string     `json:"name"`
	Number      bodyNumber `json:"number"`
	Proofs      []Proof    `json:"proofs"`
	Agent       string     `json:"agent"`
	AgentProofs []Proof    `json:"agent_proofs"`
	Permission  string     `json:"permission"`
	Third       bool       `json:"third"`
	Second      signature  `json:"second"`
	Code        string     `json:"code"`
	Answered    signature  `json:"answered"`
}

const (
	subjectAsked    = "asked"
	subjectApproved = "approved"
	subjectRefused  = "refused"
	subjectDenied   = "denied"
	subjectAnswered = "answered"

	answerWithin    = 45 * 24 * time.Hour // from the city's approval
	freeRequests    = 2                   // in twelve months
	maxProofs       = 10
	verifyingProofs = 2
)

// AskAccount takes a subject's request in. Without two proofs of different kinds it is denied. Errors: ErrNotPermitted,
// ErrIncomplete, ErrCase, ErrReused.
func (o *Office) AskAccount(ctx context.Context, city call.CityID, n NewSubjectRequest, by Person) (SubjectRequest, error) {
	if err := permit(by, RolePrivacy, RoleRecords); err != nil {
		return SubjectRequest{}, fmt.Errorf("take in a subject's request: %w", err)
	}
	if err := n.check(); err != nil {
		return SubjectRequest{}, fmt.Errorf("take in a subject's request: %w", err)
	}
	k, err := o.newSubject(ctx, city, n, by)
	if err != nil {
		return SubjectRequest{}, fmt.Errorf("take in a subject's request: %w", err)
	}
	_, ruling, err := o.considerSubject(ctx, k)
	if err != nil {
		return SubjectRequest{}, fmt.Errorf("take in a subject's request: %w", err)
	}
	if ruling.Decision == Deny {
		k.State = subjectDenied
	}
	k, err = enter(ctx, o, o.subjects, k, KindAccounting, by, map[string]string{"entry": k.ID, "act": k.State, "row": ruling.Row.ID,
		"result": string(ruling.Decision), "agent": either(n.Agent != "", "yes", "no"), "third": either(k.Body.Third, "yes", "no")})
	if err != nil {
		return SubjectRequest{}, fmt.Errorf("take in a subject's request: %w", err)
	}
	return shownSubject(k), nil
}

func (n NewSubjectRequest) check() error {
	if n.Name == "" || n.Number.IsZero() {
		return fmt.Errorf("%w: the subject's name and number", ErrIncomplete)
	}
	refs := []string{}
	for _, p := range slices.Concat(n.Proofs, n.AgentProofs) {
		if !slices.Contains(ProofKinds(), p.Kind) {
			return fmt.Errorf("%w: a proof is one of %s", ErrIncomplete, joined(ProofKinds()))
		}
		refs = append(refs, p.Evidence)
	}
	if len(refs) > 2*maxProofs {
		return fmt.Errorf("%w: too many proofs", ErrIncomplete)
	}
	if err := plainText(n.Name, n.Agent); err != nil {
		return err
	}
	return errors.Join(plainRefs(refs...), entryRef("cns", n.Permission))
}

func (o *Office) newSubject(ctx context.Context, city call.CityID, n NewSubjectRequest, by Person) (kept[subjectBody], error) {
	number := n.Number.Number()
	token, _, err := o.vault.token(ctx, city, useAccounting, number)
	if err != nil {
		return kept[subjectBody]{}, err
	}
	k := kept[subjectBody]{Entry: Entry{City: city, ID: entryID("sbj", city, by, n.Key), Token: token, State: subjectAsked, At: o.now(),
		DueAt: o.now().Add(keepAccount)},
		Body: subjectBody{origin: origin{o.sign(by), fingerprint(n, number)}, Name: n.Name, Number: bodyNumber{number}, Proofs: n.Proofs,
			Agent: n.Agent, AgentProofs: n.AgentProofs, Permission: n.Permission}}
	tokens, err := o.vault.tokensAlive(ctx, city, useAccounting, number)
	if err != nil {
		return kept[subjectBody]{}, err
	}
	before, err := o.subjects.with(ctx, city, tokens...)
	if err != nil {
		return kept[subjectBody]{}, err
	}
	recent := 0
	for _, b := range before {
		if b.ID != k.ID && o.now().Sub(b.At) < accountFor {
			recent++
		}
	}
	k.Body.Third = recent >= freeRequests
	return k, nil
}

// verified tells whether two different proofs stand, of kinds that prove something.
func verified(proofs []Proof) bool {
	kinds := map[ProofKind]bool{}
	for _, p := range proofs {
		if p.Kind != ProofNumber && p.Evidence != "" {
			kinds[p.Kind] = true
		}
	}
	return len(kinds) >= verifyingProofs
}

// considerSubject decides a subject's request as if the city had approved it, which it must have before the answer.
func (o *Office) considerSubject(ctx context.Context, k kept[subjectBody]) (Tuple, Ruling, error) {
	b, n := k.Body, k.Body.Number.Number
	t := Tuple{Purpose: PurposeSubjectRights, Recipient: RecipientSubject, Relation: RelationNamed, Held: true, Consent: ConsentNone,
		Process: ProcessNone, Profile: o.vault.profile(k.City), Protected: o.desk.protects(k.City, n, o.now()), Verstat: call.VerstatNone}
	if verified(b.Proofs) {
		t.Process = ProcessVerified
	}
	if b.Agent == "" {
		return t, Decide(t), nil
	}
	t.Recipient = RecipientSubjectAgent
	if verified(b.Proofs) && verified(b.AgentProofs) {
		t.Process = ProcessBothProven
	}
	var err error
	t.Consent, err = o.permission(ctx, k)
	return t, Decide(t), err
}

// permission is the subject's written word for who acts for them.
func (o *Office) permission(ctx context.Context, k kept[subjectBody]) (Consent, error) {
	s := subject{city: k.City, number: k.Body.Number.Number, at: o.now()}
	c, found, err := o.consented(ctx, s, PurposeSubjectRights, RecipientSubjectAgent, k.Body.Agent)
	if err != nil || !found || c.ID != k.Body.Permission {
		return ConsentNone, err
	}
	return c.Body.Kind, nil
}

// ApproveAccount is the city's yes, by somebody else than who took the request in. Errors: ErrNotPermitted,
// ErrSecondPerson, ErrState, ErrNotFound.
func (o *Office) ApproveAccount(ctx context.Context, city call.CityID, id string, by Person) (SubjectRequest, error) {
	return o.judgeSubject(ctx, city, id, "", subjectApproved, by)
}

// RefuseAccount is the city's no, with the code of the exemption, which the answer names. Errors as ApproveAccount, and
// ErrIncomplete without a code.
func (o *Office) RefuseAccount(ctx context.Context, city call.CityID, id, code string, by Person) (SubjectRequest, error) {
	if code == "" || !plainCase(code) {
		return SubjectRequest{}, fmt.Errorf("refuse a subject's request: %w: the code of the exemption", ErrIncomplete)
	}
	return o.judgeSubject(ctx, city, id, code, subjectRefused, by)
}

func (o *Office) judgeSubject(ctx context.Context, city call.CityID, id, code, to string, by Person) (SubjectRequest, error) {
	if err := permit(by, RolePrivacy, RoleRecords); err != nil {
		return SubjectRequest{}, fmt.Errorf("judge a subject's request: %w", err)
	}
	k, err := change(ctx, o, o.subjects, city, id, KindAccounting, by, func(k *kept[subjectBody]) (map[string]string, error) {
		if err := second(by, k.Body.By); err != nil {
			return nil, err
		}
		if k.State == to && by.Actor == k.Body.Second.Actor {
			return nil, nil
		}
		if k.State != subjectAsked {
			return nil, ErrState
		}
		k.State, k.Body.Second, k.Body.Code = to, o.sign(by), code
		return map[string]string{"act": to, "code": code}, nil
	})
	if err != nil {
		return SubjectRequest{}, fmt.Errorf("judge a subject's request: %w", err)
	}
	return shownSubject(k), nil
}

// Accounting answers a request that the city has approved, once (D30, D31): the subject's own number, and to whom it was
// given in the last twelve months. What a paper forbids to tell is left out. Errors: ErrNotPermitted, ErrState, ErrNotFound.
func (o *Office) Accounting(ctx context.Context, city call.CityID, id string, by Person) (Account, error) {
	if err := permit(by, RolePrivacy, RoleRecords); err != nil {
		return Account{}, fmt.Errorf("answer a subject's request: %w", err)
	}
	a, err := o.account(ctx, city, id, by)
	if err != nil {
		return Account{}, fmt.Errorf("answer a subject's request: %w", err)
	}
	return a, nil
}

func (o *Office) account(ctx context.Context, city call.CityID, id string, by Person) (a Account, err error) {
	now, ruling := o.now(), Ruling{}
	k, err := change(ctx, o, o.subjects, city, id, KindAccounting, by, func(k *kept[subjectBody]) (map[string]string, error) {
		if k.State != subjectApproved {
			return nil, fmt.Errorf("%w: it is %s", ErrState, k.State)
		}
		var t Tuple
		if t, ruling, err = o.considerSubject(ctx, *k); err != nil {
			return nil, err
		}
		k.State, k.Body.Answered = subjectAnswered, o.sign(by)
		if ruling.Decision == Deny {
			k.State = subjectDenied
		}
		f := t.facts(ruling)
		f["act"], f["second"] = k.State, k.Body.Second.Actor
		if a.Disclosures, err = o.accountOf(ctx, *k, now); err != nil {
			return nil, err
		}
		f["disclosure_count"] = fmt.Sprint(len(a.Disclosures))
		return f, nil
	})
	if err != nil {
		return Account{}, err
	}
	if ruling.Decision == Deny {
		return Account{}, fmt.Errorf("%w: what it rests on no longer holds (%s)", ErrState, ruling.Row.ID)
	}
	a.Request, a.Row, a.Number = shownSubject(k), ruling.Row.ID, valueOf(k.Body.Number.Number, ruling.Decision)
	a.From, a.To = now.Add(-accountFor), now
	return a, nil
}

func (o *Office) accountOf(ctx context.Context, k kept[subjectBody], now time.Time) ([]Disclosure, error) {
	all, err := o.disclosuresOf(ctx, k.City, k.Body.Number.Number)
	if err != nil {
		return nil, err
	}
	told := []Disclosure{}
	for _, d := range all {
		if !d.Body.Silent && now.Sub(d.At) < accountFor {
			told = append(told, shownDisclosure(d))
		}
	}
	return told, nil
}

// disclosuresOf finds what was released of a number, oldest first.
func (o *Office) disclosuresOf(ctx context.Context, city call.CityID, n Number) ([]kept[disclosureBody], error) {
	tokens, err := o.vault.tokensAlive(ctx, city, useAccounting, n)
	if err != nil {
		return nil, err
	}
	return o.disclosures.with(ctx, city, tokens...)
}

// SubjectRequests lists the register, newest first, from below the entry after.
func (o *Office) SubjectRequests(ctx context.Context, city call.CityID, after string, limit int) ([]SubjectRequest, error) {
	return paged(ctx, o.subjects, city, after, limit, shownSubject)
}

func shownSubject(k kept[subjectBody]) SubjectRequest {
	b := k.Body
	r := SubjectRequest{ID: k.ID, State: k.State, Name: withoutNumbers(b.Name), Agent: withoutNumbers(b.Agent), Proofs: b.Proofs, AgentProofs: b.AgentProofs,
		NeedsDecision: b.Third && k.State == subjectAsked, Entered: b.By.shown(), Second: b.Second.shown(), Code: b.Code, Answered: b.Answered.shown()}
	if k.State == subjectApproved {
		r.AnswerBy = b.Second.At.Add(answerWithin)
	}
	return r
}
