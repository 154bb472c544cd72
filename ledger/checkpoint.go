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

// signedHead is a checkpoint that was signed and left with the witness.
type signedHead struct {
	head
	text []byte
	at   time.Time // when it was signed
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

// Key is the verifier key that signs the city's checkpoints now, in the form of golang.org/x/mod/sumdb/note.
func (l *Ledger) Key(ctx context.Context, city call.CityID) (string, error) {
	c, err := l.city(ctx, city)
	if c == nil {
		return "", err
	}
	return c.verifier(), nil
}

// sign signs the committed head, unless the last checkpoint already covers it, and leaves it with the first witness.
func (c *cityLog) sign(ctx context.Context) (signedHead, error) {
	c.signing.Lock()
	defer c.signing.Unlock()
	s, err := c.signed, c.why()
	if err == nil {
		s, err = c.signNow(ctx)
	}
	if frozen(err) {
		c.freeze(err)
	}
	return s, err
}

func (c *cityLog) signNow(ctx context.Context) (signedHead, error) {
	if err := c.settleKeys(ctx); err != nil {
		return signedHead{}, err
	}
	size, err := c.ledger.store.Size(ctx, c.id)
	if err != nil {
		return signedHead{}, err
	}
	if size == c.signed.size && c.signed.text != nil {
		return c.signed, nil
	}
	if size < c.signed.size {
		return signedHead{}, fmt.Errorf("%w: %d leaves were signed, now there are %d", ErrForked, c.signed.size, size)
	}
	h, err := c.follow(ctx, c.signed.head, size)
	if err != nil {
		return signedHead{}, err
	}
	text, err := note.Sign(&note.Note{Text: checkpointText(c.id, h)}, c.ring.key.Signer)
	if err != nil {
		return signedHead{}, fmt.Errorf("sign: %w", err)
	}
	s := signedHead{head: h, text: text, at: c.ledger.cfg.Now()}
	if err := c.ledger.witness.Drop(ctx, c.dropped(s)); err != nil {
		c.ledger.metrics.failures.WithLabelValues(c.ledger.witness.Kind()).Inc()
		return signedHead{}, fmt.Errorf("leave it with the witness: %w", err)
	}
	c.signed = s
	c.published.Store(&s)
	c.ledger.tell()
	return s, nil
}

// follow computes the head over the first size leaves from the stored tree and proves to ourselves, from the same tree,
// that it continues the one that was signed last: somebody may have rewritten the store meanwhile. It reads as many tiles
// as the tree is high, twice at most. Errors: ErrForked, ErrDamaged.
func (c *cityLog) follow(ctx context.Context, old head, size int64) (head, error) {
	r := c.reader(ctx)
	root, err := tlog.TreeHash(size, r)
	if err != nil {
		return head{}, err
	}
	h := head{size, root}
	path, err := proveTree(size, old.size, r)
	if err != nil {
		return head{}, err
	}
	if !h.follows(old, path) {
		return head{}, fmt.Errorf("%w: the first %d leaves are not those that were signed", ErrForked, old.size)
	}
	return h, nil
}

// follows tells whether path proves h to be a continuation of old. Everything continues a tree without leaves.
func (h head) follows(old head, path tlog.TreeProof) bool {
	if old.size == 0 || old.size == h.size {
		return old.size == 0 || old.root == h.root
	}
	return old.size < h.size && tlog.CheckTree(path, h.size, h.root, old.size, old.root) == nil
}

// begin leaves the checkpoint over no leaves with the witness before a log takes its first one: from then on leaves
// without any checkpoint there mean that somebody took it away.
func (c *cityLog) begin(ctx context.Context) error {
	if _, err := c.sign(ctx); err != nil {
		return fmt.Errorf("first checkpoint of %s: %w", c.id, err)
	}
	return nil
}

// drop signs what has changed. A log without leaves has its checkpoint, a frozen one gets none.
func (c *cityLog) drop(ctx context.Context) error {
	if c.why() != nil {
		return nil
	}
	size, err := c.ledger.store.Size(ctx, c.id)
	if err == nil && size > 0 {
		_, err = c.sign(ctx)
	}
	if err != nil {
		return fmt.Errorf("checkpoint of %s: %w", c.id, err)
	}
	return nil
}

// grew wakes checkpoints.
func (l *Ledger) grew() {
	select {
	case l.grown <- struct{}{}:
	default:
	}
}

// checkpoints leaves one with the witness as soon as a log has grown, and then rests: a busy log gets one every
// CheckpointEvery, one that was idle gets it at once. It runs until ctx ends.
func (l *Ledger) checkpoints(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.grown:
		}
		for _, c := range l.current() {
			if err := c.drop(ctx); err != nil && ctx.Err() == nil && !frozen(err) {
				l.cfg.Log.Error("checkpoint not left with the witness; it is tried again", "log", c.id, "err", err)
				l.grew()
			}
		}
		rest := time.NewTimer(l.cfg.CheckpointEvery)
		select {
		case <-ctx.Done():
			rest.Stop()
			return
		case <-rest.C:
		}
	}
}

// checkpointText is the signed part: origin, size, root hash, a line each (C2SP tlog-checkpoint).
func checkpointText(log LogID, h head) string {
	return log.Origin() + "\n" + strconv.FormatInt(h.size, 10) + "\n" + base64.StdEncoding.EncodeToString(h.root[:]) + "\n"
}

// openCheckpoint reads a checkpoint and takes nothing but the one spelling that we write, signed by one of the keys.
func openCheckpoint(text []byte, log LogID, keys ...string) (head, error) {
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
	h, err := parseCheckpoint(n.Text)
	if err == nil && h.log != log {
		err = fmt.Errorf("it is of the log %s", h.log)
	}
	return h.head, err
}

// strict refuses signatures beyond those that were verified and a second spelling of these: base64 has spare bits at its
// end.
func strict(n *note.Note, text []byte) error {
	if len(n.UnverifiedSigs) > 0 {
		return fmt.Errorf("signature by an unknown key %q", n.UnverifiedSigs[0].Name)
	}
	again := n.Text + "\n"
	for _, s := range n.Sigs {
		if _, err := base64.StdEncoding.Strict().DecodeString(s.Base64); err != nil {
			return fmt.Errorf("signature: %w", err)
		}
		again += "— " + s.Name + " " + s.Base64 + "\n"
	}
	if again != string(text) {
		return errors.New("more signatures than needed")
	}
	return nil
}

// logHead is a head and whose it is.
type logHead struct {
	log LogID
	head
}

// parseCheckpoint reads the signed part of a checkpoint.
func parseCheckpoint(text string) (logHead, error) {
	lines := strings.Split(text, "\n")
	if len(lines) != 4 || !strings.HasPrefix(lines[0], originPrefix) {
		return logHead{}, errors.New("not a checkpoint of a ledger")
	}
	log, err := ParseLogID(strings.TrimPrefix(lines[0], originPrefix))
	if err != nil {
		return logHead{}, err
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil || size < 0 {
		return logHead{}, fmt.Errorf("size %q", lines[1])
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return logHead{}, fmt.Errorf("root %q: %w", lines[2], err)
	}
	h := logHead{log, head{size, root}}
	if checkpointText(log, h.head) != text {
		return logHead{}, errors.New("checkpoint is not spelled as it should be")
	}
	return h, nil
}

// unsigned reads what a checkpoint says before anybody knows which key must have signed it.
func unsigned(checkpoint []byte) (logHead, error) {
	text, _, found := strings.Cut(string(checkpoint), "\n\n")
	if !found {
		return logHead{}, errors.New("not a checkpoint")
	}
	return parseCheckpoint(text + "\n")
}
