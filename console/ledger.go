package console

import (
	"context"
	"encoding/json"
	"io"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
)

// ledgerAnswer is a page of the ledger.
type ledgerAnswer struct {
	Body struct {
		Data       []LedgerEntry `json:"data" nullable:"false" doc:"Newest first."`
		NextCursor string        `json:"next_cursor,omitempty" doc:"Absent on the last page."`
	}
}

// ledgerRoutes puts the routes of the ledger into the API.
func (c *Console) ledgerRoutes(api huma.API) {
	huma.Register(api, operation(http.MethodGet, "/ledger", "What was done with personal data"), c.listLedger)
	checkpoint := operation(http.MethodGet, "/ledger/checkpoint", "The newest signed checkpoint, to keep elsewhere")
	huma.Register(api, answering(checkpoint, "A C2SP tlog-checkpoint", "text/plain"), c.checkpoint)
	key := operation(http.MethodGet, "/ledger/key", "The key that verifies the checkpoints")
	huma.Register(api, answering(key, "A verifier key of C2SP signed notes, on one line", "text/plain"), c.ledgerKey)
	huma.Register(api, operation(http.MethodGet, "/ledger/entries/{index}/proof", "Proof that one entry is in the ledger"), c.proveEntry)
	export := operation(http.MethodGet, "/ledger/export", "The ledger as a file that a stranger verifies")
	huma.Register(api, answering(export, "JSON Lines", "application/jsonl"), c.exportLedger)
	huma.Register(api, operation(http.MethodGet, "/ledger/consistency", "Proof that the ledger only grew"), c.consistency)
	huma.Register(api, operation(http.MethodPost, "/ledger/keys/rotate", "Give the ledger a new key"), c.rotateKey)
	succeed := operation(http.MethodPost, "/ledger/succeed", "Open a new ledger in the place of a frozen one")
	succeed.Description = "Its first entry names both heads. The frozen one stays as it is, and is exported with the new one."
	huma.Register(api, succeed, c.succeed)
	c.mux.Handle("GET /ledger/", c.deps.Tiles)
}

func (c *Console) listLedger(ctx context.Context, in *struct{ Paging }) (*ledgerAnswer, error) {
	found, err := c.deps.Ledger.List(ctx, visitOf(ctx).token.City, in.Cursor, in.Limit)
	if err != nil {
		return nil, c.fail(ctx, "list the ledger", err)
	}
	out := &ledgerAnswer{}
	out.Body.Data, out.Body.NextCursor = append([]LedgerEntry{}, found.Entries...), found.Next
	return out, nil
}

// textAnswer is plain text: a C2SP tlog-checkpoint, or a key.
type textAnswer struct {
	ContentType string `header:"Content-Type"`
	Body        []byte
}

func (c *Console) checkpoint(ctx context.Context, _ *struct{}) (*textAnswer, error) {
	text, err := c.deps.Ledger.Checkpoint(ctx, visitOf(ctx).token.City)
	if err != nil {
		return nil, c.fail(ctx, "read the checkpoint", err)
	}
	return &textAnswer{ContentType: "text/plain; charset=utf-8", Body: text}, nil
}

func (c *Console) ledgerKey(ctx context.Context, _ *struct{}) (*textAnswer, error) {
	key, err := c.deps.Ledger.Key(ctx, visitOf(ctx).token.City)
	if err != nil {
		return nil, c.fail(ctx, "read the ledger's key", err)
	}
	return &textAnswer{ContentType: "text/plain; charset=utf-8", Body: []byte(key + "\n")}, nil
}

// proofAnswer is a proof as package ledger writes it.
type proofAnswer struct{ Body json.RawMessage }

func (c *Console) proveEntry(ctx context.Context, in *struct {
	Index int64 `path:"index" minimum:"0" doc:"The entry, as the list numbers it."`
}) (*proofAnswer, error) {
	proof, err := c.deps.Ledger.Proof(ctx, visitOf(ctx).token.City, in.Index)
	if err != nil {
		return nil, c.fail(ctx, "prove an entry", err)
	}
	return &proofAnswer{Body: proof}, nil
}

func (c *Console) exportLedger(ctx context.Context, _ *struct{}) (*huma.StreamResponse, error) {
	return c.download("ledger.jsonl", "application/jsonl", func(ctx context.Context, w io.Writer) error {
		return c.deps.Ledger.Export(ctx, visitOf(ctx).token.City, w)
	}), nil
}

func (c *Console) consistency(ctx context.Context, in *struct {
	From int64 `query:"from" minimum:"1" required:"true" doc:"Entries of the earlier ledger."`
	To   int64 `query:"to" minimum:"0" doc:"Entries of the later one; 0 is all that there are."`
}) (*proofAnswer, error) {
	proof, err := c.deps.Ledger.Consistency(ctx, visitOf(ctx).token.City, in.From, in.To)
	if err != nil {
		return nil, c.fail(ctx, "prove that the ledger only grew", err)
	}
	return &proofAnswer{Body: proof}, nil
}

// newKey is the public half of a ledger's new key.
type newKey struct {
	Key string `json:"key" doc:"A verifier key of C2SP signed notes."`
}

func (c *Console) rotateKey(ctx context.Context, _ *struct{}) (*bodyOf[newKey], error) {
	t := visitOf(ctx).token
	key, err := c.deps.Ledger.Rotate(ctx, t.City, t.Actor())
	if err != nil {
		return nil, c.fail(ctx, "rotate the ledger's key", err)
	}
	return &bodyOf[newKey]{newKey{key}}, nil
}

// newLog is the name of a ledger that took a frozen one's place.
type newLog struct {
	Log string `json:"log"`
}

func (c *Console) succeed(ctx context.Context, in *struct {
	Body struct {
		Reason string `json:"reason" minLength:"1" maxLength:"200" doc:"In words, for the ledger's first entry; no long rows of digits."`
	}
}) (*bodyOf[newLog], error) {
	t := visitOf(ctx).token
	log, err := c.deps.Ledger.Succeed(ctx, t.City, t.Actor(), in.Body.Reason)
	if err != nil {
		return nil, c.fail(ctx, "succeed a frozen ledger", err)
	}
	return &bodyOf[newLog]{newLog{log}}, nil
}
