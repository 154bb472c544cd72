package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"pgregory.net/rapid"

	"callhall/call"
	"callhall/ledger"
	"callhall/ledger/sqlstore"
)

func key(t testing.TB, l *ledger.Ledger) string {
	t.Helper()
	k, err := l.Key(t.Context(), city)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func rotate(t testing.TB, l *ledger.Ledger) string {
	t.Helper()
	k, err := l.Rotate(t.Context(), city, "officer:bo")
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestFirstKeyVerifiesWhatLaterKeysSigned: an auditor holds the first key and a checkpoint of that time, and no other.
func TestFirstKeyVerifiesWhatLaterKeysSigned(t *testing.T) {
	p := newPlace(t)
	l, closed := p.open(t, ledger.Config{})
	fill(t, l, city, 10)
	keys, kept := []string{key(t, l)}, [][]byte{checkpoint(t, l, city)}
	for range 2 {
		keys = append(keys, rotate(t, l))
		fill(t, l, city, 300)
		kept = append(kept, checkpoint(t, l, city))
	}
	for round := range 2 {
		text := export(t, l, city)
		for i, k := range keys {
			for j, since := range kept {
				r := verify(t, text, ledger.Options{Key: k, Since: since})
				if !r.KeyKnown || !r.Anchored || r.Rotations != 2 || r.Leaves != 612 {
					t.Errorf("round %d, key %d, checkpoint %d: %+v", round, i, j, r)
				}
			}
		}
		if got, err := l.Keys(t.Context(), city); err != nil || strings.Join(got, " ") != strings.Join(keys, " ") {
			t.Errorf("keys %v, %v, want %v", got, err, keys)
		}
		if round == 0 {
			closed()
			l, _ = p.open(t, ledger.Config{})
		}
	}
	files, err := os.ReadDir(filepath.Join(p.dir, "keys"))
	if err != nil || len(files) != 1 {
		t.Errorf("old keys are left: %v, %v", files, err)
	}
}

// A leaked old key cannot speak for the log as it is after the change.
func TestOldKeyCannotSignWhatCameAfterIt(t *testing.T) {
	p := newPlace(t)
	l, _ := p.open(t, ledger.Config{})
	fill(t, l, city, 3)
	leaked, err := os.ReadFile(filepath.Join(p.dir, "keys", string(city)+".ledger-key"))
	if err != nil {
		t.Fatal(err)
	}
	first := key(t, l)
	rotate(t, l)
	fill(t, l, city, 3)
	text := checkpoint(t, l, city)
	signed, _, _ := bytes.Cut(text, []byte("\n\n"))
	signer, err := note.NewSigner(strings.TrimSpace(string(leaked)))
	if err != nil {
		t.Fatal(err)
	}
	forged, err := note.Sign(&note.Note{Text: string(signed) + "\n"}, signer)
	if err != nil {
		t.Fatal(err)
	}
	whole := export(t, l, city)
	verify(t, whole, ledger.Options{Key: first, Since: text})
	if _, err := ledger.Verify(bytes.NewReader(whole), ledger.Options{Key: first, Since: forged}); !errors.Is(err, ledger.ErrInvalid) {
		t.Errorf("the old key signed a later head: %v", err)
	}
	strange, _ := newPlace(t).open(t, ledger.Config{})
	if _, err := ledger.Verify(bytes.NewReader(whole), ledger.Options{Key: key(t, strange)}); !errors.Is(err, ledger.ErrInvalid) {
		t.Errorf("a key that never signed: %v", err)
	}
}

// stubborn are keys that cannot be promoted, as when the disk is full.
type stubborn struct {
	ledger.KeyDir
	fails *bool
}

var errFull = errors.New("no space left")

func (s stubborn) Promote(log ledger.LogID, verifier string) error {
	if *s.fails {
		return errFull
	}
	return s.KeyDir.Promote(log, verifier)
}

// moody is a store whose next commit fails, or seems to.
type moody struct {
	ledger.Store
	mood string
}

func (m *moody) Append(ctx context.Context, log ledger.LogID, b ledger.Batch) error {
	mood := m.mood
	m.mood = ""
	switch mood {
	case "lost":
		return errDoubt
	case "kept":
		return errors.Join(errDoubt, m.Store.Append(ctx, log, b))
	}
	return m.Store.Append(ctx, log, b)
}

// TestChangeOfKeyThatWasInterrupted stops a change of key at each point where a crash can, and goes on in the same process
// and in a new one.
func TestChangeOfKeyThatWasInterrupted(t *testing.T) {
	for _, c := range []struct {
		name, mood string
		full       bool
		changed    bool
	}{
		{"the leaf is not written", "lost", false, false},
		{"the leaf is written and nobody knows", "kept", false, true},
		{"the leaf is written, the key file is not", "", true, true},
		{"neither is known", "kept", true, true},
	} {
		for _, reopened := range []bool{false, true} {
			t.Run(c.name+map[bool]string{true: ", reopened"}[reopened], func(t *testing.T) {
				p := newPlace(t)
				db := p.database(t)
				store, err := sqlstore.Open(t.Context(), db)
				if err != nil {
					t.Fatal(err)
				}
				fails := false
				m, keys := &moody{Store: store}, stubborn{ledger.KeyDir(filepath.Join(p.dir, "keys")), &fails}
				l, err := ledger.Open(t.Context(), m, keys, p.witness(), ledger.Config{})
				if err != nil {
					t.Fatal(err)
				}
				fill(t, l, city, 5)
				first, since := key(t, l), checkpoint(t, l, city)
				m.mood, fails = c.mood, c.full
				if _, err := l.Rotate(t.Context(), city, "officer:bo"); err == nil {
					t.Fatal("nothing went wrong")
				}
				if !reopened && c.full { // no checkpoint while nobody knows which key it needs
					if _, err := l.Checkpoint(t.Context(), city); !errors.Is(err, errFull) {
						t.Errorf("signed with a key that is no longer the log's: %v", err)
					}
				}
				if reopened {
					_ = l.Close()
					fails = false
					if l, err = ledger.Open(t.Context(), store, keys, p.witness(), ledger.Config{Cities: []call.CityID{city}}); err != nil {
						t.Fatal(err)
					}
				}
				fails = false
				fill(t, l, city, 5)
				r := verify(t, export(t, l, city), ledger.Options{Key: first, Since: since})
				if got := r.Rotations == 1; got != c.changed || (key(t, l) != first) != c.changed {
					t.Errorf("changed %v, want %v: %+v", got, c.changed, r)
				}
				second := rotate(t, l)
				if r := verify(t, export(t, l, city), ledger.Options{Key: first, Since: since}); second == first || r.Kinds[ledger.KindKey] != int64(r.Rotations) {
					t.Errorf("after a further change: %+v", r)
				}
				if err := errors.Join(l.Close(), db.Close()); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// A log whose end names another key than the key file has is not signed.
func TestWrongKeyFileIsNotUsed(t *testing.T) {
	p := newPlace(t)
	l, closed := p.open(t, ledger.Config{})
	fill(t, l, city, 1)
	path := filepath.Join(p.dir, "keys", string(city)+".ledger-key")
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	rotate(t, l)
	closed()
	if err := os.WriteFile(path, old, 0o600); err != nil { // restored from a backup of before the change
		t.Fatal(err)
	}
	db := p.database(t)
	defer db.Close()
	store, err := sqlstore.Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ledger.Open(t.Context(), store, ledger.KeyDir(filepath.Join(p.dir, "keys")), p.witness(), ledger.Config{}); !errors.Is(err, ledger.ErrNoKey) {
		t.Errorf("opened with a key of before: %v", err)
	}
}

func TestLeavesOfTheLedgerItself(t *testing.T) {
	l, _ := newPlace(t).open(t, ledger.Config{})
	for _, kind := range []string{ledger.KindKey, ledger.KindErased, ledger.KindSucceeds} {
		f := leaf(1)
		f.Kind = kind
		if err := l.Append(t.Context(), city, f); !errors.Is(err, ledger.ErrRefused) {
			t.Errorf("%s from outside: %v", kind, err)
		}
	}
	fill(t, l, city, 1)
	rotate(t, l)
	if err := l.Erase(t.Context(), city, 1, "officer:bo"); !errors.Is(err, ledger.ErrRefused) {
		t.Errorf("erased a change of key: %v", err)
	}
}

func TestAnyFlippedBitIsFoundAfterKeysChanged(t *testing.T) {
	l, _ := newPlace(t).open(t, ledger.Config{})
	fill(t, l, city, 5)
	rotate(t, l)
	fill(t, l, city, 5)
	if err := l.Erase(t.Context(), city, 2, "officer:bo"); err != nil {
		t.Fatal(err)
	}
	rotate(t, l)
	flipAnywhere(t, export(t, l, city), 1)
}

// flipAnywhere flips one bit of each step of every header line, and many elsewhere.
func flipAnywhere(t *testing.T, text []byte, step int) {
	t.Helper()
	verify(t, text, ledger.Options{})
	at := 0
	for line := range bytes.Lines(text) {
		if bytes.HasPrefix(line, []byte(`{"export"`)) {
			for bit := 8 * at; bit < 8*(at+len(line)); bit += step {
				flipped(t, text, bit)
			}
		}
		at += len(line)
	}
	rapid.Check(t, func(r *rapid.T) { flipped(r, text, rapid.IntRange(0, 8*len(text)-1).Draw(r, "bit")) })
}
