package ani

import (
	"context"
	"errors"
	"time"

	"callhall/call"
)

// An Entry is one thing that a register keeps: a consent, a legal process, a request for a release, a line of a screening
// list. What it says is sealed under the city's key; every other field is bound into the seal.
type Entry struct {
	City    call.CityID
	Kind    Kind
	ID      string
	Version int64     // 1 when it is made, and one more with each change
	Call    call.ID   // empty where it concerns no one call
	Token   []byte    // finds it by a number; nil where nothing should
	State   string    // a word of its kind
	At      time.Time // made
	DueAt   time.Time // when it is erased
	Sealed  []byte
}

// Kind names a register.
type Kind string

// Registers keeps entries. Every call but RegisterCities names its city; an entry of one city is never seen through
// another. What a method wrote is durable when it returns.
type Registers interface {
	// Add writes a new entry. Errors: ErrExists.
	Add(ctx context.Context, e Entry) error
	// Replace writes the next version of an entry. Errors: ErrConflict, when the stored version is not e.Version-1.
	Replace(ctx context.Context, e Entry) error
	// Entry returns one entry. Errors: ErrNotFound.
	Entry(ctx context.Context, city call.CityID, kind Kind, id string) (Entry, error)
	// Entries returns up to limit entries of a kind, newest first, that stand below the entry before ("" from the
	// newest on). Errors: ErrNotFound, when before is no longer there.
	Entries(ctx context.Context, city call.CityID, kind Kind, before string, limit int) ([]Entry, error)
	// EntriesOf returns the entries of a kind that concern one call, oldest first.
	EntriesOf(ctx context.Context, city call.CityID, kind Kind, id call.ID) ([]Entry, error)
	// EntriesWith returns the entries of a kind that have one of the tokens, oldest first.
	EntriesWith(ctx context.Context, city call.CityID, kind Kind, tokens [][]byte) ([]Entry, error)
	// RegisterCities lists the cities that have entries due at now.
	RegisterCities(ctx context.Context, now time.Time) ([]call.CityID, error)
	// EntriesDue returns up to limit entries of the city that are due at now, longest due first.
	EntriesDue(ctx context.Context, city call.CityID, now time.Time, limit int) ([]Entry, error)
	// EveryEntry returns up to limit entries of the city, of every kind, in the order of kind and id, that stand after
	// the entry after ("" and "" from the first on).
	EveryEntry(ctx context.Context, city call.CityID, afterKind Kind, afterID string, limit int) ([]Entry, error)
	// EraseEntries removes entries of a kind so that no copy stays in the store. Those that are not there are no error.
	EraseEntries(ctx context.Context, city call.CityID, kind Kind, ids []string) error
}

// ErrConflict says that somebody else has changed the entry since it was read.
var ErrConflict = errors.New("ani: the entry was changed by somebody else meanwhile")
