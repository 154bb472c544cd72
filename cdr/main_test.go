package cdr_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"callhall/call"
	"callhall/cdr"
	"callhall/cdr/sqlstore"
	"callhall/sqldb"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errDown = errors.New("the database is away")

// faulty is a store that can be away, and remembers what it was given.
type faulty struct {
	cdr.Store
	mu    sync.Mutex
	down  bool
	given []string
	wrote chan struct{} // told after each Put that was taken
}

func (f *faulty) away(down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = down
}

func (f *faulty) note(what string, id call.ID) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return errDown
	}
	f.given = append(f.given, what+" "+string(id))
	return nil
}

func (f *faulty) PutOpen(ctx context.Context, e cdr.OpenEntry) error {
	if err := f.note("open", e.ID); err != nil {
		return err
	}
	return f.Store.PutOpen(ctx, e)
}

func (f *faulty) Put(ctx context.Context, r call.Record) error {
	if err := f.note("close", r.ID); err != nil {
		return err
	}
	err := f.Store.Put(ctx, r)
	select {
	case f.wrote <- struct{}{}:
	default:
	}
	return err
}

// office is a service over a real store in a directory of its own.
type office struct {
	t     *testing.T
	dir   string
	db    *sqldb.DB
	store *faulty
	log   bytes.Buffer
	key   []byte
	*cdr.Service
}

func newOffice(t *testing.T) *office {
	t.Helper()
	o := &office{t: t, dir: t.TempDir(), key: bytes.Repeat([]byte{7}, 32)}
	db, err := sqldb.Open(t.Context(), filepath.Join(o.dir, "records.db"), sqldb.Cached)
	if err != nil {
		t.Fatal(err)
	}
	s, err := sqlstore.New(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	o.db, o.store = db, &faulty{Store: s, wrote: make(chan struct{}, 1)}
	t.Cleanup(func() {
		if err := errors.Join(o.Shut(), db.Close()); err != nil {
			t.Error(err)
		}
	})
	o.start()
	return o
}

func (o *office) queuePath() string { return filepath.Join(o.dir, "records.queue") }

// start begins a run of the node.
func (o *office) start() {
	o.t.Helper()
	var err error
	o.Service, err = cdr.New(o.store, cdr.Config{Node: "node-a", Key: o.key, QueuePath: o.queuePath(), Retry: 1, Wait: time.Minute,
		Log: slog.New(slog.NewTextHandler(&o.log, nil))})
	if err != nil {
		o.t.Fatal(err)
	}
}

// restart is what a crash and a new start leave: another run over the same files.
func (o *office) restart() {
	o.t.Helper()
	if err := o.Shut(); err != nil {
		o.t.Fatal(err)
	}
	o.start()
}

func (o *office) open(r call.Record) {
	o.t.Helper()
	if err := o.Open(o.t.Context(), r); err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) close(r call.Record) {
	o.t.Helper()
	if err := o.Close(o.t.Context(), r); err != nil {
		o.t.Fatal(err)
	}
}

func (o *office) get(id call.ID) call.Record {
	o.t.Helper()
	r, err := o.Get(o.t.Context(), "demo", id)
	if err != nil {
		o.t.Fatal(err)
	}
	return r
}
