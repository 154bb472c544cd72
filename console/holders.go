package console

import (
	"context"
	"net/http"
	"time"

	"callhall/call"

	"github.com/danielgtaylor/huma/v2"
)

// holder is a token as the privacy officer sees it. Its secret is not known to anybody but its holder.
type holder struct {
	ID        string       `json:"id"`
	Name      string       `json:"name"`
	Role      Role         `json:"role"`
	Agent     call.AgentID `json:"agent,omitempty"`
	Scope     []Permission `json:"scope,omitempty" doc:"Where it narrows the role."`
	CreatedAt time.Time    `json:"created_at"`
	ExpiresAt time.Time    `json:"expires_at"`
}

// holderRoutes puts the list of who is let in into the API.
func (c *Console) holderRoutes(api huma.API) {
	list := operation(http.MethodGet, "/tokens", "Who holds a token now, newest first")
	list.Description = "Those that have ended are in the ledger, as " + KindToken + "."
	lists(c, api, list, c.holders, func(h holder) string { return h.ID })
}

// holders is a page of the tokens that hold, newest first, after the one with that id.
func (c *Console) holders(ctx context.Context, city call.CityID, after string, limit int) ([]holder, error) {
	all, err := c.deps.Tokens.List(ctx, city)
	if err != nil {
		return nil, err
	}
	page, begun := []holder{}, after == ""
	for i := len(all) - 1; i >= 0 && len(page) < limit; i-- {
		if t := all[i]; begun && t.holds(c.cfg.Now()) {
			page = append(page, holder{t.ID, t.Name, t.Role, t.Agent, t.Scope, t.CreatedAt, t.ExpiresAt})
		}
		begun = begun || all[i].ID == after
	}
	return page, nil
}
