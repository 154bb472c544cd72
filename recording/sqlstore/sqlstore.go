// Package sqlstore keeps the catalogue of recordings in SQL. The database must be opened Durable: it holds wrapped keys,
// and what is deleted must be gone from its files.
package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"callhall/call"
	"callhall/recording"
	"callhall/sqldb"
)

//go:embed migrations/*.sql
var migrations embed.FS

var _ recording.Catalogue = (*Store)(nil)

// Store implements recording.Catalogue.
type Store struct{ db *sqldb.DB }

// New brings the catalogue's table in db up to date. The caller keeps db and closes it after the last use.
func New(ctx context.Context, db *sqldb.DB) (*Store, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	if err := db.Migrate(ctx, "recording", files); err != nil {
		return nil, fmt.Errorf("recording catalogue: %w", err)
	}
	return &Store{db: db}, nil
}

const columns = `id, city, call_id, node, state, started_at, ended_at, due_at, samples, size, wrapped_key, notice, why,
	key_destroyed_at, erased_at, certificate, place`

const insert = `INSERT INTO recordings (` + columns + `)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 0, 0, '', '')`

func insertArgs(e recording.Entry) ([]any, error) {
	notice, err := json.Marshal(e.Notice)
	if err != nil {
		return nil, err
	}
	return []any{string(e.ID), string(e.City), string(e.Call), e.Node, int64(e.State), micros(e.StartedAt), micros(e.EndedAt),
		micros(e.DueAt), e.Samples, e.Size, hex.EncodeToString(e.Wrapped), string(notice), e.Why}, nil
}

// Seal implements recording.Catalogue.
func (s *Store) Seal(ctx context.Context, e recording.Entry) error {
	e.State = recording.StateSealed
	args, err := insertArgs(e)
	if err != nil {
		return fmt.Errorf("recording %s: %w", e.ID, err)
	}
	return s.change(ctx, e.City, e.ID, "seal", insert+` ON CONFLICT (id) DO NOTHING`, args...)
}

// Store implements recording.Catalogue.
func (s *Store) Store(ctx context.Context, city call.CityID, id call.RecordingID, place string, size int64) error {
	return s.change(ctx, city, id, "store", `UPDATE recordings SET state = 3, size = $3, place = $4
		WHERE city = $1 AND id = $2 AND state IN (2, 3) AND key_destroyed_at = 0`, string(city), string(id), size, place)
}

// DestroyKey implements recording.Catalogue.
func (s *Store) DestroyKey(ctx context.Context, city call.CityID, id call.RecordingID, at time.Time) error {
	return s.change(ctx, city, id, "destroy key", `UPDATE recordings SET wrapped_key = '', key_destroyed_at = $3
		WHERE city = $1 AND id = $2 AND key_destroyed_at = 0`, string(city), string(id), micros(at))
}

// Scrub implements recording.Catalogue.
func (s *Store) Scrub(ctx context.Context) error { return s.db.Scrub(ctx) }

// Bury implements recording.Catalogue.
func (s *Store) Bury(ctx context.Context, city call.CityID, id call.RecordingID, at time.Time, certificate string) error {
	return s.change(ctx, city, id, "bury", `UPDATE recordings SET state = 4, wrapped_key = '', erased_at = $3, certificate = $4,
		key_destroyed_at = CASE key_destroyed_at WHEN 0 THEN $3 ELSE key_destroyed_at END
		WHERE city = $1 AND id = $2 AND state <> 4`, string(city), string(id), micros(at), certificate)
}

// change runs a statement that moves one recording on. Where it moves nothing, what stands there says what that means.
func (s *Store) change(ctx context.Context, city call.CityID, id call.RecordingID, what, statement string, args ...any) error {
	err := s.db.Commit(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		result, err := tx.ExecContext(ctx, statement, args...)
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n > 0 {
			return err
		}
		var state recording.State
		var destroyed int64
		err = tx.QueryRowContext(ctx, `SELECT state, key_destroyed_at FROM recordings WHERE city = $1 AND id = $2`,
			string(city), string(id)).Scan(&state, &destroyed)
		return unmoved(what, state, destroyed, err)
	})
	if err != nil {
		return fmt.Errorf("recording %s: %s: %w", id, what, err)
	}
	return nil
}

// unmoved says why a change did nothing: done before, forbidden by what came after, or there is no such recording.
func unmoved(what string, state recording.State, destroyed int64, err error) error {
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return recording.ErrNotFound
	case err != nil:
		return err
	case what == "bury" || what == "destroy key":
		return nil
	case state == recording.StateErased || destroyed != 0:
		return recording.ErrErased
	case what == "seal":
		return nil // sealed or stored already: the first end stands
	}
	return fmt.Errorf("it is %s", state)
}

// Get implements recording.Catalogue.
func (s *Store) Get(ctx context.Context, city call.CityID, id call.RecordingID) (recording.Entry, error) {
	return s.one(ctx, id, `SELECT `+columns+` FROM recordings WHERE id = $1 AND city = $2`, string(id), string(city))
}

// Find implements recording.Catalogue.
func (s *Store) Find(ctx context.Context, id call.RecordingID) (recording.Entry, error) {
	return s.one(ctx, id, `SELECT `+columns+` FROM recordings WHERE id = $1`, string(id))
}

