package ledger

import (
	"bytes"
	"context"
	"time"
)

// Witness is another place: it keeps checkpoints where the owner of the store cannot change them.
type Witness interface {
	// Kind is what sort of place it is, in a word: "file", "s3", "http". It is the label of a metric.
	Kind() string
	// Drop leaves a checkpoint there. It returns when the checkpoint is kept. Errors: ErrForked, when the witness has one
	// that this log cannot have come from.
	Drop(ctx context.Context, s Signed) error
	// Last is the newest checkpoint dropped for the log, or nil. Errors: ErrForked, as with Drop.
	Last(ctx context.Context, log LogID) ([]byte, error)
}

// Signed is a checkpoint on its way to a witness.
type Signed struct {
	Log  LogID
	Size int64
	Text []byte    // the note; the witness must not change it
	At   time.Time // when it was signed; zero for one that is older than this process
	// Prove returns the hashes that prove this tree to be a continuation of the tree over the first from leaves (RFC 6962
	// §2.1.2): none when from is 0 or Size.
	Prove func(ctx context.Context, from int64) ([][32]byte, error)
}

// dropped is a checkpoint as witnesses get it.
func (c *cityLog) dropped(s signedHead) Signed {
	return Signed{Log: c.id, Size: s.size, Text: bytes.Clone(s.text), At: s.at, Prove: func(ctx context.Context, from int64) ([][32]byte, error) {
		path, err := proveTree(s.size, from, c.reader(ctx))
		out := make([][32]byte, len(path))
		for i, h := range path {
			out[i] = h
		}
		return out, err
	}}
}
