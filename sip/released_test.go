package sip

import (
	"context"
	"sync"
	"testing"

	"callhall/ani"
	"callhall/call"
)

var _ Egress = (*ani.Vault)(nil)

// released is a number as a vault lets it out for that purpose.
func released(t testing.TB, number string, p ani.Purpose, to ani.Recipient) ani.Value {
	t.Helper()
	vault, err := ani.NewVault(&rows{rows: map[call.ID]ani.VaultRow{}}, noLedger{}, ani.KeyDir(t.TempDir()), ani.Config{})
	if err != nil {
		t.Fatal(err)
	}
	id := call.NewID()
	if _, err := vault.Capture(t.Context(), ani.Incoming{City: "demo", Call: id, Headers: ani.Headers{Asserted: []string{"<tel:" + number + ">"}}, Trust: ani.Trust{Identity: true}}); err != nil {
		t.Fatal(err)
	}
	grant, err := vault.Release(t.Context(), ani.Request{City: "demo", Call: id, Purpose: p, Recipient: to, Relation: ani.RelationHandling, Actor: "test"})
	if err != nil || grant.Value.Reveal() == "" {
		t.Fatalf("release: %v, %v", grant.Decision, err)
	}
	return grant.Value
}

func full(t testing.TB, number string) ani.Value {
	return released(t, number, ani.PurposeRouting, ani.RecipientEngine)
}

func masked(t testing.TB, number string) ani.Value {
	return released(t, number, ani.PurposeLiveCall, ani.RecipientAgent)
}

// rows is as much of a store as a release needs.
type rows struct {
	ani.Store
	mu   sync.Mutex
	rows map[call.ID]ani.VaultRow
}

func (s *rows) Put(_ context.Context, r ani.VaultRow) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows[r.Call] = r
	return nil
}

func (s *rows) Get(_ context.Context, _ call.CityID, id call.ID) (ani.VaultRow, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rows[id], nil
}

func (s *rows) Entry(context.Context, call.CityID, ani.Kind, string) (ani.Entry, error) {
	return ani.Entry{}, ani.ErrNotFound
}

func (s *rows) Add(context.Context, ani.Entry) error { return nil }

type noLedger struct{}

func (noLedger) Append(context.Context, call.CityID, call.Leaf) error { return nil }
