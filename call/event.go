package call

import "sync"

// An Event is something that happened to a call. The call's goroutine alone acts on it.
type Event interface{ event() }

// LegEnded says that a leg is over: its dialog has ended or can no longer be used. Each leg says so once, unless the
// call itself hung it up.
type LegEnded struct {
	Leg   LegID
	Cause Cause
}

// LegHeld says that a party put the call on hold or took it back (RFC 3264 §8.4).
type LegHeld struct {
	Leg  LegID
	Held bool
}

// Digit is a key pressed by a party (RFC 4733), told once, at its end.
type Digit struct {
	Leg LegID
	Key rune // 0-9 * # A-D
}

// Played says that a prompt given to Play has been heard to its end. A prompt that was replaced does not say so.
type Played struct {
	Leg    LegID
	Prompt Prompt
}

// Offered says that routing has claimed an agent for this call.
type Offered struct{ Offer Offer }

// Rescinded says that routing took an offer back: the claim lapsed or the agent went away.
type Rescinded struct{ Offer Offer }

// Placed says that the call's place in line is now this, counted from 1.
type Placed struct {
	Queue QueueID
	Place int
}

// Rang is the end of one ringing of an agent: a leg that answered, or why there is none.
type Rang struct {
	Offer Offer
	Leg   Leg   // nil unless Err is nil
	Err   error // ErrNoAnswer, ErrRejected, ErrUnreachable or ctx's error
}

func (LegEnded) event()  {}
func (LegHeld) event()   {}
func (Digit) event()     {}
func (Played) event()    {}
func (Offered) event()   {}
func (Rescinded) event() {}
func (Placed) event()    {}
func (Rang) event()      {}

// inboxSize is how many events may wait for a call. A call acts on an event in microseconds; 64 is room for a burst of
// keys and hang-ups.
const inboxSize = 64

// An Inbox is a call's one channel. Whatever happens to the call arrives here.
type Inbox struct {
	events chan Event
	over   chan struct{} // closed when nobody reads any more
	once   sync.Once
}

// NewInbox returns an empty inbox.
func NewInbox() *Inbox {
	return &Inbox{events: make(chan Event, inboxSize), over: make(chan struct{})}
}

// Put hands ev to the call, waiting for room if need be. It reports false when the call is over and nobody will read it.
func (in *Inbox) Put(ev Event) bool {
	select {
	case <-in.over:
		return false
	default:
	}
	select {
	case in.events <- ev:
		return true
	case <-in.over:
		return false
	}
}

// TryPut is Put for a packet loop: it never waits, and reports false when there is no room.
func (in *Inbox) TryPut(ev Event) bool {
	select {
	case <-in.over:
		return false
	case in.events <- ev:
		return true
	default:
		return false
	}
}

// Events is where the owner of the inbox reads.
func (in *Inbox) Events() <-chan Event { return in.events }

// Close says that nobody reads any more: those who wait in Put are let go. It may be called twice.
func (in *Inbox) Close() { in.once.Do(func() { close(in.over) }) }
