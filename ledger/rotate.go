package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"callhall/call"
)

// KindKey is the kind of the leaf that changes the log's key: checkpoints over it and what follows are signed by the new
// one. Its facts are old, new (verifier keys) and note, a statement that both have signed.
const KindKey = "ledger.key/1"

// rotation is one change of a log's key.
type rotation struct {
	index    int64 // of its leaf
	old, new string
	note     string
}

const rotationHead = "callhall ledger key v1"

func rotationText(log LogID, old, new string) string {
	return rotationHead + "\n" + log.Origin() + "\n" + old + "\n" + new + "\n"
}

// parseRotation reads the statement that two keys have signed: whoever trusts the old one may trust the new.
func parseRotation(log LogID, text string) (rotation, error) {
	lines := strings.SplitN(text, "\n", 5)
	if len(lines) < 5 {
		return rotation{}, errors.New("not a change of key")
	}
	r := rotation{old: lines[2], new: lines[3], note: text}
	signed, err := openBoth(text, r.old, r.new)
	if err != nil {
		return rotation{}, fmt.Errorf("change of key: %w", err)
	}
	if signed != rotationText(log, r.old, r.new) {
		return rotation{}, errors.New("not a change of key of this log")
	}
	return r, nil
}

// signBoth makes a note of text with two signatures.
func signBoth(text string, old, new Key) (string, error) {
	signed, err := note.Sign(&note.Note{Text: text}, old.Signer, new.Signer)
	return string(signed), err
}

// openBoth reads a note that two keys must have signed, in this order, and returns its text.
func openBoth(text, old, new string) (string, error) {
	if old == new {
		return "", errors.New("old and new key are the same")
	}
	var known []note.Verifier
	for _, key := range []string{old, new} {
		v, err := verifier(key)
		if err != nil {
			return "", err
		}
		known = append(known, v)
	}
	n, err := note.Open([]byte(text), note.VerifierList(known...))
	if err != nil {
		return "", err
	}
	if len(n.Sigs) != 2 || n.Sigs[0].Hash != known[0].KeyHash() || n.Sigs[1].Hash != known[1].KeyHash() {
		return "", errors.New("not signed by both keys")
	}
	return n.Text, strict(n, []byte(text))
}

// A ring is the key that signs a log's checkpoints, and how it came to be the one.
type ring struct {
	key    Key
	chain  []rotation // oldest first
	unsure bool       // a change of key may or may not be in the log: read it again before signing
}

// openRing finds the key that the log ends with. A change of key whose leaf is in the log but which did not come to its
// end is finished; ring.whole tells whether the two fit.
func openRing(keys Keys, log LogID, chain []rotation, create bool) (ring, error) {
	key, err := keys.Key(log, create)
	r := ring{key: key, chain: chain}
	if err != nil || r.whole() == nil {
		return r, err
	}
	if err := keys.Promote(log, r.end()); errors.Is(err, ErrNoKey) {
		return r, nil
	} else if err != nil {
		return r, err
	}
	r.key, err = keys.Key(log, false)
	return r, err
}

// end is the verifier key that the log ends with, as far as the log tells.
func (r ring) end() string {
	if len(r.chain) == 0 {
		return r.key.Verifier
	}
	return r.chain[len(r.chain)-1].new
}

// whole checks that the key at hand is the one that the log ends with. Errors: ErrNoKey.
func (r ring) whole() error {
	if r.end() != r.key.Verifier {
		return fmt.Errorf("%w: the log goes on with %s, the key at hand is %s", ErrNoKey, r.end(), r.key.Verifier)
	}
	return nil
}

// verifiers are all keys that the log had, oldest first, and the one at hand.
func (r ring) verifiers() []string {
	keys := chainKeys(r.chain)
	if !slices.Contains(keys, r.key.Verifier) {
		keys = append(keys, r.key.Verifier)
	}
	return keys
}

// notes are the statements that lead from the first key to the last.
func (r ring) notes() (all []string) {
	for _, c := range r.chain {
		all = append(all, c.note)
	}
	return all
}

func chainKeys(chain []rotation) (keys []string) {
	for i, r := range chain {
		if i == 0 {
			keys = append(keys, r.old)
		}
		keys = append(keys, r.new)
	}
	return keys
}

// keyAt is the place among the log's keys of the one that signs a tree of this size.
func keyAt(chain []rotation, size int64) int {
	n := 0
	for n < len(chain) && chain[n].index < size {
		n++
	}
	return n
}

