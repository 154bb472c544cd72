package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"callhall/ani"
	"callhall/call"
)

// aniPolicyCmd reads the terms.
type aniPolicyCmd struct {
	Explain aniExplain       `cmd:"" help:"Say what the terms make of one request, under which clause and why. Needs no server."`
	Table   aniPolicyTable   `cmd:"" help:"Print every row of the terms. Needs no server."`
	Show    aniPolicyShow    `cmd:"" help:"Tell which terms the city decides by, and what was proposed."`
	Propose aniPolicyPropose `cmd:"" help:"Propose another profile of the terms for the city."`
	Approve aniPolicyApprove `cmd:"" help:"Approve a proposal, as the second person."`
	Refuse  aniPolicyRefuse  `cmd:"" help:"Refuse a proposal, as the second person."`
}

// aniExplain is callhall ani policy explain.
type aniExplain struct {
	aniAccess
	Online    bool   `help:"Ask the server, which decides by the profile of its city where none is given."`
	Purpose   string `required:"" help:"What the number is asked for: completion-dropped, legal-process, …"`
	Recipient string `required:"" help:"Who would get it: AGT, SUP, LE, SUBJ, …"`
	Relation  string `default:"none" help:"What the recipient has to do with the call: none, handling, dropped, carried, named."`
	Privacy   string `enum:"none,restricted" default:"restricted" help:"What the caller asked for: none, or restricted, which also stands for not known."`
	Number    string `enum:"held,none" default:"held" help:"held, or none where no number came."`
	Consent   string `default:"none" help:"What the caller agreed to: none, verbal, affirmative, written."`
	Process   string `default:"none" help:"The paper or act behind it: none, reason, case, approval, exigency, paper, misserved, finding, verified, both-verified, opt-in."`
	Profile   string `help:"The city's terms: no-third-party, card, nyc-3.3. Default: card; with --online, those in force."`
	Verstat   string `default:"none" help:"The carrier's word for the number: none, passed, failed."`
	Tariff    bool   `help:"The city charges for calls."`
	Protected bool   `help:"A law protects the caller."`
	Narrowed  bool   `help:"The city's settings forbid it."`
}

// Run decides, or lets the server decide, and says why.
func (c aniExplain) Run(ctx context.Context, term *terminal) error {
	t, err := c.tuple()
	if err != nil {
		return badUsage{err}
	}
	if !c.Online {
		return writeExplanation(term, ani.Explain(t))
	}
	server, err := c.open(term, aniRole)
	if err != nil {
		return err
	}
	raw, err := server.sendJSON(ctx, http.MethodPost, policyPath+"/explain", c.question())
	if err != nil {
		return err
	}
	var e ani.Explanation
	if err := json.Unmarshal(raw, &e); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	return writeExplanation(term, e)
}

// question is the tuple as the API takes it.
func (c aniExplain) question() any {
	law := "none"
	if c.Protected {
		law = "protected"
	}
	return struct {
		Purpose   string `json:"purpose"`
		Recipient string `json:"recipient"`
		Relation  string `json:"relation"`
		Privacy   string `json:"privacy"`
		Number    string `json:"number"`
		Law       string `json:"law"`
		Consent   string `json:"consent"`
		Process   string `json:"process"`
		Profile   string `json:"profile,omitempty"`
		Tariff    bool   `json:"tariff,omitempty"`
		Narrowed  bool   `json:"narrowed,omitempty"`
		Verstat   string `json:"verstat"`
	}{c.Purpose, c.Recipient, c.Relation, c.Privacy, c.Number, law, c.Consent, c.Process, c.Profile, c.Tariff, c.Narrowed, c.Verstat}
}

// tuple reads the flags. A word that the terms do not have is refused, rather than decided as the strictest.
func (c aniExplain) tuple() (ani.Tuple, error) {
	t := ani.Tuple{Purpose: ani.Purpose(c.Purpose), Recipient: ani.Recipient(c.Recipient), Relation: ani.Relation(c.Relation),
		Open: c.Privacy == string(ani.Unrestricted), Held: c.Number == "held", Protected: c.Protected, Consent: ani.Consent(c.Consent),
		Process: ani.Process(c.Process), Profile: cmp.Or(ani.Profile(c.Profile), ani.ProfileCard), Tariff: c.Tariff, Narrowed: c.Narrowed, Verstat: call.Verstat(c.Verstat)}
	verstats := []call.Verstat{call.VerstatNone, call.VerstatPassed, call.VerstatFailed}
	return t, cmp.Or(
		wordOf("--purpose", t.Purpose, ani.Purposes()), wordOf("--recipient", t.Recipient, ani.Recipients()),
		wordOf("--relation", t.Relation, ani.Relations()), wordOf("--consent", t.Consent, ani.Consents()),
		wordOf("--process", t.Process, ani.Processes()), wordOf("--profile", t.Profile, ani.Profiles()),
		wordOf("--verstat", t.Verstat, verstats))
}

// wordOf is an error for a word that is none of known.
func wordOf[T ~string](flag string, word T, known []T) error {
	if slices.Contains(known, word) {
		return nil
	}
	return fmt.Errorf("%s: %q is none; it is one of %s", flag, string(word), words(known))
}

// words joins words with commas.
func words[T ~string](all []T) string {
	var b strings.Builder
	for i, w := range all {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(string(w))
	}
	return b.String()
}

// writeExplanation tells a decision in plain words.
func writeExplanation(term *terminal, e ani.Explanation) error {
	if term.JSON {
		return json.NewEncoder(term.Out).Encode(e)
	}
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%-12s%s\n", name, plain(value))
		}
	}
	line("decision", fmt.Sprintf("%s: %s", e.Decision, e.Means))
	line("row", e.Row+": "+e.What)
	line("citation", e.Citation)
	line("choice", e.Choice)
	line("why", e.Why)
	line("expires", e.Expires)
	if e.Handle {
		line("handle", "a handle that dials without showing comes with it")
	}
	if e.Unverified {
		line("unverified", "no carrier vouches for the number: it proves nothing of who called")
	}
	for _, d := range e.Obligations {
		line("duty "+string(d.ID), d.Says)
	}
	line("policy", e.Policy)
	_, err := io.WriteString(term.Out, b.String())
	return err
}
