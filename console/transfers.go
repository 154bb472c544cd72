package console

import (
	"context"
	"net/http"
	"slices"

	"callhall/ani"
	"callhall/call"

	"github.com/danielgtaylor/huma/v2"
)

// partner is somebody outside whom calls may be carried on to.
type partner struct {
	ID   call.PartnerID   `json:"id"`
	Kind call.PartnerKind `json:"kind"`
	Name string           `json:"name"`
}

// partnersAnswer is a city's partners.
type partnersAnswer struct {
	Body struct {
		Data []partner `json:"data" nullable:"false"`
	}
}

// newTransfer is the wish that a call be carried on.
type newTransfer struct {
	To     call.PartnerID `json:"to" maxLength:"64" doc:"A partner, by its id."`
	Spoken bool           `json:"spoken_consent,omitempty" doc:"The caller has said that their number may go with the call. Only the agent can have heard it."`
}

// transferRoutes puts the routes of transfers into the API.
func (c *Console) transferRoutes(api huma.API) {
	huma.Register(api, operation(http.MethodGet, "/partners", "Whom calls may be carried on to"), c.listPartners)
	order := operation(http.MethodPost, "/calls/{id}/transfers", "Carry a call on to a partner")
	order.Description = "The answer says that the order is taken; what becomes of it is in the call's timeline."
	order.DefaultStatus = http.StatusAccepted
	huma.Register(api, order, c.transfer)
	cancel := operation(http.MethodDelete, "/calls/{id}/transfers", "Give up the transfer that is on its way")
	huma.Register(api, cancel, c.cancelTransfer)
}

// partners are those of a city.
func (c *Console) partners(city call.CityID) []call.Partner {
	if c.deps.Partners == nil {
		return nil
	}
	return c.deps.Partners(city)
}

func (c *Console) listPartners(ctx context.Context, _ *struct{}) (*partnersAnswer, error) {
	out := &partnersAnswer{}
	out.Body.Data = []partner{}
	for _, p := range c.partners(visitOf(ctx).token.City) {
		out.Body.Data = append(out.Body.Data, partner(p))
	}
	return out, nil
}

func (c *Console) transfer(ctx context.Context, in *struct {
	ID   call.ID `path:"id" pattern:"^cl_[2-7a-z]{26}$" patternDescription:"the id of a call"`
	Body newTransfer
}) (*struct{}, error) {
	v := visitOf(ctx)
	r, err := c.carried(ctx, in.ID)
	if err != nil {
		return nil, c.failOffice(ctx, transferring, err)
	}
	i := slices.IndexFunc(c.partners(v.token.City), func(p call.Partner) bool { return p.ID == in.Body.To })
	if i < 0 {
		return nil, invalid(ctx, "body.to", "must be a partner of this city")
	}
	if in.Body.Spoken {
		if err := c.hear(ctx, r, c.partners(v.token.City)[i].Kind); err != nil {
			return nil, c.failOffice(ctx, transferring, err)
		}
	}
	err = c.deps.Board.Transfer(ctx, call.TransferOrder{City: v.token.City, Call: in.ID, By: v.token.Actor(), Agent: r.Agent, Partner: in.Body.To,
		Spoken: in.Body.Spoken})
	if err != nil {
		return nil, c.failOffice(ctx, transferring, err)
	}
	return &struct{}{}, nil
}

// transferring names what goes wrong here for the log.
var transferring = huma.Operation{OperationID: "transfer a call"}

// carried is a call that goes on, within the visit's reach: an agent's is the one that they have now.
func (c *Console) carried(ctx context.Context, id call.ID) (call.Record, error) {
	v := visitOf(ctx)
	r, err := c.deps.Board.Look(ctx, v.token.City, id)
	if err != nil {
		return call.Record{}, err
	}
	if v.reach == own && r.Agent != v.token.Agent {
		return call.Record{}, call.ErrNotYours
	}
	return r, nil
}

// hear enters in the city's register what the caller has said to the agent. It rests on that when a number goes with the
// call, and is there first.
func (c *Console) hear(ctx context.Context, r call.Record, to call.PartnerKind) error {
	v := visitOf(ctx)
	if v.token.Role != RoleAgent {
		return invalid(ctx, "body.spoken_consent", "only the agent who has the call can have heard it")
	}
	recipients := map[call.PartnerKind]ani.Recipient{call.PartnerCity: ani.RecipientCity, call.PartnerPrivate: ani.RecipientPrivate}
	recipient, needed := recipients[to]
	if !needed {
		return nil // no number goes there for a caller's word
	}
	word := ani.NewVerbalConsent{Key: "transfer " + string(r.ID) + " " + string(recipient), Call: r.ID, Purposes: []ani.Purpose{ani.PurposeTransfer},
		Recipients: []ani.Recipient{recipient}}
	_, err := c.deps.Office.EnterVerbalConsent(ctx, v.token.City, word, v.person())
	return err
}

func (c *Console) cancelTransfer(ctx context.Context, in *ofCall) (*struct{}, error) {
	v := visitOf(ctx)
	r, err := c.carried(ctx, in.ID)
	if err == nil {
		err = c.deps.Board.CancelTransfer(ctx, v.token.City, in.ID, r.Agent, v.token.Actor())
	}
	if err != nil {
		return nil, c.failOffice(ctx, transferring, err)
	}
	return &struct{}{}, nil
}
