package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"callhall/call"
	"callhall/ledger"
	"callhall/ledger/sqlstore"
	"callhall/sqldb"
)

// tamper changes the closed store of a place behind the ledger's back.
func (p place) tamper(t testing.TB, statements ...string) {
	t.Helper()
	db := p.database(t)
	err := db.Commit(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		for _, s := range statements {
			if _, err := tx.ExecContext(ctx, s); err != nil {
				return err
			}
		}
		return nil
	})
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

func succeed(t testing.TB, l *ledger.Ledger) ledger.LogID {
	t.Helper()
	id, err := l.Succeed(t.Context(), city, "officer:bo", "the store was restored from a backup")
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// frozenCases are ways to change a store of 10 leaves, with what verifying says of each later.
var frozenCases = map[string]struct {
	sql     []string
	finding string
	since   string // what an earlier checkpoint over 4 leaves finds: "" that nothing is wrong with those
}{
	"emptied":   {[]string{"DELETE FROM ledger_heads", "DELETE FROM ledger_tiles", "DELETE FROM ledger_bodies"}, ledger.FoundTruncated, "truncated"},
	"truncated": {[]string{"UPDATE ledger_heads SET size = 7", "DELETE FROM ledger_bodies WHERE idx >= 7", "UPDATE ledger_tiles SET hashes = substr(hashes, 1, 224)"}, ledger.FoundTruncated, ""},
	"rewritten": {[]string{`UPDATE ledger_bodies SET body = replace(body, 'D08', 'D09') WHERE idx = 2`,
		"UPDATE ledger_tiles SET hashes = zeroblob(320)"}, ledger.FoundRewritten, "rewritten"},
	"rewritten later": {[]string{`UPDATE ledger_bodies SET body = replace(body, 'D08', 'D09') WHERE idx = 8`,
		"UPDATE ledger_tiles SET hashes = zeroblob(320)"}, ledger.FoundRewritten, ""},
	"tree destroyed": {[]string{"DELETE FROM ledger_tiles"}, ledger.FoundAgreeing, ""},
	"destroyed":      {[]string{"DELETE FROM ledger_tiles", "DELETE FROM ledger_bodies WHERE idx = 5"}, ledger.FoundUnreadable, "does not have"},
}

func TestFrozenLogIsSucceeded(t *testing.T) {
	for name, c := range frozenCases {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			l, closed := p.open(t, ledger.Config{})
			fill(t, l, city, 4)
			first, since := key(t, l), checkpoint(t, l, city)
			fill(t, l, city, 6)
			closed()
			p.tamper(t, c.sql...)
			l, closed = p.open(t, ledger.Config{Cities: []call.CityID{city}})
			if l.Frozen()[city] == nil {
				t.Fatal("not frozen")
			}
			if id := succeed(t, l); id != "springfield/2" || len(l.Frozen()) > 0 {
				t.Fatalf("succeeded by %s, frozen %v", id, l.Frozen())
			}
			fill(t, l, city, 20)
			closed()
			l, _ = p.open(t, ledger.Config{Cities: []call.CityID{city}})
			if len(l.Frozen()) > 0 {
				t.Fatal(l.Frozen())
			}
			fill(t, l, city, 1)
			entries, _, err := l.List(t.Context(), city, 0, 1)
			if err != nil || entries[0].Leaf.Kind != ledger.KindSucceeds || entries[0].Leaf.Facts["log"] != "callhall/ledger/springfield" {
				t.Errorf("the new log begins with %+v, %v", entries, err)
			}
			text := export(t, l, city)
			r := verify(t, text, ledger.Options{Key: first})
			if r.Log != "springfield/2" || r.Leaves != 22 || !r.KeyKnown || r.Anchored || len(r.Predecessors) != 1 || r.Predecessors[0].Finding != c.finding {
				t.Errorf("report %+v", r)
			}
			t.Log(r)
			verify(t, text, ledger.Options{Since: checkpoint(t, l, city), Key: key(t, l)})
			r, err = ledger.Verify(bytes.NewReader(text), ledger.Options{Since: since, Key: first})
			if c.since == "" && (err != nil || !r.Anchored || r.SinceLog != "springfield" || !strings.Contains(r.String(), "self-consistent only")) ||
				c.since != "" && (!errors.Is(err, ledger.ErrInvalid) || !strings.Contains(err.Error(), c.since)) {
				t.Errorf("held against a checkpoint over 4 leaves: %+v, %v", r, err)
			}
			flipAnywhere(t, text, 11)
		})
	}
}

