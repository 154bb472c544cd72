package ledger_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"

	"callhall/call"
	"callhall/ledger"
)

// million is how many leaves the large ledger has.
const million = 1_000_000

// grow appends n leaves, many at a time, so that they share commits.
func grow(b *testing.B, l *ledger.Ledger, n int) {
	b.Helper()
	var wait sync.WaitGroup
	f := leaf(1)
	for worker := range 512 {
		wait.Go(func() {
			for i := worker; i < n; i += 512 {
				if err := l.Append(b.Context(), city, f); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wait.Wait()
}

// BenchmarkMillion proves and verifies in a ledger of a million leaves. A proof should take less than a millisecond, and
// verifying all of them seconds.
func BenchmarkMillion(b *testing.B) {
	l, _ := newPlace(b).open(b, ledger.Config{})
	grow(b, l, million)
	text := export(b, l, city)
	first := key(b, l)
	b.Run("proof", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := l.Proof(b.Context(), city, rand.Int64N(million)); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("consistency", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := l.Consistency(b.Context(), city, 1+rand.Int64N(million), 0); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("checkproof", func(b *testing.B) {
		p, err := l.Proof(b.Context(), city, million/2)
		one := file(b, p, err)
		for b.Loop() {
			if _, err := ledger.CheckProof(one, ledger.Options{Key: first}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("verify", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		none := errors.New("unknown")
		for b.Loop() {
			r, err := ledger.Verify(bytes.NewReader(text), ledger.Options{Key: first, Unknown: none, Check: func(call.Leaf) error { return nil }})
			if err != nil || r.Decided != million {
				b.Fatal(r, err)
			}
		}
		b.ReportMetric(million*float64(b.N)/b.Elapsed().Seconds(), "leaves/s")
	})
	b.Run("checkpoint", func(b *testing.B) { // one more leaf and a checkpoint over it, synced
		b.ReportAllocs()
		for b.Loop() {
			if err := l.Append(b.Context(), city, leaf(1)); err != nil {
				b.Fatal(err)
			}
			checkpoint(b, l, city)
		}
	})
}
