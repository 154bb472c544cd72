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
	"slices"
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
	// ErrNotFrozen is returned by Succeed for a log that takes leaves.
	ErrNotFrozen = errors.New("ledger: the log is not frozen")
	// ErrNotFound says that there is no such leaf, tile or body.
	ErrNotFound = errors.New("ledger: not found")
)

// Store keeps the trees and the bodies. Every call names its log, and with it its city; what belongs to one is never
// seen through another.
type Store interface {
	// Logs lists the logs that have a leaf.
	Logs(ctx context.Context) ([]LogID, error)
	// Size is how many leaves the log has.
	Size(ctx context.Context, log LogID) (int64, error)
	// Append writes a batch, whole or not at all, and returns when it is durable. Errors: ErrConflict, when the
	// log's size is not b.From.
	Append(ctx context.Context, log LogID, b Batch) error
	// Tile returns the hashes of one tile. Errors: ErrNotFound.
	Tile(ctx context.Context, log LogID, level int, n int64) ([]byte, error)
	// Bodies returns up to limit bodies from index from on, in order. Erased ones are left out.
	Bodies(ctx context.Context, log LogID, from int64, limit int) ([]Body, error)
	// Marked returns the bodies that their batches marked, in order.
	Marked(ctx context.Context, log LogID) ([]Body, error)
	// Erase removes a body and its salt so that no copy stays in the store. Errors: ErrNotFound.
	Erase(ctx context.Context, log LogID, index int64) error
}

