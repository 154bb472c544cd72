package ani

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"

	"callhall/call"
)

// MaxCopy is the largest copy of a paper that is kept, in bytes.
const MaxCopy = 10 << 20

// copyChunk is how much of a copy one entry has, in bytes.
const copyChunk = 1 << 20

const registerCopies Kind = "process-copy"

// copyBody is a piece of a paper's copy.
type copyBody struct {
	Data []byte `json:"data"`
}

// copyID names a piece by all that its paper must have the same: what a failed try has left under the paper's id, of another
// copy or to be erased at another time, is never taken for it.
func copyID(paper Entry, digest string, i int) string {
	return derivedID("cpy", paper.ID, stamp(paper.DueAt), digest, strconv.Itoa(i))
}

// keepCopy writes a copy in pieces, before the paper itself: a paper that is there has its whole copy. Pieces of a try
// that failed go at their due time.
func (o *Office) keepCopy(ctx context.Context, paper Entry, digest string, data []byte) error {
	for i := 0; len(data) > 0; i++ {
		n := min(len(data), copyChunk)
		_, err := o.copies.add(ctx, kept[copyBody]{Body: copyBody{data[:n]},
			Entry: Entry{City: paper.City, ID: copyID(paper, digest, i), At: paper.At, DueAt: paper.DueAt}})
		if err != nil && !errors.Is(err, ErrExists) { // of the same request, tried before
			return err
		}
		data = data[n:]
	}
	return nil
}

// PaperCopy returns the copy of a paper, as it was handed in. It is for the city's officers, and every reading is in the
// ledger. Errors: ErrNotPermitted, ErrNotFound, ErrDamaged.
func (o *Office) PaperCopy(ctx context.Context, city call.CityID, id string, by Person) ([]byte, error) {
	if err := permit(by, RolePrivacy, RoleRecords); err != nil {
		return nil, fmt.Errorf("copy of %s: %w", id, err)
	}
	k, err := o.papers.get(ctx, city, id)
	if err != nil {
		return nil, fmt.Errorf("copy of %s: %w", id, err)
	}
	data := make([]byte, 0, k.Body.CopySize)
	for i := 0; len(data) < k.Body.CopySize; i++ {
		piece, err := o.copies.get(ctx, city, copyID(k.Entry, k.Body.CopySHA256, i))
		if err != nil {
			return nil, fmt.Errorf("copy of %s: %w", id, err)
		}
		data = append(data, piece.Body.Data...)
	}
	if sum := sha256.Sum256(data); len(data) > 0 && hex.EncodeToString(sum[:]) != k.Body.CopySHA256 {
		return nil, fmt.Errorf("copy of %s: %w", id, ErrDamaged)
	}
	if err := o.record(ctx, city, KindProcess, "", by, k.Body.facts(id, "copy-read")); err != nil {
		return nil, fmt.Errorf("copy of %s: %w", id, err)
	}
	return data, nil
}
