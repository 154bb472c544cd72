package ledger_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"

	"callhall/call"
	"callhall/ledger"
)

// A log that is whole and contradicts what another witness has is exported as its last checkpoint covers it, and nothing is
// signed with it.
func TestFrozenLogIsExportedAsItWasSigned(t *testing.T) {
	there := ledger.WitnessDir(t.TempDir())
	first := newPlace(t)
	l, closed := first.open(t, ledger.Config{Witnesses: []ledger.Witness{there}})
	fill(t, l, city, 5)
	closed()
	p := newPlace(t) // with the same key, and another history
	copyDir(t, filepath.Join(p.dir, "keys"), filepath.Join(first.dir, "keys"))
	l, closed = p.open(t, ledger.Config{})
	fill(t, l, city, 7)
	kept := checkpoint(t, l, city)
	closed()
	l, _ = p.open(t, ledger.Config{Cities: []call.CityID{city}, Witnesses: []ledger.Witness{there}})
	if l.Frozen()[city] == nil {
		t.Fatal("not frozen")
	}
	r := verify(t, export(t, l, city), ledger.Options{Since: kept, Key: key(t, l)})
	if r.Leaves != 7 || !r.Anchored {
		t.Errorf("report %+v", r)
	}
	if _, err := l.Checkpoint(t.Context(), city); !errors.Is(err, ledger.ErrForked) {
		t.Errorf("checkpoint: %v", err)
	}
}

// A log that does not have what its checkpoint covers is not exported under it.
func TestFrozenLogIsNotExportedWithoutItsLeaves(t *testing.T) {
	for name, c := range frozenCases {
		t.Run(name, func(t *testing.T) {
			p := newPlace(t)
			l, closed := p.open(t, ledger.Config{})
			fill(t, l, city, 10)
			closed()
			p.tamper(t, c.sql...)
			l, _ = p.open(t, ledger.Config{Cities: []call.CityID{city}})
			var out bytes.Buffer
			err := l.Export(t.Context(), city, &out)
			if !errors.Is(err, ledger.ErrForked) && !errors.Is(err, ledger.ErrDamaged) || out.Len() > 0 {
				t.Errorf("%v, and %d bytes", err, out.Len())
			}
		})
	}
}
