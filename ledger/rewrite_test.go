package ledger_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"callhall/call"
	"callhall/ledger"
	"callhall/ledger/sqlstore"
	"callhall/sqldb"
)

// forge puts another actor into leaf 0 of a log of 257 leaves or more and makes the stored tree fit, all but what the
// running ledger has in memory. It does it as another program would, while the ledger runs.
func (p place) forge(t *testing.T) {
	t.Helper()
	db := p.database(t)
	var salt, leaves, top []byte
	var body string
	for query, to := range map[string][]any{
		"SELECT salt, body FROM ledger_bodies WHERE idx = 0":        {&salt, &body},
		"SELECT hashes FROM ledger_tiles WHERE level = 0 AND n = 0": {&leaves},
		"SELECT hashes FROM ledger_tiles WHERE level = 1 AND n = 0": {&top},
	} {
		if err := db.QueryRowContext(t.Context(), query).Scan(to...); err != nil {
			t.Fatal(err)
		}
	}
	forged := strings.Replace(body, "agent:ana", "agent:bob", 1)
	commitment := sha256.Sum256([]byte("callhall leaf v1\n" + string(salt) + forged))
	hash := tlog.RecordHash(commitment[:])
	copy(leaves, hash[:])
	root := fullRoot(leaves)
	copy(top, root[:])
	err := db.Commit(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE ledger_bodies SET body = ? WHERE idx = 0", forged)
		for level, hashes := range [][]byte{leaves, top} {
			_, another := tx.ExecContext(ctx, "UPDATE ledger_tiles SET hashes = ? WHERE level = ? AND n = 0", hashes, level)
			err = errors.Join(err, another)
		}
		return err
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

// fullRoot is the root over a full tile.
func fullRoot(tile []byte) tlog.Hash {
	var hashes []tlog.Hash
	for i := 0; i < len(tile); i += tlog.HashSize {
		hashes = append(hashes, tlog.Hash(tile[i:i+tlog.HashSize]))
	}
	for ; len(hashes) > 1; hashes = hashes[:len(hashes)/2] {
		for i := range len(hashes) / 2 {
			hashes[i] = tlog.NodeHash(hashes[2*i], hashes[2*i+1])
		}
	}
	return hashes[0]
}

// TestRewriteUnderTheRunningLedgerIsNotSigned: whoever owns the store cannot get a signature for another history out of a
// ledger that has it open.
func TestRewriteUnderTheRunningLedgerIsNotSigned(t *testing.T) {
	for _, rotated := range []bool{false, true} {
		p := newPlace(t)
		l := p.with(t, blind{p.witness()})
		fill(t, l, city, 300)
		early := checkpoint(t, l, city)
		p.forge(t)
		var err error
		if rotated {
			_, err = l.Rotate(t.Context(), city, "officer:bo")
		} else {
			fill(t, l, city, 1)
			_, err = l.Checkpoint(t.Context(), city)
		}
		if !errors.Is(err, ledger.ErrForked) || !errors.Is(l.Frozen()[city], ledger.ErrForked) {
			t.Errorf("key changed %v: a rewritten history was signed: %v, frozen %v", rotated, err, l.Frozen())
		}
		if last, err := p.witness().Last(t.Context(), ledger.LogID(city)); err != nil || !bytes.Equal(last, early) {
			t.Errorf("the witness has %s, %v", last, err)
		}
		if err := l.Append(t.Context(), city, leaf(1)); !errors.Is(err, ledger.ErrForked) {
			t.Errorf("append to it: %v", err)
		}
	}
}

// holding is a witness that keeps what it was given as it was given.
type holding struct {
	ledger.WitnessDir
	held *[]ledger.Signed
}

func (h holding) Drop(ctx context.Context, s ledger.Signed) error {
	*h.held = append(*h.held, s)
	return h.WitnessDir.Drop(ctx, s)
}

// blind is a witness that takes everything.
type blind struct{ ledger.WitnessDir }

func (b blind) Drop(_ context.Context, s ledger.Signed) error {
	return errors.Join(os.MkdirAll(string(b.WitnessDir), 0o700),
		os.WriteFile(filepath.Join(string(b.WitnessDir), string(s.Log)+".checkpoint"), s.Text, 0o600))
}

// with opens a ledger at p that has another witness and signs when it is asked.
func (p place) with(t *testing.T, w ledger.Witness) *ledger.Ledger {
	t.Helper()
	db := p.database(t)
	store, err := sqlstore.Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	l, err := ledger.Open(t.Context(), store, ledger.KeyDir(filepath.Join(p.dir, "keys")), w,
		ledger.Config{Cities: []call.CityID{city}, CheckpointEvery: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(l.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	})
	return l
}

// held lets a ledger at p sign after each of so many leaves, and returns what it signed, the empty log first.
func held(t *testing.T, p place, leaves ...int) (all []ledger.Signed) {
	t.Helper()
	l := p.with(t, holding{p.witness(), &all})
	for _, n := range leaves {
		fill(t, l, city, n)
		checkpoint(t, l, city)
	}
	return all
}

func TestWitnessDirTakesOnlyWhatFollows(t *testing.T) {
	honest, other := newPlace(t), newPlace(t)
	a := held(t, honest, 10, 300)
	copyDir(t, filepath.Join(other.dir, "keys"), filepath.Join(honest.dir, "keys"))
	b := held(t, other, 10, 300, 50) // the same key, another history
	ours, theirs := a[len(a)-1], b[len(b)-1]
	dir := ledger.WitnessDir(t.TempDir())
	for _, s := range a {
		if err := errors.Join(dir.Drop(t.Context(), s), dir.Drop(t.Context(), s)); err != nil {
			t.Fatal(err)
		}
	}
	lying := theirs
	lying.Prove = func(context.Context, int64) ([][32]byte, error) { return make([][32]byte, 9), nil }
	for name, s := range map[string]ledger.Signed{"longer": theirs, "as long": b[len(b)-2], "older": a[1], "empty": a[0], "lying": lying} {
		if err := dir.Drop(t.Context(), s); !errors.Is(err, ledger.ErrForked) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if last, err := dir.Last(t.Context(), ledger.LogID(city)); err != nil || !bytes.Equal(last, ours.Text) {
		t.Errorf("it has now %s, %v", last, err)
	}
}

// TestWitnessWithoutItsNewest takes CITY.checkpoint away, then the files of the days too.
func TestWitnessWithoutItsNewest(t *testing.T) {
	p := newPlace(t)
	l, closed := p.open(t, ledger.Config{})
	fill(t, l, city, 10)
	closed()
	want, err := p.witness().Last(t.Context(), ledger.LogID(city))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(p.dir, "witness", string(city)+".checkpoint")); err != nil {
		t.Fatal(err)
	}
	if last, err := p.witness().Last(t.Context(), ledger.LogID(city)); err != nil || !bytes.Equal(last, want) {
		t.Errorf("found %s, %v", last, err)
	}
	p.tamper(t, "UPDATE ledger_heads SET size = 9", "DELETE FROM ledger_bodies WHERE idx = 9",
		"UPDATE ledger_tiles SET hashes = substr(hashes, 1, 288)")
	l, closed = p.open(t, ledger.Config{})
	if err := l.Frozen()[city]; !errors.Is(err, ledger.ErrForked) {
		t.Errorf("a shorter log, with the checkpoints of the days only: %v", err)
	}
	closed()
	if err := os.RemoveAll(filepath.Join(p.dir, "witness")); err != nil {
		t.Fatal(err)
	}
	l, _ = p.open(t, ledger.Config{})
	if err := l.Frozen()[city]; !errors.Is(err, ledger.ErrForked) {
		t.Errorf("leaves, and no checkpoint at all: %v", err)
	}
	if err := l.Append(t.Context(), city, leaf(1)); !errors.Is(err, ledger.ErrForked) {
		t.Errorf("append to it: %v", err)
	}
	succeed(t, l)
	fill(t, l, city, 2)
	if r := verify(t, export(t, l, city), ledger.Options{}); r.Predecessors[0].Finding != ledger.FoundAlone {
		t.Errorf("report %+v", r)
	}
}

// TestNoLeafBeforeTheFirstCheckpoint: a witness that is away keeps a new log closed.
func TestNoLeafBeforeTheFirstCheckpoint(t *testing.T) {
	p := newPlace(t)
	db := p.database(t)
	store, err := sqlstore.Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	away := &deaf{WitnessDir: p.witness(), away: true}
	l, err := ledger.Open(t.Context(), store, ledger.KeyDir(filepath.Join(p.dir, "keys")), away, ledger.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Append(t.Context(), city, leaf(1)); !errors.Is(err, errDoubt) {
		t.Errorf("append with nothing outside: %v", err)
	}
	away.leave(false)
	fill(t, l, city, 1)
	if n, err := l.Size(t.Context(), city); n != 1 || err != nil {
		t.Errorf("%d leaves, %v", n, err)
	}
	if err := errors.Join(l.Close(), db.Close()); err != nil {
		t.Error(err)
	}
}

// TestWitnessDirHasAFileADay, and reads the newest whole record of the newest one that has any.
func TestWitnessDirHasAFileADay(t *testing.T) {
	p := newPlace(t)
	now := time.Date(2026, 3, 1, 23, 59, 0, 0, time.FixedZone("", -5*3600)) // in UTC it is the 2nd
	l, closed := p.open(t, ledger.Config{CheckpointEvery: time.Hour, Now: func() time.Time { return now }})
	var texts [][]byte
	for day := range 3 {
		fill(t, l, city, 5)
		texts = append(texts, checkpoint(t, l, city))
		if day < 2 {
			now = now.Add(24 * time.Hour)
		}
	}
	closed()
	dir := filepath.Join(p.dir, "witness")
	if err := os.Remove(filepath.Join(dir, string(city)+".checkpoint")); err != nil {
		t.Fatal(err)
	}
	for day := 2; day >= 0; day-- {
		file := filepath.Join(dir, string(city)+".checkpoints.2026-03-0"+string(rune('2'+day)))
		if all, err := os.ReadFile(file); err != nil || !bytes.HasSuffix(all, append(bytes.Clone(texts[day]), '\n')) {
			t.Fatalf("day %d: %s, %v", day, all, err)
		}
		if last, err := p.witness().Last(t.Context(), ledger.LogID(city)); err != nil || !bytes.Equal(last, texts[day]) {
			t.Errorf("with %d days the last is %s, %v", day+1, last, err)
		}
		if err := os.WriteFile(file, texts[day][:len(texts[day])-9], 0o600); err != nil { // the power failed
			t.Fatal(err)
		}
	}
	if last, err := p.witness().Last(t.Context(), ledger.LogID(city)); err != nil || last != nil {
		t.Errorf("from torn records: %s, %v", last, err)
	}
}
