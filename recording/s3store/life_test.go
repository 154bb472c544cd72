package s3store

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"callhall/call"
	"callhall/recording"
	"callhall/recording/ringstore"
	"callhall/recording/sqlstore"
	"callhall/sqldb"
)

// hand is a clock set by hand.
type hand struct {
	mu  sync.Mutex
	now time.Time
}

func (h *hand) Now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *hand) set(t time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = t
}

// book counts leaves.
type book struct {
	mu     sync.Mutex
	leaves []call.Leaf
}

func (b *book) Append(_ context.Context, _ call.CityID, leaf call.Leaf) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.leaves = append(b.leaves, leaf)
	return nil
}

// A recording's whole life in a bucket on which somebody has switched versioning: stored, heard, replaced by a later
// version, deleted by a stranger, and after fourteen days gone with every version and marker.
func TestLifeInAVersionedBucket(t *testing.T) {
	ctx := t.Context()
	s := startGateway(t).open(t)
	if err := s.client.EnableVersioning(ctx, s.bucket); err != nil {
		t.Fatal(err)
	}
	clock, ledger := &hand{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}, &book{}
	r := newService(t, s, clock, ledger)
	rec, err := r.Start(ctx, "aspen", call.NewID(), call.Notice{})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for i := range 300 {
		rec.Caller().Heard(call.Packet{At: began.Add(time.Duration(i) * 20 * time.Millisecond), Seq: uint16(i), TS: uint32(i * 160),
			Payload: bytes.Repeat([]byte{byte(i)}, 160)})
	}
	kept, err := rec.Close(ctx)
	if err != nil {
		t.Fatal(err)
	}
	await(t, r, kept.ID, recording.StateStored)
	p, err := r.Open(ctx, "aspen", kept.ID)
	if err != nil {
		t.Fatal(err)
	}
	wav, err := io.ReadAll(p)
	if err := errors.Join(err, p.Close()); err != nil || int64(len(wav)) != p.Size() || len(wav) < 300*160*4 {
		t.Errorf("%d bytes: %v", len(wav), err)
	}
	name := recording.ObjectName(kept.ID)
	if err := s.Put(ctx, name, 5, bytes.NewReader([]byte("later"))); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Open(ctx, "aspen", kept.ID); !errors.Is(err, recording.ErrDamaged) {
		t.Errorf("another object in its place: %v", err)
	}
	clock.set(kept.DueAt)
	await(t, r, kept.ID, recording.StateErased)
	for o, err := range s.List(ctx) {
		t.Errorf("left: %+v, %v", o, err)
	}
	ledger.mu.Lock()
	defer ledger.mu.Unlock()
	if len(ledger.leaves) != 1 || ledger.leaves[0].Facts["versions"] != "2" || ledger.leaves[0].Facts["probed"] != "s3: nothing found" {
		t.Errorf("%+v", ledger.leaves)
	}
}

func newService(t *testing.T, objects recording.Objects, clock recording.Clock, ledger recording.Ledger) *recording.Service {
	t.Helper()
	dir := t.TempDir()
	db, err := sqldb.Open(t.Context(), filepath.Join(dir, "sealed.db"), sqldb.Durable)
	if err != nil {
		t.Fatal(err)
	}
	catalogue, err := sqlstore.New(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := ringstore.OpenKeyFiles(filepath.Join(dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	ring, err := ringstore.Open(filepath.Join(dir, "ring"), keys)
	if err != nil {
		t.Fatal(err)
	}
	r, err := recording.New(recording.Config{Dir: dir, Node: "n1", Clock: clock, Log: slog.New(slog.DiscardHandler)},
		map[call.CityID]recording.Objects{"aspen": objects}, catalogue, ring, ledger)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Recover(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { r.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
		if err := errors.Join(r.Close(), ring.Close(), db.Close()); err != nil {
			t.Error(err)
		}
	})
	return r
}

func await(t *testing.T, r *recording.Service, id call.RecordingID, state recording.State) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for {
		st, err := r.Status(t.Context(), "aspen", id)
		if err != nil {
			t.Fatal(err)
		}
		if st.State == state {
			return
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("it is %v, not %v", st.State, state)
		}
	}
}
