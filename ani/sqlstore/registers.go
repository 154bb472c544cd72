package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"callhall/ani"
	"callhall/call"
	"callhall/sqldb"
)

const entryColumns = "city, kind, id, version, call, token, state, at, due_at, sealed"

// Add implements ani.Registers.
func (s *Store) Add(ctx context.Context, e ani.Entry) error {
	return s.change(ctx, ani.ErrExists, "INSERT INTO ani_registers ("+entryColumns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "+
		"ON CONFLICT (city, kind, id) DO NOTHING", string(e.City), string(e.Kind), e.ID, e.Version, string(e.Call), e.Token, e.State,
		e.At.UnixNano(), e.DueAt.UnixNano(), e.Sealed)
}

// Replace implements ani.Registers.
func (s *Store) Replace(ctx context.Context, e ani.Entry) error {
	return s.change(ctx, ani.ErrConflict, "UPDATE ani_registers SET version = ?, call = ?, token = ?, state = ?, at = ?, due_at = ?, sealed = ? "+
		"WHERE city = ? AND kind = ? AND id = ? AND version = ?", e.Version, string(e.Call), e.Token, e.State, e.At.UnixNano(),
		e.DueAt.UnixNano(), e.Sealed, string(e.City), string(e.Kind), e.ID, e.Version-1)
}

// change runs a statement that must touch one entry; otherwise the error is none.
func (s *Store) change(ctx context.Context, none error, statement string, args ...any) error {
	return s.db.Commit(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		done, err := tx.ExecContext(ctx, statement, args...)
		if err != nil {
			return fmt.Errorf("write the register's entry: %w", err)
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return errors.Join(none, err)
		}
		return nil
	})
}

// Entry implements ani.Registers.
func (s *Store) Entry(ctx context.Context, city call.CityID, kind ani.Kind, id string) (ani.Entry, error) {
	e, err := scanEntry(s.db.QueryRowContext(ctx, "SELECT "+entryColumns+" FROM ani_registers WHERE city = ? AND kind = ? AND id = ?",
		string(city), string(kind), id))
	if errors.Is(err, sql.ErrNoRows) {
		return ani.Entry{}, ani.ErrNotFound
	}
	return e, err
}

// Entries implements ani.Registers.
func (s *Store) Entries(ctx context.Context, city call.CityID, kind ani.Kind, before string, limit int) ([]ani.Entry, error) {
	const from = "SELECT " + entryColumns + " FROM ani_registers WHERE city = ? AND kind = ? "
	const order = "ORDER BY at DESC, id DESC LIMIT ?"
	if before == "" {
		return s.entries(ctx, from+order, string(city), string(kind), limit)
	}
	last, err := s.Entry(ctx, city, kind, before)
	if err != nil {
		return nil, err
	}
	return s.entries(ctx, from+"AND (at, id) < (?, ?) "+order, string(city), string(kind), last.At.UnixNano(), before, limit)
}

// EntriesOf implements ani.Registers.
func (s *Store) EntriesOf(ctx context.Context, city call.CityID, kind ani.Kind, id call.ID) ([]ani.Entry, error) {
	if id == "" {
		return nil, nil // such entries concern no call
	}
	return s.entries(ctx, "SELECT "+entryColumns+" FROM ani_registers WHERE city = ? AND kind = ? AND call = ? AND call <> '' ORDER BY at, id",
		string(city), string(kind), string(id))
}

// EntriesWith implements ani.Registers. Tokens are looked up one by one: there are few, and the statement stays one.
func (s *Store) EntriesWith(ctx context.Context, city call.CityID, kind ani.Kind, tokens [][]byte) (all []ani.Entry, err error) {
	for _, token := range tokens {
		if len(token) == 0 {
			continue
		}
		found, err := s.entries(ctx, "SELECT "+entryColumns+" FROM ani_registers WHERE city = ? AND kind = ? AND token = ? ORDER BY at, id",
			string(city), string(kind), token)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	slices.SortFunc(all, func(a, b ani.Entry) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID)) })
	return slices.CompactFunc(all, func(a, b ani.Entry) bool { return a.ID == b.ID }), nil
}

// RegisterCities implements ani.Registers.
func (s *Store) RegisterCities(ctx context.Context, now time.Time) ([]call.CityID, error) {
	return s.cities(ctx, "SELECT DISTINCT city FROM ani_registers WHERE due_at <= ? ORDER BY city", now)
}

// EntriesDue implements ani.Registers.
func (s *Store) EntriesDue(ctx context.Context, city call.CityID, now time.Time, limit int) ([]ani.Entry, error) {
	return s.entries(ctx, "SELECT "+entryColumns+" FROM ani_registers WHERE city = ? AND due_at <= ? ORDER BY due_at, kind, id LIMIT ?",
		string(city), now.UnixNano(), limit)
}

// EveryEntry implements ani.Registers.
func (s *Store) EveryEntry(ctx context.Context, city call.CityID, afterKind ani.Kind, afterID string, limit int) ([]ani.Entry, error) {
	return s.entries(ctx, "SELECT "+entryColumns+" FROM ani_registers WHERE city = ? AND (kind, id) > (?, ?) ORDER BY kind, id LIMIT ?",
		string(city), string(afterKind), afterID, limit)
}

// EraseEntries implements ani.Registers, as Erase.
func (s *Store) EraseEntries(ctx context.Context, city call.CityID, kind ani.Kind, ids []string) error {
	return s.erase(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		for _, id := range ids {
			_, err := tx.ExecContext(ctx, "DELETE FROM ani_registers WHERE city = ? AND kind = ? AND id = ?", string(city), string(kind), id)
			if err != nil {
				return fmt.Errorf("erase the register's entry %s: %w", id, err)
			}
		}
		return nil
	})
}

func (s *Store) entries(ctx context.Context, query string, args ...any) (all []ani.Entry, err error) {
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		e, err := scanEntry(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, rows.Err()
}

func scanEntry(from interface{ Scan(...any) error }) (ani.Entry, error) {
	var e ani.Entry
	var at, due int64
	err := from.Scan(&e.City, &e.Kind, &e.ID, &e.Version, &e.Call, &e.Token, &e.State, &at, &due, &e.Sealed)
	e.At, e.DueAt = time.Unix(0, at).UTC(), time.Unix(0, due).UTC()
	return e, err
}
