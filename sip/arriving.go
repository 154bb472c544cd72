package sip

import (
	"strconv"
	"sync"
	"time"

	"github.com/emiago/sipgo/sip"
)

// arriving pairs each INVITE with its CANCEL, whichever is handled first. On UDP sipgo gives every datagram a goroutine
// of its own, so a CANCEL right behind its INVITE is often handled before it; sipgo then finds nothing to cancel and
// leaves the CANCEL to us.
type arriving struct {
	mu      sync.Mutex
	invites map[string]*invitation // by transaction
	strays  map[string]*stray      // CANCELs without INVITE, likewise
}

// maxStrays bounds the CANCELs that are remembered. Only a trunk's are.
const maxStrays = 10_000

// strayMemory is how long a CANCEL without INVITE is remembered: an INVITE that was lost is repeated within it.
const strayMemory = 4 * time.Second

func newArriving() *arriving {
	return &arriving{invites: map[string]*invitation{}, strays: map[string]*stray{}}
}

// A stray is a CANCEL that came before its INVITE.
type stray struct{ claimed chan struct{} } // closed when the INVITE came

// An invitation is an INVITE from outside, from its first sight until its handler returns.
type invitation struct {
	mu        sync.Mutex
	cancelled bool
	withdraw  func(answer bool) // the leg's, once there is one
}

// cancel takes the INVITE back. With answer, sipgo does not know of it and the INVITE is still to be answered.
func (i *invitation) cancel(answer bool) {
	i.mu.Lock()
	i.cancelled = true
	withdraw := i.withdraw
	i.mu.Unlock()
	if withdraw != nil {
		withdraw(answer)
	}
}

// onCancel says what to do when the INVITE is taken back. It reports false when it has been already.
func (i *invitation) onCancel(withdraw func(answer bool)) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.cancelled {
		return false
	}
	i.withdraw = withdraw
	return true
}

// enter makes an INVITE known. It reports false when its CANCEL came first.
func (a *arriving) enter(key string) (*invitation, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if s := a.strays[key]; s != nil {
		delete(a.strays, key)
		close(s.claimed)
		return nil, false
	}
	i := &invitation{}
	a.invites[key] = i
	return i, true
}

// leave forgets an INVITE.
func (a *arriving) leave(key string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.invites, key)
}

// cancel takes back the INVITE that a CANCEL is for, and reports whether there was one. Where there is none yet, it
// waits that long for it, and is remembered longer.
func (a *arriving) cancel(key string, wait time.Duration) bool {
	i, s := a.match(key)
	switch {
	case i != nil:
		i.cancel(true)
		return true
	case s == nil:
		return false
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-s.claimed:
		return true
	case <-timer.C:
		time.AfterFunc(strayMemory, func() { a.forget(key, s) })
		return false
	}
}

// match returns the INVITE of that transaction, or else a new stray, unless there are too many.
func (a *arriving) match(key string) (*invitation, *stray) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if i := a.invites[key]; i != nil {
		return i, nil
	}
	if a.strays[key] != nil || len(a.strays) >= maxStrays {
		return nil, nil
	}
	s := &stray{claimed: make(chan struct{})}
	a.strays[key] = s
	return nil, s
}

func (a *arriving) forget(key string, s *stray) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.strays[key] == s {
		delete(a.strays, key)
	}
}

// transactionKey names the INVITE transaction that an INVITE or its CANCEL belongs to (RFC 3261 §17.2.3).
func transactionKey(req *sip.Request) string {
	via := req.Via()
	return via.Params.GetOr("branch", string(*req.CallID())) + " " + via.Host + " " + strconv.Itoa(via.Port)
}
