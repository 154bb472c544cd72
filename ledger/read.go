package ledger

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"golang.org/x/mod/sumdb/tlog"

	"callhall/call"
)

// KindErased is the kind of the leaf that says that a body was erased; its fact "index" names it.
const KindErased = "ledger.erased/1"

// maxPage is how many leaves List returns at most.
const maxPage = 1000

// Entry is one leaf as List returns it.
type Entry struct {
	Index  int64
	Erased bool      // its body is gone; Leaf is empty
	Leaf   call.Leaf // its Call is empty where it concerns no one call
}

// List returns up to limit leaves of the city from index from on, in order, and the from of the next page, which is the
// size of the log when there is no more. A limit outside 1 to 1000 counts as 1000.
func (l *Ledger) List(ctx context.Context, city call.CityID, from int64, limit int) ([]Entry, int64, error) {
	if limit < 1 || limit > maxPage {
		limit = maxPage
	}
	size, err := l.store.Size(ctx, city)
	if err != nil {
		return nil, 0, fmt.Errorf("list the ledger of %s: %w", city, err)
	}
	from = min(max(from, 0), size)
	end := min(from+int64(limit), size)
	bodies, err := l.bodies(ctx, city, from, end)
	if err != nil {
		return nil, 0, fmt.Errorf("list the ledger of %s: %w", city, err)
	}
	entries := make([]Entry, 0, end-from)
	for i := from; i < end; i++ {
		b, ok := bodies[i]
		if !ok {
			entries = append(entries, Entry{Index: i, Erased: true})
			continue
		}
		_, leaf, err := decode(b.Text)
		if err != nil {
			return nil, 0, fmt.Errorf("list the ledger of %s: leaf %d: %w", city, i, err)
		}
		entries = append(entries, Entry{Index: i, Leaf: leaf})
	}
	return entries, end, nil
}

// bodies returns those from index from up to end that are not erased.
func (l *Ledger) bodies(ctx context.Context, city call.CityID, from, end int64) (map[int64]Body, error) {
	list, err := l.store.Bodies(ctx, city, from, int(end-from))
	if err != nil {
		return nil, err
	}
	all := make(map[int64]Body, len(list))
	for _, b := range list {
		if b.Index < end {
			all[b.Index] = b
		}
	}
	return all, nil
}

// Erase removes the body of one leaf and keeps its place in the tree. A leaf of KindErased that names it is durable
// first. Errors: ErrNotFound, when there is no such body.
func (l *Ledger) Erase(ctx context.Context, city call.CityID, index int64, actor string) error {
	found, err := l.bodies(ctx, city, index, index+1)
	if err == nil && len(found) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return fmt.Errorf("erase leaf %d of %s: %w", index, city, err)
	}
	leaf := call.Leaf{Kind: KindErased, At: l.cfg.Now(), Actor: actor, Facts: map[string]string{"index": fmt.Sprint(index)}}
	if err := l.Append(ctx, city, leaf); err != nil {
		return err
	}
	if err := l.store.Erase(ctx, city, index); err != nil {
		return fmt.Errorf("erase leaf %d of %s: %w", index, city, err)
	}
	return nil
}

// Proof shows that one leaf is in the log that a checkpoint covers.
type Proof struct {
	Checkpoint string           `json:"checkpoint"`
	Index      int64            `json:"index"`
	Leaf       tlog.Hash        `json:"leaf"`
	Path       tlog.RecordProof `json:"path"`
}

// Proof proves leaf index of the city against a fresh checkpoint. Errors: ErrNotFound.
func (l *Ledger) Proof(ctx context.Context, city call.CityID, index int64) (Proof, error) {
	c, err := l.city(ctx, city)
	if err != nil {
		return Proof{}, err
	}
	s, err := c.sign(ctx)
	if err != nil {
		return Proof{}, fmt.Errorf("prove leaf %d of %s: %w", index, city, err)
	}
	if index < 0 || index >= s.size {
		return Proof{}, fmt.Errorf("prove leaf %d of %s: %w", index, city, ErrNotFound)
	}
	p := Proof{Checkpoint: string(s.text), Index: index}
	r := c.reader(ctx)
	if p.Path, err = tlog.ProveRecord(s.size, index, r); err != nil {
		return Proof{}, fmt.Errorf("prove leaf %d of %s: %w", index, city, err)
	}
	leaf, err := r.ReadHashes([]int64{tlog.StoredHashIndex(0, index)})
	if err != nil {
		return Proof{}, fmt.Errorf("prove leaf %d of %s: %w", index, city, err)
	}
	p.Leaf = leaf[0]
	return p, nil
}

// Check verifies the proof with the city's verifier key.
func (p Proof) Check(city call.CityID, key string) error {
	h, err := openCheckpoint([]byte(p.Checkpoint), city, key)
	if err != nil {
		return err
	}
	return tlog.CheckRecord(p.Path, h.size, h.root, p.Index, p.Leaf)
}

// exportVersion is the first word of an export.
const exportVersion = "callhall ledger export v1"

// exportHeader is the first line of an export.
type exportHeader struct {
	Export     string      `json:"export"`
	City       call.CityID `json:"city"`
	Keys       []string    `json:"keys"`
	Checkpoint string      `json:"checkpoint"`
}

// exportLine is one leaf of an export: salt and body, or the hash alone where the body is erased.
type exportLine struct {
	I    int64           `json:"i"`
	Salt []byte          `json:"salt,omitempty"`
	Body json.RawMessage `json:"body,omitempty"`
	Hash *tlog.Hash      `json:"hash,omitempty"`
}

// Export writes the whole log of a city as JSON Lines that Verify reads with nothing else: FORMAT.md. It covers what a
// fresh checkpoint covers; leaves added meanwhile are left out.
func (l *Ledger) Export(ctx context.Context, city call.CityID, w io.Writer) error {
	c, err := l.city(ctx, city)
	if err != nil {
		return err
	}
	s, err := c.sign(ctx)
	if err != nil {
		return fmt.Errorf("export the ledger of %s: %w", city, err)
	}
	out := bufio.NewWriterSize(w, 64<<10)
	err = writeLine(out, exportHeader{Export: exportVersion, City: city, Keys: []string{c.key.Verifier}, Checkpoint: string(s.text)})
	for from := int64(0); from < s.size && err == nil; from += tileWidth {
		err = c.exportTile(ctx, out, from, min(from+tileWidth, s.size))
	}
	if err := errors.Join(err, out.Flush()); err != nil {
		return fmt.Errorf("export the ledger of %s: %w", city, err)
	}
	return nil
}

// exportTile writes the leaves of one tile. The tile is read after the bodies: a body erased in between still has its
// hash there.
func (c *cityLog) exportTile(ctx context.Context, out io.Writer, from, end int64) error {
	bodies, err := c.ledger.bodies(ctx, c.name, from, end)
	if err != nil {
		return err
	}
	tile, err := c.ledger.store.Tile(ctx, c.name, 0, from/tileWidth)
	if err != nil {
		return err
	}
	if int64(len(tile)) < (end-from)*tlog.HashSize {
		return fmt.Errorf("%w: tile 0/%d is short", ErrDamaged, from/tileWidth)
	}
	for i := from; i < end; i++ {
		line := exportLine{I: i}
		if b, ok := bodies[i]; ok {
			line.Salt, line.Body = b.Salt, b.Text
		} else {
			line.Hash = (*tlog.Hash)(tile[(i-from)*tlog.HashSize:])
		}
		if err := writeLine(out, line); err != nil {
			return err
		}
	}
	return nil
}

// writeLine writes v as one line of JSON, with bodies byte for byte as they are.
func writeLine(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
