//go:build linux && (amd64 || arm64)

package ledger_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"callhall/call"
	"callhall/ledger"
	"callhall/sqldb/powertest"
)

// appended are the calls of leaves whose Append has returned.
type appended struct {
	mu  sync.Mutex
	ids []call.ID
}

func (a *appended) add(id call.ID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ids = append(a.ids, id)
}

func (a *appended) all() []call.ID {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.ids[:len(a.ids):len(a.ids)]
}

// TestPowerLossKeepsWhatWasAppended cuts the power again and again under a ledger that many write to and whose key
// changes meanwhile: every Append that had returned is there once, and the log agrees with the last checkpoint that left.
func TestPowerLossKeepsWhatWasAppended(t *testing.T) {
	p := newPlace(t)
	disk := powertest.Watch(t, p.dir)
	l, closed := p.open(t, ledger.Config{CheckpointEvery: 1})
	fill(t, l, city, 3)
	first, since := key(t, l), checkpoint(t, l, city)
	said, stop := appendMany(t, l)
	seed := rand.Uint64()
	random, lost := rand.New(rand.NewPCG(seed, 1)), 0
	for cut := range 10 {
		for range 5 + random.IntN(20) {
			fill(t, l, city, 1)
		}
		if cut%5 == 4 {
			rotate(t, l)
		}
		left := newPlace(t)
		for _, sub := range []string{"witness", "keys"} { // these left before the power failed
			copyDir(t, filepath.Join(left.dir, sub), filepath.Join(p.dir, sub))
		}
		ids := said.all()
		lost += disk.Cut(t, random, left.dir)
		checkLeft(t, left, ids, ledger.Options{Key: first, Since: since})
		if t.Failed() {
			t.Fatalf("cut %d, seed %d", cut, seed)
		}
	}
	stop()
	closed()
	if lost == 0 {
		t.Error("no cut took anything from the disk: this test shows nothing")
	}
}

// appendMany appends from several goroutines until stop is called.
func appendMany(t *testing.T, l *ledger.Ledger) (said *appended, stop func()) {
	said = &appended{}
	ctx, cancel := context.WithCancel(t.Context())
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				f := leaf(i)
				if l.Append(context.Background(), city, f) == nil {
					said.add(f.Call)
				}
			}
		})
	}
	return said, sync.OnceFunc(func() { cancel(); wait.Wait() })
}

// checkLeft opens what a cut left.
func checkLeft(t *testing.T, p place, ids []call.ID, opts ledger.Options) {
	t.Helper()
	last, err := p.witness().Last(t.Context(), ledger.LogID(city))
	if err != nil {
		t.Fatal(err)
	}
	l, closed := p.open(t, ledger.Config{})
	defer closed()
	if f := l.Frozen(); len(f) > 0 {
		t.Fatal(f)
	}
	text := export(t, l, city)
	verify(t, text, opts)
	verify(t, text, ledger.Options{Since: last})
	times := map[call.ID]int{}
	for line := range bytes.Lines(text) {
		_, id, _ := bytes.Cut(line, []byte(`"call":"`))
		id, _, _ = bytes.Cut(id, []byte(`"`))
		times[call.ID(id)]++
	}
	for _, id := range ids {
		if times[id] == 0 {
			t.Errorf("leaf of %s is lost", id)
		}
	}
	for id, n := range times {
		if id != "" && n > 1 {
			t.Errorf("leaf of %s stands there %d times", id, n)
		}
	}
	fill(t, l, city, 2)
}

// copyDir copies the files of a directory in which others are being written.
func copyDir(t *testing.T, to, from string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(from, "[^.]*"))
	if err := errors.Join(err, os.Mkdir(to, 0o700)); err != nil {
		t.Fatal(err)
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err := errors.Join(err, os.WriteFile(filepath.Join(to, filepath.Base(path)), text, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
}