// readChain finds the changes of key and what the log succeeds among its marked leaves. What is no true statement is
// left out, and so is a change of a key that was not the log's at that place.
func readChain(log LogID, marks []Body) (chain []rotation, from *succession) {
	for _, b := range marks {
		_, leaf, err := decode(b.Text)
		if err != nil {
			continue
		}
		if r, ok := rotationOf(log, b.Index, leaf); ok && (len(chain) == 0 || chain[len(chain)-1].new == r.old) {
			chain = append(chain, r)
		}
		if s, ok := successionOf(log, b.Index, leaf); ok {
			from = &s
		}
	}
	return chain, from
}

// rotationOf reads a leaf that changes the key.
func rotationOf(log LogID, index int64, leaf call.Leaf) (rotation, bool) {
	if leaf.Kind != KindKey {
		return rotation{}, false
	}
	r, err := parseRotation(log, leaf.Facts["note"])
	if err != nil || r.old != leaf.Facts["old"] || r.new != leaf.Facts["new"] {
		return rotation{}, false
	}
	r.index = index
	return r, true
}

// Rotate gives the city's log a new key and destroys the old one. A leaf of KindKey, signed by both, says so; the
// checkpoint over it is the first that the new key signs, and is with the witness when Rotate returns. Whoever holds the
// old verifier key finds the new one proven in every export and proof. If Rotate fails after the leaf was written, the
// change is finished before the next checkpoint or at the next Open. It returns the new verifier key.
func (l *Ledger) Rotate(ctx context.Context, city call.CityID, actor string) (string, error) {
	c, err := l.city(ctx, city)
	if err != nil {
		return "", err
	}
	if err := c.rotate(ctx, actor); err != nil {
		return "", fmt.Errorf("change the key of the ledger of %s: %w", c.id, err)
	}
	if _, err := c.sign(ctx); err != nil {
		return "", fmt.Errorf("the key of the ledger of %s is changed: %w", c.id, err)
	}
	return c.verifier(), nil
}

// rotate holds back every checkpoint while nobody knows which key the next one needs.
func (c *cityLog) rotate(ctx context.Context, actor string) error {
	c.signing.Lock()
	defer c.signing.Unlock()
	if err := c.settleKeys(ctx); err != nil {
		return err
	}
	next, err := c.ledger.keys.Next(c.id)
	if err != nil {
		return err
	}
	e, err := c.rotationEntry(next, actor)
	if err != nil {
		return err
	}
	c.ring.unsure = true
	if err := c.ledger.append(ctx, c, KindKey, e); err != nil {
		return err
	}
	return c.settleKeys(ctx)
}

func (c *cityLog) rotationEntry(next Key, actor string) (entry, error) {
	old := c.ring.key
	statement, err := signBoth(rotationText(c.id, old.Verifier, next.Verifier), old, next)
	if err != nil {
		return entry{}, err
	}
	return ownEntry(c.id.City(), call.Leaf{Kind: KindKey, At: c.ledger.cfg.Now(), Actor: actor,
		Facts: map[string]string{"old": old.Verifier, "new": next.Verifier, "note": statement}})
}

// settleKeys makes sure that the key at hand is the one that the log ends with.
func (c *cityLog) settleKeys(ctx context.Context) error {
	if !c.ring.unsure {
		return nil
	}
	marks, err := c.ledger.store.Marked(ctx, c.id)
	if err != nil {
		return err
	}
	chain, _ := readChain(c.id, marks)
	r, err := openRing(c.ledger.keys, c.id, chain, false)
	if err == nil {
		err = r.whole()
	}
	if err == nil {
		c.ring = r
	}
	return err
}

// verifier is the public half of the key that signs now.
func (c *cityLog) verifier() string {
	c.signing.Lock()
	defer c.signing.Unlock()
	return c.ring.key.Verifier
}

// Keys are the verifier keys that the city's newest log has had, oldest first. The last one signs.
func (l *Ledger) Keys(ctx context.Context, city call.CityID) ([]string, error) {
	c, err := l.city(ctx, city)
	if c == nil {
		return nil, err
	}
	return c.verifiers(), nil
}

// verifiers are all keys of the log.
func (c *cityLog) verifiers() []string {
	c.signing.Lock()
	defer c.signing.Unlock()
	return c.ring.verifiers()
}
