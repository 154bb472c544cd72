// Package ledgertest is the contract that every ledger.Store passes unchanged.
package ledgertest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"callhall/ledger"
)

// TestStore runs the contract. open returns an empty store; what it needs closed, it registers with t.Cleanup.
func TestStore(t *testing.T, open func(*testing.T) ledger.Store) {
	for name, f := range map[string]func(*testing.T, ledger.Store){
		"empty": empty, "append": appended, "tiles grow": tilesGrow, "whole or not at all": atomic,
		"one of many": oneOfMany, "erase": erase, "logs": logs, "marks": marks,
	} {
		t.Run(name, func(t *testing.T) { f(t, open(t)) })
	}
}

// batch makes n leaves from index from on, with a tile that covers them.
func batch(from int64, n int, mark byte) ledger.Batch {
	b := ledger.Batch{From: from, Tiles: []ledger.Tile{{Level: 0, N: 0, Hashes: bytes.Repeat([]byte{mark}, 32*(int(from)+n))}}}
	for i := range n {
		b.Bodies = append(b.Bodies, ledger.Body{Index: from + int64(i), Salt: bytes.Repeat([]byte{mark}, 32),
			Text: fmt.Appendf(nil, `{"n":"%c%d"}`, mark, i)})
	}
	return b
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func size(t *testing.T, s ledger.Store, log ledger.LogID) int64 {
	t.Helper()
	n, err := s.Size(t.Context(), log)
	must(t, err)
	return n
}

func empty(t *testing.T, s ledger.Store) {
	if n := size(t, s, "a"); n != 0 {
		t.Errorf("an empty log has size %d", n)
	}
	if _, err := s.Tile(t.Context(), "a", 0, 0); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("tile of an empty log: %v", err)
	}
	if err := s.Erase(t.Context(), "a", 0); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("erasing what is not there: %v", err)
	}
	b, err := s.Bodies(t.Context(), "a", 0, 10)
	if err != nil || len(b) != 0 {
		t.Errorf("bodies of an empty log: %v, %v", b, err)
	}
}

func appended(t *testing.T, s ledger.Store) {
	must(t, s.Append(t.Context(), "a", batch(0, 3, 'x')))
	must(t, s.Append(t.Context(), "a", batch(3, 2, 'y')))
	if n := size(t, s, "a"); n != 5 {
		t.Errorf("size %d, want 5", n)
	}
	got, err := s.Bodies(t.Context(), "a", 1, 3)
	must(t, err)
	want := append(batch(0, 3, 'x').Bodies[1:], batch(3, 2, 'y').Bodies[0])
	same := func(a, b ledger.Body) bool {
		return a.Index == b.Index && bytes.Equal(a.Salt, b.Salt) && bytes.Equal(a.Text, b.Text)
	}
	if !slices.EqualFunc(got, want, same) {
		t.Errorf("bodies %v, want %v", got, want)
	}
}

func tilesGrow(t *testing.T, s ledger.Store) {
	must(t, s.Append(t.Context(), "a", batch(0, 3, 'x')))
	must(t, s.Append(t.Context(), "a", batch(3, 2, 'y')))
	tile, err := s.Tile(t.Context(), "a", 0, 0)
	must(t, err)
	if !bytes.Equal(tile, bytes.Repeat([]byte("y"), 5*32)) {
		t.Errorf("tile has %d bytes of %q", len(tile), tile[:1])
	}
}

func atomic(t *testing.T, s ledger.Store) {
	must(t, s.Append(t.Context(), "a", batch(0, 3, 'x')))
	bad := batch(3, 3, 'y')
	bad.Bodies[2].Index = 0 // there is one already
	if err := s.Append(t.Context(), "a", bad); err == nil {
		t.Fatal("a leaf was written over another")
	}
	tile, err := s.Tile(t.Context(), "a", 0, 0)
	must(t, err)
	left, err := s.Bodies(t.Context(), "a", 0, 10)
	must(t, err)
	if n := size(t, s, "a"); n != 3 || len(tile) != 3*32 || len(left) != 3 {
		t.Errorf("half a batch is left: size %d, tile of %d bytes, %d bodies", n, len(tile), len(left))
	}
}

func oneOfMany(t *testing.T, s ledger.Store) {
	var wait sync.WaitGroup
	results := make(chan error, 10)
	for range 10 {
		wait.Go(func() { results <- s.Append(t.Context(), "a", batch(0, 1, 'x')) })
	}
	wait.Wait()
	close(results)
	won := 0
	for err := range results {
		if err == nil {
			won++
		} else if !errors.Is(err, ledger.ErrConflict) {
			t.Errorf("a lost race returned %v", err)
		}
	}
	if won != 1 || size(t, s, "a") != 1 {
		t.Errorf("%d of 10 appends to the same place succeeded", won)
	}
}

func erase(t *testing.T, s ledger.Store) {
	must(t, s.Append(t.Context(), "a", batch(0, 3, 'x')))
	must(t, s.Erase(t.Context(), "a", 1))
	left, err := s.Bodies(t.Context(), "a", 0, 10)
	must(t, err)
	if len(left) != 2 || left[0].Index != 0 || left[1].Index != 2 {
		t.Errorf("left are %v", left)
	}
	if tile, err := s.Tile(t.Context(), "a", 0, 0); err != nil || len(tile) != 96 || size(t, s, "a") != 3 {
		t.Errorf("erasing a body changed the tree: %d bytes, %v", len(tile), err)
	}
	if err := s.Erase(t.Context(), "a", 1); !errors.Is(err, ledger.ErrNotFound) {
		t.Errorf("erasing twice: %v", err)
	}
}

func logs(t *testing.T, s ledger.Store) {
	must(t, s.Append(t.Context(), "b", batch(0, 2, 'b')))
	must(t, s.Append(t.Context(), "a", batch(0, 1, 'a')))
	list, err := s.Logs(t.Context())
	must(t, err)
	if !slices.Equal(list, []ledger.LogID{"a", "b"}) {
		t.Errorf("logs %v", list)
	}
	must(t, s.Erase(t.Context(), "a", 0))
	left, err := s.Bodies(t.Context(), "b", 0, 10)
	must(t, err)
	if len(left) != 2 || size(t, s, "a") != 1 || size(t, s, "b") != 2 {
		t.Errorf("one log changed with another: %v", left)
	}
	if tile, err := s.Tile(t.Context(), "b", 0, 0); err != nil || !bytes.Equal(tile, bytes.Repeat([]byte("b"), 64)) {
		t.Errorf("one log's tile is another's: %v", err)
	}
}

func marks(t *testing.T, s ledger.Store) {
	b := batch(0, 3, 'x')
	b.Marks = []int64{2, 0}
	must(t, s.Append(t.Context(), "a", b))
	must(t, s.Append(t.Context(), "a/2", batch(0, 1, 'y')))
	found, err := s.Marked(t.Context(), "a")
	must(t, err)
	if len(found) != 2 || found[0].Index != 0 || found[1].Index != 2 || !bytes.Equal(found[1].Text, b.Bodies[2].Text) {
		t.Errorf("marked are %v", found)
	}
	if found, err := s.Marked(t.Context(), "a/2"); err != nil || len(found) != 0 {
		t.Errorf("another log has marks: %v, %v", found, err)
	}
}
