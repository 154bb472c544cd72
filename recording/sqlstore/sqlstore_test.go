package sqlstore

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"callhall/call"
	"callhall/recording"
	"callhall/recording/recordingtest"
	"callhall/sqldb"
)

func TestContract(t *testing.T) {
	recordingtest.TestCatalogue(t, func(t *testing.T) recording.Catalogue {
		return open(t, filepath.Join(t.TempDir(), "sealed.db"))
	})
}

func open(t *testing.T, path string) *Store {
	t.Helper()
	db, err := sqldb.Open(t.Context(), path, sqldb.Durable)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	s, err := New(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The wrapped key is in no file of the database once it is destroyed and the log has been emptied.
func TestDestroyedKeyIsNotInTheFiles(t *testing.T) {
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "sealed.db"))
	key := bytes.Repeat([]byte{0xC3, 0x5A, 0x71}, 20)
	e := recording.Entry{City: "aspen", ID: call.NewRecordingID(), Wrapped: key, DueAt: time.Now()}
	if err := s.Seal(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if !inFiles(t, dir, hex.EncodeToString(key)) {
		t.Fatal("the key is not where this test looks for it")
	}
	if err := s.DestroyKey(t.Context(), e.City, e.ID, time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := s.Scrub(t.Context()); err != nil {
		t.Fatal(err)
	}
	if inFiles(t, dir, hex.EncodeToString(key)) {
		t.Error("the wrapped key is still in the database's files")
	}
}

func inFiles(t *testing.T, dir, text string) bool {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(b, []byte(text)) {
			return true
		}
	}
	return false
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
