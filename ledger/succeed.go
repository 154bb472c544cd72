package ledger

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"callhall/call"
)

// KindSucceeds is the kind of the first leaf of a log that takes the place of a frozen one. Its facts: log (the origin of
// the frozen one), note (a statement that names both heads, signed by the frozen log's last key and the new log's first),
// checkpoint (the one that the witness had of the frozen log, or empty), cause (forked or damaged) and reason.
const KindSucceeds = "ledger.succeeds/1"

// succession is what the first leaf of such a log states.
type succession struct {
	old, new       LogID
	oldKey, newKey string
	found          foundHead // the frozen log as it was found
	witness        foundHead // what the witness had signed by us
	checkpoint     string    // the witness's, word for word
	note           string
}

// foundHead is a head that may be missing: then what says in a word why.
type foundHead struct {
	head
	what string // "", "none", "unreadable"
}

func (f foundHead) line() string {
	if f.what != "" {
		return strconv.FormatInt(f.size, 10) + " " + f.what
	}
	return strconv.FormatInt(f.size, 10) + " " + f.root.String()
}

func parseFoundHead(line string) (f foundHead, err error) {
	size, root, _ := strings.Cut(line, " ")
	if f.size, err = strconv.ParseInt(size, 10, 64); err != nil || f.size < 0 {
		return f, fmt.Errorf("size %q", size)
	}
	if root == "none" || root == "unreadable" {
		f.what = root
		return f, nil
	}
	f.root, err = tlog.ParseHash(root)
	return f, err
}

const successionHead = "callhall ledger succession v1"

func (s succession) text() string {
	return strings.Join([]string{successionHead, s.old.Origin(), s.new.Origin(), s.oldKey, s.newKey,
		"found " + s.found.line(), "witness " + s.witness.line(), ""}, "\n")
}

// parseSuccession reads the statement and takes nothing but its one spelling, signed by both keys.
func parseSuccession(log LogID, text string) (succession, error) {
	lines := strings.SplitN(text, "\n", 8)
	if len(lines) < 8 {
		return succession{}, errors.New("not a succession")
	}
	s := succession{new: log, oldKey: lines[3], newKey: lines[4], note: text}
	var err error
	if s.old, err = ParseLogID(strings.TrimPrefix(lines[1], originPrefix)); err != nil {
		return succession{}, err
	}
	if s.found, err = parseFoundHead(strings.TrimPrefix(lines[5], "found ")); err != nil {
		return succession{}, err
	}
	if s.witness, err = parseFoundHead(strings.TrimPrefix(lines[6], "witness ")); err != nil {
		return succession{}, err
	}
	signed, err := openBoth(text, s.oldKey, s.newKey)
	if err != nil {
		return succession{}, fmt.Errorf("succession: %w", err)
	}
	if signed != s.text() || s.old.next() != log {
		return succession{}, errors.New("not the succession that this log begins with")
	}
	return s, nil
}

// successionOf reads a log's first leaf.
func successionOf(log LogID, index int64, leaf call.Leaf) (succession, bool) {
	if index != 0 || leaf.Kind != KindSucceeds {
		return succession{}, false
	}
	s, err := parseSuccession(log, leaf.Facts["note"])
	if err != nil || leaf.Facts["log"] != s.old.Origin() {
		return succession{}, false
	}
	s.checkpoint = leaf.Facts["checkpoint"]
	return s, true
}

// maxReason bounds why a log is succeeded, in bytes.
const maxReason = 1000

// Succeed opens a new log in the place of the city's frozen one and returns its name. The new log's first leaf names both
// heads, that of the frozen log as it is found now and that of the witness, and is signed by the keys of both logs. The
// frozen log stays as it is: it is listed, exported and verified as part of the new one's export. Errors: ErrNotFrozen,
// ErrRefused (a reason that is empty, too long or may hold a telephone number).
func (l *Ledger) Succeed(ctx context.Context, city call.CityID, actor, reason string) (LogID, error) {
	l.succeeding.Lock()
	defer l.succeeding.Unlock()
	old, err := l.city(ctx, city)
	if old == nil {
		return "", err
	}
	if err == nil {
		return "", ErrNotFrozen
	}
	if reason == "" || len(reason) > maxReason || mayBeTelephone("reason", reason) {
		return "", fmt.Errorf("%w: the reason is empty, too long or may hold a telephone number", ErrRefused)
	}
	c := old
	for c.why() != nil {
		if c, err = l.succeed(ctx, old, actor, reason); err != nil {
			return "", fmt.Errorf("succeed the ledger %s: %w", old.id, err)
		}
		if err := l.replace(old, c); err != nil {
			return "", err
		}
		l.cfg.Log.Error("ledger succeeded: a new log takes the leaves of one that was changed; nothing proves what is missing there",
			"city", city, "frozen", old.id, "log", c.id)
		old = c
	}
	if _, err := c.sign(ctx); err != nil {
		return c.id, fmt.Errorf("ledger %s is open: %w", c.id, err)
	}
	return c.id, nil
}

