package ani

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"callhall/call"
)

// KindKey is a leaf about a city's vault keys: one was added, or old ones were dropped.
const KindKey = "ani.key/1"

// Rotator is a Keys whose keys can change.
type Rotator interface {
	// Add makes a fresh key, which is the city's newest from then on. It is durable when Add returns.
	Add(city call.CityID) error
	// Drop removes keys for good. The newest stays, whatever is asked. Errors: ErrTooSoon.
	Drop(city call.CityID, ids []uint32) error
}

var (
	errFixedKeys = errors.New("ani: these keys cannot be changed")
	// ErrTooSoon says that some process may still seal with the key before the newest.
	ErrTooSoon = errors.New("ani: the newest key is too young: a key can be dropped a minute after another one took its place")
	// ErrSpooled says that a leaf in the spool may be sealed under an old key.
	ErrSpooled = errors.New("ani: leaves wait in the spool, and may need an old key")
)

// Rotate gives the city a new key. What is sealed from then on is sealed under it, by other processes within seconds; what
// was sealed before still opens. The leaf is first. It is time to rotate when somebody who could read the key file leaves,
// and once a year.
func (v *Vault) Rotate(ctx context.Context, city call.CityID, actor string) error {
	keys, ok := v.keys.(Rotator)
	if !ok {
		return fmt.Errorf("rotate the vault key of %s: %w", city, errFixedKeys)
	}
	if _, err := v.cityKeys(city); err != nil { // the first key is made by asking for it
		return fmt.Errorf("rotate the vault key of %s: %w", city, err)
	}
	leaf := call.Leaf{Kind: KindKey, At: v.cfg.Now(), Actor: actor, Facts: map[string]string{"act": "add"}}
	if err := v.ledger.Append(ctx, city, leaf); err != nil {
		return fmt.Errorf("rotate the vault key of %s: ledger: %w", city, err)
	}
	if err := keys.Add(city); err != nil {
		return fmt.Errorf("rotate the vault key of %s: %w", city, err)
	}
	return v.refreshKeys(city)
}

// DropKeys seals every register entry of the city under its newest key, and drops the keys that nothing needs any more: a
// row needs its key until it is erased, at most 14 days. It returns how many were dropped. The leaf is first. Leaves in the
// spools of other nodes are not seen: look at callhall_ani_spooled_leaves before. Errors: ErrTooSoon, ErrSpooled.
func (v *Vault) DropKeys(ctx context.Context, city call.CityID, actor string) (dropped int, err error) {
	old, err := v.unneeded(ctx, city)
	if err != nil || len(old) == 0 {
		return 0, wrapUnless(err, "drop old vault keys of %s", city)
	}
	keys, ok := v.keys.(Rotator)
	if !ok {
		return 0, fmt.Errorf("drop old vault keys of %s: %w", city, errFixedKeys)
	}
	leaf := call.Leaf{Kind: KindKey, At: v.cfg.Now(), Actor: actor, Facts: map[string]string{"act": "drop", "keys_count": strconv.Itoa(len(old))}}
	if err := v.ledger.Append(ctx, city, leaf); err != nil {
		return 0, fmt.Errorf("drop old vault keys of %s: ledger: %w", city, err)
	}
	if err := keys.Drop(city, old); err != nil {
		return 0, fmt.Errorf("drop old vault keys of %s: %w", city, err)
	}
	return len(old), v.refreshKeys(city)
}

// unneeded finds the keys that neither a row, an entry nor the spool needs.
func (v *Vault) unneeded(ctx context.Context, city call.CityID) (old []uint32, err error) {
	if records, _, _ := v.spooled(); v.waiting()+records > 0 {
		return nil, ErrSpooled
	}
	if err := v.refreshKeys(city); err != nil {
		return nil, err
	}
	keys, err := v.cityKeys(city)
	if err != nil {
		return nil, err
	}
	needed := map[uint32]bool{keys[len(keys)-1].ID: true}
	if err := v.reseal(ctx, city); err != nil {
		return nil, err
	}
	if err := v.needs(ctx, city, needed); err != nil {
		return nil, err
	}
	for _, k := range keys {
		if !needed[k.ID] {
			old = append(old, k.ID)
		}
	}
	return old, nil
}

// needs marks the keys of the city's rows.
func (v *Vault) needs(ctx context.Context, city call.CityID, needed map[uint32]bool) error {
	for after := call.ID(""); ; {
		rows, err := v.store.Rows(ctx, city, after, searchPage)
		if err != nil || len(rows) == 0 {
			return err
		}
		for _, row := range rows {
			if len(row.Sealed) >= sealHead {
				needed[keyID(row.Sealed)] = true
			}
		}
		after = rows[len(rows)-1].Call
	}
}

// reseal seals what is under an old key under the newest. An entry that somebody changes meanwhile is sealed by them.
func (v *Vault) reseal(ctx context.Context, city call.CityID) error {
	kind, id := Kind(""), ""
	for {
		entries, err := v.store.EveryEntry(ctx, city, kind, id, maxEntries)
		if err != nil || len(entries) == 0 {
			return err
		}
		for _, e := range entries {
			err := v.resealEntry(ctx, e)
			if err != nil && !errors.Is(err, ErrConflict) {
				return fmt.Errorf("seal %s %s anew: %w", e.Kind, e.ID, err)
			}
		}
		last := entries[len(entries)-1]
		kind, id = last.Kind, last.ID
	}
}

func (v *Vault) resealEntry(ctx context.Context, e Entry) error {
	if len(e.Sealed) < sealHead {
		return ErrDamaged
	}
	keys, err := v.cityKeys(e.City)
	if err != nil || keyID(e.Sealed) == keys[len(keys)-1].ID {
		return err
	}
	text, err := opened(formEntry, keys, e.Sealed, boundEntry(e))
	if err != nil {
		return err
	}
	defer clear(text)
	e.Version++
	e.Sealed = sealed(formEntry, keys[len(keys)-1], text, boundEntry(e))
	return v.store.Replace(ctx, e)
}
