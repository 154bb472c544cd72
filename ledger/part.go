package ledger

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"callhall/call"
)

// A part is one log of an export while it is verified.
type part struct {
	v    *verification
	log  LogID
	by   *succession // what the log that took its place says of it; nil for the newest
	keys []string    // of the newest: oldest first, the last one signed
	goal head        // what the leaves must come to

	tree   frontier
	erased map[int64]bool // leaves without body, not explained yet
	chain  []rotation     // changes of key found among its leaves
	before *succession    // what it succeeds
	since  *head          // the earlier checkpoint, when it is of this log
	passed bool           // and its leaves came to it
	other  bool           // or to something else
	agrees bool           // a frozen log's leaves came to the witness's checkpoint
}

// beginLiving reads the checkpoint of the newest log.
func (p *part) beginLiving(h exportHeader) error {
	if h.State != "" || len(h.Keys) == 0 || len(h.Keys) > maxKeys {
		return fmt.Errorf("%w: its first part has no keys, too many, or a state", ErrInvalid)
	}
	var err error
	if p.goal, err = openCheckpoint([]byte(h.Checkpoint), p.log, h.Keys[len(h.Keys)-1]); err != nil {
		return fmt.Errorf("%w: its checkpoint: %w", ErrInvalid, err)
	}
	r := &p.v.report
	r.City, r.Log, r.KeyKnown = h.City, p.log, slices.Contains(h.Keys, p.v.opts.Key)
	if err := p.mine(); err != nil || p.since == nil {
		return err
	}
	if _, err := openCheckpoint(p.v.opts.Since, p.log, h.Keys...); err != nil {
		return fmt.Errorf("%w: the earlier checkpoint: %w", ErrInvalid, err)
	}
	return p.longEnough()
}

// beginFrozen takes the head from the log that took this one's place.
func (p *part) beginFrozen(h exportHeader) error {
	state := stateFrozen
	if p.by.found.what != "" {
		state = stateUnreadable
	}
	if h.Export != exportVersion2 || p.log != p.by.old || h.State != state || len(h.Keys) > 0 || h.Checkpoint != "" {
		return fmt.Errorf("%w: line %d does not begin the log %s, %s, that should follow", ErrInvalid, p.v.read, p.by.old, state)
	}
	p.goal = p.by.found.head
	return p.mine()
}

// mine keeps the earlier checkpoint if it is of this log.
func (p *part) mine() error {
	if s := p.v.since; s != nil && s.log == p.log {
		p.since, p.v.report.Since, p.v.report.SinceLog = &s.head, s.size, s.log
	}
	return nil
}

func (p *part) longEnough() error {
	if p.since != nil && p.since.size > p.goal.size {
		return fmt.Errorf("%w: truncated: %s has %d leaves, the earlier checkpoint covers %d", ErrInvalid, p.log, p.goal.size, p.since.size)
	}
	return nil
}

// pass compares with the earlier checkpoints when as many leaves have been read as they cover.
func (p *part) pass() {
	if p.since != nil && p.since.size == p.tree.size {
		p.passed = p.tree.root() == p.since.root
		p.other = !p.passed // said when it is known that the file is as it was exported
	}
	if p.by != nil && p.by.witness.what == "" && p.by.witness.size == p.tree.size {
		p.agrees = p.tree.root() == p.by.witness.root
	}
}

// rewritten tells of leaves that contradict the earlier checkpoint, although they agree with what the file says of them.
func (p *part) rewritten() error {
	if !p.other {
		return nil
	}
	return fmt.Errorf("%w: rewritten: the file agrees with itself, and the first %d leaves of %s are not those that the earlier checkpoint covers",
		ErrInvalid, p.since.size, p.log)
}

// leaf reads one line and adds its hash to the tree.
func (p *part) leaf() error {
	text, err := p.v.text()
	if err != nil {
		return err
	}
	i := p.tree.size
	l, err := parseLeafLine(text, i)
	if err != nil {
		return fmt.Errorf("%w: line %d, leaf %d: %w", ErrInvalid, p.v.read, i, err)
	}
	if l.Hash != nil {
		p.v.report.Erased++
		p.erased[i] = true
		p.tree.add(*l.Hash)
		return nil
	}
	city, leaf, err := decode(l.Body)
	if err != nil {
		return fmt.Errorf("%w: leaf %d: %w", ErrInvalid, i, err)
	}
	if city != p.log.City() {
		return fmt.Errorf("%w: leaf %d: it belongs to %q", ErrInvalid, i, city)
	}
	if err := p.note(i, leaf); err != nil {
		return fmt.Errorf("%w: leaf %d: %w", ErrInvalid, i, err)
	}
	p.noteTime(i, leaf.At)
	p.tree.add(leafHash(l.Salt, l.Body))
	return nil
}

// noteTime keeps when the newest leaf was made, and the newest that the earlier checkpoint covers.
func (p *part) noteTime(i int64, at time.Time) {
	if p.by == nil {
		p.v.report.Newest = at
	}
	if p.since != nil && i < p.since.size {
		p.v.report.SinceNewest = at
	}
}

// parseLeafLine takes nothing but what Export writes for leaf i. The body is not looked into.
func parseLeafLine(text []byte, i int64) (exportLine, error) {
	rest, ok := bytes.CutPrefix(text, append(strconv.AppendInt([]byte(`{"i":`), i, 10), ','))
	if !ok {
		return exportLine{}, fmt.Errorf("another stands in its place")
	}
	l := exportLine{I: i}
	if hash, ok := bytes.CutPrefix(rest, []byte(`"hash":"`)); ok {
		l.Hash = new(tlog.Hash)
		rest, ok = cutBase64(hash, l.Hash[:])
		if !ok || string(rest) != "\"}\n" {
			return exportLine{}, fmt.Errorf("its hash is not spelled as it should be")
		}
		return l, nil
	}
	salt, ok := bytes.CutPrefix(rest, []byte(`"salt":"`))
	l.Salt = make([]byte, saltSize)
	if rest, ok2 := cutBase64(salt, l.Salt); ok && ok2 {
		if body, ok := bytes.CutPrefix(rest, []byte(`","body":`)); ok {
			l.Body, ok = bytes.CutSuffix(body, []byte("}\n"))
			if ok {
				return l, nil
			}
		}
	}
	return exportLine{}, fmt.Errorf("it is not spelled as it should be")
}

