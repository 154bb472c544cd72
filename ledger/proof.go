package ledger

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"callhall/call"
)

// errProof is ErrInvalid of a proof.
var errProof error = invalidProof{}

type invalidProof struct{}

func (invalidProof) Error() string        { return "ledger: the proof does not verify" }
func (invalidProof) Is(target error) bool { return target == ErrInvalid }

// Signature is the checkpoint that a proof ends in, with what leads from the log's first key to the one that signed it.
type Signature struct {
	Checkpoint string   `json:"checkpoint"`
	Keys       []string `json:"keys,omitempty"`      // the log's, oldest first; the last one signed
	Rotations  []string `json:"rotations,omitempty"` // statements (FORMAT.md), one less
}

// Proof shows that one leaf is in the log that a checkpoint covers.
type Proof struct {
	Signature
	Index int64            `json:"index"`
	Leaf  tlog.Hash        `json:"leaf"`
	Path  tlog.RecordProof `json:"path"`
}

// Consistency shows that a log is a continuation of itself: its first From leaves are the tree whose root is FromRoot.
type Consistency struct {
	Signature                // over To leaves; its Checkpoint is empty where no checkpoint of ours covers just these
	From      int64          `json:"from"`
	FromRoot  tlog.Hash      `json:"from_root"`
	To        int64          `json:"to"`
	ToRoot    tlog.Hash      `json:"to_root"`
	Path      tlog.TreeProof `json:"path"`
}

// Proof proves leaf index of the city's newest log against a fresh checkpoint. Errors: ErrNotFound.
func (l *Ledger) Proof(ctx context.Context, city call.CityID, index int64) (Proof, error) {
	c, err := l.city(ctx, city)
	if err != nil {
		return Proof{}, err
	}
	p, err := c.prove(ctx, index)
	if err != nil {
		return Proof{}, fmt.Errorf("prove leaf %d of %s: %w", index, c.id, err)
	}
	return p, nil
}

func (c *cityLog) prove(ctx context.Context, index int64) (Proof, error) {
	s, signature, err := c.signature(ctx)
	if err != nil {
		return Proof{}, err
	}
	if index < 0 || index >= s.size {
		return Proof{}, ErrNotFound
	}
	p := Proof{Signature: signature, Index: index}
	r := c.reader(ctx)
	if p.Path, err = tlog.ProveRecord(s.size, index, r); err != nil {
		return Proof{}, err
	}
	leaf, err := r.ReadHashes([]int64{tlog.StoredHashIndex(0, index)})
	if err != nil {
		return Proof{}, err
	}
	p.Leaf = leaf[0]
	return p, nil
}

// Consistency proves that the city's newest log over its first to leaves continues the one over its first from leaves. A
// to of 0 is as many as a fresh checkpoint covers; only then the proof has a checkpoint. Errors: ErrNotFound, when from is
// less than 1 or more than to, or to is more than the checkpoint covers.
func (l *Ledger) Consistency(ctx context.Context, city call.CityID, from, to int64) (Consistency, error) {
	c, err := l.city(ctx, city)
	if err != nil {
		return Consistency{}, err
	}
	p, err := c.consistency(ctx, from, to)
	if err != nil {
		return Consistency{}, fmt.Errorf("prove that %s over %d leaves goes on from %d: %w", c.id, to, from, err)
	}
	return p, nil
}

func (c *cityLog) consistency(ctx context.Context, from, to int64) (Consistency, error) {
	s, signature, err := c.signature(ctx)
	if err != nil {
		return Consistency{}, err
	}
	if to == 0 {
		to = s.size
	}
	if from < 1 || from > to || to > s.size {
		return Consistency{}, ErrNotFound
	}
	if to < s.size {
		signature = Signature{}
	}
	p := Consistency{Signature: signature, From: from, To: to}
	r := c.reader(ctx)
	if p.FromRoot, err = tlog.TreeHash(from, r); err != nil {
		return Consistency{}, err
	}
	if p.ToRoot, err = tlog.TreeHash(to, r); err != nil {
		return Consistency{}, err
	}
	p.Path, err = proveTree(to, from, r)
	return p, err
}