// Batch is what one commit adds to a log.
type Batch struct {
	From   int64   // the size before
	Bodies []Body  // contiguous from From
	Tiles  []Tile  // every tile that is new or longer than before
	Marks  []int64 // leaves that the ledger must find again when it opens the log: those about its keys
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

// Config has what may be set. Zero values are filled in.
type Config struct {
	Cities []call.CityID // checked at Open besides those that already have leaves
	// Witnesses are told of every checkpoint besides the first one, that Open is given. All of them must have it within
	// CheckpointEvery; one that fails is alarmed about and tried again, and holds nothing up.
	Witnesses       []Witness
	CheckpointEvery time.Duration // longest time that a change stays without a checkpoint, and least between two; default 1 s
	Now             func() time.Time
	Log             *slog.Logger
	Registry        prometheus.Registerer // nil: not counted
}

// Ledger holds one log per city that takes leaves, and the frozen ones that came before it. It is safe for concurrent use.
type Ledger struct {
	store   Store
	keys    Keys
	witness Witness
	cfg     Config
	metrics metrics

	mu     sync.Mutex
	logs   map[call.CityID]*cityLog // of each city the newest
	closed bool

	succeeding sync.Mutex    // one Succeed at a time
	grown      chan struct{} // one slot: a log has leaves that no checkpoint covers
	posts      []*post
	stop       context.CancelFunc
	workers    sync.WaitGroup
}

// Open checks every city's log against the last checkpoints of the witnesses and starts taking leaves. A log that does
// not agree is frozen, reported at Error and in Frozen; the others go on. The first witness must answer; any other that
// does not is asked again later. The caller closes the ledger before the store.
func Open(ctx context.Context, store Store, keys Keys, witness Witness, cfg Config) (*Ledger, error) {
	l := &Ledger{store: store, keys: keys, witness: witness, cfg: cfg.filled(), logs: map[call.CityID]*cityLog{},
		grown: make(chan struct{}, 1)}
	l.metrics = newMetrics(l)
	if err := l.metrics.register(cfg.Registry); err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	newest, err := l.newest(ctx)
	if err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	l.stop = stop
	for _, id := range newest {
		if _, err := l.open(ctx, id); err != nil && !frozen(err) {
			return nil, errors.Join(fmt.Errorf("open ledger %s: %w", id, err), l.Close())
		}
	}
	l.workers.Go(func() { l.checkpoints(background) })
	l.meet(ctx)
	for _, p := range l.posts {
		l.workers.Go(func() { p.run(background) })
	}
	return l, nil
}

// newest lists the newest log of each city that has leaves or is configured.
func (l *Ledger) newest(ctx context.Context) ([]LogID, error) {
	found, err := l.store.Logs(ctx)
	if err != nil {
		return nil, fmt.Errorf("list logs: %w", err)
	}
	for _, city := range l.cfg.Cities {
		found = append(found, logID(city, 1))
	}
	last := map[call.CityID]LogID{}
	for _, id := range found {
		if _, err := ParseLogID(string(id)); err != nil {
			return nil, err
		}
		if id.number() > last[id.City()].number() || last[id.City()] == "" {
			last[id.City()] = id
		}
	}
	var ids []LogID
	for _, id := range last {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids, nil
}

func (c Config) filled() Config {
	if c.CheckpointEvery <= 0 {
		c.CheckpointEvery = time.Second
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

// city returns the city's log that takes leaves, opening it the first time. Errors: ErrForked, ErrDamaged, and those of
// store and keys; a frozen log comes with its error.
func (l *Ledger) city(ctx context.Context, city call.CityID) (*cityLog, error) {
	l.mu.Lock()
	c := l.logs[city]
	l.mu.Unlock()
	if c != nil {
		return c, c.why()
	}
	return l.open(ctx, logID(city, 1))
}

// open opens a log as the newest of its city, if there is none yet.
func (l *Ledger) open(ctx context.Context, id LogID) (*cityLog, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c, ok := l.logs[id.City()]; ok {
		return c, c.why()
	}
	if l.closed {
		return nil, ErrClosed
	}
	if _, err := ParseLogID(string(id)); err != nil {
		return nil, err
	}
	c, err := l.read(ctx, id)
	if err == nil && c.witnessed == nil {
		err = c.begin(ctx)
	}
	if err != nil && !frozen(err) {
		return nil, err
	}
	l.logs[id.City()] = c
	l.start(c)
	if err != nil {
		c.freeze(err)
	}
	return c, err
}

// start lets a log take leaves. The caller holds l.mu.
func (l *Ledger) start(c *cityLog) { l.workers.Go(c.run) }

// Frozen says which cities take no leaves, and why. Succeed opens a log in the place of a frozen one.
func (l *Ledger) Frozen() map[call.CityID]error {
	all := map[call.CityID]error{}
	for _, c := range l.current() {
		if err := c.why(); err != nil {
			all[c.id.City()] = err
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
	return l.append(ctx, c, leaf.Kind, e)
}

func (l *Ledger) append(ctx context.Context, c *cityLog, kind string, e entry) error {
	if err := c.add(ctx, e); err != nil {
		return fmt.Errorf("append %s to the ledger of %s: %w", kind, c.id, err)
	}
	l.metrics.appends.Set(float64(l.cfg.Now().UnixMilli()) / 1000)
	return nil
}

// Size is how many leaves of the city's newest log are durable.
func (l *Ledger) Size(ctx context.Context, city call.CityID) (int64, error) {
	return l.store.Size(ctx, l.currentID(city))
}

// currentID is the newest log of a city, without opening it.
func (l *Ledger) currentID(city call.CityID) LogID {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c, ok := l.logs[city]; ok {
		return c.id
	}
	return logID(city, 1)
}

// current lists the newest log of each city.
func (l *Ledger) current() (all []*cityLog) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.logs {
		all = append(all, c)
	}
	return all
}

// Close writes what waits, leaves a last checkpoint of each city with the witnesses, and stops. It may be called twice.
func (l *Ledger) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.mu.Unlock()
	logs := l.current()
	for _, c := range logs {
		c.close()
	}
	l.stop()
	l.workers.Wait()
	var errs []error
	for _, c := range logs {
		errs = append(errs, c.drop(context.Background()))
	}
	for _, p := range l.posts {
		p.last(context.Background())
	}
	l.metrics.unregister(l.cfg.Registry)
	return errors.Join(errs...)
}
