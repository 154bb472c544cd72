// Package ledger is the append-only log of what was done with personal data: one Merkle log per city, in the form of
// RFC 6962 and golang.org/x/mod/sumdb/tlog. A leaf is in it when Append returns; nobody who keeps an earlier checkpoint
// can be shown a ledger from which something was removed or in which something was changed. FORMAT.md has every byte
// that a verifier needs; it cannot change.
//
// The bodies of leaves stand beside the tree and can be erased: the tree then still proves that there was a leaf, and
// every other proof goes on verifying.
package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"callhall/call"
)

var (
	// ErrForked freezes a city's ledger: it lacks or contradicts leaves that an earlier checkpoint covers.
	ErrForked = errors.New("ledger: the log contradicts an earlier checkpoint")
	// ErrDamaged freezes a city's ledger: its tree and its size do not agree.
	ErrDamaged = errors.New("ledger: the stored tree is damaged")
	// ErrRefused says that a leaf does not have the form of FORMAT.md, or might carry a telephone number.
	ErrRefused = errors.New("ledger: refused leaf")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("ledger: closed")
	// ErrConflict is returned by a store when another process has appended to the same city.
	ErrConflict = errors.New("ledger: another process appends to this log")
	// ErrNotFound says that there is no such leaf, tile or body.
	ErrNotFound = errors.New("ledger: not found")
)

// Store keeps the trees and the bodies. Every call names its city; what belongs to one is never seen through another.
type Store interface {
	// Cities lists the cities that have a leaf.
	Cities(ctx context.Context) ([]call.CityID, error)
	// Size is how many leaves the city has.
	Size(ctx context.Context, city call.CityID) (int64, error)
	// Append writes a batch, whole or not at all, and returns when it is durable. Errors: ErrConflict, when the
	// city's size is not b.From.
	Append(ctx context.Context, city call.CityID, b Batch) error
	// Tile returns the hashes of one tile. Errors: ErrNotFound.
	Tile(ctx context.Context, city call.CityID, level int, n int64) ([]byte, error)
	// Bodies returns up to limit bodies from index from on, in order. Erased ones are left out.
	Bodies(ctx context.Context, city call.CityID, from int64, limit int) ([]Body, error)
	// Erase removes a body and its salt so that no copy stays in the store. Errors: ErrNotFound.
	Erase(ctx context.Context, city call.CityID, index int64) error
}

// Batch is what one commit adds to a city's log.
type Batch struct {
	From   int64  // the size before
	Bodies []Body // contiguous from From
	Tiles  []Tile // every tile that is new or longer than before
}

// Body is the erasable part of a leaf.
type Body struct {
	Index int64
	Salt  []byte // saltSize random bytes
	Text  []byte // canonical JSON
}

// Tile is up to 256 hashes of one level of the tree (C2SP tlog-tiles), 32 bytes each. It only ever grows.
type Tile struct {
	Level  int
	N      int64
	Hashes []byte
}

// Witness is the second place: it keeps checkpoints where the owner of the store cannot change them.
type Witness interface {
	// Drop leaves a checkpoint there. It returns when the checkpoint is kept.
	Drop(ctx context.Context, city call.CityID, checkpoint []byte) error
	// Last is the newest checkpoint dropped for the city, or nil.
	Last(ctx context.Context, city call.CityID) ([]byte, error)
}

// Config has what may be set. Zero values are filled in.
type Config struct {
	Cities          []call.CityID // checked at Open besides those that already have leaves
	CheckpointEvery time.Duration // longest time that a change stays without a checkpoint; default 10 s
	Now             func() time.Time
	Log             *slog.Logger
	Registry        prometheus.Registerer // nil: not counted
}

// Ledger holds one log per city. It is safe for concurrent use.
type Ledger struct {
	store   Store
	keys    Keys
	witness Witness
	cfg     Config
	appends prometheus.Gauge

	mu     sync.Mutex
	logs   map[call.CityID]*cityLog
	closed bool

	stop    context.CancelFunc
	workers sync.WaitGroup
}

