package sqlstore_test

import (
	"path/filepath"
	"strings"
	"testing"

	"callhall/cdr"
	"callhall/cdr/cdrtest"
	"callhall/cdr/sqlstore"
	"callhall/sqldb"
)

func open(t *testing.T, path string) (*sqlstore.Store, *sqldb.DB) {
	t.Helper()
	db, err := sqldb.Open(t.Context(), path, sqldb.Cached)
	if err != nil {
		t.Fatal(err)
	}
	s, err := sqlstore.New(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	return s, db
}

func TestContract(t *testing.T) {
	cdrtest.TestStore(t, func(t *testing.T) cdr.Store {
		s, db := open(t, filepath.Join(t.TempDir(), "records.db"))
		t.Cleanup(func() {
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
		return s
	})
}

func TestRecordsOutliveTheProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "records.db")
	r := cdrtest.Record("demo", 0)
	s, db := open(t, path)
	if err := s.Put(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	s, db = open(t, path)
	defer db.Close()
	if _, err := s.Get(t.Context(), "demo", r.ID); err != nil {
		t.Error(err)
	}
}

// A search by queue, agent or end walks its index in order and sorts nothing.
func TestSearchesUseTheirIndexes(t *testing.T) {
	_, db := open(t, filepath.Join(t.TempDir(), "records.db"))
	defer db.Close()
	for column, index := range map[string]string{"queue": "by_queue", "agent": "by_agent", "ended_as": "by_end"} {
		rows, err := db.QueryContext(t.Context(), `EXPLAIN QUERY PLAN SELECT record FROM cdr_records WHERE city = 'demo' AND `+
			column+` = 'x' AND arrived_at >= 1 AND (arrived_at, id) < (9, 'y') ORDER BY arrived_at DESC, id DESC LIMIT 50`)
		if err != nil {
			t.Fatal(err)
		}
		var plan strings.Builder
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				t.Fatal(err)
			}
			plan.WriteString(detail + "\n")
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(plan.String(), "cdr_records_"+index) || strings.Contains(plan.String(), "TEMP B-TREE") {
			t.Errorf("by %s: %s", column, plan.String())
		}
	}
}
