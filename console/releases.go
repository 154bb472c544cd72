package console

import (
	"context"
	"net/http"

	"callhall/ani"
	"callhall/call"

	"github.com/danielgtaylor/huma/v2"
)

// newRelease is what a person asks for. On what consent or paper it rests, the office looks up.
type newRelease struct {
	Purpose   ani.Purpose    `json:"purpose" maxLength:"64"`
	Recipient ani.Recipient  `json:"recipient" maxLength:"64"`
	To        string         `json:"to,omitempty" maxLength:"128" doc:"Who gets it, by name, as a consent names them."`
	Case      string         `json:"case,omitempty" maxLength:"64" doc:"The case it is for: at most six digits."`
	Reason    ani.ReasonCode `json:"reason,omitempty" enum:"handle-failed,relay,other-line" doc:"Why a call back by handle will not do."`
	Ref       string         `json:"ref,omitempty" maxLength:"64" doc:"The paper behind it, by its id."`
	Why       string         `json:"why,omitempty" maxLength:"500" doc:"In words."`
}

// Asking filters requests for a release.
type Asking struct {
	State string `query:"state" enum:"asked,pending,granted,revealed,refused,denied,expired,recalled"`
}

// revealed is the one answer that has a number.
type revealed struct {
	ani.Revealed
	Number string `json:"number,omitempty" doc:"What may be seen of the number. It is answered once, and kept nowhere."`
}

// releaseRoutes puts the routes of requests for a release into the API.
func (c *Console) releaseRoutes(api huma.API) {
	ask := operation(http.MethodPost, "/calls/{id}/ani-releases", "Ask for the number of a call's caller")
	ask.Description = "It is decided at once: denied, waiting for a second person, or granted and waiting for its one reveal. A denial is an " +
		"answer (201), with the row of the terms that it rests on."
	entersForCall(c, api, ask, c.askRelease)
	list := operation(http.MethodGet, "/ani-releases", "Requests for a number")
	list.Description = "Agents and operators see their own."
	huma.Register(api, list, c.listReleases)
	shows(c, api, operation(http.MethodGet, "/ani-releases/{id}", "One request for a number"), c.releaseOf)
	actsOn(c, api, operation(http.MethodPost, "/ani-releases/{id}/approve", "Approve a request, as the second person"), c.deps.Office.Approve)
	actsOn(c, api, operation(http.MethodPost, "/ani-releases/{id}/refuse", "Refuse a request, as the second person"), c.deps.Office.Refuse)
	reveal := operation(http.MethodPost, "/ani-releases/{id}/reveal", "See the number, once")
	reveal.Description = "Only for who asked, once, over TLS or from this machine. The ledger has it before the answer leaves."
	actsOn(c, api, reveal, c.reveal)
}

func (c *Console) askRelease(ctx context.Context, city call.CityID, id call.ID, n newRelease, key string, by ani.Person) (ani.Ask, error) {
	return c.deps.Office.Ask(ctx, city, ani.NewAsk{Key: key, Call: id, Purpose: n.Purpose, Recipient: n.Recipient, To: n.To, Case: n.Case,
		Reason: n.Reason, Ref: n.Ref, Why: n.Why}, by)
}

func (c *Console) listReleases(ctx context.Context, in *struct {
	Asking
	Paging
}) (*pageOf[ani.Ask], error) {
	v := visitOf(ctx)
	fits := func(a ani.Ask) bool { return v.mayReadAsk(a) && (in.State == "" || string(a.State) == in.State) }
	return listed(ctx, c, huma.Operation{OperationID: "list releases"}, in.Paging, c.deps.Office.Asks, func(a ani.Ask) string { return a.ID }, fits)
}

// mayReadAsk tells whether a request is within a visit's reach.
func (v visit) mayReadAsk(a ani.Ask) bool {
	return v.reach == city || v.reach == own && a.Asked != nil && a.Asked.Actor == v.token.Actor()
}

func (c *Console) releaseOf(ctx context.Context, city call.CityID, id string) (ani.Ask, error) {
	a, err := c.deps.Office.AskOf(ctx, city, id)
	if err == nil && !visitOf(ctx).mayReadAsk(a) {
		return ani.Ask{}, ErrNotFound // whether there is such a request is not theirs to know
	}
	return a, err
}

func (c *Console) reveal(ctx context.Context, city call.CityID, id string, by ani.Person) (revealed, error) {
	r, err := c.deps.Office.Reveal(ctx, city, id, by) // another's is refused there, where the attempt is written down
	return revealed{r, r.Value.Reveal()}, err
}