// proveTree is tlog.ProveTree for any size: nothing is needed where one tree is empty or both are the same.
func proveTree(size, from int64, r tlog.HashReader) (tlog.TreeProof, error) {
	if from == 0 || from == size {
		return tlog.TreeProof{}, nil
	}
	return tlog.ProveTree(size, from, r)
}

// signature is a fresh checkpoint with the keys that lead to it.
func (c *cityLog) signature(ctx context.Context) (signedHead, Signature, error) {
	s, err := c.sign(ctx)
	if err != nil {
		return s, Signature{}, err
	}
	c.signing.Lock()
	defer c.signing.Unlock()
	n := keyAt(c.ring.chain, s.size)
	return s, Signature{Checkpoint: string(s.text), Keys: c.ring.verifiers()[:n+1], Rotations: c.ring.notes()[:n]}, nil
}

// open checks the checkpoint and the way to its key. key is one that the reader trusts, or empty: then the keys that
// came with the proof are believed. Errors: ErrInvalid.
func (s Signature) open(key string) (logHead, error) {
	claimed, err := unsigned([]byte(s.Checkpoint))
	if err != nil {
		return logHead{}, fmt.Errorf("%w: its checkpoint: %w", errProof, err)
	}
	keys := s.Keys
	if len(keys) == 0 && key != "" { // a proof of before keys changed
		keys = []string{key}
	}
	if len(keys) != len(s.Rotations)+1 {
		return logHead{}, fmt.Errorf("%w: it has %d keys and %d changes of key", errProof, len(keys), len(s.Rotations))
	}
	for i, text := range s.Rotations {
		r, err := parseRotation(claimed.log, text)
		if err != nil || r.old != keys[i] || r.new != keys[i+1] {
			return logHead{}, fmt.Errorf("%w: change of key %d does not lead from one of its keys to the next (%w)", errProof, i, err)
		}
	}
	if _, err := openCheckpoint([]byte(s.Checkpoint), claimed.log, keys[len(keys)-1]); err != nil {
		return logHead{}, fmt.Errorf("%w: its checkpoint: %w", errProof, err)
	}
	if key != "" && !slices.Contains(keys, key) {
		return logHead{}, fmt.Errorf("%w: its keys: nothing leads from the key %q to the one that signed it", errProof, key)
	}
	return claimed, nil
}

// Check verifies the proof with a verifier key of the city's log that the reader trusts, the newest or an older one.
// Errors: ErrInvalid.
func (p Proof) Check(city call.CityID, key string) error {
	h, err := p.open(key)
	if err == nil && h.log.City() != city {
		err = fmt.Errorf("%w: it is of %s", errProof, h.log)
	}
	if err != nil {
		return err
	}
	return invalid(tlog.CheckRecord(p.Path, h.size, h.root, p.Index, p.Leaf))
}

// Check verifies the hashes of the proof; its checkpoint is checked by CheckProof. Errors: ErrInvalid.
func (p Consistency) Check() error {
	switch {
	case p.From < 1 || p.From > p.To:
		return fmt.Errorf("%w: from %d to %d leaves", errProof, p.From, p.To)
	case p.From == p.To && (p.FromRoot != p.ToRoot || len(p.Path) > 0):
		return fmt.Errorf("%w: two roots for one size", errProof)
	case p.From == p.To:
		return nil
	}
	return invalid(tlog.CheckTree(p.Path, p.To, p.ToRoot, p.From, p.FromRoot))
}

func invalid(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", errProof, err)
}

// ProofReport is what a file with a proof shows.
type ProofReport struct {
	Kind  string    `json:"kind"` // "leaf" or "consistency"
	Index int64     `json:"index"`
	Leaf  tlog.Hash `json:"leaf"`
	From  int64     `json:"from"`
}

// maxProof bounds a file with a proof, in bytes.
const maxProof = 1 << 20

