package console

import (
	"context"
	"errors"
	"io"
	"time"

	"callhall/call"
	"callhall/cdr"
	"callhall/ledger"
)

// Errors that the parts behind the console tell it by.
var (
	ErrNotFound = errors.New("there is no such thing in this city")
	ErrGone     = errors.New("it has been erased")
	ErrConflict = errors.New("it cannot be done in the present state")
	ErrRefused  = errors.New("the rules do not permit it")
)

// Calls is what the console needs of the call records; *cdr.Service has it.
type Calls interface {
	Get(ctx context.Context, city call.CityID, id call.ID) (call.Record, error)
	List(ctx context.Context, city call.CityID, f cdr.Filter, cursor string, limit int) (cdr.Page, error)
	Export(ctx context.Context, city call.CityID, f cdr.Filter, w io.Writer, format cdr.Format) error
}

// Recordings is what the console needs of the recordings.
type Recordings interface {
	// Recording says where a recording is in its life. Errors: ErrNotFound.
	Recording(ctx context.Context, city call.CityID, id call.RecordingID) (Recording, error)
	// Play opens a recording for one listener, once the city's ledger has it that they listen, and why. What it
	// returns is a WAV file; the caller closes it. Errors: ErrNotFound, ErrGone when it is past due, ErrConflict while
	// its call goes on, ErrRefused.
	Play(ctx context.Context, city call.CityID, id call.RecordingID, l Listener) (io.ReadSeekCloser, error)
}

// Recording is where a recording is in its life.
type Recording struct {
	ID       call.RecordingID `json:"id"`
	Call     call.ID          `json:"call,omitempty"`
	State    string           `json:"state" doc:"As the catalogue has it, for instance open, kept or erased."`
	Length   time.Duration    `json:"length_ns,omitempty"`
	EndedAt  time.Time        `json:"ended_at,omitzero"`
	DueAt    time.Time        `json:"due_at,omitzero" doc:"When it will be erased."`
	ErasedAt time.Time        `json:"erased_at,omitzero"`
	Playable bool             `json:"playable"`
}

// Listener is who wants to hear a recording, and why.
type Listener struct {
	Actor  string // as in a ledger leaf
	Role   Role
	Reason string // one of PlayReasons
}

// Agents is what the console needs to know of a city's agents.
type Agents interface {
	Agents(ctx context.Context, city call.CityID) ([]Agent, error)
	// SetState moves an agent. Errors: ErrNotFound, ErrConflict.
	SetState(ctx context.Context, city call.CityID, agent call.AgentID, change StateChange) (Agent, error)
}

// Agent is one agent as routing sees them now.
type Agent struct {
	ID       call.AgentID   `json:"id"`
	Queues   []call.QueueID `json:"queues"`
	State    string         `json:"state"`
	Reason   string         `json:"reason,omitempty"`
	Since    time.Time      `json:"since,omitzero"`
	Deadline time.Time      `json:"deadline,omitzero" doc:"When the state ends by itself."`
	Call     call.ID        `json:"call,omitempty"`
	Queue    call.QueueID   `json:"queue,omitempty" doc:"Of the call."`
}

// StateChange is what somebody wants an agent's state to be.
type StateChange struct {
	State  string // "ready", "paused" or "signed-out"
	Reason string // no digits in it
	By     string // the actor, as in a ledger leaf
}

// Queues is what the console needs to know of a city's queues.
type Queues interface {
	Queues(ctx context.Context, city call.CityID) ([]Queue, error)
}

// Queue is one queue now.
type Queue struct {
	ID      call.QueueID   `json:"id"`
	Waiting int            `json:"waiting" doc:"Calls in line, those that are being offered included."`
	Longest time.Duration  `json:"longest_ns" doc:"The longest wait among them, in nanoseconds."`
	Agents  map[string]int `json:"agents" doc:"Who serves the queue, by state."`
}

// Ledger is what the console needs of the ledger; *ledger.Ledger has it.
type Ledger interface {
	List(ctx context.Context, city call.CityID, from int64, limit int) ([]ledger.Entry, int64, error)
	Checkpoint(ctx context.Context, city call.CityID) ([]byte, error)
	Export(ctx context.Context, city call.CityID, w io.Writer) error
}
