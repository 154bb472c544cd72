package ledger

import (
	"context"
	"fmt"

	"callhall/call"
)

// KindErased is the kind of the leaf that says that a body was erased; its fact "index" names it.
const KindErased = "ledger.erased/1"

// maxPage is how many leaves List returns at most.
const maxPage = 1000

// Entry is one leaf as List returns it.
type Entry struct {
	Index  int64
	Erased bool      // its body is gone; Leaf is empty
	Leaf   call.Leaf // its Call is empty where it concerns no one call
}

// List returns up to limit leaves of the city's newest log from index from on, in order, and the from of the next page,
// which is the size of the log when there is no more. A limit outside 1 to 1000 counts as 1000. A log that succeeds
// another begins with a leaf that says so; ListLog lists that one.
func (l *Ledger) List(ctx context.Context, city call.CityID, from int64, limit int) ([]Entry, int64, error) {
	return l.ListLog(ctx, l.currentID(city), from, limit)
}

// ListLog is List for any log, frozen or not.
func (l *Ledger) ListLog(ctx context.Context, log LogID, from int64, limit int) ([]Entry, int64, error) {
	if limit < 1 || limit > maxPage {
		limit = maxPage
	}
	size, err := l.store.Size(ctx, log)
	if err != nil {
		return nil, 0, fmt.Errorf("list the ledger of %s: %w", log, err)
	}
	from = min(max(from, 0), size)
	end := min(from+int64(limit), size)
	bodies, err := l.bodies(ctx, log, from, end)
	if err != nil {
		return nil, 0, fmt.Errorf("list the ledger of %s: %w", log, err)
	}
	entries := make([]Entry, 0, end-from)
	for i := from; i < end; i++ {
		b, ok := bodies[i]
		if !ok {
			entries = append(entries, Entry{Index: i, Erased: true})
			continue
		}
		_, leaf, err := decode(b.Text)
		if err != nil {
			return nil, 0, fmt.Errorf("list the ledger of %s: leaf %d: %w", log, i, err)
		}
		entries = append(entries, Entry{Index: i, Leaf: leaf})
	}
	return entries, end, nil
}

// bodies returns those from index from up to end that are not erased.
func (l *Ledger) bodies(ctx context.Context, log LogID, from, end int64) (map[int64]Body, error) {
	list, err := l.store.Bodies(ctx, log, from, int(end-from))
	if err != nil {
		return nil, err
	}
	all := make(map[int64]Body, len(list))
	for _, b := range list {
		if b.Index < end {
			all[b.Index] = b
		}
	}
	return all, nil
}

// Erase removes the body of one leaf of the city's newest log and keeps its place in the tree. A leaf of KindErased that
// names it is durable first. Errors: ErrNotFound, when there is no such body; ErrRefused, when the ledger itself wrote the
// leaf: what proves its keys stays.
func (l *Ledger) Erase(ctx context.Context, city call.CityID, index int64, actor string) error {
	if err := l.erase(ctx, city, index, actor); err != nil {
		return fmt.Errorf("erase leaf %d of %s: %w", index, city, err)
	}
	return nil
}

func (l *Ledger) erase(ctx context.Context, city call.CityID, index int64, actor string) error {
	c, err := l.city(ctx, city)
	if err != nil {
		return err
	}
	found, err := l.bodies(ctx, c.id, index, index+1)
	if err != nil {
		return err
	}
	body, ok := found[index]
	if !ok {
		return ErrNotFound
	}
	if _, leaf, err := decode(body.Text); err == nil && reserved(leaf.Kind) {
		return fmt.Errorf("%w: %s is not erased", ErrRefused, leaf.Kind)
	}
	e, err := ownEntry(city, call.Leaf{Kind: KindErased, At: l.cfg.Now(), Actor: actor, Facts: map[string]string{"index": fmt.Sprint(index)}})
	if err != nil {
		return err
	}
	if err := l.append(ctx, c, KindErased, e); err != nil {
		return err
	}
	return l.store.Erase(ctx, c.id, index)
}
