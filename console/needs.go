package console

import (
	"context"
	"errors"
	"io"
	"time"

	"callhall/call"
	"callhall/cdr"
)

// Errors that the parts behind the console tell it by.
var (
	ErrNotFound = errors.New("there is no such thing in this city")
	ErrGone     = errors.New("it has been erased")
	ErrConflict = errors.New("it cannot be done in the present state")
	ErrCursor   = errors.New("the cursor is damaged, or belongs to another list")
	ErrRefused  = errors.New("it has what must not be written down")

	// ErrFrozen says that the city's ledger takes no entries and signs nothing until another succeeds it.
	ErrFrozen = errors.New("the city's ledger is frozen")
	// ErrUnavailable says that something else is away: nothing was done, and it can be tried again.
	ErrUnavailable = errors.New("it is not available now")
)

// Calls is what the console needs of the call records; *cdr.Service has it.
type Calls interface {
	Get(ctx context.Context, city call.CityID, id call.ID) (call.Record, error)
	List(ctx context.Context, city call.CityID, f cdr.Filter, cursor string, limit int) (cdr.Page, error)
	Export(ctx context.Context, city call.CityID, f cdr.Filter, w io.Writer, format cdr.Format) error
}

// Numbers changes the keys of a city's numbers; *ani.Vault has it.
type Numbers interface {
	// Rotate gives the city a new key for its numbers and registers, after its leaf.
	Rotate(ctx context.Context, city call.CityID, actor string) error
	// DropKeys drops those that nothing needs any more, after its leaf, and counts them. Errors: ani.ErrTooSoon, ani.ErrSpooled.
	DropKeys(ctx context.Context, city call.CityID, actor string) (int, error)
}

// Board is what the console needs of the calls that go on; *call.Switchboard has it, and says which errors.
type Board interface {
	Look(ctx context.Context, city call.CityID, id call.ID) (call.Record, error)
	Transfer(ctx context.Context, o call.TransferOrder) error
	CancelTransfer(ctx context.Context, city call.CityID, id call.ID, agent call.AgentID, by string) error
	CallBack(ctx context.Context, o call.CallBackOrder) (call.ID, error)
}

// Recordings is what the console needs of the recordings.
type Recordings interface {
	// Recording says where a recording is in its life. Errors: ErrNotFound.
	Recording(ctx context.Context, city call.CityID, id call.RecordingID) (Recording, error)
	// Play opens a recording for one listener, once the city's ledger has it that they listen, and why. What it
	// returns is a WAV file; the caller closes it. Errors: ErrNotFound, ErrGone when it is past due, ErrConflict while
	// its call goes on.
	Play(ctx context.Context, city call.CityID, id call.RecordingID, l Listener) (io.ReadSeekCloser, error)
}

// Recording is where a recording is in its life.
type Recording struct {
	ID       call.RecordingID `json:"id"`
	Call     call.ID          `json:"call,omitempty"`
	State    string           `json:"state" doc:"As the catalogue has it, open, sealed, stored or erased."`
	Length   time.Duration    `json:"length_ns,omitempty"`
	EndedAt  time.Time        `json:"ended_at,omitzero"`
	DueAt    time.Time        `json:"due_at,omitzero" doc:"When it will be erased."`
	ErasedAt time.Time        `json:"erased_at,omitzero"`
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
	ID          call.QueueID `json:"id"`
	Waiting     int          `json:"waiting" doc:"Calls in line."`
	OldestSince time.Time    `json:"oldest_since,omitzero" doc:"Since when the first in line has waited."`
	Ready       int          `json:"ready" doc:"Agents who would take a call now."`
	Talking     int          `json:"talking" doc:"Agents who speak with a caller of this queue."`
	MaxLength   int          `json:"max_length,omitempty" doc:"Calls that it takes; 0 is no limit."`
	SignedIn    int          `json:"signed_in" doc:"Agents of this queue who are signed in."`
}

// Ledger is what the console needs of the ledger.
type Ledger interface {
	// List returns a page of the city's entries, newest first. Errors: ErrCursor.
	List(ctx context.Context, city call.CityID, cursor string, limit int) (LedgerPage, error)
	// Checkpoint is the newest signed checkpoint, as C2SP tlog-checkpoint text. Errors: ErrNotFound before the first.
	Checkpoint(ctx context.Context, city call.CityID) ([]byte, error)
	// Key is the city's verifier key, in the form of golang.org/x/mod/sumdb/note: text without a line end.
	Key(ctx context.Context, city call.CityID) (string, error)
	// Proof proves one entry against a fresh checkpoint; it is JSON. Errors: ErrNotFound.
	Proof(ctx context.Context, city call.CityID, index int64) ([]byte, error)
	// Export writes the file that a stranger verifies. Of a frozen log it is what the last checkpoint covers, if all that is
	// there.
	Export(ctx context.Context, city call.CityID, w io.Writer) error
	// Consistency proves that the log over its first to entries continues the one over its first from; to 0 is all of them.
	// It is JSON. Errors: ErrNotFound, where the log does not have so many.
	Consistency(ctx context.Context, city call.CityID, from, to int64) ([]byte, error)
	// Rotate gives the city's log a new key, and returns its public half as Key does.
	Rotate(ctx context.Context, city call.CityID, actor string) (string, error)
	// Succeed opens a log in the place of the city's frozen one, and returns its name. Errors: ErrConflict where the log
	// is not frozen, ErrRefused where the reason cannot stand in a ledger.
	Succeed(ctx context.Context, city call.CityID, actor, reason string) (string, error)
}

// LedgerPage is one page of entries.
type LedgerPage struct {
	Entries []LedgerEntry
	Next    string // empty on the last
}

// LedgerEntry is one leaf. One whose body was erased keeps its place.
type LedgerEntry struct {
	Index  int64             `json:"index"`
	Hash   string            `json:"hash,omitempty" doc:"Of the leaf in the tree, in hex, where it is known."`
	Erased bool              `json:"erased,omitempty"`
	Kind   string            `json:"kind,omitempty"`
	At     time.Time         `json:"at,omitzero"`
	Call   call.ID           `json:"call,omitempty"`
	Actor  string            `json:"actor,omitempty"`
	Facts  map[string]string `json:"facts,omitempty"`
}
