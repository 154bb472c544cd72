package recording

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"callhall/call"
)

// Config is what a service is made with. Dir, Node, Clock and Log must be given.
type Config struct {
	Dir         string // the spool is in Dir/spool; nobody else may write here
	Node        string // this node's name, the same after a restart
	Clock       Clock
	Log         *slog.Logger
	Registry    prometheus.Registerer // nil: nothing is counted
	Floor       uint64                // bytes that must be free on Dir's disk for a recording to begin; 0: no floor
	SegmentSize int64                 // bytes in a segment of the spool; 0: 64 MiB
	Uploads     int                   // of one city at once; 0: 2
	Retry       time.Duration         // first wait after a failed upload, doubled up to a minute; 0: 1 s
	SweepEvery  time.Duration         // how often the store is searched for what should be gone; 0: 1 h
}

func (c Config) withDefaults() Config {
	if c.SegmentSize <= 0 {
		c.SegmentSize = 64 << 20
	}
	if c.Uploads <= 0 {
		c.Uploads = 2
	}
	if c.Retry <= 0 {
		c.Retry = time.Second
	}
	if c.SweepEvery <= 0 {
		c.SweepEvery = time.Hour
	}
	return c
}

var (
	_ call.Recorder  = (*Service)(nil)
	_ call.Recording = (*live)(nil)
)

// Service records calls. It implements call.Recorder.
//
// Recover is called once, before Start and Run. Run does the work in the background; a recording may be closed after Run
// has returned, but not after Close.
type Service struct {
	cfg       Config
	log       *slog.Logger
	clock     Clock
	stores    map[call.CityID]Objects
	catalogue Catalogue
	ring      Ring
	ledger    Ledger
	spool     *spool
	meters    meters

	lines map[call.CityID]*line // set once

	mu     sync.Mutex // guards what follows
	active map[rawID]*live
	kept   map[rawID]*kept

	begins  sync.WaitGroup
	stopped chan struct{} // closed when Run's flusher has stopped

	flushing sync.Mutex // guards what follows
	round    []*live    // scratch
	batch    []byte     // sealed, not yet known to be on the disk
	written  []written  // what is in batch
	spare    []byte     // empty, goes to the next recording in exchange for its items
	aad      []byte     // scratch

	erasing sync.Mutex // guards what follows
	minute  int64      // minute keys before this one are destroyed
	scrub   bool       // the catalogue's files may still have copies of destroyed keys
}

// New opens the spool in cfg.Dir. Stores has the object store of each city; two cities may share one. The caller closes
// the service, and the stores after it.
func New(cfg Config, stores map[call.CityID]Objects, catalogue Catalogue, ring Ring, ledger Ledger) (*Service, error) {
	cfg = cfg.withDefaults()
	sp, err := openSpool(filepath.Join(cfg.Dir, "spool"), cfg.SegmentSize)
	if err != nil {
		return nil, fmt.Errorf("recording: %w", err)
	}
	s := &Service{cfg: cfg, log: cfg.Log, clock: cfg.Clock, stores: stores, catalogue: catalogue, ring: ring,
		ledger: ledger, spool: sp, active: map[rawID]*live{}, kept: map[rawID]*kept{},
		lines: map[call.CityID]*line{noStore: newLine()}, stopped: make(chan struct{})}
	for city := range stores {
		s.lines[city] = newLine()
	}
	if s.meters, err = newMeters(cfg.Registry, s); err != nil {
		return nil, errors.Join(fmt.Errorf("recording: metrics: %w", err), sp.close())
	}
	return s, nil
}

// Run flushes, uploads and erases until ctx ends. Everything it started has stopped when it returns.
func (s *Service) Run(ctx context.Context) {
	var loops sync.WaitGroup
	loops.Go(func() { s.flushLoop(ctx) })
	loops.Go(func() { s.eraseLoop(ctx) })
	loops.Go(func() { s.sweepLoop(ctx) })
	for _, l := range s.lines {
		for range s.cfg.Uploads {
			loops.Go(func() { s.uploadLoop(ctx, l) })
		}
	}
	loops.Wait()
}

// Close closes the spool's files. Recordings that are still open are finished by the next start.
func (s *Service) Close() error {
	s.begins.Wait()
	s.meters.unregister()
	return s.spool.close()
}

// openTimeout is how long a call waits for the disk of the spool, before it goes on unrecorded.
const openTimeout = 2 * time.Second

