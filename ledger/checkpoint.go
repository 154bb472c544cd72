package ledger

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"callhall/call"
)

// Origin is the first line of a city's checkpoints and the name of its key.
func Origin(city call.CityID) string { return "callhall/ledger/" + string(city) }

// signedHead is the last checkpoint that was signed and left with the witness.
type signedHead struct {
	size int64
	text []byte
}

// head is what a checkpoint says.
type head struct {
	size int64
	root tlog.Hash
}

// Checkpoint returns a signed checkpoint over all leaves that are durable now (C2SP tlog-checkpoint). Whoever keeps it
// can later tell whether the log was rewritten. It has been left with the witness before it is returned. Errors:
// ErrForked, ErrDamaged.
func (l *Ledger) Checkpoint(ctx context.Context, city call.CityID) ([]byte, error) {
	c, err := l.city(ctx, city)
	if err != nil {
		return nil, err
	}
	s, err := c.sign(ctx)
	if err != nil {
		return nil, fmt.Errorf("checkpoint of %s: %w", city, err)
	}
	return bytes.Clone(s.text), nil
}

// Key is the verifier key of the city's checkpoints, in the form of golang.org/x/mod/sumdb/note.
func (l *Ledger) Key(ctx context.Context, city call.CityID) (string, error) {
	c, err := l.city(ctx, city)
	if c == nil {
		return "", err
	}
	return c.key.Verifier, nil
}

// sign signs the committed head, unless the last checkpoint already covers it, and leaves it with the witness.
func (c *cityLog) sign(ctx context.Context) (signedHead, error) {
	c.signing.Lock()
	defer c.signing.Unlock()
	size, err := c.ledger.store.Size(ctx, c.name)
	if err != nil {
		return signedHead{}, err
	}
	if size == c.signed.size && c.signed.text != nil {
		return c.signed, nil
	}
	if size < c.signed.size {
		return signedHead{}, fmt.Errorf("%w: %d leaves were signed, now there are %d", ErrForked, c.signed.size, size)
	}
	root, err := tlog.TreeHash(size, c.reader(ctx))
	if err != nil {
		return signedHead{}, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	text, err := note.Sign(&note.Note{Text: checkpointText(Origin(c.name), head{size, root})}, c.key.Signer)
	if err != nil {
		return signedHead{}, fmt.Errorf("sign: %w", err)
	}
	if err := c.ledger.witness.Drop(ctx, c.name, text); err != nil {
		return signedHead{}, fmt.Errorf("leave it with the witness: %w", err)
	}
	c.signed = signedHead{size: size, text: text}
	return c.signed, nil
}

// drop signs what has changed. A log without leaves needs no checkpoint, a frozen one gets none.
func (c *cityLog) drop(ctx context.Context) error {
	if c.frozen != nil {
		return nil
	}
	size, err := c.ledger.store.Size(ctx, c.name)
	if err == nil && size > 0 {
		_, err = c.sign(ctx)
	}
	if err != nil {
		return fmt.Errorf("checkpoint of %s: %w", c.name, err)
	}
	return nil
}

// checkpoints leaves one with the witness whenever a log has grown, until ctx ends.
func (l *Ledger) checkpoints(ctx context.Context) {
	tick := time.NewTicker(l.cfg.CheckpointEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, c := range l.open() {
			if err := c.drop(ctx); err != nil && ctx.Err() == nil {
				l.cfg.Log.Error("checkpoint not left with the witness; it is tried again", "city", c.name, "err", err)
			}
		}
	}
}

func (l *Ledger) open() (all []*cityLog) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.logs {
		all = append(all, c)
	}
	return all
}

// checkpointText is the signed part: origin, size, root hash, a line each (C2SP tlog-checkpoint).
func checkpointText(origin string, h head) string {
	return origin + "\n" + strconv.FormatInt(h.size, 10) + "\n" + base64.StdEncoding.EncodeToString(h.root[:]) + "\n"
}

// openCheckpoint reads a checkpoint and takes nothing but the one spelling that we write, signed by one of the keys.
func openCheckpoint(text []byte, city call.CityID, keys ...string) (head, error) {
	known := make([]note.Verifier, 0, len(keys))
	for _, k := range keys {
		v, err := verifier(k)
		if err != nil {
			return head{}, err
		}
		known = append(known, v)
	}
	n, err := note.Open(text, note.VerifierList(known...))
	if err != nil {
		return head{}, err
	}
	if err := strict(n, text); err != nil {
		return head{}, err
	}
	return parseCheckpoint(n.Text, city)
}

// strict refuses further signatures and a second spelling of ours: base64 has spare bits at its end.
func strict(n *note.Note, text []byte) error {
	if len(n.UnverifiedSigs) > 0 {
		return fmt.Errorf("signature by an unknown key %q", n.UnverifiedSigs[0].Name)
	}
	s := n.Sigs[0]
	if _, err := base64.StdEncoding.Strict().DecodeString(s.Base64); err != nil {
		return fmt.Errorf("signature: %w", err)
	}
	if n.Text+"\n— "+s.Name+" "+s.Base64+"\n" != string(text) {
		return errors.New("more than one signature")
	}
	return nil
}

func parseCheckpoint(text string, city call.CityID) (head, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || lines[0] != Origin(city) {
		return head{}, errors.New("not a checkpoint of this city's ledger")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 {
		return head{}, fmt.Errorf("size %q", lines[1])
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return head{}, fmt.Errorf("root %q: %w", lines[2], err)
	}
	h := head{size, root}
	if checkpointText(lines[0], h) != text {
		return head{}, errors.New("checkpoint is not spelled as it should be")
	}
	return h, nil
}
