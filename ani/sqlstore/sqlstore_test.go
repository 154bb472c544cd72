package sqlstore_test

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"callhall/ani"
	"callhall/ani/anitest"
	"callhall/ani/sqlstore"
	"callhall/call"
	"callhall/sqldb"
)

func open(t *testing.T, path string) *sqlstore.Store {
	t.Helper()
	db, err := sqldb.Open(t.Context(), path, sqldb.Durable)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	s, err := sqlstore.Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestStore(t *testing.T) {
	anitest.TestStore(t, func(t *testing.T) ani.Store { return open(t, filepath.Join(t.TempDir(), "x.db")) })
}

func TestErasedRowLeavesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.db")
	s := open(t, path)
	sealed := bytes.Repeat([]byte("stands nowhere else "), 3)
	err := s.Put(t.Context(), ani.VaultRow{City: "a", Call: "cl_1", Sealed: sealed, CapturedAt: time.Now(), DueAt: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Erase(t.Context(), "a", []call.ID{"cl_1"}); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, sealed) {
			t.Errorf("the erased row is still in %q", "x.db"+suffix)
		}
	}
}
