package main

import (
	"context"
	"encoding/json"
	"fmt"

	"callhall/ani"
)

// aniSearch is callhall ani search.
type aniSearch struct {
	aniAccess
	numberFlags
	Purpose ani.Purpose `required:"" enum:"completion-dropped,emergency,exigency,legal-process,subject-rights" help:"What for: completion-dropped, emergency, exigency, legal-process or subject-rights."`
	Case    string      `required:"" help:"The case it is for; at most six digits."`
}

// numberSearch asks for the calls of one number.
type numberSearch struct {
	Number  typed       `json:"number"`
	Purpose ani.Purpose `json:"purpose"`
	Case    string      `json:"case"`
}

// searchFound is the answer.
type searchFound struct {
	Release  string            `json:"release"`
	Decision ani.Decision      `json:"decision"`
	Row      string            `json:"row"`
	Words    string            `json:"words"`
	Mask     string            `json:"mask"`
	Calls    []json.RawMessage `json:"calls"`
	More     bool              `json:"more"`
}

// Run writes the calls as a table, or the answer as it came. The number is not in either.
func (c aniSearch) Run(ctx context.Context, term *terminal) error {
	raw, err := c.enterNumber(ctx, term, "calls/search-by-number", c.numberFlags, func(n typed) any { return numberSearch{n, c.Purpose, c.Case} })
	if err != nil {
		return err
	}
	if term.JSON {
		return writeRaw(term.Out, raw)
	}
	var found searchFound
	if err := json.Unmarshal(raw, &found); err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	return found.write(term)
}

// write tells what was found; a search that the terms deny finds nothing and says by which row.
func (f searchFound) write(term *terminal) error {
	fmt.Fprintf(term.Err, "%s by row %s, in the ledger as %s. %s\n", plain(f.Decision), plain(f.Row), plain(f.Release), plain(f.Words))
	if f.Decision == ani.Deny {
		return nil
	}
	if f.Mask != "" {
		fmt.Fprintf(term.Err, "the number: %s\n", plain(f.Mask))
	}
	columns := []column{{"ARRIVED", "at"}, {"CALL", "call"}, {"NUMBER", "status"}}
	out := tableOn(term)
	writeHeadings(term, out, columns)
	if err := writeRows(term, out, f.Calls, columns); err != nil {
		return err
	}
	if f.More {
		fmt.Fprintln(term.Err, "there are more calls than are shown")
	}
	if len(f.Calls) == 0 {
		fmt.Fprintln(term.Err, "no calls")
	}
	return out.Flush()
}
