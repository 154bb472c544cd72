package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"callhall/ani"
)

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
	out := tableOn(term)
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
