// Package routing says where a call goes: which city and queue a dialled number belongs to, who is free to answer, and
// which caller is next.
//
// The Service implements call.Queues. What is true now (calls in line, facts about agents, claims on them) is kept in
// a Store, in memory for one node or shared by many. Choosing is pure and indexed (match.go); claiming is one atomic
// step in the Store that succeeds only if the call and the agent are both still free. A claim is a lease with an expiry
// and a fencing token (call.Fence). One goroutine for each city keeps a copy of the Store's state (board.go) by
// following its changes, and acts on it: it matches, renews leases, and sees to it that nothing passes its deadline.
package routing

import (
	"errors"
	"time"

	"callhall/call"
)

// City is one city's share of the configuration.
type City struct {
	ID      call.CityID
	Entries []Entry
	Queues  []Queue
	Agents  []Agent
}

// Entry is a number that callers dial, on the trunks where it arrives.
type Entry struct {
	Trunks []call.TrunkID
	Number string // as it is called in records: "311"
	// Also are other forms in which carriers send the same number: "+12125550100", "311;phone-context=+1".
	Also     []string
	Queue    call.QueueID
	Language string // BCP 47
}

// Queue is one line of waiting calls. A call is offered to the agent who has been free the longest. Zero durations and lengths have the meaning given.
type Queue struct {
	ID        call.QueueID
	MaxLength int           // refuse a call when this many stand before it; 0 is no limit
	Ring      time.Duration // how long one offer rings; 0 is DefaultRing
	WrapUp    time.Duration // the agent's time after a call; 0 is none
}

// Agent is a person who takes calls.
type Agent struct {
	ID     call.AgentID
	Queues []call.QueueID
	SignIn bool // registering a phone signs the agent in; otherwise SetState does
}

// DefaultRing is how long an offer rings where the queue does not say: about four ringing tones.
const DefaultRing = 20 * time.Second

// Errors of this package, besides those that call defines.
var (
	ErrUnknownEntry = errors.New("the number dialled is nobody's on this trunk")
	ErrUnknownCity  = errors.New("no such city")
	ErrUnknownAgent = errors.New("no such agent")
	ErrState        = errors.New("not a state that can be set: signed-out, ready or paused")
)
