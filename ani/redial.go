package ani

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"callhall/call"
)

// redialFor is how long a dropped caller is remembered (D48).
const redialFor = 30 * time.Minute

// kindDropped is the register of dropped callers: by token, never by number.
const kindDropped Kind = "dropped"

// The states of a dropped call.
const (
	droppedWaiting = "waiting"
	droppedBack    = "back" // the caller has called again
)

type droppedBody struct {
	Since time.Time `json:"since"` // since when the call had waited
}

type droppedCall = kept[droppedBody]

// droppedCalls is the register's copy in memory, so that no call waits for it.
type droppedCalls struct {
	mu     sync.RWMutex
	cities map[call.CityID]map[[tokenSize]byte]droppedCall
}

// any tells whether a dropped caller of the city is remembered.
func (d *droppedCalls) any(city call.CityID, now time.Time) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	for _, k := range d.cities[city] {
		if now.Before(k.DueAt) {
			return true
		}
	}
	return false
}

func (d *droppedCalls) put(k droppedCall) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cities == nil {
		d.cities = map[call.CityID]map[[tokenSize]byte]droppedCall{}
	}
	if d.cities[k.City] == nil {
		d.cities[k.City] = map[[tokenSize]byte]droppedCall{}
	}
	d.cities[k.City][[tokenSize]byte(k.Token)] = k
}

// take removes and returns the dropped call of one of the tokens.
func (d *droppedCalls) take(city call.CityID, tokens [][]byte, now time.Time) (droppedCall, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, token := range tokens {
		k, found := d.cities[city][[tokenSize]byte(token)]
		delete(d.cities[city], [tokenSize]byte(token))
		if found && now.Before(k.DueAt) {
			return k, true
		}
	}
	return droppedCall{}, false
}

// replace sets what is remembered of a city to what was read from since on; what was put in meanwhile stays.
func (d *droppedCalls) replace(city call.CityID, all map[[tokenSize]byte]droppedCall, since time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for token, k := range d.cities[city] {
		if !k.At.Before(since) {
			all[token] = k
		}
	}
	if d.cities == nil {
		d.cities = map[call.CityID]map[[tokenSize]byte]droppedCall{}
	}
	d.cities[city] = all
}

func (v *Vault) droppedRegister() register[droppedBody] { return register[droppedBody]{v, kindDropped} }

// Dropped remembers for 30 minutes that we, and not the caller, ended a call that had waited since then: whoever calls
// again from the same number finds their place kept (D48). What is kept is a token under a key of that half hour; the leaf
// is first. A call without a number is remembered by nobody. Errors: those of store and ledger.
func (v *Vault) Dropped(ctx context.Context, city call.CityID, id call.ID, since time.Time) error {
	d, err := v.decide(ctx, Request{City: city, Call: id, Purpose: PurposeRedial, Recipient: RecipientEngine, Relation: RelationHandling, Actor: "engine"})
	if d.who.Number.IsZero() && err == nil {
		return nil // nothing is used
	}
	if rerr := v.record(ctx, d); rerr != nil || err != nil || d.ruling.Decision != Token {
		return wrapUnless(errors.Join(err, rerr), "remember the dropped call %s", id)
	}
	now := v.cfg.Now().UTC()
	k, err := v.droppedRegister().add(ctx, droppedCall{Entry: Entry{City: city, ID: string(id), Call: id, Token: d.token, State: droppedWaiting,
		At: now, DueAt: now.Add(redialFor)}, Body: droppedBody{Since: since}})
	if errors.Is(err, ErrExists) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("remember the dropped call %s: %w", id, err)
	}
	v.dropped.put(k)
	return nil
}

// redial is the dropped call of the same caller, nil for none. It is found once.
func (v *Vault) redial(ctx context.Context, in Incoming, n Number) *droppedCall {
	tokens, err := v.tokensAlive(ctx, in.City, tokenUse(PurposeRedial), n)
	if err != nil {
		v.cfg.Log.Error("caller not compared with dropped ones", "call", in.Call, "err", err)
		return nil
	}
	if k, found := v.dropped.take(in.City, tokens, v.cfg.Now()); found {
		return &k
	}
	return nil
}

// takeUp marks a dropped call as found, so that its place is given once. Where another node was faster, the class is as if
// nobody had been dropped.
func (v *Vault) takeUp(ctx context.Context, f *findings) error {
	if f.redial == nil {
		return nil
	}
	k := *f.redial
	k.State = droppedBack
	_, err := v.droppedRegister().replace(ctx, k)
	if errors.Is(err, ErrConflict) {
		f.class.Redial, f.class.Since = "", time.Time{}
		return nil
	}
	return err
}

// loadDropped reads what is remembered, by other nodes too.
func (v *Vault) loadDropped(ctx context.Context) error {
	var errs []error
	for _, city := range v.cfg.Cities {
		since := v.cfg.Now()
		all, err := v.droppedOf(ctx, city)
		if err != nil {
			errs = append(errs, fmt.Errorf("dropped callers of %s: %w", city, err))
			continue
		}
		v.dropped.replace(city, all, since)
	}
	return errors.Join(errs...)
}

// maxEntries is how many entries of a register are read at a time.
const maxEntries = 200

func (v *Vault) droppedOf(ctx context.Context, city call.CityID) (map[[tokenSize]byte]droppedCall, error) {
	waiting := map[[tokenSize]byte]droppedCall{}
	now, before := v.cfg.Now(), ""
	for {
		page, err := v.droppedRegister().list(ctx, city, before, maxEntries)
		if errors.Is(err, ErrNotFound) || err == nil && len(page) == 0 {
			return waiting, nil // the last of the page before was just erased: it was due, and all below it are
		}
		if err != nil {
			return nil, err
		}
		for _, k := range page {
			if k.State == droppedWaiting && now.Before(k.DueAt) && len(k.Token) == tokenSize {
				waiting[[tokenSize]byte(k.Token)] = k
			}
			before = k.ID
		}
	}
}

// wrapUnless wraps an error, if it is one.
func wrapUnless(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf(format+": %w", append(args, err)...)
}
