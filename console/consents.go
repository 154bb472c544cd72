package console

import (
	"context"
	"net/http"

	"callhall/ani"
	"callhall/call"

	"github.com/danielgtaylor/huma/v2"
)

// spoken is what a caller has said.
type spoken struct {
	Purposes   []ani.Purpose   `json:"purposes" minItems:"1" maxItems:"16" nullable:"false"`
	Recipients []ani.Recipient `json:"recipients" minItems:"1" maxItems:"16" nullable:"false"`
}

// consentRoutes puts the routes of the register of consents into the API.
func (c *Console) consentRoutes(api huma.API) {
	office := c.deps.Office
	entersIn(c, api, operation(http.MethodPost, "/consents", "Enter a written or affirmative consent"),
		func(ctx context.Context, city call.CityID, n ani.NewConsent, key string, by ani.Person) (ani.ConsentEntry, error) {
			n.Key = key
			return office.EnterConsent(ctx, city, n, by)
		})
	said := operation(http.MethodPost, "/calls/{id}/spoken-consent", "Enter what the caller has just said")
	said.Description = "For the agent who has the call, while it goes on."
	entersForCall(c, api, said,
		func(ctx context.Context, city call.CityID, id call.ID, n spoken, key string, by ani.Person) (ani.ConsentEntry, error) {
			return office.EnterVerbalConsent(ctx, city, ani.NewVerbalConsent{Key: key, Call: id, Purposes: n.Purposes, Recipients: n.Recipients}, by)
		})
	lists(c, api, operation(http.MethodGet, "/consents", "Consents, without any number"), office.Consents,
		func(e ani.ConsentEntry) string { return e.ID })
	shows(c, api, operation(http.MethodGet, "/consents/{id}", "One consent"), office.Consent)
	withdraw := operation(http.MethodPost, "/consents/{id}/withdraw", "Withdraw a consent")
	withdraw.Description = "What was released under it is recalled. An agent withdraws what their own caller had said."
	actsOn(c, api, withdraw, office.WithdrawConsent)
}
