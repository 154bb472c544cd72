// Package sqlstore keeps call records in an SQL database opened by sqldb.
package sqlstore

import (
	"bytes"
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"callhall/call"
	"callhall/cdr"
	"callhall/sqldb"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store is a cdr.Store in one database. It does not own the database: whoever opened it closes it.
type Store struct{ db *sqldb.DB }

var _ cdr.Store = (*Store)(nil)

// New brings db's tables up to date and returns the store in it.
func New(ctx context.Context, db *sqldb.DB) (*Store, error) {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("cdr: migrations: %w", err)
	}
	if err := db.Migrate(ctx, "cdr", dir); err != nil {
		return nil, fmt.Errorf("cdr: bring the tables up to date: %w", err)
	}
	return &Store{db: db}, nil
}

// PutOpen implements cdr.Store.
func (s *Store) PutOpen(ctx context.Context, e cdr.OpenEntry) error {
	return s.commit(ctx, "keep the open entry of", e.ID, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := recordText(ctx, tx, e.City, e.ID)
		if !errors.Is(err, sql.ErrNoRows) {
			return err // closed already, or a fault
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO cdr_open (city, id, node, run, opened_at, sealed) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (city, id) DO UPDATE SET node = excluded.node, run = excluded.run, opened_at = excluded.opened_at, sealed = excluded.sealed`,
			string(e.City), string(e.ID), e.Node, e.Run, e.At.UnixMicro(), e.Sealed)
		return err
	})
}

// Put implements cdr.Store.
func (s *Store) Put(ctx context.Context, r call.Record) error {
	text, err := cdr.Encode(r)
	if err != nil {
		return err
	}
	return s.commit(ctx, "write the record of", r.ID, func(ctx context.Context, tx *sqldb.Tx) error {
		had, err := recordText(ctx, tx, r.City, r.ID)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return put(ctx, tx, r, text)
		case err != nil:
			return err
		case !bytes.Equal(had, text):
			return cdr.ErrClosed
		}
		return nil
	})
}

// put writes a record that is not there yet, in place of its open entry.
func put(ctx context.Context, tx *sqldb.Tx, r call.Record, text []byte) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO cdr_records
		(city, id, arrived_at, queue, agent, ended_as, recording, waiting, talking, record)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		string(r.City), string(r.ID), r.ArrivedAt.UnixMicro(), string(r.Queue), string(r.Agent), string(r.End),
		string(r.Recording.State), r.Waiting.Microseconds(), r.Talking.Microseconds(), string(text))
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM cdr_open WHERE city = $1 AND id = $2`, string(r.City), string(r.ID))
	return err
}

// recordText reads a record as it was written. Errors: sql.ErrNoRows.
func recordText(ctx context.Context, tx *sqldb.Tx, city call.CityID, id call.ID) (text []byte, err error) {
	row := tx.QueryRowContext(ctx, `SELECT record FROM cdr_records WHERE city = $1 AND id = $2`, string(city), string(id))
	return text, row.Scan(&text)
}

// commit runs f in the next group commit and says what it was doing to which call.
func (s *Store) commit(ctx context.Context, doing string, id call.ID, f func(context.Context, *sqldb.Tx) error) error {
	if err := s.db.Commit(ctx, f); err != nil {
		return fmt.Errorf("cdr: %s call %s: %w", doing, id, err)
	}
	return nil
}

// Opens implements cdr.Store.
func (s *Store) Opens(ctx context.Context, node, run string) ([]cdr.OpenEntry, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT city, id, node, run, opened_at, sealed FROM cdr_open
		WHERE node = $1 AND run <> $2 ORDER BY opened_at, id`, node, run)
	if err != nil {
		return nil, fmt.Errorf("cdr: open entries: %w", err)
	}
	defer rows.Close()
	var entries []cdr.OpenEntry
	for rows.Next() {
		var e cdr.OpenEntry
		var at int64
		if err := rows.Scan(&e.City, &e.ID, &e.Node, &e.Run, &at, &e.Sealed); err != nil {
			return nil, fmt.Errorf("cdr: open entries: %w", err)
		}
		e.At = time.UnixMicro(at).UTC()
		entries = append(entries, e)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("cdr: open entries: %w", err)
	}
	return entries, nil
}
