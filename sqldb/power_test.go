//go:build linux && (amd64 || arm64)

package sqldb_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"

	"callhall/sqldb"
	"callhall/sqldb/powertest"
)

// told is what Commit has said to be durable so far.
type told struct {
	mu    sync.Mutex
	words []string
}

func (s *told) add(word string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.words = append(s.words, word)
}

func (s *told) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.words[:len(s.words):len(s.words)]
}

// write commits words from several goroutines until stop is called.
func write(t *testing.T, db *sqldb.DB) (said *told, stop func()) {
	said = &told{}
	ctx, cancel := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	for worker := range 4 {
		wait.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				word := fmt.Sprintf("%d-%d-%0*d", worker, i, 1+i%2000, 0) // some rows take a page and more
				if db.Commit(context.Background(), insert(word)) == nil {
					said.add(word)
				}
			}
		})
	}
	return said, func() { cancel(); wait.Wait() }
}

// missing opens what a cut left and returns how many words are not there that were said to be.
func missing(t *testing.T, dir string, words []string) (n int, err error) {
	t.Helper()
	db, err := sqldb.Open(t.Context(), filepath.Join(dir, "x.db"), sqldb.Durable)
	if err != nil {
		return 0, err
	}
	defer db.Close()
	var sound string
	if err := db.QueryRowContext(t.Context(), "PRAGMA integrity_check").Scan(&sound); err != nil || sound != "ok" {
		return 0, fmt.Errorf("integrity: %s, %w", sound, err)
	}
	rows, err := db.QueryContext(t.Context(), "SELECT word FROM words")
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	found := map[string]bool{}
	for rows.Next() {
		var word string
		if err := rows.Scan(&word); err != nil {
			return 0, err
		}
		found[word] = true
	}
	for _, word := range words {
		if !found[word] {
			n++
		}
	}
	return n, rows.Err()
}

// TestPowerLossKeepsWhatWasCommitted cuts the power again and again while many write, with syncs dropped below SQLite as
// far as it did not ask for them.
func TestPowerLossKeepsWhatWasCommitted(t *testing.T) {
	dir := t.TempDir()
	disk := powertest.Watch(t, dir)
	db := open(t, filepath.Join(dir, "x.db"), sqldb.Durable)
	said, stop := write(t, db)
	seed := rand.Uint64()
	random, lost := rand.New(rand.NewPCG(seed, 1)), 0
	for cut := range 10 {
		for i := range 5 + random.IntN(20) {
			if err := db.Commit(t.Context(), insert(fmt.Sprint("tick ", cut, " ", i))); err != nil {
				t.Fatal(err)
			}
		}
		words, left := said.all(), filepath.Join(t.TempDir(), "left")
		lost += disk.Cut(t, random, left)
		if n, err := missing(t, left, words); err != nil || n > 0 {
			t.Errorf("cut %d, seed %d: %d of %d commits are gone, %v", cut, seed, n, len(words), err)
		}
	}
	stop()
	if lost == 0 {
		t.Error("no cut took anything from the disk: this test shows nothing")
	}
}

// TestPowerLossShowsOnADiskThatLies: the same with syncs that do nothing must lose something.
func TestPowerLossShowsOnADiskThatLies(t *testing.T) {
	dir := t.TempDir()
	disk := powertest.Watch(t, dir)
	db := open(t, filepath.Join(dir, "x.db"), sqldb.Durable)
	disk.Lie()
	words := []string{"a", "b", "c"}
	for _, w := range words {
		if err := db.Commit(t.Context(), insert(w)); err != nil {
			t.Fatal(err)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		left := filepath.Join(t.TempDir(), "left")
		disk.Cut(t, random, left)
		if n, err := missing(t, left, words); err != nil || n > 0 {
			return
		}
	}
	t.Error("nothing was lost on a disk that does not sync")
}
