package ledger_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"callhall/call"
	"callhall/ledger"
	"callhall/ledger/sqlstore"
)

// count is the value of a metric, summed over its labels.
func count(t *testing.T, r *prometheus.Registry, name string) (sum float64) {
	t.Helper()
	all, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		for _, m := range f.Metric {
			if f.GetName() == name {
				sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

// TestCheckpointLeavesAtOnce: a ledger that was idle does not wait for its next turn.
func TestCheckpointLeavesAtOnce(t *testing.T) {
	p := newPlace(t)
	db := p.database(t)
	store, err := sqlstore.Open(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	first, second := telling{p.witness(), make(chan []byte, 8)}, telling{ledger.WitnessDir(t.TempDir()), make(chan []byte, 8)}
	l, err := ledger.Open(t.Context(), store, ledger.KeyDir(filepath.Join(p.dir, "keys")), first,
		ledger.Config{CheckpointEvery: time.Hour, Witnesses: []ledger.Witness{second}})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Append(t.Context(), city, leaf(1)); err != nil {
		t.Fatal(err)
	}
	if text := <-first.dropped; !bytes.Contains(text, []byte("\n0\n")) {
		t.Errorf("the first leaf came before the checkpoint %s", text)
	}
	for _, w := range []telling{first, second} {
		select {
		case text := <-w.dropped:
			if !bytes.Contains(text, []byte("\n1\n")) {
				t.Errorf("dropped %s", text)
			}
		case <-time.After(10 * time.Second):
			t.Error("no checkpoint left at once")
		}
	}
	fill(t, l, city, 50)
	if len(first.dropped) > 0 {
		t.Error("a second one came sooner than CheckpointEvery allows")
	}
	if err := errors.Join(l.Close(), db.Close()); err != nil {
		t.Error(err)
	}
	for _, w := range []ledger.Witness{first.WitnessDir, second.WitnessDir} { // what was left when it closed
		if text, err := w.Last(t.Context(), ledger.LogID(city)); err != nil || !bytes.Contains(text, []byte("\n51\n")) {
			t.Errorf("last %s, %v", text, err)
		}
	}
}

// TestSecondWitness is away: it holds nothing up, is counted, and finds a fork that the first does not know of.
func TestSecondWitness(t *testing.T) {
	p := newPlace(t)
	away := &deaf{WitnessDir: ledger.WitnessDir(t.TempDir()), away: true}
	r := prometheus.NewRegistry()
	l, closed := p.open(t, ledger.Config{Witnesses: []ledger.Witness{away}, Registry: r})
	fill(t, l, city, 5)
	checkpoint(t, l, city)
	for count(t, r, "callhall_ledger_witness_failures_total") == 0 {
		checkpoint(t, l, city)
	}
	away.leave(false)
	closed() // brings what is left
	if text, err := away.Last(t.Context(), ledger.LogID(city)); err != nil || !bytes.Contains(text, []byte("\n5\n")) {
		t.Errorf("the second witness has %s, %v", text, err)
	}
	other := newPlace(t) // with the same key, all else gone
	copyDir(t, filepath.Join(other.dir, "keys"), filepath.Join(p.dir, "keys"))
	r = prometheus.NewRegistry()
	l, _ = other.open(t, ledger.Config{Cities: []call.CityID{city}, Witnesses: []ledger.Witness{away}, Registry: r})
	if err := l.Frozen()[city]; !errors.Is(err, ledger.ErrForked) || count(t, r, "callhall_ledger_frozen") != 1 {
		t.Errorf("frozen: %v", err)
	}
	succeed(t, l)
	if n := count(t, r, "callhall_ledger_frozen"); n != 0 {
		t.Errorf("%v frozen after the succession", n)
	}
}
