package console

import (
	"context"
	"net/http"
	"time"

	"callhall/ani"
	"callhall/call"

	"github.com/danielgtaylor/huma/v2"
)

// newPaper is a paper that the city's officer takes in, with its copy.
type newPaper struct {
	Form          ani.PaperForm `json:"form" enum:"subpoena,order,warrant,exigency,informal,records,ticket,dispute"`
	Issuer        string        `json:"issuer" maxLength:"200" doc:"The body that issued it."`
	Reference     string        `json:"reference" maxLength:"64" doc:"Its reference there: at most six digits."`
	ServedOn      ani.ServedOn  `json:"served_on" enum:"city,vendor" doc:"Only the city answers."`
	Calls         []call.ID     `json:"calls,omitempty" maxItems:"1000" doc:"Its scope: these calls,"`
	From          time.Time     `json:"from,omitzero" doc:"and those that came from here"`
	To            time.Time     `json:"to,omitzero" doc:"to before here."`
	Trunk         call.TrunkID  `json:"trunk,omitempty" maxLength:"64" doc:"The carrier, of a ticket or a dispute."`
	Until         time.Time     `json:"until" doc:"Nothing is released under it from then on."`
	Nondisclosure bool          `json:"nondisclosure,omitempty" doc:"The subject may not be told."`
	Copy          []byte        `json:"copy,omitempty" doc:"Of the paper, at most 10 MiB. It is kept sealed."`
}

const (
	// maxPaperBody bounds a request with a copy in it, in base64 (RFC 4648 §4).
	maxPaperBody = (ani.MaxCopy+2)/3*4 + 64<<10
	// paperTime is how long such a request may take to come in.
	paperTime = 2 * time.Minute
)

// paperRoutes puts the routes of legal process into the API.
func (c *Console) paperRoutes(api huma.API) {
	office := c.deps.Office
	take := operation(http.MethodPost, "/processes", "Take in a paper: a subpoena, an order, a form of exigency, a request for records, a ticket")
	take.Description = "Its copy is in the body as base64 and may have 10 MiB; a subpoena, an order and a warrant need one."
	take.MaxBodyBytes, take.BodyReadTimeout = maxPaperBody, paperTime
	entersIn(c, api, take, c.takePaper)
	lists(c, api, operation(http.MethodGet, "/processes", "Papers"), office.Papers, func(p ani.Paper) string { return p.ID })
	shows(c, api, operation(http.MethodGet, "/processes/{id}", "One paper"), office.Paper)
	actsOn(c, api, operation(http.MethodPost, "/processes/{id}/verify", "Verify a paper, as the second person"), office.VerifyPaper)
	actsOn(c, api, operation(http.MethodPost, "/processes/{id}/close", "Close a paper: nothing more is released under it"), office.ClosePaper)
	read := operation(http.MethodGet, "/processes/{id}/paper", "The copy of a paper")
	read.Description = "The city's ledger has who read it."
	huma.Register(api, answering(read, "The copy, as it was handed in", "application/octet-stream"), c.readPaper)
}

func (c *Console) takePaper(ctx context.Context, city call.CityID, n newPaper, key string, by ani.Person) (ani.Paper, error) {
	if len(n.Copy) > ani.MaxCopy {
		return ani.Paper{}, problem(ctx, http.StatusRequestEntityTooLarge, Fault{Location: "body.copy", Message: "has more than 10 MiB"})
	}
	return c.deps.Office.TakePaper(ctx, city, ani.NewPaper{Key: key, Form: n.Form, Issuer: n.Issuer, Reference: n.Reference, ServedOn: n.ServedOn,
		Calls: n.Calls, From: n.From, To: n.To, Trunk: n.Trunk, Until: n.Until, Nondisclosure: n.Nondisclosure, Copy: n.Copy}, by)
}

// fileAnswer is a file to keep, which a browser does not show.
type fileAnswer struct {
	ContentType string `header:"Content-Type"`
	Disposition string `header:"Content-Disposition"`
	Body        []byte
}

func (c *Console) readPaper(ctx context.Context, in *ofEntry) (*fileAnswer, error) {
	v := visitOf(ctx)
	paper, err := c.deps.Office.PaperCopy(ctx, v.token.City, in.ID, v.person())
	if err != nil {
		return nil, c.failOffice(ctx, huma.Operation{OperationID: "read a paper"}, err)
	}
	return &fileAnswer{"application/octet-stream", `attachment; filename="` + in.ID + `"`, paper}, nil
}