// CheckProof verifies a file with a Proof or a Consistency, as JSON, offline. opts.Check is not asked: a proof has no
// bodies. Errors: ErrInvalid.
func CheckProof(file []byte, opts Options) (Report, error) {
	var kind struct {
		From *int64 `json:"from"`
	}
	if len(file) > maxProof || json.Unmarshal(file, &kind) != nil {
		return Report{}, fmt.Errorf("%w: neither an export nor a proof", ErrInvalid)
	}
	if kind.From != nil {
		return checkConsistency(file, opts)
	}
	return checkLeafProof(file, opts)
}

// decodeProof reads JSON with no member that we do not know and nothing after it.
func decodeProof(file []byte, form any) error {
	d := json.NewDecoder(bytes.NewReader(file))
	d.DisallowUnknownFields()
	if err := d.Decode(form); err != nil {
		return fmt.Errorf("%w: read proof: %w", errProof, err)
	}
	if d.More() {
		return fmt.Errorf("%w: something follows the proof", errProof)
	}
	return nil
}

func checkLeafProof(file []byte, opts Options) (Report, error) {
	var p Proof
	if err := decodeProof(file, &p); err != nil {
		return Report{}, err
	}
	h, err := p.open(opts.Key)
	if err != nil {
		return Report{}, err
	}
	r := proofReport(h, opts)
	r.Proof = &ProofReport{Kind: "leaf", Index: p.Index, Leaf: p.Leaf}
	if err := p.Check(h.log.City(), opts.Key); err != nil {
		return r, err
	}
	if opts.Since == nil {
		return r, nil
	}
	since, err := openCheckpoint(opts.Since, h.log, withKey(p.Keys, opts.Key)...)
	if err != nil {
		return r, fmt.Errorf("%w: the earlier checkpoint: %w", errProof, err)
	}
	if since != h.head {
		return r, fmt.Errorf("%w: a proof of one leaf cannot be held against a checkpoint over %d leaves: get a proof of consistency from it",
			errProof, since.size)
	}
	r.Anchored, r.Since = true, since.size
	return r, nil
}

func checkConsistency(file []byte, opts Options) (Report, error) {
	var p Consistency
	if err := decodeProof(file, &p); err != nil {
		return Report{}, err
	}
	if p.Checkpoint == "" {
		return Report{}, fmt.Errorf("%w: it ends in no checkpoint: get one up to the newest", errProof)
	}
	h, err := p.open(opts.Key)
	if err != nil {
		return Report{}, err
	}
	r := proofReport(h, opts)
	r.Proof = &ProofReport{Kind: "consistency", From: p.From}
	if h.size != p.To || h.root != p.ToRoot {
		return r, fmt.Errorf("%w: its checkpoint is over another tree", errProof)
	}
	if err := p.Check(); err != nil || opts.Since == nil {
		return r, err
	}
	since, err := openCheckpoint(opts.Since, h.log, withKey(p.Keys, opts.Key)...)
	if err != nil {
		return r, fmt.Errorf("%w: the earlier checkpoint: %w", errProof, err)
	}
	if since.size != p.From {
		return r, fmt.Errorf("%w: it proves what followed %d leaves, the earlier checkpoint covers %d", errProof, p.From, since.size)
	}
	if since.root != p.FromRoot {
		return r, fmt.Errorf("%w: rewritten: its first %d leaves are not those that the earlier checkpoint covers", errProof, since.size)
	}
	r.Anchored, r.Since = true, since.size
	return r, nil
}

func withKey(keys []string, key string) []string {
	if key == "" || slices.Contains(keys, key) {
		return keys
	}
	return append(slices.Clone(keys), key)
}

func proofReport(h logHead, opts Options) Report {
	return Report{City: h.log.City(), Log: h.log, Leaves: h.size, Root: h.root, KeyKnown: opts.Key != "", Kinds: map[string]int64{}}
}

// isProof tells a file with a proof from an export by how it begins.
func isProof(start []byte) bool {
	return bytes.HasPrefix(start, []byte("{")) && !bytes.HasPrefix(start, []byte(`{"export":`))
}