// succeed makes the new log durable. A try that ended half-way before left at most its key and a checkpoint over no
// leaves, which are used now. Where the witness already has leaves of a log of this name, from before the store was put
// back, the new one is frozen as soon as it says so: the next one is to succeed it.
func (l *Ledger) succeed(ctx context.Context, old *cityLog, actor, reason string) (*cityLog, error) {
	c := &cityLog{ledger: l, id: old.id.next(), wake: make(chan struct{}, 1)}
	key, err := l.keys.Key(c.id, true)
	if err != nil {
		return nil, err
	}
	c.ring.key = key
	s, err := old.statement(ctx, c)
	if err != nil {
		return nil, err
	}
	e, err := ownEntry(c.id.City(), call.Leaf{Kind: KindSucceeds, At: l.cfg.Now(), Actor: actor, Facts: map[string]string{
		"log": s.old.Origin(), "note": s.note, "checkpoint": s.checkpoint, "cause": cause(old.why()), "reason": reason}})
	if err != nil {
		return nil, err
	}
	taken := l.lostSuccessor(ctx, old.id)
	if frozen(taken) {
		c.witnessed, err = l.witness.Last(ctx, c.id)
	} else {
		err = errors.Join(taken, c.begin(ctx))
	}
	if err == nil {
		err = c.write([]*request{{entry: e}})
	}
	if err == nil && taken != nil {
		c.freeze(taken)
	}
	return c, err
}

func cause(err error) string {
	if errors.Is(err, ErrForked) {
		return "forked"
	}
	return "damaged"
}

// statement says what is known of a frozen log, signed by its key and that of the log that takes its place.
func (c *cityLog) statement(ctx context.Context, next *cityLog) (succession, error) {
	c.signing.Lock()
	defer c.signing.Unlock()
	s := succession{old: c.id, new: next.id, oldKey: c.ring.key.Verifier, newKey: next.ring.key.Verifier}
	var err error
	if s.found, err = c.foundHead(ctx); err != nil {
		return s, err
	}
	s.witness, s.checkpoint = c.witnessHead()
	s.note, err = signBoth(s.text(), c.ring.key, next.ring.key)
	return s, err
}

// lastText is the newest checkpoint that we know to have been outside: the witness's at opening, or our own since.
func (c *cityLog) lastText() []byte {
	if c.signed.text != nil {
		return c.signed.text
	}
	return c.witnessed
}

// witnessHead is what lastText says.
func (c *cityLog) witnessHead() (foundHead, string) {
	text := c.lastText()
	if text == nil {
		return foundHead{what: "none"}, ""
	}
	h, err := openCheckpoint(text, c.id, c.ring.verifiers()...)
	if err != nil {
		return foundHead{what: "unreadable"}, ""
	}
	return foundHead{head: h}, string(text)
}

// foundHead computes the head of the log from its leaves as they can still be exported.
func (c *cityLog) foundHead(ctx context.Context) (foundHead, error) {
	size, err := c.ledger.store.Size(ctx, c.id)
	if err != nil {
		return foundHead{}, err
	}
	f := foundHead{head: head{size: size}}
	var tree frontier
	err = c.found(ctx, size, func(line exportLine) error {
		tree.add(line.leafHash())
		return nil
	})
	if errors.Is(err, ErrDamaged) {
		f.what = "unreadable"
		return f, nil
	}
	f.root = tree.root()
	return f, err
}

// replace lets the new log take the city's leaves.
func (l *Ledger) replace(old, c *cityLog) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return ErrClosed
	}
	old.close()
	l.logs[c.id.City()] = c
	l.start(c)
	return nil
}

// Logs names the city's logs, oldest first. All but the last are frozen.
func (l *Ledger) Logs(city call.CityID) []LogID {
	var all []LogID
	for n := range l.currentID(city).number() {
		all = append(all, logID(city, n+1))
	}
	return all
}