func (s *Store) one(ctx context.Context, id call.RecordingID, query string, args ...any) (recording.Entry, error) {
	entries, err := s.list(ctx, query, args...)
	if err != nil {
		return recording.Entry{}, fmt.Errorf("recording %s: read: %w", id, err)
	}
	if len(entries) == 0 {
		return recording.Entry{}, recording.ErrNotFound
	}
	return entries[0], nil
}

// OfCall implements recording.Catalogue.
func (s *Store) OfCall(ctx context.Context, city call.CityID, id call.ID) ([]recording.Entry, error) {
	entries, err := s.list(ctx, `SELECT `+columns+` FROM recordings WHERE call_id = $1 AND city = $2 ORDER BY started_at, id`,
		string(id), string(city))
	if err != nil {
		return nil, fmt.Errorf("recordings of call %s: %w", id, err)
	}
	return entries, nil
}

// DueCounts implements recording.Catalogue. Only what is due is read.
func (s *Store) DueCounts(ctx context.Context, t time.Time) (counts []recording.DueCount, err error) {
	rows, err := s.db.QueryContext(ctx, `SELECT city, place, COUNT(*), MIN(due_at) FROM recordings
		WHERE state IN (2, 3) AND due_at <= $1 GROUP BY city, place ORDER BY city, place`, micros(t))
	if err != nil {
		return nil, fmt.Errorf("count recordings due: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var c recording.DueCount
		var oldest int64
		if err := rows.Scan(&c.City, &c.Place, &c.Count, &oldest); err != nil {
			return nil, fmt.Errorf("count recordings due: %w", err)
		}
		c.Oldest = instant(oldest)
		counts = append(counts, c)
	}
	return counts, rows.Err()
}

// DueKeys implements recording.Catalogue.
func (s *Store) DueKeys(ctx context.Context, city call.CityID, t time.Time, limit int) ([]recording.Entry, error) {
	entries, err := s.list(ctx, `SELECT `+columns+` FROM recordings
		WHERE city = $1 AND state IN (2, 3) AND key_destroyed_at = 0 AND due_at <= $2 ORDER BY due_at LIMIT $3`,
		string(city), micros(t), limit)
	if err != nil {
		return nil, fmt.Errorf("keys due in %s: %w", city, err)
	}
	return entries, nil
}

// DueBytes implements recording.Catalogue.
func (s *Store) DueBytes(ctx context.Context, city call.CityID, place string, t time.Time, limit int) ([]recording.Entry, error) {
	entries, err := s.list(ctx, `SELECT `+columns+` FROM recordings
		WHERE city = $1 AND place = $2 AND state IN (2, 3) AND key_destroyed_at <> 0 AND due_at <= $3 ORDER BY due_at LIMIT $4`,
		string(city), place, micros(t), limit)
	if err != nil {
		return nil, fmt.Errorf("bytes due in %s: %w", city, err)
	}
	return entries, nil
}

// Places implements recording.Catalogue.
func (s *Store) Places(ctx context.Context) (counts []recording.PlaceCount, err error) {
	rows, err := s.db.QueryContext(ctx, `SELECT city, place, COUNT(*) FROM recordings WHERE state = 3 GROUP BY city, place`)
	if err != nil {
		return nil, fmt.Errorf("recordings by place: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var c recording.PlaceCount
		if err := rows.Scan(&c.City, &c.Place, &c.Count); err != nil {
			return nil, fmt.Errorf("recordings by place: %w", err)
		}
		counts = append(counts, c)
	}
	return counts, rows.Err()
}

// Unfinished implements recording.Catalogue.
func (s *Store) Unfinished(ctx context.Context, node string) ([]recording.Entry, error) {
	entries, err := s.list(ctx, `SELECT `+columns+` FROM recordings WHERE state = 2 AND node = $1 ORDER BY id`, node)
	if err != nil {
		return nil, fmt.Errorf("recordings of node %s: %w", node, err)
	}
	return entries, nil
}

func (s *Store) list(ctx context.Context, query string, args ...any) ([]recording.Entry, error) {
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var entries []recording.Entry
	for rows.Next() {
		e, err := read(rows)
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, rows.Err()
}

func read(rows *sql.Rows) (e recording.Entry, err error) {
	var started, ended, due, destroyed, erased int64
	var wrapped, notice string
	err = rows.Scan(&e.ID, &e.City, &e.Call, &e.Node, &e.State, &started, &ended, &due, &e.Samples, &e.Size, &wrapped, &notice,
		&e.Why, &destroyed, &erased, &e.Certificate, &e.Place)
	if err != nil {
		return e, err
	}
	e.StartedAt, e.EndedAt, e.DueAt = instant(started), instant(ended), instant(due)
	e.KeyDestroyedAt, e.ErasedAt = instant(destroyed), instant(erased)
	if wrapped != "" {
		if e.Wrapped, err = hex.DecodeString(wrapped); err != nil {
			return e, fmt.Errorf("%s: wrapped key: %w", e.ID, recording.ErrDamaged)
		}
	}
	return e, json.Unmarshal([]byte(notice), &e.Notice)
}

// micros is how times are kept; instant is the inverse.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func instant(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
