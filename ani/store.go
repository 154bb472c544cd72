package ani

import (
	"context"
	"errors"
	"fmt"
	"time"

	"callhall/call"
)

var (
	// ErrNotFound says that the vault has nothing of this call in this city.
	ErrNotFound = errors.New("ani: no such call in the vault")
	// ErrExists says that this call's identity was captured before.
	ErrExists = errors.New("ani: the call is in the vault already")
	// ErrDamaged says that something sealed was changed or that its key is not the city's.
	ErrDamaged = errors.New("ani: what is sealed does not open with the city's key")
	// ErrNoKey is the ErrDamaged of something sealed under a key that the city no longer has.
	ErrNoKey = fmt.Errorf("%w: the key file has no key", ErrDamaged)
)

// VaultRow is what the vault keeps of one call. Nothing in it is in the clear but what call.Record says too. The seal covers
// every other field: none can be changed.
type VaultRow struct {
	City       call.CityID
	Call       call.ID
	Sealed     []byte // number, names, who was dialled, where from: seal.go
	Private    bool
	Status     call.CallerStatus
	Verstat    call.Verstat
	Source     Source // of rows of the first version; the others have it sealed
	CapturedAt time.Time
	DueAt      time.Time // when it is erased
}

// Store keeps the vault's rows and the registers. Every call but Cities and RegisterCities names its city; what belongs
// to one city is never seen through another.
type Store interface {
	Registers
	// Put writes a new row and returns when it is durable. Errors: ErrExists.
	Put(ctx context.Context, row VaultRow) error
	// Get returns one row. Errors: ErrNotFound.
	Get(ctx context.Context, city call.CityID, id call.ID) (VaultRow, error)
	// Cities lists the cities that have rows due at now.
	Cities(ctx context.Context, now time.Time) ([]call.CityID, error)
	// Due returns up to limit rows of the city that are due at now, longest due first.
	Due(ctx context.Context, city call.CityID, now time.Time, limit int) ([]VaultRow, error)
	// Rows returns up to limit rows of the city, in the order of their calls, that stand after the call after ("" from
	// the first on).
	Rows(ctx context.Context, city call.CityID, after call.ID, limit int) ([]VaultRow, error)
	// Erase removes rows so that no copy stays in the store. Rows that are not there are no error.
	Erase(ctx context.Context, city call.CityID, ids []call.ID) error
}

// Ledger is where every decision is written before anything leaves.
type Ledger interface {
	// Append returns when the leaf is durable.
	Append(ctx context.Context, city call.CityID, leaf call.Leaf) error
}
