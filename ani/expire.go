package ani

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"callhall/call"
)

// maxErasing is how many rows Expire takes at a time.
const maxErasing = 64

// Expire erases every row and every register's entry that has come to its due time and returns how many it erased, keys
// of tokens aside. A leaf for each is in the ledger before it goes, or in the spool where the ledger takes none; if the
// process dies in between, the next Expire writes that leaf again. Run it every minute.
func (v *Vault) Expire(ctx context.Context) (erased int, err error) {
	now := v.cfg.Now().UTC()
	v.forgetTokenKeys(now)
	rows, err1 := v.store.Cities(ctx, now)
	entries, err2 := v.store.RegisterCities(ctx, now)
	if err := errors.Join(err1, err2); err != nil {
		return 0, fmt.Errorf("expire the vault: %w", err)
	}
	var errs []error
	for _, work := range []struct {
		cities []call.CityID
		expire func(context.Context, call.CityID, time.Time) (int, error)
	}{{rows, v.expireRows}, {entries, v.expireEntries}} {
		for _, city := range work.cities {
			n, err := work.expire(ctx, city, now)
			erased += n
			if err != nil {
				errs = append(errs, fmt.Errorf("expire the vault of %s: %w", city, err))
			}
		}
	}
	return erased, errors.Join(errs...)
}

func (v *Vault) expireRows(ctx context.Context, city call.CityID, now time.Time) (erased int, err error) {
	for {
		rows, err := v.store.Due(ctx, city, now, maxErasing)
		if err != nil || len(rows) == 0 {
			return erased, err
		}
		ids, leaves := make([]call.ID, len(rows)), make([]call.Leaf, len(rows))
		for i, row := range rows {
			ids[i], leaves[i] = row.Call, erasedLeaf(row, now)
		}
		if err := v.recordErasing(ctx, city, leaves); err != nil {
			return erased, err
		}
		v.recallErased(ctx, city, ids)
		if err := v.store.Erase(ctx, city, ids); err != nil {
			return erased, err
		}
		erased += len(rows)
	}
}

// recallErased lets the privacy office recall what was released of numbers that go (O10). It does not hold up the erasing.
func (v *Vault) recallErased(ctx context.Context, city call.CityID, ids []call.ID) {
	if v.desk == nil {
		return
	}
	if err := v.desk.erased(ctx, city, ids); err != nil {
		v.cfg.Log.Error("numbers are erased and what was released of them is not recalled: recall it by hand, the ledger has the releases",
			"city", city, "err", err)
	}
}

func erasedLeaf(row VaultRow, now time.Time) call.Leaf {
	return call.Leaf{Kind: KindErased, At: now, Call: row.Call, Actor: "engine",
		Facts: map[string]string{"erasure": erasureID(), "captured_at": stamp(row.CapturedAt), "due_at": stamp(row.DueAt)}}
}

func (v *Vault) expireEntries(ctx context.Context, city call.CityID, now time.Time) (erased int, err error) {
	for {
		due, err := v.store.EntriesDue(ctx, city, now, maxErasing)
		if err != nil || len(due) == 0 {
			return erased, err
		}
		var leaves []call.Leaf
		for _, e := range due {
			if !slices.Contains(unrecorded, e.Kind) {
				leaves = append(leaves, entryErasedLeaf(e, now))
			}
		}
		if err := v.recordErasing(ctx, city, leaves); err != nil {
			return erased, err
		}
		if err := v.eraseEntries(ctx, city, due); err != nil {
			return erased, err
		}
		erased += len(leaves)
	}
}

// unrecorded are the registers whose entries go without a leaf: they hold nothing of any caller.
var unrecorded = []Kind{kindTokenKey, registerCounts}

func entryErasedLeaf(e Entry, now time.Time) call.Leaf {
	return call.Leaf{Kind: KindEntryErased, At: now, Call: e.Call, Actor: "engine",
		Facts: map[string]string{"erasure": erasureID(), "register": string(e.Kind), "entry": e.ID, "made_at": stamp(e.At), "due_at": stamp(e.DueAt)}}
}

// eraseEntries erases a page kind by kind.
func (v *Vault) eraseEntries(ctx context.Context, city call.CityID, due []Entry) error {
	slices.SortStableFunc(due, func(a, b Entry) int { return cmp.Compare(a.Kind, b.Kind) })
	for len(due) > 0 {
		kind, ids := due[0].Kind, []string(nil)
		for len(due) > 0 && due[0].Kind == kind {
			ids, due = append(ids, due[0].ID), due[1:]
		}
		if err := v.store.EraseEntries(ctx, city, kind, ids); err != nil {
			return err
		}
	}
	return nil
}

// recordErasing writes leaves to the ledger, and those that it does not take, because it is frozen or away, to the spool:
// erasing waits for neither.
func (v *Vault) recordErasing(ctx context.Context, city call.CityID, leaves []call.Leaf) error {
	errs := v.appendAll(ctx, city, leaves)
	var late []call.Leaf
	for i, err := range errs {
		if err != nil {
			late = append(late, leaves[i])
		}
	}
	if len(late) == 0 {
		return nil
	}
	cause := errors.Join(errs...)
	if ctx.Err() != nil {
		return cause
	}
	if err := v.spoolLeaves(city, late...); err != nil {
		return errors.Join(cause, err)
	}
	v.cfg.Log.Error("erased although the ledger takes no leaves; they wait in the spool", "city", city, "leaves", len(late), "err", cause)
	return nil
}

// erasureID names one leaf about an erasure.
func erasureID() string { return "ers_" + strings.TrimPrefix(string(call.NewID()), "cl_") }

// appendAll writes leaves side by side, so that they share a commit.
func (v *Vault) appendAll(ctx context.Context, city call.CityID, leaves []call.Leaf) []error {
	errs := make([]error, len(leaves))
	var writing sync.WaitGroup
	for i, leaf := range leaves {
		writing.Go(func() { errs[i] = v.ledger.Append(ctx, city, leaf) })
	}
	writing.Wait()
	return errs
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
