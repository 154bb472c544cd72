// Package sqlstore keeps the console's tokens in an SQL database opened by sqldb.
package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"callhall/call"
	"callhall/console"
	"callhall/sqldb"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store is a console.TokenStore in one database. It does not own the database: whoever opened it closes it.
type Store struct{ db *sqldb.DB }

var _ console.TokenStore = (*Store)(nil)

// New brings db's tables up to date and returns the store in it.
func New(ctx context.Context, db *sqldb.DB) (*Store, error) {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("tokens: migrations: %w", err)
	}
	if err := db.Migrate(ctx, "console", dir); err != nil {
		return nil, fmt.Errorf("tokens: bring the tables up to date: %w", err)
	}
	return &Store{db: db}, nil
}

// columns are those of a token, in the order of scan.
const columns = `id, city, name, role, agent, scope, created_at, expires_at, revoked_at`

// PutToken implements console.TokenStore.
func (s *Store) PutToken(ctx context.Context, t console.Token, hash [32]byte, act console.Act) error {
	scope := make([]string, len(t.Scope))
	for i, p := range t.Scope {
		scope[i] = string(p)
	}
	err := s.db.Commit(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO console_tokens (hash, `+columns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
			hash[:], t.ID, string(t.City), t.Name, string(t.Role), string(t.Agent), strings.Join(scope, " "),
			micro(t.CreatedAt), micro(t.ExpiresAt), micro(t.RevokedAt))
		if err != nil {
			return err
		}
		return putAct(ctx, tx, act)
	})
	if err != nil {
		return fmt.Errorf("tokens: keep %s: %w", t.ID, err)
	}
	return nil
}

// TokenByHash implements console.TokenStore.
func (s *Store) TokenByHash(ctx context.Context, hash [32]byte) (console.Token, error) {
	t, err := scan(s.db.QueryRowContext(ctx, `SELECT `+columns+` FROM console_tokens WHERE hash = $1`, hash[:]))
	if errors.Is(err, sql.ErrNoRows) {
		return console.Token{}, console.ErrNotFound
	}
	if err != nil {
		return console.Token{}, fmt.Errorf("tokens: find: %w", err)
	}
	return t, nil
}

// ListTokens implements console.TokenStore.
func (s *Store) ListTokens(ctx context.Context, city call.CityID) ([]console.Token, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT `+columns+` FROM console_tokens WHERE city = $1 ORDER BY created_at, id`, string(city))
	if err != nil {
		return nil, fmt.Errorf("tokens: list: %w", err)
	}
	defer rows.Close()
	var tokens []console.Token
	for rows.Next() {
		t, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("tokens: list: %w", err)
		}
		tokens = append(tokens, t)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("tokens: list: %w", err)
	}
	return tokens, nil
}

// RevokeToken implements console.TokenStore.
func (s *Store) RevokeToken(ctx context.Context, act console.Act) error {
	city, id := act.Token.City, act.Token.ID
	err := s.db.Commit(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		done, err := tx.ExecContext(ctx, `UPDATE console_tokens SET revoked_at = $1 WHERE city = $2 AND id = $3 AND revoked_at = 0`,
			micro(act.At), string(city), id)
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, console.ErrNotFound)
		}
		return putAct(ctx, tx, act)
	})
	if err != nil {
		return fmt.Errorf("tokens: revoke %s: %w", id, err)
	}
	return nil
}

// scan reads one row of columns, with others before them.
func scan(row interface{ Scan(...any) error }, before ...any) (t console.Token, err error) {
	var scope string
	var created, expires, revoked int64
	err = row.Scan(append(before, &t.ID, &t.City, &t.Name, &t.Role, &t.Agent, &scope, &created, &expires, &revoked)...)
	for _, p := range strings.Fields(scope) {
		t.Scope = append(t.Scope, console.Permission(p))
	}
	t.CreatedAt, t.ExpiresAt, t.RevokedAt = moment(created), moment(expires), moment(revoked)
	return t, err
}

// micro is t in microseconds since 1970, 0 where there is none.
func micro(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// moment is the reverse of micro.
func moment(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