func TestOnlyAFrozenLogIsSucceeded(t *testing.T) {
	p := newPlace(t)
	l, closed := p.open(t, ledger.Config{})
	fill(t, l, city, 3)
	if _, err := l.Succeed(t.Context(), city, "officer:bo", "because"); !errors.Is(err, ledger.ErrNotFrozen) {
		t.Errorf("a good log was succeeded: %v", err)
	}
	closed()
	p.tamper(t, "UPDATE ledger_heads SET size = 2")
	l, _ = p.open(t, ledger.Config{})
	for _, reason := range []string{"", strings.Repeat("x", 2000), "call 212 555 0142"} {
		if _, err := l.Succeed(t.Context(), city, "officer:bo", reason); !errors.Is(err, ledger.ErrRefused) {
			t.Errorf("reason %q: %v", reason, err)
		}
	}
}

// TestChainOfLogs changes keys, freezes, succeeds, changes keys and freezes again: the first key and the first checkpoint
// still say what they can.
func TestChainOfLogs(t *testing.T) {
	p := newPlace(t)
	l, closed := p.open(t, ledger.Config{})
	fill(t, l, city, 4)
	first, since := key(t, l), checkpoint(t, l, city)
	rotate(t, l)
	fill(t, l, city, 4)
	closed()
	for range 2 {
		p.tamper(t, "UPDATE ledger_heads SET size = size - 1 WHERE city = (SELECT max(city) FROM ledger_heads)")
		l, closed = p.open(t, ledger.Config{})
		succeed(t, l)
		fill(t, l, city, 3)
		rotate(t, l)
		fill(t, l, city, 3)
		closed()
	}
	l, _ = p.open(t, ledger.Config{})
	text := export(t, l, city)
	r := verify(t, text, ledger.Options{Key: first, Since: since})
	if r.Log != "springfield/3" || len(r.Predecessors) != 2 || !r.KeyKnown || !r.Anchored || r.SinceLog != "springfield" {
		t.Errorf("report %+v", r)
	}
	flipAnywhere(t, text, 3)
	lines := bytes.SplitAfter(text, []byte("\n"))
	for n := range lines { // a part left out, or cut
		if _, err := ledger.Verify(bytes.NewReader(bytes.Join(lines[:n], nil)), ledger.Options{}); n < len(lines)-1 && !errors.Is(err, ledger.ErrInvalid) {
			t.Errorf("cut to %d of %d lines: %v", n, len(lines)-1, err)
		}
	}
	if got := l.Logs(city); len(got) != 3 {
		t.Errorf("logs %v", got)
	}
	old, _, err := l.ListLog(t.Context(), "springfield", 0, 100)
	if err != nil || len(old) != 8 || old[4].Leaf.Kind != ledger.KindKey {
		t.Errorf("the first log lists as %d leaves, %v", len(old), err)
	}
}

// TestFrozenLogThatChangesAgain: what was found at the succession is fixed by it.
func TestFrozenLogThatChangesAgain(t *testing.T) {
	p := newPlace(t)
	l, closed := p.open(t, ledger.Config{})
	fill(t, l, city, 10)
	closed()
	p.tamper(t, "UPDATE ledger_heads SET size = 9")
	l, closed = p.open(t, ledger.Config{})
	succeed(t, l)
	closed()
	p.tamper(t, "UPDATE ledger_bodies SET body = replace(body, 'D08', 'D09') WHERE idx = 1 AND city = 'springfield'")
	l, _ = p.open(t, ledger.Config{})
	if _, err := ledger.Verify(bytes.NewReader(export(t, l, city)), ledger.Options{}); !errors.Is(err, ledger.ErrInvalid) {
		t.Errorf("a frozen log was changed once more: %v", err)
	}
}

