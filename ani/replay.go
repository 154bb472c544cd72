package ani

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"callhall/call"
)

// replay moves what waits in memory and in the spool into the ledger, each leaf once and with the time that it was made
// at, and lines of accountings into their register. No city waits for another.
func (v *Vault) replay(ctx context.Context) error {
	var errs []error
	for _, city := range v.waitingCities() {
		errs = append(errs, v.replayCity(ctx, city))
	}
	return errors.Join(errs...)
}

// waitingCities lists the cities that something may wait of.
func (v *Vault) waitingCities() []call.CityID {
	cities := v.unspooled.cities()
	if v.spool != nil {
		cities = append(append(cities, v.spool.all()...), v.lines.all()...)
	}
	slices.Sort(cities)
	return slices.Compact(cities)
}

func (v *Vault) replayCity(ctx context.Context, city call.CityID) error {
	err := v.replayUnspooled(ctx, city)
	if v.spool != nil {
		leaves := drain(v.spool, city, func(page []call.Leaf) (int, error) { return v.replayPage(ctx, city, page) })
		lines := drain(v.lines, city, func(page []accountLine) (int, error) { return v.replayLines(ctx, page) })
		err = errors.Join(err, leaves, lines)
	}
	return wrapUnless(err, "move the spool of %s", city)
}

func (v *Vault) replayUnspooled(ctx context.Context, city call.CityID) error {
	these := v.unspooled.of(city)
	leaves := make([]call.Leaf, len(these))
	for i, one := range these {
		leaves[i] = one.leaf
	}
	moved, err := v.replayPage(ctx, city, leaves)
	v.unspooled.drop(these[:moved]...)
	return err
}

// replayPage appends leaves but for those that are there: all of them, or those before the first whose append by somebody
// else is under way. A crash between a leaf's append and its mark leaves it in both: what an earlier run, or an append
// that nobody waited for, may have written is looked for in the ledger first.
func (v *Vault) replayPage(ctx context.Context, city call.CityID, page []call.Leaf) (moved int, err error) {
	page = page[:v.urgent.settled(page)]
	if len(page) == 0 {
		return 0, nil
	}
	ids, since := make([]string, len(page)), page[0].At
	for i, leaf := range page {
		ids[i] = leafID(leaf)
		if leaf.At.Before(since) {
			since = leaf.At
		}
	}
	there, err := v.written(ctx, city, since, ids)
	if err != nil {
		return 0, err
	}
	seen := map[string]bool{"": false}
	for _, id := range there {
		seen[id] = true
	}
	var leaves []call.Leaf
	for i, leaf := range page {
		if !seen[ids[i]] {
			leaves, seen[ids[i]] = append(leaves, leaf), ids[i] != ""
		}
	}
	if err := v.appendProbing(ctx, city, leaves); err != nil {
		return 0, err
	}
	return len(page), nil
}

// written asks the ledger for leaves that it may have.
func (v *Vault) written(ctx context.Context, city call.CityID, since time.Time, ids []string) ([]string, error) {
	if v.cfg.Written == nil {
		return nil, nil
	}
	return v.cfg.Written(ctx, city, since, ids)
}

// maxTogether bounds how many leaves of a replay share a commit.
const maxTogether = 64

// appendProbing appends the first leaf alone, to see whether the ledger takes any, and then the others.
func (v *Vault) appendProbing(ctx context.Context, city call.CityID, leaves []call.Leaf) error {
	for n := 1; len(leaves) > 0; n = maxTogether {
		n = min(n, len(leaves))
		if err := errors.Join(v.appendAll(ctx, city, leaves[:n])...); err != nil {
			return err
		}
		leaves = leaves[n:]
	}
	return nil
}

// housekeeping is how often Run looks for what other nodes have written, and tries the ledger again.
const housekeeping = 5 * time.Second

// maxPause is the longest time between two tries to move a city's leaves.
const maxPause = time.Minute

// pauses has when the leaves of a city that could not be moved are tried again: each time after twice as long.
type pauses map[call.CityID]pause

type pause struct {
	until time.Time
	last  time.Duration
}

func (p pauses) over(city call.CityID) bool { return !time.Now().Before(p[city].until) }

func (p pauses) after(city call.CityID, err error) {
	if err == nil {
		delete(p, city)
		return
	}
	d := min(max(2*p[city].last, housekeeping), maxPause)
	p[city] = pause{time.Now().Add(d), d}
}

// replayDue is replay for cities that are not in a pause, all at once: a ledger that hangs holds up its own city alone.
func (v *Vault) replayDue(ctx context.Context, p pauses) {
	due := slices.DeleteFunc(v.waitingCities(), func(city call.CityID) bool { return !p.over(city) })
	errs := make([]error, len(due))
	var moving sync.WaitGroup
	for i, city := range due {
		moving.Go(func() { errs[i] = v.replayWithin(ctx, city) })
	}
	moving.Wait()
	for i, city := range due {
		if p.after(city, errs[i]); errs[i] != nil && ctx.Err() == nil {
			v.cfg.Log.Error("leaves wait in the spool for the ledger; tried again within a minute", "city", city, "leaves", v.waiting(), "err", errs[i])
		}
	}
}

// replayWithin gives up a ledger that does not answer: what was not appended is tried again.
func (v *Vault) replayWithin(ctx context.Context, city call.CityID) error {
	ctx, cancel := context.WithTimeout(ctx, maxPause)
	defer cancel()
	return v.replayCity(ctx, city)
}

// replayLines writes lines into the subjects' accountings.
func (v *Vault) replayLines(ctx context.Context, page []accountLine) (moved int, err error) {
	for i, line := range page {
		err := v.addLine(ctx, line)
		if err != nil && !errors.Is(err, ErrExists) && !v.lapsed(line) {
			return i, fmt.Errorf("accounting of %s: %w", line.Body.Release, err)
		}
	}
	return len(page), nil
}

// lapsed tells whether a line's number has come to its due time: it is kept no longer, in the spool neither.
func (v *Vault) lapsed(line accountLine) bool {
	if v.cfg.Now().Before(line.At.Add(v.keepFor(line.City))) {
		return false
	}
	v.cfg.Log.Error("a number was erased before the accounting had the line of its release to 911; the ledger has the release",
		"call", line.Call, "release", line.Body.Release)
	return true
}
