package ani

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"callhall/call"
)

// register keeps entries of one kind whose bodies are T: JSON, padded, sealed under the city's key with every clear
// field of the entry bound in. T has no exported type around it that somebody could print: it may hold digits.
type register[T any] struct {
	vault *Vault
	kind  Kind
}

// kept is one entry of a register with what it says. Its Sealed is empty.
type kept[T any] struct {
	Entry
	Body T
}

// errNoDueTime refuses what would be kept for ever.
var errNoDueTime = errors.New("ani: an entry of a register needs a city, an id, a time and a due time")

// add writes a new entry, and returns it as it was written. Kind and Version are filled in. Errors: ErrExists.
func (r register[T]) add(ctx context.Context, k kept[T]) (kept[T], error) {
	k.Version = 1
	return r.write(ctx, k, r.vault.store.Add)
}

// replace writes k, as it was read and then changed, as the next version and returns that. Errors: ErrConflict.
func (r register[T]) replace(ctx context.Context, k kept[T]) (kept[T], error) {
	k.Version++
	return r.write(ctx, k, r.vault.store.Replace)
}

func (r register[T]) write(ctx context.Context, k kept[T], put func(context.Context, Entry) error) (kept[T], error) {
	k.Kind = r.kind
	if k.City == "" || k.ID == "" || k.At.IsZero() || k.DueAt.IsZero() {
		return kept[T]{}, fmt.Errorf("register %s: write %s: %w", r.kind, k.ID, errNoDueTime)
	}
	key, err := r.vault.newestKey(k.City)
	if err != nil {
		return kept[T]{}, fmt.Errorf("register %s: seal %s: %w", r.kind, k.ID, err)
	}
	e := k.Entry
	if e.Sealed, err = sealBody(key, e, k.Body); err != nil {
		return kept[T]{}, fmt.Errorf("register %s: seal %s: %w", r.kind, k.ID, err)
	}
	if err := put(ctx, e); err != nil {
		return kept[T]{}, fmt.Errorf("register %s: write %s: %w", r.kind, k.ID, err)
	}
	return k, nil
}

// get returns one entry. Errors: ErrNotFound, ErrDamaged.
func (r register[T]) get(ctx context.Context, city call.CityID, id string) (kept[T], error) {
	e, err := r.vault.store.Entry(ctx, city, r.kind, id)
	if err != nil {
		return kept[T]{}, fmt.Errorf("register %s: read %s: %w", r.kind, id, err)
	}
	return r.open(e)
}

// list returns a page of the register, newest first, as Registers.Entries.
func (r register[T]) list(ctx context.Context, city call.CityID, before string, limit int) ([]kept[T], error) {
	entries, err := r.vault.store.Entries(ctx, city, r.kind, before, limit)
	return r.openAll(entries, err)
}

// of returns what the register has of one call, oldest first.
func (r register[T]) of(ctx context.Context, city call.CityID, id call.ID) ([]kept[T], error) {
	entries, err := r.vault.store.EntriesOf(ctx, city, r.kind, id)
	return r.openAll(entries, err)
}

// with returns the entries that have one of the tokens, oldest first.
func (r register[T]) with(ctx context.Context, city call.CityID, tokens ...[]byte) ([]kept[T], error) {
	if len(tokens) == 0 {
		return nil, nil
	}
	entries, err := r.vault.store.EntriesWith(ctx, city, r.kind, tokens)
	return r.openAll(entries, err)
}

// erase removes entries before they are due. Those that are due go by Vault.Expire.
func (r register[T]) erase(ctx context.Context, city call.CityID, ids ...string) error {
	if err := r.vault.store.EraseEntries(ctx, city, r.kind, ids); err != nil {
		return fmt.Errorf("register %s: erase: %w", r.kind, err)
	}
	return nil
}

func (r register[T]) openAll(entries []Entry, err error) ([]kept[T], error) {
	if err != nil {
		return nil, fmt.Errorf("register %s: read: %w", r.kind, err)
	}
	all := make([]kept[T], len(entries))
	for i, e := range entries {
		if all[i], err = r.open(e); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// open reads what an entry says.
func (r register[T]) open(e Entry) (kept[T], error) {
	k := kept[T]{Entry: e}
	err := r.vault.withKeys(e.City, func(keys []Key) error { return openBody(keys, e, &k.Body) })
	if err != nil {
		return kept[T]{}, fmt.Errorf("register %s: open %s: %w", r.kind, e.ID, err)
	}
	k.Sealed = nil
	return k, nil
}

// bodyStep is what the size of a sealed body is rounded up to, in bytes, so that it says little of a name or a text.
const bodyStep = 256

// sealBody pads with spaces, which JSON allows.
func sealBody(k Key, e Entry, body any) ([]byte, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	padded := append(text, bytes.Repeat([]byte(" "), bodyStep-len(text)%bodyStep)...)
	s := sealed(formEntry, k, padded, boundEntry(e))
	clear(text)
	clear(padded)
	return s, nil
}

// openBody errors: ErrDamaged.
func openBody(keys []Key, e Entry, body any) error {
	text, err := opened(formEntry, keys, e.Sealed, boundEntry(e))
	if err != nil {
		return err
	}
	defer clear(text)
	if json.Unmarshal(text, body) != nil {
		return ErrDamaged // without the cause, which may quote the text
	}
	return nil
}

// boundEntry is everything in an entry but the seal itself.
func boundEntry(e Entry) []byte {
	return fmt.Appendf(nil, "callhall register v1 %q %q %q %d %q %x %q %d %d", e.City, e.Kind, e.ID, e.Version, e.Call, e.Token,
		e.State, e.At.UnixNano(), e.DueAt.UnixNano())
}

// bodyNumber is a Number that keeps its digits in the sealed body of an entry, or of a spooled line, and nowhere else: no exported type may
// have a field of it.
type bodyNumber struct{ Number }

// MarshalText writes the digits.
func (n bodyNumber) MarshalText() ([]byte, error) { return []byte(n.open()), nil }

// UnmarshalText reads what MarshalText wrote.
func (n *bodyNumber) UnmarshalText(digits []byte) error {
	n.Number = seal(string(digits))
	return nil
}