// TestStoreOfBeforeTheSuccession: a backup of before brings back a log that somebody has succeeded since.
func TestStoreOfBeforeTheSuccession(t *testing.T) {
	p := newPlace(t)
	l, closed := p.open(t, ledger.Config{})
	fill(t, l, city, 10)
	closed()
	good, err := os.ReadFile(filepath.Join(p.dir, "sealed.db"))
	if err != nil {
		t.Fatal(err)
	}
	p.tamper(t, "UPDATE ledger_heads SET size = 9")
	l, closed = p.open(t, ledger.Config{})
	succeed(t, l)
	closed()
	if err := os.WriteFile(filepath.Join(p.dir, "sealed.db"), good, 0o600); err != nil {
		t.Fatal(err)
	}
	l, _ = p.open(t, ledger.Config{})
	if err := l.Frozen()[city]; !errors.Is(err, ledger.ErrForked) {
		t.Errorf("a log that was succeeded takes leaves again: %v", err)
	}
	if id := succeed(t, l); id != "springfield/3" {
		t.Errorf("succeeded by %s, although the witness has leaves of the second log already", id)
	}
	fill(t, l, city, 3)
	r := verify(t, export(t, l, city), ledger.Options{})
	if r.Log != "springfield/3" || len(r.Predecessors) != 2 || r.Predecessors[0].Finding == ledger.FoundAgreeing && r.Predecessors[1].Finding == ledger.FoundAgreeing {
		t.Errorf("report %+v", r)
	}
}

// TestSuccessionThatWasInterrupted fails before the new log has its first leaf.
func TestSuccessionThatWasInterrupted(t *testing.T) {
	p := newPlace(t)
	l, closed := p.open(t, ledger.Config{})
	fill(t, l, city, 10)
	closed()
	p.tamper(t, "UPDATE ledger_heads SET size = 9")
	db := p.database(t)
	store, err := sqlstore.Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	m := &moody{Store: store, mood: "lost"}
	if l, err = ledger.Open(t.Context(), m, ledger.KeyDir(filepath.Join(p.dir, "keys")), p.witness(), ledger.Config{}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Succeed(t.Context(), city, "officer:bo", "because"); !errors.Is(err, errDoubt) {
		t.Errorf("succeeded although nothing could be written: %v", err)
	}
	if err := l.Append(t.Context(), city, leaf(1)); !errors.Is(err, ledger.ErrDamaged) {
		t.Errorf("append to a log that is still frozen: %v", err)
	}
	succeed(t, l)
	fill(t, l, city, 2)
	verify(t, export(t, l, city), ledger.Options{})
	if err := errors.Join(l.Close(), db.Close()); err != nil {
		t.Error(err)
	}
}

// TestLogFrozenWhileItRuns loses leaves under a running ledger.
func TestLogFrozenWhileItRuns(t *testing.T) {
	p := newPlace(t)
	l, _ := p.open(t, ledger.Config{})
	fill(t, l, city, 10)
	checkpoint(t, l, city)
	p.tamper(t, "UPDATE ledger_heads SET size = 9")
	if _, err := l.Checkpoint(t.Context(), city); !errors.Is(err, ledger.ErrForked) {
		t.Errorf("signed a shorter log: %v", err)
	}
	if err := l.Append(t.Context(), city, leaf(1)); !errors.Is(err, ledger.ErrForked) {
		t.Errorf("append to it: %v", err)
	}
	succeed(t, l)
	fill(t, l, city, 10)
	if r := verify(t, export(t, l, city), ledger.Options{}); r.Predecessors[0].Finding != ledger.FoundTruncated {
		t.Errorf("report %+v", r)
	}
}
