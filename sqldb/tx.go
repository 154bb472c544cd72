package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// maxStatements bounds the cache of prepared statements. Stores use constant statements, a few dozen in all; whoever
// builds statements from data would otherwise grow it without end.
const maxStatements = 256

// Tx is what a function given to Commit writes with. Each statement is prepared the first time its text is seen and
// kept, so texts should be constants. It has no Commit and no Rollback: returning nil or an error says which.
type Tx struct {
	conn  *sql.Conn
	cache map[string]*sql.Stmt
}

// ExecContext runs a statement that returns no rows.
func (tx *Tx) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	s, err := tx.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	return s.ExecContext(ctx, args...)
}

// QueryContext runs a statement that returns rows. They must be closed before the same statement runs again.
func (tx *Tx) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	s, err := tx.prepare(ctx, query)
	if err != nil {
		return nil, err
	}
	return s.QueryContext(ctx, args...)
}

// QueryRowContext runs a statement that returns at most one row. What went wrong is returned by Scan.
func (tx *Tx) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	s, err := tx.prepare(ctx, query)
	if err != nil {
		return tx.conn.QueryRowContext(ctx, query, args...) // fails the same way, in a form that Scan can return
	}
	return s.QueryRowContext(ctx, args...)
}

func (tx *Tx) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	if s, ok := tx.cache[query]; ok {
		return s, nil
	}
	if len(tx.cache) >= maxStatements {
		if err := tx.close(); err != nil {
			return nil, fmt.Errorf("sqldb: drop prepared statements: %w", err)
		}
	}
	s, err := tx.conn.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	tx.cache[query] = s
	return s, nil
}

func (tx *Tx) close() error {
	var errs []error
	for _, s := range tx.cache {
		errs = append(errs, s.Close())
	}
	clear(tx.cache)
	return errors.Join(errs...)
}
