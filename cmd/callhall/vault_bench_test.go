package main

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"callhall/ani"
	anisql "callhall/ani/sqlstore"
	"callhall/call"
	"callhall/ledger"
	ledgersql "callhall/ledger/sqlstore"
	"callhall/sqldb"
)

// benchVault is a vault over a real file that it shares with a real ledger, as serve has it.
func benchVault(b *testing.B) *ani.Vault {
	b.Helper()
	b.Chdir(b.TempDir())
	db, err := sqldb.Open(b.Context(), "sealed.db", sqldb.Durable)
	benchMust(b, err)
	store, err := anisql.Open(b.Context(), db)
	benchMust(b, err)
	leaves, err := ledgersql.Open(b.Context(), db)
	benchMust(b, err)
	log, err := ledger.Open(b.Context(), leaves, ledger.KeyDir("keys"), ledger.WitnessDir("witness"), ledger.Config{Cities: []call.CityID{"demo"}})
	benchMust(b, err)
	v, err := ani.NewVault(store, log, ani.KeyDir("keys"), ani.Config{Cities: []call.CityID{"demo"}, Spool: "ani.spool"})
	benchMust(b, err)
	b.Cleanup(func() {
		benchMust(b, v.Close())
		benchMust(b, log.Close())
		benchMust(b, db.Close())
	})
	return v
}

func benchMust(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// benchCallers is how many ask at the same time.
const benchCallers = 64

// sideBySide runs act b.N times from 64 goroutines, and reports how many a second there were and how long the slowest
// of a hundred took.
func sideBySide(b *testing.B, act func(context.Context) error) {
	b.Helper()
	var mu sync.Mutex
	took := make([]time.Duration, 0, b.N)
	b.SetParallelism((benchCallers + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(p *testing.PB) {
		var mine []time.Duration
		for p.Next() {
			began := time.Now()
			if err := act(context.Background()); err != nil {
				b.Error(err)
			}
			mine = append(mine, time.Since(began))
		}
		mu.Lock()
		defer mu.Unlock()
		took = append(took, mine...)
	})
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "per-s")
}

func benchCall() ani.Incoming {
	return ani.Incoming{City: "demo", Call: call.NewID(), Trust: ani.Trust{Identity: true},
		Headers: ani.Headers{Asserted: []string{`"Ana Gray" <sip:+12125550142@carrier.invalid>`}}}
}

// BenchmarkCapture is what a call costs before it is answered: the row and the leaf of its routing, durable.
func BenchmarkCapture(b *testing.B) {
	v := benchVault(b)
	sideBySide(b, func(ctx context.Context) error {
		in := benchCall()
		defer v.Over(in.City, in.Call)
		_, err := v.Capture(ctx, in)
		return err
	})
}

// BenchmarkRelease is a release with its leaf durable: of a call that goes on, and of one that is over.
func BenchmarkRelease(b *testing.B) {
	for _, over := range []bool{false, true} {
		b.Run(map[bool]string{false: "live", true: "stored"}[over], func(b *testing.B) {
			v := benchVault(b)
			in := benchCall()
			_, err := v.Capture(b.Context(), in)
			benchMust(b, err)
			if over {
				v.Over(in.City, in.Call)
			}
			sideBySide(b, func(ctx context.Context) error {
				_, err := v.Release(ctx, ani.Request{City: in.City, Call: in.Call, Purpose: ani.PurposeLiveCall, Recipient: ani.RecipientAgent,
					Relation: ani.RelationHandling, Actor: "agent:ana"})
				return err
			})
		})
	}
}
