package console

import (
	"context"
	"net/http"
	"time"

	"callhall/ani"
	"callhall/call"

	"github.com/danielgtaylor/huma/v2"
)

// numberSearch asks for the calls of one number.
type numberSearch struct {
	Number  ani.Entered `json:"number" doc:"The whole number. It is sealed while it is read."`
	Purpose ani.Purpose `json:"purpose" maxLength:"64" doc:"What it is for: completion-dropped, emergency, exigency, legal-process or subject-rights."`
	Case    string      `json:"case" maxLength:"64" doc:"The case it is for: at most six digits."`
}

// numberFound is the answer: no call in it can be told from another by its number.
type numberFound struct {
	Release  call.ReleaseID `json:"release" doc:"As in the ledger."`
	Decision ani.Decision   `json:"decision"`
	Row      string         `json:"row" doc:"Of the terms."`
	Words    string         `json:"words"`
	Mask     string         `json:"mask,omitempty" doc:"Of the number: area code and last two digits."`
	Calls    []foundCall    `json:"calls" nullable:"false" doc:"Newest first."`
	More     bool           `json:"more,omitempty" doc:"There are more than are shown."`
}

// foundCall is one call of the number.
type foundCall struct {
	Call   call.ID           `json:"call"`
	At     time.Time         `json:"at"`
	Status call.CallerStatus `json:"status"`
}

// searchRoutes puts the search by number into the API.
func (c *Console) searchRoutes(api huma.API) {
	search := operation(http.MethodPost, "/calls/search-by-number", "Find the calls of one number")
	search.Description = "For a case and one of a few purposes. Whatever comes of it is in the city's ledger before the answer; a search that the terms " +
		"deny is answered with their decision."
	huma.Register(api, search, c.searchByNumber)
}

func (c *Console) searchByNumber(ctx context.Context, in *struct{ Body numberSearch }) (*bodyOf[numberFound], error) {
	t := visitOf(ctx).token
	found, err := c.deps.Office.Search(ctx, ani.Query{City: t.City, Number: in.Body.Number.Number(), Actor: t.Actor(), Case: in.Body.Case, For: in.Body.Purpose}, visitOf(ctx).person())
	if err != nil {
		return nil, c.failOffice(ctx, huma.Operation{OperationID: "search by number"}, err)
	}
	out := numberFound{Release: found.Release, Decision: found.Decision, Row: found.Row.ID, Words: found.Words, Calls: []foundCall{}, More: found.More}
	for _, f := range found.Calls {
		out.Mask = f.Mask.Reveal()
		out.Calls = append(out.Calls, foundCall{f.Call, f.At, f.Status})
	}
	return &bodyOf[numberFound]{out}, nil
}
