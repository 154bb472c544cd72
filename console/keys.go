package console

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// droppedKeys says how many keys are gone.
type droppedKeys struct {
	Dropped int `json:"dropped" doc:"Keys that nothing needed any more. One that a caller's number still needs is dropped by a later try, 14 days on at most."`
}

// keyRoutes puts the routes of the keys of callers' numbers into the API.
func (c *Console) keyRoutes(api huma.API) {
	rotate := operation(http.MethodPost, "/ani-keys/rotate", "Seal callers' numbers under a new key")
	rotate.Description = "What was sealed before still opens: drop the old key later."
	huma.Register(api, rotate, c.rotateNumbers)
	drop := operation(http.MethodPost, "/ani-keys/drop", "Drop the old keys of callers' numbers")
	drop.Description = "Registers are sealed under the newest key first. It is a conflict within a minute of a new key, and while entries wait in the spool."
	huma.Register(api, drop, c.dropKeys)
}

func (c *Console) rotateNumbers(ctx context.Context, _ *struct{}) (*struct{}, error) {
	t := visitOf(ctx).token
	if err := c.deps.Numbers.Rotate(ctx, t.City, t.Actor()); err != nil {
		return nil, c.failOffice(ctx, huma.Operation{OperationID: "rotate the key of callers' numbers"}, err)
	}
	return nil, nil
}

func (c *Console) dropKeys(ctx context.Context, _ *struct{}) (*bodyOf[droppedKeys], error) {
	t := visitOf(ctx).token
	n, err := c.deps.Numbers.DropKeys(ctx, t.City, t.Actor())
	if err != nil {
		return nil, c.failOffice(ctx, huma.Operation{OperationID: "drop old keys of callers' numbers"}, err)
	}
	return &bodyOf[droppedKeys]{droppedKeys{n}}, nil
}
