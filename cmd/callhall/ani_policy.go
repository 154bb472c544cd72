package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"callhall/ani"
	"callhall/call"
)

// aniPolicyCmd reads the terms.
type aniPolicyCmd struct {
	Explain aniExplain     `cmd:"" help:"Say what the terms make of one request, under which clause and why. Needs no server."`
	Table   aniPolicyTable `cmd:"" help:"Print every row of the terms. Needs no server."`
}

// aniExplain is callhall ani policy explain.
type aniExplain struct {
	Purpose   string `required:"" help:"What the number is asked for: completion-dropped, legal-process, …"`
	Recipient string `required:"" help:"Who would get it: AGT, SUP, LE, SUBJ, …"`
	Relation  string `default:"none" help:"What the recipient has to do with the call: none, handling, dropped, carried, named."`
	Privacy   string `enum:"none,restricted" default:"restricted" help:"What the caller asked for: none, or restricted, which also stands for not known."`
	Number    string `enum:"held,none" default:"held" help:"held, or none where no number came."`
	Consent   string `default:"none" help:"What the caller agreed to: none, verbal, affirmative, written."`
	Process   string `default:"none" help:"The paper or act behind it: none, reason, case, approval, exigency, paper, misserved, finding, verified, both-verified, opt-in."`
	Profile   string `default:"card" help:"The city's terms: no-third-party, card, nyc-3.3."`
	Verstat   string `default:"none" help:"The carrier's word for the number: none, passed, failed."`
	Tariff    bool   `help:"The city charges for calls."`
	Protected bool   `help:"A law protects the caller."`
	Narrowed  bool   `help:"The city's settings forbid it."`
}

// Run decides, and says why.
func (c aniExplain) Run(term *terminal) error {
	t, err := c.tuple()
	if err != nil {
		return badUsage{err}
	}
	return writeExplanation(term, ani.Explain(t))
}

// tuple reads the flags. A word that the terms do not have is refused, rather than decided as the strictest.
func (c aniExplain) tuple() (ani.Tuple, error) {
	t := ani.Tuple{Purpose: ani.Purpose(c.Purpose), Recipient: ani.Recipient(c.Recipient), Relation: ani.Relation(c.Relation),
		Open: c.Privacy == string(ani.Unrestricted), Held: c.Number == "held", Protected: c.Protected, Consent: ani.Consent(c.Consent),
		Process: ani.Process(c.Process), Profile: ani.Profile(c.Profile), Tariff: c.Tariff, Narrowed: c.Narrowed, Verstat: call.Verstat(c.Verstat)}
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

// aniPolicyTable is callhall ani policy table.
type aniPolicyTable struct{}

// policyLine is one outcome of one row.
type policyLine struct {
	Row         string           `json:"row"`
	What        string           `json:"what"`
	Purposes    []ani.Purpose    `json:"purposes,omitempty"` // none: any
	Except      []ani.Purpose    `json:"except,omitempty"`
	Recipients  []ani.Recipient  `json:"recipients,omitempty"` // none: any
	When        []string         `json:"when,omitempty"`       // as the flags of explain; none: always
	Decision    ani.Decision     `json:"decision,omitempty"`   // none: as another row decides
	Obligations []ani.Obligation `json:"obligations,omitempty"`
	Handle      bool             `json:"handle,omitempty"`
	Citation    string           `json:"citation"`
}

// Run prints the rows in the order of the terms, each outcome on a line of its own.
func (c aniPolicyTable) Run(term *terminal) error {
	out := tabwriter.NewWriter(term.Out, 0, 8, 2, ' ', 0)
	if !term.JSON {
		fmt.Fprintf(out, "ROW\tPURPOSE\tRECIPIENT\tWHEN\tDECISION\tDUTIES\tFROM\n")
	}
	rows := ani.Terms()
	for i := range rows {
		for _, l := range policyLines(&rows[i]) {
			if err := l.write(term, out); err != nil {
				return err
			}
		}
	}
	return out.Flush()
}

// policyLines are the outcomes of a row, in the order in which they are tried.
func policyLines(row *ani.Row) []policyLine {
	about := policyLine{Row: row.ID, What: row.What, Purposes: row.Purposes, Except: row.Except, Recipients: row.Recipients, Citation: row.Citation}
	if row.Lines == nil { // D41 marks what other rows decide
		about.When = []string{"verstat not passed"}
		return []policyLine{about}
	}
	var all []policyLine
	for i := range row.Lines {
		l := about
		l.When, l.Decision = conditions(&row.Lines[i]), row.Lines[i].Decision
		l.Obligations = ani.Ruling{Decision: l.Decision, Row: row}.Obligations()
		l.Handle = row.Handle && l.Decision != ani.Deny
		all = append(all, l)
	}
	return all
}

// conditions are what a line asks, in the words of explain's flags.
func conditions(l *ani.Line) []string {
	var all []string
	say := func(name, is, value string) {
		if value != "" {
			all = append(all, name+is+value)
		}
	}
	flag := func(set bool, name string) {
		if set {
			all = append(all, name)
		}
	}
	say("privacy", "=", string(l.Privacy))
	say("relation", "=", string(l.Relation))
	say("consent", ">=", string(l.Consent))
	say("consent", "<=", string(l.AtMost))
	say("process", "=", string(l.Process))
	say("profile", ">=", string(l.Profile))
	say("profile", "<=", string(l.Within))
	flag(l.Tariff, "tariff")
	flag(l.NoTariff, "no tariff")
	flag(l.NoNumber, "number=none")
	flag(l.Protected, "protected")
	flag(l.Narrowed, "narrowed")
	return all
}

func (l policyLine) write(term *terminal, out io.Writer) error {
	if term.JSON {
		return json.NewEncoder(term.Out).Encode(l)
	}
	purposes := cmp.Or(words(l.Purposes), "any")
	if len(l.Except) > 0 {
		purposes = "any but " + words(l.Except)
	}
	decision := cmp.Or(string(l.Decision), "marked unverified")
	if l.Handle && l.Decision != ani.Handle {
		decision += "+handle"
	}
	_, err := fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", l.Row, purposes, cmp.Or(words(l.Recipients), "any"),
		cmp.Or(strings.Join(l.When, ", "), "always"), decision, orDash(strings.ReplaceAll(words(l.Obligations), ",", "")), l.Citation)
	return err
}
