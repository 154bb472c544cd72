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

// The first words of an export. A log whose key never changed and that succeeds no other is written as v1.
const (
	exportVersion  = "callhall ledger export v1"
	exportVersion2 = "callhall ledger export v2"
)

// What a part of an export says of a log that another took the place of.
const (
	stateFrozen     = "frozen"     // its leaves as they were found follow
	stateUnreadable = "unreadable" // too much of it was destroyed: nothing follows
)

// exportHeader is the first line of an export, and of each part of it.
type exportHeader struct {
	Export     string      `json:"export"`
	Log        LogID       `json:"log,omitempty"` // v2 only
	City       call.CityID `json:"city"`
	Keys       []string    `json:"keys,omitempty"`       // none where State is set
	State      string      `json:"state,omitempty"`      // v2 only
	Checkpoint string      `json:"checkpoint,omitempty"` // none where State is set
}

// exportLine is one leaf of an export: salt and body, or the hash alone where the body is erased.
type exportLine struct {
	I    int64           `json:"i"`
	Salt []byte          `json:"salt,omitempty"`
	Body json.RawMessage `json:"body,omitempty"`
	Hash *tlog.Hash      `json:"hash,omitempty"`
}

func (l exportLine) leafHash() tlog.Hash {
	if l.Hash != nil {
		return *l.Hash
	}
	return leafHash(l.Salt, l.Body)
}

// Export writes the whole newest log of a city as JSON Lines that Verify reads with nothing else: FORMAT.md. It covers
// what a fresh checkpoint covers; leaves added meanwhile are left out. The logs that it came after follow, newest first. A
// frozen log is exported as far as its last checkpoint covers it. Errors: ErrForked, ErrDamaged, when a frozen log does not
// have what that covers any more: Succeed first.
func (l *Ledger) Export(ctx context.Context, city call.CityID, w io.Writer) error {
	c, err := l.city(ctx, city)
	if c == nil {
		return err
	}
	out := bufio.NewWriterSize(w, 64<<10)
	err = c.export(ctx, out)
	if err := errors.Join(err, out.Flush()); err != nil {
		return fmt.Errorf("export the ledger of %s: %w", c.id, err)
	}
	return nil
}

// export writes the log and all before it.
func (c *cityLog) export(ctx context.Context, out io.Writer) error {
	s, err := c.sign(ctx)
	if frozen(err) {
		s, err = c.lastSigned(ctx, err)
	}
	if err != nil {
		return err
	}
	marks, err := c.ledger.store.Marked(ctx, c.id)
	if err != nil {
		return err
	}
	chain, before := readChain(c.id, marks)
	if err := writeLine(out, c.header(s, chain)); err != nil {
		return err
	}
	write := func(line exportLine) error { return writeLine(out, line) }
	for from := int64(0); from < s.size; from += tileWidth {
		if err := c.tileLeaves(ctx, from, min(from+tileWidth, s.size), write); err != nil {
			return err
		}
	}
	for before != nil {
		if before, err = c.ledger.exportFrozen(ctx, *before, out); err != nil {
			return err
		}
	}
	return nil
}

// lastSigned is the last checkpoint that a frozen log had signed, if the log still has what it covers; else why.
func (c *cityLog) lastSigned(ctx context.Context, why error) (signedHead, error) {
	c.signing.Lock()
	defer c.signing.Unlock()
	text := c.lastText()
	if text == nil {
		return signedHead{}, why
	}
	h, err := c.contains(ctx, text, c.ring.verifiers())
	if err != nil {
		return signedHead{}, fmt.Errorf("%w, and nothing of it can be shown: %w", why, err)
	}
	return signedHead{head: h, text: text}, nil
}

// header is the first line. A change of key that the checkpoint does not cover yet is left out of it.
func (c *cityLog) header(s signedHead, chain []rotation) exportHeader {
	keys := chainKeys(chain)
	if len(chain) == 0 {
		keys = []string{c.verifier()}
	} else {
		keys = keys[:keyAt(chain, s.size)+1]
	}
	h := exportHeader{Export: exportVersion2, Log: c.id, City: c.id.City(), Keys: keys, Checkpoint: string(s.text)}
	if len(keys) == 1 && c.id.number() == 1 {
		h.Export, h.Log = exportVersion, ""
	}
	return h
}

// exportFrozen writes a frozen log as it was found when it was succeeded, and returns what it came after.
func (l *Ledger) exportFrozen(ctx context.Context, s succession, out io.Writer) (*succession, error) {
	h := exportHeader{Export: exportVersion2, Log: s.old, City: s.old.City(), State: stateFrozen}
	if s.found.what != "" {
		h.State = stateUnreadable
		return nil, writeLine(out, h)
	}
	if err := writeLine(out, h); err != nil {
		return nil, err
	}
	var before *succession
	c := &cityLog{ledger: l, id: s.old}
	err := c.found(ctx, s.found.size, func(line exportLine) error {
		if line.I == 0 && line.Hash == nil {
			if _, leaf, err := decode(line.Body); err == nil {
				if s, ok := successionOf(c.id, 0, leaf); ok {
					before = &s
				}
			}
		}
		return writeLine(out, line)
	})
	return before, err
}

// found gives the leaves of a log that may have been tampered with: the body where there is a whole one, else the hash in
// the tree. Errors: ErrDamaged, where there is neither.
func (c *cityLog) found(ctx context.Context, size int64, yield func(exportLine) error) error {
	for from := int64(0); from < size; from += tileWidth {
		end := min(from+tileWidth, size)
		bodies, tile, err := c.tile(ctx, from, end)
		if err != nil {
			return err
		}
		for i := from; i < end; i++ {
			line := exportLine{I: i}
			rest := tile[min((i-from)*tlog.HashSize, int64(len(tile))):]
			if b, ok := bodies[i]; ok && c.whole(b) {
				line.Salt, line.Body = b.Salt, b.Text
			} else if len(rest) >= tlog.HashSize {
				line.Hash = (*tlog.Hash)(rest)
			} else {
				return fmt.Errorf("%w: nothing is left of leaf %d", ErrDamaged, i)
			}
			if err := yield(line); err != nil {
				return err
			}
		}
	}
	return nil
}

// whole tells whether a body is one that this ledger may have written.
func (c *cityLog) whole(b Body) bool {
	city, _, err := decode(b.Text)
	return err == nil && city == c.id.City() && len(b.Salt) == saltSize
}

// tileLeaves gives the leaves of one tile.
func (c *cityLog) tileLeaves(ctx context.Context, from, end int64, yield func(exportLine) error) error {
	bodies, tile, err := c.tile(ctx, from, end)
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
		if err := yield(line); err != nil {
			return err
		}
	}
	return nil
}

// tile reads bodies and hashes. The tile is read after the bodies: a body erased in between still has its hash there.
func (c *cityLog) tile(ctx context.Context, from, end int64) (map[int64]Body, []byte, error) {
	bodies, err := c.ledger.bodies(ctx, c.id, from, end)
	if err != nil {
		return nil, nil, err
	}
	tile, err := c.ledger.store.Tile(ctx, c.id, 0, from/tileWidth)
	if errors.Is(err, ErrNotFound) {
		err = nil
	}
	return bodies, tile, err
}

// writeLine writes v as one line of JSON, with bodies byte for byte as they are.
func writeLine(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
