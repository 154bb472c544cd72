package routing

import (
	"context"
	"errors"
	"time"

	"callhall/call"
)

// Store keeps what is true of every city now: calls in line, facts about agents, claims. Several nodes may share one.
//
// Each method is one atomic step, and names its city: nothing crosses from one to another. Leases are measured by the
// Store's own clock, so that nodes need not agree on the time. Each step that changes something raises the city's
// revision by one for each record it changes and is seen by Follow, in order.
type Store interface {
	// Put places a call in line. A call that is there already gets p's queue, agent, key and node, and keeps its claim
	// and its exclusions. Errors: call.ErrQueueFull, when limit > 0 and as many calls of the queue stand before p.
	Put(ctx context.Context, p Place, limit int) error
	// Drop takes a call out of line. An unanswered claim for it ends, and is returned; the zero Claim means none.
	Drop(ctx context.Context, city call.CityID, id call.ID) (Claim, error)
	// Forgive forgets which agents have turned a call down.
	Forgive(ctx context.Context, city call.CityID, id call.ID) error
	// Amend changes what is known of an agent and returns the result; an empty Amendment reads. When a node becomes
	// the agent's home that was not so before, the epoch of the agent's fences rises: to the time in Unix milliseconds
	// if that is more, so that fences also grow past the loss of the whole Store.
	Amend(ctx context.Context, city call.CityID, agent call.AgentID, a Amendment) (Row, error)

	// Claim takes b.Agent for b.Call if the call is in line, unclaimed and not kept for another, and the agent's facts
	// are free (Facts.Free) and unclaimed; an unanswered claim whose lease ran out does not count. It returns both records as
	// they are now. Errors: ErrTaken, with the records as they are; one that does not exist is zero.
	Claim(ctx context.Context, b Bid, lease time.Duration) (Place, Row, error)
	// Accept turns an unanswered claim into a conversation: the call leaves the line, the claim stays. It renews the
	// lease. Errors: call.ErrStale, when the agent's claim is not c, by its fence, or was answered already.
	Accept(ctx context.Context, c Claim, lease time.Duration) error
	// Renew lengthens leases to lease from now, and returns those claims that are no longer held. A lease that ran
	// out is renewed as long as nobody has taken the agent or the call since.
	Renew(ctx context.Context, city call.CityID, claims []Claim, lease time.Duration) ([]Claim, error)
	// Release ends a claim, amends the agent and settles the call's place, all at once. Errors: call.ErrStale, as
	// Accept; then nothing was changed.
	Release(ctx context.Context, c Claim, after After) error
	// Lapse ends every claim of the city whose lease ran out and returns them. Calls that were not answered stand
	// free in line again. The lease of a conversation ends in no other way.
	Lapse(ctx context.Context, city call.CityID) ([]Claim, error)

	// Snapshot is everything known of a city and the revision it stands for.
	Snapshot(ctx context.Context, city call.CityID) (Snapshot, error)
	// Follow waits for changes after a revision and returns them in order, at least one. Errors: ErrBehind, when
	// they are no longer kept or the Store has been replaced: take a Snapshot.
	Follow(ctx context.Context, city call.CityID, after uint64) ([]Change, error)
	// Lead takes or renews the right to match a city, for that long, and tells whether node has it; lease 0 gives
	// it up.
	Lead(ctx context.Context, city call.CityID, node string, lease time.Duration) (bool, error)
}

// Errors of a Store.
var (
	ErrTaken  = errors.New("the call or the agent is not free any more")
	ErrBehind = errors.New("too far behind to follow")
)

// Place is a call in line.
type Place struct {
	City  call.CityID
	Call  call.ID
	Queue call.QueueID
	// Only is the one agent who may have the call; empty is anybody who serves the queue. Such a call stands before
	// nobody: it is not counted against a limit.
	Only     call.AgentID
	Priority int       // higher goes first
	Since    time.Time // UTC, without a monotonic reading; kept by a call that is put back
	Node     string    // the node that carries the call
	// Agent and Fence name the claim while the call is offered; both are zero when it is free.
	Agent call.AgentID
	Fence call.Fence
	// Excluded are agents who turned this call down or did not answer it, ExcludedAt when the last one did.
	Excluded   []call.AgentID
	ExcludedAt time.Time
	Rev        uint64
}

// Before is the one order of calls: priority, then the wait, then the id.
func (p Place) Before(o Place) bool { return keyOf(p).before(keyOf(o)) }

// Row is all that is known of an agent.
type Row struct {
	City     call.CityID
	Agent    call.AgentID
	Facts    Facts
	Claim    Claim      // zero: none
	Fence    call.Fence // of the latest claim, or where the next begins
	LastHome string     // the last node that was home
	Rev      uint64
}

// Claim is a lease on one agent for one call.
type Claim struct {
	City  call.CityID
	Call  call.ID
	Queue call.QueueID
	Agent call.AgentID
	Fence call.Fence
	Node  string // the node that carries the call: it renews
	Phase Phase
	Since time.Time // when the phase began, by the Store's clock
	Until time.Time // end of the lease, by the Store's clock
	Ring  time.Duration
	Why   string
}

// Phase is how far a claim has come.
type Phase string

// The phases of a claim.
const (
	PhaseOffered Phase = "offered"
	PhaseTalking Phase = "talking"
)

// Bid is a wish for a claim.
type Bid struct {
	City  call.CityID
	Call  call.ID
	Agent call.AgentID
	Ring  time.Duration
	Why   string
}

// After is what follows the end of a claim.
type After struct {
	Back    bool      // the call stands in line again, at its place; otherwise it has left
	Exclude bool      // with Back: not to be offered to this agent again for now
	At      time.Time // with Exclude: ExcludedAt
	Agent   Amendment
}

// Snapshot is one city as it stands at a revision.
type Snapshot struct {
	Places []Place
	Rows   []Row
	Rev    uint64
}

// Change is one record that changed at revision Rev. Exactly one of Place, Gone and Row is set. What it points to is
// shared and must not be written to.
type Change struct {
	Rev   uint64
	Place *Place
	Gone  call.ID // left the line
	Row   *Row
}
