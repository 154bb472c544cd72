package sqlstore

import (
	"context"
	"fmt"

	"callhall/call"
	"callhall/console"
	"callhall/sqldb"
)

var _ console.ActStore = (*Store)(nil)

// putAct writes an act into the journal, in the transaction of what it tells of.
func putAct(ctx context.Context, tx *sqldb.Tx, a console.Act) error {
	_, err := tx.ExecContext(ctx, `INSERT INTO console_token_acts (id, city, act, token, at) VALUES ($1, $2, $3, $4, $5)`,
		a.ID, string(a.Token.City), string(a.Kind), a.Token.ID, micro(a.At))
	return err
}

// WaitingActs implements console.ActStore.
func (s *Store) WaitingActs(ctx context.Context, city call.CityID) ([]console.Act, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT a.id, a.act, a.at, a.place, t.id, t.city, t.name, t.role, t.agent, t.scope, t.created_at, t.expires_at, t.revoked_at
		FROM console_token_acts a JOIN console_tokens t ON t.id = a.token WHERE a.city = $1 AND a.ledgered = 0 ORDER BY a.seq`, string(city))
	if err != nil {
		return nil, fmt.Errorf("tokens: list acts: %w", err)
	}
	defer rows.Close()
	var acts []console.Act
	for rows.Next() {
		var a console.Act
		var at int64
		token, err := scan(rows, &a.ID, &a.Kind, &at, &a.Place)
		if err != nil {
			return nil, fmt.Errorf("tokens: list acts: %w", err)
		}
		a.At, a.Token = moment(at), token
		acts = append(acts, a)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("tokens: list acts: %w", err)
	}
	return acts, nil
}

// TryAct implements console.ActStore.
func (s *Store) TryAct(ctx context.Context, id, place string) error {
	return s.setAct(ctx, id, `UPDATE console_token_acts SET place = $2 WHERE id = $1`, place)
}

// MarkAct implements console.ActStore.
func (s *Store) MarkAct(ctx context.Context, id string) error {
	return s.setAct(ctx, id, `UPDATE console_token_acts SET ledgered = $2 WHERE id = $1`, 1)
}

func (s *Store) setAct(ctx context.Context, id, statement string, value any) error {
	err := s.db.Commit(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.ExecContext(ctx, statement, id, value)
		return err
	})
	if err != nil {
		return fmt.Errorf("tokens: mark act %s: %w", id, err)
	}
	return nil
}

// Ledgered implements console.ActStore. A token that no act made is not in a ledger.
func (s *Store) Ledgered(ctx context.Context, token string) (bool, error) {
	var there bool
	err := s.db.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM console_token_acts WHERE token = $1 AND act <> $2 AND ledgered = 1)`,
		token, string(console.ActRevoke)).Scan(&there)
	if err != nil {
		return false, fmt.Errorf("tokens: look for the grant of %s: %w", token, err)
	}
	return there, nil
}
