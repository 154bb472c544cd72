//go:build linux && (amd64 || arm64)

package sqlstore_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"callhall/ani"
	"callhall/ani/sqlstore"
	"callhall/call"
	"callhall/sqldb"
	"callhall/sqldb/powertest"
)

func openVault(t *testing.T, dir string) (*sqlstore.Store, *sqldb.DB) {
	t.Helper()
	db, err := sqldb.Open(t.Context(), filepath.Join(dir, "sealed.db"), sqldb.Durable)
	if err != nil {
		t.Fatal(err)
	}
	s, err := sqlstore.Open(t.Context(), db)
	if err != nil {
		t.Fatal(errors.Join(err, db.Close()))
	}
	return s, db
}

// TestPowerLossKeepsVaultRows cuts the power while rows are put: each row whose Put had returned is there whole.
func TestPowerLossKeepsVaultRows(t *testing.T) {
	dir := t.TempDir()
	disk := powertest.Watch(t, dir)
	s, db := openVault(t, dir)
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	var kept []call.ID
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for ctx.Err() == nil {
				row := ani.VaultRow{City: "springfield", Call: call.NewID(), Sealed: bytes.Repeat([]byte{7}, 300),
					CapturedAt: time.Unix(1e9, 0), DueAt: time.Unix(2e9, 0)}
				if s.Put(context.Background(), row) == nil {
					mu.Lock()
					kept = append(kept, row.Call)
					mu.Unlock()
				}
			}
		})
	}
	seed := rand.Uint64()
	random, lost := rand.New(rand.NewPCG(seed, 1)), 0
	for range 8 {
		for range 5 {
			if err := db.Scrub(t.Context()); err != nil && !errors.Is(err, sqldb.ErrBusy) {
				t.Fatal(err)
			}
		}
		mu.Lock()
		calls := kept[:len(kept):len(kept)]
		mu.Unlock()
		left := filepath.Join(t.TempDir(), "left")
		lost += disk.Cut(t, random, left)
		checkRows(t, left, calls, seed)
	}
	cancel()
	wait.Wait()
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	if lost == 0 {
		t.Error("no cut took anything from the disk: this test shows nothing")
	}
}

func checkRows(t *testing.T, dir string, calls []call.ID, seed uint64) {
	t.Helper()
	s, db := openVault(t, dir)
	defer db.Close()
	for _, id := range calls {
		row, err := s.Get(t.Context(), "springfield", id)
		if err != nil || !bytes.Equal(row.Sealed, bytes.Repeat([]byte{7}, 300)) {
			t.Fatalf("the row of %s after the cut, seed %d: %v, %v", id, seed, row.Sealed, err)
		}
	}
}