// cutBase64 decodes 32 bytes from the beginning of text.
func cutBase64(text, out []byte) (rest []byte, ok bool) {
	const long = 44 // 32 bytes in base64
	if len(text) < long {
		return nil, false
	}
	var raw [33]byte // DecodedLen of long
	n, err := base64.StdEncoding.Strict().Decode(raw[:], text[:long])
	if err != nil || n != len(out) || bytes.ContainsAny(text[:long], "\r\n") {
		return nil, false
	}
	copy(out, raw[:n])
	return text[long:], true
}

// note keeps what the report says of the leaves, and what they say of keys.
func (p *part) note(i int64, leaf call.Leaf) error {
	p.v.report.Kinds[leaf.Kind]++
	switch leaf.Kind {
	case KindErased:
		if i, err := strconv.ParseInt(leaf.Facts["index"], 10, 64); err == nil {
			delete(p.erased, i)
		}
	case KindKey:
		return p.noteKey(i, leaf)
	case KindSucceeds:
		s, ok := successionOf(p.log, i, leaf)
		if !ok && p.by == nil {
			return fmt.Errorf("it states no true succession")
		}
		if ok {
			p.before = &s
		}
	}
	return p.v.decide(leaf)
}

// noteKey takes a change of key. In a frozen log, which may have been tampered with, one that is not true is passed over.
func (p *part) noteKey(i int64, leaf call.Leaf) error {
	r, ok := rotationOf(p.log, i, leaf)
	ok = ok && (len(p.chain) == 0 || p.chain[len(p.chain)-1].new == r.old)
	if !ok && p.by == nil {
		return fmt.Errorf("it states no true change of key")
	}
	if ok {
		p.chain = append(p.chain, r)
	}
	return nil
}

// end checks what can be said when all leaves are read.
func (p *part) end() error {
	if p.tree.root() != p.goal.root {
		return fmt.Errorf("%w: damaged after it was exported: the leaves of %s are not those that its own checkpoint covers", ErrInvalid, p.log)
	}
	if p.by != nil {
		return p.endFrozen()
	}
	r := &p.v.report
	r.Leaves, r.Root, r.Rotations = p.tree.size, p.tree.root(), len(p.chain)
	if want := chainKeys(p.chain); len(p.chain) > 0 && !slices.Equal(want, p.keys) || len(p.chain) == 0 && len(p.keys) > 1 {
		return fmt.Errorf("%w: its keys: the leaves lead to others", ErrInvalid)
	}
	if (p.before == nil) != (p.log.number() == 1) || p.before != nil && p.before.newKey != p.keys[0] {
		return fmt.Errorf("%w: its first leaf does not say what %s succeeds", ErrInvalid, p.log)
	}
	if p.since != nil {
		if _, err := openCheckpoint(p.v.opts.Since, p.log, p.keys[keyAt(p.chain, p.since.size)]); err != nil {
			return fmt.Errorf("%w: the earlier checkpoint: not signed by the key of its time: %w", ErrInvalid, err)
		}
		if err := p.rewritten(); err != nil {
			return err
		}
		r.Anchored = p.passed
	}
	return nil
}

// endFrozen says what the leaves of a frozen log show.
func (p *part) endFrozen() error {
	keys := p.frozenKeys()
	p.report(p.finding(), keys)
	if p.since == nil {
		return nil
	}
	if _, err := openCheckpoint(p.v.opts.Since, p.log, keys...); err != nil {
		return fmt.Errorf("%w: the earlier checkpoint: %w", ErrInvalid, err)
	}
	if err := p.rewritten(); err != nil {
		return err
	}
	p.v.report.Anchored = p.passed
	return p.longEnough()
}

// frozenKeys are the keys that lead to the one that signed the succession, as far as the leaves still show.
func (p *part) frozenKeys() []string {
	if len(p.chain) > 0 && p.chain[len(p.chain)-1].new == p.by.oldKey {
		return chainKeys(p.chain)
	}
	return []string{p.by.oldKey}
}

// finding compares a frozen log with the checkpoint that the witness had of it.
func (p *part) finding() string {
	w := p.by.witness
	switch {
	case w.what != "":
		return FoundAlone
	case w.size > p.tree.size:
		return FoundTruncated
	case !p.agrees:
		return FoundRewritten
	}
	return FoundAgreeing
}

// unreadable reports a frozen log of which nothing could be exported.
func (p *part) unreadable() {
	p.report(FoundUnreadable, []string{p.by.oldKey})
}

func (p *part) report(finding string, keys []string) {
	r := &p.v.report
	r.KeyKnown = r.KeyKnown || slices.Contains(keys, p.v.opts.Key)
	if s := p.by; s.checkpoint != "" { // stated by the new log; whether the witness's is truly signed shows here
		h, err := openCheckpoint([]byte(s.checkpoint), p.log, keys...)
		if err != nil || h != s.witness.head {
			finding = FoundUnsigned
		}
	}
	r.Predecessors = append(r.Predecessors, Predecessor{Log: p.log, Leaves: p.by.found.size, Root: p.by.found.root,
		Witnessed: p.by.witness.size, Finding: finding})
}