// Start opens a recording; nothing that was heard before is kept. The spool alone knows of it until it ends. Errors: ErrNoSpace (wrapped) when the disk has fallen
// to the floor, and the spool's. The call then goes on unrecorded.
func (s *Service) Start(ctx context.Context, city call.CityID, id call.ID, n call.Notice) (call.Recording, error) {
	l := &live{service: s, key: newKey(), done: make(chan struct{}), pending: make([]byte, 0, usualPending)}
	l.taps = [2]tap{{live: l, side: left}, {live: l, side: right}}
	l.entry = Entry{City: city, ID: call.NewRecordingID(), Call: id, Node: s.cfg.Node, State: StateOpen,
		StartedAt: s.clock.Now().UTC().Truncate(time.Microsecond), Notice: n}
	var err error
	if l.raw, err = parseID(l.entry.ID); err != nil {
		return nil, err
	}
	if l.aead, err = derive(l.key, nil, useSpool); err != nil {
		return nil, err
	}
	l.opener = opener{ID: l.raw, City: city, Call: id, Node: s.cfg.Node, Started: l.entry.StartedAt, Notice: n}
	if err := s.begin(ctx, l); err != nil {
		return nil, fmt.Errorf("recording of %s: %w", id, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active[l.raw] = l
	return l, nil
}

// begin makes room for l in the spool. A disk that stands still does not hold up the call: it goes on unrecorded.
func (s *Service) begin(ctx context.Context, l *live) error {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	o, done := l.opener, make(chan error, 1)
	s.begins.Go(func() {
		err := s.checkFloor()
		if err == nil {
			err = s.spool.begin(&o, l.key)
		}
		done <- err
	})
	select {
	case err := <-done:
		l.opener = o
		return err
	case <-ctx.Done():
		s.begins.Go(func() {
			if <-done == nil {
				s.forget(l.raw)
			}
		})
		return fmt.Errorf("the disk of the spool does not answer: %w", ctx.Err())
	}
}

// FloorError says that the disk has too little room to begin a recording. It is ErrNoSpace.
type FloorError struct{ Free, Floor uint64 } // bytes

func (e *FloorError) Error() string {
	return fmt.Sprintf("%d MiB free, the floor is %d MiB: %v", e.Free>>20, e.Floor>>20, ErrNoSpace)
}

// Unwrap makes it ErrNoSpace.
func (e *FloorError) Unwrap() error { return ErrNoSpace }

func (s *Service) checkFloor() error {
	if s.cfg.Floor == 0 {
		return nil
	}
	free, err := freeBytes(s.cfg.Dir)
	if err != nil {
		return fmt.Errorf("free space: %w", err)
	}
	if free < s.cfg.Floor {
		return &FloorError{Free: free, Floor: s.cfg.Floor}
	}
	return nil
}

// Status is what may be known of a recording without hearing it.
type Status struct {
	Entry
	Length   time.Duration
	Playable bool
}

// Status says where a recording is in its life. The wrapped key is left out. Errors: ErrNotFound.
func (s *Service) Status(ctx context.Context, city call.CityID, id call.RecordingID) (Status, error) {
	e, _, err := s.lookup(ctx, city, id)
	if err != nil {
		return Status{}, err
	}
	e.Wrapped = nil
	return Status{Entry: e, Length: length(e.Samples), Playable: s.playable(e) == nil}, nil
}

// OfCall says what is kept of a call whose end its record has missed: the summary that Close would have given, of the
// latest recording if there are several. ok is false when the catalogue knows of none. It is asked after Recover.
func (s *Service) OfCall(ctx context.Context, city call.CityID, id call.ID) (sum call.RecordingSummary, ok bool, err error) {
	entries, err := s.catalogue.OfCall(ctx, city, id)
	if err != nil {
		return sum, false, fmt.Errorf("recording of %s: %w", id, err)
	}
	for _, e := range slices.Backward(entries) {
		if e.DueAt.IsZero() {
			continue // nothing was kept
		}
		return e.summary(), true, nil
	}
	return sum, false, nil
}

// lookup finds a recording of this city: among those whose bytes are in the spool, or else in the catalogue.
func (s *Service) lookup(ctx context.Context, city call.CityID, id call.RecordingID) (Entry, *kept, error) {
	raw, err := parseID(id)
	if err != nil {
		return Entry{}, nil, err
	}
	s.mu.Lock()
	k, l := s.kept[raw], s.active[raw]
	s.mu.Unlock()
	switch {
	case k != nil && k.entry.City == city:
		return k.snapshot(), k, nil
	case l != nil && l.entry.City == city:
		return l.snapshot(), nil, nil
	case k != nil || l != nil:
		return Entry{}, nil, fmt.Errorf("recording %s: %w", id, ErrNotFound)
	}
	e, err := s.catalogue.Get(ctx, city, id)
	if err != nil {
		return Entry{}, nil, fmt.Errorf("recording %s: %w", id, err)
	}
	return e, nil, nil
}

// playable says why a recording may not be heard: nil, ErrErased or ErrInProgress.
func (s *Service) playable(e Entry) error {
	switch {
	case e.State == StateErased || !e.KeyDestroyedAt.IsZero():
		return ErrErased
	case e.State == StateOpen:
		return ErrInProgress
	case !latest(s.clock).Before(e.DueAt):
		return ErrErased // due is due, whether or not the eraser has come by
	}
	return nil
}
