package main

import (
	"context"
	"fmt"
	"net/http"
)

// aniKeysCmd changes the keys of a city's numbers and registers (docs/operations.md).
type aniKeysCmd struct {
	Rotate aniKeysRotate `cmd:"" help:"Seal under a new key from now on. What was sealed before still opens."`
	Drop   aniKeysDrop   `cmd:"" help:"Drop the old keys that nothing needs any more, and say how many."`
}

// aniKeysRotate is callhall ani keys rotate.
type aniKeysRotate struct{ access }

// Run rotates the key.
func (c aniKeysRotate) Run(ctx context.Context, term *terminal) error {
	server, err := c.dial(term, ledgerRole)
	if err != nil {
		return err
	}
	answer, err := server.send(ctx, http.MethodPost, "ani-keys/rotate", nil)
	if err != nil {
		return err
	}
	defer answer.Body.Close() // it is empty
	_, err = fmt.Fprintln(term.Err, "A new key seals from now on. Back the key file up; drop the old key in 14 days.")
	return err
}

// aniKeysDrop is callhall ani keys drop.
type aniKeysDrop struct {
	access
	Yes bool `required:"" help:"Say that it is meant: the old keys are destroyed."`
}

// Run drops the old keys.
func (c aniKeysDrop) Run(ctx context.Context, term *terminal) error {
	return c.change(ctx, term, "ani-keys/drop", nil, "dropped")
}
