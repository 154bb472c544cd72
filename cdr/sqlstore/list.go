package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"callhall/call"
	"callhall/cdr"
)

// Get implements cdr.Store.
func (s *Store) Get(ctx context.Context, city call.CityID, id call.ID) (call.Record, error) {
	var text []byte
	err := s.db.QueryRowContext(ctx, `SELECT record FROM cdr_records WHERE city = $1 AND id = $2`,
		string(city), string(id)).Scan(&text)
	if errors.Is(err, sql.ErrNoRows) {
		return call.Record{}, cdr.ErrNotFound
	}
	if err != nil {
		return call.Record{}, fmt.Errorf("cdr: read call %s: %w", id, err)
	}
	return cdr.Decode(text)
}

// List implements cdr.Store.
func (s *Store) List(ctx context.Context, city call.CityID, f cdr.Filter, p cdr.Position, n int) ([]call.Record, error) {
	q := listQuery(city, f, p, n)
	rows, err := s.db.QueryContext(ctx, q.text.String(), q.args...)
	if err != nil {
		return nil, fmt.Errorf("cdr: list: %w", err)
	}
	defer rows.Close()
	var records []call.Record
	for rows.Next() {
		var text []byte
		if err := rows.Scan(&text); err != nil {
			return nil, fmt.Errorf("cdr: list: %w", err)
		}
		r, err := cdr.Decode(text)
		if err != nil {
			return nil, fmt.Errorf("cdr: list: %w", err)
		}
		records = append(records, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("cdr: list: %w", err)
	}
	return records, nil
}

// A query is a statement that grows together with its arguments.
type query struct {
	text strings.Builder
	args []any
}

// and adds a condition of the form "column operator ?".
func (q *query) and(condition string, arg any) {
	q.args = append(q.args, arg)
	fmt.Fprintf(&q.text, " AND %s $%d", condition, len(q.args))
}

// is adds that column has the value want, where one is wanted.
func (q *query) is(column, want string) {
	if want != "" {
		q.and(column+" =", want)
	}
}

// listQuery asks for the first n records behind p.
func listQuery(city call.CityID, f cdr.Filter, p cdr.Position, n int) *query {
	q := &query{args: []any{string(city)}}
	q.text.WriteString(`SELECT record FROM cdr_records WHERE city = $1`)
	q.is("queue", string(f.Queue))
	q.is("agent", string(f.Agent))
	q.is("ended_as", string(f.End))
	q.is("recording", string(f.Recording))
	if !f.From.IsZero() {
		q.and("arrived_at >=", f.From.UnixMicro())
	}
	if !f.To.IsZero() {
		q.and("arrived_at <", f.To.UnixMicro())
	}
	if f.MinWaiting > 0 {
		q.and("waiting >=", f.MinWaiting.Microseconds())
	}
	if f.MinTalking > 0 {
		q.and("talking >=", f.MinTalking.Microseconds())
	}
	if p.ID != "" {
		q.args = append(q.args, p.At.UnixMicro(), string(p.ID))
		fmt.Fprintf(&q.text, " AND (arrived_at, id) < ($%d, $%d)", len(q.args)-1, len(q.args))
	}
	q.args = append(q.args, n)
	fmt.Fprintf(&q.text, " ORDER BY arrived_at DESC, id DESC LIMIT $%d", len(q.args))
	return q
}
