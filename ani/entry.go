package ani

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"unicode"

	"callhall/call"
)

// origin is how an entry came to be: part of every body of the office's registers.
type origin struct {
	By    signature `json:"by"`
	Print []byte    `json:"print,omitempty"` // of the request, to know a retry from another one under the same key
}

func (o origin) fingerprint() []byte { return o.Print }

// enter adds an entry after its leaf. A retried request finds what the first one entered, and writes nothing.
func enter[T interface{ fingerprint() []byte }](ctx context.Context, o *Office, r register[T], k kept[T], leaf string, by Person,
	facts map[string]string) (kept[T], error) {
	defer o.locks.lock(r.kind, k.City, k.ID)()
	old, found, err := entered(ctx, r, k)
	if err != nil || found {
		return old, err
	}
	if err := o.record(ctx, k.City, leaf, k.Call, by, facts); err != nil {
		return kept[T]{}, err
	}
	return r.add(ctx, k)
}

// entered looks for what a first try has entered. Errors: ErrReused.
func entered[T interface{ fingerprint() []byte }](ctx context.Context, r register[T], k kept[T]) (old kept[T], found bool, err error) {
	old, err = r.get(ctx, k.City, k.ID)
	switch {
	case errors.Is(err, ErrNotFound):
		return kept[T]{}, false, nil
	case err != nil:
		return kept[T]{}, false, err
	case !bytes.Equal(old.Body.fingerprint(), k.Body.fingerprint()):
		return kept[T]{}, false, fmt.Errorf("%s: %w", k.ID, ErrReused)
	default:
		return old, true, nil
	}
}

// change alters one entry after its leaf. alter says what the leaf says; nil means that nothing is to be done.
func change[T any](ctx context.Context, o *Office, r register[T], city call.CityID, id, leaf string, by Person,
	alter func(*kept[T]) (map[string]string, error)) (kept[T], error) {
	defer o.locks.lock(r.kind, city, id)()
	k, err := r.get(ctx, city, id)
	if err != nil {
		return kept[T]{}, err
	}
	facts, err := alter(&k)
	if err != nil {
		return kept[T]{}, fmt.Errorf("%s: %w", id, err)
	}
	if facts == nil {
		return k, nil
	}
	facts["entry"] = id
	if err := o.record(ctx, city, leaf, k.Call, by, facts); err != nil {
		return kept[T]{}, err
	}
	return r.replace(ctx, k)
}

// maxPage is the most that one page of a register has.
const maxPage = 200

// paged lists a register as it is shown, newest first. after is the id of the last entry of the page before.
func paged[T, V any](ctx context.Context, r register[T], city call.CityID, after string, limit int, show func(kept[T]) V) ([]V, error) {
	if limit <= 0 || limit > maxPage {
		limit = maxPage
	}
	all, err := r.list(ctx, city, after, limit)
	if err != nil {
		return nil, err
	}
	shown := make([]V, len(all))
	for i, k := range all {
		shown[i] = show(k)
	}
	return shown, nil
}

// through goes through a whole register, newest first, until see is content.
func through[T any](ctx context.Context, r register[T], city call.CityID, see func(kept[T]) (content bool)) error {
	for after := ""; ; {
		all, err := r.list(ctx, city, after, maxPage)
		if err != nil || len(all) == 0 {
			return err
		}
		for _, k := range all {
			if see(k) {
				return nil
			}
		}
		after = all[len(all)-1].ID
	}
}

// idText is RFC 4648 base32 without padding, as call.NewID writes it.
var idText = base32.StdEncoding.WithPadding(base32.NoPadding)

// entryID is a fresh id, or for a request that carries a key always the same one, so that a retry finds what the first
// try entered.
func entryID(prefix string, city call.CityID, by Person, key string) string {
	if key == "" {
		_, random, _ := strings.Cut(string(call.NewID()), "_")
		return prefix + "_" + random
	}
	return derivedID(prefix, string(city), by.Actor, key)
}

func derivedID(prefix string, parts ...string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "callhall %s %q", prefix, parts))
	return prefix + "_" + strings.ToLower(idText.EncodeToString(sum[:16]))
}

// fingerprint tells two requests under the same key apart.
func fingerprint(request any, n Number) []byte {
	text, err := json.Marshal(request)
	if err != nil {
		panic(err) // our own types, which all can be written
	}
	text = append(text, n.open()...)
	sum := sha256.Sum256(text)
	clear(text)
	return sum[:]
}

// locks let one act at a time at one entry, within this process; between processes an entry's version does.
type locks struct {
	mu   sync.Mutex
	held map[lockName]*heldLock
}

type lockName struct {
	kind Kind
	city call.CityID
	id   string
}

type heldLock struct {
	sync.Mutex
	users int
}

// lock returns how to unlock.
func (l *locks) lock(kind Kind, city call.CityID, id string) func() {
	name := lockName{kind, city, id}
	l.mu.Lock()
	if l.held == nil {
		l.held = map[lockName]*heldLock{}
	}
	h := l.held[name]
	if h == nil {
		h = &heldLock{}
		l.held[name] = h
	}
	h.users++
	l.mu.Unlock()
	h.Lock()
	return func() {
		h.Unlock()
		l.mu.Lock()
		defer l.mu.Unlock()
		if h.users--; h.users == 0 {
			delete(l.held, name)
		}
	}
}

// maxWriting bounds what a person writes in words, in bytes.
const maxWriting = 1000

// plainText lets pass what may stand, sealed, in a register.
func plainText(fields ...string) error {
	for _, s := range fields {
		if len(s) > maxWriting {
			return fmt.Errorf("%w: a text is longer than %d bytes", ErrIncomplete, maxWriting)
		}
	}
	return nil
}

// plainRefs lets pass references that may stand in a leaf.
func plainRefs(refs ...string) error {
	for _, s := range refs {
		if !plainCase(s) {
			return ErrCase
		}
	}
	return nil
}

// entryRef lets pass the id of an entry, or none: it stands in leaves, and nothing else that somebody types there may.
func entryRef(prefix, id string) error {
	if id != "" && !call.ValidID(prefix, id) {
		return fmt.Errorf("%w: a reference is the id of an entry, %s_…", ErrIncomplete, prefix)
	}
	return nil
}

// withoutNumbers returns a person's text as it may be shown: what could be a telephone number is taken out.
func withoutNumbers(s string) string {
	var out, run strings.Builder
	digits := 0
	flush := func() {
		if digits >= minDigits {
			out.WriteString("[number]")
		} else {
			out.WriteString(run.String())
		}
		run.Reset()
		digits = 0
	}
	for _, r := range s {
		switch {
		case unicode.IsDigit(r):
			digits++
			run.WriteRune(r)
		case digits > 0 && !unicode.IsLetter(r):
			run.WriteRune(r)
		default:
			flush()
			out.WriteRune(r)
		}
	}
	flush()
	return out.String()
}
