package sqlstore_test

import (
	"path/filepath"
	"testing"

	"callhall/ledger"
	"callhall/ledger/ledgertest"
	"callhall/ledger/sqlstore"
	"callhall/sqldb"
)

func TestStore(t *testing.T) {
	ledgertest.TestStore(t, func(t *testing.T) ledger.Store {
		db, err := sqldb.Open(t.Context(), filepath.Join(t.TempDir(), "x.db"), sqldb.Durable)
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
	})
}