// Open checks every city's log against the last checkpoint of the witness and starts taking leaves. A city whose log
// does not agree is frozen, reported at Error and in Frozen; the others go on. The caller closes the ledger before the
// store.
func Open(ctx context.Context, store Store, keys Keys, witness Witness, cfg Config) (*Ledger, error) {
	l := &Ledger{store: store, keys: keys, witness: witness, cfg: cfg.filled(), logs: map[call.CityID]*cityLog{}}
	l.appends = prometheus.NewGauge(prometheus.GaugeOpts{Name: "callhall_ledger_last_append_timestamp_seconds",
		Help: "When a leaf last became durable, Unix time."})
	if cfg.Registry != nil {
		if err := cfg.Registry.Register(l.appends); err != nil {
			return nil, fmt.Errorf("open ledger: %w", err)
		}
	}
	cities, err := store.Cities(ctx)
	if err != nil {
		return nil, fmt.Errorf("open ledger: list cities: %w", err)
	}
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	l.stop = stop
	for _, city := range append(cities, cfg.Cities...) {
		if _, err := l.city(ctx, city); err != nil && !frozen(err) {
			return nil, errors.Join(fmt.Errorf("open ledger of %s: %w", city, err), l.Close())
		}
	}
	l.workers.Go(func() { l.checkpoints(background) })
	return l, nil
}

func (c Config) filled() Config {
	if c.CheckpointEvery <= 0 {
		c.CheckpointEvery = 10 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

func frozen(err error) bool { return errors.Is(err, ErrForked) || errors.Is(err, ErrDamaged) }

// cityName is what a city may be called: it becomes part of a checkpoint's origin and of file names.
var cityName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// city returns the city's log, opening it the first time. Errors: ErrForked, ErrDamaged, and those of store and keys.
func (l *Ledger) city(ctx context.Context, city call.CityID) (*cityLog, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c, ok := l.logs[city]; ok {
		return c, c.frozen
	}
	if l.closed {
		return nil, ErrClosed
	}
	if !cityName.MatchString(string(city)) {
		return nil, fmt.Errorf("%w: %q is not a city's name", ErrRefused, city)
	}
	c, err := l.openCity(ctx, city)
	if err != nil && !frozen(err) {
		return nil, err
	}
	l.logs[city] = c
	if err != nil {
		c.frozen = err
		l.cfg.Log.Error("ledger frozen: keep the store and the checkpoints as they are and find out who changed which",
			"city", city, "err", err)
		return c, err
	}
	l.workers.Go(c.run)
	return c, nil
}

// Frozen says which cities take no leaves, and why.
func (l *Ledger) Frozen() map[call.CityID]error {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := map[call.CityID]error{}
	for city, c := range l.logs {
		if c.frozen != nil {
			all[city] = c.frozen
		}
	}
	return all
}

// Append adds one leaf to the city's log and returns when it is durable. All Appends that wait at the same moment share
// one commit. If ctx ends while the leaf still waits its turn it is not written. Errors: ErrRefused, ErrForked,
// ErrDamaged, ErrClosed, and the store's: the leaf is then not in the log, unless the store itself could not tell.
func (l *Ledger) Append(ctx context.Context, city call.CityID, leaf call.Leaf) error {
	c, err := l.city(ctx, city)
	if err != nil {
		return err
	}
	e, err := newEntry(city, leaf)
	if err != nil {
		return err
	}
	if err := c.add(ctx, e); err != nil {
		return fmt.Errorf("append %s to the ledger of %s: %w", leaf.Kind, city, err)
	}
	l.appends.Set(float64(l.cfg.Now().UnixMilli()) / 1000)
	return nil
}

// Size is how many leaves of the city are durable.
func (l *Ledger) Size(ctx context.Context, city call.CityID) (int64, error) {
	return l.store.Size(ctx, city)
}

// Close writes what waits, leaves a last checkpoint of each city with the witness, and stops. It may be called twice.
func (l *Ledger) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	logs := make([]*cityLog, 0, len(l.logs))
	for _, c := range l.logs {
		logs = append(logs, c)
	}
	l.mu.Unlock()
	for _, c := range logs {
		c.close()
	}
	l.stop()
	l.workers.Wait()
	var errs []error
	for _, c := range logs {
		errs = append(errs, c.drop(context.Background()))
	}
	return errors.Join(errs...)
}
