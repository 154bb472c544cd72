package ani

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"callhall/call"
)

// urgentWait is how long a hand-over to 911 waits in all for its leaf: for the ledger first and then for the spool.
const urgentWait = 500 * time.Millisecond

// ledgerWait is how much of that the ledger has.
const ledgerWait = urgentWait / 2

// urgentTries is how long an append that was given up on may still be under way. Until it has come to its end its leaf
// stays in the spool, so that no leaf is written twice.
const urgentTries = 30 * time.Second

// urgentAppends are appends that somebody may have stopped waiting for.
type urgentAppends struct {
	sync.WaitGroup // of these, and of all else that is written beside a call

	mu  sync.Mutex
	ids map[string]bool
}

func (u *urgentAppends) begin(id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.ids == nil {
		u.ids = map[string]bool{}
	}
	u.ids[id] = true
}

func (u *urgentAppends) end(id string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.ids, id)
}

// settled is how many of the first leaves have no append under way. What such an append comes to is to be seen in the
// ledger from then on.
func (u *urgentAppends) settled(leaves []call.Leaf) int {
	u.mu.Lock()
	defer u.mu.Unlock()
	n := slices.IndexFunc(leaves, func(leaf call.Leaf) bool { return u.ids[leafID(leaf)] })
	if n < 0 {
		return len(leaves)
	}
	return n
}

// appendUrgently writes the leaf of an emergency to the ledger or, when that is away or slow, to the spool. It never
// stands in the way (RULES: D25 comes first): it returns after urgentWait at the latest, with the leaf in memory if it is
// nowhere else by then, and goes on beside the call. Where ledger and disk both fail, the failure is logged, and the leaf
// is tried again from memory.
func (v *Vault) appendUrgently(ctx context.Context, city call.CityID, leaf call.Leaf) {
	done := make(chan struct{})
	v.urgent.Go(func() {
		defer close(done)
		v.keepUrgently(ctx, city, leaf)
	})
	patience := time.NewTimer(urgentWait)
	defer patience.Stop()
	select {
	case <-done:
	case <-patience.C:
		v.cfg.Log.Error("emergency released before its leaf is in the ledger or on the disk; both are tried beside the call", "call", leaf.Call)
	}
}

// keepUrgently returns when the leaf is in the ledger, on the disk, or in memory for the next replay.
func (v *Vault) keepUrgently(ctx context.Context, city call.CityID, leaf call.Leaf) {
	err := v.appendWithin(ctx, city, leaf)
	if err == nil {
		return
	}
	kept := v.unspooled.add(city, leaf)
	v.cfg.Log.Error("emergency released although the ledger is away; its leaf goes into the spool", "call", leaf.Call, "err", err)
	if err := v.spoolLeaves(city, leaf); err != nil {
		v.cfg.Log.Error("the leaf of an emergency is in memory alone: keep this process running until the ledger is back",
			"call", leaf.Call, "err", err)
		v.unspooled.free(kept)
		return
	}
	v.unspooled.drop(kept)
}

var errSlow = errors.New("ani: the ledger does not answer")

// appendWithin is Append for somebody who cannot wait.
func (v *Vault) appendWithin(ctx context.Context, city call.CityID, leaf call.Leaf) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), urgentTries)
	done := make(chan error, 1) // one slot: nobody may be waiting any more
	v.urgent.begin(leafID(leaf))
	v.urgent.Go(func() {
		defer cancel()
		defer v.urgent.end(leafID(leaf))
		done <- v.ledger.Append(ctx, city, leaf)
	})
	patience := time.NewTimer(ledgerWait)
	defer patience.Stop()
	select {
	case err := <-done:
		return err
	case <-patience.C:
		return errSlow
	}
}

// unspooledLeaves are leaves that are neither in the ledger nor on the disk.
type unspooledLeaves struct {
	mu  sync.Mutex
	all []*unspooledLeaf
}

type unspooledLeaf struct {
	city call.CityID
	leaf call.Leaf
	busy bool // it is on its way to the disk
}

// add keeps a leaf that is on its way to the disk.
func (u *unspooledLeaves) add(city call.CityID, leaf call.Leaf) *unspooledLeaf {
	u.mu.Lock()
	defer u.mu.Unlock()
	one := &unspooledLeaf{city: city, leaf: leaf, busy: true}
	u.all = append(u.all, one)
	return one
}

// free says that a leaf does not get there.
func (u *unspooledLeaves) free(one *unspooledLeaf) {
	u.mu.Lock()
	defer u.mu.Unlock()
	one.busy = false
}

// drop lets go of leaves that are somewhere else.
func (u *unspooledLeaves) drop(these ...*unspooledLeaf) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.all = slices.DeleteFunc(u.all, func(one *unspooledLeaf) bool { return slices.Contains(these, one) })
}

func (u *unspooledLeaves) len() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return len(u.all)
}

// of is what waits of one city, oldest first. It stays until it is dropped.
func (u *unspooledLeaves) of(city call.CityID) (these []*unspooledLeaf) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, one := range u.all {
		if one.city == city && !one.busy {
			these = append(these, one)
		}
	}
	return these
}

// cities lists the cities that something waits of.
func (u *unspooledLeaves) cities() (all []call.CityID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, one := range u.all {
		all = append(all, one.city)
	}
	return all
}

var errNoSpool = errors.New("ani: this vault has no spool")

// spoolLeaves returns when the leaves are on the disk. Every leaf there has a fact that no other has, by which it is known
// again: the release that it is of, or one of its own.
func (v *Vault) spoolLeaves(city call.CityID, leaves ...call.Leaf) error {
	if v.spool == nil {
		return errNoSpool
	}
	return addTo(v.spool, city, leaves...)
}

// leafID is the fact that tells a leaf from every other.
func leafID(leaf call.Leaf) string {
	return cmp.Or(leaf.Facts["release"], leaf.Facts["erasure"], leaf.Facts["batch"])
}
