package ani

import (
	"context"
	"sync"

	"callhall/call"
)

// liveCalls has the callers of all calls that are going on, so that what a call needs of its own number, an emergency
// above all, waits for no database. Everything personal in it is sealed under the process's key. It holds as many callers
// as there are calls: whoever captured one says when the call is over.
type liveCalls struct {
	mu    sync.RWMutex
	calls map[liveKey]*liveCall
}

type liveKey struct {
	city call.CityID
	call call.ID
}

// liveCall is one of them.
type liveCall struct {
	held
	came  arrival
	mu    sync.Mutex
	shown map[shownKey]*shownLeg
}

// shownLeg is what was decided for one leg. Each is decided alone: no leg, one to 911 above all, waits for another.
type shownLeg struct {
	turn    chan struct{} // one slot, taken while it is decided
	decided bool
	Shown
}

// take waits for the leg's turn, or for the end of ctx.
func (l *shownLeg) take(ctx context.Context) error {
	select {
	case l.turn <- struct{}{}: // a leg whose ctx has ended gets a turn that is free
		return nil
	default:
	}
	select {
	case l.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// leg returns the leg of that key, the same for whoever asks.
func (l *liveCall) leg(key shownKey) *shownLeg {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.shown == nil {
		l.shown = map[shownKey]*shownLeg{}
	}
	if l.shown[key] == nil {
		l.shown[key] = &shownLeg{turn: make(chan struct{}, 1)}
	}
	return l.shown[key]
}

func (l *liveCalls) begin(city call.CityID, id call.ID, h held, came arrival) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.calls == nil {
		l.calls = map[liveKey]*liveCall{}
	}
	if l.calls[liveKey{city, id}] == nil {
		l.calls[liveKey{city, id}] = &liveCall{held: h, came: came}
	}
}

// find returns nil for a call that is not going on here.
func (l *liveCalls) find(city call.CityID, id call.ID) *liveCall {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.calls[liveKey{city, id}]
}

func (l *liveCalls) end(city call.CityID, id call.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.calls, liveKey{city, id})
}

func (l *liveCalls) len() int {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return len(l.calls)
}

// Over forgets a call that has ended: from then on its number is to be had from the store alone. Every call that was
// captured, with or without an error, must come to its Over.
func (v *Vault) Over(city call.CityID, id call.ID) { v.live.end(city, id) }
