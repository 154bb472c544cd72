// Package cdr keeps and searches the records of calls: one call.Record for each call, written once.
//
// A call that is answered leaves a sealed open entry; the end of the call replaces it with the record, in one
// transaction. When a node dies, its open entries become records that say node-lost. When the database refuses,
// records wait in a sealed file beside it and go in later, in order. A record holds no digits of a caller's number, so
// there is no such column here, in a list or in an export.
package cdr

import (
	"context"
	"crypto/cipher"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"callhall/call"

	"github.com/prometheus/client_golang/prometheus"
)

// Errors of this package.
var (
	ErrNotFound = errors.New("no such call in this city")
	ErrClosed   = errors.New("the call already has a different record")
	ErrInvalid  = errors.New("a record needs an id and a city")
	ErrCursor   = errors.New("the cursor is damaged, or belongs to another city or search")
	ErrLimit    = errors.New("a page has 1 to 200 records")
	ErrFormat   = errors.New("unknown export format")
)

// A Store keeps records and open entries. Every read and write of one call names its city. What Put and PutOpen have
// taken is durable when they return. The contract is cdrtest.TestStore.
type Store interface {
	// PutOpen keeps e in place of an earlier entry of the same call, until the call's record is written. A call that
	// has its record keeps no entry.
	PutOpen(ctx context.Context, e OpenEntry) error
	// Put writes the call's record and removes its open entry, in one step. The same record again changes nothing;
	// a different one is ErrClosed.
	Put(ctx context.Context, r call.Record) error
	// Opens lists the entries that runs of node other than run have left, oldest first.
	Opens(ctx context.Context, node, run string) ([]OpenEntry, error)
	// Get returns one record of the city. Errors: ErrNotFound.
	Get(ctx context.Context, city call.CityID, id call.ID) (call.Record, error)
	// List returns the city's first n records that match f and lie behind p, newest first.
	List(ctx context.Context, city call.CityID, f Filter, p Position, n int) ([]call.Record, error)
}

// OpenEntry is an answered call that has no record yet. What is known of it is sealed.
type OpenEntry struct {
	City   call.CityID
	ID     call.ID
	Node   string    // the node that carries the call
	Run    string    // the run of that node: a restart has another
	At     time.Time // when the entry was made
	Sealed []byte
}

// Config is what a Service needs besides its store.
type Config struct {
	Node      string                // this node's name, in records and open entries
	Key       []byte                // 32 bytes: seals open entries, the queue and cursors
	QueuePath string                // the file where records wait while the database refuses; made when needed
	Wait      time.Duration         // how long the database may take before a record is queued; 0 is 2 s
	Retry     time.Duration         // how often Run tries the database again; 0 is 1 s
	Log       *slog.Logger          // required
	Registry  prometheus.Registerer // may be nil
	Now       func() time.Time      // nil is time.Now
}

// Service implements call.Records over a Store. Its methods may be called from any goroutine.
type Service struct {
	store   Store
	cfg     Config
	run     string
	entries cipher.AEAD
	cursors cipher.AEAD
	queue   *queue
	figures figures
	stirred chan struct{} // holds one token when the queue has something new

	replaying sync.Mutex // one replay at a time, so that order is kept
}

var _ call.Records = (*Service)(nil)

// New returns a service over store. Records that an earlier run left in the queue wait for Run, Replay or CloseLost.
func New(store Store, cfg Config) (*Service, error) {
	cfg.Wait = orElse(cfg.Wait, 2*time.Second)
	cfg.Retry = orElse(cfg.Retry, time.Second)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Node == "" || cfg.QueuePath == "" || cfg.Log == nil {
		return nil, errors.New("cdr: a node name, a queue path and a log are needed")
	}
	s := &Service{store: store, cfg: cfg, run: randomRun(), stirred: make(chan struct{}, 1)}
	if err := s.openKeys(); err != nil {
		return nil, fmt.Errorf("cdr: keys: %w", err)
	}
	if err := s.figures.register(cfg.Registry); err != nil {
		return nil, fmt.Errorf("cdr: metrics: %w", err)
	}
	if err := s.openQueue(); err != nil {
		return nil, fmt.Errorf("cdr: queue: %w", err)
	}
	return s, nil
}

// Shut closes the queue file. What waits in it stays there for the next run.
func (s *Service) Shut() error { return s.queue.close() }

// Open keeps a sealed entry of an answered call, from which its record is made if this node dies. Open again, with more
// known, replaces it.
func (s *Service) Open(ctx context.Context, r call.Record) error {
	return s.keep(ctx, waiting{Kind: waitsOpen, Run: s.run, At: s.cfg.Now().UTC(), Record: r})
}

// Close writes the call's record, once, and removes its open entry. Errors: ErrClosed when the call has another record.
func (s *Service) Close(ctx context.Context, r call.Record) error {
	if err := s.keep(ctx, waiting{Kind: waitsClose, Record: r}); err != nil {
		return err
	}
	s.figures.count(r)
	return nil
}

// Get returns one record of the city. Errors: ErrNotFound.
func (s *Service) Get(ctx context.Context, city call.CityID, id call.ID) (call.Record, error) {
	return s.store.Get(ctx, city, id)
}

// orElse is d, or instead when d is zero.
func orElse(d, instead time.Duration) time.Duration {
	if d == 0 {
		return instead
	}
	return d
}

// randomRun names one run of a node: 64 random bits in hex.
func randomRun() string {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
