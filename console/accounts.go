package console

import (
	"context"
	"net/http"

	"callhall/ani"
	"callhall/call"

	"github.com/danielgtaylor/huma/v2"
)

// account is the answer to a subject.
type account struct {
	ani.Account
	Number string `json:"number,omitempty" doc:"The subject's own, for the subject alone."`
}

// accountRoutes puts the routes of subjects' requests into the API.
func (c *Console) accountRoutes(api huma.API) {
	office := c.deps.Office
	ask := operation(http.MethodPost, "/accounting", "Take in a subject's request for what was given out of their number")
	ask.Description = "Two proofs of different kinds verify the subject; that they call from the number proves nothing."
	entersIn(c, api, ask,
		func(ctx context.Context, city call.CityID, n ani.NewSubjectRequest, key string, by ani.Person) (ani.SubjectRequest, error) {
			n.Key = key
			return office.AskAccount(ctx, city, n, by)
		})
	lists(c, api, operation(http.MethodGet, "/accounting", "Requests of subjects"), office.SubjectRequests, func(r ani.SubjectRequest) string { return r.ID })
	actsOn(c, api, operation(http.MethodPost, "/accounting/{id}/approve", "Approve a subject's request for the city, as the second person"), office.ApproveAccount)
	huma.Register(api, operation(http.MethodPost, "/accounting/{id}/refuse", "Refuse a subject's request for the city, as the second person"), c.refuseAccount)
	answer := operation(http.MethodPost, "/accounting/{id}/answer", "The answer to a subject, once")
	answer.Description = "Their own number, and every release of it to others in the last twelve months. Only over TLS or from this machine."
	actsOn(c, api, answer, c.answerAccount)
}

func (c *Console) refuseAccount(ctx context.Context, in *struct {
	ID   string `path:"id" pattern:"^[a-z]{2,3}_[2-7a-z]{26}$" patternDescription:"an id"`
	Body struct {
		Code string `json:"code" minLength:"1" maxLength:"64" doc:"Of the exemption, which the answer names."`
	}
}) (*bodyOf[ani.SubjectRequest], error) {
	v := visitOf(ctx)
	r, err := c.deps.Office.RefuseAccount(ctx, v.token.City, in.ID, in.Body.Code, v.person())
	return answered(ctx, c, huma.Operation{OperationID: "refuse a subject's request"}, r, err)
}

func (c *Console) answerAccount(ctx context.Context, city call.CityID, id string, by ani.Person) (account, error) {
	a, err := c.deps.Office.Accounting(ctx, city, id, by)
	return account{a, a.Number.Reveal()}, err
}
