package console

import (
	"context"
	"fmt"
	"net/http"

	"callhall/ani"
	"callhall/call"

	"github.com/danielgtaylor/huma/v2"
)

// callBack is the call that calls somebody back.
type callBack struct {
	Call call.ID `json:"call"`
}

// handleRoutes puts the routes of calling back into the API.
func (c *Console) handleRoutes(api huma.API) {
	give := operation(http.MethodPost, "/calls/{id}/handles", "A handle to call a caller back with, without seeing their number")
	give.Description = "Of a call that the agent has, for when it is cut off, or of one that was cut off under their hands. Asking again finds the same one."
	actsOn(c, api, created(give), func(ctx context.Context, city call.CityID, id string, by ani.Person) (ani.HandleEntry, error) {
		return c.deps.Office.GiveHandle(ctx, city, call.ID(id), by)
	})
	dial := operation(http.MethodPost, "/handles/{id}/dial", "Call the caller of a handle back")
	dial.Description = "The answer names the call that does it: the agent is rung first, then the caller. What becomes of it is in that call's timeline."
	dial.DefaultStatus = http.StatusAccepted
	actsOn(c, api, dial, c.dialHandle)
}

func (c *Console) dialHandle(ctx context.Context, city call.CityID, id string, by ani.Person) (callBack, error) {
	h, err := c.deps.Office.HandleOf(ctx, city, id, by)
	if err != nil {
		return callBack{}, err
	}
	if _, err := c.deps.Board.Look(ctx, city, h.Call); err == nil {
		return callBack{}, fmt.Errorf("%w: the call of the handle goes on", ErrConflict)
	}
	r, err := c.deps.Calls.Get(ctx, city, h.Call)
	if err != nil {
		return callBack{}, err
	}
	back, err := c.deps.Board.CallBack(ctx, call.CallBackOrder{City: city, Of: h.Call, Handle: h.Handle, Agent: h.Agent, Queue: r.Queue,
		Language: r.Language, By: by.Actor})
	return callBack{back}, err
}
