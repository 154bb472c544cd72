// Package sqlstore keeps the vault of callers' numbers, and the registers around it, in an SQLite file opened by sqldb.
package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"callhall/ani"
	"callhall/call"
	"callhall/sqldb"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store is an ani.Store.
type Store struct {
	db  *sqldb.DB
	one *sql.Stmt // reads one row of the vault; ends with db
}

// Open brings the tables in db up to date. db must be sqldb.Durable; its owner closes it after the vault's last call.
func Open(ctx context.Context, db *sqldb.DB) (*Store, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	if err := db.Migrate(ctx, "ani", files); err != nil {
		return nil, err
	}
	one, err := db.PrepareContext(ctx, "SELECT "+columns+" FROM ani_vault WHERE city = ? AND call = ?")
	if err != nil {
		return nil, fmt.Errorf("prepare to read the vault: %w", err)
	}
	return &Store{db: db, one: one}, nil
}

const columns = "city, call, sealed, private, status, verstat, source, captured_at, due_at"

// Put implements ani.Store.
func (s *Store) Put(ctx context.Context, row ani.VaultRow) error {
	return s.db.Commit(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		private := 0
		if row.Private {
			private = 1
		}
		done, err := tx.ExecContext(ctx, "INSERT INTO ani_vault ("+columns+") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (city, call) DO NOTHING",
			string(row.City), string(row.Call), row.Sealed, private, string(row.Status), string(row.Verstat), string(row.Source),
			row.CapturedAt.UnixNano(), row.DueAt.UnixNano())
		if err != nil {
			return fmt.Errorf("write the vault's row: %w", err)
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return errors.Join(ani.ErrExists, err)
		}
		return nil
	})
}

// Get implements ani.Store.
func (s *Store) Get(ctx context.Context, city call.CityID, id call.ID) (ani.VaultRow, error) {
	row, err := scan(s.one.QueryRowContext(ctx, city, id))
	if errors.Is(err, sql.ErrNoRows) {
		return ani.VaultRow{}, ani.ErrNotFound
	}
	return row, err
}

func scan(from interface{ Scan(...any) error }) (ani.VaultRow, error) {
	var row ani.VaultRow
	var captured, due int64
	err := from.Scan(&row.City, &row.Call, &row.Sealed, &row.Private, &row.Status, &row.Verstat, &row.Source, &captured, &due)
	row.CapturedAt, row.DueAt = time.Unix(0, captured).UTC(), time.Unix(0, due).UTC()
	return row, err
}

// Cities implements ani.Store.
func (s *Store) Cities(ctx context.Context, now time.Time) ([]call.CityID, error) {
	return s.cities(ctx, "SELECT DISTINCT city FROM ani_vault WHERE due_at <= ? ORDER BY city", now)
}

func (s *Store) cities(ctx context.Context, query string, now time.Time) (cities []call.CityID, err error) {
	rows, err := s.db.QueryContext(ctx, query, now.UnixNano())
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var city call.CityID
		if err := rows.Scan(&city); err != nil {
			return nil, err
		}
		cities = append(cities, city)
	}
	return cities, rows.Err()
}

// Due implements ani.Store.
func (s *Store) Due(ctx context.Context, city call.CityID, now time.Time, limit int) ([]ani.VaultRow, error) {
	return s.rows(ctx, "SELECT "+columns+" FROM ani_vault WHERE city = ? AND due_at <= ? ORDER BY due_at LIMIT ?",
		string(city), now.UnixNano(), limit)
}

// Rows implements ani.Store.
func (s *Store) Rows(ctx context.Context, city call.CityID, after call.ID, limit int) ([]ani.VaultRow, error) {
	return s.rows(ctx, "SELECT "+columns+" FROM ani_vault WHERE city = ? AND call > ? ORDER BY call LIMIT ?", string(city), string(after), limit)
}

func (s *Store) rows(ctx context.Context, query string, args ...any) (all []ani.VaultRow, err error) {
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		row, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, row)
	}
	return all, rows.Err()
}

// Erase implements ani.Store. The pages are overwritten with zeros (secure_delete); when a reader keeps the write-ahead
// log busy the sealed copy there goes with the next Erase, or when SQLite reuses the log.
func (s *Store) Erase(ctx context.Context, city call.CityID, ids []call.ID) error {
	return s.erase(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		for _, id := range ids {
			if _, err := tx.ExecContext(ctx, "DELETE FROM ani_vault WHERE city = ? AND call = ?", string(city), string(id)); err != nil {
				return fmt.Errorf("erase the vault's row of %s: %w", id, err)
			}
		}
		return nil
	})
}

// erase runs remove and then empties the write-ahead log of what it removed.
func (s *Store) erase(ctx context.Context, remove func(context.Context, *sqldb.Tx) error) error {
	if err := s.db.Commit(ctx, remove); err != nil {
		return err
	}
	if err := s.db.Scrub(ctx); err != nil && !errors.Is(err, sqldb.ErrBusy) {
		return err
	}
	return nil
}
