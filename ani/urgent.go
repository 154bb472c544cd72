package ani

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"callhall/call"
)

// urgentWait is how long a hand-over to 911 waits for the ledger before its leaf goes to the spool.
const urgentWait = 500 * time.Millisecond

// urgentTries is how long an append that was given up on may still be under way. Until it has come to its end the spool is
// not moved, so that no leaf is written twice.
const urgentTries = 30 * time.Second

// urgentAppends are appends that somebody may have stopped waiting for.
type urgentAppends struct {
	sync.WaitGroup
	n atomic.Int64
}

// appendUrgently writes the leaf of an emergency to the ledger or, when that is away or slow, to the spool. It never
// stands in the way: where both fail, the number goes all the same (RULES: D25 comes first), the failure is logged, and
// the leaf is tried again from memory.
func (v *Vault) appendUrgently(ctx context.Context, city call.CityID, leaf call.Leaf) {
	err := v.appendWithin(ctx, city, leaf)
	if err == nil {
		return
	}
	v.cfg.Log.Error("emergency released although the ledger is away; its leaf waits in the spool", "call", leaf.Call, "err", err)
	if err := v.spoolLeaves(city, leaf); err != nil {
		v.cfg.Log.Error("the leaf of an emergency is in memory alone: keep this process running until the ledger is back",
			"call", leaf.Call, "err", err)
		v.unspooled.add(city, leaf)
	}
}

var errSlow = errors.New("ani: the ledger does not answer")

// appendWithin is Append for somebody who cannot wait.
func (v *Vault) appendWithin(ctx context.Context, city call.CityID, leaf call.Leaf) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), urgentTries)
	done := make(chan error, 1) // one slot: nobody may be waiting any more
	v.urgent.n.Add(1)
	v.urgent.Go(func() {
		defer v.urgent.n.Add(-1)
		defer cancel()
		done <- v.ledger.Append(ctx, city, leaf)
	})
	patience := time.NewTimer(urgentWait)
	defer patience.Stop()
	select {
	case err := <-done:
		return err
	case <-patience.C:
		return errSlow
	}
}

// unspooledLeaves are leaves for which there was no disk.
type unspooledLeaves struct {
	mu  sync.Mutex
	all []spooled
}

func (u *unspooledLeaves) add(city call.CityID, leaf call.Leaf) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.all = append(u.all, spooled{city: city, leaf: leaf})
}

func (u *unspooledLeaves) len() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.all)
}

func (u *unspooledLeaves) take() []spooled {
	u.mu.Lock()
	defer u.mu.Unlock()
	all := u.all
	u.all = nil
	return all
}

var errNoSpool = errors.New("ani: this vault has no spool")

// spoolLeaves returns when the leaves are on the disk. Every leaf there has a fact that no other has, by which it is known
// again: the release that it is of, or one of its own.
func (v *Vault) spoolLeaves(city call.CityID, leaves ...call.Leaf) error {
	if v.spool == nil {
		return errNoSpool
	}
	return v.spool.add(city, leaves...)
}

// leafID is the fact that tells a leaf from every other.
func leafID(leaf call.Leaf) string {
	return cmp.Or(leaf.Facts["release"], leaf.Facts["erasure"], leaf.Facts["batch"])
}

// maxReplay is how many leaves are moved at a time.
const maxReplay = 4096

// replay moves what waits in the spool into the ledger, each leaf once and with the time that it was made at. A crash
// between a leaf's append and its mark leaves it in both: what an earlier run, or an append that nobody waited for, may
// have written is looked for in the ledger first.
func (v *Vault) replay(ctx context.Context) error {
	if v.urgent.n.Load() > 0 {
		return nil // one of them may be in the ledger a moment from now
	}
	for _, one := range v.unspooled.take() {
		if err := v.replayAll(ctx, []spooled{one}); err != nil {
			v.unspooled.add(one.city, one.leaf)
			return err
		}
	}
	if v.spool == nil {
		return nil
	}
	for v.spool.waiting() > 0 {
		page, err := v.spool.next(maxReplay)
		if err == nil || len(page) > 0 {
			err = errors.Join(err, v.replayPage(ctx, page))
		}
		if err != nil {
			return fmt.Errorf("move the spool into the ledger: %w", err)
		}
	}
	return nil
}

// replayPage moves a page run by run of one city, so that what is in the ledger is marked before the next can fail.
func (v *Vault) replayPage(ctx context.Context, page []spooled) error {
	for len(page) > 0 {
		n := 1
		for n < len(page) && page[n].city == page[0].city {
			n++
		}
		if err := v.replayAll(ctx, page[:n]); err != nil {
			return err
		}
		if err := v.spool.finish(page[n-1].end, n); err != nil {
			return err
		}
		page = page[n:]
	}
	return nil
}

// written asks the ledger for leaves that it may have.
func (v *Vault) written(ctx context.Context, city call.CityID, since time.Time, ids []string) ([]string, error) {
	if v.cfg.Written == nil {
		return nil, nil
	}
	return v.cfg.Written(ctx, city, since, ids)
}

// replayAll appends leaves of one city, but for those that are there.
func (v *Vault) replayAll(ctx context.Context, all []spooled) error {
	ids, since := make([]string, len(all)), all[0].leaf.At
	for i, one := range all {
		ids[i] = leafID(one.leaf)
		if one.leaf.At.Before(since) {
			since = one.leaf.At
		}
	}
	there, err := v.written(ctx, all[0].city, since, ids)
	if err != nil {
		return err
	}
	leaves := make([]call.Leaf, 0, len(all))
	for i, one := range all {
		if !slices.Contains(there, ids[i]) {
			leaves = append(leaves, one.leaf)
		}
	}
	return errors.Join(v.appendAll(ctx, all[0].city, leaves)...)
}
