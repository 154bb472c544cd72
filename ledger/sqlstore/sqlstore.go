// Package sqlstore keeps ledgers in an SQLite file opened by sqldb.
package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"callhall/ledger"
	"callhall/sqldb"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store is a ledger.Store.
type Store struct{ db *sqldb.DB }

// Open brings the tables in db up to date. db must be sqldb.Durable; its owner closes it after the ledger.
func Open(ctx context.Context, db *sqldb.DB) (*Store, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	if err := db.Migrate(ctx, "ledger", files); err != nil {
		return nil, err
	}
	return &Store{db: db}, nil
}

// Logs implements ledger.Store.
func (s *Store) Logs(ctx context.Context) (logs []ledger.LogID, err error) {
	rows, err := s.db.QueryContext(ctx, "SELECT city FROM ledger_heads ORDER BY city")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var log ledger.LogID
		if err := rows.Scan(&log); err != nil {
			return nil, err
		}
		logs = append(logs, log)
	}
	return logs, rows.Err()
}

// Size implements ledger.Store.
func (s *Store) Size(ctx context.Context, log ledger.LogID) (size int64, err error) {
	err = s.db.QueryRowContext(ctx, "SELECT size FROM ledger_heads WHERE city = ?", log).Scan(&size)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return size, err
}

// Append implements ledger.Store.
func (s *Store) Append(ctx context.Context, log ledger.LogID, b ledger.Batch) error {
	return s.db.Commit(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := move(ctx, tx, log, b.From, b.From+int64(len(b.Bodies))); err != nil {
			return err
		}
		for _, body := range b.Bodies {
			if _, err := tx.ExecContext(ctx, "INSERT INTO ledger_bodies (city, idx, salt, body) VALUES (?, ?, ?, ?)",
				string(log), body.Index, body.Salt, string(body.Text)); err != nil {
				return fmt.Errorf("write leaf %d: %w", body.Index, err)
			}
		}
		for _, t := range b.Tiles {
			if _, err := tx.ExecContext(ctx, `INSERT INTO ledger_tiles (city, level, n, hashes) VALUES (?, ?, ?, ?)
				ON CONFLICT (city, level, n) DO UPDATE SET hashes = excluded.hashes`,
				string(log), t.Level, t.N, t.Hashes); err != nil {
				return fmt.Errorf("write tile %d/%d: %w", t.Level, t.N, err)
			}
		}
		for _, index := range b.Marks {
			if _, err := tx.ExecContext(ctx, "INSERT INTO ledger_marks (city, idx) VALUES (?, ?)", string(log), index); err != nil {
				return fmt.Errorf("mark leaf %d: %w", index, err)
			}
		}
		return nil
	})
}

// move raises the log's size, if it still is what the batch was made for.
func move(ctx context.Context, tx *sqldb.Tx, log ledger.LogID, from, to int64) error {
	if from == 0 {
		if _, err := tx.ExecContext(ctx, "INSERT INTO ledger_heads (city, size) VALUES (?, 0) ON CONFLICT (city) DO NOTHING",
			string(log)); err != nil {
			return err
		}
	}
	done, err := tx.ExecContext(ctx, "UPDATE ledger_heads SET size = ? WHERE city = ? AND size = ?", to, string(log), from)
	if err != nil {
		return err
	}
	if n, err := done.RowsAffected(); err != nil || n != 1 {
		return errors.Join(ledger.ErrConflict, err)
	}
	return nil
}

// Tile implements ledger.Store.
func (s *Store) Tile(ctx context.Context, log ledger.LogID, level int, n int64) (hashes []byte, err error) {
	err = s.db.QueryRowContext(ctx, "SELECT hashes FROM ledger_tiles WHERE city = ? AND level = ? AND n = ?",
		log, level, n).Scan(&hashes)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, ledger.ErrNotFound
	}
	return hashes, err
}

// Bodies implements ledger.Store.
func (s *Store) Bodies(ctx context.Context, log ledger.LogID, from int64, limit int) ([]ledger.Body, error) {
	return s.bodies(ctx, "SELECT idx, salt, body FROM ledger_bodies WHERE city = ? AND idx >= ? ORDER BY idx LIMIT ?",
		string(log), from, limit)
}

// Marked implements ledger.Store.
func (s *Store) Marked(ctx context.Context, log ledger.LogID) ([]ledger.Body, error) {
	return s.bodies(ctx, "SELECT idx, salt, body FROM ledger_marks JOIN ledger_bodies USING (city, idx) WHERE city = ? ORDER BY idx",
		string(log))
}

func (s *Store) bodies(ctx context.Context, query string, args ...any) (bodies []ledger.Body, err error) {
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var b ledger.Body
		if err := rows.Scan(&b.Index, &b.Salt, &b.Text); err != nil {
			return nil, err
		}
		bodies = append(bodies, b)
	}
	return bodies, rows.Err()
}

// Erase implements ledger.Store. When a reader keeps the log of old pages busy the body leaves it with the next Erase,
// or when SQLite reuses the log.
func (s *Store) Erase(ctx context.Context, log ledger.LogID, index int64) error {
	err := s.db.Commit(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		done, err := tx.ExecContext(ctx, "DELETE FROM ledger_bodies WHERE city = ? AND idx = ?", string(log), index)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return errors.Join(ledger.ErrNotFound, err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := s.db.Scrub(ctx); err != nil && !errors.Is(err, sqldb.ErrBusy) {
		return err
	}
	return nil
}
