package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"callhall/ani"
)

// aniAccountCmd answers somebody who asks who has had their number.
type aniAccountCmd struct {
	Ask     aniAccountAsk     `cmd:"" help:"Take in a subject's request. The number is asked for, and not shown."`
	List    aniAccountList    `cmd:"" help:"List requests, newest first, without any number."`
	Approve aniAccountApprove `cmd:"" help:"Approve a request for the city, as the second person."`
	Refuse  aniAccountRefuse  `cmd:"" help:"Refuse a request for the city, as the second person."`
	Answer  aniAccountAnswer  `cmd:"" aliases:"show" help:"The answer, once: the subject's own number, and who has had it in the last twelve months."`
}

// accountPath is the register of subjects' requests, and subjectID how its ids begin.
const (
	accountPath = "accounting"
	subjectID   = "sbj"
)

// aniAccountAsk is callhall ani account ask.
type aniAccountAsk struct {
	aniAccess
	numberFlags
	Name        string   `required:"" help:"The subject's name."`
	Proofs      []string `name:"proof" required:"" placeholder:"KIND=REFERENCE" help:"How they proved who they are, and where the evidence is: document=desk-12. Two different ones of document, in-person, letter, account; to call from a number proves nothing."`
	Agent       string   `help:"The name of who acts for them."`
	AgentProofs []string `name:"agent-proof" placeholder:"KIND=REFERENCE" help:"How that one proved who they are."`
	Permission  string   `placeholder:"cns_…" help:"The subject's written consent for that."`
}

// newSubject is a request with the number as it was typed.
type newSubject struct {
	ani.NewSubjectRequest
	Number typed `json:"number"`
}

// Run enters the request.
func (c aniAccountAsk) Run(ctx context.Context, term *terminal) error {
	proofs, err := readProofs("--proof", c.Proofs)
	if err != nil {
		return err
	}
	agents, err := readProofs("--agent-proof", c.AgentProofs)
	if err != nil {
		return err
	}
	request := ani.NewSubjectRequest{Name: c.Name, Proofs: proofs, Agent: c.Agent, AgentProofs: agents, Permission: c.Permission}
	raw, err := c.enterNumber(ctx, term, accountPath, c.numberFlags, func(n typed) any { return newSubject{request, n} })
	if err != nil {
		return err
	}
	return writeEntryOf(term, raw)
}

// readProofs reads proofs as KIND=REFERENCE.
func readProofs(flag string, texts []string) (proofs []ani.Proof, err error) {
	for _, text := range texts {
		kind, evidence, found := strings.Cut(text, "=")
		if err := wordOf(flag, ani.ProofKind(kind), ani.ProofKinds()); err != nil {
			return nil, badUsage{err}
		}
		if !found || evidence == "" {
			return nil, badUsage{fmt.Errorf("%s: %s lacks where the evidence is; write %s=REFERENCE", flag, kind, kind)}
		}
		proofs = append(proofs, ani.Proof{Kind: ani.ProofKind(kind), Evidence: evidence})
	}
	return proofs, nil
}

// aniAccountList is callhall ani account list.
type aniAccountList struct{ aniList }

// Run lists.
func (c aniAccountList) Run(ctx context.Context, term *terminal) error {
	return c.list(ctx, term, accountPath, nil, []column{{"ENTERED", "entered.at"}, {"ID", "id"}, {"STATE", "state"}, {"NAME", "name"},
		{"AGENT", "agent"}, {"ANSWER BY", "answer_by"}, {"BY", "entered.actor"}, {"SECOND", "second.actor"}})
}

// aniAccountApprove is callhall ani account approve.
type aniAccountApprove struct{ aniEntry }

// Run approves.
func (c aniAccountApprove) Run(ctx context.Context, term *terminal) error {
	return c.act(ctx, term, accountPath, subjectID, "approve")
}

// aniAccountRefuse is callhall ani account refuse.
type aniAccountRefuse struct {
	aniEntry
	Code string `required:"" help:"Of the exemption, which the answer names."`
}

// Run refuses.
func (c aniAccountRefuse) Run(ctx context.Context, term *terminal) error {
	return c.do(ctx, term, http.MethodPost, accountPath+"/"+c.ID+"/refuse", subjectID, struct {
		Code string `json:"code"`
	}{c.Code})
}

// aniAccountAnswer is callhall ani account answer.
type aniAccountAnswer struct{ aniEntry }

// subjectAccount is the answer to a subject.
type subjectAccount struct {
	Row         string            `json:"row"`
	Number      typed             `json:"number"`
	From        json.RawMessage   `json:"from"`
	To          json.RawMessage   `json:"to"`
	Disclosures []json.RawMessage `json:"disclosures"`
}

// Run prints the subject's number alone on the first line, and below it who has had it.
func (c aniAccountAnswer) Run(ctx context.Context, term *terminal) error {
	raw, err := c.answerOnce(ctx, term, subjectID, accountPath, "answer")
	if err != nil {
		return err
	}
	return writeAccount(term, raw)
}

func writeAccount(term *terminal, raw json.RawMessage) error {
	if term.JSON {
		return writeRaw(term.Out, raw)
	}
	var a subjectAccount
	if err := json.Unmarshal(raw, &a); err != nil {
		return errors.New("read the answer: it is not an account")
	}
	fmt.Fprintf(term.Err, "row %s. For the subject alone; it is not answered again.\n", plain(a.Row))
	fmt.Fprintln(term.Out, cmp.Or(plain(string(a.Number.text)), "no number is held any more"))
	fmt.Fprintf(term.Out, "given out from %s to %s: %s\n", said(a.From), said(a.To), count(len(a.Disclosures), "time", "times"))
	if len(a.Disclosures) == 0 {
		return nil
	}
	columns := []column{{"AT", "at"}, {"CALL", "call"}, {"PURPOSE", "purpose"}, {"RECIPIENT", "recipient"}, {"TO", "to"}, {"WHAT", "decision"},
		{"ROW", "row"}, {"CLAUSE", "citation"}, {"RELEASE", "release"}}
	out := tableOn(term)
	writeHeadings(term, out, columns)
	if err := writeRows(term, out, a.Disclosures, columns); err != nil {
		return err
	}
	return out.Flush()
}
